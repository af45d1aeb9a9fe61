#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<'END'
usage: examples/quickstart.sh [--no-install]

Sets the machine up, builds vHive and the example functions, and shows for each function where the time goes: booted in
a microVM and called, then restored from its snapshot with cold files by every engine and called again.

  --no-install   touch nothing of the machine; name what is missing and exit with code 1

State is kept below build/quickstart while it runs. Needs root for running functions.
END
}

set_up=()
for argument; do
    case $argument in
        --no-install) set_up=(--no-install) ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done

scripts/build.sh "${set_up[@]}" --for run
if ((EUID != 0)); then
    echo "quickstart.sh: not root: microVMs need namespaces and userfaultfd; use sudo" >&2
    exit 1
fi

here=build/quickstart
run_dir=$(mktemp -d /tmp/vhive-quickstart.XXXXXX) # sockets need short paths
cleanup() {
    rm -rf "$run_dir" "$here"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
rm -rf "$here"
mkdir -p "$here"
export VHIVE_STATE_DIR=$PWD/$here/state VHIVE_RUN_DIR=$run_dir VHIVE_GUEST_DIR=$PWD/build/guest
export PATH=$PWD/build/bin:$PATH

# quietly LOG COMMAND...: keeps what it says on stderr to LOG, and shows that if it fails.
quietly() {
    local log=$1
    shift
    "$@" 2>"$log" || {
        cat "$log" >&2
        exit 1
    }
}

# call NAME SPEC ENGINE LABEL: brings the function up, calls it once and keeps the phases.
call() {
    local out=$here/$1.$4.json
    quietly "$here/log" vhive-ctl run "oci:build/functions/$1" --engine "$3" --invoke "$2" -o json >"$out"
    python3 examples/phases.py --answer "$4=$out"
}

# table NAME: the phases of all its calls, side by side.
table() {
    local how columns=()
    for how in boot file uffd reap-record reap; do
        columns+=("$how=$here/$1.$how.json")
    done
    python3 examples/phases.py "${columns[@]}"
}

# show NAME SPEC: one function, every way.
show() {
    local how
    echo
    echo "== $1"
    call "$1" "$2" boot boot
    quietly "$here/log" vhive-ctl snapshot create "oci:build/functions/$1" >/dev/null
    for how in file:file uffd:uffd reap:reap-record reap:reap; do
        scripts/evict.py "$VHIVE_STATE_DIR/snapshots"
        call "$1" "$2" "${how%:*}" "${how#*:}"
    done
    echo
    table "$1"
}

show hello 'grpc:helloworld.Greeter/SayHello:{"name":"record"}'
show pyhello 'http:/'
