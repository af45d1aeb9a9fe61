/*
 * boot: starts a function in a microVM, calls it once, prints the answer and where the time went, and stops it.
 *
 *     sudo ./boot oci:build/functions/pyhello http:/
 */
#include <stdio.h>
#include <vhive/host.h>
#include <vhive/invoke.h>

/* Calls the function in |vm| and prints what it answers. */
static int call(vh_vm *vm, const char *spec, vh_error *err)
{
    vh_invoke_response answer = { .size = sizeof(answer) };
    vh_invoke_request *request;
    int rc = vh_invoke_parse(spec, &request, err);

    if (rc)
        return rc;
    rc = vh_invoke(request, vh_vm_address(vm), vh_vm_port(vm), NULL, &answer, err);
    if (rc == 0)
        printf("%s\n", answer.body);
    vh_invoke_response_fini(&answer);
    vh_invoke_request_free(request);
    return rc;
}

static void print_phases(const vh_phases *phases)
{
    for (size_t i = 0; i < phases->n; i++)
        printf("%-20s %9.3f ms\n", phases->v[i].id, (double)phases->v[i].ns / 1e6);
}

int main(int argc, char **argv)
{
    vh_run_options o = VH_RUN_OPTIONS_INIT;
    vh_host *host = NULL;
    vh_vm *vm = NULL;
    vh_config *config = NULL;
    vh_error err = { 0 };
    int rc;

    if (argc != 3) {
        fprintf(stderr, "usage: boot IMAGE SPEC\nexample: boot oci:build/functions/pyhello http:/\n");
        return 2;
    }
    o.image = argv[1];
    o.engine = VH_ENGINE_BOOT;
    rc = vh_config_new(&config, &err);
    if (rc == 0)
        rc = vh_config_load_env(config, NULL, &err); /* VHIVE_STATE_DIR and all the others */
    if (rc == 0)
        rc = vh_host_new(config, NULL, &host, &err);
    if (rc == 0)
        rc = vh_vm_run(vh_host_vms(host), &o, NULL, &vm, &err); /* returns when the function can be called */
    if (rc == 0)
        rc = call(vm, argv[2], &err);
    if (rc == 0)
        print_phases(vh_vm_phases(vm));
    else
        fprintf(stderr, "boot: %s\n", err.msg); /* what failed, why, and what to do */
    vh_vm_free(vm); /* ends it, if it runs */
    vh_host_free(host);
    vh_config_free(config);
    return rc ? 1 : 0;
}
