#!/usr/bin/env bash
usage() {
    cat <<'END'
usage: tests/conformance/crictl.sh [--runtime HANDLER] [OPTION]...

Does by crictl, through vhived in stock mode, what a person would try: pull an image, run a pod with two containers,
execute commands with and without a terminal, read logs, attach, forward a port, watch events and statistics, and take
it all down. Each step checks what came back. Takes about 20 seconds.

  --runtime HANDLER       runc (default), or runsc: the pod runs in gVisor, which is built on first use

END
}
# shellcheck source=tests/conformance/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[[ ${rest[0]:-} != --runtime ]] || rest=("${rest[1]:-}")
handler=${rest[0]:-runc}
case $handler in
    runc) in_box ;;
    runsc) in_box gvisor ;;
    *) die "no runtime '$handler'; --help lists them" ;;
esac

nginx=registry.k8s.io/e2e-test-images/nginx:1.14-2
busybox=registry.k8s.io/e2e-test-images/busybox:1.29-2

# says TEXT WHAT COMMAND...: the command succeeds within 30 seconds, and prints the text.
says() {
    local text=$1 what=$2 got
    shift 2
    got=$(timeout 30 "$@" 2>&1 </dev/null) || die "$what: $got"
    grep -qF -- "$text" <<<"$got" || die "$what: no '$text' in: $got"
    say "$what"
}

write_configs() {
    mkdir -p "$box/logs"
    cat >"$box/pod.json" <<END
{ "metadata": { "name": "by-hand", "namespace": "default", "uid": "by-hand-1" }, "log_directory": "$box/logs",
  "linux": { "cgroup_parent": "/by-hand" } }
END
    cat >"$box/web.json" <<END
{ "metadata": { "name": "web" }, "image": { "image": "$nginx" }, "log_path": "web.log", "linux": {} }
END
    cat >"$box/echo.json" <<END
{ "metadata": { "name": "echo" }, "image": { "image": "$busybox" }, "log_path": "echo.log", "stdin": true, "linux": {},
  "command": ["sh", "-c", "while read line; do echo \"got \$line\"; done"] }
END
}

# run_container NAME: creates and starts it; its id.
run_container() {
    local id
    id=$(crictl create "$pod" "$box/$1.json" "$box/pod.json")
    crictl start "$id" >/dev/null
    echo "$id"
}

run_pod() {
    pod=$(crictl runp --runtime "$handler" "$box/pod.json")
    web=$(run_container web)
    echo=$(run_container echo)
    address=$(crictl inspectp -o go-template --template '{{.status.network.ip}}' "$pod")
    say "a pod of two containers runs at $address"
}

try_commands() {
    says 42 "exec, without streams" crictl exec -s "$web" expr 6 '*' 7
    says 42 "exec, with streams" crictl exec "$web" expr 6 '*' 7
    says "4096 input" "exec -i, with input" bash -c \
        "head -c 4096 /dev/zero | crictl exec -i $web sh -c 'echo \$(wc -c) input'"
    # a terminal echoes what is typed, so the answer is one that nobody typed
    local keys="sleep 1; echo 'test -t 0 && echo terminal of \$((6 * 7)); exit'; sleep 2"
    says "terminal of 42" "exec -it, in a terminal" bash -c \
        "{ $keys; } | script -qec 'crictl exec -it $web sh' /dev/null"
    says "code 3" "exec, with its exit code" bash -c \
        "crictl exec $web sh -c 'exit 3' 2>&1 | grep -o 'code 3'"
}

try_streams() {
    says "serving on port 80" "logs" crictl logs "$web"
    # the container ends together with its input
    says "got it" "attach -i" bash -c "{ sleep 1; echo it; sleep 2; } | timeout 20 crictl attach -i $echo"
    says "got it" "logs of what was attached" crictl logs "$echo"
}

try_port_forward() {
    start port-forward crictl port-forward "$pod" 18080:80
    within 10 "a port is forwarded" curl -sf --max-time 5 http://127.0.0.1:18080/
    stop port-forward
    say "port-forward"
}

try_looking() {
    says web "ps" crictl ps
    says by-hand "pods" crictl pods
    says '"state": "CONTAINER_RUNNING"' "inspect" crictl inspect "$web"
    says web "stats" crictl stats
    says by-hand "statsp" crictl statsp
    says mountpoint "imagefsinfo" crictl imagefsinfo
    says nginx "images" crictl images
    says "$nginx" "inspecti" crictl inspecti "$nginx"
    says CGROUPFS "runtime-config" crictl runtime-config
}

take_down() {
    crictl stop --timeout 2 "$web" >/dev/null
    crictl rm -f "$web" "$echo" >/dev/null
    crictl stopp "$pod" >/dev/null
    crictl rmp "$pod" >/dev/null
    crictl rmi "$nginx" "$busybox" >/dev/null
    [[ ! $(crictl ps -aq) && ! $(crictl pods -q) ]] || die "something is left: $(crictl ps -a; crictl pods)"
    say "all is taken down"
}

start_registry
start_containerd
start_endpoint
write_configs
start events crictl events
says "RuntimeName:  containerd" "version" crictl version
says RuntimeReady "info" crictl info
says "up to date" "pull" crictl pull "$nginx"
says "up to date" "pull, of another image" crictl pull "$busybox"
run_pod
says "Welcome" "the pod answers" curl -sf --max-time 5 "http://$address/"
if [[ $handler == runsc ]]; then
    says gVisor "the kernel of the pod is gVisor's" crictl exec -s "$web" dmesg
fi
try_commands
try_streams
# containerd dials from within the pod's network namespace, whose loopback interface gVisor does not have
[[ $handler == runsc ]] || try_port_forward
try_looking
crictl update --cpu-share 512 "$web" >/dev/null
say "update"
take_down
for event in CREATED STARTED STOPPED DELETED; do
    within 5 "an event CONTAINER_${event}_EVENT" grep -q "CONTAINER_${event}_EVENT" "$out/events.log"
done
say "events were streamed"
