/* QEMU, machine "microvm": spawning, and the operations by QMP. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "auto.h"
#include "fd.h"
#include "vmm_priv.h"

/* QEMU keeps 3 descriptors per virtio queue and some dozens more. */
#define QEMU_NOFILE 1024

/* To change its user, and to open what lies below a folder that only another user may enter. */
#define QEMU_CAPS (1ULL << CAP_SETUID | 1ULL << CAP_SETGID | 1ULL << CAP_DAC_READ_SEARCH)

/* How often a running migration is asked for its state. One of a few dozen KiB takes 5 to 10 ms. */
#define MIGRATION_POLL_MS 1

static struct qemu *qemu(vh__vmm *v)
{
    return v->backend;
}

static void qemu_free(vh__vmm *v)
{
    if (v->backend)
        vh__qmp_client_fini(&qemu(v)->qmp);
    free(v->backend);
}

/* A stream socket pair; ours is close-on-exec, non-blocking if asked for. */
static int channel(int *ours, int *theirs, bool nonblock, vh_error *err)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return vh_error_set(err, -errno, "QEMU: socket pair");
    *ours = pair[0];
    *theirs = pair[1];
    return nonblock ? vh__fd_nonblock(*ours, err) : 0;
}

struct child_ends {
    int qmp, agent, console, complaints;
};

static int make_channels(vh__vmm *v, struct child_ends *e, vh_error *err)
{
    int rc = channel(&qemu(v)->qmp.fd, &e->qmp, false, err);

    if (rc == 0)
        rc = channel(&v->agent_fd, &e->agent, true, err);
    if (rc == 0)
        rc = channel(&v->console_fd, &e->console, true, err);
    if (rc == 0)
        rc = channel(&v->stderr_fd, &e->complaints, true, err);
    return rc;
}

static int spawn_child(vh__vmm *v, const vh__vmm_config *c, const struct child_ends *e, const vh__qemu_args *a,
                       vh_error *err)
{
    vh__spawn_fd fds[9] = { { e->complaints, 1 },       { e->complaints, 2 },          { e->qmp, QEMU_FD_QMP },
                            { e->agent, QEMU_FD_AGENT }, { e->console, QEMU_FD_CONSOLE }, { c->tap_fd, QEMU_FD_TAP } };
    size_t n = 6;

    if (c->memory == VH_VMM_MEMORY_UFFD) {
        fds[n++] = (vh__spawn_fd){ c->uffd_sock, QEMU_FD_UFFD_SOCK };
        fds[n++] = (vh__spawn_fd){ c->uffd_dev, QEMU_FD_UFFD_DEV };
    } else {
        fds[n++] = (vh__spawn_fd){ c->memory_fd, QEMU_FD_MEMORY };
    }
    return vh__spawn(&(vh__spawn_options){ .argv = (const char *const *)a->argv,
                                           .envp = (const char *const *)a->envp,
                                           .cwd = c->run_dir,
                                           .fds = fds,
                                           .nfds = n,
                                           .new_session = true,
                                           .netns_fd = c->netns_fd,
                                           .keep_caps = QEMU_CAPS,
                                           .limit_caps = true,
                                           .nofile = QEMU_NOFILE },
                     &v->process, err);
}

static int qemu_spawn(vh__vmm *v, const vh__vmm_config *c, vh_error *err)
{
    struct child_ends e = { -1, -1, -1, -1 };
    vh__qemu_args a = { 0 };
    struct qemu *q = calloc(1, sizeof(*q));
    int rc;

    if (!q)
        return vh_error_set(err, -ENOMEM, "QEMU");
    q->qmp = (vh__qmp_client)VH_QMP_CLIENT_INIT;
    v->backend = q;
    rc = make_channels(v, &e, err);
    if (rc == 0)
        rc = vh__qemu_args_make(&a, c, err);
    if (rc == 0)
        rc = spawn_child(v, c, &e, &a, err);
    vh__qemu_args_fini(&a);
    vh__fd_close(&e.qmp);
    vh__fd_close(&e.agent);
    vh__fd_close(&e.console);
    vh__fd_close(&e.complaints);
    return rc;
}

static int qemu_connect(vh__vmm *v, const vh__wait *w, vh_error *err)
{
    int rc = vh__qmp_handshake(&qemu(v)->qmp, w, v->version, err);

    return rc ? vh__vmm_explain(v, rc, err) : 0;
}

static int command(vh__vmm *v, const vh__wait *w, const char *name, cJSON *args, int fd, cJSON **result, vh_error *err)
{
    int rc = vh__qmp_call(&qemu(v)->qmp, w, name, args, fd, result, err);

    vh__vmm_drain(v);
    return rc ? vh__vmm_explain(v, rc, err) : 0;
}

/* Calls |name| with the arguments |json|, and |fd| if it is one. */
static int command_with(vh__vmm *v, const vh__wait *w, const char *name, const char *json, int fd, vh_error *err)
{
    cJSON *args = cJSON_Parse(json);

    return args ? command(v, w, name, args, fd, NULL, err) : vh_error_set(err, -ENOMEM, "QMP arguments");
}

/* The device keeps its node; what lies below it is replaced. */
static int qemu_attach(vh__vmm *v, const vh__wait *w, int fd, vh_error *err)
{
    int rc = command_with(v, w, "add-fd", "{\"fdset-id\":1}", fd, err);

    if (rc == 0)
        rc = command_with(v, w, "blockdev-add",
                          "{\"driver\":\"file\",\"node-name\":\"rootfs\",\"read-only\":true,\"locking\":\"off\","
                          "\"filename\":\"/dev/fdset/1\"}",
                          -1, err);
    if (rc == 0)
        rc = command_with(v, w, "blockdev-reopen",
                          "{\"options\":[{\"driver\":\"raw\",\"node-name\":\"root\",\"read-only\":true,"
                          "\"file\":\"rootfs\"}]}",
                          -1, err);
    return rc ? vh_error_wrap(err, rc, "attach the disk") : 0;
}

static int qemu_pause(vh__vmm *v, const vh__wait *w, vh_error *err)
{
    return command(v, w, "stop", NULL, -1, NULL, err);
}

static int qemu_resume(vh__vmm *v, const vh__wait *w, vh_error *err)
{
    return command(v, w, "cont", NULL, -1, NULL, err);
}

/* x-ignore-shared leaves shared RAM out of the stream; RAM that a snapshot maps privately is "shared" to it as well. */
static int ignore_shared(vh__vmm *v, const vh__wait *w, vh_error *err)
{
    return command_with(v, w, "migrate-set-capabilities",
                        "{\"capabilities\":[{\"capability\":\"x-ignore-shared\",\"state\":true}]}", -1, err);
}

/* Asks until the migration, in either direction, has ended. */
static int await_migration(vh__vmm *v, const vh__wait *w, const char *what, vh_error *err)
{
    for (;;) {
        vh_auto_json cJSON *info = NULL;
        const char *status;
        int rc = command(v, w, "query-migrate", NULL, -1, &info, err);

        if (rc)
            return rc;
        status = vh__json_str_or(info, "status", "none");
        if (strcmp(status, "completed") == 0)
            return 0;
        if (strcmp(status, "failed") == 0 || strcmp(status, "cancelled") == 0)
            return vh_error_set(err, VH_EVMM, "%s: QEMU says: %s", what,
                                vh__json_str_or(info, "error-desc", "migration failed"));
        rc = vh__wait_sleep(w, MIGRATION_POLL_MS, what, err);
        if (rc)
            return rc;
    }
}

static int migrate(vh__vmm *v, const vh__wait *w, const char *name, int fd, const char *what, vh_error *err)
{
    int rc = ignore_shared(v, w, err);

    if (rc == 0)
        rc = command_with(v, w, "getfd", "{\"fdname\":\"state\"}", fd, err);
    if (rc == 0)
        rc = command_with(v, w, name, "{\"uri\":\"fd:state\"}", -1, err);
    return rc ? rc : await_migration(v, w, what, err);
}

static int qemu_save(vh__vmm *v, const vh__wait *w, int fd, vh_error *err)
{
    if (!v->saveable)
        return vh_error_set(err, VH_EUNSUPPORTED,
                            "save VM: its memory is private because it was restored; QEMU leaves only shared memory out "
                            "of the device state. Save a VM that was booted");
    return migrate(v, w, "migrate", fd, "save device state", err);
}

static int qemu_load(vh__vmm *v, const vh__wait *w, int fd, vh_error *err)
{
    return migrate(v, w, "migrate-incoming", fd, "load device state", err);
}

const vh__vmm_ops vh__qemu_ops = {
    .name = "qemu",
    .spawn = qemu_spawn,
    .connect = qemu_connect,
    .attach = qemu_attach,
    .pause = qemu_pause,
    .resume = qemu_resume,
    .save = qemu_save,
    .load = qemu_load,
    .free = qemu_free,
};
