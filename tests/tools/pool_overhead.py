#!/usr/bin/env python3
"""usage: pool_overhead.py BUILD [TIMES]

What functions add to a cold start: TIMES (20) times a VM without them (vh_vm_run() and vh_invoke()) and one through
vh_functions_invoke(), in turn, both restoring the same snapshot; and what of the latter was neither start nor request,
which says it without the noise. As root; prints milliseconds. State is kept in VHIVE_STATE_DIR, if that is set."""
import json
import os
import statistics
import subprocess
import sys

if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
    sys.exit(__doc__)
build, times = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20
image = "oci:%s/functions/hello" % build
call = 'grpc:helloworld.Greeter/SayHello:{"name":"record"}'
host = subprocess.Popen([os.path.join(build, "tests/e2e/fn-host")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                        stderr=subprocess.DEVNULL, text=True)


def hear():
    answer = host.stdout.readline().strip()
    if not answer or answer.startswith("error:"):
        sys.exit(answer or "fn-host ended")
    return answer


def do(*words):
    host.stdin.write(" ".join(words) + "\n")
    host.stdin.flush()
    return hear()


def plain():
    return int(do("plain", image, call)) / 1000


def pooled():
    served = json.loads(do("serve", "overhead", "1", "1", call))
    while json.loads(do("show", "overhead"))["instances"]:
        pass
    return served["us"] / 1000, served["pool_us"] / 1000


hear()
do("deploy", "overhead", image, "0", "1", "1", "1", "1000", "0")
for _ in range(3):  # the snapshot, its working set, and what the page cache lacks
    plain(), pooled()
rows = [(plain(), *pooled()) for _ in range(times)]
print("%-8s %8s %8s %8s" % ("ms", "p50", "min", "max"))
for name, values in (("plain", [r[0] for r in rows]), ("pool", [r[1] for r in rows]),
                     ("added", [r[1] - r[0] for r in rows]), ("itself", [r[2] for r in rows])):
    print("%-8s %8.2f %8.2f %8.2f" % (name, statistics.median(values), min(values), max(values)))
do("remove", "overhead")
host.stdin.close()
host.wait()
