#include "shim_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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
    clients_vm_over(s);
    memory_release(s);
    shim_flush_output(s); /* for as long as anybody is there to take it */
    return s->exit_told ? 0 : tell_exit(s, why->msg, err);
}

/* Serves requests until the library closes the socket. */
static int serve(struct shim *s)
{
    for (;;) {
        vh__wait forever = { .deadline_ns = INT64_MAX, .cancel = s->gone };
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

/*
 * Notices that the library is gone while we wait for something else: its thread does nothing but that, so that a VMM
 * that hangs cannot keep us and the VM's leases.
 */
static void *watch_library(void *arg)
{
    struct pollfd p = { .fd = VH_SHIM_FD, .events = 0 };

    while (poll(&p, 1, -1) < 0 && errno == EINTR)
        ;
    vh_cancel_trigger(arg);
    return NULL;
}

static int start_watch(struct shim *s)
{
    return vh_cancel_new(&s->gone, NULL) || pthread_create(&s->watch, NULL, watch_library, s->gone) ? 1 : 0;
}

/* The thread ends with the connection. */
static void end_watch(struct shim *s)
{
    (void)shutdown(s->control, SHUT_RDWR); /* fails only if the library has done so */
    pthread_join(s->watch, NULL);
    vh_cancel_free(s->gone);
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
    struct shim s = { .control = VH_SHIM_FD, .out = { { .fd = -1 }, { .fd = -1 } }, .memfd = -1, .memory_fd = -1,
                      .uffd_sock = -1, .leases = { -1, -1 } };
    int rc;

    clients_init(&s.clients);
    if (argc == 2 && strcmp(argv[1], "--probe-kvm") == 0)
        return probe_kvm();
    if (argc != 1 || fcntl(VH_SHIM_FD, F_GETFD) < 0) {
        fputs("vhive-shim: started by libvhive, one for each VM; not by hand\n", stderr);
        return 2;
    }
    s.agent = malloc(sizeof(*s.agent));
    if (!s.agent || start_watch(&s))
        return 1;
    (void)signal(SIGPIPE, SIG_IGN); /* cannot fail: a valid signal */
    rc = serve(&s);
    clients_fini(&s.clients);
    memory_release(&s);
    vh__buf_fini(&s.to_agent);
    for (int i = 0; i < 2; i++) {
        output_close(&s.out[i]);
        vh__fd_close(&s.leases[i]);
    }
    free(s.agent);
    end_watch(&s);
    return rc;
}
