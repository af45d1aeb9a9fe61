#!/usr/bin/env python3
"""What is stored and what a call gave reads the same from -o yaml as from -o json."""
import json
import sys

from vhive_e2e import GREETER, check, ctl_ok, image, need

need("root", "qemu", "uffd")
try:
    import yaml
except ImportError:
    print("skip: yaml: there is no python3-yaml")
    sys.exit(77)


def both(*args):
    return json.loads(ctl_ok(*args, "-o", "json")), yaml.safe_load(ctl_ok(*args, "-o", "yaml"))


snapshot = ctl_ok("snapshot", "create", image("hello"), "--snapshot", "label").strip()
digest = ctl_ok("image", "ls", "-q").strip()
for command in (("snapshot", "ls"), ("snapshot", "inspect", "label"), ("snapshot", "verify", snapshot), ("image", "ls"),
                ("image", "inspect", digest), ("snapshot", "prune"), ("snapshot", "create", image("hello"))):
    from_json, from_yaml = both(*command)
    check(from_json == from_yaml, "%s: %s and %s" % (command, from_json, from_yaml))
    check(from_json or command == ("snapshot", "prune"), "%s: nothing" % (command,))


def shape(value):
    """Types and keys, since two runs do not take the same time."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items() if k != "phases"}
    return type(value).__name__


call = ("run", image("hello"), "--engine", "file", "--invoke", GREETER % "yaml: #1")
from_json, from_yaml = both(*call)
check(shape(from_json) == shape(from_yaml), "%s and %s" % (from_json, from_yaml))
check(from_yaml["body"] == from_json["body"] and "yaml: #1" in from_yaml["body"], "body: %s" % from_yaml["body"])
check({p["id"] for p in from_json["phases"]} == {p["id"] for p in from_yaml["phases"]}, "phases")

done = ctl_ok(*call, "-q")
check(json.loads(done) == json.loads(from_json["body"]), "-q: %s" % done)
