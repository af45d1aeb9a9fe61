#!/usr/bin/env bash
# completion_in_zsh_and_fish.sh VHIVE_CTL: both shells accept their scripts and complete by them.
set -euo pipefail
ctl=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for shell in zsh fish; do
    command -v "$shell" >/dev/null || { echo "skip: $shell: it is missing"; exit 77; }
done
export PATH=${ctl%/*}:$PATH HOME=$dir XDG_CONFIG_HOME=$dir XDG_DATA_HOME=$dir

fail() {
    printf 'FAILED: %s\n' "$*"
    exit 1
}

# fish_offers LINE WORD...: those and no others.
fish_offers() {
    local line=$1 got
    shift
    got=$(fish --no-config -c "source $dir/c.fish; complete -C '$line'" | cut -f 1 | sort | paste -sd ' ')
    [[ $got == "$*" ]] || fail "fish: $line: got '$got', want '$*'"
}

vhive-ctl completion fish >"$dir/c.fish"
fish --no-config -n "$dir/c.fish"
fish_offers 'vhive-ctl snapshot ' create inspect ls prune rm verify
fish_offers 'vhive-ctl run --engine ' auto boot file reap uffd
fish_offers 'vhive-ctl snapshot ls -o y' yaml

# zsh completes in an editor only: one is driven through a pseudo terminal, and shows its list of matches
vhive-ctl completion zsh >"$dir/_vhive-ctl"
zsh -n "$dir/_vhive-ctl"
cat >"$dir/drive.zsh" <<'END'
zmodload zsh/zpty
zpty shell zsh -f -i
# waits until what the shell has printed holds a text
seen() {
    local part out= i
    for i in {1..100}; do
        zpty -r -t shell part && out+=$part || sleep 0.1
        [[ $out == *$1* ]] && { print -r -- "$out"; return 0; }
    done
    print -r -- "$out"
    return 1
}
zpty -w shell "PS1=; fpath=($1 \$fpath); autoload -U compinit; compinit -u -d $1/dump; setopt nolistbeep; print loa''ded"
seen loaded >/dev/null
zpty -w -n shell $'vhive-ctl snapshot \t\t'
seen verify
END
timeout 60 zsh -f "$dir/drive.zsh" "$dir" >"$dir/out" || fail "zsh: no list: $(cat -v "$dir/out")"
for word in create inspect prune rm verify; do
    grep -q "$word" "$dir/out" || fail "zsh: no $word in: $(cat -v "$dir/out")"
done
