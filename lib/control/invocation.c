#include "control_priv.h"

#include <errno.h>
#include <string.h>
#include <vhive/invoke.h>

#include "auto.h"
#include "clock.h"

/* What a function's current revision is made of. */
static bool note_digest(const vh_function_info *info, void *digest)
{
    (void)snprintf(digest, VH_IMAGE_DIGEST, "%s", info->image_digest); /* fits, or is none */
    return false;
}

/* The request that the image of the function |name| names as typical, which the caller owns. */
static int typical_request(vh__control_call *call, const char *name, char **spec, vh_error *err)
{
    char digest[VH_IMAGE_DIGEST] = "";
    vh_image *image = NULL;
    int rc = vh_functions_list(call->o->functions, name, note_digest, digest, err);

    if (rc == 0)
        rc = vh_image_open(call->o->images, digest, &call->bounds, &image, err);
    if (rc)
        return rc;
    if (*vh_image_config_get(image)->invoke)
        *spec = strdup(vh_image_config_get(image)->invoke);
    else
        rc = vh_error_set(err, VH_EINVALID, "%s: its image names no typical request (label io.vhive.invoke); say what "
                          "to call, as in http:/path", name);
    if (rc == 0 && !*spec)
        rc = vh_error_set(err, -ENOMEM, "invocation");
    vh_image_close(image);
    return rc;
}

static int parse(vh__control_call *call, const VH_PB(InvokeRequest) *q, vh_invoke_request **request, vh_error *err)
{
    vh_auto_free char *typical = NULL;
    int rc = *q->spec ? 0 : typical_request(call, q->function, &typical, err);

    return rc ? rc : vh_invoke_parse_data(typical ? typical : q->spec, q->data.data, q->data.len, request, err);
}

/* Phases as messages, which lie in |phases|. */
static void add_phases(const vh_phases *from, VH_PB(Phase) *phases, VH_PB(Phase) **list, VH_PB(InvokeReply) *reply)
{
    for (size_t i = 0; i < from->n; i++) {
        const vh_phase *p = &from->v[i];

        vhive__control__v1__phase__init(&phases[i]);
        phases[i].id = (char *)p->id; /* protobuf-c has no const */
        phases[i].start_us = (p->start_ns - from->begin_ns) / 1000;
        phases[i].us = p->ns / 1000;
        phases[i].critical = p->critical;
        list[i] = &phases[i];
    }
    reply->n_phases = from->n;
    reply->phases = list;
    reply->total_us = (from->end_ns - from->begin_ns) / 1000;
}

static int send_answer(vh__control_call *call, const vh_invoke_response *answer, const vh_invoke_timing *timing,
                       const vh_error *why, vh_error *err)
{
    VH_PB(InvokeReply) reply = VHIVE__CONTROL__V1__INVOKE_REPLY__INIT;
    VH_PB(Phase) phases[VH_PHASES_MAX], *list[VH_PHASES_MAX];

    reply.ok = answer->ok;
    reply.grpc = answer->grpc;
    reply.status = answer->status;
    reply.content_type = (char *)answer->content_type;
    reply.body.data = (uint8_t *)answer->body;
    reply.body.len = answer->body_len;
    reply.cold = timing->cold;
    reply.vm = (char *)timing->vm;
    reply.error = (char *)why->msg;
    add_phases(&timing->phases, phases, list, &reply);
    return vh__control_send(call, &reply.base, err);
}

int vh__control_invoke(vh__control_call *call, const void *message, vh_error *err)
{
    const VH_PB(InvokeRequest) *q = message;
    vh_invoke_response answer = { .size = sizeof(answer) };
    vh_invoke_timing timing = VH_INVOKE_TIMING_INIT;
    vh_invoke_request *request = NULL;
    vh_error why = { 0 };
    int rc = parse(call, q, &request, &why);

    if (rc == 0)
        rc = vh_functions_invoke(call->o->functions, q->function, request, &call->bounds, &answer, &timing, &why);
    if (rc == 0 || (rc == VH_EREMOTE && answer.status)) /* an answer that tells of an error is one all the same */
        rc = send_answer(call, &answer, &timing, &why, err);
    else if (err)
        *err = why;
    vh_invoke_response_fini(&answer);
    vh_invoke_request_free(request);
    return rc;
}
