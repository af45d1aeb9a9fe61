/* The parts, in the order of their start. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#include "auto.h"
#include "clock.h"
#include "vhived.h"

static const struct part {
    const char *name;
    int (*start)(vhived *d, vh_error *err);
    void (*stop)(vhived *d);
} parts[] = {
    { "lock", vhived_lock, vhived_unlock },
    { "sockets", vhived_sockets_open, vhived_sockets_close },
    { "monitoring", vhived_monitor_start, vhived_monitor_stop },
    { "traces", vhived_traces_start, vhived_traces_stop },
    { "functions", vhived_machine_start, vhived_machine_stop },
    { "control API", vhived_control_start, vhived_control_stop },
    { "CRI", vhived_cri_start, vhived_cri_stop },
};

static void stop_parts(vhived *d, size_t n)
{
    while (n-- > 0) {
        vh__log(d->env, VH_LOG_DEBUG, "vhived", NULL, "%s: end", parts[n].name);
        parts[n].stop(d);
    }
}

/* Starts all parts; what was started before one that fails is stopped. */
static int start_parts(vhived *d, vh_error *err)
{
    for (size_t i = 0; i < VH_ARRAY_LEN(parts); i++) {
        int rc = parts[i].start(d, err);

        if (rc) {
            d->state = VHIVED_STOPPING;
            stop_parts(d, i);
            return rc;
        }
    }
    return 0;
}

static int check_settings(const vhived *d, vh_error *err)
{
    const char *mode = vh_config_str(d->cli->config, "cri.sandbox");

    if (strcmp(mode, "stock-only") != 0)
        return vh_error_set(err, VH_EINVALID,
                            "--sandbox %s: this version makes no pods of its own; stock-only passes all calls on to "
                            "containerd", mode);
    return 0;
}

/* SIGHUP is read where we wait for it. Before the first thread, so that none gets it otherwise. */
static int catch_hangup(vhived *d, vh_error *err)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL); /* cannot fail */
    d->hangup_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return d->hangup_fd < 0 ? vh_error_set(err, -errno, "signalfd") : 0;
}

void vhived_env_options(vhived *d, vh_env_options *o)
{
    cli_env_options(d->cli, o);
    o->progress = NULL; /* of interest to who asked, not to the log */
    o->metrics = vh__metrics_update;
    o->metrics_arg = d->metrics;
    o->trace = d->traces ? vhived_traces_take : NULL;
    o->trace_arg = d->traces;
}

static int make_env(vhived *d, vh_error *err)
{
    vh_env_options o;

    vhived_env_options(d, &o);
    return vh_env_new(&o, &d->env, err);
}

static int init(vhived *d, vh_error *err)
{
    int rc = check_settings(d, err);

    if (rc == 0)
        rc = vhived_notify_init(&d->notify, err);
    if (rc == 0)
        rc = catch_hangup(d, err);
    if (rc == 0)
        rc = vh__metrics_new(&d->metrics, err);
    if (rc == 0)
        rc = vhived_families_declare(d->metrics, err);
    return rc ? rc : make_env(d, err);
}

static void fini(vhived *d)
{
    vh_env_free(d->env);
    vh__metrics_free(d->metrics);
    vh__fd_close(&d->hangup_fd);
    vhived_notify_fini(&d->notify);
}

static int serve(vhived *d, vh_error *err)
{
    int rc = start_parts(d, err);

    if (rc)
        return rc;
    d->state = VHIVED_READY;
    vhived_notify_send(&d->notify, "READY=1\nSTATUS=Serving");
    vh__log(d->env, VH_LOG_INFO, "vhived", NULL, "ready after %lld ms",
            (long long)((vh__clock_real_ns() - d->started_ns) / VH_NS_PER_MS));
    rc = vhived_watch(d, err);
    d->state = VHIVED_STOPPING;
    vhived_notify_send(&d->notify, "STOPPING=1\nSTATUS=Ending instances");
    vh__log(d->env, VH_LOG_INFO, "vhived", NULL, "ending");
    stop_parts(d, VH_ARRAY_LEN(parts));
    return rc;
}

int vhived_run(cli *c, vh_error *err)
{
    vhived d = { .cli = c, .hangup_fd = -1, .lock_fd = -1, .started_ns = vh__clock_real_ns() };
    int rc;

    pthread_mutex_init(&d.functions_lock, NULL);
    for (int i = 0; i < VHIVED_SOCKETS; i++)
        d.sockets[i].fd = -1;
    rc = init(&d, err);
    if (rc == 0)
        rc = serve(&d, err);
    fini(&d);
    pthread_mutex_destroy(&d.functions_lock);
    return rc;
}
