#include "shim_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

/* Where the library puts our end of the socket. */
#define CONTROL_FD 3

/* Long enough to be for ever, short enough for arithmetic. */
#define FOREVER_MS (1000U * 3600 * 24 * 20)

/* Tells, once, that the function or the VM ended by itself. */
static int tell_exit(struct shim *s, const char *reason, vh_error *err)
{
    cJSON *j = cJSON_CreateObject();

    s->exit_told = true;
    if (!cJSON_AddStringToObject(j, "event", "exit") || !cJSON_AddBoolToObject(j, "function", s->guest.exited) ||
        !cJSON_AddNumberToObject(j, "code", s->guest.exit.signal ? 128 + s->guest.exit.signal : s->guest.exit.code) ||
        !cJSON_AddStringToObject(j, "reason", reason)) {
        cJSON_Delete(j);
        j = NULL;
    }
    return vh__shim_send(s->control, j, NULL, 0, NULL, 0, err);
}

/* The function has ended, the VMM is dead, or the pager cannot go on: the VM is over. */
static int vm_over(struct shim *s, const vh_error *why, vh_error *err)
{
    shim_flush_output(s, 2000);
    memory_release(s);
    return s->exit_told ? 0 : tell_exit(s, why->msg, err);
}

/* Serves requests until the library closes the socket. */
static int serve(struct shim *s)
{
    for (;;) {
        vh__wait forever = { .deadline_ns = vh__clock_mono_ns() + FOREVER_MS * VH_NS_PER_MS };
        vh__shim_message m = { 0 };
        vh_error err = { 0 };
        int rc = shim_pump(s, &forever, NULL, "request", &err);

        if (rc == -EPIPE || rc == VH_ECANCELED)
            return 0;
        if (rc && s->vmm)
            rc = vm_over(s, &err, &err);
        else if (rc == 0)
            rc = vh__shim_recv(s->control, &forever, &m, &err);
        if (rc == 0 && m.json)
            rc = request_serve(s, &m, &err);
        vh__shim_message_fini(&m);
        if (rc)
            return rc == -EPIPE ? 0 : 1;
    }
}

static int probe_kvm(void)
{
    vh_error err = { 0 };

    if (vh__kvm_probe(&err) == 0)
        return 0;
    fprintf(stderr, "vhive-shim: %s\n", err.msg);
    return 1;
}

int main(int argc, char **argv)
{
    struct shim s = { .control = CONTROL_FD, .out = { { .fd = -1 }, { .fd = -1 } }, .memfd = -1, .memory_fd = -1,
                      .leases = { -1, -1 } };
    int rc;

    if (argc == 2 && strcmp(argv[1], "--probe-kvm") == 0)
        return probe_kvm();
    if (argc != 1 || fcntl(CONTROL_FD, F_GETFD) < 0) {
        fputs("vhive-shim: started by libvhive, one for each VM; not by hand\n", stderr);
        return 2;
    }
    s.agent = malloc(sizeof(*s.agent));
    if (!s.agent)
        return 1;
    (void)signal(SIGPIPE, SIG_IGN); /* cannot fail: a valid signal */
    rc = serve(&s);
    memory_release(&s);
    for (int i = 0; i < 2; i++) {
        vh__buf_fini(&s.out[i].pending);
        vh__fd_close(&s.out[i].fd);
        vh__fd_close(&s.leases[i]);
    }
    free(s.agent);
    return rc;
}
