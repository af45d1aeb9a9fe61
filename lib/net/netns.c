#include <errno.h>
#include <fcntl.h>
#include <sched.h>

#include "auto.h"
#include "net_priv.h"
#include "thread.h"

struct job {
    int (*fn)(void *arg, vh_error *err);
    void *arg;
    int rc;
    vh_error err;
};

static int set_up(void *arg, vh_error *err)
{
    /* before there is a link: what is set for "default" is what links are born with */
    static const struct {
        const char *name, *value;
        bool optional; /* a kernel without IPv6 has no such file */
    } settings[] = {
        { "ipv4/ip_forward", "1", false },
        { "ipv4/conf/all/rp_filter", "0", false },
        { "ipv4/conf/default/rp_filter", "0", false },
        { "ipv6/conf/all/disable_ipv6", "1", true },
        { "ipv6/conf/default/disable_ipv6", "1", true },
    };
    vh__net_lease *l = arg;
    int rc;

    l->info.netns_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (l->info.netns_fd < 0)
        return vh_error_set(err, -errno, "open /proc/thread-self/ns/net");
    for (size_t i = 0; i < VH_ARRAY_LEN(settings); i++) {
        rc = vh__net_sysctl_write(settings[i].name, settings[i].value, err);
        if (rc && !(rc == -ENOENT && settings[i].optional))
            return rc;
    }
    rc = vh__net_tap_open(&l->info.tap_fd, err);
    if (rc == 0)
        rc = vh__net_links_open(&l->inside, err);
    if (rc == 0)
        rc = vh__net_rules_load_inside(l->net, l->info.address, err);
    return rc;
}

static void *thread(void *arg)
{
    struct job *job = arg;

    if (unshare(CLONE_NEWNET) < 0)
        job->rc = vh_error_set(&job->err, -errno, "make a network namespace");
    else
        job->rc = job->fn(job->arg, &job->err);
    return NULL;
}

int vh__net_ns_run(int (*fn)(void *arg, vh_error *err), void *arg, vh_error *err)
{
    struct job job = { .fn = fn, .arg = arg };
    pthread_t t;
    int rc = vh__thread_start(&t, "vh-netns", thread, &job, err);

    if (rc)
        return rc;
    pthread_join(t, NULL);
    if (job.rc && err)
        *err = job.err;
    return job.rc;
}

int vh__net_ns_make(vh__net_lease *l, vh_error *err)
{
    return vh__net_ns_run(set_up, l, err);
}
