# shellcheck shell=bash
# What the end-to-end tests start from: . "$(dirname "$0")/lib.sh"
#
# tests/run.sh gives each a scratch folder of its own (VH_SCRATCH), and a state and a run directory; a test that is
# started by itself goes through tests/run.sh, so that it is always looked after. A comment line "# timeout: SECONDS"
# in a test replaces the 180 it has.
set -euo pipefail

e2e=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [[ -z ${VH_SCRATCH:-} ]]; then
    name=${0##*/}
    exec "$e2e/../run.sh" --no-install "^e2e/${name%.*}\$"
fi

ctl() {
    "$VH_BUILD/bin/vhive-ctl" "$@"
}

# image NAME: reference of an example function.
image() {
    echo "oci:$VH_BUILD/functions/$1"
}

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# same WANT GOT WHAT
same() {
    [[ $1 == "$2" ]] || fail "$3: got '$2', want '$1'"
}

# says TEXT FILE: the file has TEXT in it.
says() {
    grep -qF -- "$1" "$2" || fail "nothing of '$1' in: $(tail -c 2000 "$2")"
}

# need CAPABILITY...: ends the test as skipped where one is missing.
need() {
    local capability
    for capability; do
        case $capability in
            root) ((EUID == 0)) || lacks root "not root" ;;
            qemu) command -v qemu-system-x86_64 >/dev/null || lacks qemu "no qemu-system-x86_64" ;;
            uffd) [[ -c /dev/userfaultfd ]] || lacks uffd "no /dev/userfaultfd" ;;
            *) fail "need $capability: no such capability" ;;
        esac
    done
}

lacks() {
    echo "skip: $1: $2"
    exit 77
}
