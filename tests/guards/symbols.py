"""symbols.py LIBVHIVE.SO LIBVHIVE.A: exported names are vh_ and not vh__; between objects every name begins with vh_;
threads are started by vh__thread_start() alone, which keeps signals off them."""
import re
import subprocess
import sys

from guard import finish

# What protobuf-c makes from proto/ is named after the package; only those objects may have such names.
GENERATED_OBJECT = re.compile(r"\.pb-c\.c\.o$")


def nm(*args):
    run = subprocess.run(["nm", *args], capture_output=True, text=True, check=True)
    return run.stdout.splitlines()


def exported(library):
    return [line.split()[-1].split("@")[0] for line in nm("--defined-only", "-D", library)]


def shared_names(archive):
    """(object, name) of each symbol that other objects can see."""
    for line in nm("--defined-only", "-A", "-g", archive):
        where, *_, name = line.split()
        yield where.split(":")[1], name


def users(archive, name):
    """Objects that call the function |name| of another library."""
    for line in nm("-A", "-u", archive):
        where, *_, wanted = line.split()
        if wanted == name:
            yield where.split(":")[1]


def main():
    library, archive = sys.argv[1:3]
    names = exported(library)
    problems = [f"{library} exports {n}; see cmake/libvhive.map" for n in names if not re.match(r"vh_[^_]", n)]
    problems += [f"{obj}: {name} is neither static nor named vh_* or vh__*" for obj, name in shared_names(archive)
                 if not name.startswith("vh_") and not GENERATED_OBJECT.search(obj)]
    problems += [f"{obj}: starts a thread by itself; vh__thread_start() keeps signals off it"
                 for obj in users(archive, "pthread_create") if obj != "thread.c.o"]
    if not names:
        problems.append(f"{library} exports nothing")
    finish(problems, f"{len(names)} names exported, all vh_*")


if __name__ == "__main__":
    main()
