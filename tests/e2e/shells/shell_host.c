/*
 * shell-host: what a host with waiting VMMs does, one step for each line of stdin.
 *
 *     shell-host IMAGE SPEC
 *
 * "fill N" makes N shells wait and prints "waiting"; "end" ends them and prints "ended"; "run ENGINE" restores IMAGE,
 * calls it and prints the answer. What goes wrong is printed as "error: ..." and ends it.
 */
#include <stdio.h>
#include <string.h>
#include <vhive/host.h>
#include <vhive/invoke.h>

static int fill(vh_host *host, unsigned count, vh_error *err)
{
    vh_shells_options o = VH_SHELLS_OPTIONS_INIT;
    int rc;

    o.count = count;
    rc = vh_vms_shells_fill(vh_host_vms(host), &o, NULL, err);
    if (rc == 0)
        printf("waiting\n");
    return rc;
}

static int end(vh_host *host)
{
    vh_vms_shells_end(vh_host_vms(host));
    printf("ended\n");
    return 0;
}

static int run(vh_host *host, const char *image, const char *engine, const vh_invoke_request *request, vh_error *err)
{
    vh_invoke_response answer = { .size = sizeof(answer) };
    vh_run_options o = VH_RUN_OPTIONS_INIT;
    vh_vm *vm = NULL;
    int rc = vh_engine_parse(engine, &o.engine, err);

    o.image = image;
    if (rc == 0)
        rc = vh_vm_run(vh_host_vms(host), &o, NULL, &vm, err);
    if (rc == 0)
        rc = vh_invoke(request, vh_vm_address(vm), vh_vm_port(vm), NULL, &answer, err);
    if (rc == 0)
        printf("%s\n", answer.body);
    vh_invoke_response_fini(&answer);
    vh_vm_free(vm);
    return rc;
}

static int serve(vh_host *host, const char *image, const vh_invoke_request *request, vh_error *err)
{
    char line[64], engine[8];
    unsigned count;
    int rc = 0;

    while (rc == 0 && fgets(line, sizeof(line), stdin)) {
        if (sscanf(line, "fill %u", &count) == 1)
            rc = fill(host, count, err);
        else if (sscanf(line, "run %7s", engine) == 1)
            rc = run(host, image, engine, request, err);
        else
            rc = end(host);
        fflush(stdout);
    }
    return rc;
}

static void log_to_stderr(const vh_log_record *r, void *arg)
{
    (void)arg;
    fprintf(stderr, "%s\n", r->message);
}

int main(int argc, char **argv)
{
    vh_env_options options = VH_ENV_OPTIONS_INIT;
    vh_invoke_request *request = NULL;
    vh_config *config = NULL;
    vh_host *host = NULL;
    vh_error err = { 0 };
    int rc;

    if (argc != 3)
        return 2;
    options.log = log_to_stderr;
    rc = vh_invoke_parse(argv[2], &request, &err);
    if (rc == 0)
        rc = vh_config_new(&config, &err);
    if (rc == 0)
        rc = vh_config_load_env(config, NULL, &err);
    if (rc == 0)
        rc = vh_host_new(config, &options, &host, &err);
    if (rc == 0)
        rc = serve(host, argv[1], request, &err);
    if (rc)
        printf("error: %s\n", err.msg);
    vh_host_free(host);
    vh_config_free(config);
    vh_invoke_request_free(request);
    return rc ? 1 : 0;
}
