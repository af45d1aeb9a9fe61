#!/usr/bin/env python3
"""yaml_is_json.py VHIVE_CTL: what is printed with -o yaml is, for a YAML parser, what is printed with -o json."""
import json
import subprocess
import sys
import tempfile

try:
    import yaml
except ImportError:
    print("skip: yaml: there is no python3-yaml")
    sys.exit(77)

NASTY = [" ", "no", "~", "1e3", "0x10", "12:30:00", "2001-01-01", "- a", "a: b", "a #b", "*x", "&x", "!x", "%x", "@x",
         "`x", "'x'", '"x"', "x:", "{}", "[a, b]", "<<", "=", "a\\nb", "/usr/bin/qemu"]


def run(*args):
    return subprocess.run([sys.argv[1], *args], capture_output=True, text=True, check=True, timeout=20).stdout


def same(*args):
    from_json = json.loads(run(*args, "-o", "json"))
    text = run(*args, "-o", "yaml")
    from_yaml = yaml.safe_load(text)
    if repr(from_json) != repr(plain(from_yaml)):
        sys.exit("FAILED: %s:\n%s\n%r\n%r" % (" ".join(args), text, from_json, from_yaml))


def plain(value):
    """Times are text in JSON; a parser of YAML that made something else of them would be seen here."""
    if isinstance(value, list):
        return [plain(v) for v in value]
    return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value


with tempfile.TemporaryDirectory() as state:
    where = ("--state-dir", state, "--run-dir", state)
    same("version")
    same("config", "validate")
    same("snapshot", "ls", *where)
    same("image", "ls", *where)
    for text in NASTY:
        same("config", "dump", "--vmm-qemu=" + text)
print("the same from both: %d texts and 4 commands" % len(NASTY))
