/*
 * log: where the library's log records, its progress and a function's output go. The library writes to no stream; it
 * calls functions that a program gives it, from threads of its own.
 *
 *     sudo ./log oci:build/functions/hello
 */
#include <stdatomic.h>
#include <stdio.h>
#include <vhive/host.h>

/* What the functions below count: they may be called from several threads at once. */
struct counts {
    atomic_uint records, steps;
};

static void on_record(const vh_log_record *r, void *arg)
{
    struct counts *c = arg;

    atomic_fetch_add(&c->records, 1);
    fprintf(stderr, "%-5s %-8s %s %s\n", vh_log_level_name(r->level), r->module, r->vm ? r->vm : "-", r->message);
}

static void on_progress(const vh_progress *p, void *arg)
{
    struct counts *c = arg;

    atomic_fetch_add(&c->steps, 1);
    if (p->total)
        fprintf(stderr, "%s: %llu of %llu bytes\n", p->what, (unsigned long long)p->done, (unsigned long long)p->total);
}

static void on_output(vh_stream stream, const void *bytes, size_t n, void *arg)
{
    (void)arg;
    fwrite(bytes, 1, n, stream == VH_STREAM_STDOUT ? stdout : stderr);
}

int main(int argc, char **argv)
{
    struct counts counts = { 0 };
    vh_env_options sinks = VH_ENV_OPTIONS_INIT;
    vh_run_options o = VH_RUN_OPTIONS_INIT;
    vh_config *config = NULL;
    vh_host *host = NULL;
    vh_vm *vm = NULL;
    vh_error err = { 0 };
    int rc;

    if (argc != 2) {
        fprintf(stderr, "usage: log IMAGE\nexample: log oci:build/functions/hello\n");
        return 2;
    }
    sinks.log = on_record;
    sinks.log_level = VH_LOG_DEBUG; /* records below it are not even made */
    sinks.progress = on_progress;
    sinks.log_arg = sinks.progress_arg = &counts;
    o.image = argv[1];
    o.engine = VH_ENGINE_BOOT;
    o.output = on_output;
    rc = vh_config_new(&config, &err);
    if (rc == 0)
        rc = vh_config_load_env(config, NULL, &err);
    if (rc == 0)
        rc = vh_host_new(config, &sinks, &host, &err);
    if (rc == 0)
        rc = vh_vm_run(vh_host_vms(host), &o, NULL, &vm, &err);
    if (rc == 0)
        rc = vh_vm_stop(vm, NULL, &err);
    if (rc)
        fprintf(stderr, "log: %s\n", err.msg);
    vh_vm_free(vm);
    vh_host_free(host); /* from here on nobody calls the functions */
    vh_config_free(config);
    printf("%u records, %u steps of progress\n", atomic_load(&counts.records), atomic_load(&counts.steps));
    return rc || atomic_load(&counts.records) == 0 ? 1 : 0;
}
