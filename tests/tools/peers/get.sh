#!/usr/bin/env bash
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/tools/peers/versions.sh
. "$here/versions.sh"
# shellcheck source=tests/tools/peers/recipes.sh
. "$here/recipes.sh"

usage() {
    cat <<'END'
usage: tests/tools/peers/get.sh [--dir] PEER...

Gets real programs that vHive is tested with, at pinned versions (versions.sh): sources come from the language package
registries as this machine has them set up, and are built here. They are kept in
${VHIVE_TEST_CACHE:-~/.cache/vhive-tests}, one folder for each peer and version; what is there is not made again, and
any number of these may run at once. The first build of a peer takes 1 to 8 minutes of two processors.

  --dir   get nothing; print the folders, one a line, that the peers are in once they are there

peers: critest (and crictl), containerd, gvisor, kubelet;
  kubernetes, knative, kn, coredns, greeter, envoy (tests/conformance/knative.sh)
needs: go, perl; envoy: pip
END
}

cache=${VHIVE_TEST_CACHE:-$HOME/.cache/vhive-tests}
making= # the folder in which a peer is being made

die() {
    printf 'get.sh: %s\n' "$*" >&2
    exit 1
}

# folder PEER: where it is kept; the name changes with its version and with its recipe.
folder() {
    local recipe version
    recipe=$(declare -f "make_$1") || die "no peer '$1'; --help lists them"
    version=$(sed -n 's/^ *local version=\$\([a-z]*_version\).*/\1/p' <<<"$recipe")
    version=${version:+${!version}}
    recipe=$(sha256sum <<<"$recipe")
    echo "$cache/$1-${version##*-}-${recipe:0:8}"
}

remove_making() {
    [[ -z $making ]] || rm -rf "$making"
    making=
}

# get PEER: makes it unless it is there. Whoever comes second waits, and finds it.
get() {
    local folder lock
    folder=$(folder "$1")
    [[ ! -d $folder ]] || return 0
    exec {lock}>"$cache/$1.lock"
    flock "$lock"
    if [[ ! -d $folder ]]; then
        echo "making ${folder##*/}" >&2
        making=$cache/$1.making # what a killed one left of it goes first
        rm -rf "$making"
        mkdir -p "$making/work" "$making/out"
        (
            cd "$making/work"
            # shellcheck disable=SC2034 # of the recipes
            out=$making/out
            "make_$1"
        )
        mv "$making/out" "$folder"
        remove_making
    fi
    exec {lock}>&-
}

only_dir=
case ${1:-} in
    -h | --help) usage; exit 0 ;;
    --dir)
        only_dir=1
        shift
        ;;
esac
(($#)) || { usage >&2; exit 2; }
if [[ $only_dir ]]; then
    for peer; do folder "$peer"; done
    exit 0
fi

PATH=$PATH:/usr/local/go/bin # where it is usually put
command -v go >/dev/null || die "no go: install Go 1.26 or newer, or name its folder in PATH"
export GOFLAGS="${GOFLAGS:--p=2} -buildvcs=false"
mkdir -p "$cache"
trap remove_making EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for peer; do get "$peer"; done
