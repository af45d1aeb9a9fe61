#!/bin/sh
# installed.sh CMAKE BUILD CC: an installed tree, moved to another place, has all that belongs to it; programs are built
# with it by pkg-config and by find_package, and run.
set -eu
cmake=$1 build=$2 cc=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

"$cmake" --install "$build" --prefix "$dir/first" >/dev/null
mv "$dir/first" "$dir/moved"
for file in bin/vhive-ctl bin/vhive-bench include/vhive/host.h libexec/vhive/vhive-shim \
    share/man/man1/vhive-ctl.1 share/man/man1/vhive-bench.1 \
    share/man/man3/libvhive.3 share/man/man5/vhive.yaml.5 share/bash-completion/completions/vhive-ctl \
    share/zsh/site-functions/_vhive-ctl share/fish/vendor_completions.d/vhive-ctl.fish; do
    [ -s "$dir/moved/$file" ] || { echo "FAILED: $file is not installed"; exit 1; }
done
pc=$(find "$dir/moved" -name vhive.pc)
PKG_CONFIG_PATH=${pc%/*}
export PKG_CONFIG_PATH
libdir=$(pkg-config --variable=libdir vhive)

# usage PROGRAM CODE: called without arguments it tells its usage; that it comes so far shows that it is linked right.
usage() {
    code=0
    LD_LIBRARY_PATH=$libdir "$1" >"$dir/out" 2>&1 || code=$?
    if [ "$code" != 2 ] || ! grep -q '^usage: ' "$dir/out"; then
        echo "FAILED: $1: exit code $code: $(cat "$dir/out")"
        exit 1
    fi
}

examples=$(find "$dir/moved" -type d -name examples)
# shellcheck disable=SC2046 # the flags are words
"$cc" -o "$dir/shared" "$examples/boot.c" $(pkg-config --cflags --libs vhive)
usage "$dir/shared"
# the archive itself, with what it names shared: --static would want archives of every package below as well
# shellcheck disable=SC2046
"$cc" -o "$dir/static" "$examples/boot.c" $(pkg-config --cflags vhive) "$libdir/libvhive.a" \
    $(pkg-config --libs $(pkg-config --print-requires-private vhive)) -pthread
usage "$dir/static"

"$cmake" -G Ninja -S "$examples" -B "$dir/by-cmake" -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$dir/moved" >/dev/null
"$cmake" --build "$dir/by-cmake" >/dev/null
for program in "$dir"/by-cmake/examples/bin/*; do
    usage "$program"
done
printf 'cmake_minimum_required(VERSION 3.22)\nproject(x C)\nfind_package(vhive 99 REQUIRED)\n' >"$dir/CMakeLists.txt"
if "$cmake" -G Ninja -S "$dir" -B "$dir/other" -DCMAKE_PREFIX_PATH="$dir/moved" >/dev/null 2>&1; then
    echo "FAILED: find_package(vhive 99) is content with this version"
    exit 1
fi

for program in "$dir"/moved/bin/*; do
    [ ! -x "$program" ] || "$program" --help >/dev/null # finds libvhive.so by its rpath
done
