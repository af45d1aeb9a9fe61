#!/usr/bin/env bash
# looking_makes_nothing.sh VHIVE_CTL: a mistyped --state-dir is told, or looks empty; no command that only looks makes it.
set -euo pipefail
ctl=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# looks CODE COMMAND...
looks() {
    local want=$1 code=0
    shift
    "$ctl" --state-dir "$dir/typo" --run-dir "$dir/run" "$@" >"$dir/out" 2>&1 || code=$?
    [[ $code == "$want" ]] || { echo "FAILED: $*: exit code $code, want $want: $(cat "$dir/out")"; exit 1; }
    [[ ! -e $dir/typo && ! -e $dir/run ]] || { echo "FAILED: $*: made a directory"; exit 1; }
}

looks 0 snapshot ls
looks 0 snapshot ls -o json
looks 127 snapshot inspect hello
looks 127 snapshot verify hello
looks 127 snapshot rm hello
looks 0 snapshot prune
looks 0 image prune
looks 0 image ls
looks 127 image inspect 012345
looks 127 image rm 012345
