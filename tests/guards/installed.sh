#!/bin/sh
# installed.sh CMAKE BUILD CC: an installed tree, moved to another place, serves a program built by pkg-config alone.
set -eu
cmake=$1 build=$2 cc=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

"$cmake" --install "$build" --prefix "$dir/first" >/dev/null
mv "$dir/first" "$dir/moved"
pc=$(find "$dir/moved" -name vhive.pc)
cat >"$dir/user.c" <<'END'
#include <stdio.h>
#include <vhive/env.h>
int main(void)
{
    vh_error err;
    vh_env *env;
    if (vh_env_new(NULL, &env, &err))
        return 1;
    puts(vh_env_state_dir(env));
    vh_env_free(env);
    return 0;
}
END
PKG_CONFIG_PATH=${pc%/*}
export PKG_CONFIG_PATH
libdir=$(pkg-config --variable=libdir vhive)
# shellcheck disable=SC2046 # the flags are words
"$cc" -o "$dir/shared" "$dir/user.c" $(pkg-config --cflags --libs vhive)
LD_LIBRARY_PATH=$libdir "$dir/shared"
# the archive itself, with what it names shared: --static would want archives of every package below as well
# shellcheck disable=SC2046
"$cc" -o "$dir/static" "$dir/user.c" $(pkg-config --cflags vhive) "$libdir/libvhive.a" \
    $(pkg-config --libs $(pkg-config --print-requires-private vhive)) -pthread
"$dir/static"
for program in "$dir"/moved/bin/*; do
    [ ! -x "$program" ] || "$program" --help >/dev/null # finds libvhive.so by its rpath
done
