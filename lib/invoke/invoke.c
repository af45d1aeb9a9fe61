#include <vhive/invoke.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "clock.h"
#include "http.h"
#include "invoke_priv.h"
#include "json.h"
#include "path.h"
#include "rpc.h"

#define DEADLINE_MS 30000

void vh_invoke_response_fini(vh_invoke_response *r)
{
    free(r->body);
    *r = (vh_invoke_response){ .size = r->size };
}

/* Moves the body over. */
static int give_body(vh__buf *body, vh_invoke_response *out, vh_error *err)
{
    size_t n = body->len;

    out->body = vh__buf_steal(body);
    if (!out->body)
        return vh_error_set(err, -ENOMEM, "answer");
    out->body_len = n;
    return 0;
}

/* For messages: what fits of the first line. */
static int first_line(const vh_invoke_response *r)
{
    return (int)VH_MIN(strcspn(r->body, "\r\n"), 200);
}

static int take_http(vh__http_response *r, const char *url, vh_invoke_response *out, vh_error *err)
{
    int rc = give_body(&r->body, out, err);

    if (rc)
        return rc;
    out->status = r->status;
    (void)vh__http_header(r, "content-type", out->content_type, sizeof(out->content_type)); /* may have none */
    out->ok = r->status < 400;
    if (!out->ok)
        return vh_error_set(err, VH_EREMOTE, "%s: HTTP status %d: %.*s", url, r->status, first_line(out), out->body);
    return 0;
}

static int call_http(const vh_invoke_request *q, const char *authority, int fd, const vh__wait *w,
                     vh_invoke_response *out, vh_error *err)
{
    static const char *const headers[] = { "Content-Type: application/octet-stream", NULL };
    vh_auto_free char *url = vh__strf("http://%s%s", authority, q->path);
    const vh__http_request request = {
        .method = q->verb,
        .url = url,
        .headers = q->has_body ? headers : NULL,
        .body = q->has_body ? (q->body.data ? q->body.data : "") : NULL,
        .body_len = q->body.len,
        .sock = fd,
    };
    vh__http_response r = { 0 };
    int rc;

    if (!url) {
        vh__fd_close(&fd);
        return vh_error_set(err, -ENOMEM, "HTTP request");
    }
    rc = vh__http_do(&request, w, &r, err);
    out->first_byte_ns = r.first_byte_ns;
    out->last_byte_ns = r.last_byte_ns;
    if (!rc)
        rc = take_http(&r, url, out, err);
    vh__http_response_fini(&r);
    return rc;
}

static int take_reply(const vh_invoke_request *q, vh__rpc_reply *reply, vh_invoke_response *out, vh_error *err)
{
    vh_auto_json cJSON *json = NULL;
    vh_auto_buf vh__buf text = { 0 };
    int rc;

    out->status = reply->status;
    if (reply->status != VH_GRPC_OK) {
        rc = give_body(&reply->message, out, err);
        return rc ? rc
                  : vh_error_set(err, VH_EREMOTE, "%s: gRPC status %d (%s): %.*s", q->path + 1, out->status,
                                 vh__grpc_status_name(out->status), first_line(out), out->body);
    }
    rc = q->grpc->decode(reply->body.data, reply->body.len, &json, err);
    if (rc)
        return rc;
    vh__json_print(json, false, &text);
    rc = give_body(&text, out, err);
    if (rc)
        return rc;
    strcpy(out->content_type, "application/json");
    out->ok = true;
    return 0;
}

static int call_grpc(const vh_invoke_request *q, const char *authority, int fd, const vh__wait *w,
                     vh_invoke_response *out, vh_error *err)
{
    vh__rpc_client *client;
    vh__rpc_reply reply = { 0 };
    int rc = vh__rpc_client_new(fd, authority, &client, err);

    if (rc)
        return rc;
    rc = vh__rpc_call(client, q->path, q->body.data, q->body.len, w, &reply, err);
    out->first_byte_ns = reply.first_byte_ns;
    out->last_byte_ns = reply.last_byte_ns;
    vh__rpc_client_free(client);
    out->grpc = true;
    if (!rc)
        rc = take_reply(q, &reply, out, err);
    vh__rpc_reply_fini(&reply);
    return rc;
}

int vh_invoke(const vh_invoke_request *request, const char *address, uint16_t port, const vh_call *call,
              vh_invoke_response *out, vh_error *err)
{
    vh__wait w = vh__wait_from(call, DEADLINE_MS);
    vh_auto_free char *authority = NULL;
    int fd, rc;

    if (out->size < sizeof(*out))
        return vh_error_set(err, VH_EINVALID, "vh_invoke_response: size %zu, want %zu", out->size, sizeof(*out));
    vh_invoke_response_fini(out);
    out->begin_ns = vh__clock_mono_ns();
    authority = vh__strf(strchr(address, ':') ? "[%s]:%u" : "%s:%u", address, port);
    if (!authority)
        return vh_error_set(err, -ENOMEM, "invocation");
    rc = vh__invoke_connect(address, port, &w, &fd, err);
    if (rc)
        return rc;
    if (err)
        *err = (vh_error){ 0 }; /* attempts that were refused have left their message */
    out->connected_ns = vh__clock_mono_ns();
    return (request->grpc ? call_grpc : call_http)(request, authority, fd, &w, out, err);
}
