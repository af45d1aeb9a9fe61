#!/usr/bin/env python3
# timeout: 240
"""The functions that compute answer correctly from a restored snapshot, with working sets recorded and replayed."""
import json
import re
import subprocess

from vhive_e2e import check, invoke, need

need("root", "qemu", "uffd")
KEY, COUNTER = "000102030405060708090a0b0c0d0e0f", "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"


def aes(text):
    done = subprocess.run(["openssl", "enc", "-aes-128-ctr", "-K", KEY, "-iv", COUNTER], input=text.encode(),
                          capture_output=True, check=True)
    return done.stdout.hex()


def is_tree(body):
    answer = json.loads(body)
    return answer["nodes"] == 341 and answer["sum"] == 341 * 340 // 2 and answer["bytes"] > 341


CALLS = {
    "pyaes": ("http:POST:/encrypt:a text of more than one block", lambda body: body.strip() ==
              aes("a text of more than one block")),
    "jsonser": ("http:/?depth=4&width=4", is_tree),
    "imgrotate": ("http:/?angle=90",
                  lambda body: re.search('"width": 240, "height": 320, "bytes": [0-9]{4,}, "crc32": "[0-9a-f]{8}"', body)),
}
for name, (spec, right) in CALLS.items():
    bodies = set()
    for _ in range(2):  # the first run boots, saves, restores and records, the second replays
        run = invoke(name, "reap", spec)
        check(run["ok"] and right(run["body"]), "%s answers %s" % (name, run["body"]))
        bodies.add(run["body"])
    check(len(bodies) == 1, "%s answers differently: %s" % (name, bodies))
    check(run["ws_pages"] > 0, "%s did not replay: %s" % (name, run))
    print("%-9s %6.0f ms, working set %d pages, residual faults %d" %
          (name, run["total_us"] / 1e3, run["ws_pages"], run["residual_faults"]))
