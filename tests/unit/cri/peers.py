#!/usr/bin/python3
"""peers.py FRONT BACK: calls of every kind by Python's gRPC through a proxy that listens on the socket FRONT, to a server
of Python's gRPC on the socket BACK, which this program starts, stops, freezes and kills.

peers.py serve BACK is that server.
"""
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent import futures

import grpc

MIB = 1 << 20
BIG = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
DETAILS = b"\x00\x01details\xff"
cancelled = threading.Semaphore(0)


# The server: generic, so that no method is known to anybody else.

def echo(request, context):
    meta = [(k, v) for k, v in context.invocation_metadata() if k.startswith("x-")]
    context.send_initial_metadata(meta)
    context.set_trailing_metadata([("y-trailing", "1"), ("y-trailing", "2"), ("y-bin", b"\x00\xfe")])
    return request


def fail(request, context):
    context.set_trailing_metadata([("grpc-status-details-bin", DETAILS)])
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "100% wrong: \u00e4\n")


def remaining(request, context):
    left = context.time_remaining()
    return b"none" if left is None or left > 1e6 else b"%f" % left


def hang(request, context):
    gone = threading.Event()
    context.add_callback(gone.set)
    context.send_initial_metadata([("x-here", "1")])
    gone.wait(30)
    cancelled.release()
    return b""


def was_cancelled(request, context):
    return b"yes" if cancelled.acquire(timeout=5) else b"no"


def many(request, context):
    for _ in range(int(request)):
        yield b"m" * MIB


def chat(requests, context):
    for r in requests:
        yield b"re: " + r


def join(requests, context):
    return b"+".join(requests)


def zeros(request, context):
    return bytes(int(request))


def nap(request, context):
    time.sleep(0.6)
    return bytes(MIB)


UNARY = {"Nap": nap, "Echo": echo, "Fail": fail, "Remaining": remaining, "Hang": hang, "WasCancelled": was_cancelled,
         "Zeros": zeros}


class Generic(grpc.GenericRpcHandler):
    def service(self, call):
        service, name = call.method.lstrip("/").split("/")
        if service != "no.body.Knows":
            return None
        if name in UNARY:
            return grpc.unary_unary_rpc_method_handler(UNARY[name])
        return {"Many": grpc.unary_stream_rpc_method_handler(many),
                "Chat": grpc.stream_stream_rpc_method_handler(chat),
                "Join": grpc.stream_unary_rpc_method_handler(join)}.get(name)


def serve(path):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # in the threads of the server as well
    server = grpc.server(futures.ThreadPoolExecutor(32), options=BIG)
    server.add_generic_rpc_handlers((Generic(),))
    server.add_insecure_port(f"unix:{path}")
    server.start()
    print("ready", flush=True)
    signal.sigwait({signal.SIGTERM})
    server.stop(5).wait()
    os._exit(0)  # the interpreter waits for the pool's threads now and then for ever (grpcio 1.30, Python 3.11)


class Backend:
    def __init__(self, path):
        self.path = path
        self.process = None

    def start(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.process = subprocess.Popen([sys.executable, "-B", __file__, "serve", self.path], stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"

    def send(self, number):
        self.process.send_signal(number)

    def end(self, number=signal.SIGKILL):
        self.send(number)
        self.process.wait(30)
        self.process.stdout.close()


# The client.

class Calls:
    def __init__(self, front):
        self.channel = grpc.insecure_channel(f"unix:{front}", BIG)

    def unary(self, name, request=b"", service="no.body.Knows", **how):
        return self.channel.unary_unary(f"/{service}/{name}")(request, **{"timeout": 20, **how})

    def started(self, name, request=b"", **how):
        return self.channel.unary_unary(f"/no.body.Knows/{name}").future(request, **{"timeout": 20, **how})


def expect(code, call, text=""):
    try:
        call()
    except grpc.RpcError as e:
        assert e.code() == code, f"{e.code()}: {e.details()}"
        assert text in e.details(), e.details()
        return e
    raise AssertionError(f"no {code}")


def metadata_passes_both_ways(c, backend):
    sent = (("x-one", "a"), ("x-one", "b"), ("x-bin", b"\x00\x01\xff"))
    reply, call = c.channel.unary_unary("/no.body.Knows/Echo").with_call(b"\x00hi", metadata=sent, timeout=20)
    assert reply == b"\x00hi"
    assert tuple(tuple(m) for m in call.initial_metadata()) == sent, call.initial_metadata()
    assert tuple(tuple(m) for m in call.trailing_metadata()) == (("y-trailing", "1"), ("y-trailing", "2"),
                                                                 ("y-bin", b"\x00\xfe")), call.trailing_metadata()


def statuses_pass_with_text_and_details(c, backend):
    e = expect(grpc.StatusCode.FAILED_PRECONDITION, lambda: c.unary("Fail"), "100% wrong: \u00e4\n")
    assert dict(e.trailing_metadata())["grpc-status-details-bin"] == DETAILS
    expect(grpc.StatusCode.UNIMPLEMENTED, lambda: c.unary("Nope"))
    expect(grpc.StatusCode.UNIMPLEMENTED, lambda: c.unary("Echo", service="runtime.v9.Other"))


def deadlines_reach_the_backend(c, backend):
    assert 8 < float(c.unary("Remaining", timeout=10)) < 10.5  # it rounds up
    assert c.unary("Remaining", timeout=None) == b"none"
    since = time.monotonic()
    expect(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: c.unary("Hang", timeout=0.3))
    assert time.monotonic() - since < 5
    assert c.unary("WasCancelled") == b"yes"


def cancelling_reaches_the_backend(c, backend):
    call = c.started("Hang")
    time.sleep(0.2)
    call.cancel()
    assert c.unary("WasCancelled") == b"yes"


def streams_pass_of_every_kind(c, backend):
    assert c.channel.stream_unary("/no.body.Knows/Join")(iter([b"a", b"b", b""]), timeout=20) == b"a+b+"
    assert sum(len(m) for m in c.channel.unary_stream("/no.body.Knows/Many")(b"20", timeout=20)) == 20 * MIB
    said, more = threading.Semaphore(0), iter(range(3))

    def requests():
        for i in more:
            yield b"%d" % i
            said.acquire()

    replies = []
    for r in c.channel.stream_stream("/no.body.Knows/Chat")(requests(), timeout=20):
        replies.append(r) # each answer came before the next question was asked
        said.release()
    assert replies == [b"re: 0", b"re: 1", b"re: 2"], replies


def compressed_messages_pass(c, backend):
    assert c.unary("Echo", b"z" * 100000, compression=grpc.Compression.Gzip) == b"z" * 100000


def messages_pass_up_to_the_limit(c, backend):
    assert len(c.unary("Zeros", b"%d" % (16 * MIB))) == 16 * MIB
    assert len(c.unary("Echo", bytes(16 * MIB))) == 16 * MIB
    text = "gRPC message of 16777217 bytes: the limit is 16777216"
    expect(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: c.unary("Zeros", b"%d" % (16 * MIB + 1)), text)
    expect(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: c.unary("Echo", bytes(16 * MIB + 1)), text)
    assert c.unary("Echo", b"next") == b"next"


def a_slow_reader_delays_nobody(c, backend):
    slow = c.channel.unary_stream("/no.body.Knows/Many")(b"50", timeout=60)
    assert len(next(slow)) == MIB
    for _ in range(20):
        assert len(c.unary("Zeros", b"%d" % MIB)) == MIB
    slow.cancel()


def a_thousand_calls_at_once_are_answered(c, backend):
    calls = [c.started("Echo", b"%d" % i) for i in range(1000)]
    assert [f.result() for f in calls] == [b"%d" % i for i in range(1000)]


def a_client_that_is_killed_takes_its_call_along(c, backend):
    code = "import sys, grpc; grpc.insecure_channel('unix:' + sys.argv[1]).unary_unary('/no.body.Knows/Hang')(b'')"
    with subprocess.Popen([sys.executable, "-c", code, sys.argv[1]]) as client:
        time.sleep(1)
        client.kill()
    assert c.unary("WasCancelled") == b"yes"


def a_frozen_backend_costs_the_deadline(c, backend):
    assert c.unary("Echo", b"warm") == b"warm"
    backend.send(signal.SIGSTOP)
    time.sleep(0.1)  # all of its threads
    since = time.monotonic()
    expect(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: c.unary("Echo", timeout=0.5))
    assert time.monotonic() - since < 5
    backend.send(signal.SIGCONT)
    assert c.unary("Echo", b"thawed") == b"thawed"


def a_killed_backend_is_told_and_met_again(c, backend):
    call = c.started("Hang")
    time.sleep(0.2)
    backend.end()
    e = expect(grpc.StatusCode.UNAVAILABLE, call.result)
    assert backend.path in e.details(), e.details()
    backend.start()
    assert c.unary("Echo", b"again") == b"again"


def calls_wait_for_a_backend_that_restarts(c, backend):
    backend.end()
    call = c.started("Echo", b"patience")
    time.sleep(0.3)
    backend.start()
    assert call.result() == b"patience"


def a_backend_that_stays_away_is_unavailable(c, backend):
    backend.end()
    since = time.monotonic()
    expect(grpc.StatusCode.UNAVAILABLE, lambda: c.unary("Echo"), f"{backend.path}: no connection within")
    assert 1 < time.monotonic() - since < 10
    backend.start()
    assert c.unary("Echo", b"back") == b"back"


def a_backend_that_stops_gracefully_finishes_its_calls(c, backend):
    call = c.started("Nap")
    time.sleep(0.3)
    backend.end(signal.SIGTERM)
    assert len(call.result()) == MIB
    backend.start()
    assert c.unary("Echo", b"next") == b"next"


FACTS = [metadata_passes_both_ways, statuses_pass_with_text_and_details, deadlines_reach_the_backend,
         cancelling_reaches_the_backend, streams_pass_of_every_kind, compressed_messages_pass,
         messages_pass_up_to_the_limit, a_slow_reader_delays_nobody, a_thousand_calls_at_once_are_answered,
         a_client_that_is_killed_takes_its_call_along, a_frozen_backend_costs_the_deadline,
         a_killed_backend_is_told_and_met_again, calls_wait_for_a_backend_that_restarts,
         a_backend_that_stays_away_is_unavailable, a_backend_that_stops_gracefully_finishes_its_calls]


def main():
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
        return
    backend = Backend(sys.argv[2])
    backend.start()
    try:
        c = Calls(sys.argv[1])
        for fact in FACTS:
            since = time.monotonic()
            print(f"{fact.__name__}: ", end="", flush=True)
            fact(c, backend)
            print(f"{time.monotonic() - since:.2f} s", flush=True)
        c.channel.close()
    finally:
        backend.send(signal.SIGCONT)
        backend.end()


main()
