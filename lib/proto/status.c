/* Errors of the library and statuses of gRPC: one table, read in both directions. */
#include "proto.h"

#include <errno.h>
#include <string.h>

#include "auto.h"
#include "error.pb-c.h"

#define ERROR_INFO "type.googleapis.com/google.rpc.ErrorInfo"
#define DOMAIN "vhive"
/** No errno of Linux is greater. */
#define ERRNO_MAX 255

/* Several errors share a status; the first of them is what the status is read as. */
static const struct {
    int code;
    vh__grpc_status status;
} table[] = {
    { VH_EINVALID, VH_GRPC_INVALID_ARGUMENT },
    { VH_EIMAGE, VH_GRPC_INVALID_ARGUMENT },
    { VH_ENOTFOUND, VH_GRPC_NOT_FOUND },
    { VH_EEXISTS, VH_GRPC_ALREADY_EXISTS },
    { -EADDRINUSE, VH_GRPC_ALREADY_EXISTS },
    { VH_ESTATE, VH_GRPC_FAILED_PRECONDITION },
    { VH_EMISSING, VH_GRPC_FAILED_PRECONDITION },
    { VH_ECORRUPT, VH_GRPC_DATA_LOSS },
    { VH_ETIMEDOUT, VH_GRPC_DEADLINE_EXCEEDED },
    { VH_ECANCELED, VH_GRPC_CANCELLED },
    { VH_EUNSUPPORTED, VH_GRPC_UNIMPLEMENTED },
    { VH_ELIMIT, VH_GRPC_RESOURCE_EXHAUSTED },
    { -ENOMEM, VH_GRPC_RESOURCE_EXHAUSTED },
    { -ENOSPC, VH_GRPC_RESOURCE_EXHAUSTED },
    { -EACCES, VH_GRPC_PERMISSION_DENIED },
    { -EPERM, VH_GRPC_PERMISSION_DENIED },
    { VH_EGUEST, VH_GRPC_ABORTED },
    { VH_EREMOTE, VH_GRPC_UNKNOWN },
    { -ECONNRESET, VH_GRPC_UNAVAILABLE },
    { -ECONNREFUSED, VH_GRPC_UNAVAILABLE },
    { -EHOSTUNREACH, VH_GRPC_UNAVAILABLE },
    { -EHOSTDOWN, VH_GRPC_UNAVAILABLE },
    { -EACCES, VH_GRPC_UNAUTHENTICATED },
    { VH_EINVALID, VH_GRPC_OUT_OF_RANGE },
    { VH_EVMM, VH_GRPC_INTERNAL },
    { VH_EPROTOCOL, VH_GRPC_INTERNAL },
};

vh__grpc_status vh__proto_status(int code)
{
    for (size_t i = 0; i < VH_ARRAY_LEN(table); i++)
        if (table[i].code == code)
            return table[i].status;
    return VH_GRPC_INTERNAL;
}

int vh__proto_details(int code, vh__buf *out, vh_error *err)
{
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    Google__Rpc__Any any = GOOGLE__RPC__ANY__INIT, *one = &any;
    vh_auto_buf vh__buf bytes = { 0 };
    int rc;

    info.reason = (char *)vh_error_name(code); /* protobuf-c has no const */
    info.domain = (char *)DOMAIN;
    rc = vh__proto_pack(&info.base, &bytes, err);
    if (rc)
        return rc;
    any.type_url = (char *)ERROR_INFO;
    any.value.data = (uint8_t *)bytes.data;
    any.value.len = bytes.len;
    status.code = (int32_t)vh__proto_status(code);
    status.n_details = 1;
    status.details = &one;
    return vh__proto_pack(&status.base, out, err);
}

/* Code of the error |name|, 0 if there is none of ours or of the operating system's. */
static int code_of(const char *name)
{
    static const int ours[] = {
#define CODE(code, value, text) code,
        VH_ERROR_LIST(CODE)
#undef CODE
    };

    for (size_t i = 0; i < VH_ARRAY_LEN(ours); i++)
        if (strcmp(vh_error_name(ours[i]), name) == 0)
            return ours[i];
    for (int e = 1; e <= ERRNO_MAX; e++)
        if (strcmp(vh_error_name(-e), name) == 0)
            return -e;
    return 0;
}

static int code_in_info(const Google__Rpc__Any *any)
{
    ProtobufCMessage *m;
    int code = 0;

    if (strcmp(any->type_url, ERROR_INFO) != 0 ||
        vh__proto_unpack(&google__rpc__error_info__descriptor, any->value.data, any->value.len, &m, NULL))
        return 0;
    if (strcmp(((Google__Rpc__ErrorInfo *)m)->domain, DOMAIN) == 0)
        code = code_of(((Google__Rpc__ErrorInfo *)m)->reason);
    vh__proto_free(m);
    return code;
}

static int code_in(const vh__buf *details)
{
    ProtobufCMessage *m;
    int code = 0;

    if (!details->len || vh__proto_unpack(&google__rpc__status__descriptor, details->data, details->len, &m, NULL))
        return 0; /* whoever wrote them, they are no help */
    for (size_t i = 0; code == 0 && i < ((Google__Rpc__Status *)m)->n_details; i++)
        code = code_in_info(((Google__Rpc__Status *)m)->details[i]);
    vh__proto_free(m);
    return code;
}

int vh__proto_error(vh__grpc_status status, const vh__buf *details)
{
    int code = code_in(details);

    if (code)
        return code;
    for (size_t i = 0; i < VH_ARRAY_LEN(table); i++)
        if (table[i].status == status)
            return table[i].code;
    return VH_EREMOTE;
}
