#!/bin/sh
# scripts.sh: the shell scripts pass shellcheck, and each that a person starts has --help.
set -eu
cd "$(dirname "$0")/../.."
if ! command -v shellcheck >/dev/null; then
    echo "skip: shellcheck: not installed"
    exit 77
fi
find . -path ./build -prune -o \( -name '*.sh' -o -path ./.ci/run \) -exec shellcheck -x {} +
for script in scripts/*.sh examples/*.sh tests/run.sh tests/tools/*.sh tests/tools/peers/get.sh tests/conformance/*.sh; do
    [ -x "$script" ] || continue # others are for scripts to source
    "$script" --help | grep -q '^usage: '"$script" || {
        echo "$script --help does not say how to use it"
        exit 1
    }
done
