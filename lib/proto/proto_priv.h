/* Inside module proto. */
#ifndef VH_PROTO_PRIV_H
#define VH_PROTO_PRIV_H

#include "proto.h"

/** Name of the first member in the |n| bytes of a message of |type| whose text has a zero byte in it; NULL: none has. */
const char *vh__proto_cut_text(const ProtobufCMessageDescriptor *type, const void *bytes, size_t n);

#endif
