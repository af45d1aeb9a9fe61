/* Client and server of the control API over a real socket; behind the server are functions that do as they are told. */
#include "testenv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <vhive/client.h>

#include "control.h"
#include "control.pb-c.h"
#include "fake_functions.h"
#include "grpc_status.h"
#include "listen.h"
#include "path.h"

struct api {
    testenv t;
    struct vh_functions functions;
    vh_config *config;
    vh_images *images;
    vh_snapshots *snapshots;
    vh__control *control;
    vh__rpc_server *server;
    vh_client *client;
    char socket[96];
    pthread_t thread;
};

static void *serve(void *arg)
{
    vh_error err = { 0 };

    return vh__rpc_server_run(((struct api *)arg)->server, &err) ? arg : NULL;
}

static void start(struct api *a)
{
    vh__rpc_server_options o = { .grace_ms = 500 };
    vh__control_options with = { 0 };
    vh_error err = { 0 };

    testenv_init(&a->t);
    assert_ok(vh_config_new(&a->config, &err), err);
    assert_ok(vh_images_new(a->t.env, NULL, &a->images, &err), err);
    assert_ok(vh_snapshots_new(a->t.env, &a->snapshots, &err), err);
    with = (vh__control_options){ .env = a->t.env, .config = a->config, .functions = &a->functions,
                                  .images = a->images, .snapshots = a->snapshots };
    assert_ok(vh__control_new(&with, &a->control, &err), err);
    snprintf(a->socket, sizeof(a->socket), "%s/vhived.sock", a->t.dir);
    assert_ok(vh__listen_unix(a->socket, 0600, (gid_t)-1, &o.listen_fd, NULL, &err), err);
    o.methods = vh__control_methods(a->control, &o.nmethods);
    assert_ok(vh__rpc_server_new(&o, &a->server, &err), err);
    assert_int_equal(pthread_create(&a->thread, NULL, serve, a), 0);
    assert_ok(vh_client_new(a->socket, &a->client, &err), err);
}

static void join(struct api *a)
{
    void *failed = a;

    assert_int_equal(pthread_join(a->thread, &failed), 0);
    assert_null(failed);
    vh__rpc_server_free(a->server);
    vh__control_free(a->control);
    vh_client_free(a->client);
    vh_snapshots_free(a->snapshots);
    vh_images_free(a->images);
    vh_config_free(a->config);
    testenv_fini(&a->t);
}

static void stop(struct api *a)
{
    vh__rpc_server_stop(a->server);
    join(a);
}

static void version_and_settings_are_the_daemon_s(void **state)
{
    struct api a = { 0 };
    vh_daemon_info info = VH_DAEMON_INFO_INIT;
    vh_error err = { 0 };
    char *yaml = NULL;

    (void)state;
    start(&a);
    assert_ok(vh_client_version(a.client, NULL, &info, &err), err);
    assert_string_equal(info.version, VH_VERSION);
    assert_string_equal(info.state_dir, vh_env_state_dir(a.t.env));
    assert_string_equal(info.run_dir, vh_env_run_dir(a.t.env));
    assert_int_equal(info.pid, getpid());
    assert_true(info.started_ns > 0);
    assert_ok(vh_client_config(a.client, NULL, &yaml, &err), err);
    assert_non_null(strstr(yaml, "state_dir:"));
    free(yaml);
    stop(&a);
}

static void without_a_daemon_that_is_told(void **state)
{
    vh_daemon_info info = VH_DAEMON_INFO_INIT;
    vh_client *client = NULL;
    vh_error err = { 0 };
    char longest[200];

    (void)state;
    assert_ok(vh_client_new("/nowhere/vhived.sock", &client, &err), err);
    assert_int_equal(vh_client_version(client, NULL, &info, &err), VH_ENODAEMON);
    assert_non_null(strstr(err.msg, "/nowhere/vhived.sock"));
    vh_client_free(client);
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(vh_client_new(longest, &client, &err), VH_EINVALID);
    assert_int_equal(vh_client_new("", &client, &err), VH_EINVALID);
}

static void note_progress(const vh_progress *p, void *arg)
{
    snprintf(arg, 128, "%s %s %llu/%llu", p->what, p->detail, (unsigned long long)p->done,
             (unsigned long long)p->total);
}

static void a_deployment_arrives_whole_and_tells_its_progress(void **state)
{
    static const char *const env[] = { "A=1", "B=x=y", NULL };
    vh_function_spec spec = { .size = sizeof(spec), .name = "hello", .image = "oci:/images/hello", .env = env,
                              .address = "unix:/run/x", .port = 50051, .memory_mib = 512, .cpus = 3,
                              .engine = VH_ENGINE_UFFD, .min = 1, .max = 5, .concurrency = 9, .keep_alive_ms = 777,
                              .retire = 12 };
    struct api a = { 0 };
    char told[128] = "";
    vh_call call = { .size = sizeof(call), .progress = note_progress, .progress_arg = told };
    vh_error err = { 0 };

    (void)state;
    start(&a);
    assert_ok(vh_client_deploy(a.client, &spec, &call, &err), err);
    assert_string_equal(a.functions.asked,
                        "hello oci:/images/hello unix:/run/x 50051 512 3 uffd 1-5 9 777 12 A=1 B=x=y");
    assert_string_equal(told, "pull 1 of 2 layers 5/10");
    assert_ok(vh_client_update(a.client, &spec, NULL, &err), err);
    assert_string_equal(a.functions.asked, "update hello");
    assert_ok(vh_client_scale(a.client, "hello", 2, 3, NULL, &err), err);
    assert_string_equal(a.functions.asked, "scale hello 2 3");
    stop(&a);
}

static void what_is_no_utf8_is_refused_and_not_altered(void **state)
{
    static const char *const env[] = { "A=\xff", NULL }, *const argv[] = { "rm", "caf\xe9", NULL };
    vh_function_spec spec = { .size = sizeof(spec), .name = "hello", .image = "x/y", .env = env };
    vh_exec_options o = { .size = sizeof(o), .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1 };
    vh_client_exec *exec = NULL;
    struct api a = { 0 };
    vh_error err = { 0 };

    (void)state;
    start(&a);
    assert_int_equal(vh_client_deploy(a.client, &spec, NULL, &err), VH_EINVALID);
    assert_non_null(strstr(err.msg, "UTF-8"));
    assert_int_equal(vh_client_exec_start(a.client, "hello", NULL, &o, NULL, &exec, &err), VH_EINVALID);
    assert_non_null(strstr(err.msg, "UTF-8"));
    assert_string_equal(a.functions.asked, "");
    stop(&a);
}

static void a_relative_folder_is_the_caller_s(void **state)
{
    vh_function_spec spec = { .size = sizeof(spec), .name = "hello", .image = "oci:some/folder:tag" };
    char here[4096], want[4200];
    struct api a = { 0 };
    vh_error err = { 0 };

    (void)state;
    start(&a);
    assert_non_null(getcwd(here, sizeof(here)));
    snprintf(want, sizeof(want), "hello oci:%s/some/folder:tag ", here);
    assert_ok(vh_client_deploy(a.client, &spec, NULL, &err), err);
    assert_memory_equal(a.functions.asked, want, strlen(want));
    stop(&a);
}

static void every_error_comes_back_with_its_code_and_text(void **state)
{
    static const int codes[] = {
#define CODE(name, value, text) name,
        VH_ERROR_LIST(CODE)
#undef CODE
        -EADDRINUSE, -ENOMEM, -ENOSPC, -EACCES, -ECONNREFUSED, -EHOSTUNREACH, -EIO,
    };
    struct api a = { .functions = { .why = "thing: cause, \xc3\xa4 100% remedy" } };

    (void)state;
    start(&a);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        vh_error err = { 0 };

        a.functions.fails = codes[i];
        assert_int_equal(vh_client_remove(a.client, "hello", NULL, &err), codes[i]);
        assert_int_equal(err.code, codes[i]);
        assert_string_equal(err.msg, a.functions.why);
    }
    a.functions.fails = VH_EIMAGE; /* at the end of a stream as well */
    assert_int_equal(vh_client_deploy(a.client, &(vh_function_spec){ .size = sizeof(vh_function_spec), .name = "x" },
                                      NULL, NULL), VH_EIMAGE);
    stop(&a);
}

static bool check_function(const vh_function_info *i, void *arg)
{
    unsigned *n = arg;

    assert_string_equal(i->spec.name, *n == 0 ? "one" : "two");
    assert_string_equal(i->last_error, *n == 0 ? "" : "last line: ?\?!");
    assert_string_equal(*n == 0 ? i->spec.env[1] : "B=", "B=");
    assert_null(i->spec.env[*n == 0 ? 2 : 0]);
    assert_string_equal(i->address, "tcp:127.0.0.1:31001");
    assert_string_equal(i->spec.address, "tcp:127.0.0.1");
    assert_int_equal(i->spec.engine, VH_ENGINE_REAP);
    assert_int_equal(i->spec.retire, 7);
    assert_int_equal(i->deployed_ns, 1700000000000000001);
    assert_true(i->served == UINT64_MAX && i->started == 6 && i->failed == 5);
    assert_true(i->instances == 4 && i->ready == 3 && i->waiting == 2 && i->active == 1 && i->revision == 3);
    return ++*n < 2;
}

static bool check_instance(const vh_instance_info *i, void *arg)
{
    unsigned *n = arg;

    assert_int_equal(i->state, VH_INSTANCE_DRAINING + (*n)++);
    assert_string_equal(i->vm, "vm-1234");
    assert_string_equal(i->function, "hello");
    assert_string_equal(i->address, "198.18.0.2");
    assert_true(i->port == 80 && i->served == 1ull << 40 && i->start_us == 6 && i->memory_mib == 512);
    return true;
}

static void listings_arrive_whole(void **state)
{
    struct api a = { 0 };
    vh_error err = { 0 };
    unsigned n = 0;

    (void)state;
    start(&a);
    assert_ok(vh_client_functions(a.client, NULL, NULL, check_function, &n, &err), err);
    assert_int_equal(n, 2);
    n = 1;
    assert_ok(vh_client_functions(a.client, "two", NULL, check_function, &n, &err), err);
    assert_int_equal(n, 2);
    n = 0;
    assert_ok(vh_client_instances(a.client, "hello", NULL, check_instance, &n, &err), err);
    assert_int_equal(n, 3);
    stop(&a);
}

static void an_answer_brings_body_and_timing(void **state)
{
    struct api a = { .functions.answer = { .size = sizeof(vh_invoke_response), .ok = true, .status = 200,
                                           .content_type = "text/plain", .body = (char *)"hello", .body_len = 5 } };
    vh_invoke_response r = { .size = sizeof(r) };
    vh_invoke_timing timing = VH_INVOKE_TIMING_INIT;
    vh_error err = { 0 };

    (void)state;
    start(&a);
    assert_ok(vh_client_invoke(a.client, "hello", "http:/x", "data", 4, NULL, &r, &timing, &err), err);
    assert_true(r.ok && !r.grpc && r.status == 200 && r.body_len == 5);
    assert_string_equal(r.body, "hello");
    assert_string_equal(r.content_type, "text/plain");
    assert_true(timing.cold);
    assert_string_equal(timing.vm, "vm-1234");
    assert_int_equal(timing.phases.n, 2);
    assert_string_equal(timing.phases.v[1].id, "ws-fetch");
    assert_int_equal(timing.phases.v[1].start_ns - timing.phases.begin_ns, 500000);
    assert_int_equal(timing.phases.v[1].ns, 500000);
    assert_false(timing.phases.v[1].critical);
    assert_int_equal(timing.phases.end_ns - timing.phases.begin_ns, 3000000);
    assert_ok(vh_client_invoke(a.client, "hello", "http:/x", NULL, 0, NULL, &r, NULL, &err), err); /* frees the body */
    assert_string_equal(r.body, "hello");
    vh_invoke_response_fini(&r);
    r.size = 0;
    assert_int_equal(vh_client_invoke(a.client, "hello", "http:/x", NULL, 0, NULL, &r, NULL, &err), VH_EINVALID);
    stop(&a);
}

static void an_answer_that_is_an_error_is_handed_on(void **state)
{
    struct api a = { .functions = { .fails = VH_EREMOTE, .why = "HTTP status 500",
                                    .answer = { .size = sizeof(vh_invoke_response), .status = 500,
                                                .body = (char *)"oh", .body_len = 2 } } };
    vh_invoke_response r = { .size = sizeof(r) };
    vh_error err = { 0 };

    (void)state;
    start(&a);
    assert_int_equal(vh_client_invoke(a.client, "hello", "http:/x", NULL, 0, NULL, &r, NULL, &err), VH_EREMOTE);
    assert_string_equal(err.msg, "HTTP status 500");
    assert_int_equal(r.status, 500);
    assert_string_equal(r.body, "oh");
    vh_invoke_response_fini(&r);
    stop(&a);
}

static void the_daemon_reads_no_file_for_a_caller(void **state)
{
    vh_invoke_response r = { .size = sizeof(r) };
    struct api a = { 0 };
    vh_error err = { 0 };

    (void)state;
    start(&a);
    assert_int_equal(vh_client_invoke(a.client, "hello", "http:POST:/:@/etc/passwd", NULL, 0, NULL, &r, NULL, &err),
                     VH_EINVALID);
    assert_string_equal(a.functions.asked, "");
    stop(&a);
}

static bool take_two(const vh_event *e, void *arg)
{
    unsigned *n = arg;

    assert_int_equal(e->sequence, 100 + ++*n);
    assert_string_equal(e->type, "instance.ready");
    return *n < 2;
}

static bool take_all(const vh_event *e, void *arg)
{
    (void)e;
    ++*(unsigned *)arg;
    return true;
}

static void events_come_until_there_are_enough(void **state)
{
    struct api a = { .functions.events = 5 };
    vh_call call = { .size = sizeof(call), .timeout_ms = 100 };
    vh_error err = { 0 };
    unsigned n = 0;

    (void)state;
    start(&a);
    assert_ok(vh_client_events(a.client, "one", 100, NULL, take_two, &n, &err), err);
    assert_int_equal(n, 2);
    assert_int_equal(vh_client_events(a.client, "one", 100, &call, take_all, &n, &err), VH_ETIMEDOUT);
    assert_int_equal(n, 7);
    stop(&a);
}

static void *stop_soon(void *arg)
{
    struct api *a = arg;

    usleep(50000);
    vh__rpc_server_stop(a->server);
    return NULL;
}

static void a_daemon_that_stops_ends_a_watch(void **state)
{
    struct api a = { .functions.events = 1 };
    vh_error err = { 0 };
    pthread_t stopper;
    unsigned n = 0;

    (void)state;
    start(&a);
    assert_int_equal(pthread_create(&stopper, NULL, stop_soon, &a), 0);
    assert_int_equal(vh_client_events(a.client, NULL, 0, NULL, take_all, &n, &err), -ECONNRESET);
    assert_int_equal(pthread_join(stopper, NULL), 0);
    join(&a);
}

static bool check_piece(const vh_log_piece *p, void *arg)
{
    assert_int_equal(p->stream, VH_STREAM_STDERR);
    assert_int_equal(p->n, 3);
    assert_memory_equal(p->bytes, "a\0\xff", 3);
    ++*(unsigned *)arg;
    return true;
}

static void output_arrives_as_bytes(void **state)
{
    struct api a = { 0 };
    vh_error err = { 0 };
    unsigned n = 0;

    (void)state;
    start(&a);
    assert_ok(vh_client_logs(a.client, "one", 20, true, NULL, check_piece, &n, &err), err);
    assert_string_equal(a.functions.asked, "logs one 20 1");
    assert_ok(vh_client_logs(a.client, "one", UINT32_MAX, false, NULL, check_piece, &n, &err), err);
    assert_string_equal(a.functions.asked, "logs one 4294967295 0");
    assert_int_equal(n, 2);
    stop(&a);
}

static void *cancel_soon(void *cancel)
{
    usleep(50000);
    vh_cancel_trigger(cancel);
    return NULL;
}

static void a_caller_that_goes_cancels_what_it_asked_for(void **state)
{
    vh_function_spec spec = { .size = sizeof(spec), .name = "hello", .image = "x" };
    struct api a = { .functions.waits = true };
    vh_call call = VH_CALL_INIT;
    vh_error err = { 0 };
    pthread_t thread;

    (void)state;
    start(&a);
    assert_ok(vh_cancel_new(&call.cancel, &err), err);
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, call.cancel), 0);
    assert_int_equal(vh_client_deploy(a.client, &spec, &call, &err), VH_ECANCELED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    vh_cancel_free(call.cancel);
    stop(&a); /* waits for the handler */
    assert_true(a.functions.cancelled);
}

static void an_instance_is_paused_and_the_like_by_its_vm(void **state)
{
    char id[VH_SNAPSHOT_ID];
    struct api a = { 0 };
    vh_error err = { 0 };

    (void)state;
    start(&a);
    assert_ok(vh_client_vm_pause(a.client, "12", NULL, &err), err);
    assert_string_equal(a.functions.asked, "pause 12");
    assert_int_equal(vh_client_vm_kill(a.client, "", NULL, &err), VH_EINVALID); /* not the only one there is */
    assert_ok(vh_client_vm_resume(a.client, "12", NULL, &err), err);
    assert_string_equal(a.functions.asked, "resume 12");
    assert_ok(vh_client_vm_kill(a.client, "12", NULL, &err), err);
    assert_string_equal(a.functions.asked, "kill 12");
    assert_ok(vh_client_vm_snapshot(a.client, "12", NULL, id, &err), err);
    assert_string_equal(a.functions.asked, "snapshot 12");
    assert_string_equal(id, "0123456789abcdef0123");
    stop(&a);
}

static int no_image(const vh_image_info *info, void *arg)
{
    (void)info;
    (void)arg;
    return VH_ESTATE;
}

static bool no_snapshot(const vh_snapshot_info *info, void *arg)
{
    (void)info;
    *(bool *)arg = true;
    return false;
}

static void stores_are_the_machine_s(void **state)
{
    struct api a = { 0 };
    vh_image_info info;
    vh_error err = { 0 };
    bool seen = false;

    (void)state;
    start(&a);
    assert_ok(vh_client_images(a.client, NULL, NULL, no_image, NULL, &err), err);
    assert_int_equal(vh_client_images(a.client, "012345", NULL, no_image, NULL, &err), VH_ENOTFOUND);
    assert_int_equal(vh_client_image_pull(a.client, "oci:/nowhere", NULL, &info, &err), VH_ENOTFOUND);
    assert_int_equal(vh_client_image_remove(a.client, "012345", NULL, &err), VH_ENOTFOUND);
    assert_ok(vh_client_snapshots(a.client, NULL, NULL, no_snapshot, &seen, &err), err);
    assert_int_equal(vh_client_snapshots(a.client, "hello", NULL, no_snapshot, &seen, &err), VH_ENOTFOUND);
    assert_int_equal(vh_client_snapshot_verify(a.client, "hello", NULL, &err), VH_ENOTFOUND);
    assert_int_equal(vh_client_snapshot_remove(a.client, "hello", NULL, &err), VH_ENOTFOUND);
    assert_false(seen);
    stop(&a);
}

/* The process's ends as the caller holds them: what it writes to, and reads from. */
struct ends {
    int in[2], out[2];
};

static void *feed(void *arg)
{
    struct ends *e = arg;
    char bytes[10000];

    for (unsigned i = 0; i < 100; i++) {
        memset(bytes, 'a' + (int)(i % 26), sizeof(bytes));
        assert_int_equal(write(e->in[1], bytes, sizeof(bytes)), sizeof(bytes));
    }
    close(e->in[1]);
    return NULL;
}

static void *drain(void *arg)
{
    struct ends *e = arg;
    unsigned long sum = 0;
    char bytes[3000];
    ssize_t n;

    while ((n = read(e->out[0], bytes, sizeof(bytes))) > 0)
        for (ssize_t i = 0; i < n; i++)
            sum += (unsigned char)bytes[i];
    return (void *)sum;
}

static vh_exec_options cat_options(const struct ends *e)
{
    static const char *const argv[] = { "cat", NULL }, *const env[] = { "K=V", NULL };

    return (vh_exec_options){ .size = sizeof(vh_exec_options), .argv = argv, .env = env, .cwd = "/tmp",
                              .stdin_fd = e ? e->in[0] : -1, .stdout_fd = e ? e->out[1] : -1, .stderr_fd = -1 };
}

static void a_process_gets_and_gives_more_than_any_window(void **state)
{
    vh_exec_result result = VH_EXEC_RESULT_INIT;
    pthread_t feeder, drainer;
    vh_client_exec *exec = NULL;
    struct api a = { 0 };
    vh_exec_options o;
    vh_error err = { 0 };
    struct ends e;
    void *sum;
    unsigned long want = 0;

    (void)state;
    start(&a);
    assert_int_equal(pipe(e.in) | pipe(e.out), 0);
    assert_int_equal(pthread_create(&feeder, NULL, feed, &e) | pthread_create(&drainer, NULL, drain, &e), 0);
    o = cat_options(&e);
    assert_ok(vh_client_exec_start(a.client, "hello", NULL, &o, NULL, &exec, &err), err);
    assert_string_equal(a.functions.asked, "exec hello cat K=V /tmp");
    assert_ok(vh_client_exec_wait(exec, NULL, &result, &err), err);
    vh_client_exec_free(exec);
    close(e.out[1]);
    assert_int_equal(pthread_join(feeder, NULL) | pthread_join(drainer, &sum), 0);
    for (unsigned i = 0; i < 100; i++)
        want += ('a' + i % 26) * 10000ul;
    assert_int_equal((unsigned long)sum, want);
    assert_int_equal(result.code, 128);
    close(e.in[0]);
    close(e.out[0]);
    stop(&a);
}

static void a_wait_that_ends_early_loses_no_output(void **state)
{
    vh_call soon = { .size = sizeof(soon), .timeout_ms = 200 };
    vh_exec_result result = VH_EXEC_RESULT_INIT;
    vh_client_exec *exec = NULL;
    char bytes[60000] = "";
    struct api a = { 0 };
    pthread_t drainer;
    vh_exec_options o;
    vh_error err = { 0 };
    struct ends e;
    void *sum;

    (void)state;
    start(&a);
    assert_int_equal(pipe(e.in) | pipe(e.out), 0);
    assert_true(fcntl(e.out[1], F_SETPIPE_SZ, 4096) >= 0); /* so that it stands in the middle of a message */
    memset(bytes, 1, sizeof(bytes));
    assert_int_equal(write(e.in[1], bytes, sizeof(bytes)), sizeof(bytes));
    close(e.in[1]);
    o = cat_options(&e);
    assert_ok(vh_client_exec_start(a.client, "hello", NULL, &o, NULL, &exec, &err), err);
    assert_int_equal(vh_client_exec_wait(exec, &soon, &result, &err), VH_ETIMEDOUT); /* nobody reads */
    assert_int_equal(pthread_create(&drainer, NULL, drain, &e), 0);
    assert_ok(vh_client_exec_wait(exec, NULL, &result, &err), err);
    vh_client_exec_free(exec);
    close(e.out[1]);
    assert_int_equal(pthread_join(drainer, &sum), 0);
    assert_int_equal((unsigned long)sum, sizeof(bytes));
    close(e.in[0]);
    close(e.out[0]);
    stop(&a);
}

static void *feed_until_it_ends(void *arg)
{
    struct ends *e = arg;
    char bytes[10000] = "";

    while (write(e->in[1], bytes, sizeof(bytes)) > 0)
        ;
    return NULL;
}

static void a_process_may_end_before_its_input(void **state)
{
    static const char *const argv[] = { "head", NULL };
    struct api a = { 0 };

    (void)state;
    start(&a);
    for (int i = 0; i < 20; i++) {
        vh_exec_result result = VH_EXEC_RESULT_INIT;
        vh_client_exec *exec = NULL;
        pthread_t feeder;
        vh_exec_options o;
        vh_error err = { 0 };
        struct ends e;

        assert_int_equal(pipe(e.in) | pipe(e.out), 0);
        o = cat_options(&e);
        o.argv = argv;
        assert_int_equal(pthread_create(&feeder, NULL, feed_until_it_ends, &e), 0);
        assert_ok(vh_client_exec_start(a.client, "hello", NULL, &o, NULL, &exec, &err), err);
        assert_ok(vh_client_exec_wait(exec, NULL, &result, &err), err);
        assert_int_equal(result.code, 128);
        vh_client_exec_free(exec);
        close(e.in[0]);
        assert_int_equal(pthread_join(feeder, NULL), 0);
        close(e.in[1]);
        close(e.out[0]);
        close(e.out[1]);
    }
    stop(&a);
}

static void sizes_and_signals_reach_a_process(void **state)
{
    vh_exec_result result = VH_EXEC_RESULT_INIT;
    vh_call soon = { .size = sizeof(soon), .timeout_ms = 100 };
    vh_client_exec *exec = NULL;
    struct api a = { 0 };
    vh_exec_options o;
    vh_error err = { 0 };
    struct ends e;

    (void)state;
    start(&a);
    assert_int_equal(pipe(e.in) | pipe(e.out), 0);
    o = cat_options(&e);
    assert_ok(vh_client_exec_start(a.client, "hello", NULL, &o, NULL, &exec, &err), err);
    assert_int_equal(vh_client_exec_resize(exec, 24, 80, &err), 0);
    assert_int_equal(vh_client_exec_signal(exec, SIGTERM, &err), 0);
    assert_int_equal(vh_client_exec_signal(exec, 0, &err), VH_EINVALID);
    assert_int_equal(vh_client_exec_wait(exec, &soon, &result, &err), VH_ETIMEDOUT); /* it goes on */
    close(e.in[1]);
    assert_ok(vh_client_exec_wait(exec, NULL, &result, &err), err);
    vh_client_exec_free(exec);
    assert_int_equal(result.signal, SIGTERM);
    assert_string_equal(result.reason, "24 x 80");
    close(e.in[0]);
    close(e.out[0]);
    close(e.out[1]);
    stop(&a);
}

static void a_process_whose_caller_goes_is_killed(void **state)
{
    vh_client_exec *exec = NULL;
    struct api a = { 0 };
    vh_exec_options o;
    vh_error err = { 0 };
    struct ends e;

    (void)state;
    start(&a);
    assert_int_equal(pipe(e.in) | pipe(e.out), 0);
    o = cat_options(&e);
    assert_ok(vh_client_exec_start(a.client, "hello", NULL, &o, NULL, &exec, &err), err);
    vh_client_exec_free(exec); /* while it waits for input */
    for (int i = 0; i < 2; i++) {
        close(e.in[i]);
        close(e.out[i]);
    }
    stop(&a); /* which waits for the handler: fails the test by its deadline if the process goes on */
}

static void a_process_that_cannot_start_is_told_at_once(void **state)
{
    struct api a = { .functions = { .fails = VH_ENOTFOUND, .why = "function 'hello': is not deployed" } };
    vh_client_exec *exec = NULL;
    vh_exec_options o = cat_options(NULL);
    vh_error err = { 0 };

    (void)state;
    start(&a);
    assert_int_equal(vh_client_exec_start(a.client, "hello", NULL, &o, NULL, &exec, &err), VH_ENOTFOUND);
    assert_string_equal(err.msg, a.functions.why);
    assert_null(exec);
    stop(&a);
}

/* Calls |method| with |n| bytes as they are; the message of the answer is in |text|. */
static vh__grpc_status call_raw(struct api *a, const char *method, const void *bytes, size_t n, char text[256])
{
    vh__wait w = vh__wait_from(NULL, 5000);
    vh__rpc_reply reply = { 0 };
    vh__rpc_client *c = NULL;
    vh__grpc_status status;
    vh_error err = { 0 };

    assert_ok(vh__rpc_client_connect(a->socket, &w, &c, &err), err);
    assert_ok(vh__rpc_call(c, method, bytes, n, &w, &reply, &err), err);
    status = reply.status;
    snprintf(text, 256, "%s", reply.message.data ? reply.message.data : "");
    vh__rpc_reply_fini(&reply);
    vh__rpc_client_free(c);
    return status;
}

#define CONTROL "/vhive.control.v1.Control/"

static void what_is_no_message_is_refused(void **state)
{
    struct api a = { 0 };
    static char many[1999994]; /* ExecInput.start of 1999990 bytes */
    char text[256];

    (void)state;
    start(&a);
    assert_int_equal(call_raw(&a, CONTROL "Remove", "\xff\xff\xff", 3, text), VH_GRPC_INVALID_ARGUMENT);
    assert_non_null(strstr(text, "RemoveRequest"));
    assert_int_equal(call_raw(&a, CONTROL "Remove", "\x0a\x02\xc3\x28", 4, text), VH_GRPC_INVALID_ARGUMENT);
    assert_non_null(strstr(text, "UTF-8"));
    assert_int_equal(call_raw(&a, CONTROL "Deploy", "", 0, text), VH_GRPC_INVALID_ARGUMENT);
    assert_non_null(strstr(text, "spec"));
    assert_int_equal(call_raw(&a, CONTROL "Exec", "\x18\x01", 2, text), VH_GRPC_INVALID_ARGUMENT);
    assert_int_equal(call_raw(&a, CONTROL "NoSuch", "", 0, text), VH_GRPC_UNIMPLEMENTED);
    memcpy(many, "\x0a\xf6\x88\x7a", 4);
    for (size_t i = 4; i < sizeof(many); i += 2) /* a million empty arguments of a process, of two bytes each */
        many[i] = 0x1a;
    assert_int_equal(call_raw(&a, CONTROL "Exec", many, sizeof(many), text), VH_GRPC_RESOURCE_EXHAUSTED);
    assert_string_equal(a.functions.asked, "");
    stop(&a);
}

static void health_is_asked_by_its_service(void **state)
{
    struct api a = { 0 };
    char text[256];

    (void)state;
    start(&a);
    assert_int_equal(call_raw(&a, "/grpc.health.v1.Health/Check", "", 0, text), VH_GRPC_OK);
    assert_int_equal(call_raw(&a, "/grpc.health.v1.Health/Check", "\x0a\x18vhive.control.v1.Control", 26, text),
                     VH_GRPC_OK);
    assert_int_equal(call_raw(&a, "/grpc.health.v1.Health/Check", "\x0a\x01x", 3, text), VH_GRPC_NOT_FOUND);
    stop(&a);
}

/* libuv opens two descriptors of the process with its first loop. */
static void start_libuv(void)
{
    vh__rpc_server_options o = { .port = 0 };
    vh__rpc_server *s = NULL;
    vh_error err = { 0 };

    assert_ok(vh__rpc_server_new(&o, &s, &err), err);
    vh__rpc_server_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_and_settings_are_the_daemon_s),
        cmocka_unit_test(without_a_daemon_that_is_told),
        cmocka_unit_test(a_deployment_arrives_whole_and_tells_its_progress),
        cmocka_unit_test(what_is_no_utf8_is_refused_and_not_altered),
        cmocka_unit_test(a_relative_folder_is_the_caller_s),
        cmocka_unit_test(every_error_comes_back_with_its_code_and_text),
        cmocka_unit_test(listings_arrive_whole),
        cmocka_unit_test(an_answer_brings_body_and_timing),
        cmocka_unit_test(an_answer_that_is_an_error_is_handed_on),
        cmocka_unit_test(the_daemon_reads_no_file_for_a_caller),
        cmocka_unit_test(events_come_until_there_are_enough),
        cmocka_unit_test(a_daemon_that_stops_ends_a_watch),
        cmocka_unit_test(output_arrives_as_bytes),
        cmocka_unit_test(a_caller_that_goes_cancels_what_it_asked_for),
        cmocka_unit_test(an_instance_is_paused_and_the_like_by_its_vm),
        cmocka_unit_test(stores_are_the_machine_s),
        cmocka_unit_test(a_process_gets_and_gives_more_than_any_window),
        cmocka_unit_test(a_wait_that_ends_early_loses_no_output),
        cmocka_unit_test(a_process_may_end_before_its_input),
        cmocka_unit_test(sizes_and_signals_reach_a_process),
        cmocka_unit_test(a_process_whose_caller_goes_is_killed),
        cmocka_unit_test(a_process_that_cannot_start_is_told_at_once),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(health_is_asked_by_its_service),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    start_libuv();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
