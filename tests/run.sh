#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<'END'
usage: tests/run.sh [--no-install] [--quick] [--build DIR] [FILTER]

Sets the machine up, builds into build/, and runs every test: unit tests, fuzz replays and guards by CTest, then the
end-to-end tests of tests/e2e with real VMs, each with a look at what it leaves on the machine. The last line is
"N passed, N failed, N skipped"; logs of the end-to-end tests are in build/e2e.

  --no-install   touch nothing of the machine; name what is missing
  --quick        leave the end-to-end tests out
  --build DIR    test what is built in DIR (with sanitizers, say) instead; function images and kernels are build/'s, and
                 logs are in DIR/e2e. What a sanitizer reports fails the test, in whichever program it was
  FILTER         regular expression: only tests whose name matches

A missing capability (root, qemu, uffd, kvm) is a skip, and a failure if VH_TEST_REQUIRE, a list with commas, names it.

examples:
  sudo tests/run.sh
  tests/run.sh --no-install --quick unit/reap
  sudo tests/run.sh --no-install --build build/asan e2e/clones
END
}

set_up=() quick=0 filter=. build=$PWD/build
while (($#)); do
    case $1 in
        --no-install) set_up=(--no-install) ;;
        --quick) quick=1 ;;
        --build)
            build=$(realpath -- "${2:?--build needs a folder}")
            shift
            ;;
        -h | --help) usage; exit 0 ;;
        -*) usage >&2; exit 2 ;;
        *) filter=$1 ;;
    esac
    shift
done

scripts/build.sh "${set_up[@]}" --for test
if [[ $build != "$PWD/build" ]]; then
    ninja -C "$build" --quiet
    ln -sfn "$PWD/build/functions" "$build/functions"
fi

export PYTHONDONTWRITEBYTECODE=1
out=$build/e2e
state=$out/state      # on a disk: the system's folder for temporary files may be memory, where O_DIRECT fails
scratch=              # folder of the running test
child=                # process group of the running test
rm -rf "$out"
mkdir -p "$out"
results=$out/results
reports=$out/sanitizer # what sanitizers have to say, in files beginning so
: >"$results"

# Ends the running test and whatever it left in its process group; TERM first, so that it can tidy up.
end_child() {
    [[ $child ]] || return 0
    kill -TERM -- "-$child" 2>/dev/null || true # it has ended
    for ((i = 0; i < 50; i++)); do
        kill -0 -- "-$child" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL -- "-$child" 2>/dev/null || true # as above
    child=
}

cleanup() {
    end_child
    [[ -z $scratch ]] || rm -rf "$scratch" "$state"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# result passed|failed|skipped NAME [LOG]: notes and prints it.
result() {
    echo "$1 $2" >>"$results"
    printf '%-8s %s (%d s)\n' "$1" "$2" $((SECONDS - began))
    if [[ $1 == failed ]]; then
        tail -n 200 "$3" | tr -d '\0' | cut -c 1-500 | sed 's/^/    | /'
    fi
}

# capability LOG: the capability that a skipped test says it lacks, in its line "skip: NAME: reason".
capability() {
    sed -n 's/^skip: \([a-z0-9_]*\):.*/\1/p' "$1" | tail -n 1
}

# run_one FILE LOG: runs the test in a scratch folder and a session of its own; its exit code, 124 after its deadline.
run_one() {
    local code=0 seconds
    seconds=$(sed -n 's/^# timeout: \([0-9]*\)$/\1/p' "$1")
    # the run directory holds sockets, whose paths must be short
    scratch=$(mktemp -d /tmp/vhive-e2e.XXXXXX)
    ASAN_OPTIONS=log_path=$reports UBSAN_OPTIONS=log_path=$reports:print_stacktrace=1 TSAN_OPTIONS=log_path=$reports \
        VH_BUILD=$build VH_SCRATCH=$scratch VHIVE_STATE_DIR=$state VHIVE_RUN_DIR=$scratch/run \
        VHIVE_GUEST_DIR=$PWD/build/guest setsid timeout -k 10 "${seconds:-180}" "$1" >"$2" 2>&1 </dev/null &
    child=$!
    wait "$child" || code=$?
    end_child
    return "$code"
}

run_e2e() {
    local file=$1 name log code=0 lacks began=$SECONDS
    name=e2e/$(basename "${file%.*}")
    log=$out/${name##*/}.log
    [[ $name =~ $filter ]] || return 0
    python3 tests/tools/leakcheck.py save "$out/before"
    run_one "$file" "$log" || code=$?
    lacks=$(capability "$log")
    if compgen -G "$reports.*" >/dev/null; then
        cat "$reports".* >>"$log"
        rm "$reports".*
        code=1
    fi
    if ! python3 tests/tools/leakcheck.py compare "$out/before" "$scratch/run" >>"$log"; then
        result failed "$name" "$log"
    elif ((code == 0)); then
        result passed "$name"
    elif ((code == 77)) && [[ ",${VH_TEST_REQUIRE:-}," != *",$lacks,"* ]]; then
        result skipped "$name"
    else
        echo "exit code $code" >>"$log"
        result failed "$name" "$log"
    fi
    rm -rf "$scratch" "$state"
    scratch=
}

ctest --test-dir "$build" -R "$filter" -j "$(nproc)" --output-on-failure --test-output-size-passed 1000000 \
    --output-junit results.xml --no-tests=ignore || true # the tally knows
if ((!quick)); then
    for file in tests/e2e/*.sh tests/e2e/*.py; do
        [[ ! -x $file ]] || run_e2e "$file"
    done
fi
python3 tests/tools/tally.py "$build/results.xml" "$results"
