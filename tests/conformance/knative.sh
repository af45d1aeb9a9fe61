#!/usr/bin/env bash
usage() {
    cat <<'END'
usage: tests/conformance/knative.sh [OPTION]...

Starts Kubernetes and Knative Serving, whole and unchanged, on one node whose kubelet speaks to vhived in stock mode,
and tries what users of Knative do: a service by HTTP and one by gRPC, warm, scaled to zero and cold again, a split of
traffic, tagged routes; exec, logs and port-forward of pods; and that again with vhived restarted, containerd restarted
and vhived killed under the pods. Takes 5 minutes; the first time half an hour more, for the builds.

Needs besides the packages of the other tests: etcd-server.

END
}
# shellcheck source=tests/conformance/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/conformance/knative/cluster.sh
. "$here/knative/cluster.sh"
# shellcheck source=tests/conformance/knative/serving.sh
. "$here/knative/serving.sh"

((${#rest[@]} == 0)) || die "wrong arguments; --help lists them"
command -v etcd >/dev/null || die "no etcd: apt-get install etcd-server"
in_box kubelet kubernetes knative kn coredns greeter envoy

hello=hello.default.example.com
greeter=greeter.default.example.com

apply() {
    kn service apply "$@" --scale-window 10s --wait-timeout 180 >"$out/kn-$1.log" 2>&1 ||
        die "kn service apply $1: $(cat "$out/kn-$1.log")"
}

# get HOST [CURL_OPTION...]: through Envoy, as from outside of the cluster.
get() {
    curl -sSf --max-time 60 -H "Host: $1" "${@:2}" "http://$node_address/"
}

greet() {
    GRPC_ENABLE_TXT_SERVICE_CONFIG=false greeter_client -addr "$greeter:80" -name box
}

# pods_of SERVICE: how many there are, but for those that are ending.
pods_of() {
    kubectl get pods -l "serving.knative.dev/service=$1" --no-headers 2>/dev/null | grep -vc Terminating || true # none
}

at_zero() {
    [[ $(pods_of hello) == 0 && $(pods_of greeter) == 0 ]]
}

both_answer() {
    [[ $(get "$hello") == "hello box" ]] || die "hello does not answer"
    within 60 "greeter answers" greet # its client gives up after a second, which a cold start may take
}

from_zero() {
    within 120 "the services are scaled to zero" at_zero
    local began=${EPOCHREALTIME/./}
    both_answer
    say "cold start of both: $(((${EPOCHREALTIME/./} - began) / 1000)) ms"
}

try_traffic() {
    kn service update hello --env TARGET=two --tag hello-00001=old --traffic hello-00001=50 --traffic @latest=50 \
        --wait-timeout 180 >"$out/kn-split.log" 2>&1 || die "no split of traffic: $(cat "$out/kn-split.log")"
    local i
    for ((i = 0; i < 40; i++)); do
        get "$hello"
    done | sort | uniq -c >"$out/split"
    [[ $(wc -l <"$out/split") == 2 ]] || die "40 requests did not reach both revisions: $(cat "$out/split")"
    [[ $(get "old-$hello") == "hello box" ]] || die "the tagged host is not the old revision"
    [[ $(get "$hello" -H "Knative-Serving-Tag: old") == "hello box" ]] || die "the tag's header does not lead there"
    say "split of traffic: $(tr -s ' \n' ' ' <"$out/split")"
}

# An ordinary pod, through the API server, kubelet and us.
try_pod() {
    kubectl run web --image=registry.k8s.io/e2e-test-images/nginx:1.14-2
    kubectl wait --for=condition=Ready pod/web --timeout=60s
    [[ $(kubectl exec web -- expr 6 '*' 7) == 42 ]]
    [[ $(echo 123 | kubectl exec -i web -- wc -c) == 4 ]]
    kubectl logs web | grep "serving on port 80"
    start forward kubectl port-forward pod/web 18080:80
    within 10 "a port is forwarded" curl -sf http://127.0.0.1:18080/
    stop forward
    kubectl run client --image=dev.local/client:1 --restart=OnFailure -- \
        -addr greeter.default.svc.cluster.local:80 -name pod
    kubectl wait --for=jsonpath='{.status.phase}'=Succeeded pod/client --timeout=60s
    kubectl delete pod web client --grace-period=1
}

pods_work() {
    logged pods try_pod
    say "a pod: run, exec, exec -i, logs, port-forward; one that calls greeter by its name in the cluster"
}

# disturb WHAT COMMAND...: the services answer at once, and from zero, and new pods come up.
disturb() {
    say "$1"
    "${@:2}"
    both_answer
    pods_work
    from_zero
}

start_registry
push_images
say "the images are made"
give_address
start_containerd
start_endpoint
start_cluster
say "Kubernetes is ready"
start_serving
say "Knative is ready"
cp /etc/hosts "$box/hosts-file"
echo "$node_address $greeter" >>"$box/hosts-file"
mount --bind "$box/hosts-file" /etc/hosts # in this box only: gRPC's client looks names up by itself
apply greeter --image dev.local/greeter:1 --port h2c:50051 &
apply hello --image "$node_address:5000/hello:1" --env TARGET=box
wait $!
say "both services are ready"
both_answer
[[ $(get "$hello" --http2-prior-knowledge) == "hello box" ]] || die "hello does not answer by HTTP/2"
say "warm requests by HTTP/1.1, HTTP/2 and gRPC"
pods_work
from_zero
disturb "vhived is restarted" restart_endpoint TERM
disturb "containerd is restarted" restart_containerd
disturb "vhived is killed and started" restart_endpoint KILL
try_traffic
say "all is well"
