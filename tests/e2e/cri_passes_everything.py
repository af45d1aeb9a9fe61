#!/usr/bin/python3
"""What clients ask at the CRI socket and what containerd answers passes as it is, whatever the method.

In containerd's place is a gRPC server that knows none of CRI's methods but takes all, and tells what it saw. Each call
is made to it directly and through vhived, and must come out alike. (/usr/bin/python3: Debian's has python3-grpcio.)
"""
# timeout: 120
import os
import signal
import sys
import threading
import time
from concurrent import futures

import grpc

from vhive_daemon import Daemon
from vhive_e2e import SCRATCH, check, need

need("root")

MIB = 1 << 20
BACKEND = os.path.join(SCRATCH, "backend.sock")
ENDPOINT = os.path.join(SCRATCH, "cri.sock")
LIMITS = [("grpc.max_receive_message_length", 32 * MIB), ("grpc.max_send_message_length", 32 * MIB),
          ("grpc.max_reconnect_backoff_ms", 200), ("grpc.initial_reconnect_backoff_ms", 50)]
DETAILS = bytes(range(256))
SENT = (("x-text", "some words"), ("x-many", "one"), ("x-many", "two"), ("x-data-bin", DETAILS), ("x-empty", ""))
WAIT = 20


class Backend:
    """Methods are known by the last part of their name; the first part, the service, is anything."""

    def __init__(self):
        self.cancelled = threading.Event()
        self.pool = futures.ThreadPoolExecutor(150)
        self.server = None

    def start(self):
        self.server = grpc.server(self.pool, options=LIMITS)
        self.server.add_generic_rpc_handlers((self,))
        check(self.server.add_insecure_port("unix:" + BACKEND), "no port")
        self.server.start()

    def stop(self):
        self.server.stop(0).wait(WAIT)

    def service(self, details):
        behaviour = getattr(self, details.method.rsplit("/", 1)[-1].lower(), None)
        # every kind of call is a stream of messages both ways; what differs is what the client makes of it
        return grpc.stream_stream_rpc_method_handler(behaviour) if behaviour else None

    def echo(self, messages, context):
        """Each message, before the next one is read."""
        context.send_initial_metadata(SENT)
        yield from messages
        context.set_trailing_metadata(SENT)

    def saw(self, messages, context):
        """The caller's metadata and all that it sent."""
        got = list(messages)
        yield repr((sorted(context.invocation_metadata()), [len(m) for m in got])).encode()

    def last(self, messages, _):
        """Only the last message."""
        yield list(messages)[-1]

    def stream(self, messages, _):
        for i in range(int(next(messages))):
            yield b"%d" % i

    def fill(self, messages, _):
        """As many bytes as it is told."""
        yield bytes(int(next(messages)))

    def left(self, _, context):
        """The time that is left, in seconds; "none"."""
        left = context.time_remaining()
        yield b"none" if left is None or left > 1e6 else b"%d" % round(left)

    def fail(self, messages, context):
        """With a code, a text that is not ASCII, details, and a message before."""
        code = int(next(messages))
        yield b"before it failed"
        context.set_trailing_metadata((("grpc-status-details-bin", DETAILS),) + SENT)
        context.abort(next(c for c in grpc.StatusCode if c.value[0] == code), "niño\n100 % 失敗")

    def hang(self, _, context):
        """Until the caller gives up."""
        context.add_callback(self.cancelled.set)
        yield b"hanging"
        self.cancelled.wait(WAIT)


def outcome(call):
    """All that a client can see of a call."""
    answers = []
    try:
        answers.extend(call)
    except grpc.RpcError:
        pass  # the code tells
    return (call.code(), call.details(), sorted(call.initial_metadata()), sorted(call.trailing_metadata()), answers)


class Client:
    def __init__(self, path):
        self.channel = grpc.insecure_channel("unix:" + path, options=LIMITS)

    def call(self, method, *messages, timeout=WAIT, **more):
        return self.channel.stream_stream(method)(iter(messages), timeout=timeout, **more)

    def unary(self, method, message, **more):
        return self.channel.unary_unary(method)(message, timeout=WAIT, **more)


backend = Backend()


def alike(direct, through, what, method, *messages, **more):
    one, other = (outcome(c.call(method, *messages, **more)) for c in (direct, through))
    check(one == other, "%s: directly %.600s\nthrough vhived %.600s" % (what, one, other))
    return other


def metadata_and_messages_are_the_same(direct, through):
    code, _, initial, trailing, answers = alike(direct, through, "echo", "/no.such.v7.Package/Echo", b"a", b"", b"ccc",
                                                metadata=SENT)
    check(code == grpc.StatusCode.OK and answers == [b"a", b"", b"ccc"], "echo: %s %s" % (code, answers))
    check(set(SENT) <= set(initial) and set(SENT) <= set(trailing), "metadata: %s %s" % (initial, trailing))
    alike(direct, through, "metadata as the server saw it", "/x/Saw", b"1", b"22", metadata=SENT)
    alike(direct, through, "gzip", "/x/Last", b"z" * 100000, compression=grpc.Compression.Gzip)
    for service in ("runtime.v1.RuntimeService", "runtime.v1.ImageService", "runtime.v99.Later", "a"):
        alike(direct, through, service, "/%s/Saw" % service, b"x")


def every_kind_of_call_passes(direct, through):
    for client in (direct, through):
        check(client.unary("/x/Last", b"one") == b"one", "unary")
        check(client.channel.stream_unary("/x/Last")(iter([b"1", b"2"]), timeout=WAIT) == b"2", "client stream")
        got = list(client.channel.unary_stream("/x/Stream")(b"2000", timeout=WAIT))
        check(got == [b"%d" % i for i in range(2000)], "server stream: %d answers" % len(got))
        step = threading.Semaphore(1)

        def questions():
            for i in range(100):
                check(step.acquire(timeout=WAIT), "no answer before the next question")
                yield b"%d" % i

        for answer in client.channel.stream_stream("/x/Echo")(questions(), timeout=WAIT):
            step.release()
        check(answer == b"99", "both ways: the last answer is %s" % answer)


def failures_are_the_same(direct, through):
    for code in range(1, 17):
        got = alike(direct, through, "code %d" % code, "/x/Fail", b"%d" % code)
        check(got[0].value[0] == code and ("grpc-status-details-bin", DETAILS) in got[3], "code %d: %s" % (code, got))
    got = alike(direct, through, "unknown method", "/runtime.v1.RuntimeService/Unheard", b"")
    check(got[0] == grpc.StatusCode.UNIMPLEMENTED, "unknown method: %s" % (got,))


def deadlines_pass(direct, through):
    check(alike(direct, through, "no deadline", "/x/Left", b"", timeout=None)[4] == [b"none"], "a deadline was made up")
    check(alike(direct, through, "deadline", "/x/Left", b"", timeout=7)[4] == [b"7"], "the deadline is another")
    for client in (direct, through):
        backend.cancelled.clear()
        began = time.monotonic()
        code = outcome(client.call("/x/Hang", b"", timeout=1))[0]
        check(code == grpc.StatusCode.DEADLINE_EXCEEDED and time.monotonic() - began < 3, "deadline: %s" % code)
        check(backend.cancelled.wait(3), "the backend goes on after the deadline")


def a_cancelled_call_ends_at_the_backend(_, through):
    backend.cancelled.clear()
    call = through.call("/x/Hang", b"")
    check(next(call) == b"hanging", "no answer")
    call.cancel()
    check(backend.cancelled.wait(3), "the backend goes on")


def messages_may_have_16_mib(direct, through):
    for size in (16 * MIB - 1, 16 * MIB):
        got = alike(direct, through, "%d bytes" % size, "/x/Saw", bytes(size))
        check(b"[%d]" % size in got[4][0], "the backend saw %s" % got[4])
        check(alike(direct, through, "an answer of %d bytes" % size, "/x/Fill", b"%d" % size)[0] == grpc.StatusCode.OK,
              "an answer of %d bytes" % size)
    for method, message in (("/x/Saw", bytes(16 * MIB + 1)), ("/x/Fill", b"%d" % (16 * MIB + 1))):
        code = outcome(through.call(method, message))[0]
        check(code == grpc.StatusCode.RESOURCE_EXHAUSTED, "a byte more, %s: %s" % (method, code))
    check(through.unary("/x/Last", b"still") == b"still", "nothing after one that was too large")


def many_calls_are_under_way_at_once(_, through):
    everyone = threading.Barrier(100, timeout=WAIT)

    def one(i):
        def questions():
            yield b"first"
            everyone.wait()  # until each of the calls has had an answer
            yield b"%d" % i

        return list(through.channel.stream_stream("/x/Echo")(questions(), timeout=2 * WAIT))[-1]

    with futures.ThreadPoolExecutor(100) as pool:
        check(list(pool.map(one, range(100))) == [b"%d" % i for i in range(100)], "answers were mixed up")


def a_backend_may_come_and_go(_, through):
    backend.cancelled.clear()
    call = through.call("/x/Hang", b"")
    check(next(call) == b"hanging", "no answer")
    backend.stop()
    check(outcome(call)[0] in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED), "under way: %s" % call.code())
    check(outcome(through.call("/x/Saw", b""))[0] == grpc.StatusCode.UNAVAILABLE, "an answer without a backend")
    backend.start()
    check(through.unary("/x/Last", b"back") == b"back", "the backend is back, and not found")


def a_restarted_daemon_is_found_again(through, daemon):
    daemon.end(signal.SIGKILL)
    with Daemon(*OPTIONS, cri=True):
        check(through.unary("/x/Last", b"again", wait_for_ready=True) == b"again", "not found again")


OPTIONS = ("--cri-sock", ENDPOINT, "--containerd-sock", BACKEND, "--sandbox", "stock-only")
endpoint = Daemon(*OPTIONS, cri=True).wait_ready()
backend.start()
clients = Client(BACKEND), Client(ENDPOINT)
metadata_and_messages_are_the_same(*clients)
every_kind_of_call_passes(*clients)
failures_are_the_same(*clients)
deadlines_pass(*clients)
a_cancelled_call_ends_at_the_backend(*clients)
messages_may_have_16_mib(*clients)
many_calls_are_under_way_at_once(*clients)
a_backend_may_come_and_go(*clients)
a_restarted_daemon_is_found_again(clients[1], endpoint)
for client in clients:
    client.channel.close()
backend.stop()
sys.stdout.flush()
os._exit(0)  # the interpreter waits for the pool's threads now and then for ever (grpcio 1.30, Python 3.11)
