#include "health.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "auto.h"
#include "health.pb-c.h"

typedef Grpc__Health__V1__HealthCheckRequest request_t;
typedef Grpc__Health__V1__HealthCheckResponse response_t;
typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus serving_t;

#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

struct service {
    LIST_ENTRY(service) link;
    char *name;
    bool serving;
};

/* A watch under way: its descriptor becomes readable when something has changed. */
struct watcher {
    LIST_ENTRY(watcher) link;
    int fd;
};

struct vh__rpc_health {
    pthread_mutex_t lock;
    LIST_HEAD(, service) services;
    LIST_HEAD(, watcher) watchers;
};

int vh__rpc_health_new(vh__rpc_health **health, vh_error *err)
{
    vh__rpc_health *h = calloc(1, sizeof(*h));

    if (!h)
        return vh_error_set(err, -ENOMEM, "health service");
    (void)pthread_mutex_init(&h->lock, NULL); /* cannot fail without attributes */
    LIST_INIT(&h->services);
    LIST_INIT(&h->watchers);
    *health = h;
    return 0;
}

static void service_free(struct service *s)
{
    free(s->name);
    free(s);
}

void vh__rpc_health_free(vh__rpc_health *health)
{
    struct service *s;

    if (!health)
        return;
    while ((s = LIST_FIRST(&health->services))) {
        LIST_REMOVE(s, link);
        service_free(s);
    }
    (void)pthread_mutex_destroy(&health->lock); /* fails only while it is held */
    free(health);
}

/* With the lock held. */
static struct service *find(const vh__rpc_health *h, const char *name)
{
    struct service *s;

    LIST_FOREACH(s, &h->services, link) {
        if (strcmp(s->name, name) == 0)
            return s;
    }
    return NULL;
}

/* With the lock held. */
static struct service *add(vh__rpc_health *h, const char *name)
{
    struct service *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->name = strdup(name);
    if (!s->name) {
        free(s);
        return NULL;
    }
    LIST_INSERT_HEAD(&h->services, s, link);
    return s;
}

int vh__rpc_health_set(vh__rpc_health *health, const char *service, bool serving, vh_error *err)
{
    const uint64_t one = 1;
    struct service *s;
    struct watcher *w;

    (void)pthread_mutex_lock(&health->lock);
    s = find(health, service);
    if (!s)
        s = add(health, service);
    if (s)
        s->serving = serving;
    LIST_FOREACH(w, &health->watchers, link)
        vh_ignore(write(w->fd, &one, sizeof(one)) < 0); /* EAGAIN only: it is readable already */
    (void)pthread_mutex_unlock(&health->lock);
    return s ? 0 : vh_error_set(err, -ENOMEM, "health of %s", service);
}

static serving_t look(vh__rpc_health *h, const char *service)
{
    const struct service *s;
    serving_t status = STATUS(SERVICE_UNKNOWN);

    (void)pthread_mutex_lock(&h->lock);
    s = find(h, service);
    if (s)
        status = s->serving ? STATUS(SERVING) : STATUS(NOT_SERVING);
    (void)pthread_mutex_unlock(&h->lock);
    return status;
}

static void pack(serving_t status, vh__buf *out)
{
    response_t response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    void *to;

    response.status = status;
    to = vh__buf_reserve(out, grpc__health__v1__health_check_response__get_packed_size(&response));
    if (to)
        out->len += grpc__health__v1__health_check_response__pack(&response, to);
}

static vh__grpc_status malformed(vh__rpc_answer *answer)
{
    vh__buf_puts(&answer->message, "the request is no grpc.health.v1.HealthCheckRequest");
    return VH_GRPC_INVALID_ARGUMENT;
}

static vh__grpc_status check(const vh__rpc_request *request, vh__rpc_answer *answer, void *arg)
{
    request_t *q = grpc__health__v1__health_check_request__unpack(NULL, request->len, request->body);
    serving_t status;

    if (!q)
        return malformed(answer);
    status = look(arg, q->service);
    if (status == STATUS(SERVICE_UNKNOWN))
        vh__buf_printf(&answer->message, "no service of that name here: %.200s", q->service);
    else
        pack(status, &answer->body);
    grpc__health__v1__health_check_request__free_unpacked(q, NULL);
    return status == STATUS(SERVICE_UNKNOWN) ? VH_GRPC_NOT_FOUND : VH_GRPC_OK;
}

/* Tells the status of |service| now and after each change, until the call ends. */
static int tell_changes(vh__rpc_stream *stream, vh__rpc_health *h, const char *service, int fd)
{
    const vh__wait w = { .deadline_ns = INT64_MAX, .cancel = vh__rpc_stream_call(stream)->cancel };
    serving_t told = STATUS(UNKNOWN);
    int rc = 0;

    while (!rc) {
        serving_t status = look(h, service);
        vh_auto_buf vh__buf out = { 0 };
        uint64_t drop;

        pack(status, &out);
        if (status != told)
            rc = vh__rpc_stream_send(stream, out.data, out.len, NULL);
        told = status;
        if (!rc)
            rc = vh__wait_fd(&w, fd, POLLIN, "health", NULL);
        if (!rc)
            vh_ignore(read(fd, &drop, sizeof(drop)) < 0); /* EAGAIN at worst: it looks again anyway */
    }
    return rc;
}

static vh__grpc_status watch_service(vh__rpc_stream *stream, vh__rpc_health *h, const char *service)
{
    struct watcher w = { .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };

    if (w.fd < 0)
        return VH_GRPC_RESOURCE_EXHAUSTED;
    (void)pthread_mutex_lock(&h->lock);
    LIST_INSERT_HEAD(&h->watchers, &w, link);
    (void)pthread_mutex_unlock(&h->lock);
    vh_ignore(tell_changes(stream, h, service, w.fd)); /* it ends with the call alone, whose status is settled then */
    (void)pthread_mutex_lock(&h->lock);
    LIST_REMOVE(&w, link);
    (void)pthread_mutex_unlock(&h->lock);
    vh__fd_close(&w.fd);
    return VH_GRPC_CANCELLED;
}

static vh__grpc_status watch(vh__rpc_stream *stream, vh__rpc_answer *answer, void *arg)
{
    vh_auto_buf vh__buf bytes = { 0 };
    vh__grpc_status status;
    request_t *q;

    if (vh__rpc_stream_recv(stream, &bytes, NULL, NULL) != 1)
        return malformed(answer);
    q = grpc__health__v1__health_check_request__unpack(NULL, bytes.len, (const uint8_t *)bytes.data);
    if (!q)
        return malformed(answer);
    status = watch_service(stream, arg, q->service);
    grpc__health__v1__health_check_request__free_unpacked(q, NULL);
    return status;
}

void vh__rpc_health_methods(vh__rpc_health *health, vh__rpc_method methods[VH_RPC_HEALTH_METHODS])
{
    methods[0] = (vh__rpc_method){ .path = "/grpc.health.v1.Health/Check", .handler = check, .arg = health };
    methods[1] = (vh__rpc_method){
        .path = "/grpc.health.v1.Health/Watch", .stream = watch, .arg = health, .watch = true
    };
}
