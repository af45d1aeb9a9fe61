/* The library's end of a shim's socket. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "auto.h"
#include "vm_priv.h"

/* The shim's own deadline comes first by this much, because it knows better what was being waited for. */
#define GRACE_MS 1000

void vh__client_init(struct client *c)
{
    *c = (struct client){ .process = VH_PROCESS_INIT, .sock = -1 };
    pthread_mutex_init(&c->mutex, NULL);
}

void vh__client_fini(struct client *c)
{
    vh__client_kill(c);
    pthread_mutex_destroy(&c->mutex);
}

int vh__client_start(struct client *c, const vh_env *env, vh_error *err)
{
    vh_auto_free char *shim = NULL;
    vh_auto_fd int theirs = -1;
    int pair[2], rc = vh__vm_shim_path(env, &shim, err);

    if (rc)
        return rc;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return vh_error_set(err, -errno, "shim: socket pair");
    c->sock = pair[0];
    theirs = pair[1];
    c->exit_seen = false;
    rc = vh__spawn(&(vh__spawn_options){ .argv = (const char *[]){ shim, NULL },
                                         .cwd = "/",
                                         .fds = (vh__spawn_fd[]){ { theirs, VH_SHIM_FD }, { 2, 2 } },
                                         .nfds = fcntl(2, F_GETFD) >= 0 ? 2 : 1,
                                         .new_session = true,
                                         .new_pid_ns = true },
                   &c->process, err);
    if (rc)
        vh__fd_close(&c->sock);
    return rc;
}

cJSON *vh__client_request(const char *op)
{
    cJSON *j = cJSON_CreateObject();

    if (cJSON_AddStringToObject(j, "op", op))
        return j;
    cJSON_Delete(j);
    return NULL;
}

static void note_exit(struct client *c, const cJSON *event)
{
    c->exit_seen = true;
    c->exit = (vh_vm_exit){ .ended = true, .function = vh__json_bool_or(event, "function", false),
                            .code = (int)vh__json_u64_or(event, "code", 255) };
    snprintf(c->exit.reason, sizeof(c->exit.reason), "%s", vh__json_str_or(event, "reason", "unknown"));
}

/* The answer to the last request; the exit event on the way is noted. */
static int receive(struct client *c, const vh__wait *w, vh__shim_message *m, vh_error *err)
{
    for (;;) {
        int rc = vh__shim_recv(c->sock, w, m, err);

        if (rc || vh__json_u64_or(m->json, "id", 0) == c->last_id)
            return rc;
        if (cJSON_GetObjectItemCaseSensitive(m->json, "event"))
            note_exit(c, m->json);
        vh__shim_message_fini(m);
    }
}

static int reap(struct client *c)
{
    int status;

    pthread_mutex_lock(&c->mutex);
    status = vh__process_kill(&c->process);
    pthread_mutex_unlock(&c->mutex);
    return status;
}

/* The shim is gone: says how. */
static int explain_death(struct client *c, vh_error *err)
{
    char how[64];
    int status = reap(c);

    vh__fd_close(&c->sock);
    return vh_error_set(err, VH_EVMM, "vhive-shim, and with it the VM, %s",
                        vh__process_status_text(status, how, sizeof(how)));
}

int vh__client_call(struct client *c, const vh__wait *w, cJSON *req, const vh__shim_fd *fds, size_t nfds,
                const vh__buf *payload, vh__shim_message *answer, vh_error *err)
{
    vh__wait later = { .deadline_ns = w->deadline_ns + GRACE_MS * 1000000LL, .cancel = w->cancel };
    vh__shim_message m = { 0 };
    int rc;

    if (c->sock < 0) {
        cJSON_Delete(req);
        return vh_error_set(err, VH_ESTATE, "the VM has ended");
    }
    if (!req || !cJSON_AddNumberToObject(req, "id", (double)++c->last_id) ||
        !cJSON_AddNumberToObject(req, "timeout_ms", VH_MAX(1, vh__wait_left_ms(w)))) {
        cJSON_Delete(req);
        return vh_error_set(err, -ENOMEM, "request to shim");
    }
    rc = vh__shim_send(c->sock, req, fds, nfds, payload ? payload->data : NULL, payload ? payload->len : 0, err);
    if (rc == 0)
        rc = receive(c, &later, &m, err);
    if (rc == -EPIPE)
        return explain_death(c, err);
    if (rc == 0)
        rc = vh__shim_result(&m, err);
    if (rc == 0 && answer)
        *answer = m;
    else
        vh__shim_message_fini(&m);
    return rc;
}

int vh__client_wait_exit(struct client *c, const vh__wait *w, vh_error *err)
{
    vh__shim_message m = { 0 };
    int rc;

    while (!c->exit_seen) {
        if (c->sock < 0)
            return vh_error_set(err, VH_ESTATE, "the VM has ended");
        rc = vh__shim_recv(c->sock, w, &m, err);
        if (rc == -EPIPE) {
            vh_error why = { 0 };

            (void)explain_death(c, &why); /* tells by its message */
            c->exit_seen = true;
            c->exit = (vh_vm_exit){ .ended = true, .code = 255 };
            snprintf(c->exit.reason, sizeof(c->exit.reason), "%s", why.msg);
            return 0;
        }
        if (rc)
            return rc;
        if (cJSON_GetObjectItemCaseSensitive(m.json, "event"))
            note_exit(c, m.json);
        vh__shim_message_fini(&m);
    }
    return 0;
}

void vh__client_kill(struct client *c)
{
    (void)reap(c); /* we end it, so how it ends is known */
    vh__fd_close(&c->sock);
}

void vh__client_signal_kill(struct client *c)
{
    pthread_mutex_lock(&c->mutex);
    if (c->process.pidfd >= 0)
        (void)vh__process_signal(&c->process, SIGKILL); /* fails only when it has ended already */
    pthread_mutex_unlock(&c->mutex);
}
