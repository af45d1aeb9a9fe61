#!/usr/bin/env python3
# timeout: 420
"""SIGKILL of vhive-ctl, of the shim or of QEMU at random moments of boot, save, load and serve: the VM is gone at once,
nobody gets a wrong answer, no half snapshot stays, and one more run finds nothing in its way.

VH_KILLS is how often each of the three is killed in each phase (1), VH_KILL_PHASES which phases (all), VH_SEED what the
moments are drawn from.
"""
import fcntl
import json
import os
import random
import signal
import struct
import threading
import time

from vhive_e2e import ENGINES, GREETER, SCRATCH, STATE, Background, Run, check, command_of, ctl_ok, image, \
    invoke, need

need("root", "qemu", "uffd")
WANT = '{"message":"Hello, record_response!"}'
LEASES = "/run/vhive-net"
GONE_S = 5   # a dead VM's processes, and what the kernel takes down after them
SERVE_S = 0.5  # how long into its serving a function is killed
VICTIMS = ("vhive-ctl", "vhive-shim", "qemu-system")


def ours():
    """Processes of this test's VMs, whoever their parent is: by their environment, or QEMU by its directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        name = command_of(int(pid))
        try:
            with open("/proc/%s/environ" % pid, "rb") as f:
                inside = SCRATCH.encode() in f.read() or os.readlink("/proc/%s/cwd" % pid).startswith(SCRATCH)
        except OSError:
            continue  # it has ended
        if inside and name.startswith(VICTIMS):
            found.append("%s %s" % (pid, name))
    return found


def stale_leases():
    """Entries of the ledger of addresses that nobody holds."""
    found = []
    for name in os.listdir(LEASES) if os.path.isdir(LEASES) else []:
        try:
            with open(os.path.join(LEASES, name), "r+b") as f:
                lock = fcntl.fcntl(f, fcntl.F_OFD_GETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
        except OSError:
            continue  # it has been given back
        if name.isdigit() and struct.unpack_from("h", lock)[0] == fcntl.F_UNLCK:
            found.append(name)
    return found


def none_within(seconds, look, what):
    """|look| must find nothing, after a while."""
    end = time.monotonic() + seconds
    while (left := look()) and time.monotonic() < end:
        time.sleep(0.02)
    check(not left, "%s: %s" % (what, left))


def drafts():
    folder = os.path.join(STATE, "snapshots")
    return [n for n in os.listdir(folder) if n.startswith(".")] if os.path.isdir(folder) else []


def forget_snapshots():
    for row in json.loads(ctl_ok("snapshot", "ls", "-o", "json")):
        ctl_ok("snapshot", "rm", row["id"])


class Client(threading.Thread):
    """Calls a function until it fails: every answer until then must be right."""

    def __init__(self, run):
        super().__init__()
        self.run_, self.answers, self.failed = run, [], False
        self.start()

    def run(self):
        try:
            while True:
                self.answers.append(self.run_.get("/echo", data=b"ping", timeout=5))
        except OSError:
            self.failed = True

    def finish(self, what):
        self.join(30)
        check(not self.is_alive(), "%s: a request hangs" % what)
        check(set(self.answers) <= {b"ping"}, "%s: wrong answers %s" % (what, set(self.answers)))


class Phase:
    """How a phase is brought about, when it has begun, and when it is over."""

    def __init__(self, name):
        self.name = name

    def prepare(self):
        if self.name == "save":
            forget_snapshots()

    def start(self, turn):
        if self.name == "save":
            return Background("snapshot", "create", image("hello"))
        if self.name == "serve":
            return Run("pyhello", ("boot", "file", "reap")[turn % 3])
        return Run("hello", "boot" if self.name == "boot" else ENGINES[turn % 3])

    def has_begun(self, command):
        if self.name == "save":
            return bool(drafts())
        return self.name != "serve" or command.is_ready()

    def is_over(self, command):
        if self.name == "save":
            return not drafts()
        return self.name != "serve" and command.is_ready()

    def length(self, victim):
        """Seconds from the victim's first moment in this phase to its last, measured in a run that is left alone."""
        if self.name == "serve":
            return SERVE_S
        self.prepare()
        command = self.start(2)
        self.await_victim(command, victim)
        began = time.monotonic()
        while not self.is_over(command) and command.victim(victim) and command.process.poll() is None:
            time.sleep(0.005)
        length = time.monotonic() - began
        command.end()
        return length

    def await_victim(self, command, victim):
        end = time.monotonic() + 60
        while time.monotonic() < end and command.process.poll() is None:
            pid = command.victim(victim) if self.has_begun(command) else None
            if pid:
                return pid
            time.sleep(0.001)
        check(False, "%s: no %s\n%s" % (self.name, victim, command.text()))


def kill_once(phase, victim, turn, after):
    """One kill |after| seconds into the phase. False: the victim had ended by then."""
    what = "%s of %s after %.0f ms" % (phase.name, victim, after * 1000)
    phase.prepare()
    command = phase.start(turn)
    pid = phase.await_victim(command, victim)
    client = Client(command) if phase.name == "serve" else None
    time.sleep(after)
    met = command.victim(victim) == pid and command.process.poll() is None
    if met:
        os.kill(pid, signal.SIGKILL)
    code = command.process.wait(20) if met else command.end()
    if met:
        told(what, victim, code, command.text())
    none_within(GONE_S, ours, "%s: still there" % what)
    if client:
        client.finish(what)
    command.log.close()
    one_more_run(what)
    return met


def told(what, victim, code, text):
    """vhive-ctl says what happened, unless it was killed itself, or had all it needed of the victim."""
    if victim == "vhive-ctl":
        check(code == -signal.SIGKILL, "%s: exit code %d" % (what, code))
    else:
        check(code == 0 or "error: " in text, "%s: exit code %d and no error\n%s" % (what, code, text))


def one_more_run(what):
    again = invoke("hello", "reap", GREETER % "record")
    check(again["body"].strip() == WANT, "%s: a later run answered %r" % (what, again["body"]))
    for row in json.loads(ctl_ok("snapshot", "ls", "-o", "json")):
        check(row["state"] == "ready", "%s: snapshot %s" % (what, row))
        ctl_ok("snapshot", "verify", row["id"])
    check(not drafts(), "%s: left in the catalogue: %s" % (what, drafts()))
    for kind in ("vms", "journal"):
        folder = os.path.join(os.environ["VHIVE_RUN_DIR"], kind)
        check(os.listdir(folder) == [], "%s: left in %s: %s" % (what, folder, os.listdir(folder)))
    none_within(GONE_S, stale_leases, "%s: leases of nobody" % what)


kills = int(os.environ.get("VH_KILLS", "1"))
names = os.environ.get("VH_KILL_PHASES", "boot,save,load,serve").split(",")
seed = os.environ.get("VH_SEED", str(time.time_ns()))
moments = random.Random(seed)
print("VH_SEED=%s, %d kills of each of %s in each of %s" % (seed, kills, VICTIMS, names), flush=True)
invoke("hello", "reap", GREETER % "record")  # image, kernel and working set are there from now on

for name in names:
    phase = Phase(name)
    for victim in VICTIMS:
        length = phase.length(victim)
        met = tries = 0
        while met < kills and tries < 4 * kills:  # one that ended before its moment came is not counted
            met += kill_once(phase, victim, tries, moments.random() * length)
            tries += 1
        check(met == kills, "%s of %s: only %d of %d were met alive" % (name, victim, met, tries))
        print("%-5s %-11s killed %d times within %.0f ms: clean, right answers" % (name, victim, met, length * 1000),
              flush=True)
