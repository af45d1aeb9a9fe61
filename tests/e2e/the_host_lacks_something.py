#!/usr/bin/env python3
# timeout: 300
"""A host without room, without rights to write, without a kernel package, without addresses: each an error that names the
thing, the cause and the remedy; nothing is left, and once it is mended the function answers."""
import fcntl
import os
import shutil
import struct

from vhive_e2e import GREETER, SCRATCH, check, ctl, ctl_ok, image, need
from vhive_faults import mount, own_mounts, resize_disk, small_disk, told

need("root", "qemu", "uffd")
own_mounts()
CALL = ("run", image("hello"), "--invoke", GREETER % "record")


def refused(what, command, *words, **env):
    done = ctl(*command, env={**os.environ, **env})
    told(what, done.returncode, done.stderr, *words)


def left(folder):
    """Names below a folder that stand for something half-made."""
    return [os.path.join(f, n) for f, folders, files in os.walk(folder) for n in [*folders, *files]
            if n.startswith((".new", ".tmp", ".gone", ".download"))]


def nothing_left(what, folder):
    check(not left(folder), "%s: left behind: %s" % (what, left(folder)))


# no room: for the image, for the device state, for the memory
disk = small_disk("disk", 4 << 20)
there = ("--state-dir", disk)
refused("no room to convert", ("run", image("pyhello"), *there), "pyhello", "no space")
nothing_left("no room to convert", disk)
resize_disk(disk, 16 << 20)
ctl_ok(*CALL, "--engine", "boot", *there)
for free in (12 << 10, 1 << 20):
    resize_disk(disk, free)
    refused("no room to save, %d KiB" % (free >> 10), ("snapshot", "create", image("hello"), *there), "no room", disk,
            "snapshot")
    nothing_left("no room to save", disk)
    check(ctl_ok("snapshot", "ls", "--no-headers", *there).strip() == "", "a half snapshot is listed")
resize_disk(disk, 256 << 20)
ctl_ok("snapshot", "create", image("hello"), *there)

# no rights to write
mount("--bind", disk, disk)
mount("-o", "remount,bind,ro", disk)
refused("state directory is read-only", (*CALL, *there), disk, "read-only", "--state-dir")
refused("no state directory can be made", (*CALL, "--state-dir", disk + "/below"), disk + "/below", "read-only", "--state-dir")
refused("run directory is read-only", (*CALL, "--run-dir", disk), disk, "read-only", "--state-dir")
refused("no run directory can be made", (*CALL, "--run-dir", disk + "/below"), disk + "/below", "read-only", "--state-dir")

# no kernel: nothing unpacked, and apt knows of no package
empty = os.path.join(SCRATCH, "apt")
for folder in ("lists/partial", "cache/archives/partial", "etc/sources.list.d"):
    os.makedirs(os.path.join(empty, folder))
config = os.path.join(SCRATCH, "apt.conf")
with open(config, "w") as f:
    f.write('Dir::Etc "%s/etc";\nDir::State::lists "%s/lists";\nDir::Cache "%s/cache";\n' % (empty, empty, empty))
kernels = os.path.join(SCRATCH, "kernels")
refused("no kernel package", CALL, "kernel", "linux-image-cloud-amd64", "linux-image-*.deb into " + kernels,
        APT_CONFIG=config, VHIVE_GUEST_DIR=kernels)
nothing_left("no kernel package", kernels)
shutil.rmtree(kernels, ignore_errors=True)

# no address: all of the smallest pool are held, in a ledger that only we see
ledger = os.path.join(SCRATCH, "leases")
os.makedirs(ledger, 0o700)
os.makedirs("/run/vhive-net", 0o700, exist_ok=True)
mount("--bind", ledger, "/run/vhive-net")
held = []
for name in range(1, 8):
    held.append(open(os.path.join(ledger, str(name)), "w"))
    fcntl.fcntl(held[-1], fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
refused("no address left", (*CALL, "--net-pool", "198.19.254.0/28"), "7 addresses", "net.pool")
check(len(os.listdir(ledger)) == 7 + os.path.exists(os.path.join(ledger, ".lock")), "the ledger has %s" % os.listdir(ledger))
