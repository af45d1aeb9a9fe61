#!/usr/bin/env bash
usage() {
    cat <<'END'
usage: tests/conformance/kubelet.sh [--seconds N] [OPTION]...

Lets a real kubelet, alone and without an API server, run static pods through vhived in stock mode: they become ready
and answer, and go on answering, as the same containers, while vhived is restarted, containerd is restarted and vhived
is killed under them; after each of these a new pod comes up and goes away again. At the end kubelet takes all pods
down.

  --seconds N             how long (240)

END
}
# shellcheck source=tests/conformance/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

seconds=240
if [[ ${rest[0]:-} == --seconds ]]; then
    seconds=${rest[1]:-}
    rest=("${rest[@]:2}")
fi
[[ ${#rest[@]} == 0 && $seconds =~ ^[0-9]+$ ]] || die "wrong arguments; --help lists them"
in_box kubelet

# pod [NAME]: its line of pods.py; all of them without a name.
pod() {
    curl -sf --max-time 5 http://127.0.0.1:10255/pods | python3 -B "$here/pods.py" "$@"
}

# ids NAME: the pod's containers.
ids() {
    pod "$1" | cut -d ' ' -f 4-
}

answers() {
    local address
    address=$(pod "$1" | cut -d ' ' -f 3)
    curl -sf --max-time 5 "http://$address/" | grep -q Welcome
}

gone() {
    pod >"$box/pods" && ! grep -q "^$1-node " "$box/pods" && [[ ! $(crictl pods -q --state ready --name "^$1-node\$") ]]
}

no_sandboxes() {
    local pods
    pods=$(crictl pods -q) && [[ ! $pods ]]
}

# bring NAME [MANIFEST]: a new pod comes up and answers.
bring() {
    sed "s/name: web,/name: $1,/" "$here/pods/${2:-web}.yaml" >"$box/$1.yaml"
    mv "$box/$1.yaml" "$box/manifests/"
    within 60 "pod $1 is ready: $(pod || true)" pod "$1"
    within 10 "pod $1 answers" answers "$1"
    say "pod $1 is ready and answers"
}

take_away() {
    rm "$box/manifests/$1.yaml"
    within 60 "pod $1 has gone" gone "$1"
    say "pod $1 has gone"
}

start_kubelet() {
    mkdir -p "$box/manifests" "$box/pod-logs"
    filled kubelet.yaml >"$box/kubelet.yaml"
    start kubelet kubelet --config "$box/kubelet.yaml" --root-dir "$box/kubelet" --cert-dir "$box/kubelet/pki" \
        --hostname-override node --node-ip "$node_address"
    within 60 "kubelet serves" pod
}

# unchanged: the pods from the beginning are ready, answer, and have the containers they had.
unchanged() {
    local name
    for name in web shared; do
        within 30 "$name answers" answers "$name"
        [[ $(ids "$name") == "${before[$name]}" ]] || die "$name's containers: $(ids "$name"), were ${before[$name]}"
    done
}

# watch UNTIL: looks at them every second.
watch() {
    while ((SECONDS < $1)); do
        unchanged
        sleep 1
    done
}

# disturb WHAT COMMAND...: and see that all still works.
disturb() {
    local what=$1
    shift
    "$@"
    say "$what"
    unchanged
    bring another
    take_away another
}

start_registry
start_containerd
start_endpoint
give_address
start_kubelet
say "kubelet serves"
bring web
bring shared shared
declare -A before=([web]=$(ids web) [shared]=$(ids shared))
began=$SECONDS
watch $((began + seconds / 8))
disturb "vhived was restarted" restart_endpoint TERM
watch $((began + seconds * 3 / 8))
disturb "containerd was restarted" restart_containerd
watch $((began + seconds * 5 / 8))
disturb "vhived was killed and started" restart_endpoint KILL
watch $((began + seconds))
take_away web
take_away shared
within 120 "kubelet removed what it had stopped" no_sandboxes
say "all pods are taken down"
