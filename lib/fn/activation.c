/*
 * Each connection is a claim. The activator calls in from its loop; it takes the lock, which nobody holds for long, and
 * never waits for anything else.
 */
#include "activation.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "activate.h"
#include "auto.h"
#include "clock.h"
#include "log.h"

/* Descriptors are the limit before this is. */
#define CONNECTIONS_MAX 50000

/* A connection's claim; freed when the connection is over. */
struct link {
    struct want want;
    vh__conn *conn;
};

static void granted(struct want *want, struct body *body)
{
    struct link *link = (struct link *)want;
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(body->info.port) };

    (void)inet_pton(AF_INET, body->info.address, &to.sin_addr); /* our own lease: it is an address */
    vh__conn_grant(link->conn, (const struct sockaddr *)&to, sizeof(to));
}

static void tell_refusal(struct function *fn, const char *why)
{
    uint32_t more = 0;

    if (vh__log_paced(&fn->refusals, vh__clock_mono_ns(), &more))
        vh__log(fn->f->o.env, VH_LOG_WARN, "fn", NULL, "a connection was refused: %s (and %u before it, not told)", why,
                more);
}

/* A connection can be told nothing but that it is over: why, the log tells. */
static void refused(struct want *want, int code, const char *why)
{
    struct link *link = (struct link *)want;

    (void)code;
    tell_refusal(want->fn, why);
    vh__conn_set_data(link->conn, NULL); /* its peer may be going right now, and ended() be waiting for the lock */
    vh__conn_refuse(link->conn);
    free(link);
}

static void cut(struct want *want)
{
    vh__conn_cut(((struct link *)want)->conn);
}

static void wanted(vh__conn *conn, void *owner, void *arg)
{
    vh_functions *f = arg;
    struct function *fn = owner;
    struct link *link = calloc(1, sizeof(*link));

    if (!link) {
        vh__conn_refuse(conn);
        return;
    }
    link->conn = conn;
    link->want.granted = granted;
    link->want.refused = refused;
    link->want.cut = cut;
    link->want.fn = fn;
    pthread_mutex_lock(&f->mutex);
    vh__conn_set_data(conn, link);
    vh__plan_claim(&f->plan, &fn->plan, &link->want.claim, vh__functions_now());
    vh__functions_act(f);
    pthread_mutex_unlock(&f->mutex);
}

static void ended(vh__conn *conn, bool was_granted, void *arg)
{
    vh_functions *f = arg;
    struct link *link;

    (void)was_granted; /* the claim knows */
    pthread_mutex_lock(&f->mutex);
    link = vh__conn_data(conn);
    if (link) {
        vh__plan_release(&f->plan, &link->want.claim, vh__functions_now());
        vh__functions_act(f);
    }
    pthread_mutex_unlock(&f->mutex);
    free(link);
}

int vh__activation_start(vh_functions *f, vh_error *err)
{
    static const vh__activate_ops ops = { wanted, ended };
    vh__activator_options o = { .env = f->o.env,
                                .max_connections = CONNECTIONS_MAX,
                                .wait_ms = f->o.boot_ms + f->o.invoke_ms,
                                .port_first = f->o.port_first,
                                .port_last = f->o.port_last };

    return vh__activator_new(&o, &ops, f, &f->activator, err);
}

void vh__activation_stop(vh_functions *f)
{
    vh__activator_free(f->activator);
    f->activator = NULL;
}

int vh__activation_listen(vh_functions *f, struct record *record, struct function *fn, struct vh__listener **listener,
                          vh_error *err)
{
    const char *at = record->listen[0] ? record->listen : record->spec.address;
    int rc = vh__activator_listen(f->activator, at, fn, listener, err);

    if (rc)
        return vh_error_wrap(err, rc, "function %s", record->spec.name);
    pthread_mutex_lock(&f->mutex); /* a listing may be reading it */
    snprintf(record->listen, sizeof(record->listen), "%s", vh__listener_address(*listener));
    pthread_mutex_unlock(&f->mutex);
    return 0;
}
