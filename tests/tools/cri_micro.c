/*
 * What the CRI proxy costs, against what a bare relay of the socket's bytes costs, in one run:
 *
 *     cri-micro CONTAINERD_SOCKET [ROUNDS [OTHER_SOCKET]]     latency of small calls, interleaved; throughput and CPU with
 *                                              16 callers; OTHER_SOCKET: of another proxy before the same containerd
 *     cri-micro serve LISTEN_SOCKET CONTAINERD_SOCKET     only the proxy, until it is killed
 *     cri-micro relay LISTEN_SOCKET CONTAINERD_SOCKET     only the relay
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "auto.h"
#include "clock.h"
#include "cri.h"
#include "listen.h"
#include "rpc.h"

#define CALLERS 16
#define SECONDS 3

static void die(const char *what)
{
    (void)fprintf(stderr, "cri-micro: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int dial(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)))
        die(path);
    return fd;
}

/* The relay: four system calls for a call, two threads for a connection. */

struct way {
    int from, to;
};

static void *move(void *arg)
{
    struct way w = *(struct way *)arg;
    static __thread char bytes[65536];
    ssize_t n;

    free(arg);
    while ((n = read(w.from, bytes, sizeof(bytes))) > 0) {
        if (write(w.to, bytes, (size_t)n) != n)
            break;
    }
    (void)shutdown(w.from, SHUT_RDWR);
    (void)shutdown(w.to, SHUT_RDWR);
    return NULL;
}

static void start_way(int from, int to)
{
    struct way *w = malloc(sizeof(*w));
    pthread_t thread;

    *w = (struct way){ from, to };
    if (pthread_create(&thread, NULL, move, w))
        die("thread");
    (void)pthread_detach(thread);
}

static void relay(const char *path, const char *backend)
{
    vh_error err = { 0 };
    int listener;

    if (vh__listen_unix(path, 0600, (gid_t)-1, &listener, NULL, &err))
        die(err.msg);
    for (;;) {
        struct pollfd wait = { .fd = listener, .events = POLLIN };
        int client, back;

        (void)poll(&wait, 1, -1);
        client = accept(listener, NULL, NULL);
        if (client < 0)
            continue;
        back = dial(backend);
        start_way(client, back);
        start_way(back, client);
    }
}

static void serve(const char *path, const char *backend)
{
    vh_env *env;
    vh__cri *cri;
    vh_error err = { 0 };
    vh__cri_options o = { .containerd = backend };

    if (vh_env_new(NULL, &env, &err) || vh__listen_unix(path, 0600, (gid_t)-1, &o.listen_fd, NULL, &err))
        die(err.msg);
    o.env = env;
    if (vh__cri_new(&o, &cri, &err))
        die(err.msg);
    for (;;)
        (void)pause();
}

static pid_t spawn(void (*run)(const char *, const char *), const char *path, const char *backend)
{
    pid_t pid;

    (void)unlink(path);
    pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        run(path, backend);
        _exit(1);
    }
    while (access(path, F_OK))
        (void)usleep(1000);
    (void)usleep(50000);
    return pid;
}

/* The ways to containerd: straight, through the relay, through the proxy, through another's. */
#define WAYS 4
struct path {
    const char *name, *socket;
    pid_t pid; /* 0: nobody stands between */
};

static vh__rpc_client *client_of(const struct path *p)
{
    vh__rpc_client *c;
    vh_error err = { 0 };

    if (vh__rpc_client_new(dial(p->socket), "localhost", &c, &err))
        die(err.msg);
    return c;
}

static void call(vh__rpc_client *c, const char *method)
{
    vh__wait w = vh__wait_from(NULL, 10000);
    vh__rpc_reply reply = { 0 };
    vh_error err = { 0 };

    if (vh__rpc_call(c, method, "", 0, &w, &reply, &err))
        die(err.msg);
    if (reply.status != VH_GRPC_OK)
        die(reply.message.data);
    vh__rpc_reply_fini(&reply);
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void latency(const struct path *paths, int n, const char *method, size_t rounds)
{
    int64_t *took[WAYS];
    vh__rpc_client *c[WAYS];

    for (int p = 0; p < n; p++) {
        took[p] = calloc(rounds, sizeof(int64_t));
        c[p] = client_of(&paths[p]);
        for (int i = 0; i < 100; i++)
            call(c[p], method);
    }
    for (size_t i = 0; i < rounds; i++) {
        for (int p = 0; p < n; p++) {
            int64_t from = vh__clock_mono_ns();

            call(c[p], method);
            took[p][i] = vh__clock_mono_ns() - from;
        }
    }
    for (int p = 0; p < n; p++) {
        qsort(took[p], rounds, sizeof(int64_t), by_size);
        (void)printf("%-50s %-7s p50 %6.1f  p99 %7.1f us", method, paths[p].name,
                     (double)took[p][rounds / 2] / 1e3, (double)took[p][rounds * 99 / 100] / 1e3);
        if (p)
            (void)printf("   adds %6.1f", (double)(took[p][rounds / 2] - took[0][rounds / 2]) / 1e3);
        if (p >= 2)
            (void)printf("   = %.2f of the relay's", (double)(took[p][rounds / 2] - took[0][rounds / 2]) /
                                                         (double)(took[1][rounds / 2] - took[0][rounds / 2]));
        (void)printf("\n");
    }
    for (int p = 0; p < n; p++) {
        vh__rpc_client_free(c[p]);
        free(took[p]);
    }
}

struct load {
    const struct path *path;
    const char *method;
    int64_t until_ns;
    uint64_t calls;
};

static void *call_on(void *arg)
{
    struct load *l = arg;
    vh__rpc_client *c = client_of(l->path);

    while (vh__clock_mono_ns() < l->until_ns) {
        call(c, l->method);
        l->calls++;
    }
    vh__rpc_client_free(c);
    return NULL;
}

static int64_t cpu_ns(pid_t pid)
{
    struct timespec t = { 0 };
    clockid_t clock;

    if (pid && clock_getcpuclockid(pid, &clock) == 0)
        (void)clock_gettime(clock, &t);
    return t.tv_sec * VH_NS_PER_S + t.tv_nsec;
}

static void throughput(const struct path *path, const char *method)
{
    struct load loads[CALLERS];
    pthread_t threads[CALLERS];
    int64_t cpu = cpu_ns(path->pid), from = vh__clock_mono_ns();
    uint64_t calls = 0;
    double us;

    for (int i = 0; i < CALLERS; i++) {
        loads[i] = (struct load){ path, method, from + SECONDS * VH_NS_PER_S, 0 };
        if (pthread_create(&threads[i], NULL, call_on, &loads[i]))
            die("thread");
    }
    for (int i = 0; i < CALLERS; i++) {
        (void)pthread_join(threads[i], NULL);
        calls += loads[i].calls;
    }
    us = (double)(cpu_ns(path->pid) - cpu) / 1e3 / (double)calls;
    (void)printf("%-50s %-7s %d callers: %.0f calls/s", method, path->name, CALLERS,
                 (double)calls / ((double)(vh__clock_mono_ns() - from) / 1e9));
    if (path->pid)
        (void)printf(", %.1f us of CPU each: %.0f calls/s of one core", us, 1e6 / us);
    (void)printf("\n");
}

int main(int argc, char **argv)
{
    static const char *const methods[] = { "/runtime.v1.RuntimeService/Version",
                                           "/runtime.v1.RuntimeService/ListContainers" };
    char relay_path[64], proxy_path[64];
    struct path paths[WAYS] = { { "direct", NULL, 0 }, { "relay", relay_path, 0 }, { "proxy", proxy_path, 0 },
                                { "other", argc > 3 ? argv[3] : NULL, 0 } };
    int n = argc > 3 ? WAYS : WAYS - 1;

    (void)signal(SIGPIPE, SIG_IGN);
    if (argc == 4 && strcmp(argv[1], "serve") == 0)
        serve(argv[2], argv[3]);
    if (argc == 4 && strcmp(argv[1], "relay") == 0)
        relay(argv[2], argv[3]);
    if (argc < 2)
        return 2;
    (void)snprintf(relay_path, sizeof(relay_path), "/tmp/cri-micro-%d.relay", (int)getpid());
    (void)snprintf(proxy_path, sizeof(proxy_path), "/tmp/cri-micro-%d.proxy", (int)getpid());
    paths[0].socket = argv[1];
    paths[1].pid = spawn(relay, relay_path, argv[1]);
    paths[2].pid = spawn(serve, proxy_path, argv[1]);
    for (size_t m = 0; m < VH_ARRAY_LEN(methods); m++)
        latency(paths, n, methods[m], argc > 2 ? strtoul(argv[2], NULL, 10) : 10000);
    (void)fflush(stdout);
    for (size_t m = 0; m < VH_ARRAY_LEN(methods); m++) {
        for (int p = 0; p < n; p++)
            throughput(&paths[p], methods[m]);
    }
    for (int p = 1; p < 3; p++) {
        (void)kill(paths[p].pid, SIGKILL);
        (void)waitpid(paths[p].pid, NULL, 0);
        (void)unlink(paths[p].socket);
    }
    return 0;
}
