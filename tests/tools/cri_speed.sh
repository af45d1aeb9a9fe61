#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")/../.."

usage() {
    cat <<'END'
usage: tests/tools/cri_speed.sh [ROUNDS]

Measures what the CRI endpoint adds to small calls (ROUNDS of each, 10000), beside a bare relay of bytes and Envoy as an
HTTP/2 proxy on the same sockets, all in turns before one containerd; then the calls per second. As root; needs
build/tests/tools/cri-micro. containerd and Envoy come from tests/tools/peers/get.sh.
END
}

case ${1:-} in -h | --help) usage; exit 0 ;; esac
dir=$(mktemp -d)
pids=()

finish() {
    ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
    wait
    rm -rf "$dir"
}
trap finish EXIT

folder_of() {
    tests/tools/peers/get.sh "$1" >/dev/null
    tests/tools/peers/get.sh --dir "$1"
}

await() {
    for ((i = 0; i < 200; i++)); do
        [[ ! -S $1 ]] || return 0
        sleep 0.1
    done
    echo "cri_speed.sh: nobody listens on $1 after 20 s; $dir/*.log says why" >&2
    trap - EXIT
    kill "${pids[@]}"
    exit 1
}

containerd=$(folder_of containerd) envoy=$(folder_of envoy)
mkdir "$dir/cni"
cat >"$dir/containerd.toml" <<END
version = 3
root = "$dir/root"
state = "$dir/state"
[grpc]
address = "$dir/containerd.sock"
[plugins.'io.containerd.cri.v1.runtime'.cni]
conf_dir = "$dir/cni"
END
"$containerd/containerd" -c "$dir/containerd.toml" -l error >"$dir/containerd.log" 2>&1 &
pids+=($!)

cat >"$dir/envoy.yaml" <<END
static_resources:
  listeners:
  - address: { pipe: { path: "$dir/envoy.sock" } }
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: cri
          codec_type: HTTP2
          route_config:
            virtual_hosts:
            - { name: all, domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: containerd, timeout: 0s } }] }
          http_filters:
          - name: router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
  clusters:
  - name: containerd
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { http2_protocol_options: {} }
    load_assignment:
      cluster_name: containerd
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path: "$dir/containerd.sock" } } } }] }]
END
"$envoy/envoy" --concurrency 1 --disable-hot-restart -l error -c "$dir/envoy.yaml" >"$dir/envoy.log" 2>&1 &
pids+=($!)
await "$dir/containerd.sock"
await "$dir/envoy.sock"
sleep 1
build/tests/tools/cri-micro "$dir/containerd.sock" "${1:-10000}" "$dir/envoy.sock"
