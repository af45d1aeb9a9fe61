#!/usr/bin/env python3
# timeout: 240
"""The examples of the C API, each with a real VM, end well and print what their first lines promise."""
import os
import re
import subprocess

from vhive_e2e import BUILD, GREETER, check, image, need

need("root", "qemu", "uffd")


def example(name, *args, code=0):
    done = subprocess.run([os.path.join(BUILD, "examples/bin", name), *args], capture_output=True, text=True, timeout=120)
    check(done.returncode == code, "%s: exit code %d\n%s%s" % (name, done.returncode, done.stdout, done.stderr))
    print("%s: %s" % (name, (done.stdout or done.stderr).strip().splitlines()[-1]))
    return done


for name in ("boot", "restore", "log", "cancel", "loop"):
    check("usage: %s " % name in example(name, code=2).stderr, "%s: no usage" % name)

out = example("boot", image("hello"), GREETER % "world").stdout
check("Hello, world!" in out and "vmm-spawn" in out, "boot: %s" % out)

out = example("restore", image("hello"), GREETER % "world").stdout.splitlines()
ahead = [int(re.search(r"(\d+) pages ahead", line).group(1)) for line in out]
check(len(out) == 2 and ahead[0] == 0 and ahead[1] > 100, "restore: pages ahead: %s" % out)

done = example("log", image("hello"))
check(re.search(r"^\d+ records, \d+ steps", done.stdout, re.M) and "info" in done.stderr, "log: %s" % done.stderr)

check(example("cancel", image("hello"), "300").stdout.startswith("VH_ECANCELED: "), "cancel: not cancelled")

out = example("loop", image("hello"), GREETER % "loop").stdout
check("Hello, loop!" in out and int(re.search(r"ticked (\d+) times", out).group(1)) > 5, "loop: %s" % out)

done = example("boot", "oci:/nonexistent", "http:/", code=1)
check("/nonexistent" in done.stderr, "boot: nothing of the image in: %s" % done.stderr)
