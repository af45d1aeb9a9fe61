/*
 * Figures of module activate on this machine: what a relay adds to a round trip, what it leaves of the throughput, what
 * an idle connection costs.
 *
 *     activate-micro                          an echo server of its own, straight and relayed in turns
 *     activate-micro relay ADDRESS HOST:PORT  relays connections at ADDRESS until it is ended, for other programs to
 *                                             measure (tests/tools/activate_http.sh)
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <netinet/tcp.h>

#include "activate.h"
#include "address.h"
#include "auto.h"
#include "clock.h"

enum { ROUNDS = 9, TRIPS = 2000, MESSAGE = 128, IDLE = 5000, PIECE = 256 << 10 };
#define BULK ((size_t)1 << 30)

static void must(int rc, const vh_error *err)
{
    if (rc == 0)
        return;
    fprintf(stderr, "activate-micro: %s\n", err->msg);
    exit(1);
}

static void must_not_fail(long rc, const char *what)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "activate-micro: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void wanted(vh__conn *conn, void *owner, void *arg)
{
    const vh__address *backend = owner;

    (void)arg;
    vh__conn_grant(conn, &backend->at.any, backend->len);
}

static void ended(vh__conn *conn, bool granted, void *arg)
{
    (void)conn;
    (void)granted;
    (void)arg;
}

static const vh__activate_ops ops = { wanted, ended };

static vh__activator *make_activator(vh_env *env)
{
    vh__activator_options o = { .env = env, .max_connections = 8000, .wait_ms = 10000,
                                .port_first = 20000, .port_last = 29999 };
    vh__activator *a;
    vh_error err = { 0 };

    must(vh__activator_new(&o, &ops, NULL, &a, &err), &err);
    return a;
}

/* The activator takes no more connections than there are descriptors for. */
static void raise_limit(void)
{
    struct rlimit limit;

    must_not_fail(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    must_not_fail(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
}

static int relay(vh_env *env, const char *address, const char *backend)
{
    vh__activator *a = make_activator(env);
    vh__listener *l;
    vh__address at;
    vh_error err = { 0 };
    char text[VH_ACTIVATE_ADDRESS];
    sigset_t end;
    int which;

    snprintf(text, sizeof(text), "tcp:%s", backend);
    must(vh__address_parse(text, &at, &err), &err);
    must(vh__activator_listen(a, address, &at, &l, &err), &err);
    printf("%s\n", vh__listener_address(l));
    fflush(stdout);
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigaddset(&end, SIGINT);
    sigprocmask(SIG_BLOCK, &end, NULL);
    sigwait(&end, &which);
    vh__activator_free(a);
    return 0;
}

/* The server: echoes what is at most PIECE, one thread for all; a first byte of 'b' makes it send BULK bytes. */
static void serve_bulk(int fd)
{
    static char zeros[PIECE];

    for (size_t sent = 0; sent < BULK;) {
        ssize_t n = send(fd, zeros, sizeof(zeros), MSG_NOSIGNAL);

        if (n < 0)
            break;
        sent += (size_t)n;
    }
    close(fd);
}

static void serve_one(int fd)
{
    char bytes[MESSAGE];
    ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

    if (n <= 0)
        close(fd);
    else if (bytes[0] == 'b')
        serve_bulk(fd);
    else
        must_not_fail(send(fd, bytes, (size_t)n, MSG_NOSIGNAL), "echo");
}

static void serve(int listener)
{
    int set = epoll_create1(0);
    struct epoll_event e = { .events = EPOLLIN, .data.fd = listener };
    static const int on = 1;

    must_not_fail(epoll_ctl(set, EPOLL_CTL_ADD, listener, &e), "epoll_ctl");
    while (epoll_wait(set, &e, 1, -1) >= 0 || errno == EINTR) {
        int fd = e.data.fd;

        if (fd != listener) {
            serve_one(fd);
            continue;
        }
        fd = accept(listener, NULL, NULL);
        must_not_fail(fd, "accept");
        must_not_fail(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), "TCP_NODELAY");
        e = (struct epoll_event){ .events = EPOLLIN, .data.fd = fd };
        must_not_fail(epoll_ctl(set, EPOLL_CTL_ADD, fd, &e), "epoll_ctl");
    }
}

/* A process of its own, so that its descriptors and memory are not counted here. */
static pid_t start_server(vh__address *at)
{
    vh_error err = { 0 };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    pid_t pid;

    must(vh__address_parse("tcp:127.0.0.1", at, &err), &err);
    must_not_fail(bind(fd, &at->at.any, at->len), "bind");
    must_not_fail(listen(fd, 4096), "listen");
    must_not_fail(getsockname(fd, &at->at.any, &at->len), "getsockname");
    pid = fork();
    must_not_fail(pid, "fork");
    if (pid == 0) {
        serve(fd);
        _exit(1);
    }
    close(fd);
    return pid;
}

static int connect_to(const vh__address *at)
{
    static const int on = 1;
    int fd = socket(at->at.any.sa_family, SOCK_STREAM, 0);

    must_not_fail(connect(fd, &at->at.any, at->len), "connect");
    must_not_fail(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), "TCP_NODELAY");
    return fd;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof(*v), by_value);
    return v[n / 2];
}

static void trip(int fd, char *message)
{
    must_not_fail(send(fd, message, MESSAGE, 0), "send");
    must_not_fail(recv(fd, message, MESSAGE, MSG_WAITALL) - MESSAGE, "receive");
}

/* Median microseconds of a round trip on one connection, or with a new one each time. */
static double trip_us(const vh__address *at, bool anew)
{
    static double us[TRIPS];
    char message[MESSAGE] = "echo";
    int fd = connect_to(at);

    for (int i = 0; i < TRIPS; i++) {
        int64_t start = vh__clock_mono_ns();

        if (anew) {
            close(fd);
            fd = connect_to(at);
        }
        trip(fd, message);
        us[i] = (double)(vh__clock_mono_ns() - start) / 1e3;
    }
    close(fd);
    return median(us, TRIPS);
}

static double once_us(const vh__address *at)
{
    return trip_us(at, false);
}

static double anew_us(const vh__address *at)
{
    return trip_us(at, true);
}

static double bulk_gbps(const vh__address *at)
{
    static char piece[PIECE];
    int fd = connect_to(at);
    int64_t start = vh__clock_mono_ns();
    size_t got = 0;
    ssize_t n;

    must_not_fail(send(fd, "b", 1, 0), "send");
    while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
        got += (size_t)n;
    close(fd);
    return (double)got / (double)(vh__clock_mono_ns() - start);
}

static void compare(const char *what, const char *unit, double (*measure)(const vh__address *at),
                    const vh__address *straight, const vh__address *relayed)
{
    double s[ROUNDS], r[ROUNDS], x, y;

    for (int i = 0; i < ROUNDS; i++) {
        s[i] = measure(straight);
        r[i] = measure(relayed);
    }
    x = median(s, ROUNDS);
    y = median(r, ROUNDS);
    printf("%-28s straight %8.2f %s   relayed %8.2f %s   %+8.2f %s (%.0f %%)\n", what, x, unit, y, unit, y - x, unit,
           100 * y / x);
    fflush(stdout);
}

/* Private memory of this process in KiB. */
static long private_kib(void)
{
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    char line[128];
    long kib = -1, sum = 0;

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "Private_Dirty: %ld", &kib) == 1)
            sum += kib;
    if (f)
        fclose(f);
    return sum;
}

/* |n| connections that have said one thing, in a process of their own that waits to be ended. */
static pid_t start_idlers(const vh__address *at, int n, int ready)
{
    pid_t pid = fork();
    char message[MESSAGE] = "echo";

    must_not_fail(pid, "fork");
    if (pid)
        return pid;
    for (int i = 0; i < n; i++)
        trip(connect_to(at), message);
    must_not_fail(write(ready, "", 1), "write");
    pause();
    _exit(0);
}

static void end(pid_t pid)
{
    must_not_fail(kill(pid, SIGTERM), "kill");
    must_not_fail(waitpid(pid, NULL, 0), "waitpid");
}

static void measure_idle(const vh__address *at)
{
    long before = private_kib();
    int ready[2];
    char byte;
    pid_t idlers;

    must_not_fail(pipe(ready), "pipe");
    idlers = start_idlers(at, IDLE, ready[1]);
    must_not_fail(read(ready[0], &byte, 1), "read");
    printf("%-28s %ld bytes of private memory, %d connections\n", "idle connection",
           (private_kib() - before) * 1024 / IDLE, IDLE);
    end(idlers);
    close(ready[0]);
    close(ready[1]);
}

static void measure(vh_env *env)
{
    vh__address straight, relayed;
    pid_t server = start_server(&straight);
    vh__activator *a = make_activator(env);
    vh__listener *l;
    vh_error err = { 0 };

    must(vh__activator_listen(a, "tcp:127.0.0.1", &straight, &l, &err), &err);
    must(vh__address_parse(vh__listener_address(l), &relayed, &err), &err);
    measure_idle(&relayed);
    compare("round trip of 128 bytes", "us", once_us, &straight, &relayed);
    compare("with a connection of its own", "us", anew_us, &straight, &relayed);
    compare("1 GiB", "GB/s", bulk_gbps, &straight, &relayed);
    vh__activator_free(a);
    end(server);
}

int main(int argc, char **argv)
{
    vh_env *env;
    vh_error err = { 0 };
    int rc = 0;

    raise_limit();
    must(vh_env_new(NULL, &env, &err), &err);
    if (argc == 4 && strcmp(argv[1], "relay") == 0) {
        rc = relay(env, argv[2], argv[3]);
    } else if (argc == 1) {
        measure(env);
    } else {
        fprintf(stderr, "usage: activate-micro [relay ADDRESS HOST:PORT]\n");
        rc = 2;
    }
    vh_env_free(env);
    return rc;
}
