"""no_globals.py LIBVHIVE.A: the library keeps no writable data of its own, beyond what is listed here with a reason."""
import re
import subprocess
import sys

from guard import finish

# (object, variable): reason
ALLOWED = {}

# Constant tables of pointers lie in .data.rel.ro, which the loader makes read-only.
WRITABLE = re.compile(r"^(\.data(?!\.rel\.ro)|\.bss|\.tdata|\.tbss|\*COM\*)")


def variables(archive):
    """(object, variable) of everything in writable sections."""
    run = subprocess.run(["objdump", "-t", archive], capture_output=True, text=True, check=True)
    obj = ""
    for line in run.stdout.splitlines():
        header = re.match(r"(\S+):\s+file format", line)
        entry = re.match(r"[0-9a-f]{16} .{7} (\S+)\t([0-9a-f]{16}) +(.*)$", line)
        if header:
            obj = header.group(1)
        elif entry and WRITABLE.match(entry.group(1)) and int(entry.group(2), 16):
            yield obj, re.sub(r"\.\d+$", "", entry.group(3).removeprefix(".hidden "))


def main():
    found = set(variables(sys.argv[1]))
    problems = [f"{obj}: {name} is a writable variable; put it into an object" for obj, name in sorted(found)
                if (obj, name) not in ALLOWED]
    problems += [f"{obj}: {name} is allowed but gone; take it off the list" for obj, name in sorted(ALLOWED)
                 if (obj, name) not in found]
    finish(problems, f"no writable variables beyond {len(ALLOWED)} listed")


if __name__ == "__main__":
    main()
