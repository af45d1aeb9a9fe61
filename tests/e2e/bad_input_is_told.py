#!/usr/bin/env python3
# timeout: 240
"""Bad input of every kind: a non-zero exit code, an error that names the thing and the remedy, and nothing left."""
import json
import os
import shutil
import subprocess

from vhive_e2e import BUILD, CTL, GREETER, SCRATCH, check, ctl, invoke, need, snapshot_dir
from vhive_faults import blob, read_json, variant

need("root", "qemu", "uffd")


def damaged(label, damage):
    """A copy of hello's layout with damage done to its first layer."""
    layout = os.path.join(SCRATCH, label)
    shutil.copytree(os.path.join(BUILD, "functions", "hello"), layout)
    index = read_json(os.path.join(layout, "index.json"))
    manifest = read_json(blob(layout, index["manifests"][0]["digest"]))
    damage(blob(layout, manifest["layers"][0]["digest"]))
    return layout


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)
        f.seek(at)
        f.write(bytes([byte[0] ^ 0xFF]))


def told(what, done, *words):
    check(done.returncode != 0, "%s: exit code 0\n%s" % (what, done.stdout))
    for word in ("error", *words):
        check(word.lower() in done.stderr.lower(), "%s: nothing of '%s' in:\n%s" % (what, word, done.stderr))
    vms = os.path.join(os.environ["VHIVE_RUN_DIR"], "vms")
    check(not os.path.exists(vms) or os.listdir(vms) == [], "%s: something is left in %s" % (what, vms))
    print("%s: %s" % (what, done.stderr.strip().splitlines()[-1]))


def run(reference, *more, env=None):
    return ctl("run", reference, "--engine", "boot", "--invoke", GREETER % "record", *more,
               env={**os.environ, **(env or {})})


hello = "oci:%s/functions/hello" % BUILD
told("no such image", run("oci:/nonexistent/image"), "/nonexistent/image")
told("no such tag", run(hello + ":nosuch"), "nosuch", "latest")
told("wrong digest", run("oci:" + damaged("flipped", lambda p: flip(p, os.path.getsize(p) // 2))), "sha256:")
told("truncated layer", run("oci:" + damaged("cut", lambda p: os.truncate(p, os.path.getsize(p) // 2))), "sha256:")


def no_command(config):
    config.pop("Entrypoint", None)
    config.pop("Cmd", None)


def exit_at_once(config):
    config["Entrypoint"] = [config["Entrypoint"][0], "-c", "print('these are my last words'); raise SystemExit(3)"]
    config.pop("Cmd", None)


def no_such_program(config):
    config["Entrypoint"] = ["/no/such/program"]
    config.pop("Cmd", None)


told("image without a command", run(variant("hello", "no-command", no_command)), "command")
told("function that exits at once", run(variant("pyhello", "exits", exit_at_once)), "code 3",
     "these are my last words")
told("command that is not there", run(variant("hello", "no-program", no_such_program)), "/no/such/program")
told("port never opened", run(hello, "--port", "9", env={"VHIVE_TIMEOUT_READY": "3s"}), "port", "deadline")
told("guest that is silent", run(hello, env={"VHIVE_TIMEOUT_HELLO": "300ms"}), "booting again", "say hello")
told("QEMU missing", run(hello, env={"VHIVE_VMM_QEMU": "/nonexistent/qemu"}), "/nonexistent/qemu", "install")
told("too little memory", run(hello, "--memory", "1M"), "memory", "96M")
told("answer too late", run(hello, "--timeout", "1ms"), "--timeout 1ms", "deadline")
told("no call to bound", ctl("run", hello, "--timeout", "1s"), "--timeout", "--invoke")
told("bad specification", ctl("run", hello, "--invoke", "smtp:x"), "smtp")
told("unknown engine", ctl("run", hello, "--engine", "warp"), "warp", "reap")

config = os.path.join(SCRATCH, "vhive.yaml")
with open(config, "w") as f:
    f.write("log:\n  level: info\nfunction:\n  memroy: 128M\n")
told("unknown config key", ctl("--config", config, "run", hello), "vhive.yaml:4:3", "memroy", "function.memory")

# another user who can still read the tree, wherever it lies: below /root others may not even start the program
nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all,+dac_read_search",
          "--ambient-caps=-all,+dac_read_search")
told("not root", subprocess.run([*nobody, CTL, "run", hello], capture_output=True, text=True, timeout=20), "root")

# damage to a snapshot that was good
for _ in range(2):
    invoke("hello", "reap", GREETER % "record")
folder = snapshot_dir()
restore = ("run", hello, "--invoke", GREETER % "record")

flip(os.path.join(folder, "vmstate"), 4096)
told("vmstate flipped", ctl(*restore, "--engine", "file"), "vmstate", "snapshot rm")
flip(os.path.join(folder, "vmstate"), 4096)

size = os.path.getsize(os.path.join(folder, "memory"))
with open(os.path.join(folder, "memory"), "r+b") as f:
    f.seek(size - 4096)
    tail = f.read()
    f.truncate(size - 4096)
told("memory file truncated", ctl(*restore, "--engine", "file"), "memory", "snapshot rm")
with open(os.path.join(folder, "memory"), "ab") as f:
    f.write(tail)

# a working set that is not this snapshot's is told, ignored and made anew; the answer is right
ws = os.path.join(folder, "ws.idx")
good = os.path.getsize(ws)
flip(ws, good // 2)
done = ctl(*restore, "--engine", "reap")
check(done.returncode == 0 and "record_response" in done.stdout, "damaged working set: %s" % done.stderr)
check("working set" in done.stderr and "recorded anew" in done.stderr, "a damaged working set was not told")
done = ctl(*restore, "--engine", "reap", "-o", "json")
check(json.loads(done.stdout)["ws_pages"] > 0, "the working set was not recorded anew")
print("damaged working set: told, ignored, recorded anew")
