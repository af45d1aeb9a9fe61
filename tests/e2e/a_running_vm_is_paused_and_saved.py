#!/usr/bin/env python3
# timeout: 300
"""A VM that serves is frozen and goes on with its clock right; and it is saved beside its requests, by which no
connection of its own is lost, while clones of it answer though its connections of then are dead in them."""
import http.client
import json
import os
import signal
import subprocess
import threading
import time

from vhive_e2e import CTL, check, children, command_of, ctl, ctl_ok, image, need
from vhive_vm_host import VmHost

need("root", "qemu", "uffd")
CLOCK_S = 0.050
ECHO = "import sys\nfor line in sys.stdin: print(line, end='')"


class Host(VmHost):
    def connect(self):
        return http.client.HTTPConnection(self.address, timeout=20)

    def get(self, path):
        return get(self.connect(), path)

    def clock_error(self):
        """Seconds by which the guest's clock is off for certain."""
        before = time.time()
        guest = float(self.get("/clock"))
        after = time.time()
        return max(before - guest, guest - after, 0)


def get(connection, path, body=None):
    connection.request("POST" if body else "GET", path, body)
    return connection.getresponse().read()


def clock_is_right(host, when):
    off = host.clock_error()
    check(off <= CLOCK_S, "%s: the clock is off by %.0f ms" % (when, off * 1000))


def pauses(host):
    kept = host.connect()
    get(kept, "/")
    host.do("pause")
    host.do("pause")
    check(host.do("look") == "paused", "a listing does not tell that it is paused")
    before = time.monotonic()
    done = []
    waiting = threading.Thread(target=lambda: done.append(get(kept, "/clock")))
    waiting.start()
    time.sleep(2)
    check(not done, "a paused VM answers")
    told = ctl("exec", host.id, "--", "/bin/true")
    check(told.returncode == 1 and "paused" in told.stderr, "exec in a paused VM: %s" % told.stderr)
    host.refuses("snapshot", "VH_ESTATE", "paused", "resume")
    host.do("resume")
    clock_is_right(host, "resumed")
    waiting.join(10)
    check(done, "what was asked of a paused VM is not answered, %.1f s later" % (time.monotonic() - before))
    host.do("resume")
    check(host.do("look") == "runs", "a listing tells that it is paused")


def is_paused_by_others(host):
    host.do("freeze")
    check(host.do("look") == "paused", "frozen by its id, it is not paused")
    time.sleep(1)
    host.do("thaw")
    time.sleep(0.2)  # the clock is mended behind it
    clock_is_right(host, "thawed")
    host.do("freeze")
    host.do("resume")
    clock_is_right(host, "frozen by its id, resumed by its owner")


def goes_on_after_a_pause_without_answer(host):
    vmm = [p for p in children(host.process.pid) if command_of(p).startswith("qemu-system")][0]
    os.kill(vmm, signal.SIGSTOP)
    host.refuses("freeze", "VH_ETIMEDOUT")
    os.kill(vmm, signal.SIGCONT)
    check(host.do("look") == "runs", "a pause that failed is told as one")
    host.get("/clock")
    time.sleep(0.2)  # the clock is mended behind it
    clock_is_right(host, "after a pause that failed")


class Load(threading.Thread):
    """Requests, one after the other on one connection, each of which must be answered."""

    def __init__(self, host):
        super().__init__()
        self.connection, self.over, self.count, self.longest, self.error = host.connect(), False, 0, 0, None
        self.start()

    def run(self):
        try:
            while not self.over:
                text = ("number %d" % self.count).encode()
                begin = time.monotonic()
                check(get(self.connection, "/echo", text) == text, "another answer")
                self.longest = max(self.longest, time.monotonic() - begin)
                self.count += 1
        except (OSError, http.client.HTTPException) as error:
            self.error = error

    def end(self):
        self.over = True
        self.join(20)
        check(self.error is None and self.count > 0, "a request beside the save failed: %s" % self.error)


def facts_of(snapshot):
    return json.loads(ctl_ok("snapshot", "inspect", snapshot, "-o", "json"))


def saves(host):
    idle = host.connect()
    get(idle, "/")
    loads = [Load(host), Load(host)]
    time.sleep(0.5)
    made = host.do("snapshot")
    for load in loads:
        load.end()
    get(idle, "/")
    clock_is_right(host, "saved")
    facts = facts_of(made)
    pause, boot = facts["pause_us"] / 1e6, facts["boot_us"] / 1e6
    longest = max(load.longest for load in loads)
    check(0.001 < pause < longest + 0.1, "a pause of %.3f s, the longest request took %.3f s" % (pause, longest))
    check(boot < 60, "a boot of %.3f s" % boot)
    print("the pause took %.0f ms, the longest of %d requests %.0f ms" %
          (pause * 1e3, sum(load.count for load in loads), longest * 1e3))
    check(host.do("snapshot") == made, "a second snapshot is another")
    check(facts_of(made)["pause_us"] == facts["pause_us"], "saved anew")
    check(host.do("again") == made, "the one made again is another")
    check(facts_of(made)["created"] != facts["created"], "not saved anew")
    get(idle, "/")
    clock_is_right(host, "saved again")
    ctl_ok("snapshot", "verify", made)
    return made


def survives_saves_that_fail(host):
    """Whenever the time is over, and whyever it may not be saved: it goes on."""
    idle, made = host.connect(), 0
    get(idle, "/")
    for milliseconds in (1, 30, 100, 200, 300, 400):
        host.say("hurry %d" % milliseconds)
        answer = host.hear()
        print("%d ms: %s" % (milliseconds, answer))
        made += not answer.startswith("error:")
        check(made or answer.startswith("error: VH_ETIMEDOUT: "), "%d ms: %s" % (milliseconds, answer))
        get(idle, "/")
        clock_is_right(host, "%d ms" % milliseconds)
    shell = subprocess.Popen([CTL, "exec", "-i", host.id, "--", "/usr/bin/python3.11", "-uc", ECHO],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    shell.stdin.write(b"one\n")
    shell.stdin.flush()
    check(shell.stdout.readline() == b"one\n", "exec does not run")
    host.refuses("again", "VH_ESTATE", "exec")
    check(shell.communicate(b"two\n", 20)[0] == b"two\n" and shell.returncode == 0, "a save ended an exec")
    get(idle, "/")
    host.do("again")


def keeps_its_own_environment(host):
    ctl_ok("snapshot", "rm", host.do("snapshot"))
    check(host.run("auto", "boot", "SECRET=1") == "", "a booted VM came from a snapshot")
    host.refuses("snapshot", "VH_ESTATE", "restore_env")
    host.get("/")


host = Host(image("pyhello"))
check(host.run("reap", "boot") == "", "a booted VM came from a snapshot")
started = host.get("/file?name=started")
pauses(host)
is_paused_by_others(host)
goes_on_after_a_pause_without_answer(host)
made = saves(host)
survives_saves_that_fail(host)
host.do("pause")
host.do("stop")
print("paused, saved, stopped")

for engine in ("reap", "reap", "file", "uffd"):
    check(host.run(engine, engine) == made, "another snapshot")
    check(host.get("/file?name=started") == started, "%s: it is no clone" % engine)
    clock_is_right(host, engine)
    host.do("pause")
    host.do("resume")
    clock_is_right(host, engine + " paused")
    host.refuses("snapshot", "VH_ESTATE", made, "booted")
    host.do("stop")
    print("%-4s ok" % engine)

check(host.run("boot", "boot") == "", "a booted VM came from a snapshot")
keeps_its_own_environment(host)
host.end()
