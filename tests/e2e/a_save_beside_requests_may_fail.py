#!/usr/bin/env python3
# timeout: 240
"""Saving a VM that serves, when its hook takes long, its hook fails, its function ends, or its VMM dies: it serves
meanwhile, and afterwards if it can; and no half of a snapshot is left."""
import os
import signal
import socket
import time

from vhive_e2e import STATE, ask, check, guest_function, image, need
from vhive_vm_host import VmHost

need("root", "qemu", "uffd")
PRE = "/etc/vhive/hooks/pre-snapshot"
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"  # with empty SETTINGS
PING = b"\0\0\10\6\0\0\0\0\0" + b"are you?"


def snapshots():
    return [n for n in os.listdir(STATE + "/snapshots") if n != "labels"]


def with_hook(name, script):
    host = VmHost(guest_function(name, {PRE: ("#!/bin/sh\n" + script, 0o755)}, ["sh", "sleep"]))
    host.run("file", "boot")
    return host


def random_of(host):
    answer = ask(host.address, "random")
    check(len(answer) == 32, "it answers %r" % answer)


def serves_while_the_hook_runs():
    host = with_hook("slow", "sleep 3")
    host.say("snapshot")
    begin, longest = time.monotonic(), 0
    while time.monotonic() < begin + 2:
        before = time.monotonic()
        random_of(host)
        longest = max(longest, time.monotonic() - before)
    check(longest < 1, "while the hook ran, an answer took %.1f s" % longest)
    check(host.hear() in snapshots(), "no snapshot")
    random_of(host)
    host.run("file", "file")
    random_of(host)
    host.end()


def goes_on_when_the_hook_fails():
    before = snapshots()
    host = with_hook("fails", "echo not now; exit 3")
    for _ in range(2):
        host.refuses("snapshot", "VH_EGUEST", PRE, "code 3", "not now")
        random_of(host)
    check(snapshots() == before, "half a snapshot is left")
    host.end()


def ends_with_its_function():
    before = snapshots()
    host = with_hook("dies", "sleep 2")
    host.say("snapshot")
    time.sleep(0.5)
    ask(host.address, "die")
    answer = host.hear()
    check(answer.startswith("error: VH_EGUEST: ") and "signal 6" in answer, "its function ended: " + answer)
    check("signal 6" in host.do("wait"), "its end was not told")
    check(snapshots() == before, "half a snapshot is left")
    host.refuses("pause", "VH_ESTATE", "ended")
    host.run("file", "boot")
    random_of(host)
    host.say("snapshot")
    time.sleep(0.5)
    os.kill(host.vmm(), signal.SIGKILL)
    answer = host.hear()
    check(answer.startswith("error: VH_EVMM: ") and "SIGKILL" in answer, "its VMM was killed: " + answer)
    check("SIGKILL" in host.do("wait"), "its end was not told")
    check(snapshots() == before, "half a snapshot is left")
    host.run("file", "boot")
    random_of(host)
    host.end()


def ping(s):
    s.sendall(PING)
    said = b""
    while PING[9:] not in said:
        piece = s.recv(4096)
        check(piece, "the connection ended: %r" % said)
        said += piece


def connect(host):
    address, port = host.address.split(":")
    s = socket.create_connection((address, int(port)), 20)
    s.sendall(HTTP2)
    ping(s)
    return s


def keeps_http2():
    """A connection of HTTP/2 outlives the save; clones, which know it still, answer others."""
    host = VmHost(image("hello"))
    host.run("reap", "boot")
    with connect(host) as before:
        host.do("snapshot")
        ping(before)
    for _ in range(2):
        host.run("reap", "reap")
        connect(host).close()
    host.end()


serves_while_the_hook_runs()
goes_on_when_the_hook_fails()
ends_with_its_function()
keeps_http2()
