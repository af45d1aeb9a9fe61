/* The object around the plan, with VMs that fail, hang and die on demand. */
#include "testenv.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <vhive/fn.h>

#include "fake_vms.h"
#include "failalloc.h"
#include "record.h"

struct bed {
    testenv t;
    struct fakes fakes;
    vh__functions_options o;
    vh_functions *f;
    vh_invoke_request *get;
};

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static vh_function_spec spec_of(const char *name)
{
    vh_function_spec s = VH_FUNCTION_SPEC_INIT;

    s.name = name;
    s.image = "oci:nowhere";
    s.port = 80;
    s.memory_mib = 128;
    s.cpus = 1;
    return s;
}

static void path_of(const struct bed *b, const char *file, char path[160])
{
    snprintf(path, 160, "%s/state/functions/%s", b->t.dir, file);
}

static void write_file(const struct bed *b, const char *file, const char *text, size_t n)
{
    char path[160];
    int fd;

    snprintf(path, sizeof(path), "%s/state", b->t.dir);
    (void)mkdir(path, 0700);
    path_of(b, "", path);
    (void)mkdir(path, 0700);
    path_of(b, file, path);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, n), n);
    close(fd);
}

/* As if it had been deployed by an earlier process. */
static void store(const struct bed *b, const vh_function_spec *spec)
{
    vh__buf text = { 0 };
    vh_error err = { 0 };
    struct record *r;
    char file[96];

    assert_ok(vh__record_new(spec, &r, &err), err);
    strcpy(r->image_digest, DIGEST);
    r->revision = 3;
    vh__record_print(r, &text);
    snprintf(file, sizeof(file), "%s.json", spec->name);
    write_file(b, file, text.data, text.len);
    vh__buf_fini(&text);
    vh__record_drop(r);
}

static void init(struct bed *b)
{
    vh_error err = { 0 };

    memset(b, 0, sizeof(*b));
    testenv_init(&b->t);
    fakes_init(&b->fakes);
    b->o = (vh__functions_options){ .env = b->t.env, .vms = (vh_vms *)(void *)&b->fakes, .ops = &fake_vms,
                                    .max_memory_mib = 1024, .boot_ms = 5000, .invoke_ms = 5000, .pull_ms = 1000,
                                    .stop_ms = 200, .port_first = 23000, .port_last = 23999 };
    assert_ok(vh_invoke_parse("http:/", &b->get, &err), err);
}

static void serve(struct bed *b)
{
    vh_error err = { 0 };

    assert_ok(vh__functions_new(&b->o, &b->f, &err), err);
}

static void fini(struct bed *b)
{
    vh__functions_free(b->f);
    assert_int_equal(b->fakes.alive, 0);
    vh_invoke_request_free(b->get);
    fakes_fini(&b->fakes);
    testenv_fini(&b->t);
}

static int call_within(struct bed *b, const char *name, uint32_t ms, vh_invoke_timing *t, vh_error *err)
{
    vh_invoke_response r = { .size = sizeof(r) };
    vh_call call = { .size = sizeof(call), .timeout_ms = ms };
    int rc = vh_functions_invoke(b->f, name, b->get, &call, &r, t, err);

    vh_invoke_response_fini(&r);
    return rc;
}

static int call(struct bed *b, const char *name, vh_error *err)
{
    return call_within(b, name, 10000, NULL, err);
}

struct caller {
    struct bed *b;
    const char *name;
    pthread_t thread;
    unsigned calls, failed;
    int rc;
    vh_error err;
};

static void *call_often(void *arg)
{
    struct caller *c = arg;

    for (unsigned k = 0; k < c->calls; k++) {
        int rc = call(c->b, c->name, &c->err);

        c->failed += rc != 0;
        c->rc = rc ? rc : c->rc;
    }
    return NULL;
}

static void begin(struct bed *b, struct caller *c, size_t n, const char *name, unsigned calls)
{
    for (size_t k = 0; k < n; k++) {
        c[k] = (struct caller){ .b = b, .name = name, .calls = calls };
        assert_int_equal(pthread_create(&c[k].thread, NULL, call_often, &c[k]), 0);
    }
}

static unsigned end(struct caller *c, size_t n)
{
    unsigned failed = 0;

    for (size_t k = 0; k < n; k++) {
        pthread_join(c[k].thread, NULL);
        failed += c[k].failed;
    }
    return failed;
}

static bool copy_info(const vh_function_info *info, void *arg)
{
    *(vh_function_info *)arg = *info; /* numbers only: its strings are gone when this returns */
    return true;
}

static vh_function_info info_of(struct bed *b, const char *name)
{
    vh_function_info info = { 0 };
    vh_error err = { 0 };

    assert_ok(vh_functions_list(b->f, name, copy_info, &info, &err), err);
    return info;
}

static bool copy_instance(const vh_instance_info *info, void *arg)
{
    *(vh_instance_info *)arg = *info;
    return false;
}

static vh_instance_info instance_of(struct bed *b, const char *name)
{
    vh_instance_info info = { 0 };
    vh_error err = { 0 };

    assert_ok(vh_functions_instances(b->f, name, copy_instance, &info, &err), err);
    return info;
}

/* Until |info| of the function is so; a test's own deadline ends the wait for what never comes. */
#define until(b, name, condition)                                                                                      \
    do {                                                                                                               \
        for (;;) {                                                                                                     \
            vh_function_info info = info_of(b, name);                                                                  \
            if (condition)                                                                                             \
                break;                                                                                                 \
            usleep(2000);                                                                                              \
        }                                                                                                              \
    } while (0)

static void parallel_calls_start_one_instance(void **state)
{
    vh_function_spec s = spec_of("hello");
    struct caller c[50];
    struct bed b;

    (void)state;
    init(&b);
    store(&b, &s);
    serve(&b);
    b.fakes.start_ms = 50;
    begin(&b, c, 50, "hello", 4);
    assert_int_equal(end(c, 50), 0);
    assert_int_equal(b.fakes.runs, 1);
    assert_int_equal(info_of(&b, "hello").served, 200);
    assert_int_equal(info_of(&b, "hello").started, 1);
    fini(&b);
}

static void a_first_call_is_cold_and_the_next_is_not(void **state)
{
    vh_function_spec s = spec_of("hello");
    vh_invoke_timing t = VH_INVOKE_TIMING_INIT;
    vh_error err = { 0 };
    struct bed b;

    (void)state;
    init(&b);
    store(&b, &s);
    serve(&b);
    assert_ok(call_within(&b, "hello", 5000, &t, &err), err);
    assert_true(t.cold);
    assert_string_equal(t.vm, "vm-00000001");
    assert_ok(call_within(&b, "hello", 5000, &t, &err), err);
    assert_false(t.cold);
    assert_int_equal(vh_phases_critical_ns(&t.phases), t.phases.end_ns - t.phases.begin_ns);
    fini(&b);
}

static void an_instance_retires_after_forty_calls(void **state)
{
    static const unsigned threads[] = { 1, 20 };

    (void)state;
    for (size_t k = 0; k < VH_ARRAY_LEN(threads); k++) {
        vh_function_spec s = spec_of("hello");
        struct caller c[20];
        struct bed b;

        init(&b);
        s.retire = 40;
        store(&b, &s);
        serve(&b);
        begin(&b, c, threads[k], "hello", 100 / threads[k]);
        assert_int_equal(end(c, threads[k]), 0);
        assert_int_equal(info_of(&b, "hello").started, 3);
        assert_int_equal(info_of(&b, "hello").served, 100);
        fini(&b);
    }
}

static void a_call_that_fails_leaves_no_place_taken(void **state)
{
    vh_function_spec s = spec_of("hello");
    vh_error err = { 0 };
    struct bed b;

    (void)state;
    init(&b);
    s.concurrency = 1;
    s.max = 1;
    s.retire = 2;
    store(&b, &s);
    serve(&b);
    b.fakes.answer_ms = 60;
    for (unsigned k = 0; k < 5; k++)
        assert_int_equal(call_within(&b, "hello", 40, NULL, &err), VH_ETIMEDOUT);
    b.fakes.answer_ms = 0;
    assert_ok(call(&b, "hello", &err), err);
    fini(&b);
}

static void a_failed_start_is_told_to_all_who_wait(void **state)
{
    vh_function_spec s = spec_of("hello");
    struct caller c[10];
    vh_error err = { 0 };
    struct bed b;

    (void)state;
    init(&b);
    store(&b, &s);
    serve(&b);
    b.fakes.fail = true;
    b.fakes.start_ms = 100;
    begin(&b, c, 10, "hello", 1);
    assert_int_equal(end(c, 10), 10);
    assert_int_equal(c[0].rc, VH_EGUEST);
    assert_non_null(strstr(c[0].err.msg, "does not start"));
    assert_int_equal(info_of(&b, "hello").failed, 1);
    b.fakes.fail = false;
    assert_ok(call(&b, "hello", &err), err); /* after the pause */
    fini(&b);
}

static void a_full_queue_is_told_with_its_setting(void **state)
{
    vh_function_spec s = spec_of("hello");
    struct caller c[2];
    vh_error err = { 0 };
    struct bed b;

    (void)state;
    init(&b);
    b.o.queue = 2;
    store(&b, &s);
    serve(&b);
    b.fakes.start_ms = 300;
    begin(&b, c, 2, "hello", 1);
    until(&b, "hello", info.waiting == 2);
    assert_int_equal(call(&b, "hello", &err), VH_ELIMIT);
    assert_non_null(strstr(err.msg, "budget.queue"));
    assert_int_equal(end(c, 2), 0);
    fini(&b);
}

static void a_call_that_waits_can_be_given_up(void **state)
{
    vh_function_spec s = spec_of("hello");
    vh_error err = { 0 };
    struct bed b;

    (void)state;
    init(&b);
    store(&b, &s);
    serve(&b);
    b.fakes.hang = true;
    assert_int_equal(call_within(&b, "hello", 30, NULL, &err), VH_ETIMEDOUT);
    assert_int_equal(info_of(&b, "hello").waiting, 0);
    fini(&b); /* which cancels the start */
}

static void a_vm_that_dies_is_replaced(void **state)
{
    vh_function_spec s = spec_of("hello");
    vh_error err = { 0 };
    struct bed b;

    (void)state;
    init(&b);
    s.min = 1;
    store(&b, &s);
    serve(&b);
    until(&b, "hello", info.ready == 1);
    fake_kill((vh_vm *)(void *)b.fakes.last); /* by itself */
    until(&b, "hello", info.started == 2 && info.ready == 1);
    assert_ok(vh_functions_vm_kill(b.f, instance_of(&b, "hello").vm, NULL, &err), err);
    until(&b, "hello", info.started == 3 && info.ready == 1);
    fini(&b);
}

static void a_vm_that_dies_while_it_is_saved_is_replaced(void **state)
{
    vh_function_spec s = spec_of("hello");
    struct bed b;

    (void)state;
    init(&b);
    s.min = 1;
    store(&b, &s);
    b.fakes.boot = b.fakes.die_saved = true;
    serve(&b);
    until(&b, "hello", info.started == 2 && info.ready == 1 && b.fakes.saves == 1);
    fini(&b);
}

static void budgets_hold_while_functions_take_turns(void **state)
{
    static const char *const names[] = { "f0", "f1", "f2", "f3", "f4", "f5" };
    struct caller c[6];
    struct bed b;

    (void)state;
    init(&b);
    b.o.max_memory_mib = 256; /* two of them */
    for (size_t k = 0; k < 6; k++) {
        vh_function_spec s = spec_of(names[k]);

        s.max = 2;
        store(&b, &s);
    }
    serve(&b);
    for (size_t k = 0; k < 6; k++)
        begin(&b, &c[k], 1, names[k], 10);
    assert_int_equal(end(c, 6), 0);
    assert_true(b.fakes.most_alive <= 2);
    assert_true(b.fakes.runs >= 6);
    fini(&b);
}

static void functions_and_addresses_are_there_again(void **state)
{
    vh_function_spec s = spec_of("hello"), other = spec_of("other");
    char path[160];
    struct bed b;
    vh_error err = { 0 };

    (void)state;
    init(&b);
    store(&b, &s);
    store(&b, &other);
    write_file(&b, "bad.json", "{\"format\": 1, \"name\": \"bad\"", 27);
    write_file(&b, "renamed.json", "{}", 2);
    serve(&b);
    assert_ok(vh_functions_scale(b.f, "hello", 0, 3, &err), err);
    vh__functions_free(b.f);
    serve(&b);
    assert_int_equal(info_of(&b, "hello").spec.max, 3);
    assert_int_equal(info_of(&b, "hello").revision, 3);
    assert_int_equal(info_of(&b, "other").revision, 3);
    path_of(&b, "bad.json.bad", path);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(vh_functions_scale(b.f, "bad", 0, 3, &err), VH_ENOTFOUND);
    fini(&b);
}

static void what_cannot_be_read_now_stays(void **state)
{
    char path[160];
    struct bed b;

    (void)state;
    init(&b);
    write_file(&b, "bad.json", "{}", 2);
    path_of(&b, "dir.json", path);
    assert_int_equal(mkdir(path, 0700), 0); /* root may read all files, but not that */
    serve(&b);
    assert_int_equal(access(path, F_OK), 0);
    path_of(&b, "bad.json", path);
    assert_int_equal(access(path, F_OK), -1);
    fini(&b);
}

static void a_second_process_is_refused(void **state)
{
    vh_functions *second;
    vh_error err = { 0 };
    struct bed b;

    (void)state;
    init(&b);
    serve(&b);
    assert_int_equal(vh__functions_new(&b.o, &second, &err), VH_ESTATE);
    fini(&b);
}

static void removing_waits_for_calls_and_forgets_the_file(void **state)
{
    vh_function_spec s = spec_of("hello");
    struct caller c;
    vh_error err = { 0 };
    char path[160];
    struct bed b;

    (void)state;
    init(&b);
    store(&b, &s);
    serve(&b);
    b.fakes.answer_ms = 100;
    begin(&b, &c, 1, "hello", 1);
    until(&b, "hello", info.active == 1);
    assert_ok(vh_functions_remove(b.f, "hello", NULL, &err), err);
    assert_int_equal(b.fakes.alive, 0);
    assert_int_equal(end(&c, 1), 0);
    assert_int_equal(vh_functions_remove(b.f, "hello", NULL, &err), VH_ENOTFOUND);
    path_of(&b, "hello.json", path);
    assert_int_equal(access(path, F_OK), -1);
    fini(&b);
}

static void a_paused_instance_gets_no_calls_and_is_not_saved(void **state)
{
    vh_function_spec s = spec_of("hello");
    char vm[24], id[VH_SNAPSHOT_ID];
    vh_error err = { 0 };
    struct bed b;

    (void)state;
    init(&b);
    s.max = 1;
    store(&b, &s);
    serve(&b);
    assert_ok(call(&b, "hello", &err), err);
    strcpy(vm, instance_of(&b, "hello").vm);
    assert_ok(vh_functions_vm_pause(b.f, vm, NULL, &err), err);
    assert_int_equal(instance_of(&b, "hello").state, VH_INSTANCE_PAUSED);
    assert_int_equal(call_within(&b, "hello", 30, NULL, &err), VH_ETIMEDOUT);
    assert_int_equal(vh_functions_vm_snapshot(b.f, vm, NULL, id, &err), VH_ESTATE); /* before what there is goes */
    assert_int_equal(b.fakes.saves, 0);
    assert_ok(vh_functions_vm_resume(b.f, vm + 3, NULL, &err), err);
    assert_ok(call(&b, "hello", &err), err);
    assert_int_equal(vh_functions_vm_pause(b.f, "vm-ffff", NULL, &err), VH_ENOTFOUND);
    fini(&b);
}

static void the_turn_and_what_is_done_by_hand_have_one_deadline(void **state)
{
    vh_call call = { .size = sizeof(call), .timeout_ms = 10000 };
    vh_function_spec s = spec_of("hello");
    struct bed b;
    vh_error err = { 0 };

    (void)state;
    init(&b);
    s.min = 1;
    b.fakes.boot = true;
    b.fakes.save_ms = 500;
    store(&b, &s);
    serve(&b);
    until(&b, "hello", info.ready == 1); /* and being saved */
    assert_ok(vh_functions_vm_pause(b.f, "vm-", &call, &err), err);
    assert_in_range(b.fakes.pause_ms, 1, 9900);
    fini(&b);
}

static void a_booted_instance_is_saved_and_a_restored_one_tended(void **state)
{
    vh_function_spec s = spec_of("hello");
    char id[VH_SNAPSHOT_ID];
    vh_error err = { 0 };
    struct bed b;

    (void)state;
    init(&b);
    s.retire = 1;
    store(&b, &s);
    serve(&b);
    b.fakes.boot = true;
    assert_ok(call(&b, "hello", &err), err);
    until(&b, "hello", info.instances == 0);
    assert_int_equal(b.fakes.saves, 1);
    b.fakes.boot = false;
    assert_ok(call(&b, "hello", &err), err);
    until(&b, "hello", info.instances == 0);
    assert_int_equal(b.fakes.saves, 1);
    assert_ok(vh_functions_scale(b.f, "hello", 1, 1, &err), err);
    until(&b, "hello", info.ready == 1);
    assert_ok(vh_functions_vm_snapshot(b.f, instance_of(&b, "hello").vm, NULL, id, &err), err);
    assert_string_equal(id, "0123456789abcdef0123");
    fini(&b);
}

static bool count_events(const vh_event *e, void *arg)
{
    unsigned *n = arg;

    if (++*n == 1)
        assert_string_equal(e->type, "instance.starting"); /* after 1 come all that there are */
    assert_true(e->sequence > 0 && e->type[0]);
    return strcmp(e->type, "instance.ended") != 0;
}

static void events_are_handed_on(void **state)
{
    vh_function_spec s = spec_of("hello");
    vh_call soon = { .size = sizeof(soon), .timeout_ms = 20 };
    vh_error err = { 0 };
    unsigned n = 0;
    struct bed b;

    (void)state;
    init(&b);
    s.retire = 1;
    s.min = 1;
    store(&b, &s);
    serve(&b);
    assert_ok(call(&b, "hello", &err), err);
    assert_ok(vh_functions_events(b.f, "hello", 1, NULL, count_events, &n, &err), err);
    assert_true(n >= 2);
    assert_int_equal(vh_functions_events(b.f, "nobody", 1, &soon, count_events, &n, &err), VH_ETIMEDOUT);
    fini(&b);
}

/* The end of all functions is such a wait too. */
static void a_wait_does_without_a_descriptor(void **state)
{
    vh_call soon = { .size = sizeof(soon), .timeout_ms = 30 };
    struct rlimit before, few;
    vh_error err = { 0 };
    unsigned n = 0;
    struct bed b;
    int rc;

    (void)state;
    init(&b);
    serve(&b);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = (struct rlimit){ .rlim_cur = 3, .rlim_max = before.rlim_max }; /* fewer than there are */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    rc = vh_functions_events(b.f, NULL, 0, &soon, count_events, &n, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(rc, VH_ETIMEDOUT);
    fini(&b);
}

static bool join_pieces(const vh_log_piece *p, void *arg)
{
    char *text = arg;

    assert_true(p->vm[0]);
    strncat(text, p->bytes, p->n);
    return true;
}

static void output_is_kept_and_tailed(void **state)
{
    vh_function_spec s = spec_of("hello");
    vh_call soon = { .size = sizeof(soon), .timeout_ms = 20 };
    char text[256] = "";
    vh_error err = { 0 };
    struct bed b;

    (void)state;
    init(&b);
    s.retire = 1;
    store(&b, &s);
    serve(&b);
    for (unsigned k = 0; k < 3; k++)
        assert_ok(call(&b, "hello", &err), err);
    assert_ok(vh_functions_logs(b.f, "hello", UINT32_MAX, false, NULL, join_pieces, text, &err), err);
    assert_string_equal(text, "up\nup\nup\n");
    text[0] = '\0';
    assert_int_equal(vh_functions_logs(b.f, "hello", 1, true, &soon, join_pieces, text, &err), VH_ETIMEDOUT);
    assert_string_equal(text, "up\n");
    fini(&b);
}

static bool take_address(const vh_function_info *info, void *arg)
{
    strcpy(arg, info->address);
    return true;
}

/* An answer by way of the function's own address. */
static bool ask_at(const char *address)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    vh_auto_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char answer[256];
    ssize_t n = 0, got;

    at.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) || write(fd, "GET / HTTP/1.1\r\n\r\n", 18) != 18)
        return false;
    while (n < 255 && (got = read(fd, answer + n, (size_t)(255 - n))) > 0)
        n += got;
    answer[n] = '\0';
    return strstr(answer, "hi") != NULL;
}

static void connections_wait_for_an_instance_and_are_relayed(void **state)
{
    vh_function_spec s = spec_of("hello");
    char address[VH_FUNCTION_ADDRESS], again[VH_FUNCTION_ADDRESS];
    vh_error err = { 0 };
    struct bed b;

    (void)state;
    init(&b);
    store(&b, &s);
    serve(&b);
    assert_ok(vh_functions_list(b.f, "hello", take_address, address, &err), err);
    assert_true(ask_at(address));
    assert_true(ask_at(address));
    until(&b, "hello", info.active == 0);
    assert_int_equal(info_of(&b, "hello").served, 2);
    assert_int_equal(b.fakes.runs, 1);
    assert_ok(vh_functions_scale(b.f, "hello", 0, 1, &err), err); /* which stores the address */
    vh__functions_free(b.f);
    serve(&b);
    assert_ok(vh_functions_list(b.f, "hello", take_address, again, &err), err);
    assert_string_equal(address, again);
    b.fakes.fail = true;
    assert_false(ask_at(address));
    assert_ok(vh_functions_remove(b.f, "hello", NULL, &err), err);
    assert_false(ask_at(address));
    fini(&b);
}

/* A connection to the function |name|, which is not used. */
static int hold(struct bed *b, const char *name)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    char address[VH_FUNCTION_ADDRESS];
    vh_error err = { 0 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_ok(vh_functions_list(b->f, name, take_address, address, &err), err);
    at.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

/* Whoever has a connection to it would wait for ever: what is dead says no farewell. */
static void a_vm_that_dies_takes_its_connections_with_it(void **state)
{
    vh_function_spec s = spec_of("hello");
    struct bed b;
    char byte;
    int fd;

    (void)state;
    init(&b);
    store(&b, &s);
    serve(&b);
    fd = hold(&b, "hello");
    until(&b, "hello", info.active == 1);
    fake_kill((vh_vm *)(void *)b.fakes.last);
    assert_true(read(fd, &byte, 1) <= 0);
    close(fd);
    until(&b, "hello", info.instances == 0 && info.active == 0);
    fini(&b);
}

static bool take_snapshot(const vh_function_info *info, void *arg)
{
    strcpy(arg, info->snapshot);
    return true;
}

static void scaling_makes_no_stranger_of_an_instance(void **state)
{
    vh_function_spec s = spec_of("hello");
    char snapshot[VH_SNAPSHOT_ID] = "";
    vh_error err = { 0 };
    struct bed b;
    int fd;

    (void)state;
    init(&b);
    store(&b, &s);
    b.fakes.boot = true;
    serve(&b);
    fd = hold(&b, "hello");
    until(&b, "hello", info.active == 1);
    assert_int_equal(b.fakes.saves, 0); /* not before it is idle */
    assert_ok(vh_functions_scale(b.f, "hello", 0, 3, &err), err);
    close(fd);
    while (!snapshot[0])
        assert_ok(vh_functions_list(b.f, "hello", take_snapshot, snapshot, &err), err);
    assert_int_equal(b.fakes.saves, 1);
    fini(&b);
}

/* The one whose turn it is keeps the place of the other until it is removed itself. */
static void all_end_while_some_wait_for_their_turn(void **state)
{
    vh_function_spec busy = spec_of("a-busy"), large = spec_of("b-large"), small = spec_of("c-small");
    struct caller c[2];
    vh_error err = { 0 };
    struct bed b;
    int fd;

    (void)state;
    init(&b);
    large.memory_mib = 1024;
    small.retire = 1;
    store(&b, &busy);
    store(&b, &large);
    store(&b, &small);
    serve(&b);
    assert_ok(call(&b, "c-small", &err), err); /* it has had its turn */
    until(&b, "c-small", info.instances == 0);
    fd = hold(&b, "a-busy");
    until(&b, "a-busy", info.active == 1);
    begin(&b, &c[0], 1, "b-large", 1);
    until(&b, "b-large", info.waiting == 1);
    begin(&b, &c[1], 1, "c-small", 1);
    until(&b, "c-small", info.waiting == 1);
    vh__functions_free(vh_steal_ptr(b.f));
    assert_int_equal(end(c, 2), 2);
    assert_int_equal(c[1].rc, VH_ENOTFOUND);
    close(fd);
    fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parallel_calls_start_one_instance),
        cmocka_unit_test(a_first_call_is_cold_and_the_next_is_not),
        cmocka_unit_test(an_instance_retires_after_forty_calls),
        cmocka_unit_test(a_call_that_fails_leaves_no_place_taken),
        cmocka_unit_test(a_failed_start_is_told_to_all_who_wait),
        cmocka_unit_test(a_full_queue_is_told_with_its_setting),
        cmocka_unit_test(a_call_that_waits_can_be_given_up),
        cmocka_unit_test(a_vm_that_dies_is_replaced),
        cmocka_unit_test(a_vm_that_dies_while_it_is_saved_is_replaced),
        cmocka_unit_test(budgets_hold_while_functions_take_turns),
        cmocka_unit_test(functions_and_addresses_are_there_again),
        cmocka_unit_test(what_cannot_be_read_now_stays),
        cmocka_unit_test(a_second_process_is_refused),
        cmocka_unit_test(removing_waits_for_calls_and_forgets_the_file),
        cmocka_unit_test(a_paused_instance_gets_no_calls_and_is_not_saved),
        cmocka_unit_test(the_turn_and_what_is_done_by_hand_have_one_deadline),
        cmocka_unit_test(a_booted_instance_is_saved_and_a_restored_one_tended),
        cmocka_unit_test(events_are_handed_on),
        cmocka_unit_test(a_wait_does_without_a_descriptor),
        cmocka_unit_test(output_is_kept_and_tailed),
        cmocka_unit_test(connections_wait_for_an_instance_and_are_relayed),
        cmocka_unit_test(a_vm_that_dies_takes_its_connections_with_it),
        cmocka_unit_test(scaling_makes_no_stranger_of_an_instance),
        cmocka_unit_test(all_end_while_some_wait_for_their_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
