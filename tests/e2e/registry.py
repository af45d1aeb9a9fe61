#!/usr/bin/env python3
# timeout: 300
"""
Images come from Debian's docker-registry as they went in: by plain HTTP and TLS, with passwords and tokens, from
mirrors, whoever built them and however they are compressed. What came is compared by the digest of its root file
system with the same image in a folder.
"""
import base64
import json
import os
import shutil
import subprocess
import warnings

from registries import (Image, Registry, Server, TokenService, certificates, need_tools, run, send, tar_of,
                        write_login)
from vhive_e2e import BUILD, GREETER, SCRATCH, STATE, check, ctl, ctl_ok, need

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import crypt  # deprecated, and still the one way to bcrypt without another package

need("root", "qemu")
need_tools("docker-registry", "skopeo", "umoci", "buildah", "openssl", "zstd")
SECRET = "open-sesame-7"


def pull(ref, **settings):
    env = {**os.environ, "DOCKER_CONFIG": "/nonexistent", **settings}
    out = ctl_ok("image", "pull", ref, "-o", "json", env=env)
    return json.loads(out)[0]


def refused(what, ref, *words, **settings):
    env = {**os.environ, "DOCKER_CONFIG": "/nonexistent", "VHIVE_LOG_LEVEL": "debug", **settings}
    done = ctl("image", "pull", ref, env=env)
    check(done.returncode != 0, "%s: exit code 0" % what)
    for word in words:
        check(word in done.stderr, "%s: nothing of '%s' in:\n%s" % (what, word, done.stderr))
    for word in (SECRET, base64.b64encode(("joe:" + SECRET).encode()).decode()):
        check(word not in done.stderr, "%s: the password shows:\n%s" % (what, done.stderr))
    print("%s: %s" % (what, done.stderr.strip().splitlines()[-1]))


def same(what, ref, rootfs, **settings):
    ctl("image", "rm", ref)
    shutil.rmtree(os.path.join(STATE, "images"), ignore_errors=True) # it must come from the registry
    got = pull(ref, **settings)
    check(got["rootfs_digest"] == rootfs, "%s: rootfs %s, want %s" % (what, got["rootfs_digest"], rootfs))
    print("%s: %s" % (what, got["digest"]))
    return got


hello = "oci:%s/functions/hello" % BUILD
rootfs = pull(hello)["rootfs_digest"]
storage = os.path.join(SCRATCH, "storage")
ca, certificate, key = certificates()

with Registry(storage) as plain:
    plain.push(hello, "hello:v1")
    zstd = Image(tar_of(("hello", b"of zstd" * 1000)), kind="tar+zstd",
                 pack=lambda t: subprocess.run(["zstd", "-q", "-3"], input=t, stdout=-1, check=True).stdout)
    zstd = zstd.write_layout(os.path.join(SCRATCH, "zstd"))
    plain.push(zstd, "deep/er/hello:zstd")
    plain.push(hello, "hello:docker", "--format", "v2s2")
    first = same("plain", "docker://%s/hello:v1" % plain.host, rootfs)
    same("no scheme", "%s/hello:v1" % plain.host, rootfs)
    same("by digest", "docker://%s/hello@%s" % (plain.host, first["digest"]), rootfs)
    same("zstd layers", "docker://%s/deep/er/hello:zstd" % plain.host, pull(zstd)["rootfs_digest"])
    same("Docker's media types", "docker://%s/hello:docker" % plain.host, rootfs)

    # an index: of two platforms ours is taken; where ours is missing that is said
    other = Image(tar_of(("hello", b"for another machine")), arch="arm64")
    plain.push(other.write_layout(os.path.join(SCRATCH, "arm64")), "hello:arm64")
    one = {"mediaType": first.get("type", "application/vnd.oci.image.manifest.v1+json"), "digest": first["digest"],
           "size": os.path.getsize(os.path.join(BUILD, "functions/hello/blobs/sha256", first["digest"][7:])),
           "platform": {"os": "linux", "architecture": "amd64"}}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
             "manifests": [other.descriptor(), one]}
    plain.put_manifest("hello", "multi", index)
    check(same("multi-arch", "docker://%s/hello:multi" % plain.host, rootfs)["digest"] == first["digest"],
          "the index led to another manifest")
    plain.put_manifest("hello", "none", dict(index, manifests=[other.descriptor()]))
    refused("other platforms only", "docker://%s/hello:none" % plain.host, "linux/amd64")
    refused("no such tag", "docker://%s/hello:nosuch" % plain.host, "404", "hello:nosuch", "check name and tag")

    # other builders
    layout = os.path.join(SCRATCH, "umoci")
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", layout + ":v1")
    run("umoci", "insert", "--image", layout + ":v1", os.path.join(BUILD, "bin/vhive-ctl"), "/hello")
    plain.push("oci:%s:v1" % layout, "umoci:v1")
    same("umoci", "docker://%s/umoci:v1" % plain.host, pull("oci:%s:v1" % layout)["rootfs_digest"])
    tree = os.path.join(SCRATCH, "tree")
    os.makedirs(tree)
    shutil.copy(os.path.join(BUILD, "bin/vhive-ctl"), tree)
    box = ("buildah", "--root", SCRATCH + "/b", "--runroot", SCRATCH + "/br", "--storage-driver", "vfs")
    name = run(*box, "from", "scratch").strip()
    run(*box, "copy", name, tree, "/")
    run(*box, "config", "--cmd", "/vhive-ctl", name)
    run(*box, "commit", name, "oci:%s/buildah:v1" % SCRATCH)
    run(*box, "rm", name)
    plain.push("oci:%s/buildah:v1" % SCRATCH, "buildah:v1")
    same("buildah", "docker://%s/buildah:v1" % plain.host, pull("oci:%s/buildah:v1" % SCRATCH)["rootfs_digest"])

    # files of docker save
    for name, ending in (("saved", ""), ("packed", ".gz")):
        archive = os.path.join(SCRATCH, "%s.tar" % name)
        run("skopeo", "copy", hello, "docker-archive:%s:hello:v1" % archive)
        if ending:
            run("gzip", archive)
        got = pull("docker-archive:%s%s:hello:v1" % (archive, ending))
        check(got["rootfs_digest"] == rootfs, "docker-archive%s: %s" % (ending, got["rootfs_digest"]))
    refused("no such image in the archive", "docker-archive:%s/saved.tar:other" % SCRATCH, "other", "hello:v1")

    # a mirror is asked first; where it fails, the registry itself
    same("mirror", "docker://registry.invalid/hello:v1", rootfs,
         VHIVE_IMAGE_MIRRORS="registry.invalid=127.0.0.1:1,%s" % plain.host)
    same("mirror that is down", "docker://%s/hello:v1" % plain.host, rootfs,
         VHIVE_IMAGE_MIRRORS="%s=127.0.0.1:1" % plain.host)

    out = ctl_ok("run", "docker://%s/hello:v1" % plain.host, "--engine", "boot", "--invoke", GREETER % "record")
    check("record_response" in out, "run from a registry: " + out)
    print("run from a registry answers")
    ref = "docker://%s/hello:v1" % plain.host
    out = json.loads(ctl_ok("image", "inspect", ref, "-o", "json"))
    check(out["digest"] == first["digest"], "inspect: %s" % out)

# the registry is gone: what was pulled is used and said, what is named by digest needs no word
done = ctl("image", "pull", ref)
check(done.returncode == 0 and "stored image" in done.stderr and first["digest"] in done.stdout, done.stderr)
done = ctl("image", "pull", ref.replace(":v1", "@" + first["digest"]))
check(done.returncode == 0 and done.stderr == "", "by digest: " + done.stderr)
refused("registry down", ref.replace(":v1", ":v2"), "refused", plain.host)
print("without its registry the stored image is used")

tls = "  tls: {certificate: %s, key: %s}\n" % (certificate, key)
with Registry(storage, tls) as secure:
    ref = "docker://%s/hello:v1" % secure.host
    refused("unknown authority", ref, "certificate")
    same("TLS", ref, rootfs, VHIVE_IMAGE_CA_FILE=ca)
    same("TLS by name", ref.replace("127.0.0.1", "localhost"), rootfs, VHIVE_IMAGE_CA_FILE=ca)

plain_url = "http://127.0.0.1:1"
with Server(lambda h: send(h, 307, headers={"Location": plain_url + h.path}), (certificate, key)) as downgrade:
    refused("redirect to plain HTTP", "docker://%s/hello:v1" % downgrade.host, "redirects from https to " + plain_url,
            VHIVE_IMAGE_CA_FILE=ca)

passwords = os.path.join(SCRATCH, "htpasswd")
with open(passwords, "w") as f:
    f.write("joe:%s\n" % crypt.crypt(SECRET, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)))
with Registry(storage, tls + "auth: {htpasswd: {realm: test, path: %s}}\n" % passwords) as basic:
    ref = "docker://%s/hello:v1" % basic.host
    good = write_login(SCRATCH + "/good", {basic.host: "joe:" + SECRET})
    bad = write_login(SCRATCH + "/bad", {basic.host: "joe:not-" + SECRET})
    elsewhere = write_login(SCRATCH + "/elsewhere", {"example.org": "joe:" + SECRET})
    trust = {"VHIVE_IMAGE_CA_FILE": ca}
    refused("no login", ref, "docker login " + basic.host, **trust)
    refused("login of another host", ref, "docker login " + basic.host, DOCKER_CONFIG=elsewhere, **trust)
    refused("wrong password", ref, "refuses the credentials", DOCKER_CONFIG=bad, **trust)
    same("password", ref, rootfs, DOCKER_CONFIG=good, **trust)
    run("skopeo", "login", "--tls-verify=false", "-u", "joe", "-p", SECRET, basic.host,
        env={**os.environ, "XDG_RUNTIME_DIR": SCRATCH})
    same("login of skopeo", ref, rootfs, DOCKER_CONFIG="", XDG_RUNTIME_DIR=SCRATCH, **trust)
    same("password by setting", ref, rootfs, VHIVE_IMAGE_AUTH_FILE=good + "/config.json", **trust)

with TokenService(key, certificate, "joe", SECRET) as service:
    token = "auth: {token: {realm: \"http://%s/token\", service: test, issuer: test, rootcertbundle: %s}}\n" % (
        service.host, certificate)
    with Registry(storage, token) as tokens:
        ref = "docker://%s/hello:v1" % tokens.host
        login = write_login(SCRATCH + "/token", {tokens.host: "joe:" + SECRET})
        refused("no login for a token", ref, "token service http://" + service.host, "401", "who are you")
        service.asked.clear()
        same("token", ref, rootfs, DOCKER_CONFIG=login)
        check(len(service.asked) == 1, "one token would do: %s" % service.asked)
        check(service.asked[0]["scope"] == ["repository:hello:pull"], "scope: %s" % service.asked)
