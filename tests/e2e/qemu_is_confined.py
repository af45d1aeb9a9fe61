#!/usr/bin/env python3
"""QEMU, under every engine: a user of its own, no capability, no way to new ones, a seccomp filter; it can read the
snapshot's memory and not write it. All works below a folder that only root may enter."""
import os

from vhive_e2e import Run, STATE, check, children, command_of, need

need("root", "qemu", "uffd")
os.makedirs(STATE)
os.chmod(STATE, 0o700)  # as the checkout of a user whose home is closed
os.chown(STATE, 12345, 12345)


def status(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def access_mode(pid, suffix):
    """Access modes of the descriptors that lead to a file of that name."""
    modes = []
    for fd in os.listdir("/proc/%d/fd" % pid):
        if os.readlink("/proc/%d/fd/%s" % (pid, fd)).endswith(suffix):
            with open("/proc/%d/fdinfo/%s" % (pid, fd)) as f:
                flags = next(line for line in f if line.startswith("flags:"))
            modes.append(int(flags.split()[1], 8) & os.O_ACCMODE)
    return modes


for engine in ("boot", "file", "uffd", "reap"):
    with Run("hello", engine) as run:
        pid = next(p for p in children(run.process.pid) if command_of(p).startswith("qemu"))
        s = status(pid)
        uids = set(s["Uid"].split()) | set(s["Gid"].split())
        check(len(uids) == 1 and int(uids.pop()) >= 900000, "%s: runs as %s/%s" % (engine, s["Uid"], s["Gid"]))
        for caps in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            check(int(s[caps], 16) == 0, "%s: %s is %s" % (engine, caps, s[caps]))
        check(s["NoNewPrivs"] == "1" and s["Seccomp"] == "2", "%s: can gain privileges or call anything" % engine)
        modes = access_mode(pid, "/memory")
        check(all(m == os.O_RDONLY for m in modes), "%s: can write the snapshot's memory" % engine)
        check(engine != "file" or modes, "file: where is the memory file?")
        check(set(access_mode(pid, "rootfs.squashfs")) == {os.O_RDONLY}, "%s: can write the image" % engine)
        check(not access_mode(pid, "userfaultfd"), "%s: kept the device of userfaultfd" % engine)
        netns = {os.readlink("/proc/%d/ns/net" % p) for p in (os.getpid(), pid)}
        check(len(netns) == 2, "%s: is in the host's network" % engine)
    print("%-5s ok" % engine)
