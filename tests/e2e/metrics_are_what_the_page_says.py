#!/usr/bin/env python3
"""promtool has nothing to say against /metrics, and docs/metrics.md lists the same families, kinds and labels."""
import os
import re
import shutil
import subprocess

from vhive_daemon import Daemon
from vhive_e2e import E2E, check, need

need("root")
SAMPLE = re.compile(r"^(\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? \S+$", re.M)


def documented():
    """{name: (kind, labels)} of docs/metrics.md."""
    with open(os.path.join(E2E, "../../docs/metrics.md")) as f:
        rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \|", f.read(), re.M)
    return {name: (kind, re.findall(r"`(\w+)`", labels)) for name, kind, labels in rows}


def check_page(text):
    page = documented()
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
    differ = set(kinds.items()) ^ {(name, kind) for name, (kind, _) in page.items()}
    check(not differ, "docs/metrics.md and /metrics differ in: %s" % sorted(differ))
    for name, labels in SAMPLE.findall(text):
        found = [label for label in re.findall(r'(\w+)="', labels) if label != "le"]
        check(found == page[name][1], "%s: labels %s, documented are %s" % (name, found, page[name][1]))
    return len(kinds)


def promtool():
    cached = os.path.join(os.environ.get("VHIVE_CACHE", "/var/cache/vhive"), "promtool")
    found = shutil.which("promtool") or (cached if os.path.exists(cached) else None)
    if not found:
        print("skip: promtool: it is missing; scripts/setup.sh --for test gets it")
        raise SystemExit(77)
    return found


with Daemon() as d:
    d.get("/healthz")
    answer = d.get("/metrics")[2]
    families = check_page(answer)
    done = subprocess.run([promtool(), "check", "metrics"], input=answer, capture_output=True, text=True, timeout=60)
    check(done.returncode == 0 and not done.stdout + done.stderr, "promtool: %s%s" % (done.stdout, done.stderr))
    print("%d families" % families)
