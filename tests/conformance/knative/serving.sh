# shellcheck shell=bash disable=SC2154 # lib.sh's variables
# Knative Serving in the cluster of cluster.sh: push_images, start_serving.

# push_image PROGRAM [NAME]: as dev.local/NAME:1, which Knative takes as it is, without asking a registry for its digest.
push_image() {
    python3 -B "$here/images.py" 127.0.0.1:5000 --program "$1" "${2:-${1##*/}}"
}

push_images() {
    local name
    for name in queue activator autoscaler controller webhook; do
        push_image "${folders[knative]}/kn-$name"
    done
    push_image "${folders[coredns]}/coredns"
    push_image "${folders[greeter]}/greeter_server" greeter
    push_image "${folders[greeter]}/greeter_client" client
    ln "$box/stand_in" "$box/hello"
    push_image "$box/hello"
}

# documents FILE...: as one stream. Images are ours. CPU requests are a tenth, so that all fits on two processors; the
# limits stay, since with small ones everything takes seconds.
documents() {
    local file
    for file; do
        echo ---
        cat "$file"
    done | sed -E 's#ko://knative.dev/serving/cmd/([a-z-]+)#dev.local/kn-\1:1#
        /requests:/,/limits:/ s#(cpu: )[0-9]+m$#\15m#'
}

apply_definitions() {
    local core=${folders[knative]}/serving-config/core networking=${folders[knative]}/networking-config
    documents "${folders[knative]}/caching-config/image.yaml" "$core"/300-resources/*.yaml \
        "$networking"/{certificate,domain-claim,ingress,serverlessservice}.yaml >"$box/definitions.yaml"
    kubectl apply --server-side -f "$box/definitions.yaml"
    kubectl wait --for=condition=Established --all crd --timeout=60s
}

apply_serving() {
    local core=${folders[knative]}/serving-config/core name
    documents "$core"/{100,200,300}-*.yaml "$core"/200-roles/*.yaml "$core"/configmaps/*.yaml \
        "${folders[knative]}/networking-config/config-network.yaml" "$core/999-cache.yaml" \
        "$core"/deployments/{activator,autoscaler,controller,webhook}.yaml "$core"/webhooks/*.yaml >"$box/core.yaml"
    kubectl apply -f "$box/core.yaml"
    for name in activator autoscaler controller webhook; do
        kubectl -n knative-serving rollout status "deploy/$name" --timeout=240s
    done
}

# setting MAP KEY VALUE: of Knative.
setting() {
    kubectl -n knative-serving patch configmap "config-$1" --type merge -p "{\"data\":{\"$2\":\"$3\"}}"
}

start_ingress() {
    setting network ingress-class ingress.vhive.test
    setting domain example.com ""
    setting autoscaler scale-to-zero-grace-period 6s
    setting features tag-header-based-routing enabled
    filled knative/ingress.yaml | kubectl apply -f -
    start ingress python3 -uB "$here/knative/ingress.py" "$box" "${folders[envoy]}/envoy"
    within 30 "Envoy is ready" curl -sf http://127.0.0.1:9901/ready
}

# A webhook may refuse connections for some seconds after it was rolled out.
serving_takes_services() {
    kubectl create --dry-run=server -f - <<END
apiVersion: serving.knative.dev/v1
kind: Service
metadata: { name: try }
spec: { template: { spec: { containers: [{ image: dev.local/hello:1 }] } } }
END
}

start_serving() {
    logged kubectl kubectl apply -f "$here/knative/coredns.yaml"
    logged kubectl apply_definitions
    logged kubectl apply_serving
    logged kubectl start_ingress
    within 60 "Knative takes services" serving_takes_services
}
