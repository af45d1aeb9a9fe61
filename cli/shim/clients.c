#include "clients.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "client_exec.h"
#include "path.h"
#include "shim_priv.h"

/* A VMM answers at once; everybody else waits meanwhile. */
#define FREEZE_MS 1000

void clients_init(struct clients *c)
{
    *c = (struct clients){ .listener = -1 };
    for (int i = 0; i < CLIENTS_MAX; i++) {
        c->list[i].sock = -1;
        client_exec_init(&c->list[i].exec);
    }
}

void clients_fini(struct clients *c)
{
    vh__fd_close(&c->listener);
    for (int i = 0; i < CLIENTS_MAX; i++) {
        vh__fd_close(&c->list[i].sock);
        client_exec_fini(&c->list[i].exec);
    }
    cJSON_Delete(c->facts);
    c->facts = NULL;
}

static int listen_at(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    vh_auto_fd int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask;
    int rc;

    if (sock < 0 || strlen(path) >= sizeof(a.sun_path))
        return -1;
    strcpy(a.sun_path, path);
    mask = umask(0177); /* connecting takes the right to write: root's alone */
    rc = bind(sock, (struct sockaddr *)&a, sizeof(a));
    (void)umask(mask); /* cannot fail */
    return rc < 0 || listen(sock, 8) < 0 ? -1 : vh_steal_fd(&sock);
}

void clients_listen(struct clients *c, cJSON *request)
{
    cJSON *facts = cJSON_DetachItemFromObjectCaseSensitive(request, "facts");
    const char *dir = vh__json_str_or(facts, "dir", NULL);
    vh_auto_free char *path = dir ? vh__path_join(dir, VH_SHIM_SOCKET) : NULL;

    if (!path || c->listener >= 0) {
        cJSON_Delete(facts);
        return;
    }
    c->facts = facts;
    c->listener = listen_at(path);
}

void clients_poll_set(const struct shim *s, struct pollfd p[CLIENTS_POLL])
{
    p[0] = (struct pollfd){ .fd = s->clients.listener, .events = POLLIN };
    for (int i = 0; i < CLIENTS_MAX; i++) {
        const struct client *c = &s->clients.list[i];

        p[1 + 4 * i] = (struct pollfd){ .fd = c->sock, .events = POLLIN };
        client_exec_poll_set(s, &c->exec, &p[2 + 4 * i]);
    }
}

/* The client is gone or is not wanted: its process dies, and its place is free once that is told. */
static void drop(struct shim *s, struct client *c)
{
    vh__fd_close(&c->sock);
    client_exec_abandon(s, &c->exec);
}

/* Answers |c|; one that does not take it is dropped. False then. */
static bool answer(struct shim *s, struct client *c, cJSON *json)
{
    if (vh__shim_send(c->sock, json, NULL, 0, NULL, 0, NULL) == 0)
        return true;
    drop(s, c);
    return false;
}

static void refuse(struct shim *s, struct client *c, int code, const vh_error *why)
{
    if (answer(s, c, vh__shim_error(code, why)))
        drop(s, c);
}

static void inspect(struct shim *s, struct client *c)
{
    cJSON *j = cJSON_Duplicate(s->clients.facts, true);

    if (!cJSON_AddTrueToObject(j, "ok") || !cJSON_AddBoolToObject(j, "paused", s->paused)) {
        cJSON_Delete(j);
        j = NULL;
    }
    if (answer(s, c, j))
        drop(s, c);
}

unsigned clients_execs(const struct clients *c)
{
    unsigned n = 0;

    for (int i = 0; i < CLIENTS_MAX; i++)
        n += c->list[i].exec.id != 0;
    return n;
}

static bool is_taken(const struct clients *c, uint16_t id)
{
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (c->list[i].exec.id == id)
            return true;
    return false;
}

static uint16_t free_id(struct clients *c)
{
    do
        c->last_id++;
    while (c->last_id == 0 || is_taken(c, c->last_id));
    return c->last_id;
}

static int begin_exec(struct shim *s, struct client *c, vh__shim_message *m, vh_error *err)
{
    if (c->exec.id != 0)
        return vh_error_set(err, VH_EPROTOCOL, "exec: a second one on one connection");
    if (!s->vmm || s->guest.exited || s->saving)
        return vh_error_set(err, VH_ESTATE, "exec: the VM is ending or being saved");
    if (s->paused)
        return vh_error_set(err, VH_ESTATE, "exec: the VM is paused; resume it first");
    if (clients_execs(&s->clients) >= VH_AGENT_EXECS_MAX)
        return vh_error_set(err, VH_ELIMIT, "exec: %u processes run in this VM already, and no more may",
                            VH_AGENT_EXECS_MAX);
    return client_exec_begin(s, &c->exec, free_id(&s->clients), m, err);
}

static void serve(struct shim *s, struct client *c, vh__shim_message *m)
{
    const char *op = vh__json_str_or(m->json, "op", "");
    vh__wait soon = vh__wait_from(NULL, FREEZE_MS);
    cJSON *ok;
    vh_error err = { 0 };
    int rc;

    if (strcmp(op, "inspect") == 0) {
        inspect(s, c);
        return;
    }
    if (strcmp(op, "pause") == 0)
        rc = shim_freeze(s, &soon, &err);
    else if (strcmp(op, "resume") == 0)
        rc = shim_thaw(s, &soon, &err);
    else if (strcmp(op, "exec") == 0)
        rc = begin_exec(s, c, m, &err);
    else if (strcmp(op, "tell") == 0)
        rc = client_exec_tell(s, &c->exec, m, &err);
    else
        rc = vh_error_set(&err, VH_EPROTOCOL, "request '%.32s': unknown, or not for such clients", op);
    if (rc) {
        refuse(s, c, rc, &err);
        return;
    }
    if (strcmp(op, "tell") == 0)
        return; /* needs no answer */
    ok = cJSON_CreateObject();
    if (!cJSON_AddTrueToObject(ok, "ok")) {
        cJSON_Delete(ok);
        ok = NULL;
    }
    (void)answer(s, c, ok); /* dropped, if it fails */
}

static void read_request(struct shim *s, struct client *c)
{
    vh__wait now = vh__wait_from(&(vh_call){ .size = sizeof(vh_call) }, 100); /* something is there */
    vh__shim_message m = { 0 };

    if (vh__shim_recv(c->sock, &now, &m, NULL))
        drop(s, c); /* gone, or it speaks another language */
    else
        serve(s, c, &m);
    vh__shim_message_fini(&m);
}

/* A place for a new client: a free one, else that of one who has asked for nothing yet. */
static struct client *find_place(struct shim *s)
{
    struct client *idle = NULL;

    for (int i = 0; i < CLIENTS_MAX; i++) {
        struct client *c = &s->clients.list[i];

        if (c->exec.id != 0)
            continue;
        if (c->sock < 0)
            return c;
        idle = c;
    }
    if (idle)
        drop(s, idle);
    return idle;
}

static void accept_client(struct shim *s)
{
    vh_auto_fd int sock = accept4(s->clients.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct client *c = sock >= 0 ? find_place(s) : NULL;

    if (c) /* there is one: execs are fewer than places */
        c->sock = vh_steal_fd(&sock);
}

/* The last word on an exec whose output was all handed on. */
static void tell_end(struct shim *s, struct client *c)
{
    cJSON *j = cJSON_CreateObject();

    if (!cJSON_AddStringToObject(j, "event", "exit") || !cJSON_AddNumberToObject(j, "code", c->exec.how.code) ||
        !cJSON_AddNumberToObject(j, "signal", c->exec.how.signal) ||
        !cJSON_AddStringToObject(j, "text", c->exec.text)) {
        cJSON_Delete(j);
        j = NULL;
    }
    client_exec_fini(&c->exec);
    if (c->sock >= 0 && answer(s, c, j))
        drop(s, c);
    else if (c->sock < 0)
        cJSON_Delete(j);
}

void clients_dispatch(struct shim *s, const struct pollfd p[CLIENTS_POLL])
{
    for (int i = 0; i < CLIENTS_MAX; i++) {
        struct client *c = &s->clients.list[i];

        if (c->sock >= 0 && p[1 + 4 * i].revents)
            read_request(s, c);
        client_exec_dispatch(s, &c->exec, &p[2 + 4 * i]);
        if (client_exec_is_over(&c->exec))
            tell_end(s, c);
    }
    if (p[0].revents) /* last, so that nobody's events are taken for those of a new client in his place */
        accept_client(s);
}

int clients_take(struct shim *s, const vh__agent_msg *m, vh_error *err)
{
    for (int i = 0; i < CLIENTS_MAX; i++) {
        struct client *c = &s->clients.list[i];
        int rc;

        if (c->exec.id != m->stream)
            continue;
        rc = client_exec_take(s, &c->exec, m, err);
        if (rc == 0 && client_exec_is_over(&c->exec))
            tell_end(s, c);
        return rc;
    }
    return vh_error_set(err, VH_EPROTOCOL, "agent channel: the guest spoke of exec %u, which there is not", m->stream);
}

void clients_vm_over(struct shim *s)
{
    vh_error why = { 0 };

    (void)vh_error_set(&why, VH_EVMM, "exec: the VM has ended"); /* for its message */
    vh__fd_close(&s->clients.listener);
    for (int i = 0; i < CLIENTS_MAX; i++) {
        struct client *c = &s->clients.list[i];

        if (c->exec.id == 0)
            continue;
        client_exec_fini(&c->exec);
        if (c->sock >= 0)
            refuse(s, c, VH_EVMM, &why);
    }
}
