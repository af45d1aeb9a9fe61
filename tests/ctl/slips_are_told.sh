#!/usr/bin/env bash
# slips_are_told.sh VHIVE_CTL: a slip on the command line is told by what it is, with what would be right.
set -euo pipefail
ctl=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# tells CODE TEXT ARGUMENT...: the command fails so; the error is that text, to the letter.
tells() {
    local want=$1 text=$2 code=0
    shift 2
    "$ctl" --state-dir "$dir/state" --run-dir "$dir/run" "$@" >"$dir/out" 2>"$dir/err" || code=$?
    [[ $code == "$want" ]] || { echo "FAILED: $*: exit code $code, want $want: $(cat "$dir/err")"; exit 1; }
    [[ $(cat "$dir/err") == "vhive-ctl: error: $text" ]] || { echo "FAILED: $*: $(cat "$dir/err")"; exit 1; }
}

tells 2 "unknown command 'rnu'; did you mean 'run'?" rnu
tells 2 "unknown command 'wrong'; 'vhive-ctl --help' lists the known ones" wrong
tells 2 "unknown command 'vm defrost'; 'vhive-ctl vm --help' lists the known ones" vm defrost
tells 2 "unknown command 'snapshot creat'; did you mean 'snapshot create'?" snapshot creat oci:x
tells 2 "unknown command 'snapshots ls'; did you mean 'snapshot ls'?" snapshots ls
tells 2 "vm: command is missing; 'vhive-ctl vm --help' lists them" vm
tells 2 "vm ls: 'x' is too much; usage: vhive-ctl vm ls" vm ls x
tells 2 "run: operand is missing; usage: vhive-ctl run IMAGE" run
tells 127 "no stored image has the digest 012345; \`vhive-ctl image ls\` lists them" image rm 012345
tells 127 "no image of docker://docker.io/library/hello:latest is stored; \`vhive-ctl image ls\` lists those that are" \
    image rm hello
echo text >"$dir/file"
tells 127 "image oci:$dir/file: $dir/file is a file: oci: takes the directory of a layout, docker-archive: what \`docker save\` \
writes" image pull "oci:$dir/file"
tells 2 "configuration: open $dir/nothing: No such file or directory" config validate --config "$dir/nothing"

# the reader of its output is gone: no error, for it wanted no more
for format in table json yaml; do
    code=0
    "$ctl" config dump -o "$format" 2>"$dir/err" > >(exec true) || code=$?
    for ((i = 0; code == 0 && i < 100; i++)); do # it may have been quicker than the reader's end
        "$ctl" config dump -o "$format" 2>"$dir/err" > >(exec true) || code=$?
    done
    [[ $code == 141 && ! -s $dir/err ]] || { echo "FAILED: closed pipe, $format: $code: $(cat "$dir/err")"; exit 1; }
done
code=0
"$ctl" version >/dev/full 2>"$dir/err" || code=$?
[[ $code == 1 && $(cat "$dir/err") == *"No space left"* ]] || { echo "FAILED: full disk: $code"; exit 1; }
