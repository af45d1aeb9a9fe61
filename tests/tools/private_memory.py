#!/usr/bin/env python3
"""private_memory.py PID [--maps]: KiB of memory that a process alone has written (Private_Dirty), its shared libraries
apart, which are what their relocations cost in every program; --maps shows where it is."""
import re
import sys


def mappings(pid):
    """(name, Private_Dirty in KiB) of each mapping."""
    name = ""
    with open("/proc/%s/smaps" % pid) as f:
        for line in f:
            head = re.match(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)$", line)
            if head:
                name = head.group(1) or "[anonymous]"
            elif line.startswith("Private_Dirty:"):
                yield name, int(line.split()[1])


def is_library(name):
    return re.search(r"\.so(\.|$)", name) is not None


def private_kib(pid):
    """KiB of the program itself, KiB of its libraries."""
    found = list(mappings(pid))
    return sum(k for n, k in found if not is_library(n)), sum(k for n, k in found if is_library(n))


if __name__ == "__main__":
    own, libraries = private_kib(sys.argv[1])
    print("%d KiB, and %d KiB of shared libraries" % (own, libraries))
    if "--maps" in sys.argv:
        for mapping, kib in sorted(mappings(sys.argv[1]), key=lambda m: -m[1])[:25]:
            print("%8d %s" % (kib, mapping))
