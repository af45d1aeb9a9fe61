#!/usr/bin/env python3
"""A working set that was recorded without a single call lacks what a call touches: the first replay that notices drops
it, the next restore records it anew, and from then on little is missing."""
from vhive_e2e import GREETER, Run, check, invoke, need

need("root", "qemu", "uffd")


def call():
    run = invoke("hello", "reap", GREETER % "record")
    check(run["body"].strip() == '{"message":"Hello, record_response!"}', "answered %r" % run["body"])
    return run


with Run("hello", "reap"):
    pass  # ended without a call: what it touched by itself is stored
poor = call()
check(0 < poor["ws_pages"] < 10 * poor["residual_faults"], "it lacks little: %s" % poor)
again = call()
check(again["recording"] and again["ws_pages"] == 0, "it was not recorded anew: %s" % again)
good = call()
check(good["ws_pages"] > 0 and good["residual_faults"] <= 0.03 * good["ws_pages"], "still poor: %s" % good)
print("without a call: %d pages, %d missing; anew: %d pages, %d missing" %
      (poor["ws_pages"], poor["residual_faults"], good["ws_pages"], good["residual_faults"]))
