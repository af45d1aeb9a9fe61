/* modules: rpc base */
/*
 * Bytes of a hostile client and a hostile backend, in turns as the input says: a byte for what happens, two for how
 * many bytes, the bytes. The proxy neither crashes, nor loses a call, nor holds without bound.
 */
#include <stdint.h>
#include <stdlib.h>

#include "grpc_proxy.h"

enum { CLIENT, BACKEND, LOSE, EXPIRE, GOAWAY, OPS };

struct world {
    vh__grpc_proxy *proxy;
    vh__grpc_end *front, *back;
    int open;
};

static void *on_connect(vh__grpc_end *back, vh__grpc_end *front, void *arg)
{
    struct world *w = arg;

    (void)front;
    if (w->back)
        return NULL;
    w->back = back;
    return w;
}

static void on_wake(vh__grpc_end *end, void *arg)
{
    (void)end;
    (void)arg;
}

static void on_call(const vh__grpc_proxied *ended, void *arg)
{
    struct world *w = arg;

    w->open += ended ? -1 : 1;
}

static void end_gone(vh__grpc_end **end)
{
    vh__grpc_end_free(*end, "gone");
    *end = NULL;
}

static void drain(vh__grpc_end **end)
{
    vh__buf out = { 0 };
    size_t before;

    if (!*end)
        return;
    do {
        before = out.len;
        vh__buf_clear(&out);
        if (vh__grpc_end_output(*end, &out, NULL) || (out.len == 0 && !vh__grpc_end_alive(*end)))
            end_gone(end);
    } while (*end && out.len && before < 1 << 20);
    vh__buf_fini(&out);
}

static void happen(struct world *w, int op, const uint8_t *bytes, size_t n)
{
    vh__grpc_end **end = op == CLIENT ? &w->front : &w->back;

    if (op <= BACKEND && *end && vh__grpc_end_recv(*end, bytes, n, NULL))
        end_gone(end);
    else if (op == LOSE)
        end_gone(&w->back);
    else if (op == EXPIRE && w->front)
        vh__grpc_front_expire(w->front, INT64_MAX);
    else if (op == GOAWAY && w->front && vh__grpc_front_goaway(w->front, NULL))
        end_gone(&w->front);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct world w = { 0 };
    const vh__grpc_proxy_owner owner = { on_connect, on_wake, on_call, &w };

    if (vh__grpc_proxy_new(&owner, 65536, 8, &w.proxy, NULL) || vh__grpc_front_new(w.proxy, &w, &w.front, NULL))
        abort();
    while (n >= 3 && w.front) {
        size_t len = (size_t)data[1] << 8 | data[2];

        len = len < n - 3 ? len : n - 3;
        happen(&w, data[0] % OPS, data + 3, len);
        drain(&w.back);
        drain(&w.front);
        data += 3 + len;
        n -= 3 + len;
    }
    if (vh__grpc_proxy_most_held(w.proxy) > 16u << 20)
        abort();
    vh__grpc_end_free(w.front, "");
    vh__grpc_end_free(w.back, "");
    vh__grpc_proxy_free(w.proxy);
    if (w.open)
        abort();
    return 0;
}
