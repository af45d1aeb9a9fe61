"""portable.py [ROOT]: nothing in the tree is tied to one machine: no path of a checkout, no package mirror."""
import re
import sys
from pathlib import Path

from guard import ROOT, files, finish

# Each pattern is written so that it does not match itself.
FORBIDDEN = {
    re.compile(r"(?:^|[^\w.}-])/(?:wor[k]|far[m]|User[s])"): "a path of one machine",
    re.compile(r"\b(?:deb[.]debian[.]org|pypi[.]org|files[.]pythonhosted|registry[.]npmjs|proxy[.]golang|"
               r"crates[.]io|repo1?[.]maven)"): "a package mirror",
}


def problems(root):
    for path in files(root):
        try:
            text = (root / path).read_text()
        except UnicodeDecodeError:
            continue  # a binary seed
        for number, line in enumerate(text.splitlines(), 1):
            for pattern, what in FORBIDDEN.items():
                if pattern.search(line):
                    yield f"{path}:{number}: names {what}: {line.strip()[:100]}"


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    finish(list(problems(root)), "nothing is tied to one machine")


if __name__ == "__main__":
    main()
