#!/usr/bin/env python3
"""leakcheck.py save FILE [FOLDER]... | compare FILE [FOLDER]...

save notes what of the machine a test could leave behind: network namespaces, links, nftables tables, mounts, cgroups,
Unix sockets, processes of vHive and QEMU, and all files below the FOLDERs. compare names what is new since then and
exits with 1; what the kernel takes down in its own time has SECONDS to go.
"""
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

SECONDS = 8
LOCK_FILE = re.compile(r"(.*\.)?lock")
PROCESSES = re.compile(r"^(qemu-system|vhive|vhived)")


def lines(*command):
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    return run.stdout.splitlines()


def processes():
    """pid, start time and command of each; the start time tells a reused pid from the old one."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
            command = (stat.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended
        name = text[text.index("(") + 1:text.rindex(")")]
        fields = text[text.rindex(")") + 2:].split()
        if PROCESSES.match(name) and fields[0] != "Z":  # a zombie waits for this machine's init, not for us
            found.add(f"{stat.parent.name} from {fields[19]} ({name}) {command[:150]}")
    return found


def namespaces():
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.add(os.readlink(process / "ns/net"))
        except OSError:
            continue  # it has ended
    return found


def mounts():
    return {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}


def cgroups():
    return {os.path.join(folder, name) for folder, names, _ in os.walk("/sys/fs/cgroup") for name in names if "vh" in name}


def sockets(folders):
    """Bound Unix sockets of ours: by name, or below one of the folders."""
    paths = {line.split()[7] for line in Path("/proc/net/unix").read_text().splitlines()[1:] if len(line.split()) > 7}
    return {p for p in paths if "vhive" in p or any(p.startswith(f) for f in folders)}


def entries(folders):
    """What lies below run directories, but for their standing folders and for lock files, which stay."""
    return {str(p) for folder in folders for p in Path(folder).rglob("*")
            if not (p.is_dir() and p.parent == Path(folder)) and not LOCK_FILE.fullmatch(p.name)}


def state(folders):
    named = Path("/run/netns")
    return {kind: sorted(found) for kind, found in {
        "network namespace": namespaces(),
        "named network namespace": set(os.listdir(named)) if named.is_dir() else set(),
        "link": set(os.listdir("/sys/class/net")),
        "nftables table": set(lines("nft", "list", "tables")),
        "mount": mounts(),
        "cgroup": cgroups(),
        "socket": sockets(folders),
        "process": processes(),
        "file": entries([*folders, *map(str, Path("/run").glob("vhive*"))]),
    }.items()}


def new_things(before, folders):
    now = state(folders)
    return [f"left behind: {kind} {thing}" for kind in now for thing in now[kind] if thing not in before[kind]]


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("save", "compare"):
        sys.exit(__doc__)
    file, folders = Path(sys.argv[2]), sys.argv[3:]
    if sys.argv[1] == "save":
        file.write_text(json.dumps(state(folders)))
        return
    before = json.loads(file.read_text())
    deadline = time.monotonic() + SECONDS
    while (left := new_things(before, folders)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for thing in left:
        print(thing)
    sys.exit(1 if left else 0)


if __name__ == "__main__":
    main()
