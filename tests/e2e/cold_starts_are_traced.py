#!/usr/bin/python3
"""Cold starts reach Zipkin as traces, failed ones too; where nobody takes them they are lost, counted, and told once."""
import http.server
import json
import queue
import re
import threading
import time

from vhive_daemon import Control, Daemon
from vhive_e2e import check, image, need

need("root")


class Zipkin(http.server.BaseHTTPRequestHandler):
    batches = queue.Queue()
    status = 202

    def do_POST(self):
        self.batches.put((self.path, self.headers["Content-Type"],
                          json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_):
        pass


def figure(daemon, name):
    return int(re.search("^%s (\\d+)$" % name, daemon.get("/metrics")[2], re.M).group(1))


def wait_for(daemon, name, least):
    end = time.monotonic() + 20
    while figure(daemon, name) < least:
        check(time.monotonic() < end, "%s stays at %d" % (name, figure(daemon, name)))
        time.sleep(0.05)


def start_in_vain(control):
    """A start that ends early: there is no such VMM."""
    try:
        control.Invoke(function="hello")
        check(False, "it was served without a VMM")
    except control.grpc.RpcError as e:
        check("/nowhere/qemu" in e.details(), "refused otherwise: " + e.details())


def check_trace(batch):
    path, kind, spans = batch
    check((path, kind) == ("/api/v2/spans", "application/json"), "%s %s" % (path, kind))
    wholes = [s for s in spans if s["name"] == "cold-start"]
    check(wholes, "no whole: %s" % spans)
    whole = wholes[0]
    check(whole["tags"]["outcome"] == "failed" and whole["tags"]["vm"].startswith("vm-") and
          whole["tags"]["image"].startswith("oci:"), "tags: %s" % whole)
    check(whole["localEndpoint"]["serviceName"] == "vhived", "%s" % whole)
    check(abs(whole["timestamp"] / 1e6 - time.time()) < 60, "of another time: %s" % whole)
    parts = [s for s in spans if s["traceId"] == whole["traceId"] and s is not whole]
    check(all(s["parentId"] == whole["id"] for s in parts), "parents: %s" % spans)
    return len(spans)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Zipkin)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = "http://127.0.0.1:%d/api/v2/spans" % server.server_port

with Daemon("--trace-zipkin", url, "--vmm-qemu", "/nowhere/qemu") as d:
    api = Control(d.control)
    api.deploy("hello", image("pyhello"))
    start_in_vain(api)
    sent = check_trace(Zipkin.batches.get(timeout=20))
    wait_for(d, "vhive_trace_spans_sent_total", sent)
    Zipkin.status = 500
    for _ in range(2):
        start_in_vain(api)
        Zipkin.batches.get(timeout=20)
    wait_for(d, "vhive_trace_spans_dropped_total", 2)
    check(d.log().count("traces are lost") == 1, "not told once: " + d.log())
    Zipkin.status = 202
    start_in_vain(api)
check_trace(Zipkin.batches.get(timeout=1))  # what was left was sent at the end
server.shutdown()

code, said = Daemon("--trace-zipkin", "localhost:9411").refused()
check(code == 2 and "trace.zipkin: 'localhost:9411' is no URL" in said, "%d %s" % (code, said))
