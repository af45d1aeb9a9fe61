/*
 * loop: a program with an event loop of its own, here libuv's. Calls of the library block, so the loop's pool makes
 * them, the result comes back on the loop, and the loop goes on meanwhile.
 *
 *     sudo ./loop oci:build/functions/pyhello http:/
 */
#include <stdio.h>
#include <uv.h>
#include <vhive/host.h>
#include <vhive/invoke.h>

/* One request. The pool's thread has it until on_done(), then the loop's. */
struct job {
    uv_work_t work;
    uv_timer_t *ticker;
    vh_host *host;
    const char *image;
    vh_invoke_request *request;
    vh_invoke_response answer;
    vh_error err;
    int rc;
};

/* On a thread of the pool: may block. */
static void do_it(uv_work_t *work)
{
    struct job *j = work->data;
    vh_run_options o = VH_RUN_OPTIONS_INIT;
    vh_vm *vm = NULL;

    o.image = j->image;
    j->rc = vh_vm_run(vh_host_vms(j->host), &o, NULL, &vm, &j->err);
    if (j->rc == 0)
        j->rc = vh_invoke(j->request, vh_vm_address(vm), vh_vm_port(vm), NULL, &j->answer, &j->err);
    vh_vm_free(vm);
}

/* On the loop: must not block. */
static void on_done(uv_work_t *work, int status)
{
    struct job *j = work->data;

    (void)status;
    printf("%s\n", j->rc ? j->err.msg : j->answer.body);
    uv_close((uv_handle_t *)j->ticker, NULL); /* the loop has nothing left, and ends */
}

static void on_tick(uv_timer_t *ticker)
{
    ++*(unsigned *)ticker->data;
}

static int run(struct job *j)
{
    unsigned ticks = 0;
    uv_timer_t ticker = { .data = &ticks };
    uv_loop_t loop;

    j->work.data = j;
    j->ticker = &ticker;
    if (uv_loop_init(&loop) || uv_timer_init(&loop, &ticker) || uv_timer_start(&ticker, on_tick, 10, 10) ||
        uv_queue_work(&loop, &j->work, do_it, on_done)) {
        fprintf(stderr, "loop: libuv cannot start\n");
        return 1;
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    printf("the loop ticked %u times meanwhile\n", ticks);
    return uv_loop_close(&loop) || ticks < 2 || j->rc;
}

int main(int argc, char **argv)
{
    struct job j = { .image = argv[1], .answer = { .size = sizeof(j.answer) } };
    vh_config *config = NULL;
    int failed = 1;

    if (argc != 3) {
        fprintf(stderr, "usage: loop IMAGE SPEC\nexample: loop oci:build/functions/pyhello http:/\n");
        return 2;
    }
    if (vh_config_new(&config, &j.err) == 0 && vh_config_load_env(config, NULL, &j.err) == 0 &&
        vh_host_new(config, NULL, &j.host, &j.err) == 0 && vh_invoke_parse(argv[2], &j.request, &j.err) == 0)
        failed = run(&j);
    else
        fprintf(stderr, "loop: %s\n", j.err.msg);
    vh_invoke_response_fini(&j.answer);
    vh_invoke_request_free(j.request);
    vh_host_free(j.host);
    vh_config_free(config);
    return failed;
}
