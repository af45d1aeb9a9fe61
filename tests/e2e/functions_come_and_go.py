#!/usr/bin/env python3
# timeout: 400
"""Deployed functions, by the C API with real VMs: vHive's FuncPool oracle, snapshots made beside requests, revisions,
budgets by which others' idle instances end, damaged snapshots, and functions that are there again after a restart."""
import json
import os
import socket
import subprocess
import time

from vhive_e2e import BUILD, GREETER, STATE, check, image, need

need("root", "qemu", "uffd")
HELLO = image("hello")
CALL = (GREETER % "record").replace(" ", "")


class Host:
    """A process with functions: functions/fn_host.c."""

    def __init__(self, **settings):
        self.process = subprocess.Popen([os.path.join(BUILD, "tests/e2e/fn-host")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env={**os.environ, **settings})
        check(self.hear() == "ready", "fn-host does not come up")

    def hear(self):
        return self.process.stdout.readline().strip()

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.process.stdin.flush()
        return self.hear()

    def do(self, *words):
        answer = self.ask(*words)
        check(answer and not answer.startswith("error:"), "%s: %s" % (" ".join(map(str, words)), answer))
        return answer

    def deploy(self, name, min=0, max=8, concurrency=100, retire=0, keep_alive_ms=60000, memory=0, env=""):
        self.do("deploy", name, HELLO, min, max, concurrency, retire, keep_alive_ms, memory, env)

    def serve(self, name, times, threads=1):
        served = json.loads(self.do("serve", name, times, threads, CALL))
        check(served["ok"] == times, "%d calls of %s: %s" % (times, name, served))
        return served

    def show(self, name):
        return json.loads(self.do("show", name))

    def until(self, name, what, so, seconds=30):
        end = time.monotonic() + seconds
        while not so(self.show(name)):
            check(time.monotonic() < end, "%s: never %s: %s" % (name, what, self.show(name)))
            time.sleep(0.02)
        return self.show(name)

    def counts(self, name, started, served, what):
        found = self.show(name)
        check((found["started"], found["served"]) == (started, served), "%s: %s" % (what, found))
        print("%s: started %d, served %d" % (what, started, served), flush=True)

    def quit(self):
        self.process.stdin.write("quit\n")
        self.process.stdin.close()
        check(self.process.wait(60) == 0, "fn-host: exit code %s" % self.process.returncode)


def snapshot_of(host, name):
    """Waits for the snapshot that is made beside requests."""
    return host.until(name, "saved", lambda f: f["snapshot"])["snapshot"]


def first_start(host):
    host.deploy("hello", retire=40)
    first = host.serve("hello", 1)
    check(first["first_cold"], "the first call is not cold: %s" % first)
    check(host.show("hello")["vms"][0]["engine"] == "boot", "the first start is no boot")
    snapshot_of(host, "hello")
    check(not host.serve("hello", 1)["cold"], "the second call is cold")
    output = host.do("logs", "hello")
    check("serving" in output and "nameless" not in output, "its output: %s" % output)


def oracle(host):
    host.serve("hello", 98)
    host.counts("hello", 3, 100, "100 calls, one after the other")
    check(host.show("hello")["vms"][-1]["engine"] == "reap", "later starts are no restores")
    host.do("remove", "hello")
    host.deploy("hello", retire=40)
    host.serve("hello", 100, 20)
    host.counts("hello", 3, 100, "100 calls, 20 at once")
    host.do("remove", "hello")
    host.deploy("hello")
    check(host.serve("hello", 100, 100)["ok"] == 100, "100 at once")
    host.counts("hello", 1, 100, "100 calls at once")
    host.do("kill", host.show("hello")["vms"][0]["vm"])
    host.until("hello", "ended", lambda f: f["instances"] == 0)
    host.serve("hello", 2)
    host.counts("hello", 2, 102, "two more after a kill")


def connections(host):
    kind, address, port = host.show("hello")["address"].split(":")
    check(kind == "tcp", "address %s" % address)
    with socket.create_connection((address, int(port)), 20) as s:
        s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        check(len(s.recv(9)) == 9, "no HTTP/2 settings from the function by its address")
        host.until("hello", "active", lambda f: f["active"] == 1)
        s.shutdown(socket.SHUT_WR)
        while s.recv(4096):
            pass
    host.until("hello", "idle", lambda f: f["active"] == 0)


def by_hand(host):
    vm = host.show("hello")["vms"][0]["vm"]
    host.do("pause", vm)
    check(host.show("hello")["vms"][0]["state"] == "paused", "not paused")
    host.do("resume", vm)
    check(not host.serve("hello", 1)["cold"], "a resumed instance is not used")
    check(host.do("exec", "hello", "/nonexistent") == "127", "exec")


def revisions(host):
    host.deploy("hello", env="K=V")
    found = host.show("hello")
    check(found["revision"] == 2 and found["snapshot"] == "", "no new revision: %s" % found)
    host.until("hello", "rid of the old", lambda f: f["instances"] == 0)
    host.serve("hello", 3)
    check({v["revision"] for v in host.show("hello")["vms"]} == {2}, "an old revision serves")
    snapshot_of(host, "hello")
    host.deploy("hello", env="K=V", max=3)
    check(host.show("hello")["revision"] == 2, "another maximum is no new revision")


def restart(host):
    before = host.show("hello")
    host.do("restart")
    after = host.show("hello")
    for key in ("address", "revision"):
        check(before[key] == after[key], "%s -> %s" % (before, after))
    host.serve("hello", 1)
    check(host.show("hello")["vms"][0]["engine"] == "reap", "it is not restored after a restart")


def damage(host):
    found = host.show("hello")
    host.do("kill", found["vms"][0]["vm"])
    host.until("hello", "ended", lambda f: f["instances"] == 0)
    with open(os.path.join(STATE, "snapshots", found["snapshot"], "vmstate"), "r+b") as f:
        f.truncate(1000)
    host.serve("hello", 1)
    check(host.show("hello")["vms"][0]["engine"] == "boot", "a damaged snapshot is restored")
    check(any(n.startswith("bad-") for n in os.listdir(os.path.join(STATE, "snapshots"))), "it was not set aside")
    snapshot_of(host, "hello")
    print("a damaged snapshot is set aside, the function booted and saved anew", flush=True)


def budget(host):
    for name in ("one", "two", "three"):
        host.deploy(name)
    check("budget.memory" in host.ask("deploy", "large", HELLO, 0, 1, 1, 0, 0, 2000), "a function that never fits")
    for turn in range(2):
        for name in ("one", "two", "three", "hello"):
            host.serve(name, 2, 2)
            count = sum(host.show(n)["instances"] for n in ("one", "two", "three", "hello"))
            check(count <= 2, "%d instances in a budget for two" % count)
    print("four functions in a budget for two instances: each was served", flush=True)


first = Host(VHIVE_BUDGET_MEMORY="600M")
second = subprocess.run([os.path.join(BUILD, "tests/e2e/fn-host")], stdin=subprocess.DEVNULL, capture_output=True,
                        text=True)
check("another process" in second.stdout, "two processes with the same functions: %s" % second.stdout)
for test in (first_start, oracle, connections, by_hand, revisions, restart, damage, budget):
    begin = time.monotonic()
    test(first)
    print("%s: %.1f s" % (test.__name__, time.monotonic() - begin), flush=True)
first.quit()
