#!/usr/bin/env python3
# timeout: 180
"""Two first runs of one image on an empty state directory at the same time: one converts, one saves, both answer."""
import threading

from vhive_e2e import GREETER, check, ctl_ok, invoke, need

need("root", "qemu", "uffd")
results = []
runs = [threading.Thread(target=lambda: results.append(invoke("hello", "reap", GREETER % "record"))) for _ in range(2)]
for run in runs:
    run.start()
for run in runs:
    run.join()
check(len(results) == 2, "only %d of two runs ended well" % len(results))
for result in results:
    check(result["body"].strip() == '{"message":"Hello, record_response!"}', "answered %r" % result["body"])
check(results[0]["snapshot"] == results[1]["snapshot"], "two snapshots of one key: %s" % [r["snapshot"] for r in results])
print(ctl_ok("snapshot", "ls"))
