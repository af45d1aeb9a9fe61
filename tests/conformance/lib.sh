# shellcheck shell=bash
# What the tests of the CRI endpoint with real peers start from. A script
#
#   sources this file, which takes the options that all have (see common_usage),
#   calls in_box PEER..., which gets the peers and starts the script again inside tests/tools/box.sh,
#   and from there on starts what it needs: nothing of it has to be taken down.
#
# Scratch files are in $box, which the box removes. Logs and reports are in $out, below build/conformance, and stay.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
test_name=$(basename "$0" .sh)
out=${VHIVE_CONFORMANCE_OUT:-$root/build/conformance/$test_name}
box=${VHIVE_BOX:-}
backend=$box/containerd.sock
node_address=10.10.0.2 # of the box, after give_address
declare -A pids=()   # of what start has started, by its name
declare -A folders=() # of the peers, by their name

program=$root/build/bin/vhived
containerd=containerd # the peer, or "debian"
arguments=("$@")      # for the start inside the box
rest=()               # arguments that are not common options

common_usage() {
    cat <<'END'
  --program FILE          the endpoint under test instead of build/bin/vhived; it is called with
                          --cri-sock SOCKET --containerd-sock SOCKET --sandbox stock-only.
                          "none": no endpoint; clients speak to containerd itself
  --containerd peer|debian  the containerd 2 that tests/tools/peers builds (default), or this system's own 1.6

Peers are built on first use, into ${VHIVE_TEST_CACHE:-~/.cache/vhive-tests}. Logs and reports are left in
build/conformance. Needs root and the packages of "scripts/setup.sh --for test". Nothing else remains.
END
}

die() {
    printf '%s: %s\n' "$test_name" "$*" >&2
    exit 1
}

say() {
    printf '%4d s  %s\n' "$SECONDS" "$*"
}

take_options() {
    while (($#)); do
        case $1 in
            --program)
                program=${2:?--program needs a file}
                [[ $program == none ]] || program=$(realpath -- "$program")
                shift
                ;;
            --containerd)
                case ${2:-} in
                    peer) containerd=containerd ;;
                    debian) containerd=debian ;;
                    *) die "--containerd is peer or debian" ;;
                esac
                shift
                ;;
            -h | --help)
                usage
                common_usage
                exit 0
                ;;
            --)
                rest+=("${@:2}")
                break
                ;;
            *) rest+=("$1") ;;
        esac
        shift
    done
}

# in_box PEER...: goes on inside of a box, with the peers' folders in ${folders[PEER]}.
in_box() {
    local peer
    set -- critest "$@" # holds crictl, too
    [[ $containerd == debian ]] || set -- containerd "$@"
    if [[ ! $box ]]; then
        [[ $program == none || -x $program ]] || die "no $program: build it, or name another with --program"
        "$root/tests/tools/peers/get.sh" "$@"
        exec "$root/tests/tools/box.sh" "$0" "${arguments[@]}"
    fi
    for peer; do
        folders[$peer]=$("$root/tests/tools/peers/get.sh" --dir "$peer")
        PATH=${folders[$peer]}:$PATH
    done
    mkdir -p "$out"
    rm -f "$out"/*.log "$out"/*.xml
    export TMPDIR=$box CRI_CONFIG_FILE=$box/crictl.yaml
    echo "timeout: 30" >"$CRI_CONFIG_FILE"
}

# start NAME COMMAND...: in the background, with what it says in $out/NAME.log.
start() {
    local name=$1
    shift
    "$@" >>"$out/$name.log" 2>&1 </dev/null &
    pids[$name]=$!
    disown # the shell need not tell when it is killed
}

# stop NAME [SIGNAL]: ends it; KILL follows after 10 seconds.
stop() {
    local pid=${pids[$1]} i
    kill "-${2:-TERM}" "$pid"
    for ((i = 0; i < 100; i++)); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    ! kill -KILL "$pid" 2>/dev/null || say "$1 did not end within 10 seconds, and was killed"
    unset "pids[$1]"
}

# logged NAME COMMAND...: with what it says in $out/NAME.log. In the background, since the shell would not end a function
# that is part of a condition at the first of its commands that fails.
logged() {
    local log=$out/$1.log
    shift
    "$@" >>"$log" 2>&1 &
    wait $! || die "$1 fails; $log ends: $(tail -n 5 "$log")"
}

# within SECONDS WHAT COMMAND...: repeats the command until it succeeds.
within() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || die "not in time: $what"
        sleep 0.2
    done
}

# filled FILE: the file of this folder with the words between @ replaced.
filled() {
    sed "s#@W@#$box#g; s#@CRI@#${endpoint:-}#; s#@NODE@#$node_address#; s#@RUNSC@#$(command -v runsc || true)#" \
        "$here/$1"
}

start_registry() {
    local host port=5000 stand_in=$box/stand_in
    cat >"$box/registry.yaml" <<END
version: 0.1
log: { level: error, accesslog: { disabled: true } }
storage: { filesystem: { rootdirectory: $box/registry }, delete: { enabled: true } }
http: { addr: ":$port" }
END
    start registry docker-registry serve "$box/registry.yaml"
    for host in registry.k8s.io gcr.io k8s.gcr.io public.ecr.aws dev.local "$node_address:$port"; do
        mkdir -p "$box/hosts/$host"
        printf 'server = "%s"\n[host."%s"]\n  capabilities = ["pull", "resolve"]\n' \
            "http://127.0.0.1:$port" "http://127.0.0.1:$port" >"$box/hosts/$host/hosts.toml"
    done
    gcc -O2 -static -s -o "$stand_in" "$here/stand_in.c"
    within 10 "the registry answers" curl -sf "http://127.0.0.1:$port/v2/"
    python3 -B "$here/images.py" "127.0.0.1:$port" "$stand_in"
}

# give_address: lets this machine, in the box, have an address besides the loopback's, as a node needs.
give_address() {
    ip link add node type veth peer name node-end
    ip address add "$node_address/24" dev node
    ip link set node up
    ip link set node-end up
    ip route add default dev node # only so that there is one: some programs take it to be the network
}

containerd_is_ready() {
    crictl_of "$backend" version
}

# The first start also writes the configuration.
start_containerd() {
    local -A file=([containerd]=containerd-2.toml [debian]=containerd-1.toml)
    mkdir -p "$box/cni"
    cp "$here/cni.conflist" "$box/cni/10-pods.conflist"
    filled "${file[$containerd]}" >"$box/containerd.toml"
    filled runsc.toml >"$box/runsc.toml"
    start containerd containerd -c "$box/containerd.toml"
    within 20 "containerd answers" containerd_is_ready
}

# start_endpoint: what is under test, at $endpoint; with --program none that is containerd. crictl alone speaks to it.
start_endpoint() {
    endpoint=$backend
    [[ $program == none ]] || endpoint=$box/vhive-cri.sock
    echo "runtime-endpoint: unix://$endpoint" >>"$CRI_CONFIG_FILE"
    [[ $program != none ]] || return 0
    VHIVE_STATE_DIR=$box/vhive-state VHIVE_RUN_DIR=$box/vhive-run start endpoint "$program" \
        --cri-sock "$endpoint" --containerd-sock "$backend" --sandbox stock-only
    within 20 "the endpoint answers" crictl_of "$endpoint" version
}

# restart_endpoint SIGNAL: which ends it.
restart_endpoint() {
    [[ $program != none ]] || return 0
    stop endpoint "$1"
    start_endpoint
}

restart_containerd() {
    stop containerd
    start_containerd
}

# crictl_of SOCKET ARGUMENT...
crictl_of() {
    crictl --runtime-endpoint "unix://$1" --image-endpoint "unix://$1" "${@:2}"
}

take_options "$@"
