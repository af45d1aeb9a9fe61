#!/usr/bin/env python3
# timeout: 240
"""Shells: as many wait as were asked for, a restore takes one of them, one that has died is neither used nor keeps its
address, and nothing is left of them at their end."""
import os
import signal
import subprocess
import time

from vhive_e2e import BUILD, GREETER, check, children, command_of, ctl_ok, image, need

need("root", "qemu", "uffd")
RUN_DIR = os.environ["VHIVE_RUN_DIR"]


class Host:
    """A host with waiting VMMs: shells/shell_host.c."""

    def __init__(self):
        self.process = subprocess.Popen([os.path.join(BUILD, "tests/e2e/shell-host"), image("hello"),
                                         GREETER % "record"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, line, want):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        check(want in answer, "%s: %s" % (line, answer))

    def fill(self, n):
        self.do("fill %d" % n, "waiting")

    def run(self, engine):
        self.do("run " + engine, "Hello, record_response!")

    def vmms(self):
        return [p for p in children(self.process.pid) if command_of(p).startswith("qemu-system")]


def waiting(host, n):
    found, folders = len(host.vmms()), os.listdir(os.path.join(RUN_DIR, "vms"))
    check(found == n and len(folders) == n, "%d shells wait, in %s, not %d" % (found, folders, n))


def kill_one(host):
    victim = host.vmms()[0]
    os.kill(victim, signal.SIGKILL)
    end = time.monotonic() + 10
    while victim in host.vmms():
        check(time.monotonic() < end, "a killed VMM lives on")
        time.sleep(0.02)
    time.sleep(0.2)  # the shim tells of it


ctl_ok("snapshot", "create", image("hello"))
host = Host()
host.fill(2)
waiting(host, 2)
host.fill(2)
waiting(host, 2)
host.run("file")
waiting(host, 2)  # that engine has no use for them
host.run("reap")
waiting(host, 1)
host.run("uffd")
waiting(host, 0)
host.run("reap")

host.fill(2)
kill_one(host)
host.fill(2)
waiting(host, 2)
kill_one(host)
kill_one(host)
host.run("reap")
waiting(host, 0)

host.fill(2)
host.do("end", "ended")
waiting(host, 0)
host.fill(1)
host.process.stdin.close()
check(host.process.wait(20) == 0, "the host's exit code")
check(os.listdir(os.path.join(RUN_DIR, "vms")) == [], "left behind at the end")
