#!/usr/bin/env python3
# timeout: 240
"""SIGKILL of vhive-ctl, of the shim or of QEMU, at rest and with a request under way: the VM is gone at once, nobody
gets a wrong answer, and one more run finds nothing in its way."""
import os
import signal
import threading
import time

from vhive_e2e import GREETER, Run, check, children, command_of, invoke, need

need("root", "qemu", "uffd")
WANT = '{"message":"Hello, record_response!"}'


def wait_gone(pids, seconds=5):
    end = time.monotonic() + seconds
    while any(command_of(p) for p in pids) and time.monotonic() < end:
        time.sleep(0.02)
    return [(p, command_of(p)) for p in pids if command_of(p)]


def victim_of(run, name):
    below = children(run.process.pid)
    pids = {command_of(p): p for p in below}
    pids["vhive-ctl"] = run.process.pid
    found = next((p for c, p in pids.items() if c.startswith(name)), None)
    check(found, "no %s among %s" % (name, pids))
    return found, below


def ask(run, answers):
    """Calls the function until it fails: every answer until then must be right."""
    try:
        while True:
            answers.append(run.get("/echo", data=b"ping", timeout=5))
    except OSError:
        answers.append(None)


for engine in ("boot", "file", "reap"):
    for name in ("vhive-ctl", "vhive-shim", "qemu-system"):
        run = Run("pyhello", engine)
        run.wait_ready()
        answers = []
        client = threading.Thread(target=ask, args=(run, answers))
        client.start()
        end = time.monotonic() + 30
        while len(answers) < 3 and client.is_alive() and time.monotonic() < end:
            time.sleep(0.01)
        pid, below = victim_of(run, name)
        os.kill(pid, signal.SIGKILL)
        left = wait_gone(below)
        check(not left, "%s: after the kill of %s there still are %s" % (engine, name, left))
        if name == "vhive-ctl":
            code = run.process.wait(5)
        else:
            code = run.process.wait(10)
            check("error" in run.text(), "%s: the kill of %s was not told:\n%s" % (engine, name, run.text()))
        check(code != 0, "%s: exit code 0 after the kill of %s" % (engine, name))
        run.log.close()
        client.join(30)
        check(not client.is_alive(), "%s: a request hangs after the kill of %s" % (engine, name))
        check(len(answers) > 1 and set(answers[:-1]) == {b"ping"}, "%s: wrong answers %s" % (engine, set(answers)))
        check(answers[-1] is None, "%s: the last request ended well" % engine)
    again = invoke("hello", engine, GREETER % "record")
    check(again["body"].strip() == WANT, "%s: a later run answered %r" % (engine, again["body"]))
    print("%-5s ok" % engine)

for what in ("vms", "journal"):
    folder = os.path.join(os.environ["VHIVE_RUN_DIR"], what)
    check(os.listdir(folder) == [], "left in %s: %s" % (folder, os.listdir(folder)))
