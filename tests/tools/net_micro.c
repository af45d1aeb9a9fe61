/*
 * Figures of module net on this machine:
 *
 *     net-micro [LEASES]        default 40, at most 500
 *
 * Takes and gives back leases, first one after another, then all of them held at once; prints milliseconds. Needs
 * root; works in a network namespace of its own, so nothing of the machine is touched.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "auto.h"
#include "clock.h"
#include "net.h"
#include "path.h"

enum { LEASES_MAX = 500, DEADLINE_MS = 10000 };

struct bench {
    vh__net *net;
    size_t n;
    vh__net_lease *lease[LEASES_MAX];
    double acquire[LEASES_MAX], release[LEASES_MAX];
};

static double ms_since(int64_t start_ns)
{
    return (double)(vh__clock_mono_ns() - start_ns) / (double)VH_NS_PER_MS;
}

static int acquire(struct bench *b, size_t i, vh_error *err)
{
    vh__wait w = vh__wait_from(NULL, DEADLINE_MS);
    int64_t start = vh__clock_mono_ns();
    int rc = vh__net_acquire(b->net, &w, &b->lease[i], err);

    b->acquire[i] = ms_since(start);
    return rc;
}

static void release(struct bench *b, size_t i)
{
    int64_t start = vh__clock_mono_ns();

    vh__net_release(vh_steal_ptr(b->lease[i]));
    b->release[i] = ms_since(start);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void print(const char *what, double *ms, size_t n)
{
    qsort(ms, n, sizeof(*ms), by_size);
    printf("%-22s min %6.2f   median %6.2f   p90 %6.2f   max %6.2f\n", what, ms[0], ms[n / 2], ms[n * 9 / 10],
           ms[n - 1]);
}

static int run(struct bench *b, vh_error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < b->n; i++) {
        rc = acquire(b, i, err);
        release(b, i);
    }
    if (rc)
        return rc;
    print("acquire, one by one", b->acquire, b->n);
    print("release, one by one", b->release, b->n);
    for (size_t i = 0; rc == 0 && i < b->n; i++)
        rc = acquire(b, i, err);
    for (size_t i = 0; i < b->n; i++)
        release(b, i);
    if (rc)
        return rc;
    print("acquire, all held", b->acquire, b->n);
    print("release, all held", b->release, b->n);
    return 0;
}

static int run_in(const char *dir, struct bench *b, vh_error *err)
{
    vh_env *env = NULL;
    int rc = vh_env_new(NULL, &env, err);

    if (rc == 0)
        rc = vh__net_new(env, &(vh__net_options){ .lease_dir = dir }, &b->net, err);
    if (rc == 0)
        rc = run(b, err);
    vh__net_free(b->net);
    vh_env_free(env);
    return rc;
}

int main(int argc, char **argv)
{
    static struct bench b;
    char dir[] = "/tmp/net-micro-XXXXXX";
    long n = argc > 1 ? strtol(argv[1], NULL, 10) : 40;
    vh_error err = { 0 };

    if (n < 1 || n > LEASES_MAX || unshare(CLONE_NEWNET) < 0 || !mkdtemp(dir)) {
        fprintf(stderr, "net-micro [1..%d], as root\n", LEASES_MAX);
        return 2;
    }
    b.n = (size_t)n;
    if (run_in(dir, &b, &err))
        fprintf(stderr, "%s\n", err.msg);
    if (vh__path_remove(dir, NULL))
        fprintf(stderr, "%s is left\n", dir);
    return err.code != 0;
}
