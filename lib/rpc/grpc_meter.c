#include "grpc_meter.h"

#include "auto.h"

/* Length of the message whose prefix is whole. */
static uint32_t announced(const uint8_t prefix[VH_GRPC_PREFIX])
{
    return (uint32_t)prefix[1] << 24 | (uint32_t)prefix[2] << 16 | (uint32_t)prefix[3] << 8 | prefix[4];
}

int vh__grpc_meter_feed(vh__grpc_meter *meter, const uint8_t *bytes, size_t n, size_t max, vh_error *err)
{
    while (n) {
        size_t pass = VH_MIN(n, meter->left);

        meter->left -= (uint32_t)pass;
        bytes += pass;
        n -= pass;
        if (n == 0)
            break;
        meter->prefix[meter->have++] = *bytes++;
        n--;
        if (meter->have < VH_GRPC_PREFIX)
            continue;
        meter->have = 0;
        meter->left = announced(meter->prefix);
        if (meter->left > max)
            return vh_error_set(err, VH_ELIMIT, "gRPC message of %u bytes: the limit is %zu", meter->left, max);
    }
    return 0;
}
