#!/usr/bin/env python3
# timeout: 300
"""Snapshots that are damaged or of another machine: a named engine refuses them in words, engine auto sets them aside and
boots; where page faults cannot be served auto restores by file. Never a wrong answer, never a restore of the wrong one."""
import hashlib
import json
import os
import shutil
import stat

from vhive_e2e import GREETER, SCRATCH, STATE, Run, check, ctl, ctl_ok, image, invoke, need, snapshot_dir
from vhive_faults import mount, own_mounts, told

need("root", "qemu", "uffd")
own_mounts()
WANT = '{"message":"Hello, record_response!"}'
SPEC = GREETER % "record"


def run(engine, *more, env=None):
    done = ctl("run", image("hello"), "--engine", engine, "--invoke", SPEC, "-o", "json", *more,
               env={**os.environ, **(env or {})})
    answer = json.loads(done.stdout) if done.returncode == 0 else None
    check(not answer or answer["body"].strip() == WANT, "wrong answer: %s" % answer)
    return done, answer


def refused(what, *words):
    done, _ = run("file")
    told(what, done.returncode, done.stderr, *words)


def snapshots():
    return {row["id"]: row["state"] for row in json.loads(ctl_ok("snapshot", "ls", "-o", "json"))}


def boots_instead(what):
    """Engine auto sets the snapshot aside and boots; the next run makes another, and restores that."""
    bad = os.path.basename(snapshot_dir())
    done, answer = run("auto")
    check(answer and answer["engine"] == "boot" and answer["snapshot"] == "", "%s: %s" % (what, done.stderr))
    for word in ("bad-" + bad, "instead"):
        check(word in done.stderr, "%s: nothing of '%s' in:\n%s" % (what, word, done.stderr))
    check(snapshots() == {"bad-" + bad: "quarantined"}, "%s: %s" % (what, snapshots()))
    _, answer = run("auto")
    check(answer and answer["engine"] == "reap" and answer["snapshot"] == bad, "%s: not made anew: %s" % (what, answer))
    check(snapshots() == {"bad-" + bad: "quarantined", bad: "ready"}, "%s: %s" % (what, snapshots()))
    print("%s: auto boots, and the next run restores a new one" % what, flush=True)


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha256(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def rewrite_manifest(change):
    """Edits the manifest and gives it the digest it then has."""
    path = os.path.join(snapshot_dir(), "manifest.json")
    with open(path) as f:
        manifest = json.load(f, parse_float=lambda text: int(float(text)))  # whole numbers, as "1.7e+15" too
    manifest.pop("digest")
    change(manifest)
    manifest["digest"] = sha256(canonical(manifest))
    with open(path, "w") as f:
        json.dump(manifest, f)


def replace_state(content):
    """Another VMM state, as if it had been saved: all digests fit."""
    with open(os.path.join(snapshot_dir(), "vmstate"), "wb") as f:
        f.write(content)
    rewrite_manifest(lambda m: m["vmstate"].update(bytes=len(content), digest=sha256(content)))


def state():
    with open(os.path.join(snapshot_dir(), "vmstate"), "rb") as f:
        return f.read()


def flip_state():
    path = os.path.join(snapshot_dir(), "vmstate")
    content = bytearray(state())
    content[4096] ^= 0xFF
    with open(path, "wb") as f:
        f.write(content)


def of_another_machine():
    """The state names the machine it is of; QEMU itself refuses another."""
    replace_state(state().replace(b"microvm", b"macrovm", 1))


run("reap")

flip_state()
refused("state of other bytes", "vmstate", "not what was saved", "snapshot rm")
boots_instead("state of other bytes")

of_another_machine()
refused("state of another machine", "does not load", "snapshot rm")
boots_instead("state of another machine")

whole = state()
replace_state(whole[:20000])
refused("state cut short", "does not load", "snapshot rm")
replace_state(whole)
rewrite_manifest(lambda m: m["identity"].update(memory_mib=512))
refused("edited identity", "manifest.json", "snapshot rm")
rewrite_manifest(lambda m: m["identity"].update(memory_mib=256))
rewrite_manifest(lambda m: m.update(format=99))
refused("format of another version", "99", "snapshot rm")
rewrite_manifest(lambda m: m.update(format=1))

# the machine decides the key: what was made for another is not found
good = os.path.basename(snapshot_dir())
for more in (("--memory", "192M"), ("--cpus", "2")):
    made = ctl_ok("snapshot", "create", image("hello"), *more).strip()
    check(made != good, "%s: the snapshot of another machine was taken" % (more,))
    ctl_ok("snapshot", "rm", made)
other = os.path.join(SCRATCH, "qemu")
with open(other, "w") as f:
    f.write('#!/bin/sh\n[ "$1" = --version ] && echo "QEMU emulator version 7.2.99" && exit\n'
            'exec %s "$@"\n' % shutil.which("qemu-system-x86_64"))
os.chmod(other, 0o755)
made = ctl_ok("snapshot", "create", image("hello"), env={**os.environ, "VHIVE_VMM_QEMU": other}).strip()
check(made != good, "the snapshot of another QEMU was taken")
ctl_ok("snapshot", "rm", made)
done, answer = run("auto")
check(answer and answer["snapshot"] == good, "the good one suffered: %s" % done.stderr)
print("other memory, processors and QEMU: snapshots of their own", flush=True)

# pages that are gone under a running guest: it ends with an error, and reads no zeros
for engine in ("uffd", "reap"):
    made = Run("pyhello", engine)
    made.wait_ready()
    folder = os.path.join(STATE, "snapshots", next(s for s in snapshots() if s != good and not s.startswith("bad-")))
    memory = os.path.join(folder, "memory")
    size = os.path.getsize(memory)
    os.truncate(memory, 0)
    answers = set()
    try:
        while True:
            answers.add(made.get("/echo", data=b"x" * 1000000, timeout=10))
    except OSError:
        pass
    check(answers <= {b"x" * 1000000}, "%s: a wrong answer" % engine)
    told("memory file cut under %s" % engine, made.process.wait(20), made.text(), "memory file")
    made.log.close()
    os.truncate(memory, size)
    ctl_ok("snapshot", "rm", os.path.basename(folder))



def without_userfaultfd(what):
    done, _ = run("reap")
    told("userfaultfd is %s" % what, done.returncode, done.stderr, "/dev/userfaultfd", "engine file")
    check(done.returncode == 126, "%s: exit code %d" % (what, done.returncode))
    done, answer = run("auto")
    check(answer and answer["engine"] == "file", "userfaultfd is %s: %s" % (what, done.stderr))
    check("warn" in done.stderr and "/dev/userfaultfd" in done.stderr, "no warning:\n%s" % done.stderr)


def hide_device(name):
    """A /dev with the same devices but one."""
    there = {n: os.lstat(os.path.join("/dev", n)) for n in [*os.listdir("/dev"), "net/tun"]}
    folder = os.path.join(SCRATCH, "dev")
    os.makedirs(os.path.join(folder, "net"))
    mount("-t", "tmpfs", "none", folder)
    os.makedirs(os.path.join(folder, "net"))
    for node, info in there.items():
        if stat.S_ISCHR(info.st_mode) and node != name:
            os.mknod(os.path.join(folder, node), info.st_mode, info.st_rdev)
    mount("--bind", folder, "/dev")


mount("--bind", "/dev/null", "/dev/userfaultfd")
without_userfaultfd("another device")
hide_device("userfaultfd")
without_userfaultfd("missing")
