#!/usr/bin/env python3
"""evict.py PATH...: drops files, or all files below folders, from the page cache, so that the next read is cold."""
import os
import sys
from pathlib import Path


def evict(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)  # only clean pages can be dropped
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    for top in map(Path, sys.argv[1:]):
        for path in [top] if top.is_file() else top.rglob("*"):
            if path.is_file():
                evict(path)


if __name__ == "__main__":
    main()
