#!/usr/bin/env bash
# functions_need_a_daemon.sh VHIVE_CTL: without vhived its verbs say how to start it, after they have looked at what was
# asked for; the others do without.
set -euo pipefail
ctl=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# says CODE PATTERN COMMAND...
says() {
    local want=$1 pattern=$2 code=0
    shift 2
    "$ctl" --state-dir "$dir/state" --run-dir "$dir/run" "$@" >"$dir/out" 2>&1 || code=$?
    if [[ $code != "$want" ]] || ! grep -q -e "$pattern" "$dir/out"; then
        echo "FAILED: $*: exit code $code, want $want and '$pattern': $(cat "$dir/out")"
        exit 1
    fi
}

start='start it (vhived &, or systemctl start vhived)'
for verb in ls 'inspect x' 'stats x' 'logs x' 'events' 'scale x --min 1' 'rm x' 'invoke x' 'update x' 'deploy x oci:y' \
    'vm inspect 1' 'vm pause 1' 'vm resume 1' 'vm snapshot 1' 'vm kill 1'; do
    # shellcheck disable=SC2086 # the words of a verb
    says 126 "$dir/run/vhived.sock: no vhived listens there; $start" $verb
done
says 126 "/elsewhere.sock: no vhived" --socket /elsewhere.sock ls
says 126 "'none'" --socket none ls
VHIVE_DAEMON_CONTROL_SOCK=/variable.sock says 126 "/variable.sock" ls

says 2 "min: '3x' is not a whole number" deploy x oci:y --min 3x
says 2 "the image is missing" deploy x
says 2 "name and image are missing" deploy
says 2 "not a duration such as" deploy x oci:y --keep-alive 30
says 2 "leave the rest out" deploy x oci:y -f "$dir/f.yaml"
says 2 "neither --min nor --max" scale x
printf -- '- name: x\n  image: y\n  mx: 3\n' >"$dir/f.yaml"
says 2 "f.yaml:3:3: unknown key 'mx'; did you mean 'max'" deploy -f "$dir/f.yaml"
says 127 "no such file" invoke x --data @"$dir/nowhere"

says 0 '^\[\]$' image ls -o json
says 0 '^\[\]$' --local snapshot ls -o json
