"""vhived in a test: started with sockets and directories of its own, told to end, looked at over HTTP, called by gRPC.
Tests that do the last run under /usr/bin/python3, Debian's, whose grpc package setup.sh installs."""
import importlib
import os
import signal
import socket
import subprocess
import sys
import time

from vhive_e2e import BUILD, E2E, SCRATCH, check, fail

PROTO = os.path.join(E2E, "../../proto/vhive/control/v1")
STREAMS = ("Deploy", "Events", "Logs", "PullImage", "CreateSnapshot")
RUN = os.environ["VHIVE_RUN_DIR"]
VHIVED = os.path.join(BUILD, "bin/vhived")


def http(where, path, method="GET", timeout=10):
    """(status, head, body) of a request to "HOST:PORT" or the path of a Unix socket."""
    if where.startswith("/"):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(timeout)
        s.connect(where)
    else:
        host, port = where.rsplit(":", 1)
        s = socket.create_connection((host, int(port)), timeout)
    with s:
        s.sendall(("%s %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n" % (method, path)).encode())
        whole = b"".join(iter(lambda: s.recv(65536), b"")).decode()
    head, body = whole.split("\r\n\r\n", 1)
    return int(head.split()[1]), head, body


class Control:
    """The control API: control.Scale(name="hello", min=1) gives the reply, of those that stream the list of all."""

    def __init__(self, path):
        import grpc  # only those who call need it

        self.grpc = grpc
        made = os.path.join(SCRATCH, "proto")
        if not os.path.exists(made):
            os.mkdir(made)
            subprocess.run(["protoc", "--proto_path=" + PROTO, "--python_out=" + made, "control.proto"], check=True)
            sys.path.append(made)
        self.pb = importlib.import_module("control_pb2")
        self.channel = grpc.insecure_channel("unix:" + path, [("grpc.default_authority", "localhost")])

    def __getattr__(self, name):
        method = self.pb.DESCRIPTOR.services_by_name["Control"].methods_by_name[name]
        kind = self.channel.unary_stream if name in STREAMS else self.channel.unary_unary
        call = kind("/vhive.control.v1.Control/" + name,
                    request_serializer=lambda message: message.SerializeToString(),
                    response_deserializer=getattr(self.pb, method.output_type.name).FromString)

        def run(timeout=120, **fields):
            reply = call(getattr(self.pb, method.input_type.name)(**fields), timeout=timeout)
            return list(reply) if name in STREAMS else reply

        return run

    def deploy(self, name, image, **more):
        """The function, once it is deployed."""
        spec = self.pb.FunctionSpec(name=name, image=image, **more)
        return self.Deploy(spec=spec)[-1].function


class Notify:
    """The supervisor's end of sd_notify: a datagram socket that notes what it is told."""

    def __init__(self, name="notify"):
        self.path = os.path.join(SCRATCH, name)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.told = []

    def wait(self, word, seconds):
        """Waits for a message with the line |word| in it; False when it does not come."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.sock.settimeout(max(0.001, end - time.monotonic()))
            try:
                self.told.append(self.sock.recv(4096).decode())
            except TimeoutError:
                return False
            if word in self.told[-1].split("\n"):
                return True
        return False

    def close(self):
        self.sock.close()
        os.unlink(self.path)


class Daemon:
    """A vhived with the options |args|, beside which it has no CRI socket; a context manager that ends it by SIGTERM."""

    def __init__(self, *args, env=None, wrapper=(), pass_fds=(), cri=False):
        self.log_path = os.path.join(SCRATCH, "vhived-%d.log" % time.monotonic_ns())
        self.notify = Notify("notify-%d" % time.monotonic_ns())
        self.http = os.path.join(RUN, "vhived.http.sock")
        self.control = os.path.join(RUN, "vhived.sock")
        more = {"NOTIFY_SOCKET": self.notify.path, **({} if cri else {"VHIVE_CRI_SOCK": "none"}), **(env or {})}
        with open(self.log_path, "w") as log:
            self.began = time.monotonic()
            self.process = subprocess.Popen([*wrapper, VHIVED, *args], env={**os.environ, **more}, pass_fds=pass_fds,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def __enter__(self):
        return self.wait_ready()

    def __exit__(self, kind, *_):
        if kind:
            print(self.log())
        code = self.end()
        if not kind:
            check(code == 0, "vhived ended with %d\n%s" % (code, self.log()))

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def wait_ready(self, seconds=30):
        """Waits until it says so; |self.ready_s| is how long that took."""
        end = time.monotonic() + seconds
        while not self.notify.wait("READY=1", 0.2):
            if self.process.poll() is not None or time.monotonic() > end:
                fail("vhived is not ready, exit code %s\n%s" % (self.process.poll(), self.log()))
        self.ready_s = time.monotonic() - self.began
        return self

    def refused(self, seconds=20):
        """Waits for its end; (exit code, what it said)."""
        code = self.process.wait(seconds)
        self.notify.close()
        return code, self.log()

    def says(self, text, seconds=10):
        end = time.monotonic() + seconds
        while text not in self.log():
            check(time.monotonic() < end, "nothing of '%s' in:\n%s" % (text, self.log()))
            time.sleep(0.02)

    def get(self, path):
        return http(self.http, path)

    def end(self, sig=signal.SIGTERM, seconds=40):
        """Ends it and gives its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            fail("vhived did not end within %d s\n%s" % (seconds, self.log()))
        finally:
            self.notify.close()
