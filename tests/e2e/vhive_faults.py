"""What the tests of faults share: errors that must be told, mounts of their own, functions that misbehave."""
import hashlib
import json
import os
import shutil
import subprocess
import sys

from vhive_e2e import BUILD, SCRATCH, check


def own_mounts():
    """Goes on in a mount namespace of its own: what is mounted from here on nobody else sees, and it ends with us."""
    if "VH_OWN_MOUNTS" not in os.environ:
        os.environ["VH_OWN_MOUNTS"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, "-B", *sys.argv])


def mount(*args):
    subprocess.run(["mount", *args], check=True)


def small_disk(name, size):
    """A folder in the scratch folder on a file system of |size| bytes."""
    folder = os.path.join(SCRATCH, name)
    os.makedirs(folder)
    mount("-t", "tmpfs", "-o", "size=%d" % size, "none", folder)
    return folder


def resize_disk(folder, free):
    """Leaves |free| bytes on a small_disk()."""
    fs = os.statvfs(folder)
    mount("-o", "remount,size=%d" % ((fs.f_blocks - fs.f_bfree) * fs.f_frsize + free), folder)


def told(what, code, text, *words):
    """A command that failed must have said each of the words in its error, and left no VM."""
    check(code != 0, "%s: exit code 0\n%s" % (what, text))
    last = next((line for line in reversed(text.splitlines()) if line.startswith("vhive-ctl: error: ")), None)
    check(last, "%s: no error was told:\n%s" % (what, text))
    for word in words:
        check(word.lower() in last.lower(), "%s: nothing of '%s' in:\n%s" % (what, word, text))
    vms = os.path.join(os.environ["VHIVE_RUN_DIR"], "vms")
    check(not os.path.exists(vms) or os.listdir(vms) == [], "%s: something is left in %s" % (what, vms))
    print("%s: %s" % (what, last), flush=True)


def read_json(path):
    with open(path) as f:
        return json.load(f)


def blob(layout, digest):
    return os.path.join(layout, "blobs", *digest.split(":"))


def put_blob(layout, content):
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    with open(blob(layout, digest), "wb") as f:
        f.write(content)
    return {"digest": digest, "size": len(content)}


def variant(name, label, change_config):
    """Reference of an example function with another configuration, an image well-formed in itself."""
    layout = os.path.join(SCRATCH, label)
    shutil.copytree(os.path.join(BUILD, "functions", name), layout)
    index = read_json(os.path.join(layout, "index.json"))
    manifest = read_json(blob(layout, index["manifests"][0]["digest"]))
    config = read_json(blob(layout, manifest["config"]["digest"]))
    change_config(config["config"])
    manifest["config"].update(put_blob(layout, json.dumps(config).encode()))
    index["manifests"][0].update(put_blob(layout, json.dumps(manifest).encode()))
    with open(os.path.join(layout, "index.json"), "w") as f:
        json.dump(index, f)
    return "oci:" + layout


def python_function(label, program):
    """Reference of an image that runs |program|, in Python, as root."""

    def change(config):
        config["Entrypoint"] = [config["Entrypoint"][0], "-c", program]
        config["User"] = ""
        config.pop("Cmd", None)

    return variant("pyhello", label, change)
