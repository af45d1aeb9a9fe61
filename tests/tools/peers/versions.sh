# shellcheck shell=bash disable=SC2034 # used by recipes.sh
# The one list of the versions of our peers. All are Go modules but Envoy, which is a Python wheel.
critools_version=v1.36.0
containerd_version=v2.2.1
gvisor_version=v0.0.0-20260905035102-160fafc42237
kubernetes_version=v1.34.4 # the newest that takes cgroup v1 as it is, and new enough for Knative's serving
serving_version=v0.50.0
kn_version=v0.42.0
coredns_version=v1.14.7
greeter_version=v0.0.0-20260825154716-030ee8becb20
envoy_version=1.40.0
