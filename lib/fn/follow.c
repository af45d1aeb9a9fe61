/* Events and output, handed to those who ask and to those who follow. */
#include <string.h>

#include "auto.h"
#include "fn_priv.h"

/* What is copied in one go, while the lock is held. */
#define BATCH (64 << 10)

struct watch {
    vh_functions *f;
    const char *name; /* NULL: all */
    uint64_t since;
    struct event next;
};

/* Goes on to the next event that is asked for. What got lost is told to everybody. */
static bool next_event(void *arg)
{
    struct watch *w = arg;

    while (vh__events_next(&w->f->events, w->since, &w->next)) {
        if (!w->name || strcmp(w->name, w->next.function) == 0 || strcmp(w->next.type, "events.lost") == 0)
            return true;
        w->since = w->next.sequence;
    }
    return false;
}

int vh_functions_events(vh_functions *f, const char *name, uint64_t since, const vh_call *call, vh_event_fn each,
                        void *arg, vh_error *err)
{
    vh__wait w = vh__wait_from(call, UINT32_MAX);
    struct watch watch = { .f = f, .name = name };
    bool more = true;
    int rc = 0;

    pthread_mutex_lock(&f->mutex);
    watch.since = since ? since : f->events.last;
    while (more) {
        rc = vh__functions_wait(f, &w, next_event, &watch, "events", err);
        if (rc)
            break;
        pthread_mutex_unlock(&f->mutex);
        watch.since = watch.next.sequence;
        more = each(&(vh_event){ watch.next.time_ns, watch.next.sequence, watch.next.type, watch.next.function,
                                 watch.next.vm, watch.next.message },
                    arg);
        pthread_mutex_lock(&f->mutex);
    }
    pthread_mutex_unlock(&f->mutex);
    return rc;
}

struct reader {
    struct function *fn;
    uint64_t since;
    size_t skip; /* bytes of the first piece */
    vh_log_piece_fn each;
    void *arg;
};

static bool has_more(void *arg)
{
    const struct reader *r = arg;

    return r->fn->log.sequence > r->since || r->fn->gone;
}

/* Without the lock. */
static bool hand_out(struct reader *r, const struct piece *p)
{
    for (; p; p = p->next) {
        vh_log_piece piece = { p->time_ns, p->vm, p->stream, p->bytes + r->skip, p->n - r->skip };

        r->skip = 0;
        if (!r->each(&piece, r->arg))
            return false;
    }
    return true;
}

/* With the lock, given up while pieces are handed out. Whether there may be more. */
static bool read_batch(struct reader *r)
{
    struct piece *pieces = vh__log_take(&r->fn->log, &r->since, BATCH);
    bool more = pieces != NULL;

    if (!pieces)
        return false;
    pthread_mutex_unlock(&r->fn->f->mutex);
    more = hand_out(r, pieces);
    vh__log_free(pieces);
    pthread_mutex_lock(&r->fn->f->mutex);
    return more;
}

static int read_log(struct reader *r, bool follow, const vh__wait *w, vh_error *err)
{
    for (;;) {
        uint64_t before = r->since;
        int rc = follow ? vh__functions_wait(r->fn->f, w, has_more, r, "output", err) : 0;

        if (rc)
            return rc;
        if (!read_batch(r) || r->since == before)
            return 0; /* the end of what is kept or of the function, or of interest */
    }
}

int vh_functions_logs(vh_functions *f, const char *name, uint32_t tail, bool follow, const vh_call *call,
                      vh_log_piece_fn each, void *arg, vh_error *err)
{
    vh__wait w = vh__wait_from(call, UINT32_MAX);
    struct reader r = { .each = each, .arg = arg };
    int rc = VH_ENOTFOUND;

    pthread_mutex_lock(&f->mutex);
    r.fn = vh__function_find(f, name, err);
    if (r.fn) {
        vh__function_use(r.fn);
        r.since = vh__log_tail(&r.fn->log, tail, &r.skip);
        rc = read_log(&r, follow, &w, err);
        vh__function_unuse(r.fn);
    }
    pthread_mutex_unlock(&f->mutex);
    return rc;
}
