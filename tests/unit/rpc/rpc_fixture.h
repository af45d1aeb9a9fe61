/* A server that runs on a thread of its own, and sockets that are connected to it. */
#ifndef VH_TESTS_RPC_FIXTURE_H
#define VH_TESTS_RPC_FIXTURE_H

#include "testenv.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "listen.h"
#include "rpc.h"

struct fixture {
    testenv t;
    vh__rpc_server *server;
    pthread_t thread;
};

/* A socket that listens at |path|, for a server to take. */
static inline int listening_at(const char *path)
{
    vh_error err = { 0 };
    int fd = -1;

    assert_ok(vh__listen_unix(path, 0600, (gid_t)-1, &fd, NULL, &err), err);
    return fd;
}

static inline void *fixture_serve(void *arg)
{
    struct fixture *f = arg;
    vh_error err = { 0 };

    return vh__rpc_server_run(f->server, &err) ? f : NULL;
}

/* With testenv_init() behind it. */
static inline void fixture_run(struct fixture *f, const vh__rpc_server_options *o)
{
    vh_error err = { 0 };

    assert_ok(vh__rpc_server_new(o, &f->server, &err), err);
    assert_int_equal(pthread_create(&f->thread, NULL, fixture_serve, f), 0);
}

/* Waits until the server has ended. */
static inline void fixture_join(struct fixture *f)
{
    void *failed = f;

    assert_int_equal(pthread_join(f->thread, &failed), 0);
    assert_null(failed);
    vh__rpc_server_free(f->server);
    testenv_fini(&f->t);
}

static inline void fixture_stop(struct fixture *f)
{
    vh__rpc_server_stop(f->server);
    fixture_join(f);
}

static inline int dial(uint16_t port)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

static inline vh__rpc_client *client_of(const struct fixture *f)
{
    vh__rpc_client *c = NULL;
    vh_error err = { 0 };

    assert_ok(vh__rpc_client_new(dial(vh__rpc_server_port(f->server)), "localhost", &c, &err), err);
    return c;
}

/* Waits until the server has closed |fd|; fails after ten seconds. */
static inline void assert_closed(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    char drop[4096];

    for (;;) {
        assert_int_equal(poll(&p, 1, 10000), 1);
        if (recv(fd, drop, sizeof(drop), 0) <= 0)
            break;
    }
    close(fd);
}

#endif
