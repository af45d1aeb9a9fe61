#!/usr/bin/env python3
# timeout: 240
"""Ten boots in a row of hello and of pyhello all answer; hello's first answer is there within 4 s."""
from statistics import median

from vhive_e2e import GREETER, check, invoke, need

need("root", "qemu")
BOOTS = 10
CALLS = {"hello": (GREETER % "record", '{"message":"Hello, record_response!"}'), "pyhello": ("http:/", None)}

for name, (spec, want) in CALLS.items():
    totals = []
    for boot in range(BOOTS):
        run = invoke(name, "boot", spec)
        check(run["ok"] and run["engine"] == "boot", "%s, boot %d: %s" % (name, boot, run))
        check(want is None or run["body"].strip() == want, "%s, boot %d answered %r" % (name, boot, run["body"]))
        totals.append(run["total_us"] / 1000)
    print("%-8s boots: median %.0f ms, slowest %.0f ms" % (name, median(totals), max(totals)))
    check(name != "hello" or median(totals) <= 4000, "hello takes more than 4 s to its first answer")
