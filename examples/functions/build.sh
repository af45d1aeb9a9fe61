#!/usr/bin/env bash
# Makes the images of the example functions: OCI layouts with the tag "latest", from files of installed Debian
# packages, without network and without root. An image whose inputs have not changed is left alone; equal inputs give
# equal digests. Two layers each: what comes from Debian, and the function.
set -euo pipefail
umask 022
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$(cd "$here/../.." && pwd)/build
out=
functions=(hello pyhello pyaes jsonser imgrotate)
epoch=${SOURCE_DATE_EPOCH:-1700000000}
nonroot=65532
python=/usr/bin/python3.11
python_lib=/usr/lib/python3.11
python_packages=(python3.11-minimal libpython3.11-minimal libpython3.11-stdlib)
# Tests, build tools, and extension modules that would bring in large libraries: http.client imports ssl when it is
# there, and loading OpenSSL is the longest part of a start on an emulated CPU.
python_drop='/(test|unittest|venv|curses|dbm|sqlite3|ctypes|pydoc_data|distutils|lib2to3|ensurepip|idlelib)/'
python_drop+='|/lib-dynload/(_bz2|_crypt|_ctypes|_curses|_dbm|_hashlib|_lzma|_sqlite3|_ssl|_test|_uuid|_xx|nis|xx)'
python_drop+='|/lib-dynload/(_codecs_|_multibytecodec|audioop|ossaudiodev|readline)|/(sitecustomize|turtle)\.py$'
pillow_lib=/usr/lib/python3/dist-packages/PIL
pillow_drop='/(_imagingcms|_imagingft|_imagingmath|_imagingmorph|_webp)\.' # fonts and colour profiles

usage() {
    cat <<TEXT
usage: examples/functions/build.sh [--build DIR] [--out DIR] [NAME...]
Makes OUT/NAME for each NAME (default: ${functions[*]}).
  --build DIR  folder that CMake built in (default: build/ of the source tree)
  --out DIR    where the images go (default: functions/ in the build folder)
Run one:  vhive-ctl run oci:build/functions/hello --invoke 'grpc:helloworld.Greeter/SayHello:{"name":"record"}'
TEXT
}

die() {
    echo "build.sh: $*" >&2
    exit 1
}

# Paths of the shared libraries that the given programs and libraries need, the loader among them.
libraries() {
    local lines
    lines=$(ldd "$@" 2>&1) || die "ldd cannot read one of: $*"
    if grep -q 'not found' <<<"$lines"; then
        die "a library is missing: $(grep -m1 'not found' <<<"$lines")"
    fi
    sed -nE 's/^\t(.* => )?(\/[^ ]+) \(0x.*/\2/p' <<<"$lines" | sort -u
}

# package_files FOLDER PATTERN PACKAGE...: files of the packages below FOLDER that do not match PATTERN.
package_files() {
    local folder=$1 pattern=$2 path
    shift 2
    dpkg -L "$@" | grep "^$folder/" | grep -Ev "$pattern" |
        while IFS= read -r path; do
            if [[ -f $path ]]; then
                echo "$path"
            fi
        done | sort
}

# Absolute paths of all that comes from Debian packages.
debian_files() {
    local files
    if [[ $1 == hello ]]; then
        libraries "$build/functions-bin/hello"
        return
    fi
    files=$python$'\n'$(package_files "$python_lib" "$python_drop" "${python_packages[@]}")
    if [[ $1 == imgrotate ]]; then
        files+=$'\n'$(package_files "$pillow_lib" "$pillow_drop" python3-pil)
    fi
    echo "$files"
    mapfile -t files < <(grep -E '/bin/|\.so$' <<<"$files")
    libraries "${files[@]}"
}

# What of an image is ours.
function_files() {
    case $1 in
    hello) echo "$build/functions-bin/hello" ;;
    *) printf '%s\n' "$here/function_server.py" "$here/$1"/*.py ;;
    esac
}

check_function() {
    case $1 in
    hello) [[ -x $build/functions-bin/hello ]] || die "$build/functions-bin/hello is missing: ninja -C $build hello" ;;
    imgrotate) [[ -d $pillow_lib ]] || die "$pillow_lib is missing: apt-get install python3-pil" ;;
    pyhello) [[ -x $pyhello_hook ]] || die "$pyhello_hook is missing: ninja -C $build pyhello-post-restore" ;;
    pyaes | jsonser) ;;
    *) die "no function named '$1': choose from ${functions[*]}" ;;
    esac
    [[ -x $python ]] || die "$python is missing: apt-get install python3.11"
}

# Copies each file to the folder that its own really is, so /lib/... ends in /usr/lib/..., under the name it is known
# by and as what it points to.
stage_debian() {
    local root=$1 path dir last=
    mkdir -p "$root"/{etc,proc,sys,dev,run,usr/{bin,lib,lib64},var/lib}
    mkdir -m 1777 "$root/tmp"
    ln -s usr/bin "$root/bin"
    ln -s usr/lib "$root/lib"
    ln -s usr/lib64 "$root/lib64"
    printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:%d:%d:nonroot:/:/sbin/nologin\n' \
        $nonroot $nonroot >"$root/etc/passwd"
    printf 'root:x:0:\nnonroot:x:%d:\n' $nonroot >"$root/etc/group"
    while IFS= read -r path; do
        if [[ ${path%/*} != "$last" ]]; then
            last=${path%/*}
            dir=$root$(realpath "$last")
            mkdir -p "$dir"
        fi
        cp -L "$path" "$dir/"
    done
}

# compile_python ROOT FOLDER...: compiled ahead, and not checked against the source's time: starts fast, and the same
# bytes on every machine.
compile_python() {
    local root=$1
    shift
    PYTHONHASHSEED=0 "$python" -I -m compileall -q --invalidation-mode unchecked-hash -s "$root" -p / \
        "${@/#/$root}" || die "cannot compile $*"
}

layer_tar() {
    local file=$1 root=$2
    shift 2
    tar --append --file "$file" --directory "$root" --format=posix --sort=name --mtime="@$epoch" \
        --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime --numeric-owner "$@"
}

function_layer() {
    local name=$1 file=$2 root=$3 files
    mapfile -t files < <(function_files "$name")
    mkdir -p "$root/app" "$root/var/lib/app"
    case $name in
    hello)
        install "${files[@]}" "$root/app"
        layer_tar "$file" "$root" --owner=0 --group=0 app
        ;;
    *)
        install -m 644 "${files[@]}" "$root/app"
        compile_python "$root" /app
        layer_tar "$file" "$root" --owner=0 --group=0 app
        if [[ $name == pyhello ]]; then
            install -D "$pyhello_hook" "$root/etc/vhive/hooks/post-restore"
            layer_tar "$file" "$root" --owner=0 --group=0 etc/vhive
        fi
        layer_tar "$file" "$root" --owner=$nonroot --group=$nonroot var/lib/app
        ;;
    esac
}

# A request that is typical of the function, as --invoke takes it: what vhive-bench sends when it is told none.
typical_request() {
    case $1 in
    hello) echo 'grpc:helloworld.Greeter/SayHello:{"name":"replay"}' ;;
    pyhello) echo 'http:/' ;;
    pyaes) echo "http:POST:/encrypt:Cold starts of a function that is seldom called are what its callers remember of \
it, so they are what this one is measured by." ;;
    jsonser) echo 'http:/?depth=4&width=4' ;;
    imgrotate) echo 'http:/?angle=30' ;;
    esac
}

config_arguments() {
    printf '%s\n' --config.label "io.vhive.invoke=$(typical_request "$1")"
    case $1 in
    hello)
        printf '%s\n' --config.entrypoint /app/hello --config.exposedports 50051/tcp --config.user $nonroot:$nonroot
        ;;
    *) # neither the environment nor site-packages have a say, and a start is a third shorter
        printf '%s\n' --config.entrypoint "$python" --config.entrypoint=-E --config.entrypoint=-s \
            --config.entrypoint=-S --config.entrypoint /app/server.py --config.exposedports 8080/tcp \
            --config.user nonroot
        ;;
    esac
}

write_layout() {
    local name=$1 work=$2 date arguments
    local image=$work/layout:latest
    date=$(date --utc --date="@$epoch" +%Y-%m-%dT%H:%M:%SZ)
    mapfile -t arguments < <(config_arguments "$name")
    umoci init --layout "$work/layout"
    umoci new --image "$image"
    umoci raw add-layer --no-history --image "$image" "$work/debian.tar"
    umoci raw add-layer --no-history --image "$image" "$work/function.tar"
    umoci config --no-history --image "$image" --created "$date" --config.workingdir /app \
        --config.env PATH=/usr/bin:/bin --config.stopsignal SIGTERM "${arguments[@]}"
    umoci gc --layout "$work/layout"
    chmod -R a+rX "$work/layout" # umoci closes what it writes to others
}

make_image() {
    local name=$1 work=$2
    stage_debian "$work/debian" <"$work/files"
    case $name in
    hello) ;;
    imgrotate) compile_python "$work/debian" "$python_lib" "$pillow_lib" ;;
    *) compile_python "$work/debian" "$python_lib" ;;
    esac
    layer_tar "$work/debian.tar" "$work/debian" --owner=0 --group=0 .
    function_layer "$name" "$work/function.tar" "$work/function"
    write_layout "$name" "$work" >"$work/log" 2>&1 || die "umoci: $(tail -n 3 "$work/log")"
    rm -rf "${out:?}/$name"
    mv "$work/layout" "$out/$name"
}

# Digest of all that decides the image.
stamp_of() {
    {
        echo "$epoch" "$(umoci --version)"
        xargs -d '\n' sha256sum <"$1"
        function_files "$2" | xargs -d '\n' sha256sum
        if [[ $2 == pyhello ]]; then sha256sum <"$pyhello_hook"; fi
        sha256sum <"${BASH_SOURCE[0]}"
    } | sha256sum
}

build_function() ( # a subshell: the trap and its variable are its own
    name=$1
    check_function "$name"
    work=$(mktemp -d "$out/.$name.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    debian_files "$name" >"$work/files"
    stamp=$(stamp_of "$work/files" "$name")
    if [[ -f $out/$name/index.json && -f $out/.$name.stamp && $(cat "$out/.$name.stamp") == "$stamp" ]]; then
        echo "$name: up to date"
        exit 0
    fi
    rm -f "$out/.$name.stamp"
    make_image "$name" "$work"
    echo "$stamp" >"$out/.$name.stamp"
    echo "$name: $out/$name, $(du -sk "$out/$name" | cut -f1) KiB"
)

names=()
while (($#)); do
    case $1 in
    --help | -h)
        usage
        exit 0
        ;;
    --build | --out)
        (($# > 1)) || die "$1 needs a folder"
        if [[ $1 == --build ]]; then build=$(realpath "$2"); else out=$(realpath "$2"); fi
        shift
        ;;
    -*) die "unknown option $1 (--help lists them)" ;;
    *) names+=("$1") ;;
    esac
    shift
done

for tool in umoci tar dpkg ldd flock; do
    command -v "$tool" >/dev/null || die "$tool is missing: apt-get install umoci tar dpkg libc-bin util-linux"
done
out=${out:-$build/functions}
pyhello_hook=$build/functions-bin/pyhello-post-restore
mkdir -p "$out"
exec 9>"$out/.lock"
flock 9 # two builds at once would take each other's folders
for name in "${names[@]:-${functions[@]}}"; do
    build_function "$name"
done
