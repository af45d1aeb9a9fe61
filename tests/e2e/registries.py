"""Registries for the end-to-end tests: Debian's docker-registry, a token service, and one that misbehaves on demand.

All listen on the loopback device, on ports the kernel chooses, and end with their context manager.
"""
import base64
import contextlib
import gzip
import hashlib
import http.server
import io
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tarfile
import threading
import time
import urllib.parse
import urllib.request

from vhive_e2e import SCRATCH, check, fail

OCI = "application/vnd.oci.image."


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar_of(*files):
    """A tar of (name, bytes) or (name, bytes, type, link name)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data, *more in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mode = 0o755
            if more:
                info.type, info.linkname = more
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Image:
    """An image in memory: blobs by digest, and its manifest."""

    def __init__(self, *tars, arch="amd64", pack=lambda t: gzip.compress(t, 1, mtime=0), kind="tar+gzip"):
        self.blobs = {}
        self.layers = [dict(self.add(pack(t)), mediaType=OCI + "layer.v1." + kind) for t in tars]
        config = {"architecture": arch, "os": "linux", "config": {"Cmd": ["/hello"]},
                  "rootfs": {"type": "layers", "diff_ids": [digest_of(t) for t in tars]}}
        self.config = dict(self.add(json.dumps(config).encode()), mediaType=OCI + "config.v1+json")
        self.arch = arch
        self.set_manifest({"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "config": self.config,
                           "layers": self.layers})

    def add(self, data):
        self.blobs[digest_of(data)] = data
        return {"digest": digest_of(data), "size": len(data)}

    def set_manifest(self, manifest):
        self.manifest = json.dumps(manifest).encode()
        self.type = manifest["mediaType"]
        self.digest = digest_of(self.manifest)

    def descriptor(self):
        return {"mediaType": self.type, "digest": self.digest, "size": len(self.manifest),
                "platform": {"os": "linux", "architecture": self.arch}}

    def write_layout(self, folder):
        os.makedirs(folder + "/blobs/sha256")
        for digest, data in dict(self.blobs, **{self.digest: self.manifest}).items():
            with open(folder + "/blobs/sha256/" + digest[7:], "wb") as f:
                f.write(data)
        with open(folder + "/index.json", "w") as f:
            json.dump({"schemaVersion": 2, "manifests": [self.descriptor()]}, f)
        with open(folder + "/oci-layout", "w") as f:
            f.write('{"imageLayoutVersion":"1.0.0"}')
        return "oci:" + folder


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **more)
    check(done.returncode == 0, "%s: exit code %d\n%s%s" % (" ".join(command), done.returncode, done.stdout,
                                                            done.stderr))
    return done.stdout


def certificates():
    """An authority, and a server's key and certificate by it: paths of ca.pem, server.pem, server.key."""
    folder = os.path.join(SCRATCH, "tls")
    os.makedirs(folder)
    ca, ca_key, crt, key, csr, ext = (os.path.join(folder, n) for n in (
        "ca.pem", "ca.key", "server.pem", "server.key", "server.csr", "ext"))
    with open(ext, "w") as f:
        f.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    new = ("openssl", "req", "-newkey", "rsa:2048", "-nodes")
    run(*new, "-x509", "-days", "2", "-subj", "/CN=a CA of the test", "-keyout", ca_key, "-out", ca)
    run(*new, "-subj", "/CN=127.0.0.1", "-keyout", key, "-out", csr)
    run("openssl", "x509", "-req", "-in", csr, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "2",
        "-extfile", ext, "-out", crt)
    return ca, crt, key


class Registry:
    """Debian's docker-registry; several may share one folder of |storage|."""

    def __init__(self, storage, more=""):
        self.port = free_port()
        self.host = "127.0.0.1:%d" % self.port
        path = os.path.join(SCRATCH, "registry-%d.yml" % self.port)
        with open(path, "w") as f:
            f.write("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
                    "storage: {filesystem: {rootdirectory: %s}}\n"
                    "http:\n  addr: %s\n%s" % (storage, self.host, more))
        self.log = open(path + ".log", "w+")
        self.process = subprocess.Popen(["docker-registry", "serve", path], stdout=self.log, stderr=self.log)

    def __enter__(self):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            time.sleep(0.02)
        self.log.seek(0)
        fail("docker-registry does not start\n" + self.log.read())

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        self.log.close()

    def push(self, source, name, *more):
        run("skopeo", "copy", "--dest-tls-verify=false", *more, source, "docker://%s/%s" % (self.host, name))

    def put_manifest(self, name, tag, manifest):
        request = urllib.request.Request("http://%s/v2/%s/manifests/%s" % (self.host, name, tag), method="PUT",
                                         data=json.dumps(manifest).encode(),
                                         headers={"Content-Type": manifest["mediaType"]})
        urllib.request.urlopen(request, timeout=10).close()


class Server:
    """A small HTTP server in a thread; |answer| is called with each request's handler. |tls|: certificate and key."""

    def __init__(self, answer, tls=None):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(handler):
                # the first byte of TLS: whoever tries it is told at once that it is not spoken
                if not tls and handler.connection.recv(1, socket.MSG_PEEK) == b"\x16":
                    handler.wfile.write(b"HTTP/1.1 400 No TLS\r\n\r\n")
                else:
                    super().handle()

            def do_GET(handler):
                handler.close_connection = True
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    answer(handler)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.host = "127.0.0.1:%d" % self.port
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def send(handler, status, body=b"", headers=()):
    handler.send_response(status)
    for name, value in dict({"Content-Length": str(len(body)), "Connection": "close"}, **dict(headers)).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


class TokenService(Server):
    """Gives tokens that docker-registry accepts to |user| with |password|, signed by |key| of |certificate|."""

    def __init__(self, key, certificate, user, password):
        super().__init__(self.give)
        self.key, self.login = key, "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode()
        der = run("openssl", "x509", "-in", certificate, "-outform", "PEM")
        self.x5c = "".join(der.split("-----")[2].split())
        self.asked = []

    def give(self, handler):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(handler.path).query)
        self.asked.append(query)
        if handler.headers.get("Authorization") != self.login:
            send(handler, 401, b'{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}')
            return
        kind, name, actions = query["scope"][0].split(":")
        now = int(time.time())
        claims = {"iss": "test", "sub": "", "aud": query["service"][0], "exp": now + 300, "nbf": now - 10, "iat": now,
                  "jti": "1", "access": [{"type": kind, "name": name, "actions": actions.split(",")}]}
        send(handler, 200, json.dumps({"token": self.sign(claims)}).encode())

    def sign(self, claims):
        def part(data):
            return base64.urlsafe_b64encode(data).rstrip(b"=")

        head = {"typ": "JWT", "alg": "RS256", "x5c": [self.x5c]}
        text = part(json.dumps(head).encode()) + b"." + part(json.dumps(claims).encode())
        mark = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=text, capture_output=True,
                              check=True).stdout
        return (text + b"." + part(mark)).decode()


class Misbehaving(Server):
    """
    A registry of one image, "IMAGE:v1", that notes what it is asked for. |fault|, called with the handler, the kind
    ("manifests" or "blobs"), its digest or tag and the bytes, may answer instead and return True.
    """

    def __init__(self, image, fault=lambda *_: False):
        super().__init__(self.serve)
        self.image, self.fault, self.asked = image, fault, []
        self.ref = "docker://%s/image:v1" % self.host

    def serve(self, handler):
        parts = handler.path.split("/")
        if len(parts) < 5:
            send(handler, 200)
            return
        kind, which = parts[-2:]
        self.asked.append((kind, which, handler.headers.get("Range"), handler.headers.get("Authorization")))
        data = self.image.manifest if kind == "manifests" else self.image.blobs.get(which)
        if self.fault(handler, kind, which, data):
            return
        if data is None or (kind == "manifests" and which not in ("v1", self.image.digest)):
            send(handler, 404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
        elif kind == "manifests":
            send(handler, 200, data, {"Content-Type": self.image.type})
        else:
            self.send_blob(handler, data)

    def send_blob(self, handler, data):
        asked = handler.headers.get("Range")
        if asked:
            at = int(asked.removeprefix("bytes=").removesuffix("-"))
            send(handler, 206, data[at:], {"Content-Range": "bytes %d-%d/%d" % (at, len(data) - 1, len(data))})
        else:
            send(handler, 200, data)


def write_login(folder, logins):
    """A config.json with {host: "user:password"}; its folder."""
    os.makedirs(folder, exist_ok=True)
    auths = {host: {"auth": base64.b64encode(login.encode()).decode()} for host, login in logins.items()}
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump({"auths": auths}, f)
    return folder


def need_tools(*tools):
    import sys
    for tool in tools:
        if not shutil.which(tool):
            print("skip: registry: no %s" % tool)
            sys.exit(77)
