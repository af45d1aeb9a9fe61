#!/usr/bin/env python3
"""ingress.py FOLDER ENVOY

A small ingress for Knative: reads its Ingress objects from the API server and makes a stock Envoy (the program ENVOY) route
accordingly, by files in FOLDER/envoy that Envoy reads again whenever they are replaced. FOLDER/admin.kubeconfig tells
the way to the API server. Envoy listens on port 80 for HTTP/1.1 and for HTTP/2 without TLS, which gRPC is.

It is for tests: no TLS, hosts of the outside and of the cluster share the port, and the objects are polled.
"""
import ctypes
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
import urllib.parse
import urllib.request

CLASS = "ingress.vhive.test"
SERVICE = "ingress.knative-ingress.svc.cluster.local"  # ingress.yaml: leads to Envoy
PORT, ADMIN_PORT, PERIOD_S = 80, 9901, 0.3
KNATIVE = "/apis/networking.internal.knative.dev/v1alpha1"
TYPE = "type.googleapis.com/envoy."
VERSIONS = {"cds": "cluster_manager.cds.version_text", "rds": "http.in.rds.knative.version_text"}


class Api:
    """The few calls to the API server, over one connection, which opens again by itself."""

    def __init__(self, kubeconfig):
        with open(kubeconfig) as f:
            text = f.read()

        def field(name):
            return re.search(name + r': "?([^\s",}]+)', text).group(1)

        url = urllib.parse.urlparse(field("server"))
        context = ssl.create_default_context(cafile=field("certificate-authority"))
        self.headers = {"Authorization": "Bearer " + field("token"), "Content-Type": "application/merge-patch+json"}
        self.connection = http.client.HTTPSConnection(url.hostname, url.port, context=context, timeout=10)

    def call(self, method, path, body=None):
        self.connection.request(method, path, body and json.dumps(body), self.headers)
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise OSError(f"{method} {path}: {answer.status} {data[:200]!r}")
        return json.loads(data)

    def list(self, path):
        return self.call("GET", path)["items"] or []


def addresses(slices):
    """(namespace, service, name of the port) -> set of (address, port) that are ready."""
    found = {}
    for part in slices:
        meta = part["metadata"]
        service = meta.get("labels", {}).get("kubernetes.io/service-name")
        ready = [e for e in part.get("endpoints") or [] if e.get("conditions", {}).get("ready") is not False]
        for port in part.get("ports") or []:
            place = found.setdefault((meta["namespace"], service, port.get("name") or ""), set())
            place.update((address, port["port"]) for e in ready for address in e["addresses"])
    return found


def backends(services, slices):
    """(namespace, service, name or number of the port) -> (whether it speaks HTTP/2, [(address, port)...])."""
    where, found = addresses(slices), {}
    for service in services:
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        for port in service["spec"].get("ports") or []:
            port_name = port.get("name", "")
            http2 = port_name.startswith(("http2", "h2c")) or port.get("appProtocol") == "kubernetes.io/h2c"
            for key in {port_name, str(port["port"])}:
                found[namespace, name, key] = (http2, sorted(where.get((namespace, name, port_name), ())))
    return found


def cluster(name, http2, places):
    """What Envoy calls a cluster: addresses that serve the same."""
    endpoints = [{"endpoint": {"address": {"socket_address": {"address": a, "port_value": p}}}} for a, p in places]
    made = {"@type": TYPE + "config.cluster.v3.Cluster", "name": name, "type": "STATIC", "connect_timeout": "5s",
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]}}
    if http2:
        made["typed_extension_protocol_options"] = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": TYPE + "extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}}}}
    return made


def set_headers(headers):
    return [{"header": {"key": k, "value": v}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for k, v in sorted((headers or {}).items())]


def route(path, weighted):
    headers = [{"name": k, "string_match": {"exact": m["exact"]}} for k, m in sorted((path.get("headers") or {}).items())]
    action = {"weighted_clusters": {"clusters": weighted}, "timeout": "0s"}  # Knative has its own time limits
    if path.get("rewriteHost"):
        action["host_rewrite_literal"] = path["rewriteHost"]
    return {"match": {"prefix": path.get("path") or "/", "headers": headers}, "route": action,
            "request_headers_to_add": set_headers(path.get("appendHeaders"))}


def routes(rule, known, clusters):
    """Routes of one rule, whose clusters are added to |clusters|. KeyError: it names a service that does not exist."""
    made = []
    # in Envoy the first match wins: the longest path, then the most headers
    for path in sorted(rule["http"]["paths"], key=lambda p: (-len(p.get("path", "")), -len(p.get("headers") or {}))):
        weighted = []
        for split in path["splits"]:
            key = (split["serviceNamespace"], split["serviceName"], str(split["servicePort"]))
            name = "/".join(key)
            clusters[name] = cluster(name, *known[key])
            weighted.append({"name": name, "weight": split.get("percent", 0 if len(path["splits"]) > 1 else 100),
                             "request_headers_to_add": set_headers(split.get("appendHeaders"))})
        made.append(route(path, weighted))
    return made


def virtual_hosts(ingress, known, clusters):
    meta = ingress["metadata"]
    return [{"name": f'{meta["namespace"]}/{meta["name"]}/{n}', "routes": routes(rule, known, clusters),
             "domains": [domain for host in rule["hosts"] for domain in (host, host + ":*")]}
            for n, rule in enumerate(ingress["spec"].get("rules") or [])]


class Envoy:
    def __init__(self, folder, program):
        self.folder = folder
        self.run = int(time.time())  # part of a version, so that those of an earlier run never match
        self.count, self.written, self.wanted, self.seen = 0, {}, {}, {}
        self.replace("bootstrap", self.bootstrap())
        self.write("cds", [])
        self.write("rds", [])
        self.process = subprocess.Popen([program, "-c", folder + "/bootstrap.json", "--concurrency", "1",
                                         "--disable-hot-restart", "-l", "warning"], preexec_fn=die_with_parent)

    def source(self, kind):
        return {"resource_api_version": "V3", "path_config_source": {"path": f"{self.folder}/{kind}.json"}}

    def bootstrap(self):
        filters = TYPE + "extensions.filters."
        manager = {"@type": filters + "network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "in",
                   "codec_type": "AUTO", "stream_idle_timeout": "0s",
                   "rds": {"route_config_name": "knative", "config_source": self.source("rds")},
                   "http_filters": [{"name": "router", "typed_config": {"@type": filters + "http.router.v3.Router"}}]}
        listener = {"name": "in", "address": {"socket_address": {"address": "0.0.0.0", "port_value": PORT}},
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}
        return {"node": {"id": "ingress", "cluster": "ingress"}, "static_resources": {"listeners": [listener]},
                "dynamic_resources": {"cds_config": self.source("cds")},
                "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": ADMIN_PORT}}}}

    def replace(self, name, value):
        path = f"{self.folder}/{name}"
        with open(path + ".new", "w") as f:
            json.dump(value, f)
        os.rename(path + ".new", path + ".json")

    def write(self, kind, value):
        """Clusters (cds) or virtual hosts (rds), if they are others than before."""
        if self.written.get(kind) == value:
            return
        self.count += 1
        version = f"{self.run}.{self.count}"
        resources = value if kind == "cds" else [{"@type": TYPE + "config.route.v3.RouteConfiguration",
                                                  "name": "knative", "virtual_hosts": value}]
        self.replace(kind, {"version_info": version, "resources": resources})
        self.written[kind], self.wanted[kind] = value, version

    def wait(self, kind):
        """Until Envoy has taken the version written last; one that it refuses never shows."""
        for _ in range(100):
            if self.seen.get(VERSIONS[kind]) == self.wanted[kind]:
                return
            time.sleep(0.02)
            url = f"http://127.0.0.1:{ADMIN_PORT}/stats?filter=version_text"
            with urllib.request.urlopen(url, timeout=5) as answer:
                self.seen = dict(re.findall(r'(\S+): "(.*)"', answer.read().decode()))
        raise OSError(f"Envoy did not take {kind} {self.wanted[kind]}")

    def apply(self, clusters, hosts):
        """New clusters come before the routes that use them; an old cluster goes one round after its routes."""
        old = {c["name"]: c for c in self.written["cds"]} if self.written["rds"] != hosts else {}
        self.write("cds", sorted({**old, **clusters}.values(), key=lambda c: c["name"]))
        self.wait("cds")
        self.write("rds", hosts)
        self.wait("rds")


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def is_ours(ingress):
    notes = ingress["metadata"].get("annotations") or {}
    return CLASS in (notes.get("networking.knative.dev/ingress.class"), notes.get("networking.knative.dev/ingress-class"))


def translate(ingresses, known):
    """(clusters by name, virtual hosts, the ingresses that are in them)."""
    clusters, hosts, done, taken = {}, [], [], set()
    for ingress in sorted(ingresses, key=lambda i: (i["metadata"]["creationTimestamp"], i["metadata"]["uid"])):
        more = {}
        try:
            found = virtual_hosts(ingress, known, more)
        except KeyError:
            continue  # its service does not exist yet
        domains = [domain for host in found for domain in host["domains"]]
        if taken.intersection(domains) or len(set(domains)) < len(domains):
            continue  # a host twice would make Envoy refuse all routes
        taken.update(domains)
        clusters.update(more)
        hosts += found
        done.append(ingress)
    return clusters, hosts, done


def tell_ready(api, ingress):
    """Notes in the object's status that its routes work; the resource version refuses if it changed meanwhile."""
    meta, status = ingress["metadata"], ingress.get("status") or {}
    ready = [c["status"] for c in status.get("conditions") or [] if c["type"] == "Ready"] == ["True"]
    if ready and status.get("observedGeneration") == meta["generation"]:
        return
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    balancer = {"ingress": [{"domainInternal": SERVICE}]}
    conditions = [{"type": kind, "status": "True", "lastTransitionTime": now}
                  for kind in ("LoadBalancerReady", "NetworkConfigured", "Ready")]
    path = f'{KNATIVE}/namespaces/{meta["namespace"]}/ingresses/{meta["name"]}/status'
    api.call("PATCH", path, {"metadata": {"resourceVersion": meta["resourceVersion"]}, "status": {
        "observedGeneration": meta["generation"], "publicLoadBalancer": balancer, "privateLoadBalancer": balancer,
        "conditions": conditions}})
    print(f'ready: {meta["namespace"]}/{meta["name"]} generation {meta["generation"]}')


def synchronize(api, envoy):
    known = backends(api.list("/api/v1/services"), api.list("/apis/discovery.k8s.io/v1/endpointslices"))
    clusters, hosts, done = translate(filter(is_ours, api.list(KNATIVE + "/ingresses")), known)
    envoy.apply(clusters, hosts)
    for ingress in done:
        tell_ready(api, ingress)


def main():
    if len(sys.argv) != 3:
        print(__doc__)
        sys.exit(0 if sys.argv[1:] in (["-h"], ["--help"]) else 2)
    work, program = sys.argv[1:]
    os.makedirs(work + "/envoy", exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    api, envoy = Api(work + "/admin.kubeconfig"), Envoy(work + "/envoy", program)
    while envoy.process.poll() is None:
        try:
            synchronize(api, envoy)
        except (OSError, http.client.HTTPException) as error:  # Envoy starts, the API server is away, an object changed
            print("again:", error)
            api.connection.close()
        time.sleep(PERIOD_S)
    sys.exit(f"Envoy ended: {envoy.process.returncode}")


if __name__ == "__main__":
    main()
