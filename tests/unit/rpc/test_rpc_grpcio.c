/* Python's gRPC as a stranger at either end: streams in all directions, metadata, details, deadlines, health. */
#include "rpc_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "clock.h"
#include "failalloc.h"
#include "health.h"
#include "spawn.h"

/* Sends back what it gets, each message twice, and fails at the end if it is asked to by metadata. */
static vh__grpc_status twice(vh__rpc_stream *stream, vh__rpc_answer *answer, void *arg)
{
    vh_auto_buf vh__buf message = { 0 };
    int rc;

    (void)arg;
    while ((rc = vh__rpc_stream_recv(stream, &message, NULL, NULL)) > 0) {
        if (vh__rpc_stream_send(stream, message.data, message.len, NULL) ||
            vh__rpc_stream_send(stream, message.data, message.len, NULL))
            return VH_GRPC_ABORTED;
    }
    if (rc || !vh__rpc_stream_metadata(stream, "x-fail"))
        return rc ? VH_GRPC_ABORTED : VH_GRPC_OK;
    vh__buf_puts(&answer->message, vh__rpc_stream_metadata(stream, "x-fail"));
    vh__buf_append(&answer->details, "\0\1\2\xff", 4);
    return VH_GRPC_OUT_OF_RANGE;
}

static vh__grpc_status linger(vh__rpc_stream *stream, vh__rpc_answer *answer, void *arg)
{
    vh__wait w = vh__wait_from(vh__rpc_stream_call(stream), 60000);

    (void)answer;
    (void)arg;
    return vh__wait_sleep(&w, 60000, "linger", NULL) ? VH_GRPC_CANCELLED : VH_GRPC_OK;
}

static const char client_script[] =
    "import grpc, sys, threading, time\n"
    "channel = grpc.insecure_channel(sys.argv[1])\n"
    "twice = channel.stream_stream('/s.Test/Twice')\n"
    "big = bytes(range(256)) * 8192\n" /* 2 MiB, in windows of 64 KiB */
    "def words(*all):\n"
    "    for word in all:\n"
    "        yield word\n"
    "        time.sleep(0.01)\n"
    "assert list(twice(words(b'a', b'', b'c'), timeout=20)) == [b'a', b'a', b'', b'', b'c', b'c']\n"
    "assert list(twice(words(big, big), timeout=20)) == [big] * 4\n"
    "assert list(channel.unary_stream('/s.Test/Twice')(b'x', timeout=20)) == [b'x', b'x']\n"
    "assert list(twice(iter([]), timeout=20)) == []\n"
    "slow = twice(iter([b'x' * 1000] * 2000), timeout=60)\n"
    "for i, word in enumerate(slow):\n"
    "    assert word == b'x' * 1000\n"
    "    if i % 500 == 0: time.sleep(0.05)\n"
    "assert i == 3999\n"
    "many = [channel.unary_stream('/s.Test/Twice')(b'%d' % i, timeout=60) for i in range(60)]\n"
    "assert all(list(call) == [b'%d' % i] * 2 for i, call in enumerate(many))\n"
    "def status(call):\n"
    "    try:\n"
    "        for _ in call: pass\n"
    "    except grpc.RpcError as error:\n"
    "        return error.code().name, error.details(), dict(error.trailing_metadata())\n"
    "told = status(twice(words(b'a'), timeout=20, metadata=[('x-fail', '100% zu Ende')]))\n"
    "assert told == ('OUT_OF_RANGE', '100% zu Ende', {'grpc-status-details-bin': b'\\x00\\x01\\x02\\xff'}), told\n"
    "assert status(channel.unary_stream('/s.Test/Linger')(b'', timeout=0.2))[0] == 'DEADLINE_EXCEEDED'\n"
    "left = channel.unary_stream('/s.Test/Linger')(b'')\n"
    "threading.Timer(0.1, left.cancel).start()\n"
    "assert status(left)[0] == 'CANCELLED'\n"
    "check = channel.unary_unary('/grpc.health.v1.Health/Check')\n"
    "assert check(b'', timeout=20) == b'\\x08\\x01'\n"
    "assert check(b'\\x0a\\x04down', timeout=20) == b'\\x08\\x02'\n"
    "try:\n"
    "    assert not check(b'\\x0a\\x04none', timeout=20)\n"
    "except grpc.RpcError as error:\n"
    "    assert error.code().name == 'NOT_FOUND'\n"
    "print('fine')\n";

static const vh__rpc_method stream_methods[] = {
    { .path = "/s.Test/Twice", .stream = twice },
    { .path = "/s.Test/Linger", .stream = linger },
};

static void require_grpcio(void)
{
    static const char *const probe[] = { "/usr/bin/python3", "-c", "import grpc", NULL };
    vh__wait w = vh__wait_from(NULL, 60000);
    vh_auto_buf vh__buf out = { 0 };

    if (vh__run_program(probe, NULL, &w, 4096, &out, NULL))
        testenv_skip("grpcio", "python3-grpcio is not installed");
}

static void pythons_client_streams_to_our_server(void **state)
{
    vh__rpc_method methods[VH_ARRAY_LEN(stream_methods) + VH_RPC_HEALTH_METHODS];
    vh__wait w = vh__wait_from(NULL, 100000);
    vh_auto_buf vh__buf out = { 0 };
    vh__rpc_server_options o = { .methods = methods, .nmethods = VH_ARRAY_LEN(methods) };
    vh__rpc_health *health;
    struct fixture f;
    char target[160];
    vh_error err = { 0 };

    (void)state;
    require_grpcio();
    testenv_init(&f.t);
    memcpy(methods, stream_methods, sizeof(stream_methods));
    assert_ok(vh__rpc_health_new(&health, &err), err);
    vh__rpc_health_methods(health, methods + VH_ARRAY_LEN(stream_methods));
    assert_ok(vh__rpc_health_set(health, "", true, &err), err);
    assert_ok(vh__rpc_health_set(health, "down", false, &err), err);
    snprintf(target, sizeof(target), "unix:%s/sock", f.t.dir);
    o.listen_fd = listening_at(target + strlen("unix:"));
    fixture_run(&f, &o);
    const char *const argv[] = { "/usr/bin/python3", "-c", client_script, target, NULL };
    assert_ok(vh__run_program(argv, NULL, &w, 65536, &out, &err), err);
    fixture_stop(&f);
    vh__rpc_health_free(health);
}

/* Serves until its standard input ends. */
static const char server_script[] =
    "import grpc, os, sys\n"
    "from concurrent.futures import ThreadPoolExecutor\n"
    "def twice(requests, context):\n"
    "    sent = dict(context.invocation_metadata())\n"
    "    for request in requests:\n"
    "        yield request\n"
    "        yield request\n"
    "    if 'x-fail' in sent:\n"
    "        context.set_trailing_metadata((('grpc-status-details-bin', b'\\x00\\x01\\x02\\xff'),))\n"
    "        context.abort(grpc.StatusCode.OUT_OF_RANGE, sent['x-fail'])\n"
    "def greet(request, context):\n"
    "    return b'hello ' + request\n"
    "class Handler(grpc.GenericRpcHandler):\n"
    "    def service(self, call):\n"
    "        if call.method == '/s.Test/Twice':\n"
    "            return grpc.stream_stream_rpc_method_handler(twice)\n"
    "        return grpc.unary_unary_rpc_method_handler(greet)\n"
    "server = grpc.server(ThreadPoolExecutor(4))\n"
    "server.add_generic_rpc_handlers((Handler(),))\n"
    "server.add_insecure_port(sys.argv[1])\n"
    "server.start()\n"
    "sys.stdin.read()\n"
    "server.stop(None).wait()\n"
    "os._exit(0)\n"; /* the interpreter waits for the pool's threads now and then for ever */

/* Python's server at a Unix socket: its process, and the pipe that keeps it alive. */
static vh__rpc_client *start_stranger(const char *dir, FILE **stranger)
{
    vh__wait w = vh__wait_from(NULL, 60000);
    vh__rpc_client *c = NULL;
    char script[128], command[512], path[128];
    vh_error err = { 0 };
    FILE *file;

    snprintf(script, sizeof(script), "%s/server.py", dir);
    file = fopen(script, "we");
    assert_non_null(file);
    assert_true(fputs(server_script, file) >= 0);
    assert_int_equal(fclose(file), 0);
    snprintf(path, sizeof(path), "%s/sock", dir);
    snprintf(command, sizeof(command), "exec /usr/bin/python3 %s unix:%s", script, path);
    *stranger = popen(command, "we");
    assert_non_null(*stranger);
    while (vh__rpc_client_connect(path, &w, &c, &err))
        assert_ok(vh__wait_sleep(&w, 20, "stranger", &err), err);
    return c;
}

static void assert_twice(vh__rpc_exchange *x, const char *want, size_t n)
{
    vh_auto_buf vh__buf got = { 0 };
    vh__grpc_status status;
    vh_error err = { 0 };

    for (int i = 0; i < 2; i++) {
        assert_int_equal(vh__rpc_exchange_recv(x, NULL, &got, &status, &err), 1);
        assert_int_equal(got.len, n);
        assert_memory_equal(got.data ? got.data : "", want, n);
    }
}

static void our_client_streams_to_pythons_server(void **state)
{
    static char big[2 << 20];
    vh__wait w = vh__wait_from(NULL, 100000);
    vh__grpc_metadata words = { 0 };
    vh__rpc_reply reply = { 0 };
    vh_auto_buf vh__buf got = { 0 };
    vh__rpc_client *c;
    vh__rpc_exchange *x;
    vh__grpc_status status;
    FILE *stranger;
    testenv t;
    vh_error err = { 0 };

    (void)state;
    require_grpcio();
    testenv_init(&t);
    c = start_stranger(t.dir, &stranger);
    memset(big, 'b', sizeof(big));
    assert_ok(vh__rpc_call(c, "/s.Test/Greet", "you", 3, &w, &reply, &err), err);
    assert_string_equal(reply.body.data, "hello you");
    vh__rpc_reply_fini(&reply);
    vh__grpc_metadata_add(&words, "x-fail", 6, "all gone", 8);
    assert_ok(vh__rpc_client_metadata(c, &words, &err), err);
    vh__grpc_metadata_fini(&words);
    assert_ok(vh__rpc_exchange_open(c, "/s.Test/Twice", &w, &x, &err), err);
    for (int i = 0; i < 3; i++) {
        assert_ok(vh__rpc_exchange_send(x, i ? "x" : big, i ? 1 : sizeof(big), i == 2, &err), err);
        assert_twice(x, i ? "x" : big, i ? 1 : sizeof(big));
    }
    assert_int_equal(vh__rpc_exchange_recv(x, NULL, &got, &status, &err), 0);
    assert_int_equal(status, VH_GRPC_OUT_OF_RANGE);
    assert_string_equal(vh__rpc_exchange_message(x), "all gone");
    assert_int_equal(vh__rpc_exchange_details(x)->len, 4);
    assert_memory_equal(vh__rpc_exchange_details(x)->data, "\0\1\2\xff", 4);
    vh__rpc_exchange_close(x);
    vh__rpc_client_free(c);
    assert_int_equal(pclose(stranger), 0);
    testenv_fini(&t);
}

static int make_health(void *arg)
{
    vh__rpc_health *h;
    int rc = vh__rpc_health_new(&h, NULL);

    (void)arg;
    if (rc)
        return rc;
    rc = vh__rpc_health_set(h, "a", true, NULL);
    vh__rpc_health_free(h);
    return rc;
}

static void health_unwinds_when_memory_runs_out(void **state)
{
    (void)state;
    failalloc_sweep(make_health, NULL);
}

/* |n| bytes of one answer of Watch: field 1, a status. */
static void assert_health(vh__rpc_exchange *x, char want)
{
    vh_auto_buf vh__buf got = { 0 };
    vh__grpc_status status;
    vh_error err = { 0 };

    assert_int_equal(vh__rpc_exchange_recv(x, NULL, &got, &status, &err), 1);
    assert_int_equal(got.len, 2);
    assert_int_equal(got.data[1], want);
}

static void watches_of_health_are_told_every_change(void **state)
{
    vh__rpc_method methods[VH_RPC_HEALTH_METHODS];
    vh__rpc_server_options o = { .methods = methods, .nmethods = VH_ARRAY_LEN(methods) };
    vh__wait w = vh__wait_from(NULL, 20000);
    vh_auto_buf vh__buf got = { 0 };
    vh__grpc_status status;
    vh__rpc_health *health;
    vh__rpc_exchange *x;
    vh__rpc_client *c;
    struct fixture f;
    vh_error err = { 0 };

    (void)state;
    testenv_init(&f.t);
    assert_ok(vh__rpc_health_new(&health, &err), err);
    vh__rpc_health_methods(health, methods);
    fixture_run(&f, &o);
    c = client_of(&f);
    assert_ok(vh__rpc_exchange_open(c, "/grpc.health.v1.Health/Watch", &w, &x, &err), err);
    assert_ok(vh__rpc_exchange_send(x, "\x0a\2me", 4, true, &err), err);
    assert_health(x, 3); /* SERVICE_UNKNOWN */
    assert_ok(vh__rpc_health_set(health, "me", true, &err), err);
    assert_health(x, 1);
    assert_ok(vh__rpc_health_set(health, "another", false, &err), err); /* says nothing of this one */
    assert_ok(vh__rpc_health_set(health, "me", false, &err), err);
    assert_health(x, 2);
    vh__rpc_server_stop(f.server);
    assert_int_equal(vh__rpc_exchange_recv(x, NULL, &got, &status, &err), 0);
    assert_int_equal(status, VH_GRPC_UNAVAILABLE);
    vh__rpc_exchange_close(x);
    vh__rpc_client_free(c);
    fixture_join(&f);
    vh__rpc_health_free(health);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pythons_client_streams_to_our_server),
        cmocka_unit_test(our_client_streams_to_pythons_server),
        cmocka_unit_test(watches_of_health_are_told_every_change),
        cmocka_unit_test(health_unwinds_when_memory_runs_out),
    };
    vh__rpc_server_options o = { .methods = stream_methods, .nmethods = 1 };
    vh__rpc_server *s;

    if (vh__rpc_server_new(&o, &s, NULL) == 0)
        vh__rpc_server_free(s); /* libuv opens two descriptors of the process with its first loop */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
