/*
 * restore: saves a snapshot of a function that has just become ready, and restores it twice: the first time the pages
 * that it touches are recorded, the second time they are installed ahead.
 *
 *     sudo ./restore oci:build/functions/hello 'grpc:helloworld.Greeter/SayHello:{"name":"you"}'
 */
#include <stdio.h>
#include <string.h>
#include <vhive/host.h>
#include <vhive/invoke.h>

/* Calls the function; the end of the first answer is the end of what is recorded. */
static int call(vh_vm *vm, const vh_invoke_request *request, vh_error *err)
{
    vh_invoke_response answer = { .size = sizeof(answer) };
    vh_vm_stats stats = { .size = sizeof(stats) };
    int rc = vh_invoke(request, vh_vm_address(vm), vh_vm_port(vm), NULL, &answer, err);

    if (rc == 0)
        rc = vh_vm_stats_get(vm, NULL, &stats, err);
    if (rc == 0)
        printf("%s  %.1f ms, %llu pages ahead, %llu on demand\n", answer.body,
               (double)(answer.last_byte_ns - vh_vm_phases(vm)->begin_ns) / 1e6,
               (unsigned long long)stats.installed_pages, (unsigned long long)stats.faults);
    vh_invoke_response_fini(&answer);
    return rc ? rc : vh_vm_record_end(vm, NULL, err);
}

static int restore(vh_host *host, const vh_run_options *o, const char *id, const vh_invoke_request *request,
                   vh_error *err)
{
    vh_vm *vm = NULL;
    int rc = vh_vm_run(vh_host_vms(host), o, NULL, &vm, err);

    if (rc == 0 && strcmp(vh_vm_snapshot_id(vm), id) != 0)
        rc = vh_error_set(err, VH_ESTATE, "restored snapshot %s instead of %s", vh_vm_snapshot_id(vm), id);
    if (rc == 0)
        rc = call(vm, request, err);
    vh_vm_free(vm);
    return rc;
}

int main(int argc, char **argv)
{
    vh_run_options o = VH_RUN_OPTIONS_INIT;
    vh_invoke_request *request = NULL;
    vh_config *config = NULL;
    vh_host *host = NULL;
    vh_error err = { 0 };
    char id[72];
    int rc;

    if (argc != 3) {
        fprintf(stderr, "usage: restore IMAGE SPEC\nexample: restore oci:build/functions/pyhello http:/\n");
        return 2;
    }
    o.image = argv[1];
    o.engine = VH_ENGINE_REAP;
    rc = vh_invoke_parse(argv[2], &request, &err);
    if (rc == 0)
        rc = vh_config_new(&config, &err);
    if (rc == 0)
        rc = vh_config_load_env(config, NULL, &err);
    if (rc == 0)
        rc = vh_host_new(config, NULL, &host, &err);
    if (rc == 0)
        rc = vh_vm_snapshot_create(vh_host_vms(host), &o, false, NULL, id, &err); /* one that is there is kept */
    for (int i = 0; rc == 0 && i < 2; i++)
        rc = restore(host, &o, id, request, &err);
    if (rc)
        fprintf(stderr, "restore: %s\n", err.msg);
    vh_host_free(host);
    vh_config_free(config);
    vh_invoke_request_free(request);
    return rc ? 1 : 0;
}
