/* Little-endian numbers and the header's layout. */
#ifndef VH_AGENT_WIRE_H
#define VH_AGENT_WIRE_H

#include <stdint.h>

#define VH_AGENT_MAGIC 0x31414856u /* "VHA1" */
#define VH_AGENT_TLV   6           /* u16 tag, u32 length */

static inline uint16_t vh__agent_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t vh__agent_get32(const uint8_t *p)
{
    return vh__agent_get16(p) | (uint32_t)vh__agent_get16(p + 2) << 16;
}

static inline uint64_t vh__agent_get64(const uint8_t *p)
{
    return vh__agent_get32(p) | (uint64_t)vh__agent_get32(p + 4) << 32;
}

static inline void vh__agent_put(uint8_t *p, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

#endif
