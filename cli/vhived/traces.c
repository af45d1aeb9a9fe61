/*
 * Cold starts as traces, for Zipkin or what speaks its v2 API. Starts put their spans into a bounded queue and go on; a
 * thread sends what has gathered. What finds no room, or nobody to take it, is counted and lost.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "clock.h"
#include "http.h"
#include "metric.h"
#include "trace.h"
#include "vhived.h"
#include "wait.h"

#define QUEUE    1024
#define GATHER_S 1
#define SEND_MS  3000

struct vhived_traces {
    vh_env *env; /* where it logs and counts; both borrowed */
    const char *url;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    vh__span *queue, *batch; /* QUEUE each; |batch| is the thread's */
    size_t n;
    bool end;
    bool failing; /* the thread's: told once */
    pthread_t thread;
};

/* What the spans of one flow have in common. */
struct flow {
    vhived_traces *traces;
    const vh_trace_record *record;
    uint64_t root;
};

static void add_tags(vh__span *s, const vh_trace_record *r)
{
    const char *const tags[VH_SPAN_TAGS][2] = {
        { "vm", r->vm }, { "image", r->image }, { "engine", r->engine }, { "outcome", r->outcome }
    };

    for (size_t i = 0; i < VH_SPAN_TAGS; i++) {
        snprintf(s->tags[i].key, sizeof(s->tags[i].key), "%s", tags[i][0]);
        snprintf(s->tags[i].value, sizeof(s->tags[i].value), "%s", tags[i][1]);
    }
}

static void put(const vh__span *span, void *arg)
{
    const struct flow *flow = arg;
    vhived_traces *t = flow->traces;
    bool room;

    pthread_mutex_lock(&t->lock);
    room = t->n < QUEUE;
    if (room) {
        t->queue[t->n] = *span;
        if (span->context.span == flow->root)
            add_tags(&t->queue[t->n], flow->record);
        if (t->n++ == 0)
            pthread_cond_signal(&t->wake);
    }
    pthread_mutex_unlock(&t->lock);
    if (!room)
        vh__metric(t->env, "vhive_trace_spans_dropped_total", 1);
}

void vhived_traces_take(const vh_trace_record *record, void *traces)
{
    struct flow flow = { .traces = traces, .record = record };
    int64_t offset = vh__clock_real_ns() - vh__clock_mono_ns();
    vh__trace_context context;
    vh_error err = { 0 };
    int rc = vh__trace_start(&context, &err);

    if (rc == 0) {
        flow.root = context.span;
        rc = vh__trace_phases(&context, record->name, record->phases, offset, put, &flow, &err);
    }
    if (rc)
        vh__log(flow.traces->env, VH_LOG_WARN, "vhived", record->vm, "no trace of a %s: %s", record->name, err.msg);
}

static int post(const vhived_traces *t, size_t n, vh_error *err)
{
    static const char *const headers[] = { "Content-Type: application/json", NULL };
    vh__wait w = vh__wait_from(NULL, SEND_MS);
    vh_auto_buf vh__buf body = { 0 };
    vh__http_response r = { 0 };
    int rc = vh__zipkin_encode("vhived", t->batch, n, &body, err);

    if (rc)
        return rc;
    rc = vh__http_do(&(vh__http_request){ .url = t->url, .headers = headers, .body = body.data, .body_len = body.len,
                                          .sock = -1 },
                     &w, &r, err);
    if (rc == 0 && r.status / 100 != 2)
        rc = vh_error_set(err, VH_EREMOTE, "answer %d", r.status);
    vh__http_response_fini(&r);
    return rc;
}

static void send_batch(vhived_traces *t, size_t n)
{
    vh_error err = { 0 };
    int rc = post(t, n, &err);

    vh__metric(t->env, rc ? "vhive_trace_spans_dropped_total" : "vhive_trace_spans_sent_total", (int64_t)n);
    if (rc && !t->failing)
        vh__log(t->env, VH_LOG_WARN, "vhived", NULL, "traces are lost until %.*s takes them: %s",
                (int)vh__http_url_shown(t->url), t->url, err.msg);
    t->failing = rc != 0;
}

/* With the lock held: the spans of one start come together, and those of several at once go together. */
static void gather(vhived_traces *t)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until); /* that of the condition */
    until.tv_sec += GATHER_S;
    while (!t->end && pthread_cond_timedwait(&t->wake, &t->lock, &until) == 0)
        ;
}

/* Waits for spans and takes them; 0 only at the end. */
static size_t take_batch(vhived_traces *t)
{
    size_t n;

    pthread_mutex_lock(&t->lock);
    while (t->n == 0 && !t->end)
        (void)pthread_cond_wait(&t->wake, &t->lock); /* cannot fail */
    gather(t);
    n = t->n;
    memcpy(t->batch, t->queue, n * sizeof(*t->batch));
    t->n = 0;
    pthread_mutex_unlock(&t->lock);
    return n;
}

static void *run(void *arg)
{
    size_t n;

    while ((n = take_batch(arg)) > 0)
        send_batch(arg, n);
    return NULL;
}

static void traces_free(vhived_traces *t)
{
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
    free(t->queue);
    free(t->batch);
    free(t);
}

static int check_url(const char *url, vh_error *err)
{
    if (strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0)
        return 0;
    return vh_error_set(err, VH_EINVALID, "trace.zipkin: '%.*s' is no URL of http or https", (int)vh__http_url_shown(url),
                        url);
}

int vhived_traces_start(vhived *d, vh_error *err)
{
    const char *url = vh_config_str(d->cli->config, "trace.zipkin");
    vhived_traces *t;
    int rc = *url ? check_url(url, err) : 0;

    if (rc || !*url)
        return rc;
    t = calloc(1, sizeof(*t));
    if (!t)
        return vh_error_set(err, -ENOMEM, "traces");
    t->env = d->env;
    t->url = url;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->wake, NULL);
    t->queue = calloc(QUEUE, sizeof(*t->queue));
    t->batch = calloc(QUEUE, sizeof(*t->batch));
    rc = t->queue && t->batch ? -pthread_create(&t->thread, NULL, run, t) : -ENOMEM;
    if (rc) {
        traces_free(t);
        return vh_error_set(err, rc, "traces");
    }
    d->traces = t;
    return 0;
}

void vhived_traces_stop(vhived *d)
{
    vhived_traces *t = d->traces;

    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->end = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
    (void)pthread_join(t->thread, NULL); /* it ends after at most two batches */
    traces_free(t);
    d->traces = NULL;
}
