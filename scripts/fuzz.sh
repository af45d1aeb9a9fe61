#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<'END'
usage: scripts/fuzz.sh [SECONDS] [TARGET]...

Builds the fuzz targets with clang-14 under address,undefined into build/fuzz and runs each for SECONDS (60). New
inputs and crashes are kept in build/fuzz/found/TARGET; a crash ends the run with exit code 1.

examples:
  scripts/fuzz.sh 300            every target, five minutes each
  scripts/fuzz.sh 60 qmp layer   two of them
END
}

case ${1:-} in -h | --help) usage; exit 0 ;; esac
seconds=${1:-60}
[[ $seconds =~ ^[0-9]+$ ]] || { usage >&2; exit 2; }
shift || true

CC=clang-14 CXX=clang++-14 cmake -S . -B build/fuzz -G Ninja -DVH_FUZZ=ON -DVH_SANITIZE=address,undefined
ninja -C build/fuzz fuzzers

failed=0
for program in build/fuzz/fuzz/fuzz-*; do
    what=${program##*/fuzz-}
    if (($#)) && [[ " $* " != *" $what "* ]]; then
        continue
    fi
    found=build/fuzz/found/$what
    mkdir -p "$found"
    echo "== $what, $seconds s"
    "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 \
        -artifact_prefix="$found/" "$found" "tests/fuzz/corpus/$what" || failed=1
done
exit "$failed"
