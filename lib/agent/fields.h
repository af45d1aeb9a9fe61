/* The messages' fields as a table: what encoder and decoder both go by, so that they cannot differ. */
#ifndef VH_AGENT_FIELDS_H
#define VH_AGENT_FIELDS_H

#include "agent.h"

typedef enum vh__agent_kind {
    VH_AGENT_U32,
    VH_AGENT_U64,   /* and int64_t */
    VH_AGENT_TEXT,  /* const char *; on the wire with its NUL */
    VH_AGENT_LIST,  /* vh__agent_list; on the wire string after string, each with its NUL */
    VH_AGENT_BYTES, /* vh__agent_bytes */
    VH_AGENT_FIXED, /* uint8_t[max] */
} vh__agent_kind;

typedef struct vh__agent_field {
    uint8_t type; /* vh__agent_type it belongs to */
    uint8_t tag;
    uint8_t kind;
    uint16_t offset; /* in vh__agent_msg */
    uint32_t max;    /* bytes on the wire; for LIST the strings */
} vh__agent_field;

extern const vh__agent_field vh__agent_fields[];
extern const size_t vh__agent_nfields;

/** Whether |type| exists and comes |from| that end. */
bool vh__agent_type_from(unsigned type, vh__agent_from from);

/** Whether messages of |type| carry the number of an exec. */
bool vh__agent_type_is_exec(unsigned type);

#endif
