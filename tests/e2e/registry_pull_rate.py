#!/usr/bin/env python3
# timeout: 300
"""
Pulling costs little more than converting: about 200 MB of gzip'ed layers, made of this machine's own files, from
docker-registry on the loopback device, by one and by three downloads at once, beside the same image in a folder.
"""
import io
import json
import os
import resource
import shutil
import subprocess
import tarfile
import time

from registries import Image, Registry, need_tools
from vhive_e2e import STATE, check, ctl_ok

need_tools("docker-registry", "skopeo")
LAYERS, TAR_BYTES = 4, 110_000_000


def tars():
    """Tars of the regular files and links below /usr/lib and /usr/bin, cut into equal parts."""
    out = io.BytesIO()
    tar = tarfile.open(fileobj=out, mode="w")
    for top in ("/usr/lib", "/usr/bin", "/usr/share"):
        for folder, folders, files in os.walk(top):
            folders.sort()
            for name in sorted(files):
                try:
                    tar.add(os.path.join(folder, name), recursive=False)
                except OSError:
                    continue
                if out.tell() > TAR_BYTES:
                    tar.close()
                    yield out.getvalue()
                    out = io.BytesIO()
                    tar = tarfile.open(fileobj=out, mode="w")


def packed(tar):
    return subprocess.run(["gzip", "-1n"], input=tar, stdout=subprocess.PIPE, check=True).stdout


def measure(what, ref, **settings):
    shutil.rmtree(os.path.join(STATE, "images"), ignore_errors=True)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    got = json.loads(ctl_ok("image", "pull", ref, "-o", "json", timeout=200, env={**os.environ, **settings}))[0]
    seconds = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print("%s: %.2f s, %.0f MB of layers/s, %.2f s of CPU" % (what, seconds, size / seconds / 1e6, cpu))
    return got["rootfs_digest"], seconds


parts = tars()
image = Image(*(next(parts) for _ in range(LAYERS)), pack=packed)
size = sum(layer["size"] for layer in image.layers)
print("%d layers, %.0f MB" % (LAYERS, size / 1e6))
folder = image.write_layout(os.path.join(STATE, "layout"))
with Registry(os.path.join(STATE, "storage")) as registry:
    registry.push(folder, "large:v1")
    ref = "docker://%s/large:v1" % registry.host
    rootfs, alone = measure("folder", folder)
    for downloads in ("1", "3"):
        digest, seconds = measure("%s at once" % downloads, ref, VHIVE_IMAGE_DOWNLOADS=downloads)
        check(digest == rootfs, "another root file system")
    check(seconds < 4 * alone + 5, "pulling took %.1f s, converting alone %.1f s" % (seconds, alone))
