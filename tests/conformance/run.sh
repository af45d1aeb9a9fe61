#!/usr/bin/env bash
usage() {
    cat <<'END'
usage: tests/conformance/run.sh [OPTION]... [-- CRITEST_ARGUMENT...]

Runs critest, the conformance tests of the Kubernetes container runtime interface, against containerd, then against
containerd through vhived in stock mode, without any network, and compares test by test. Fails if a test ended
otherwise, or if fewer than 80 pass directly. Takes about 5 minutes.

END
}
# shellcheck source=tests/conformance/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[[ $program != none ]] || die "--program none: there is nothing to compare with"
in_box

# run_critest SOCKET NAME: exit codes do not matter, since a test may fail in both runs.
run_critest() {
    local began=$SECONDS log=$out/critest-$2.log
    timeout -k 10 900 critest -runtime-endpoint "unix://$1" -image-endpoint "unix://$1" -ginkgo.seed=1 \
        -ginkgo.no-color -ginkgo.junit-report="$out/$2.xml" "${rest[@]}" >"$log" 2>&1 || true
    [[ -s $out/$2.xml ]] || die "critest made no report; $log ends: $(tail -n 5 "$log")"
    say "critest $2: $((SECONDS - began)) s"
}

start_registry
start_containerd
say "containerd is ready"
run_critest "$backend" direct
start_endpoint
run_critest "$endpoint" through
python3 -B "$here/parity.py" "$out/direct.xml" "$out/through.xml"
