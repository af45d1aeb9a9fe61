/* modules: rpc base */
/* gRPC framing, and the header values beside it: whole messages within the limit, and nothing else. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "grpc_frame.h"
#include "grpc_status.h"

#define LIMIT 4096

static void feed_pieces(const uint8_t *data, size_t n)
{
    vh__grpc_frames f = { .max = LIMIT };
    size_t step = n ? 1 + data[0] : 1;
    const void *message;
    size_t len;
    int rc = 0;

    for (size_t at = 0; at < n && rc >= 0; at += step) {
        rc = vh__grpc_frames_feed(&f, data + at, n - at < step ? n - at : step, NULL);
        while (rc >= 0 && (rc = vh__grpc_frames_next(&f, &message, &len, NULL)) == 1) {
            if (len > LIMIT)
                abort();
        }
    }
    vh__grpc_frames_fini(&f);
}

/* What is encoded comes back, up to where it is cut. */
static void check_message(const char *text, size_t n)
{
    vh__buf there = { 0 }, back = { 0 };

    vh__grpc_message_decode(text, n, &back);
    vh__buf_clear(&back);
    vh__grpc_message_encode(text, n, &there);
    vh__grpc_message_decode(there.data ? there.data : "", there.len, &back);
    if (back.len > n || back.len > VH_GRPC_MESSAGE_MAX || (back.len && memcmp(back.data, text, back.len) != 0))
        abort();
    vh__buf_fini(&there);
    vh__buf_fini(&back);
}

static void check_timeout(const char *text, size_t n)
{
    char again[VH_GRPC_TIMEOUT_LEN];
    int64_t ns, back;

    if (vh__grpc_timeout_parse(text, n, &ns))
        return;
    vh__grpc_timeout_format(ns, again);
    if (ns < 0 || vh__grpc_timeout_parse(again, strlen(again), &back) || back < ns)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    feed_pieces(data, n);
    check_message((const char *)data, n);
    check_timeout((const char *)data, n);
    (void)vh__grpc_status_parse((const char *)data, n);
    return 0;
}
