#include "cri.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "methods.h"
#include "metric.h"
#include "rpc_proxy.h"
#include "thread.h"

struct vh__cri {
    const vh_env *env;
    vh__rpc_proxy *proxy;
    vh_cancel *end;
    atomic_bool ending; /* as it was told to */
    int64_t open; /* calls under way */
    pthread_t thread;
    bool running;
};

/* On the loop's thread. */
static void on_call(const vh__grpc_proxied *ended, void *arg)
{
    vh__cri *cri = arg;
    const char *method;

    cri->open += ended ? -1 : 1;
    vh__metric(cri->env, "vhive_cri_open_calls", cri->open, NULL);
    if (!ended)
        return;
    method = vh__cri_method(ended->path);
    vh__metric(cri->env, "vhive_cri_calls_total", 1, method, vh__grpc_status_name(ended->status));
    vh__metric(cri->env, "vhive_cri_call_seconds", ended->took_ns, method);
}

static int make_proxy(vh__cri *cri, const vh__cri_options *opts, vh_error *err)
{
    const vh__rpc_proxy_options o = {
        .listen_fd = opts->listen_fd,
        .backend = opts->containerd ? opts->containerd : VH_CRI_CONTAINERD,
        .max_message = opts->max_message ? opts->max_message : VH_CRI_MESSAGE_MAX,
        .grace_ms = opts->grace_ms,
        .call = on_call,
        .arg = cri,
    };

    return vh__rpc_proxy_new(&o, &cri->proxy, err);
}

static void *serve(void *arg)
{
    vh__cri *cri = arg;
    vh_error err = { 0 };

    if (vh__rpc_proxy_run(cri->proxy, &err) || !cri->ending)
        vh__log(cri->env, VH_LOG_ERROR, "cri", NULL, "the CRI socket is served no longer: %s",
                err.code ? err.msg : "its event loop ended by itself");
    if (cri->end)
        vh_cancel_trigger(cri->end);
    return NULL;
}

static int start(vh__cri *cri, const vh__cri_options *opts, vh_error *err)
{
    int rc = make_proxy(cri, opts, err);

    if (rc)
        return rc;
    rc = vh__thread_start(&cri->thread, "vh-cri", serve, cri, err);
    if (rc)
        return rc;
    cri->running = true;
    vh__log(cri->env, VH_LOG_INFO, "cri", NULL, "CRI calls go to %s",
            opts->containerd ? opts->containerd : VH_CRI_CONTAINERD);
    return 0;
}

int vh__cri_new(const vh__cri_options *opts, vh__cri **cri, vh_error *err)
{
    vh__cri *c = calloc(1, sizeof(*c));
    int rc;

    if (!c) {
        (void)close(opts->listen_fd); /* it is given up */
        return vh_error_set(err, -ENOMEM, "CRI socket");
    }
    c->env = opts->env;
    c->end = opts->end;
    rc = start(c, opts, err);
    if (rc) {
        vh__cri_free(c);
        return rc;
    }
    *cri = c;
    return 0;
}

void vh__cri_free(vh__cri *cri)
{
    if (!cri)
        return;
    if (cri->running) {
        cri->ending = true;
        vh__rpc_proxy_stop(cri->proxy);
        (void)pthread_join(cri->thread, NULL); /* fails only for a thread that is none */
    }
    vh__rpc_proxy_free(cri->proxy);
    free(cri);
}
