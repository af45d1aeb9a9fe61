#!/usr/bin/env python3
# timeout: 180
"""Two clones of one snapshot at once, after everything of the run that made it was killed: both have the file that the
function wrote before the snapshot, the right time, random numbers of their own, and disks of their own."""
import signal
import time
import urllib.error

from vhive_e2e import Run, check, ctl_ok, image, need

need("root", "qemu", "uffd")
CLOCK_S = 0.050


def clock_error(run):
    """Seconds by which the guest's clock is off for certain: 0 when it lies between question and answer."""
    before = time.time()
    guest = float(run.get("/clock"))
    after = time.time()
    return max(before - guest, guest - after, 0)


def has_no_file(run, name):
    try:
        run.get("/file?name=" + name)
    except urllib.error.HTTPError as error:
        return error.code == 404
    return False


ctl_ok("snapshot", "create", image("pyhello"), "--snapshot", "twins")
first = Run("pyhello", "reap")
first.wait_ready()
started = first.get("/file?name=started")
check(len(started) == 37, "what the function wrote at its start is %r" % started)
first.end(signal.SIGKILL)
time.sleep(2)  # a clock that stood still since the snapshot would now be off by that

for engine in ("file", "uffd", "reap"):
    with Run("pyhello", engine) as one, Run("pyhello", engine) as two:
        check(one.address != two.address, "two clones at %s" % one.address)
        for run in (one, two):
            check(run.get("/file?name=started") == started, "%s: the file of before the snapshot differs" % engine)
            off = clock_error(run)
            check(off <= CLOCK_S, "%s: the clock is off by %.0f ms" % (engine, off * 1000))
        for path in ("/", "/random", "/uuid"):  # "/" has random.random(), reseeded by the image's hook
            check(one.get(path) != two.get(path), "%s: the clones agree on %s" % (engine, path))
        one.get("/file?name=mine", data=b"of the first")
        check(one.get("/file?name=mine") == b"of the first", "%s: the file just written differs" % engine)
        check(has_no_file(two, "mine"), "%s: one clone sees the other's file" % engine)
    print("%-5s ok" % engine)
