#include "qmp_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "fd.h"

void vh__qmp_client_fini(vh__qmp_client *c)
{
    vh__fd_close(&c->fd);
    vh__qmp_decoder_fini(&c->decoder);
}

static int receive(vh__qmp_client *c, const vh__wait *w, const char *what, vh_error *err)
{
    char bytes[4096];
    ssize_t got;
    int rc = vh__wait_fd(w, c->fd, POLLIN, what, err);

    if (rc)
        return rc;
    got = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got < 0 && errno != ECONNRESET)
        return vh_error_set(err, -errno, "QMP: %s", what);
    if (got <= 0)
        return vh_error_set(err, -EPIPE, "QMP: QEMU closed the connection during %s", what);
    return vh__qmp_feed(&c->decoder, bytes, (size_t)got, err);
}

/* Waits for the next message that is not an event. */
static int next_answer(vh__qmp_client *c, const vh__wait *w, const char *what, vh__qmp_message *m, vh_error *err)
{
    for (;;) {
        int rc = vh__wait_check(w, what, err); /* events without end must not outlast the deadline */

        if (rc == 0)
            rc = vh__qmp_next(&c->decoder, m, err);
        if (rc == 0)
            rc = receive(c, w, what, err);
        else if (rc == 1 && m->kind != VH_QMP_EVENT)
            return 0;
        else if (rc == 1)
            vh__qmp_message_fini(m);
        if (rc == VH_ETIMEDOUT)
            return vh_error_set(err, rc, "QEMU did not answer (%s) within its deadline: it hangs, or the machine is "
                                         "overloaded", what);
        if (rc < 0)
            return rc;
    }
}

int vh__qmp_call(vh__qmp_client *c, const vh__wait *w, const char *name, cJSON *args, int fd, cJSON **result,
                 vh_error *err)
{
    vh_auto_buf vh__buf out = { 0 };
    vh__qmp_message m = { 0 };
    uint64_t id = ++c->last_id;
    int rc;

    vh__qmp_command(&out, id, name, args);
    cJSON_Delete(args);
    rc = vh__buf_check(&out, "QMP command", err);
    if (rc == 0)
        rc = vh__fd_send(c->fd, out.data, out.len, &fd, fd >= 0 ? 1 : 0, err);
    while (rc == 0) {
        rc = next_answer(c, w, name, &m, err);
        if (rc == 0 && m.id == id)
            break;
        vh__qmp_message_fini(&m); /* the late answer to a command whose deadline had passed */
    }
    if (rc == 0 && m.kind != VH_QMP_RETURN)
        rc = vh_error_set(err, VH_EVMM, "QEMU refused %s: %s", name, vh__json_str_or(m.body, "desc", "no reason given"));
    if (rc == 0 && result)
        *result = cJSON_DetachItemFromObjectCaseSensitive(m.json, "return");
    vh__qmp_message_fini(&m);
    return rc;
}

int vh__qmp_handshake(vh__qmp_client *c, const vh__wait *w, char version[32], vh_error *err)
{
    vh__qmp_message m = { 0 };
    const cJSON *v;
    int rc = next_answer(c, w, "greeting", &m, err);

    if (rc)
        return rc;
    if (m.kind != VH_QMP_GREETING) {
        vh__qmp_message_fini(&m);
        return vh_error_set(err, VH_EPROTOCOL, "QMP: something else than a greeting came first");
    }
    v = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(m.body, "version"), "qemu");
    snprintf(version, 32, "%u.%u.%u", (unsigned)vh__json_u64_or(v, "major", 0), (unsigned)vh__json_u64_or(v, "minor", 0),
             (unsigned)vh__json_u64_or(v, "micro", 0));
    vh__qmp_message_fini(&m);
    return vh__qmp_call(c, w, "qmp_capabilities", NULL, -1, NULL, err);
}
