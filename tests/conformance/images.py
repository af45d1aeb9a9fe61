#!/usr/bin/env python3
"""images.py REGISTRY STAND_IN | images.py REGISTRY --program FILE REPOSITORY

Makes the images that critest and the pods of the other tests use, and pushes them to REGISTRY (host:port, plain HTTP).
Repositories have the paths that they have upstream: containerd finds them here under their own names by a mirror for
each upstream host. STAND_IN is stand_in.c, compiled. Programs are those of this machine's package busybox, not of
busybox-static: the shell of that one would not run /bin/ls, which a test of critest masks, but its own.

With --program it makes one image instead, tagged 1, of a static program that runs as an unprivileged user.
"""
import functools
import gzip
import hashlib
import http.client
import io
import json
import re
import subprocess
import sys
import tarfile

BUSYBOX = "/bin/busybox"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar"

PASSWD = """root:x:0:0:root:/root:/bin/sh
www-data:x:33:33:www-data:/var/www:/bin/false
default-user:x:1000:1000::/home/default-user:/bin/sh
nobody:x:65534:65534:nobody:/home:/bin/false
"""
GROUP = """root:x:0:
www-data:x:33:
default-user:x:1000:
group-defined-in-image:x:50000:default-user
nogroup:x:65534:
"""
FOLDERS = "bin etc home root usr usr/bin usr/sbin var var/run var/www proc sys dev"

# Debian's busybox has neither of these.
PGREP = """#!/bin/sh
found=1
for process in /proc/[0-9]*; do
    [ "$(cat $process/comm 2>/dev/null)" = "$1" ] && echo ${process#/proc/} && found=0
done
exit $found
"""
IPCS = "#!/bin/sh\nexec cat /proc/sysvipc/shm\n"

E2E, TESTS, LIBRARY = "e2e-test-images/", "k8s-staging-cri-tools/", "docker/library/"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Layer:
    """A layer in the making. Times and owners are zero, so that equal content gives equal bytes."""

    def __init__(self):
        self.buffer = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.buffer, mode="w", format=tarfile.GNU_FORMAT)

    def folder(self, name, mode=0o755):
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, mode
        self.tar.addfile(info)

    def file(self, name, data, mode=0o755):
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), mode
        self.tar.addfile(info, io.BytesIO(data))

    def link(self, name, target):
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mode = tarfile.LNKTYPE, target, 0o755
        self.tar.addfile(info)

    def close(self):
        self.tar.close()
        return self.buffer.getvalue()


def contents(path):
    with open(path, "rb") as f:
        return f.read()


def add_busybox(layer):
    layer.file("bin/busybox", contents(BUSYBOX))
    libraries = subprocess.check_output(["ldd", BUSYBOX], text=True)
    for library in re.findall(r"(/\S+\.so\S*) \(", libraries):
        layer.file(library[1:], contents(library))
    for applet in subprocess.check_output([BUSYBOX, "--list"], text=True).split():
        if applet != "busybox":
            layer.link("bin/" + applet, "bin/busybox")  # hard links, since a test masks only /bin/ls


@functools.cache
def base_layer(stand_in):
    layer = Layer()
    for name in FOLDERS.split():
        layer.folder(name)
    layer.folder("tmp", 0o1777)
    add_busybox(layer)
    layer.file("etc/passwd", PASSWD.encode(), 0o644)
    layer.file("etc/group", GROUP.encode(), 0o644)
    layer.file("bin/pgrep", PGREP.encode())
    layer.file("bin/ipcs", IPCS.encode())
    for name in ("pause", "usr/sbin/nginx", "usr/sbin/httpd"):
        layer.file(name, contents(stand_in))
    layer.file("usr/bin/nnp", contents(stand_in), 0o4755)
    return layer.close()


def marker_layer(marker):
    """Holds one empty file, and makes an image another than those with the same base layer."""
    layer = Layer()
    layer.file(marker, b"", 0o644)
    return layer.close()


@functools.cache
def compressed(data):
    return gzip.compress(data, 6, mtime=0)


class Registry:
    def __init__(self, address):
        self.host, port = address.split(":")
        self.port = int(port)

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        answer.read()
        return answer

    def put(self, path, body, kind):
        answer = self.request("PUT", path, body, {"Content-Type": kind})
        if answer.status != 201:
            sys.exit(f"images.py: the registry answered {answer.status} to PUT {path}")

    def push_blob(self, repository, data):
        if self.request("HEAD", f"/v2/{repository}/blobs/{digest(data)}").status == 200:
            return
        place = self.request("POST", f"/v2/{repository}/blobs/uploads/").getheader("Location")
        place = place[place.index("/v2/"):]
        separator = "&" if "?" in place else "?"
        self.put(f"{place}{separator}digest={digest(data)}", data, "application/octet-stream")

    def push(self, repository, tags, layers, kind, command, user="", entry=None):
        """layers: pairs of a layer's tar and how it travels. entry: what the command is the arguments of."""
        config = json.dumps({
            "architecture": "amd64", "os": "linux", "created": "1970-01-01T00:00:00Z",
            "config": {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": command, "User": user, "WorkingDir": "/",
                       **({"Entrypoint": entry} if entry else {})},
            "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar, _ in layers]},
            "history": [{"created_by": repository}],
        }).encode()
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "size": len(config), "digest": digest(config)},
            "layers": [{"mediaType": kind, "size": len(sent), "digest": digest(sent)} for _, sent in layers],
        }).encode()
        for blob in [sent for _, sent in layers] + [config]:
            self.push_blob(repository, blob)
        for tag in tags:
            self.put(f"/v2/{repository}/manifests/{tag}", manifest, MANIFEST)


class Maker:
    def __init__(self, registry, stand_in):
        self.registry, self.stand_in = registry, stand_in

    def image(self, repository, *tags, command=("sh",), user="", marker=None):
        tars = [base_layer(self.stand_in)] + ([marker_layer(marker)] if marker else [])
        layers = [(tar, compressed(tar)) for tar in tars]
        self.registry.push(repository, tags, layers, LAYER + ".gzip", list(command), user)

    def image_with_known_digest(self, repository, tag):
        """Has nothing of this machine in it: tests/tools/peers/recipes.sh knows its digest."""
        tar = marker_layer(repository.rsplit("/")[-1])
        self.registry.push(repository, [tag], [(tar, tar)], LAYER, ["sh"])

    def images_of_programs(self):
        # a test looks for "master process" in the arguments
        master = ("nginx:", "master process")
        self.image(E2E + "busybox", "1.29-2")
        self.image(E2E + "nginx", "1.14-2", command=("/usr/sbin/nginx", "80", *master))
        self.image(E2E + "httpd", "2.4.39-4", command=("/usr/sbin/httpd", "80"))
        self.image(E2E + "nonewprivs", "1.3", command=("/usr/bin/nnp",))
        self.image(TESTS + "hostnet-nginx-amd64", "latest", command=("/usr/sbin/nginx", "12003", *master))
        self.image("pause", "3.9", command=("/pause",))
        # the image of the sandboxes: were it the same as 3.9, a test that removes that one would fail
        self.image("pause", "3.10", command=("/pause",), marker="sandbox")

    def images_of_users(self):
        for name, user in (("uid", "1002"), ("username", "www-data"), ("uid-group", "1003:1004"),
                           ("username-group", "www-data:1004")):
            self.image(TESTS + "test-image-user-" + name, "latest", user=user)
        self.image(TESTS + "test-image-predefined-group", "latest", user="1000")

    def images_to_pull(self):
        for name in ("1", "2", "3", "latest"):
            self.image(TESTS + "test-image-" + name, "latest", marker="test-image-" + name)
        self.image_with_known_digest(TESTS + "test-image-digest", "latest")
        self.image(TESTS + "test-image-tags", "1", "2", "3", marker="same-image")
        for tag in ("test", "all"):
            self.image(TESTS + "test-image-tag", tag, marker=tag)
        for tag in ("1", "1-glibc", "1-musl", "1-uclibc", "1.35.0-glibc"):
            self.image(LIBRARY + "busybox", tag, marker="bench-" + tag)


def push_program(registry, file, repository):
    path = "/" + file.rsplit("/")[-1]
    layer = Layer()
    layer.folder("tmp", 0o1777)
    layer.file(path[1:], contents(file))
    tar = layer.close()
    registry.push(repository, ["1"], [(tar, tar)], LAYER, [], user="65532:65532", entry=[path])


def main():
    if len(sys.argv) == 5 and sys.argv[2] == "--program":
        push_program(Registry(sys.argv[1]), *sys.argv[3:])
        return
    if len(sys.argv) != 3 or sys.argv[1].startswith("-"):
        print(__doc__)
        sys.exit(0 if sys.argv[1:] in (["-h"], ["--help"]) else 2)
    maker = Maker(Registry(sys.argv[1]), sys.argv[2])
    maker.images_of_programs()
    maker.images_of_users()
    maker.images_to_pull()


if __name__ == "__main__":
    main()
