#!/usr/bin/env python3
# timeout: 300
"""
Whatever a registry does wrong, a pull ends in time, with an error that names thing, cause and remedy, and leaves
nothing; what a patient client can mend, it mends. No VM is needed.
"""
import json
import os
import random
import subprocess
import tarfile
import time

from registries import Image, Misbehaving, Server, send, tar_of, write_login
from vhive_e2e import CTL, SCRATCH, STATE, check, ctl, need

SECRET = "open-sesame-7"
random.seed(7)
noise = [random.randbytes(3 << 20), random.randbytes(1 << 20)]
good = Image(tar_of(("data", noise[0])), tar_of(("more", noise[1])), tar_of(("hello", b"top")))
biggest = good.layers[0]["digest"]
serial = 0


def left(state):
    """Everything in the store of images but its empty folders."""
    return [os.path.join(folder, name) for folder, _, names in os.walk(os.path.join(state, "images")) for name in names]


def pull(ref, state=None, **settings):
    """One pull into a store of its own: what happened, how long it took, and the store."""
    global serial
    serial += 1
    state = state or os.path.join(STATE, "s%d" % serial)
    env = {**os.environ, "DOCKER_CONFIG": "/nonexistent", "VHIVE_STATE_DIR": state, **settings}
    state = env["VHIVE_STATE_DIR"]
    began = time.monotonic()
    done = ctl("image", "pull", ref, env=env)
    return done, time.monotonic() - began, state


def told(what, ref, *words, within=20, **settings):
    done, seconds, state = pull(ref, **settings)
    check(done.returncode != 0, "%s: exit code 0" % what)
    line = done.stderr.strip().splitlines()[-1]
    for word in ("error: ", "image " + ref, *words):
        check(word in line, "%s: nothing of '%s' in:\n%s" % (what, word, done.stderr))
    check(SECRET not in done.stderr, "%s: the password shows" % what)
    check(seconds < within, "%s: took %.1f s" % (what, seconds))
    check(not left(state), "%s: left behind: %s" % (what, left(state)))
    print("%s (%.1f s): %s" % (what, seconds, line))


def mended(what, registry, rootfs, ref=None, within=60, **settings):
    done, seconds, state = pull(ref or registry.ref, **settings)
    check(done.returncode == 0, "%s: %s" % (what, done.stderr))
    check(seconds < within, "%s: took %.1f s" % (what, seconds))
    with open(os.path.join(state, "images", registry.image.digest[7:], "info.json")) as f:
        check(json.load(f)["rootfs_digest"] == rootfs, "%s: another root file system" % what)
    print("%s (%.1f s): mended" % (what, seconds))
    return state


def layer_of(which, act):
    """A fault of one blob alone."""
    return lambda handler, kind, name, data: kind == "blobs" and name == which and act(handler, data)


def everywhere(act):
    return lambda handler, kind, name, data: act(handler, data)


def answer(status, body=b"", headers=()):
    def act(handler, _):
        send(handler, status, body, headers)
        return True
    return act


def first(times, act):
    """The first |times| times only."""
    left_over = [times]

    def limited(handler, data):
        left_over[0] -= 1
        return left_over[0] >= 0 and act(handler, data)
    return limited


def cut(handler, data):
    """Promises all of what was asked for, sends half of it and hangs up."""
    asked = handler.headers.get("Range")
    at = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
    handler.send_response(206 if asked else 200)
    if asked:
        handler.send_header("Content-Range", "bytes %d-%d/%d" % (at, len(data) - 1, len(data)))
    handler.send_header("Content-Length", str(len(data) - at))
    handler.end_headers()
    handler.wfile.write(data[at:at + (len(data) - at) // 2])
    return True


def silent(handler, _):
    time.sleep(20)
    return True


def endless(handler, _):
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(bytes(1 << 16))


with Misbehaving(good) as registry:
    done, _, state = pull(registry.ref)
    check(done.returncode == 0, done.stderr)
    with open(os.path.join(state, "images", good.digest[7:], "info.json")) as f:
        rootfs = json.load(f)["rootfs_digest"]
    before = len(registry.asked)
    done, _, _ = pull(registry.ref, state=state)
    later = [a[:2] for a in registry.asked[before:]]
    check(done.returncode == 0 and later == [("manifests", "v1")], "what is stored was asked for again: %s" % later)
    done, _, _ = pull(registry.ref.replace(":v1", "@" + good.digest), state=state)
    check(done.returncode == 0 and len(registry.asked) == before + 1, "a stored digest was asked about")
    os.truncate(os.path.join(state, "images", good.digest[7:], "rootfs.squashfs"), 100)
    done, _, _ = pull(registry.ref.replace(":v1", "@" + good.digest), state=state)
    check(done.returncode == 0 and len(registry.asked) > before + 3, "a damaged image was not made anew: " + done.stderr)
    print("what is stored is not fetched again, unless it is damaged")

# --- it cannot, or will not, answer
told("down", "docker://127.0.0.1:1/image:v1", "127.0.0.1:1", "Connection refused")
told("no such host", "docker://registry.invalid/image:v1", "registry.invalid", "resolve", within=40)
with Misbehaving(good, everywhere(silent)) as registry:
    told("slow", registry.ref, registry.host, "deadline", "timeout.pull", VHIVE_TIMEOUT_PULL="1500ms")
with Misbehaving(good, layer_of(biggest, silent)) as registry:
    told("slow layer", registry.ref, "layer", "deadline", VHIVE_TIMEOUT_PULL="1500ms")
    began = time.monotonic()
    process = subprocess.Popen([CTL, "image", "pull", registry.ref], stderr=subprocess.PIPE,
                               env={**os.environ, "VHIVE_STATE_DIR": STATE + "/int"})
    time.sleep(1)
    process.terminate()
    check(process.wait(5) == 143 and not left(STATE + "/int"), "SIGTERM: %s %s" % (process.returncode,
                                                                                  left(STATE + "/int")))
    process.stderr.close()
    print("interrupted: %.1f s" % (time.monotonic() - began))
    state = STATE + "/killed"
    env = {**os.environ, "VHIVE_STATE_DIR": state}
    process = subprocess.Popen([CTL, "image", "pull", registry.ref], stderr=subprocess.DEVNULL, env=env)
    time.sleep(1)
    process.kill()
    process.wait()
    check(ctl("image", "ls", env=env).returncode == 0 and not left(state), "after SIGKILL: %s" % left(state))
    check([n for n in os.listdir(state + "/images") if n != "locks"] == [], "after SIGKILL: %s" % os.listdir(state))
    print("killed: the next command clears up")
no = b'{"errors":[{"code":"DENIED","message":"no\\u001b[2Jway"}]}'
with Misbehaving(good, everywhere(answer(401, no, {"WWW-Authenticate": 'Basic realm="x"'}))) as registry:
    told("401", registry.ref, registry.host, "log in (docker login")
with Misbehaving(good, everywhere(answer(403, no))) as registry:
    told("403", registry.ref, "403", "DENIED: no?[2Jway", "log in")
with Misbehaving(good, everywhere(answer(404))) as registry:
    told("404", registry.ref, "404", "check name and tag")
elsewhere = {"WWW-Authenticate": 'Bearer realm="http://example.invalid/t"'}
with Misbehaving(good, everywhere(answer(401, no, elsewhere))) as registry:
    told("token service without TLS", registry.ref, "example.invalid", "plain HTTP", "image.insecure_registries")
with Misbehaving(good, everywhere(answer(503))) as registry:
    told("503", registry.ref, "503", "try later", "tried 6 times", within=40)
with Misbehaving(good, everywhere(answer(429, headers={"Retry-After": "60"}))) as registry:
    told("429 for too long", registry.ref, "429", "60000 ms", VHIVE_TIMEOUT_PULL="5s")
with Misbehaving(good, everywhere(first(2, answer(429, headers={"Retry-After": "1"})))) as registry:
    mended("429 twice", registry, rootfs)
with Misbehaving(good, everywhere(first(1, answer(429, headers={"Retry-After": "2"})))) as registry:
    done, _, _ = pull(registry.ref)
    check(done.returncode == 0 and "asked again in 2 s" in done.stderr, "a wait was not told: " + done.stderr)
with Misbehaving(good, layer_of(biggest, first(2, answer(503)))) as registry:
    mended("503 twice in a layer", registry, rootfs)
page = b"<html>" + bytes(200_000)  # longer than any document that is asked for
with Misbehaving(good, everywhere(first(1, answer(503, page)))) as registry:
    mended("503 with a long page", registry, rootfs, ref=registry.ref.replace(":v1", "@" + good.digest))
with Misbehaving(good, layer_of(biggest, first(1, answer(503, page)))) as registry:
    mended("503 with a long page in a layer", registry, rootfs)
with Misbehaving(good, layer_of(biggest, answer(404))) as registry:
    told("a layer is missing", registry.ref, "layer 1 of 3", biggest, "404")

# --- it breaks off
with Misbehaving(good, layer_of(biggest, first(3, cut))) as registry:
    mended("cut three times", registry, rootfs)
    ranges = [a[2] for a in registry.asked if a[1] == biggest]
    check(len(ranges) == 4 and ranges[0] is None and all(r and r != "bytes=0-" for r in ranges[1:]),
          "it was not resumed: %s" % ranges)


def cut_then_whole(handler, data):
    """Range is not known here: after the cut all of it comes again."""
    if not handler.headers.get("Range"):
        return cut(handler, data)
    send(handler, 200, data)
    return True


def wrong_range(handler, data):
    if not handler.headers.get("Range"):
        return cut(handler, data)
    send(handler, 206, data[7:], {"Content-Range": "bytes 7-%d/%d" % (len(data) - 1, len(data))})
    return True


with Misbehaving(good, layer_of(biggest, cut_then_whole)) as registry:
    mended("Range ignored", registry, rootfs)
with Misbehaving(good, layer_of(biggest, wrong_range)) as registry:
    told("another range", registry.ref, "layer 1 of 3", "another range")


def drip(handler, data):
    asked = handler.headers.get("Range")
    at = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
    handler.send_response(206 if asked else 200)
    handler.send_header("Content-Range", "bytes %d-%d/%d" % (at, len(data) - 1, len(data)))
    handler.send_header("Content-Length", str(len(data) - at))
    handler.end_headers()
    handler.wfile.write(data[at:at + 10])
    return True


with Misbehaving(good, layer_of(biggest, drip)) as registry:
    told("always cut", registry.ref, "layer 1 of 3", "tried 6 times", within=40)

# --- it lies
flipped = bytearray(good.blobs[biggest])
flipped[1000] ^= 1
with Misbehaving(good, layer_of(biggest, answer(200, bytes(flipped)))) as registry:
    told("wrong bytes", registry.ref, "damaged: expected " + biggest, "push the image again")
with Misbehaving(good, layer_of(biggest, answer(200, good.blobs[biggest][:-1]))) as registry:
    told("too short", registry.ref, "ends after", "push the image again")
with Misbehaving(good, layer_of(biggest, endless)) as registry:
    told("endless layer", registry.ref, "longer than")
with Misbehaving(good, lambda h, kind, name, data: kind == "manifests" and endless(h, data)) as registry:
    told("endless manifest", registry.ref, "4194304 bytes, its limit")
with Misbehaving(good, lambda h, kind, name, data: kind == "manifests" and answer(
        200, data + b" ", {"Content-Type": good.type})(h, data)) as registry:
    told("another manifest than asked for", registry.ref.replace(":v1", "@" + good.digest), good.digest, "damaged")
schema1 = b'{"schemaVersion":1,"name":"image","tag":"v1","fsLayers":[]}'
with Misbehaving(good, everywhere(answer(
        200, schema1, {"Content-Type": "application/vnd.docker.distribution.manifest.v1+prettyjws"}))) as registry:
    told("schema 1", registry.ref, "schema 1")
with Misbehaving(good, everywhere(answer(200, b"<html>"))) as registry:
    told("no JSON", registry.ref, "manifest")

# --- it sends elsewhere: followed a few times, without the login
seen = []
with Server(lambda h: (seen.append(h.headers.get("Authorization")), send(h, 200, good.blobs[biggest]))) as other:
    def asks_login(handler, kind, name, _):
        if not handler.headers.get("Authorization"):
            send(handler, 401, b"", {"WWW-Authenticate": 'Basic realm="x"'})
            return True
        if name == biggest:
            send(handler, 307, b"", {"Location": "http://%s/signed?key=%s&%s" % (other.host, SECRET, "x" * 10_000)})
        return name == biggest

    with Misbehaving(good, asks_login) as registry:
        login = write_login(SCRATCH + "/login", {registry.host: "joe:" + SECRET})
        mended("redirect", registry, rootfs, DOCKER_CONFIG=login)
        check(seen == [None], "the login went to another host: %s" % seen)
with Misbehaving(good, layer_of(biggest, answer(307, headers={"Location": "http://127.0.0.1:1/x?key=" + SECRET}))) as \
        registry:
    told("redirect to nowhere", registry.ref, "127.0.0.1:1", "refused", within=40)
with Misbehaving(good, everywhere(lambda h, _: answer(302, headers={"Location": h.path})(h, _))) as registry:
    told("redirect loop", registry.ref, "redirects more than 5 times")
with Misbehaving(good, everywhere(answer(302, headers={"Location": "file:///etc/passwd"}))) as registry:
    told("redirect to a file", registry.ref, "neither http nor https")

# --- a refresh token goes to the token service as a form, and nowhere else
def wants_token(service):
    def act(handler, _):
        if handler.headers.get("Authorization") == "Bearer granted":
            return False
        send(handler, 401, b"", {"WWW-Authenticate": 'Bearer realm="http://%s/token",service="s"' % service.host})
        return True
    return everywhere(act)


def identity(registry):
    folder = SCRATCH + "/identity"
    os.makedirs(folder, exist_ok=True)
    with open(folder + "/config.json", "w") as f:
        json.dump({"auths": {registry.host: {"auth": "MDAwOg==", "identitytoken": SECRET}}}, f)
    return folder


forms = []


def grant(handler):
    forms.append(handler.rfile.read(int(handler.headers["Content-Length"])).decode())
    send(handler, 200, b'{"access_token":"granted"}')


with Server(grant) as service, Misbehaving(good, wants_token(service)) as registry:
    mended("refresh token", registry, rootfs, DOCKER_CONFIG=identity(registry))
    check(forms == ["grant_type=refresh_token&client_id=vhive&refresh_token=%s&service=s&"
                    "scope=repository%%3Aimage%%3Apull" % SECRET], "form: %s" % forms)
forms.clear()
with Server(grant) as thief, \
        Server(lambda h: send(h, 307, headers={"Location": "http://%s/" % thief.host})) as service, \
        Misbehaving(good, wants_token(service)) as registry:
    told("redirected login", registry.ref, "redirects a login", DOCKER_CONFIG=identity(registry))
    check(not forms, "the refresh token went to another host: %s" % forms)
with Server(lambda h: send(h, 200, b'{"token":"a b\\nX: y"}')) as service, \
        Misbehaving(good, wants_token(service)) as registry:
    told("token that is none", registry.ref, "has no token")

# --- a mirror that lies, or cannot answer, is no harm: the registry itself is asked, and at once
def cut_noise(handler, data):
    """Half of a layer, of other bytes than it has, and then nothing more."""
    if handler.headers.get("Range"):
        return answer(404)(handler, data)
    send(handler, 200, bytes(len(data) // 2), {"Content-Length": str(len(data))})
    return True


def mirrored(what, fault, pinned=False):
    with Misbehaving(good) as registry, Misbehaving(good, fault) as mirror:
        mended(what, registry, rootfs, ref=registry.ref.replace(":v1", "@" + good.digest) if pinned else None,
               within=10, VHIVE_IMAGE_MIRRORS="%s=%s" % (registry.host, mirror.host))
        return mirror.asked


mirrored("wrong bytes of a mirror", layer_of(biggest, answer(200, bytes(flipped))))
mirrored("wrong bytes of a mirror that breaks off", layer_of(biggest, cut_noise))
mirrored("another manifest of a mirror", lambda h, kind, name, data: kind == "manifests" and answer(
    200, data + b" ", {"Content-Type": good.type})(h, data), pinned=True)
mirrored("a mirror that is busy", layer_of(biggest, answer(429, headers={"Retry-After": "60"})))
asked = mirrored("a mirror that cannot answer", everywhere(answer(503)))
check(len(asked) == 1, "a mirror that is down was asked again: %s" % asked)
with Misbehaving(good) as registry:
    mended("a mirror that is down", registry, rootfs, within=5,
           VHIVE_IMAGE_MIRRORS="%s=127.0.0.1:1" % registry.host)

# --- the image is the fault
evil = {
    "a layer that climbs": (Image(tar_of(("../../etc/cron.d/x", b"evil"))), "climbs"),
    "a layer through a link": (Image(tar_of(("a", b"", tarfile.SYMTYPE, "/etc"), ("a/passwd", b"x"))),
                               "below a file or symlink"),
    "a hard link out of it": (Image(tar_of(("shadow", b"", tarfile.LNKTYPE, "../../etc/shadow"))), "climbs"),
    "another architecture": (Image(tar_of(("hello", b"x")), arch="riscv64"), "riscv64"),
}
for what, (image, word) in evil.items():
    with Misbehaving(image) as registry:
        told(what, registry.ref, word)
with Misbehaving(Image(tar_of(("zeros", bytes(64 << 20))))) as registry:
    told("bomb of bytes", registry.ref, "image.max_bytes", "16777216", VHIVE_IMAGE_MAX_BYTES="16M")
with Misbehaving(Image(tar_of(*(("f%d" % i, b"") for i in range(3000))))) as registry:
    told("bomb of names", registry.ref, "image.max_entries", "1000", VHIVE_IMAGE_MAX_ENTRIES="1000")
many = Image(tar_of(("hello", b"x")))
many.set_manifest({"schemaVersion": 2, "mediaType": many.type, "config": many.config, "layers": many.layers * 300})
with Misbehaving(many) as registry:
    told("bomb of layers", registry.ref, "256 layers")
huge = Image(tar_of(("hello", b"x")))
huge.set_manifest({"schemaVersion": 2, "mediaType": huge.type, "config": huge.config,
                   "layers": [dict(huge.layers[0], size=1 << 50)]})
with Misbehaving(huge) as registry:
    told("layer of a petabyte", registry.ref, "image.max_bytes")

# --- no room: a small file system for the state
need("root")
small = os.path.join(SCRATCH, "small")
os.makedirs(small)


def fill(handler, data):
    """Takes the last room away once the pull has begun."""
    with open(os.path.join(small, "filler"), "wb") as f:
        try:
            while True:
                f.write(bytes(1 << 16))
        except OSError:
            pass
    return False


# random data does not shrink: its layers take 6 MiB, and so does what is made of them
double = Image(tar_of(("data", noise[0])), tar_of(("other", noise[0][::-1])))
for what, mib, image, fault, need_mib in (
        ("disk full before the pull", 2, good, lambda *_: False, 5),
        ("disk full while pulling", 16, good, layer_of(biggest, first(1, fill)), 9),
        ("disk full while converting", 10, double, lambda *_: False, 13)):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dM" % mib, "tmpfs", small], check=True)
    try:
        with Misbehaving(image, fault) as registry:
            told(what, registry.ref, "the file system of %s has %d MiB free" % (small, 2 if mib == 2 else 0),
                 "about %d MiB" % need_mib, "make room", "No space left", VHIVE_STATE_DIR=small)
    finally:
        subprocess.run(["umount", small], check=True)
