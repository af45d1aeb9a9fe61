#include "shim.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

void vh__shim_message_fini(vh__shim_message *m)
{
    cJSON_Delete(m->json);
    free(m->payload);
    for (size_t i = 0; i < m->nfds; i++)
        vh__fd_close(&m->fds[i]);
    *m = (vh__shim_message){ 0 };
}

static int add_names(cJSON *json, const vh__shim_fd *fds, size_t nfds, int out[VH_FDS_MAX], size_t *n)
{
    cJSON *names = cJSON_AddArrayToObject(json, "fds");

    *n = 0;
    for (size_t i = 0; names && i < nfds && *n < VH_FDS_MAX; i++) {
        cJSON *name;

        if (fds[i].fd < 0)
            continue;
        name = cJSON_CreateString(fds[i].name);
        if (!name)
            return -ENOMEM;
        cJSON_AddItemToArray(names, name);
        out[(*n)++] = fds[i].fd;
    }
    return names ? 0 : -ENOMEM;
}

int vh__shim_send(int sock, cJSON *json, const vh__shim_fd *fds, size_t nfds, const void *payload, size_t payload_len,
                  vh_error *err)
{
    vh_auto_json cJSON *j = json;
    vh_auto_buf vh__buf out = { 0 };
    int send[VH_FDS_MAX], rc;
    size_t nsend = 0;

    if (!j || (nfds && add_names(j, fds, nfds, send, &nsend)))
        return vh_error_set(err, -ENOMEM, "message to shim");
    vh__json_print(j, false, &out);
    if (payload_len) {
        vh__buf_append(&out, "", 1);
        vh__buf_append(&out, payload, payload_len);
    }
    rc = vh__buf_check(&out, "message to shim", err);
    if (rc)
        return rc;
    if (out.len > VH_SHIM_MESSAGE_MAX)
        return vh_error_set(err, VH_ELIMIT,
                            "message to shim: %zu bytes, at most %u; arguments and environment of the function are too "
                            "large",
                            out.len, VH_SHIM_MESSAGE_MAX);
    return vh__fd_send(sock, out.data, out.len, send, nsend, err);
}

/* |bytes| is "JSON" or "JSON\0payload". */
static int split(const char *bytes, size_t n, vh__shim_message *m, vh_error *err)
{
    size_t text = strnlen(bytes, n);
    int rc = vh__json_parse(bytes, text, "message of shim", &m->json, err);

    if (rc)
        return VH_EPROTOCOL;
    if (text == n)
        return 0;
    m->payload_len = n - text - 1;
    m->payload = malloc(m->payload_len + 1);
    if (!m->payload)
        return vh_error_set(err, -ENOMEM, "message of shim");
    memcpy(m->payload, bytes + text + 1, m->payload_len);
    return 0;
}

int vh__shim_recv(int sock, const vh__wait *w, vh__shim_message *m, vh_error *err)
{
    vh_auto_free char *bytes = malloc(VH_SHIM_MESSAGE_MAX);
    vh__shim_message got = { 0 };
    size_t n = 0;
    int rc;

    if (!bytes)
        return vh_error_set(err, -ENOMEM, "message of shim");
    rc = vh__wait_fd(w, sock, POLLIN, "shim", err);
    if (rc == 0)
        rc = vh__fd_recv(sock, bytes, VH_SHIM_MESSAGE_MAX, &n, got.fds, &got.nfds, err);
    if (rc == 0 && n == 0)
        rc = vh_error_set(err, -EPIPE, "shim: closed its socket");
    if (rc == 0)
        rc = split(bytes, n, &got, err);
    if (rc) {
        vh__shim_message_fini(&got);
        return rc;
    }
    *m = got;
    return 0;
}

int vh__shim_take_fd(vh__shim_message *m, const char *name)
{
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(m->json, "fds"), *n;
    size_t i = 0;

    cJSON_ArrayForEach(n, names)
    {
        if (i < m->nfds && cJSON_IsString(n) && strcmp(n->valuestring, name) == 0)
            return vh_steal_fd(&m->fds[i]);
        i++;
    }
    return -1;
}

cJSON *vh__shim_error(int code, const vh_error *err)
{
    vh_auto_json cJSON *j = cJSON_CreateObject();

    if (!cJSON_AddNumberToObject(j, "error", code) || !cJSON_AddStringToObject(j, "message", err->msg))
        return NULL;
    return vh_steal_ptr(j);
}

int vh__shim_result(const vh__shim_message *m, vh_error *err)
{
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(m->json, "error");

    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(m->json, "ok")))
        return 0;
    if (!cJSON_IsNumber(code) || code->valueint >= 0)
        return vh_error_set(err, VH_EPROTOCOL, "shim: an answer that is neither ok nor an error");
    /* the message ends with the operating system's words already */
    if (err) {
        (void)vh_error_set(err, VH_EPROTOCOL, "%s", vh__json_str_or(m->json, "message", "no message"));
        err->code = code->valueint;
    }
    return code->valueint;
}
