#!/usr/bin/env python3
"""doctor_finds_faults.py VHIVE_CTL LIBEXEC: `vhive-ctl doctor` tells each fault that is made here, with a remedy and
exit code 126, and leaves nothing behind. Faults of the machine are made in a mount namespace of their own."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

ctl, libexec = sys.argv[1:]
if os.geteuid() != 0:
    print("skip: root: faults are made by mounts")
    sys.exit(77)
scratch = tempfile.mkdtemp(prefix="vhive-doctor.")
state, run = os.path.join(scratch, "state"), os.path.join(scratch, "run")
KERNEL = ("--guest-kernel", ctl)  # any file: asking apt takes seconds, and is tried once
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all,+dac_read_search",
          "--ambient-caps=-all,+dac_read_search")


def examine(*options, before="", prefix=()):
    """Exit code and findings by check; |before| is run by a shell in the mount namespace."""
    command = [*prefix, ctl, "--state-dir", state, "--run-dir", run, *KERNEL, "doctor", "-o", "json", *options]
    if before:
        command = ["unshare", "-m", "sh", "-ec", before + '\nexec "$@"', "sh", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        sys.exit("FAILED: %s: exit code %d\n%s%s" % (options, done.returncode, done.stdout, done.stderr))
    for f in found:
        if set(f) != {"check", "status", "detail", "remedy"} or f["status"] not in ("ok", "warn", "fail"):
            sys.exit("FAILED: %s" % f)
        if (f["status"] == "ok") != (f["remedy"] == "") or not f["detail"]:
            sys.exit("FAILED: a remedy belongs to what is not ok: %s" % f)
    return done.returncode, {f["check"]: f for f in found}


def fails(check, word, *options, **more):
    code, found = examine(*options, **more)
    f = found[check]
    if code != 126 or f["status"] != "fail" or word not in f["detail"]:
        sys.exit("FAILED: %s: exit code %d, %s" % (check, code, f))
    print("%s: %s -> %s" % (check, f["detail"], f["remedy"]))


def machine():
    """What a check could have left on the machine."""
    with open("/proc/mounts") as f:
        mounts = f.read()
    with open("/proc/sys/net/ipv4/ip_forward") as f:
        forward = f.read()
    return sorted(os.listdir(scratch)), mounts, forward


def full_group():
    """A control group whose limit would do for a VM, were it not for what another process in it has."""
    for root, limit in (("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")):
        group = os.path.join(root, "vhive-doctor.%d" % os.getpid())
        try:
            os.mkdir(group)
        except OSError:
            continue
        if os.path.exists(os.path.join(group, limit)):
            break
        os.rmdir(group)
    else:
        print("memory: no control group can be made")
        return
    join = "echo $$ >%s/cgroup.procs" % group
    with open(os.path.join(group, limit), "w") as f:
        f.write(str(700 << 20))
    hog = subprocess.Popen(["sh", "-ec", join + '\nexec "$@"', "sh", sys.executable, "-c",
                            "x = b'x' * (500 << 20); print('full', flush=True); input()"],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if hog.stdout.readline() != "full\n":
            sys.exit("FAILED: 500 MiB were not to be had")
        fails("memory", "free", before=join)
    finally:
        hog.communicate("\n")
        for _ in range(50):  # what ended stays in its group for a moment
            try:
                os.rmdir(group)
                break
            except OSError:
                time.sleep(0.1)


def faults():
    qemu = os.path.join(scratch, "qemu")
    with open(qemu, "w") as f:
        f.write("#!/bin/sh\necho 'QEMU emulator version 6.2.0 (Debian)'\n")
    os.chmod(qemu, 0o755)
    fails("qemu", "/nonexistent/qemu", "--vmm-qemu", "/nonexistent/qemu")
    fails("qemu", "6.2.0", "--vmm-qemu", qemu)
    os.unlink(qemu)
    fails("userfaultfd", "/dev/userfaultfd", before="mount --bind /dev/null /dev/userfaultfd")
    fails("tun", "tap0", before="mount --bind /dev/null /dev/net/tun")
    os.mkdir(state)
    fails("state-dir", "Read-only", before="mount -t tmpfs -o ro none %s" % state)
    fails("state-dir", "free", before="mount -t tmpfs -o size=16m none %s" % state)
    os.rmdir(state)
    fails("run-dir", "64", "--run-dir", "/tmp/" + "x" * 64)
    fails("run-dir", "/dev/null", "--run-dir", "/dev/null/x")
    fails("programs", "/nonexistent", "--libexec-dir", "/nonexistent")
    fails("programs", "executed", "--libexec-dir", libexec,
          before="mount --bind {0} {0} && mount -o remount,bind,noexec {0}".format(libexec))
    if os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 64 << 30: # the most that may be asked for
        fails("memory", "free", "--function-memory", "64G")
    full_group()
    fails("root", "65534", prefix=NOBODY)
    fails("root", "CAP_NET_ADMIN", prefix=("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"))
    fails("guest-kernel", "/nonexistent/vmlinux", "--guest-kernel", "/nonexistent/vmlinux")
    fails("guest-kernel", "none to download", "--guest-kernel", "", "--guest-package", "linux-image-0-of-the-tests")


try:
    before = machine()
    code, found = examine()
    missing = [f for f in found.values() if f["status"] == "fail"]
    if missing or code != 0:
        print("skip: %s: %s" % (missing[0]["check"], missing[0]["detail"]))
        sys.exit(77)
    text = subprocess.run([ctl, "--state-dir", state, "--run-dir", run, "doctor"], capture_output=True, text=True,
                          timeout=60).stdout
    for check in found:
        if "  %s " % check not in text:
            sys.exit("FAILED: nothing of %s in:\n%s" % (check, text))
    faults()
    if machine() != before:
        sys.exit("FAILED: something is left: %s, before %s" % (machine(), before))
finally:
    shutil.rmtree(scratch)
