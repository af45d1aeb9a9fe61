#!/usr/bin/env python3
# timeout: 240
"""Processes in a running VM, started from another terminal: what they say and how they end, terminals, large data both
ways, slow readers, several at once, and what is left of them when a client or the VM goes."""
import fcntl
import hashlib
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time

from vhive_e2e import CTL, SCRATCH, Run, ask, check, ctl_ok, guest_function, need

need("root", "qemu", "uffd")
MIB = 1 << 20
PROGRAMS = ["sh", "bash", "cat", "head", "sha256sum", "sleep", "stty", "id", "env", "pwd"]


def tools_image():
    accounts = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:44:web:/srv/web:/bin/sh\n"
    return guest_function("tools", {
        "/etc/passwd": (accounts, 0o644), "/etc/group": ("root:x:0:\nweb:x:44:\n", 0o644),
        "/etc/not-executable": ("text\n", 0o644),
    }, PROGRAMS, ["--config.user=web", "--config.env=GREETING=hi", "--config.workingdir=/srv/web"])


def execute(*args, **more):
    return subprocess.run([CTL, "exec", *args], capture_output=True, timeout=60, **more)


def sh(script, *options, **more):
    return execute(*options, "--", "sh", "-c", script, **more)


def running(*command):
    """Whether a process with this command line is in the guest; None: it could not be asked."""
    script = 'for p in /proc/[0-9]*; do mapfile -d "" -t words <$p/cmdline 2>/dev/null || continue; ' \
             '[[ ${words[*]} == "$0" ]] && exit 10; done; exit 11'
    return {10: True, 11: False}.get(execute("--", "bash", "-c", script, " ".join(command)).returncode)


def becomes(want, *command, seconds=20):
    """Waits until a process with this command line runs, or does not."""
    end = time.monotonic() + seconds
    while running(*command) is not want:
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def plain(run):
    done = sh('echo out; echo err >&2; exit 7')
    check((done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n"), "plain: %r" % done)
    check(sh("kill -9 $$").returncode == 137, "a killed process is 128 + 9")
    check(execute("--", "no-such").returncode == 127, "no such command is 127")
    check(execute("--", "/etc/not-executable").returncode == 126, "not executable is 126")
    check(execute("-u", "nobody-here", "--", "id").returncode == 126, "no such user is 126")
    check(sh("id -u; pwd; echo $GREETING$MORE", "-e", "MORE=!").stdout == b"33\n/srv/web\nhi!\n", "as the function")
    check(sh("id -u; pwd; echo $GREETING", "-u", "root", "-w", "/tmp", "-e", "GREETING=ho").stdout ==
          b"0\n/tmp\nho\n", "as told")
    check(sh("cat", input=b"ignored").stdout == b"", "without -i there is no input")
    check(sh("cat; echo end", "-i", input=b"some input").stdout == b"some inputend\n", "the end of the input arrives")
    piped = subprocess.run("set -o pipefail; %s exec -- sh -c 'while :; do echo more; done' | head -n 1" % CTL, shell=True,
                           executable="/bin/bash", capture_output=True, timeout=60)
    check((piped.returncode, piped.stdout, piped.stderr) == (141, b"more\n", b""), "a reader that is gone: %r" % piped)
    check(sh("(sleep 299 & ) ; echo at once").stdout == b"at once\n", "who leaves children behind ends all the same")
    check(ask(run.address, "generation") == b"0\n", "the function still answers")


def refusals(run):
    for args, code, words in ((("vm-nosuch", "--", "id"), 127, "vm ls"), (("--",), 2, "behind --"), (("id",), 2, "--"),
                              (("a", "b", "--", "id"), 2, "too much"), (("-e", "X", "--", "id"), 2, "NAME=VALUE")):
        done = execute(*args)
        check(done.returncode == code and words in done.stderr.decode(), "exec %s: %r" % (args, done))
    check(execute("--run-dir", SCRATCH + "/empty", "--", "id").returncode == 127, "no VM in another run directory")
    vm = json.loads(ctl_ok("vm", "ls", "-o", "json"))
    check(len(vm) == 1 and "%s:%d" % (vm[0]["address"], vm[0]["port"]) == run.address and
          vm[0]["pid"] == run.process.pid and vm[0]["image"].endswith("/tools"), "vm ls: %s" % vm)
    for name in (vm[0]["id"], vm[0]["id"][:5], vm[0]["id"][3:6]):
        check(execute(name, "--", "sh", "-c", "exit 3").returncode == 3, "a VM by '%s'" % name)
    path = os.path.join(os.environ["VHIVE_RUN_DIR"], "vms", vm[0]["id"], "shim.sock")
    check(os.stat(path).st_mode & 0o777 == 0o600, "mode of the socket")


def large_data():
    data = os.urandom(16 * MIB)
    want = hashlib.sha256(data).hexdigest().encode()
    check(sh("sha256sum", "-i", input=data).stdout.split()[0] == want, "16 MiB in")
    check(sh("cat", "-i", input=data).stdout == data, "16 MiB in and out again")
    done = sh("head -c %d /dev/zero; head -c %d /dev/zero >&2" % (4 * MIB, 4 * MIB))
    check(len(done.stdout) == 4 * MIB and len(done.stderr) == 4 * MIB, "4 MiB on both streams")
    check(sh("exit 0", "-i", input=data).returncode == 0, "input that nobody reads")


def resident_kib(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def slow_reader(run):
    idle = subprocess.Popen([CTL, "exec", "--", "sleep", "270"])
    with subprocess.Popen([CTL, "exec", "--", "sh", "-c", "head -c 8000000 /dev/zero; echo end >&2"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as slow:
        time.sleep(1)
        for _ in range(5):
            check(ask(run.address, "clock").isdigit(), "the function answers beside a slow reader")
        check(sh("echo quick").stdout == b"quick\n", "so does another exec")
        kib = resident_kib(slow.pid) - resident_kib(idle.pid)
        check(kib < 2048, "a client that nobody reads holds %d KiB" % kib)
        out, err = slow.communicate(timeout=30)
        check(len(out) == 8000000 and err == b"end\n", "all of it in the end: %d bytes" % len(out))
    idle.kill()
    idle.wait()


def several():
    answers = [None] * 12
    def one(i):
        answers[i] = sh("cat; exit %d" % i, "-i", input=b"%d " % i * 50000)
    threads = [threading.Thread(target=one, args=(i,)) for i in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for i, done in enumerate(answers):
        check(done.returncode == i and done.stdout == b"%d " % i * 50000, "one of twelve: %d" % i)


def too_many():
    sleepers = [subprocess.Popen([CTL, "exec", "--", "sh", "-c", "echo up; exec sleep 300"], stdout=subprocess.PIPE)
                for _ in range(16)]
    for s in sleepers:
        check(s.stdout.readline() == b"up\n", "one of sixteen")
    done = sh("exit 0")
    check(done.returncode == 1 and b"16 processes" in done.stderr, "the seventeenth: %r" % done)
    check(len(json.loads(ctl_ok("vm", "ls", "-o", "json"))) == 1, "the VM can be looked at all the same")
    for s in sleepers:
        s.kill()
        s.communicate()
    check(becomes(False, "sleep", "300"), "sleepers outlive their clients")


class Terminal:
    """vhive-ctl exec -it on a terminal of ours."""

    def __init__(self, *command, rows=40, cols=132):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            time.sleep(0.1)
            os.execv(CTL, [CTL, "exec", "-it", "--", *command])
        self.size(rows, cols)
        self.seen = b""

    def size(self, rows, cols):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def type(self, keys):
        os.write(self.fd, keys)

    def expect(self, pattern, seconds=20):
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen)):
            check(time.monotonic() < end, "terminal: no %r in %r" % (pattern, self.seen))
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.fd, 65536)
                except OSError:
                    check(re.search(pattern, self.seen), "terminal ended without %r: %r" % (pattern, self.seen))
        self.seen = self.seen[found.end():]
        return found

    def flags(self):
        return termios.tcgetattr(self.fd)[3]

    def wait(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def terminal():
    t = Terminal("bash", "--norc", "-i")
    t.expect(rb"\$ ")
    check(not t.flags() & (termios.ICANON | termios.ECHO | termios.ISIG), "the terminal is raw")
    t.type(b"stty size; tty -s || test -t 0 && echo a-$((1+1))-terminal\r")
    t.expect(rb"40 132")
    t.expect(rb"a-2-terminal")
    t.size(50, 100)
    time.sleep(0.3)
    t.type(b"stty size\r")
    t.expect(rb"50 100")
    t.type(b"sleep 200\r")
    t.expect(rb"sleep 200")
    time.sleep(0.5)
    t.type(b"\x03")
    t.expect(rb"\^C")
    t.type(b"echo code $?\r")
    t.expect(rb"code 130")
    t.type(b"sleep 201\r")
    t.expect(rb"sleep 201")
    time.sleep(0.5)
    t.type(b"\x1a")
    t.expect(rb"Stopped")
    t.type(b"jobs; kill %1; exit 9\r")
    t.expect(rb"sleep 201")
    time.sleep(0.5)
    try:
        t.type(b"exit 9\r")  # bash warns of stopped jobs once
    except OSError:
        pass
    check(t.wait() == 9, "exit code by way of a terminal")
    check(t.flags() & termios.ICANON and t.flags() & termios.ECHO, "the terminal is as before")
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        t = Terminal("sh", "-c", "trap '' INT TERM; echo ready; sleep 60")
        t.expect(rb"ready")
        for _ in range(2 if number == signal.SIGTERM else 1):
            os.kill(t.pid, number)
            time.sleep(0.3)
        t.wait()
        check(t.flags() & termios.ICANON, "the terminal is raw after %s" % number.name)
    check(becomes(False, "sleep", "60"), "what a killed terminal ran goes on")


def terminal_for_a_pipe():
    for text in (b"a line", b"a line\n", b"%d\n" * 5000 % tuple(range(5000))):
        done = execute("-it", "--", "sh", "-c", "stty -echo; echo begin; cat; exit 4", input=text)
        check(done.returncode == 4 and text.rstrip()[-5:] in done.stdout, "input of a pipe to a terminal: %r" % done)


def signals():
    for number, code in ((signal.SIGINT, 5), (signal.SIGTERM, 6)):
        p = subprocess.Popen([CTL, "exec", "--", "sh", "-c",
                              "trap 'exit 5' INT; trap 'exit 6' TERM; echo ready; while :; do sleep 0.1; done"],
                             stdout=subprocess.PIPE, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        p.stdout.readline()
        p.send_signal(number)
        check(p.wait(20) == code, "%s is passed on: exit code %s" % (number.name, p.returncode))
        p.stdout.close()


def killed_client():
    p = subprocess.Popen([CTL, "exec", "--", "sh", "-c", "sleep 251 & sleep 252"])
    check(becomes(True, "sleep", "251") and becomes(True, "sleep", "252"), "it does not run")
    p.kill()
    p.wait()
    check(becomes(False, "sleep", "251") and becomes(False, "sleep", "252"), "a killed client leaves its processes")


def killed_vm(run):
    p = subprocess.Popen([CTL, "exec", "--", "sh", "-c", "echo ready; sleep 300"], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
    check(p.stdout.readline() == "ready\n", "it does not run")
    run.process.kill()
    run.process.wait()
    check(p.wait(20) == 1 and "VM" in p.stderr.read(), "exit code when the VM is killed")
    check(json.loads(ctl_ok("vm", "ls", "-o", "json")) == [], "a killed VM is listed")


image = tools_image()
with Run(image, "boot") as vm:
    for part in (lambda: plain(vm), lambda: refusals(vm), large_data, lambda: slow_reader(vm), several, too_many,
                 terminal, terminal_for_a_pipe, signals, killed_client):
        part()
    check(vm.process.poll() is None, "the VM ended")
with Run(image, "reap") as vm:
    plain_code = sh("cat; exit 4", "-i", input=b"to a clone")
    check((plain_code.returncode, plain_code.stdout) == (4, b"to a clone"), "exec in a clone: %r" % plain_code)
    check(sh("cat /run/vhive/generation").stdout != b"0\n", "generation of a clone")
    with Run(image, "reap") as other:
        check(execute("--", "id").returncode == 2, "two VMs, and none is named")
    killed_vm(vm)
with Run(image, "reap"):
    pass  # tidies up behind the one that was killed
