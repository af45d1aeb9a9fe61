#!/usr/bin/env python3
# timeout: 420
"""A QEMU that hangs, a guest that panics or runs out of memory, waiting VMMs that died or hang: each ends in its deadline
with an error that says what happened, or is gone around; nothing is left."""
import os
import signal
import subprocess
import time

from vhive_e2e import BUILD, GREETER, SCRATCH, STATE, Background, Run, check, children, command_of, ctl, ctl_ok, image, \
    invoke, need
from vhive_faults import python_function, told

need("root", "qemu", "uffd")
WANT = "record_response"
CALL = ("--invoke", GREETER % "record")


def hang(command, begun, what):
    """Stops QEMU as soon as |begun|."""
    end = time.monotonic() + 60
    while time.monotonic() < end and command.process.poll() is None:
        pid = command.victim("qemu-system") if begun(command) else None
        if pid:
            os.kill(pid, signal.SIGSTOP)
            return pid
        time.sleep(0.002)
    check(False, "%s: never came so far\n%s" % (what, command.text()))


def gone(pid):
    end = time.monotonic() + 5
    while os.path.exists("/proc/%d" % pid) and time.monotonic() < end:
        time.sleep(0.02)
    check(not os.path.exists("/proc/%d" % pid), "the hung QEMU is still there")


def hung(what, args, begun, seconds, *words, **deadlines):
    command = Background(*args, env={**os.environ, **deadlines})
    pid = hang(command, begun, what)
    code = command.process.wait(seconds)
    told("QEMU hangs %s" % what, code, command.text(), *words)
    gone(pid)
    command.log.close()


def always(_command):
    return True


def prints(text):
    return lambda command: text in command.text()


def is_saving(_command):
    folder = os.path.join(STATE, "snapshots")
    return os.path.isdir(folder) and any(n.startswith(".new-") for n in os.listdir(folder))


ctl_ok("run", image("hello"), "--engine", "boot", *CALL)  # image, kernel and QEMU's version are known from now on
hung("at its start", ("run", image("hello"), "--engine", "boot"), always, 20, "vmm-spawn", "did not answer", "deadline")

# a guest that never says a word is begun anew, once
command = Background("run", image("hello"), "--engine", "boot", *CALL, env={**os.environ, "VHIVE_TIMEOUT_HELLO": "12s"})
first = hang(command, prints("guest-boot"), "before the guest's first word")
check(command.process.wait(90) == 0 and WANT in command.text() and "booting again" in command.text(),
      "QEMU hung as the guest booted: %s" % command.text())
gone(first)
print("QEMU hangs before the guest's first word: booted again", flush=True)

hung("as the function starts", ("run", image("pyhello"), "--engine", "boot"), prints("function-start"), 30, "deadline",
     "timeout.ready", VHIVE_TIMEOUT_READY="2s")
hung("as it is saved", ("snapshot", "create", image("hello")), is_saving, 30, "snapshot-state", "deadline")
check(not is_saving(None) and ctl_ok("snapshot", "ls", "--no-headers").strip() == "", "a half snapshot stays")

check(WANT in invoke("hello", "reap", GREETER % "record")["body"], "a wrong answer")
for engine in ("file", "uffd", "reap"):
    hung("as it is restored by " + engine, ("run", image("hello"), "--engine", engine), always, 20, "deadline",
         VHIVE_TIMEOUT_RESTORE="3s")

serving = Run("hello", "reap", env={**os.environ, "VHIVE_TIMEOUT_STOP": "1s"})
serving.wait_ready()
pid = hang(serving, always, "while serving")
check(serving.end(seconds=15) == 128 + signal.SIGTERM, "a run whose QEMU hangs ended otherwise")
gone(pid)
print("QEMU hangs while serving: ended by a signal in its time", flush=True)

# VMMs that wait: one that has ended is seen before it is used, one that hangs shows when it is bound
host = subprocess.Popen([os.path.join(BUILD, "tests/e2e/shell-host"), image("hello"), GREETER % "record"], text=True,
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(os.path.join(SCRATCH, "shells"), "w"))


def ask_host(line):
    host.stdin.write(line + "\n")
    host.stdin.flush()
    return host.stdout.readline().strip()


for name, sig, word in (("qemu-system", signal.SIGKILL, "has ended"), ("vhive-shim", signal.SIGKILL, "has ended"),
                        ("qemu-system", signal.SIGSTOP, "of no use")):
    answer = ask_host("fill 2")
    check(answer == "waiting", "fill: %s" % answer)
    victim = next(p for p in children(host.pid) if command_of(p).startswith(name))
    os.kill(victim, sig)
    for turn in range(3):  # both that wait are used, whichever comes first, then there is none
        answer = ask_host("run reap")
        check(WANT in answer, "after %s of a waiting %s: %s" % (sig.name, name, answer))
    gone(victim)
    with open(os.path.join(SCRATCH, "shells")) as f:
        check(word in f.read(), "%s of a waiting %s was not told" % (sig.name, name))
    print("a waiting %s is met by %s: discarded, right answers" % (name, sig.name), flush=True)
host.stdin.close()
check(host.wait(20) == 0, "the host with waiting VMMs ended with an error")

# the guest itself
PANIC = "open('/proc/sysrq-trigger', 'w').write('c')"
EAT = "eaten = []\nwhile True: eaten.append(bytearray(b'x' * (1 << 20)))"
SERVE = """
import socket
s = socket.create_server(("", 8080))
while True:
    c = s.accept()[0]
    if c.recv(1000):
        %s
"""
for what, deed, words in (("panics", PANIC, ("panic",)), ("eats all memory", EAT, ("signal 9", "memory"))):
    at_start = python_function(what.replace(" ", "-"), deed)
    done = ctl("run", at_start, "--engine", "boot", timeout=90)
    told("guest %s at its start" % what, done.returncode, done.stderr, *words)
    later = python_function(what.replace(" ", "-") + "-later", SERVE % deed.replace("\n", "\n        "))
    done = ctl("run", later, "--engine", "boot", "--invoke", "http:/", "--timeout", "10s", timeout=90)
    told("guest %s while serving" % what, done.returncode, done.stderr, "invoke", "no answer", *words)
    command = Run(later, "boot")
    command.wait_ready()
    try:
        command.get("/", timeout=60)
        check(False, "a guest that %s has answered" % what)
    except OSError:
        pass
    code, text = command.process.wait(20), command.text()
    if deed is PANIC:
        told("guest %s, noticed by run" % what, code, text, *words)
    else:  # the function's own end, whose code is passed on
        check(code == 137 and all(w in text for w in ("ended with code 137", *words)),
              "%s: run ended with %s:\n%s" % (what, code, text))
    command.log.close()
