#!/usr/bin/env python3
# timeout: 300
"""Functions of a vhived by vhive-ctl, as people and scripts use it, and by a gRPC client in Python: real VMs, every verb."""
import contextlib
import hashlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

from vhive_daemon import Daemon
from vhive_e2e import BUILD, CTL, SCRATCH, check, image, need

need("root", "qemu", "uffd")
EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


def ctl(*args, code=0, **more):
    run = subprocess.run([CTL, *args], capture_output=True, timeout=200, **more)
    check(run.returncode == code, "%s: exit code %d, want %d: %s" % (" ".join(args), run.returncode, code,
                                                                    (run.stderr + run.stdout).decode()))
    return run


def text(*args, **more):
    return ctl(*args, **more).stdout.decode()


def told(code, *args):
    return ctl(*args, code=code).stderr.decode()


def data(*args):
    return json.loads(text(*args, "-o", "json"))


def eventually(what, holds, seconds=60):
    end = time.monotonic() + seconds
    while not holds():
        check(time.monotonic() < end, "not within %d s: %s" % (seconds, what))
        time.sleep(0.1)


def without_a_daemon():
    for verb in (["ls"], ["inspect", "hello"], ["invoke", "hello"], ["vm", "kill", "1"]):
        said = told(126, *verb)
        check("start it (vhived &, or systemctl start vhived)" in said, said)
    check(data("image", "ls") == [] and data("snapshot", "ls") == [] and data("vm", "ls") == [], "something is there")


def deploy_and_call():
    os.chdir(BUILD)  # a relative folder is taken from here
    told_ = text("deploy", "hello", "oci:functions/hello", "--port", "50051", "--max", "8", "--keep-alive", "60s")
    check("tcp:127.0.0.1:" in told_, told_)
    cold = ctl("invoke", "hello", "--timing")
    check(b"Hello, " in cold.stdout and cold.stderr.startswith(b"cold, vm-"), str(cold))
    check(b"guest-boot" in cold.stderr, str(cold.stderr))
    warm = data("invoke", "hello", "--data", '{"name":"record"}')
    check(warm["ok"] and not warm["cold"] and warm["body"] == '{"message":"Hello, record_response!"}', str(warm))
    check([p["id"] for p in warm["phases"]] == ["wait", "connect", "request"], str(warm))
    check("not deployed" in told(127, "invoke", "nosuch"), "no such function")
    check("files are not read" in told(2, "invoke", "hello", "--spec", "http:POST:/:@/etc/passwd"), "a file was read")
    check("exit code" not in told(2, "deploy", "Bad_Name", "oci:x"), "bad name")


def look():
    check([f["name"] for f in data("ls")] == ["hello"] and text("ls", "-q") == "hello\n", "ls")
    one = data("inspect", "hello")
    check(one["max"] == 8 and one["keep_alive_us"] == 60000000 and one["port"] == 50051 and one["revision"] == 1, str(one))
    check(data("stats", "hello")["served"] == 2, "served")
    check("serving helloworld.Greeter" in text("logs", "hello"), "logs")
    eventually("a snapshot is saved", lambda: data("inspect", "hello")["snapshot"])
    events = [json.loads(line) for line in text("events", "hello", "-o", "json").splitlines()]
    check({"function.deployed", "instance.ready", "snapshot.saved"} <= {e["type"] for e in events}, str(events))
    vm = data("vm", "ls")[0]
    check(vm["function"] == "hello" and vm["state"] == "ready", str(vm))
    check(data("vm", "inspect", vm["id"][3:7])["id"] == vm["id"], "vm inspect")
    found = subprocess.run([CTL, "__complete", "--", "invoke", "h"], capture_output=True, timeout=20).stdout
    check(found.startswith(b"hello\t"), str(found))


def follow():
    watch = subprocess.Popen([CTL, "events", "-f", "-o", "json"], stdout=subprocess.PIPE)
    time.sleep(1)
    text("scale", "hello", "--min", "1")
    check(data("inspect", "hello")["min"] == 1 and data("inspect", "hello")["max"] == 8, "scale")
    check(json.loads(watch.stdout.readline())["function"] == "hello", "no event")
    watch.send_signal(signal.SIGINT)
    check(watch.wait(10) == 130, "a watch that was interrupted")


def by_hand():
    vm = data("vm", "ls")[0]["id"]
    text("vm", "pause", vm)
    check(data("vm", "inspect", vm)["state"] == "paused", "pause")
    text("vm", "resume", vm)
    check(data("vm", "inspect", vm)["state"] == "ready", "resume")
    saved = text("vm", "snapshot", vm).strip()
    check(saved in text("snapshot", "ls", "-q"), "snapshot")
    text("vm", "kill", vm)
    eventually("another comes up in its place", lambda: any(i["state"] == "ready" and i["id"] != vm
                                                             for i in data("vm", "ls")))
    check(told(127, "vm", "kill", vm).count("no instance"), "it was killed twice")


def update():
    text("update", "hello", "--env", "K=V", "--env", "L=W")
    text("update", "hello", "--env", "K=X")
    one = data("inspect", "hello")
    check(one["env"] == ["K=X", "L=W"] and one["revision"] == 3 and one["min"] == 1, str(one))
    check(data("invoke", "hello")["ok"], "the new revision")


def file():
    path = os.path.join(SCRATCH, "functions.yaml")
    pathlib.Path(path).write_text("- name: py\n  image: %s\n  keep_alive: 60s\n- name: two\n  image: %s\n  max: 2\n"
                                  % (image("pyhello"), image("hello")))
    check([f["name"] for f in data("deploy", "-f", path)] == ["py", "two"], "deploy -f")
    pathlib.Path(path).write_text("- name: x\n  image: y\n  mx: 2\n")
    check("functions.yaml:3:3: unknown key 'mx'; did you mean 'max'?" in told(2, "deploy", "-f", path), "place")
    text("rm", "two")
    check([f["name"] for f in data("ls")] == ["hello", "py"], "rm")


def processes():
    python = "/usr/bin/python3.11"
    big = b"".join(b"%d\n" % i for i in range(300000))
    copy = "import sys, shutil; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)"
    out = ctl("exec", "-i", "py", "--", python, "-c", copy, input=big).stdout
    check(hashlib.sha256(out).digest() == hashlib.sha256(big).digest(), "%d bytes came back" % len(out))
    ctl("exec", "py", "--", python, "-c", "import sys; sys.exit(7)", code=7)
    check("not found" in told(127, "exec", "py", "--", "nosuch"), "no such command")
    sleeper = subprocess.Popen([CTL, "exec", "py", "--", python, "-c", "import time; time.sleep(100)"])
    time.sleep(2)
    sleeper.send_signal(signal.SIGTERM)
    check(sleeper.wait(20) == 128 + signal.SIGTERM, "a signal is passed on")
    vm = [v["id"] for v in data("vm", "ls") if v["function"] == "py"][0]
    ctl("exec", vm, "--", python, "-c", "pass")


def stores():
    ref = image("jsonser")
    digest = text("image", "pull", ref).strip()
    check(data("image", "inspect", digest[:20])["digest"] == digest, "image inspect")
    check(data("image", "ls") == data("--local", "image", "ls"), "the daemon's images are others")
    text("image", "rm", digest)
    id_ = data("snapshot", "ls")[0]["id"]
    check(data("snapshot", "inspect", id_) == data("--local", "snapshot", "inspect", id_), "the daemon's snapshot")
    check(data("snapshot", "verify", id_) == [{"snapshot": id_, "ok": True}], "verify")


def slow_relay(at, to):
    """Passes on what is said between |at| and the socket |to|, but only a little of the answer at a time."""
    server = socket.socket(socket.AF_UNIX)

    def pass_on(source, sink, most, pause):
        with contextlib.suppress(OSError):
            while piece := source.recv(most):
                sink.sendall(piece)
                time.sleep(pause)
            sink.shutdown(socket.SHUT_WR)

    def serve():
        while True:
            near, far = server.accept()[0], socket.socket(socket.AF_UNIX)
            far.connect(to)
            threading.Thread(target=pass_on, args=(near, far, 65536, 0), daemon=True).start()
            threading.Thread(target=pass_on, args=(far, near, 200, 0.05), daemon=True).start()

    server.bind(at)
    server.listen()
    threading.Thread(target=serve, daemon=True).start()


def events_may_come_slowly(daemon):
    at = os.path.join(SCRATCH, "slow.sock")
    slow_relay(at, daemon.control)
    events = text("events", "hello", "-o", "json").splitlines()
    check(len(events) >= 10, "too few to take their time: %s" % events)
    slow = text("--socket", at, "events", "hello", "-o", "json").splitlines()
    check(slow[:len(events)] == events, "%d of %d events came" % (len(slow), len(events)))


def from_python(daemon):
    run = subprocess.run(["/usr/bin/python3", "-B", EXAMPLES / "control_client.py", "--socket", daemon.control,
                          image("hello")], capture_output=True, timeout=120)
    check(run.returncode == 0 and b"Hello, " in run.stdout, (run.stdout + run.stderr).decode())
    check("example" not in text("ls", "-q"), "the example's function is still there")


without_a_daemon()
with Daemon() as served:
    deploy_and_call()
    look()
    follow()
    by_hand()
    update()
    file()
    processes()
    stores()
    events_may_come_slowly(served)
    from_python(served)
    text("rm", "hello", "py")
    check(data("ls") == [] and data("vm", "ls") == [], "rm leaves something")
