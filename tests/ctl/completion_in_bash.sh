#!/usr/bin/env bash
# completion_in_bash.sh VHIVE_CTL: bash itself completes command lines by the script that vhive-ctl prints.
set -euo pipefail
ctl=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# complete_in_bash LINE: what bash offers for the word at the end of LINE, one a line.
complete_in_bash() {
    PATH=${ctl%/*}:$PATH bash --norc -c '
        source <(vhive-ctl completion bash)
        compopt() { :; } # is for a completion that readline asked for
        COMP_LINE=$1 COMP_POINT=${#1}
        COMP_WORDBREAKS=$'"' \\t\\n\"\\'><=;|&(:'"'
        "$(complete -p vhive-ctl | sed "s/.*-F \([^ ]*\) .*/\1/")"
        printf "%s\n" "${COMPREPLY[@]}"' - "$1" | sort
}

# offers LINE WORD...: those and no others.
offers() {
    local line=$1 got want
    shift
    got=$(complete_in_bash "$line")
    want=$(printf '%s\n' "$@" | sort)
    [[ $got == "$want" ]] || {
        printf 'FAILED: %s: got:\n%s\nwant:\n%s\n' "$line" "$got" "$want"
        exit 1
    }
}

# some LINE WORD...: those among others.
some() {
    local line=$1 word got
    shift
    got=$(complete_in_bash "$line")
    for word; do
        grep -qxF -- "$word" <<<"$got" || {
            printf 'FAILED: %s: no %s in:\n%s\n' "$line" "$word" "$got"
            exit 1
        }
    done
}

bash -n <("$ctl" completion bash)
some 'vhive-ctl ' run snapshot image config help version completion
offers 'vhive-ctl snap' snapshot
offers 'vhive-ctl snapshot ' create ls inspect verify rm prune
offers 'vhive-ctl --log-level debug snapshot i' inspect
offers 'vhive-ctl completion ' bash fish zsh
offers 'vhive-ctl snapshot ls -o ' json table yaml
offers 'vhive-ctl snapshot ls --output y' yaml
offers 'vhive-ctl snapshot ls --output=j' json
offers 'vhive-ctl run --engine=' auto boot file reap uffd
offers 'vhive-ctl run --vmm-accel ' auto kvm tcg
offers 'vhive-ctl run --net-allow-private=' true false
some 'vhive-ctl run -' --engine --invoke --memory --state-dir --vmm-accel --quiet
offers 'vhive-ctl help snapshot r' rm
offers 'vhive-ctl nosuch ' ''
touch "$dir/settings.yaml"
offers "vhive-ctl --config $dir/s" "$dir/settings.yaml"
offers "vhive-ctl run oci:$dir/s" "$dir/settings.yaml"
offers "vhive-ctl image pull docker-archive:$dir/s" "$dir/settings.yaml"
offers 'vhive-ctl exec vm-1 -- tool -o ' ''

# what is stored: a snapshot that cannot be read is one all the same, and must be completed to be removed
install -d -m 700 "$dir/state/snapshots/0123456789abcdef0123"
offers "vhive-ctl --state-dir $dir/state snapshot rm 01" 0123456789abcdef0123
offers "vhive-ctl snapshot rm --state-dir $dir/state 02" ''
offers "vhive-ctl --state-dir $dir/nothing snapshot rm " ''
[[ ! -e $dir/nothing ]] || { echo "FAILED: completing made $dir/nothing"; exit 1; }

# names from outside come onto the command line as words, never as commands
printf '#!/bin/sh\nprintf "%%s\\t\\n" %s\n' "'a b' 'x\$(reboot);y' plain:1=2" >"$dir/names"
chmod +x "$dir/names"
offers "$dir/names " 'a\ b' 'x\$\(reboot\)\;y' plain:1=2
