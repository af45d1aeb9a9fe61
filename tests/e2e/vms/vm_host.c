/*
 * vm-host: a process that has one VM at a time and does with it what each line of stdin says.
 *
 *     vm-host IMAGE
 *
 * "run ENGINE [NAME=VALUE]" runs IMAGE, saving nothing, with that in restore_env, and prints "ENGINE ADDRESS:PORT ID
 * SNAPSHOT"; "pause", "resume" and "stop" print "done"; "snapshot" and "again" save it and print the snapshot's id;
 * "hurry MS" does so again within that time; "wait" prints how it ended. As any other process may do to it by its
 * id: "look" prints "paused" or "runs", "freeze" and "thaw" print "done". What goes wrong is printed as
 * "error: NAME: ...".
 */
#include <stdio.h>
#include <string.h>
#include <vhive/exec.h>
#include <vhive/host.h>

struct vm_host {
    const char *image;
    vh_host *host;
    vh_vm *vm;
    char said[256]; /* the answer */
};

static int run(struct vm_host *h, const char *engine, const char *variable, vh_error *err)
{
    const char *env[] = { variable, NULL };
    vh_run_options o = VH_RUN_OPTIONS_INIT;
    int rc = vh_engine_parse(engine, &o.engine, err);

    vh_vm_free(h->vm);
    h->vm = NULL;
    o.image = h->image;
    o.boot_unsaved = true;
    o.restore_env = variable ? env : NULL;
    if (rc == 0)
        rc = vh_vm_run(vh_host_vms(h->host), &o, NULL, &h->vm, err);
    if (rc == 0)
        snprintf(h->said, sizeof(h->said), "%s %s:%u %s %s", vh_engine_name(vh_vm_engine(h->vm)), vh_vm_address(h->vm),
                 vh_vm_port(h->vm), vh_vm_id(h->vm), vh_vm_snapshot_id(h->vm));
    return rc;
}

static int stop(struct vm_host *h, vh_error *err)
{
    int rc = vh_vm_stop(h->vm, NULL, err);

    vh_vm_free(h->vm);
    h->vm = NULL;
    return rc;
}

static int await_end(struct vm_host *h, vh_error *err)
{
    vh_call call = { .size = sizeof(call), .timeout_ms = 5000 };
    vh_vm_exit end;
    int rc = vh_vm_wait(h->vm, &call, &end, err);

    if (rc == 0)
        snprintf(h->said, sizeof(h->said), "%.200s", end.reason);
    return rc;
}

static bool take_state(const vh_vm_info *info, void *arg)
{
    struct vm_host *h = arg;

    if (strcmp(info->id, vh_vm_id(h->vm)) == 0)
        snprintf(h->said, sizeof(h->said), "%s", info->paused ? "paused" : "runs");
    return true;
}

static int obey(struct vm_host *h, const char *line, vh_error *err)
{
    vh_call hurry = { .size = sizeof(hurry) };
    char engine[8], variable[64];
    int n = sscanf(line, "run %7s %63s", engine, variable);

    snprintf(h->said, sizeof(h->said), "done");
    if (n >= 1)
        return run(h, engine, n == 2 ? variable : NULL, err);
    if (strcmp(line, "pause\n") == 0)
        return vh_vm_pause(h->vm, NULL, err);
    if (strcmp(line, "resume\n") == 0)
        return vh_vm_resume(h->vm, NULL, err);
    if (strcmp(line, "stop\n") == 0)
        return stop(h, err);
    if (strcmp(line, "wait\n") == 0)
        return await_end(h, err);
    if (strcmp(line, "look\n") == 0)
        return vh_vms_list(vh_host_env(h->host), NULL, take_state, h, err);
    if (strcmp(line, "freeze\n") == 0)
        return vh_vms_pause(vh_host_env(h->host), vh_vm_id(h->vm), NULL, err);
    if (strcmp(line, "thaw\n") == 0)
        return vh_vms_resume(vh_host_env(h->host), vh_vm_id(h->vm), NULL, err);
    if (sscanf(line, "hurry %u", &hurry.timeout_ms) == 1)
        return vh_vm_snapshot(h->vm, true, &hurry, h->said, err);
    return vh_vm_snapshot(h->vm, strcmp(line, "again\n") == 0, NULL, h->said, err);
}

static void serve(struct vm_host *h)
{
    char line[128];

    while (fgets(line, sizeof(line), stdin)) {
        vh_error err = { 0 };
        int rc = obey(h, line, &err);

        if (rc)
            printf("error: %s: %s\n", vh_error_name(rc), err.msg);
        else
            printf("%s\n", h->said);
        fflush(stdout);
    }
}

static void log_to_stderr(const vh_log_record *r, void *arg)
{
    (void)arg;
    fprintf(stderr, "%s\n", r->message);
}

int main(int argc, char **argv)
{
    vh_env_options options = VH_ENV_OPTIONS_INIT;
    struct vm_host h = { .image = argv[1] };
    vh_config *config = NULL;
    vh_error err = { 0 };
    int rc;

    if (argc != 2)
        return 2;
    options.log = log_to_stderr;
    rc = vh_config_new(&config, &err);
    if (rc == 0)
        rc = vh_config_load_env(config, NULL, &err);
    if (rc == 0)
        rc = vh_host_new(config, &options, &h.host, &err);
    if (rc == 0)
        serve(&h);
    if (rc)
        printf("error: %s\n", err.msg);
    vh_vm_free(h.vm);
    vh_host_free(h.host);
    vh_config_free(config);
    return rc ? 1 : 0;
}
