/*
 * cancel: ends a blocking call early, by another thread or by Ctrl-C. The call returns VH_ECANCELED and leaves nothing
 * behind; its own deadline would give VH_ETIMEDOUT in the same way.
 *
 *     sudo ./cancel oci:build/functions/hello 300
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <vhive/host.h>

static vh_cancel *token; /* a signal handler has no argument */

static void on_signal(int number)
{
    (void)number;
    vh_cancel_trigger(token); /* may be called from a handler */
}

/* What a program may do in another thread: here it waits for |arg| milliseconds, and has had enough. */
static void *lose_patience(void *arg)
{
    long ms = *(long *)arg;
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

    nanosleep(&t, NULL);
    vh_cancel_trigger(token);
    return NULL;
}

static int run(const char *image, long ms, vh_host *host, vh_error *err)
{
    vh_run_options o = VH_RUN_OPTIONS_INIT;
    vh_call call = VH_CALL_INIT;
    vh_vm *vm = NULL;
    pthread_t thread;
    int rc;

    o.image = image;
    o.engine = VH_ENGINE_BOOT;
    call.cancel = token;
    call.timeout_ms = 120000;
    rc = pthread_create(&thread, NULL, lose_patience, &ms);
    if (rc)
        return vh_error_set(err, -rc, "start a thread");
    rc = vh_vm_run(vh_host_vms(host), &o, &call, &vm, err);
    vh_vm_free(vm);
    pthread_join(thread, NULL); /* it still uses the token */
    return rc;
}

int main(int argc, char **argv)
{
    long ms = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    vh_config *config = NULL;
    vh_host *host = NULL;
    vh_error err = { 0 };
    int rc;

    if (argc != 3 || ms <= 0) {
        fprintf(stderr, "usage: cancel IMAGE MILLISECONDS\nexample: cancel oci:build/functions/hello 300\n");
        return 2;
    }
    rc = vh_cancel_new(&token, &err);
    if (rc == 0)
        rc = vh_config_new(&config, &err);
    if (rc == 0)
        rc = vh_config_load_env(config, NULL, &err);
    if (rc == 0)
        rc = vh_host_new(config, NULL, &host, &err);
    if (rc == 0) {
        (void)signal(SIGINT, on_signal); /* cannot fail for this number */
        rc = run(argv[1], ms, host, &err);
    }
    printf("%s: %s\n", vh_error_name(rc), rc ? err.msg : "was ready before that");
    vh_host_free(host);
    vh_config_free(config);
    signal(SIGINT, SIG_DFL); /* before what the handler uses is gone */
    vh_cancel_free(token);
    return rc == 0 || rc == VH_ECANCELED ? 0 : 1;
}
