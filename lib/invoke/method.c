#include "invoke_priv.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "auto.h"
#include "helloworld.pb-c.h"
#include "json.h"

static int encode_hello(const cJSON *json, vh__buf *out, vh_error *err)
{
    Helloworld__HelloRequest request = HELLOWORLD__HELLO_REQUEST__INIT;
    const cJSON *member;
    uint8_t *to;

    cJSON_ArrayForEach(member, json) {
        if (strcmp(member->string, "name") != 0)
            return vh_error_set(err, VH_EINVALID, "helloworld.HelloRequest has no member '%.64s', only 'name'",
                                member->string);
        if (!cJSON_IsString(member))
            return vh_error_set(err, VH_EINVALID, "helloworld.HelloRequest: 'name' must be a string");
        request.name = member->valuestring;
    }
    to = vh__buf_reserve(out, helloworld__hello_request__get_packed_size(&request));
    if (to)
        out->len += helloworld__hello_request__pack(&request, to);
    return vh__buf_check(out, "helloworld.HelloRequest", err);
}

static int decode_hello(const void *bytes, size_t n, cJSON **json, vh_error *err)
{
    Helloworld__HelloReply *reply = helloworld__hello_reply__unpack(NULL, n, bytes);
    cJSON *object;

    if (!reply)
        return vh_error_set(err, VH_EPROTOCOL, "the answer is no helloworld.HelloReply (%zu bytes)", n);
    object = cJSON_CreateObject();
    if (!object || !cJSON_AddStringToObject(object, "message", reply->message)) {
        cJSON_Delete(object);
        object = NULL;
    }
    helloworld__hello_reply__free_unpacked(reply, NULL);
    if (!object)
        return vh_error_set(err, -ENOMEM, "helloworld.HelloReply");
    *json = object;
    return 0;
}

static const vh__invoke_method methods[] = {
    { "helloworld.Greeter/SayHello", "{\"name\":\"record\"}", encode_hello, decode_hello },
};

int vh__invoke_method_find(const char *name, const vh__invoke_method **method, vh_error *err)
{
    vh_auto_buf vh__buf known = { 0 };

    for (size_t i = 0; i < VH_ARRAY_LEN(methods); i++) {
        if (strcmp(methods[i].name, name) == 0) {
            *method = &methods[i];
            return 0;
        }
        vh__buf_printf(&known, "%s%s", i ? ", " : "", methods[i].name);
    }
    if (known.oom)
        return vh_error_set(err, -ENOMEM, "gRPC method");
    return vh_error_set(err, VH_EINVALID, "gRPC method '%.128s' is not built in; there is: %s", name, known.data);
}
