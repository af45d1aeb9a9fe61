#!/usr/bin/env python3
"""A snapshot made with another QEMU than there is now is told by `snapshot ls` and `doctor`; `snapshot prune` removes
it, and it alone. `image prune` removes what no snapshot is made of and no VM runs."""
import json
import os
import shutil

from vhive_e2e import SCRATCH, Run, check, ctl, ctl_ok, image, need

need("root", "qemu", "uffd")

old = os.path.join(SCRATCH, "qemu")  # the same QEMU, which says that it is an older one
with open(old, "w") as f:
    f.write("""#!/bin/sh
[ "$1" = --version ] && { echo "QEMU emulator version 7.2.1 (Debian)"; exit 0; }
exec %s "$@"
""" % shutil.which("qemu-system-x86_64"))
os.chmod(old, 0o755)


def states(*options):
    return {s["id"]: s["state"] for s in json.loads(ctl_ok("snapshot", "ls", "-o", "json", *options))}


stale = ctl_ok("snapshot", "create", image("hello"), "--vmm-qemu", old).strip()
good = ctl_ok("snapshot", "create", image("hello")).strip()
check(states() == {stale: "stale", good: "ready"}, "states: %s" % states())
check(ctl_ok("snapshot", "ls", "-q").split() == sorted([stale, good]), "ls -q")

done = ctl("doctor", "-o", "json")
found = {f["check"]: f for f in json.loads(done.stdout)}
check(done.returncode == 0 and found["snapshots"]["status"] == "warn" and stale in found["snapshots"]["detail"] and
      "prune" in found["snapshots"]["remedy"], "doctor: %s" % found["snapshots"])

would = json.loads(ctl_ok("snapshot", "prune", "--dry-run", "-o", "json"))
check([w["id"] for w in would] == [stale] and "QEMU 7.2.1" in would[0]["why"], "prune --dry-run: %s" % would)
check(len(states()) == 2, "prune --dry-run removed something")
check(ctl_ok("snapshot", "prune", "-q").split() == [stale], "prune -q")
check(states() == {good: "ready"}, "after prune: %s" % states())

os.truncate(os.path.join(os.environ["VHIVE_STATE_DIR"], "snapshots", good, "memory"), 4096)
check(states() == {good: "damaged"}, "damaged: %s" % states())
check(ctl_ok("snapshot", "prune", "-q").split() == [good] and states() == {}, "prune of a damaged one")

with Run("hello", "boot"):
    check(ctl_ok("image", "prune", "-q") == "", "image prune took what a VM runs")
unused = ctl_ok("image", "pull", image("jsonser")).strip()
with Run("hello", "file"):
    done = ctl("snapshot", "prune", "-q", "--vmm-qemu", old)  # by which the snapshot in use is stale
    check(done.returncode == 1 and done.stdout == "" and "uses it" in done.stderr, "prune of one in use: %s" % done)
would = json.loads(ctl_ok("image", "prune", "--dry-run", "-o", "json"))
check([w["digest"] for w in would] == [unused], "image prune --dry-run: %s" % would)
check(ctl_ok("image", "prune", "-q").strip() == unused, "image prune -q")
check(len(ctl_ok("image", "ls", "-q").split()) == 1, "image prune took what a snapshot is made of")
