#include "client_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "auto.h"

struct vh_client {
    char socket[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

int vh_client_new(const char *socket, vh_client **client, vh_error *err)
{
    vh_client *c;

    if (!*socket || strlen(socket) >= sizeof(c->socket))
        return vh_error_set(err, VH_EINVALID, "socket '%.128s': the path must have 1 to %zu bytes", socket,
                            sizeof(c->socket) - 1);
    c = calloc(1, sizeof(*c));
    if (!c)
        return vh_error_set(err, -ENOMEM, "client of vhived");
    strcpy(c->socket, socket);
    *client = c;
    return 0;
}

void vh_client_free(vh_client *client)
{
    free(client);
}

vh__wait vh__client_bounds(const vh_call *call, uint32_t default_ms)
{
    vh__wait w = vh__wait_from(call, default_ms);

    if (!default_ms && (!call || !call->timeout_ms))
        w.deadline_ns = INT64_MAX;
    return w;
}

/* A daemon that lives accepts at once, also for calls that have no bounds of their own. */
#define CONNECT_MS 10000

static int connect_to(const vh_client *client, const vh__wait *w, vh__client_call *c, vh_error *err)
{
    vh__wait soon = vh__wait_within(w, CONNECT_MS);
    int rc = vh__rpc_client_connect(client->socket, &soon, &c->rpc, err);

    if (rc != -ENOENT && rc != -ECONNREFUSED)
        return rc;
    return vh_error_set(err, VH_ENODAEMON, "%s: no vhived listens there; start it (vhived &, or systemctl start "
                        "vhived)", client->socket);
}

/* The daemon's own word on how the call ended, which has all that is to be said. */
static int take_error(const vh__client_call *c, vh__grpc_status status, vh_error *err)
{
    const char *message = vh__rpc_exchange_message(c->exchange);
    int code = vh__proto_error(status, vh__rpc_exchange_details(c->exchange));

    if (!*message)
        return vh_error_set(err, code, "%s: vhived answers %s", c->method, vh__grpc_status_name((int)status));
    if (err) {
        err->code = code;
        (void)snprintf(err->msg, sizeof(err->msg), "%s", message); /* cut like every message */
    }
    return code;
}

/*
 * A call that has ended takes no message, which is no error here: its end is what is read next, and says why. What a
 * caller says is not altered, and it lies in lists of his that may not be written to: all must be UTF-8 to begin with.
 */
static int send(vh__client_call *c, ProtobufCMessage *message, bool last, vh_error *err)
{
    vh_auto_buf vh__buf bytes = { 0 };
    int rc = vh__proto_check(message, err);

    if (rc == 0)
        rc = vh__proto_pack(message, &bytes, err);
    if (rc == 0)
        rc = vh__rpc_exchange_send(c->exchange, bytes.data, bytes.len, last, err);
    return rc == -EPIPE ? 0 : rc;
}

int vh__client_send(vh__client_call *c, ProtobufCMessage *message, vh_error *err)
{
    return send(c, message, false, err);
}

int vh__client_open(vh_client *client, const char *method, ProtobufCMessage *request, bool last, const vh__wait *w,
                    vh__client_call *c, vh_error *err)
{
    char path[64];
    int rc;

    *c = (vh__client_call){ .method = method };
    (void)snprintf(path, sizeof(path), "/vhive.control.v1.Control/%s", method); /* fits: ours are short */
    rc = connect_to(client, w, c, err);
    if (rc == 0)
        rc = vh__rpc_exchange_open(c->rpc, path, w, &c->exchange, err);
    if (rc == 0)
        rc = send(c, request, last, err);
    if (rc)
        vh__client_close(c);
    return rc;
}

int vh__client_next(vh__client_call *c, const vh__wait *w, const ProtobufCMessageDescriptor *type,
                    ProtobufCMessage **message, vh_error *err)
{
    vh_auto_buf vh__buf bytes = { 0 };
    vh__grpc_status status = VH_GRPC_OK;
    int rc = vh__rpc_exchange_recv(c->exchange, w, &bytes, &status, err);

    if (rc == 0)
        return status == VH_GRPC_OK ? 0 : take_error(c, status, err);
    if (rc < 0)
        return rc;
    rc = vh__proto_unpack(type, bytes.data, bytes.len, message, err);
    if (rc == VH_EINVALID) /* of us it would be invalid input, of a daemon it is no answer */
        return vh_error_set(err, VH_EPROTOCOL, "%s: the answer is no %s", c->method, type->name);
    return rc ? rc : 1;
}

void vh__client_close(vh__client_call *c)
{
    vh__rpc_exchange_close(c->exchange);
    vh__rpc_client_free(c->rpc);
    *c = (vh__client_call){ 0 };
}

int vh__client_ask(vh_client *client, const char *method, ProtobufCMessage *request,
                   const ProtobufCMessageDescriptor *type, const vh__wait *w, ProtobufCMessage **answer, vh_error *err)
{
    vh__client_call c;
    int rc = vh__client_open(client, method, request, true, w, &c, err);

    if (rc)
        return rc;
    rc = vh__client_next(&c, NULL, type, answer, err);
    vh__client_close(&c);
    if (rc == 0)
        return vh_error_set(err, VH_EPROTOCOL, "%s: vhived ends the call without an answer", method);
    return rc < 0 ? rc : 0;
}

int vh__client_order(vh_client *client, const char *method, ProtobufCMessage *request,
                     const ProtobufCMessageDescriptor *type, const vh__wait *w, vh_error *err)
{
    ProtobufCMessage *answer = NULL;
    int rc = vh__client_ask(client, method, request, type, w, &answer, err);

    vh__proto_free(answer);
    return rc;
}

void vh__client_progress(const vh__wait *w, const VH_PB(Progress) *m)
{
    if (w->progress && m)
        w->progress(&(vh_progress){ .what = m->what, .detail = *m->detail ? m->detail : NULL, .done = m->done,
                                    .total = m->total }, w->progress_arg);
}

int vh_client_version(vh_client *client, const vh_call *call, vh_daemon_info *info, vh_error *err)
{
    VH_PB(VersionRequest) request = VHIVE__CONTROL__V1__VERSION_REQUEST__INIT;
    vh__wait w = vh__client_bounds(call, 5000);
    vh_daemon_info i = VH_DAEMON_INFO_INIT;
    const VH_PB(VersionReply) *reply;
    ProtobufCMessage *answer = NULL;
    int rc = vh__client_ask(client, "Version", &request.base, VH_PB_TYPE(version_reply), &w, &answer, err);

    if (rc)
        return rc;
    reply = (const VH_PB(VersionReply) *)answer;
    (void)snprintf(i.version, sizeof(i.version), "%s", reply->version); /* the header says what may be cut */
    (void)snprintf(i.state_dir, sizeof(i.state_dir), "%s", reply->state_dir);
    (void)snprintf(i.run_dir, sizeof(i.run_dir), "%s", reply->run_dir);
    i.pid = (pid_t)reply->pid;
    i.started_ns = reply->started_ns;
    vh__proto_free(answer);
    i.size = info->size;
    memcpy(info, &i, VH_MIN(info->size, sizeof(i)));
    return 0;
}

int vh_client_config(vh_client *client, const vh_call *call, char **yaml, vh_error *err)
{
    VH_PB(ConfigDumpRequest) request = VHIVE__CONTROL__V1__CONFIG_DUMP_REQUEST__INIT;
    vh__wait w = vh__client_bounds(call, 5000);
    ProtobufCMessage *answer = NULL;
    char *copy;
    int rc = vh__client_ask(client, "ConfigDump", &request.base, VH_PB_TYPE(config_dump_reply), &w, &answer, err);

    if (rc)
        return rc;
    copy = strdup(((VH_PB(ConfigDumpReply) *)answer)->yaml);
    vh__proto_free(answer);
    if (!copy)
        return vh_error_set(err, -ENOMEM, "settings");
    *yaml = copy;
    return 0;
}
