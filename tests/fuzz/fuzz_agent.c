/* modules: agent */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"

/* What decodes must encode, and what was encoded must decode to the same bytes again. */
static void encode_again(const vh__agent_msg *m, vh__agent_from from)
{
    static uint8_t first[VH_AGENT_FRAME_MAX], second[VH_AGENT_FRAME_MAX];
    static vh__agent_decoder d;
    size_t n = vh__agent_encode(m, first, sizeof(first)), room;
    vh__agent_msg again;

    /* unknown fields take room in a frame that the known ones, once absent, may need: only the largest do not fit */
    if (n == 0)
        return;
    vh__agent_decoder_init(&d, from);
    memcpy(vh__agent_decoder_space(&d, &room), first, n);
    vh__agent_decoder_fed(&d, n);
    if (vh__agent_decoder_next(&d, &again) != 1 || vh__agent_encode(&again, second, sizeof(second)) != n ||
        memcmp(first, second, n) != 0)
        __builtin_trap();
}

/* The first byte says whose bytes they are, and in what portions they arrive. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static vh__agent_decoder d;
    vh__agent_from from;
    size_t portion;
    vh__agent_msg m;

    if (n == 0)
        return 0;
    from = bytes[0] & 1 ? VH_AGENT_FROM_GUEST : VH_AGENT_FROM_HOST;
    portion = bytes[0] >> 1 ? bytes[0] >> 1 : VH_AGENT_FRAME_MAX;
    vh__agent_decoder_init(&d, from);
    for (bytes++, n--; n;) {
        size_t room, take;
        void *to = vh__agent_decoder_space(&d, &room);

        take = n < portion ? n : portion;
        take = take < room ? take : room;
        memcpy(to, bytes, take);
        vh__agent_decoder_fed(&d, take);
        bytes += take;
        n -= take;
        while (vh__agent_decoder_next(&d, &m) > 0)
            encode_again(&m, from);
        if (d.error)
            break;
    }
    return 0;
}
