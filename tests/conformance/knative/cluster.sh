# shellcheck shell=bash disable=SC2154 # lib.sh's variables
# A Kubernetes of one node for knative.sh: start_cluster, after give_address, start_containerd and start_endpoint.

# certificate NAME SUBJECT ALTERNATIVES: for servers and clients, signed by the cluster's own authority.
certificate() {
    openssl req -newkey rsa:2048 -nodes -subj "$2" -keyout "$1.key" -out "$1.csr"
    openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out "$1.crt" \
        -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$3")
}

make_certificates() {
    mkdir "$box/pki"
    cd "$box/pki" || return
    local service=DNS:kubernetes.default
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt
    certificate apiserver /CN=kube-apiserver \
        "IP:127.0.0.1,IP:$node_address,IP:10.96.0.1,$service,$service.svc,$service.svc.cluster.local"
    certificate kubelet /O=system:nodes/CN=system:node:node "IP:$node_address,DNS:node"
    certificate front-proxy /CN=front-proxy DNS:front-proxy
    certificate apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet DNS:kube-apiserver
    openssl genrsa -out accounts.key 2048
}

# user NAME ACCOUNT [GROUP]: may speak to the API server with $box/NAME.kubeconfig.
user() {
    echo "$1-token,$2,$1${3:+,\"$3\"}" >>"$box/tokens.csv"
    cat >"$box/$1.kubeconfig" <<END
apiVersion: v1
kind: Config
clusters: [{ name: box, cluster: { server: "https://$node_address:6443", certificate-authority: $box/pki/ca.crt } }]
users: [{ name: user, user: { token: $1-token } }]
contexts: [{ name: box, context: { cluster: box, user: user } }]
current-context: box
END
}

make_users() {
    user admin admin system:masters
    user kube-controller-manager system:kube-controller-manager
    user kube-scheduler system:kube-scheduler
    user kube-proxy system:kube-proxy
    user kubelet system:node:node system:nodes
}

start_api_server() {
    local pki=$box/pki
    start etcd etcd --data-dir "$box/etcd" --unsafe-no-fsync --listen-client-urls http://127.0.0.1:2379 \
        --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
    start kube-apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --advertise-address="$node_address" \
        --bind-address=0.0.0.0 --service-cluster-ip-range=10.96.0.0/16 --authorization-mode=Node,RBAC \
        --token-auth-file="$box/tokens.csv" --allow-privileged=true --profiling=false \
        --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
        --client-ca-file="$pki/ca.crt" --kubelet-client-certificate="$pki/apiserver-kubelet.crt" \
        --kubelet-client-key="$pki/apiserver-kubelet.key" --kubelet-preferred-address-types=InternalIP \
        --service-account-issuer=https://kubernetes.default.svc.cluster.local \
        --service-account-key-file="$pki/accounts.key" --service-account-signing-key-file="$pki/accounts.key" \
        --requestheader-client-ca-file="$pki/ca.crt" --requestheader-allowed-names=front-proxy \
        --proxy-client-cert-file="$pki/front-proxy.crt" --proxy-client-key-file="$pki/front-proxy.key" \
        --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
        --requestheader-extra-headers-prefix=X-Remote-Extra-
    within 120 "the API server is ready" kubectl get --raw /readyz
}

start_controllers() {
    start kube-controller-manager kube-controller-manager --kubeconfig="$box/kube-controller-manager.kubeconfig" \
        --leader-elect=false --root-ca-file="$box/pki/ca.crt" --use-service-account-credentials=true \
        --service-account-private-key-file="$box/pki/accounts.key" \
        --cluster-signing-cert-file="$box/pki/ca.crt" --cluster-signing-key-file="$box/pki/ca.key"
    start kube-scheduler kube-scheduler --kubeconfig="$box/kube-scheduler.kubeconfig" --leader-elect=false
}

start_node() {
    : >"$box/resolv.conf"
    filled knative/kubelet.yaml >"$box/kubelet.yaml"
    filled knative/kube-proxy.yaml >"$box/kube-proxy.yaml"
    start kubelet kubelet --config "$box/kubelet.yaml" --kubeconfig "$box/kubelet.kubeconfig" \
        --root-dir "$box/kubelet" --hostname-override node --node-ip "$node_address"
    start kube-proxy kube-proxy --config "$box/kube-proxy.yaml"
    within 120 "the node is ready" kubectl wait --for=condition=Ready node/node --timeout=10s
}

start_cluster() {
    logged openssl make_certificates
    make_users
    export KUBECONFIG=$box/admin.kubeconfig
    start_api_server
    start_controllers
    start_node
}
