#include "grpc_frame.h"

#include <stdint.h>

void vh__grpc_frames_fini(vh__grpc_frames *f)
{
    vh__buf_fini(&f->in);
    f->taken = 0;
}

int vh__grpc_frames_feed(vh__grpc_frames *f, const void *bytes, size_t n, vh_error *err)
{
    vh__buf_consume(&f->in, f->taken);
    f->taken = 0;
    vh__buf_append(&f->in, bytes, n);
    return vh__buf_check(&f->in, "gRPC message", err);
}

/* Checks the prefix, which is there, before a single byte of the message is waited for. */
static int read_prefix(const vh__grpc_frames *f, const uint8_t *p, size_t *n, vh_error *err)
{
    uint32_t len = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];

    if (p[0] == 1)
        return vh_error_set(err, VH_EUNSUPPORTED, "gRPC message: it is compressed, which nothing here reads");
    if (p[0] != 0)
        return vh_error_set(err, VH_EPROTOCOL, "gRPC message: its first byte is %u, not 0 or 1", p[0]);
    if (len > f->max)
        return vh_error_set(err, VH_ELIMIT, "gRPC message of %u bytes: the limit is %zu", len, f->max);
    *n = len;
    return 0;
}

int vh__grpc_frames_next(vh__grpc_frames *f, const void **message, size_t *n, vh_error *err)
{
    size_t left = f->in.len - f->taken, len = 0;
    const uint8_t *p;
    int rc;

    if (left < VH_GRPC_PREFIX)
        return 0;
    p = (const uint8_t *)f->in.data + f->taken;
    rc = read_prefix(f, p, &len, err);
    if (rc)
        return rc;
    if (left - VH_GRPC_PREFIX < len)
        return 0;
    *message = p + VH_GRPC_PREFIX;
    *n = len;
    f->taken += VH_GRPC_PREFIX + len;
    return 1;
}

size_t vh__grpc_frames_left(const vh__grpc_frames *f)
{
    return f->in.len - f->taken;
}

bool vh__grpc_frames_partial(const vh__grpc_frames *f)
{
    return vh__grpc_frames_left(f) > 0;
}

void vh__grpc_frame_append(vh__buf *out, const void *message, size_t n)
{
    const uint8_t prefix[VH_GRPC_PREFIX] = { 0, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };

    vh__buf_append(out, prefix, sizeof(prefix));
    vh__buf_append(out, message, n);
}
