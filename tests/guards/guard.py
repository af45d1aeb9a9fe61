"""What the guards share: the tree's files and the closing of a check."""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))


def files(root, *suffixes):
    """Files of the tree (tracked, or new and not ignored) whose names end so, as paths relative to |root|."""
    git = ["git", "-C", str(root), "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(git, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        names = [Path(name) for name in listed.stdout.splitlines()]
    else:  # an unpacked archive, or a tree made by a test
        names = [p.relative_to(root) for p in Path(root).rglob("*")
                 if not {"build", ".git"} & {*p.relative_to(root).parts}]
    keep = [n for n in names if (root / n).is_file() and (not suffixes or n.name.endswith(suffixes))]
    return sorted(keep)


def without_comments(source):
    """C source with comments blanked out and its lines kept; string literals are left alone."""
    def blank(match):
        text = match.group(0)
        return re.sub(r"[^\n]", " ", text) if text[0] == "/" else text
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', blank, source, flags=re.S)


def finish(problems, ok):
    """Prints the problems, or |ok|, and ends the program."""
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems" if problems else ok)
    sys.exit(1 if problems else 0)
