#!/usr/bin/env python3
"""A disk that is full when the working set is to be stored: the answer is right, the warning names place, cause and
remedy; with room again the next restore records it."""
import json
import os
import subprocess

from vhive_e2e import GREETER, SCRATCH, check, ctl, ctl_ok, image, need

need("root", "qemu", "uffd")

disk = os.path.join(SCRATCH, "disk")
os.mkdir(disk)
subprocess.run(["mount", "-t", "tmpfs", "none", disk], check=True)
try:
    def resize(more):
        fs = os.statvfs(disk)
        used = (fs.f_blocks - fs.f_bfree) * fs.f_frsize
        subprocess.run(["mount", "-o", "remount,size=%d" % (used + more), disk], check=True)

    where = ("--state-dir", disk)
    call = ("run", image("hello"), "--engine", "reap", "--invoke", GREETER % "disk", "-o", "json", *where)
    snapshot = ctl_ok("snapshot", "create", image("hello"), *where).strip()
    resize(1 << 20)
    done = ctl(*call)
    check(done.returncode == 0 and json.loads(done.stdout)["ok"], "no answer: %s" % done.stderr)
    for word in ("warning", os.path.join(disk, "snapshots", snapshot), "No space left", "snapshot prune"):
        check(word in done.stderr, "nothing of '%s' in: %s" % (word, done.stderr))
    print(done.stderr.strip().splitlines()[-1])
    check(sorted(os.listdir(os.path.join(disk, "snapshots", snapshot))) == ["manifest.json", "memory", "vmstate"],
          "left: %s" % os.listdir(os.path.join(disk, "snapshots", snapshot)))
    resize(256 << 20)
    ctl_ok(*call)
    check(json.loads(ctl_ok(*call))["installed_pages"] > 100, "no working set was installed")
finally:
    subprocess.run(["umount", disk], check=True)
