/*
 * hello: vHive's smallest function. A gRPC server with one method, helloworld.Greeter/SayHello, on port 50051 or
 * $PORT. The names "record" and "replay" get the answers of vHive's benchmarks, any other name a plain greeting.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helloworld.pb-c.h"
#include "rpc.h"

static vh__rpc_server *server; /* for the signal handler */

static void on_signal(int sig)
{
    (void)sig;
    vh__rpc_server_stop(server);
}

static void greet(const char *name, char *to, size_t cap)
{
    if (strcmp(name, "record") == 0 || strcmp(name, "replay") == 0)
        snprintf(to, cap, "Hello, %s_response!", name);
    else
        snprintf(to, cap, "Hello, %s!", name);
}

static vh__grpc_status say_hello(const vh__rpc_request *request, vh__rpc_answer *answer, void *arg)
{
    Helloworld__HelloReply reply = HELLOWORLD__HELLO_REPLY__INIT;
    Helloworld__HelloRequest *in = helloworld__hello_request__unpack(NULL, request->len, request->body);
    char text[1024];
    void *to;

    (void)arg;
    if (!in) {
        vh__buf_puts(&answer->message, "the request is no helloworld.HelloRequest");
        return VH_GRPC_INVALID_ARGUMENT;
    }
    greet(in->name, text, sizeof(text));
    helloworld__hello_request__free_unpacked(in, NULL);
    reply.message = text;
    to = vh__buf_reserve(&answer->body, helloworld__hello_reply__get_packed_size(&reply));
    if (to)
        answer->body.len += helloworld__hello_reply__pack(&reply, to);
    return VH_GRPC_OK;
}

static const vh__rpc_method methods[] = { { .path = "/helloworld.Greeter/SayHello", .handler = say_hello } };

static int port_from_env(uint16_t *port)
{
    const char *text = getenv("PORT");
    char *end;
    unsigned long v = text ? strtoul(text, &end, 10) : 50051;

    if (text && (*text < '0' || *text > '9' || *end || v > UINT16_MAX))
        return -1;
    *port = (uint16_t)v;
    return 0;
}

static int serve(const vh__rpc_server_options *o, vh_error *err)
{
    const struct sigaction stop = { .sa_handler = on_signal };
    int rc = vh__rpc_server_new(o, &server, err);

    if (rc)
        return rc;
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    printf("hello: serving helloworld.Greeter on port %u\n", vh__rpc_server_port(server));
    fflush(stdout);
    rc = vh__rpc_server_run(server, err);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    vh__rpc_server_free(server);
    return rc;
}

int main(void)
{
    vh__rpc_server_options o = { .methods = methods, .nmethods = 1 };
    vh_error err = { 0 };

    if (port_from_env(&o.port)) {
        fprintf(stderr, "hello: PORT must be a number from 0 to 65535\n");
        return 2;
    }
    if (serve(&o, &err)) {
        fprintf(stderr, "hello: %s\n", err.msg);
        return 1;
    }
    return 0;
}
