#!/usr/bin/env python3
"""manual_is_whole.py MAN_DIR PROGRAM...: groff has nothing to say against the pages, and no command, option or setting
that --help tells is missing in them."""
import glob
import os
import re
import shutil
import subprocess
import sys

man, programs = sys.argv[1], sys.argv[2:]
if not shutil.which("groff"):
    print("skip: groff: it is missing")
    sys.exit(77)


def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20)


def page(name):
    """Text of a page; a warning of groff's fails."""
    done = run("groff", "-man", "-Tutf8", "-ww", "-rLL=200n", os.path.join(man, name))
    if done.stderr:
        sys.exit("FAILED: %s: %s" % (name, done.stderr))
    text = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)
    return text.replace("\u2010", "-").replace("\u2212", "-").replace("\u2019", "'")


def holds(name, text, words):
    for word in words:
        if word not in text:
            sys.exit("FAILED: %s: nothing of '%s'" % (name, word))


def options(help_text):
    return re.findall(r"^  (?:-\w, |    )(--[\w-]+)", help_text.split("\nExamples:")[0], re.M)


checked = 0
for program in programs:
    name = os.path.basename(program)
    text = page(name + ".1")
    top = run(program, "--help").stdout
    commands = re.findall(r"^  ((?:[a-z]+ )?[a-z-]+)  +[A-Z]", top.split("\nCommands:\n")[1].split("\n\n")[0], re.M)
    if len(commands) < 3:
        sys.exit("FAILED: %s --help: %s are all its commands?" % (name, commands))
    holds(name, text, commands + options(top))
    for command in commands:
        words = options(run(program, *command.split(), "--help").stdout)
        holds(name, text.split("\n   " + command)[1], words[:-len(options(top))])
        checked += 1
settings = re.findall(r"^  ([a-z_.]+) \(--", run(programs[0], "help", "config").stdout, re.M)
holds("vhive.yaml", page("vhive.yaml.5"), settings)
headers = [os.path.basename(h) for h in glob.glob(os.path.join(os.path.dirname(__file__), "../../include/vhive/*.h"))]
holds("libvhive", page("libvhive.3"), ["<vhive/%s>" % h for h in headers if h != "attr.h"])
holds("libvhive", page("libvhive.3"), ["vh_vm_run", "vh_error_set", "vh_doctor_run"])
print("%d commands, %d settings, %d headers" % (checked, len(settings), len(headers)))
