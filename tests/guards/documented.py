"""documented.py [ROOT]: every function declared in include/vhive has a comment in the header.

A comment ends on the line above a prototype or stands behind it; prototypes on adjoining lines may share one.
"""
import re
import sys
from pathlib import Path

from guard import ROOT, files, finish, without_comments

PROTOTYPE = re.compile(r"^(?:VH_\w+(?:\([^)]*\))?\s+)*[A-Za-z_][\w \t*]*?\b(vh_\w+)\([^;{]*\)[^;{}]*;", re.M)


def undocumented(source):
    """(line number, function) of each prototype that no comment speaks of."""
    lines = source.splitlines()
    documented_end = None  # last line of the last documented prototype
    for match in PROTOTYPE.finditer(without_comments(source)):
        first = source.count("\n", 0, match.start())
        last = source.count("\n", 0, match.end())
        above = lines[first - 1].rstrip() if first else ""
        if above.endswith("*/") or "/*" in lines[last] or first - 1 == documented_end:
            documented_end = last
        else:
            yield first + 1, match.group(1)


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    headers = [p for p in files(root, ".h") if p.parts[0] == "include"]
    finish([f"{path}:{line}: {name}() has no comment" for path in headers
            for line, name in undocumented((root / path).read_text())],
           f"{len(headers)} headers document what they declare")


if __name__ == "__main__":
    main()
