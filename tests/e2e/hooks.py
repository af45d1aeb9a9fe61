#!/usr/bin/env python3
# timeout: 240
"""Hooks of the image: run before a snapshot and after a restore, as root, with the function's environment; one that
fails or hangs ends the start with its last words. And what a clone finds in /run/vhive."""
import os
import time

from vhive_e2e import ENGINES, STATE, Run, ask, check, ctl, guest_function, need

need("root", "qemu", "uffd")
PRE, POST = "/etc/vhive/hooks/pre-snapshot", "/etc/vhive/hooks/post-restore"
PASSWD = {"/etc/passwd": ("root:x:0:0:root:/root:/bin/sh\nweb:x:33:33:web:/:/bin/sh\n", 0o644)}


def image(name, **hooks):
    files = {{"pre": PRE, "post": POST}[kind]: ("#!/bin/sh\n" + script, 0o755) for kind, script in hooks.items()}
    return guest_function(name, {**PASSWD, **files}, ["sh", "cat", "id", "sleep"],
                          ["--config.user=web", "--config.env=GREETING=hi"])


def environment(run):
    return set(filter(None, ask(run.address, "env").decode().split("\0")))


def both_run():
    say = 'echo "%s: $(id -u) $GREETING $MORE $VHIVE_GENERATION $(cat /proc/$VHIVE_PID/comm)"; cat\n'
    ref = image("both", pre=say % "pre", post=say % "post")
    for engine in ENGINES:
        with Run(ref, engine, "--env", "MORE=more", "--restore-env", "POD=a", "--restore-env", "GREETING=ho") as run:
            generation = ask(run.address, "generation").decode().strip()
            check(int(generation) > 10**18, "generation %s" % generation)
            check("post: 0 hi more %s guest-function" % generation in run.text(), "post-restore: " + run.text())
            check(engine != "file" or "pre: 0 hi more 0 guest-function" in run.text(), "pre-snapshot: " + run.text())
            check({"POD=a", "GREETING=ho", "MORE=more"} <= environment(run) and "GREETING=hi" not in environment(run),
                  "environment of a clone: %s" % environment(run))
    with Run(ref, "reap", "--env", "MORE=more") as run:
        check("GREETING=hi" in environment(run) and "POD=a" not in environment(run), "what a clone had stays with it")
    with Run(ref, "boot", "--restore-env", "POD=b") as run:
        check("pre:" not in run.text() and "post:" not in run.text(), "a boot runs no hook: " + run.text())
        check(ask(run.address, "generation") == b"0\n", "generation after a boot")
        check({"POD=b", "GREETING=hi"} <= environment(run), "environment after a boot: %s" % environment(run))


def start_fails(ref, *words, engine="file", more=()):
    began = time.monotonic()
    done = ctl("run", ref, "--engine", engine, *more)
    check(done.returncode == 1, "%s: exit code %d" % (ref, done.returncode))
    error = done.stderr.splitlines()[-1]
    for word in words:
        check(word in error, "%s: '%s' is not in '%s'" % (ref, word, error))
    return time.monotonic() - began


def snapshots():
    return sorted(n for n in os.listdir(STATE + "/snapshots") if n != "labels")


def failing():
    before = snapshots()
    start_fails(image("pre-fails", pre="echo not; echo now >&2; exit 3"), PRE, "code 3", "not", "now")
    check(snapshots() == before, "half a snapshot is left")
    start_fails(image("post-fails", post="echo cannot reseed; exit 1"), POST, "code 1", "cannot reseed")
    for engine in ENGINES:
        start_fails(image("post-dies-" + engine, post="kill -9 $$"), POST, "signal 9", engine=engine)
    start_fails(image("full", pre="cat /dev/zero >/run/vhive/fill; exit 0"), "/run/vhive/env", "space",
                more=("--restore-env", "POD=a"))
    plain = guest_function("no-mode", {POST: ("text", 0o644)})
    start_fails(plain, POST, "ermission")


def hanging():
    took = start_fails(image("pre-hangs", pre="echo waiting; sleep 100"), PRE, "within 10 s", "waiting")
    check(took < 25, "a hook that hangs holds the snapshot up for %.0f s" % took)


def children_stay():
    for name, child in (("leaves", "sleep 100"), ("floods", "exec cat /dev/zero")):
        with Run(image(name, post="(%s) & echo left; sleep 0.3" % child), "file") as run:
            check("left" in run.text(), "a hook that leaves a child behind")


def a_dead_function_is_not_saved():
    before = snapshots()
    late = "(sleep 0; kill -9 $VHIVE_PID) &"  # when the hook has ended, as a rule: the agent waits for rest
    start_fails(image("killer", pre=late), "killed by signal 9")
    check(snapshots() == before, "a snapshot of a dead function was stored")


both_run()
failing()
hanging()
children_stay()
a_dead_function_is_not_saved()
