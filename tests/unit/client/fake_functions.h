/*
 * Functions that are none: what was asked of them is kept, and what they answer is told before. Linked in place of the
 * module's own calls (--wrap), behind a real server, so that every fault and every member can be seen on the wire.
 */
#ifndef VH_TESTS_FAKE_FUNCTIONS_H
#define VH_TESTS_FAKE_FUNCTIONS_H

#include "testenv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vhive/fn.h>

#include "wait.h"

struct vh_functions {
    int fails; /* code of every call, 0: none */
    const char *why;
    char asked[512]; /* the last question as text */
    vh_invoke_response answer; /* of every invocation; body is text that is copied */
    bool waits;      /* a deployment waits until it is cancelled */
    bool cancelled;  /* it was */
    unsigned events; /* how many there are; then the watch waits */
};

/* A process that answers with what it reads, as "cat" would. */
struct vh_exec {
    vh_exec_options o;
    vh_cancel *killed;
    _Atomic uint16_t rows, cols; /* set while wait() runs on another thread */
    _Atomic int signal;
    bool ends_early; /* as "head" would */
};

struct vh_exec fake_process; /* one at a time is enough */

static int answer(struct vh_functions *f, vh_error *err)
{
    if (!f->fails)
        return 0;
    (void)vh_error_set(err, VH_EINVALID, "%s", f->why);
    err->code = f->fails; /* without the text that errors of the system have: it is in |why| */
    return f->fails;
}

static void note_spec(struct vh_functions *f, const vh_function_spec *s)
{
    size_t n = (size_t)snprintf(f->asked, sizeof(f->asked), "%s %s %s %u %u %u %s %u-%u %u %u %u", s->name, s->image,
                                s->address ? s->address : "-", s->port, s->memory_mib, s->cpus,
                                vh_engine_name(s->engine), s->min, s->max, s->concurrency, s->keep_alive_ms, s->retire);

    for (size_t i = 0; s->env[i]; i++)
        n += (size_t)snprintf(f->asked + n, sizeof(f->asked) - n, " %s", s->env[i]);
}

#define WRAP(name) __wrap_vh_functions_##name

int WRAP(deploy)(vh_functions *f, const vh_function_spec *spec, const vh_call *call, vh_error *err);
int WRAP(deploy)(vh_functions *f, const vh_function_spec *spec, const vh_call *call, vh_error *err)
{
    vh__wait w = vh__wait_from(call, 10000);
    int rc;

    note_spec(f, spec);
    call->progress(&(vh_progress){ "pull", "1 of 2 layers", 5, 10 }, call->progress_arg);
    if (f->waits) {
        rc = vh__wait_sleep(&w, 10000, "deployment", err);
        f->cancelled = rc == VH_ECANCELED;
        return rc;
    }
    return answer(f, err);
}

int WRAP(update)(vh_functions *f, const vh_function_spec *spec, const vh_call *call, vh_error *err);
int WRAP(update)(vh_functions *f, const vh_function_spec *spec, const vh_call *call, vh_error *err)
{
    (void)call;
    snprintf(f->asked, sizeof(f->asked), "update %s", spec->name);
    return answer(f, err);
}

int WRAP(scale)(vh_functions *f, const char *name, uint32_t min, uint32_t max, vh_error *err);
int WRAP(scale)(vh_functions *f, const char *name, uint32_t min, uint32_t max, vh_error *err)
{
    snprintf(f->asked, sizeof(f->asked), "scale %s %u %u", name, min, max);
    return answer(f, err);
}

int WRAP(remove)(vh_functions *f, const char *name, const vh_call *call, vh_error *err);
int WRAP(remove)(vh_functions *f, const char *name, const vh_call *call, vh_error *err)
{
    (void)call;
    snprintf(f->asked, sizeof(f->asked), "remove %s", name);
    return answer(f, err);
}

/* Two functions, the second one with a text that is not UTF-8, as a guest may leave. */
int WRAP(list)(vh_functions *f, const char *name, vh_function_fn each, void *arg, vh_error *err);
int WRAP(list)(vh_functions *f, const char *name, vh_function_fn each, void *arg, vh_error *err)
{
    static const char *const env[] = { "A=1", "B=", NULL }, *const none[] = { NULL };
    vh_function_info one = { .size = sizeof(one),
                             .spec = { .size = sizeof(one.spec), .name = "one", .image = "oci:/x", .env = env,
                                       .address = "tcp:127.0.0.1", .port = 50051, .memory_mib = 256, .cpus = 2,
                                       .engine = VH_ENGINE_REAP, .min = 1, .max = 8, .concurrency = 100,
                                       .keep_alive_ms = 30000, .retire = 7 },
                             .address = "tcp:127.0.0.1:31001", .image_digest = "sha256:00", .snapshot = "cafe",
                             .revision = 3, .deployed_ns = 1700000000000000001, .instances = 4, .ready = 3,
                             .waiting = 2, .active = 1, .served = UINT64_MAX, .started = 6, .failed = 5,
                             .last_error = "" };
    vh_function_info two = one;
    int rc = answer(f, err);

    two.spec.name = "two";
    two.spec.env = none;
    two.last_error = "last line: \xff\xfe!";
    if (rc == 0 && (!name || strcmp(name, "two") != 0) && !each(&one, arg))
        return 0;
    if (rc == 0 && (!name || strcmp(name, "two") == 0))
        (void)each(&two, arg);
    return rc;
}

int WRAP(instances)(vh_functions *f, const char *name, vh_instance_fn each, void *arg, vh_error *err);
int WRAP(instances)(vh_functions *f, const char *name, vh_instance_fn each, void *arg, vh_error *err)
{
    vh_instance_info i = { .size = sizeof(i), .vm = "vm-1234", .revision = 2, .state = VH_INSTANCE_DRAINING,
                           .engine = "reap", .snapshot = "cafe", .address = "198.18.0.2", .port = 80, .active = 3,
                           .served = 1ull << 40, .started_ns = 5, .start_us = 6, .memory_mib = 512 };

    snprintf(i.function, sizeof(i.function), "%s", name ? name : "one");
    for (; i.state <= VH_INSTANCE_STOPPING && !f->fails; i.state++)
        if (!each(&i, arg))
            break;
    return answer(f, err);
}

int WRAP(invoke)(vh_functions *f, const char *name, const vh_invoke_request *request, const vh_call *call,
                 vh_invoke_response *response, vh_invoke_timing *timing, vh_error *err);
int WRAP(invoke)(vh_functions *f, const char *name, const vh_invoke_request *request, const vh_call *call,
                 vh_invoke_response *response, vh_invoke_timing *timing, vh_error *err)
{
    (void)call;
    assert_non_null(request);
    snprintf(f->asked, sizeof(f->asked), "invoke %s", name);
    *response = f->answer;
    response->body = f->answer.body ? strdup(f->answer.body) : NULL;
    timing->cold = true;
    strcpy(timing->vm, "vm-1234");
    timing->phases.begin_ns = 1000000;
    vh_phases_add(&timing->phases, "wait", 1000000, 3000000, true);
    vh_phases_add(&timing->phases, "ws-fetch", 1500000, 2000000, false);
    timing->phases.end_ns = 4000000;
    return answer(f, err);
}

int WRAP(events)(vh_functions *f, const char *name, uint64_t since, const vh_call *call, vh_event_fn each, void *arg,
                 vh_error *err);
int WRAP(events)(vh_functions *f, const char *name, uint64_t since, const vh_call *call, vh_event_fn each, void *arg,
                 vh_error *err)
{
    vh__wait w = vh__wait_from(call, 10000);

    for (unsigned i = 1; i <= f->events; i++) {
        vh_event e = { .time_ns = i, .sequence = since + i, .type = "instance.ready", .function = name ? name : "one",
                       .vm = "vm-1", .message = "" };

        if (!each(&e, arg))
            return 0;
    }
    return f->fails ? answer(f, err) : vh__wait_sleep(&w, 10000, "events", err);
}

int WRAP(logs)(vh_functions *f, const char *name, uint32_t tail, bool follow, const vh_call *call,
               vh_log_piece_fn each, void *arg, vh_error *err);
int WRAP(logs)(vh_functions *f, const char *name, uint32_t tail, bool follow, const vh_call *call,
               vh_log_piece_fn each, void *arg, vh_error *err)
{
    vh_log_piece p = { .time_ns = 7, .vm = "vm-1", .stream = VH_STREAM_STDERR, .bytes = "a\0\xff", .n = 3 };

    (void)call;
    snprintf(f->asked, sizeof(f->asked), "logs %s %u %d", name, tail, follow);
    (void)each(&p, arg);
    return answer(f, err);
}

int WRAP(exec)(vh_functions *f, const char *name, const vh_exec_options *o, const vh_call *call, vh_exec **exec,
               vh_error *err);
int WRAP(exec)(vh_functions *f, const char *name, const vh_exec_options *o, const vh_call *call, vh_exec **exec,
               vh_error *err)
{
    (void)call;
    snprintf(f->asked, sizeof(f->asked), "exec %s %s %s %s", name, o->argv[0], o->env[0] ? o->env[0] : "-",
             o->cwd ? o->cwd : "-");
    fake_process.o = *o;
    fake_process.rows = fake_process.cols = 0;
    fake_process.signal = 0;
    fake_process.ends_early = strcmp(o->argv[0], "head") == 0;
    fake_process.killed = NULL;
    if (answer(f, err) == 0 && vh_cancel_new(&fake_process.killed, err) == 0)
        *exec = &fake_process;
    return f->fails;
}

static int on_vm(vh_functions *f, const char *what, const char *vm, vh_error *err)
{
    snprintf(f->asked, sizeof(f->asked), "%s %s", what, vm);
    return answer(f, err);
}

#define ON_VM(what)                                                                                                    \
    int WRAP(vm_##what)(vh_functions * f, const char *vm, const vh_call *call, vh_error *err);                         \
    int WRAP(vm_##what)(vh_functions * f, const char *vm, const vh_call *call, vh_error *err)                          \
    {                                                                                                                  \
        (void)call;                                                                                                    \
        return on_vm(f, #what, vm, err);                                                                               \
    }

ON_VM(pause)
ON_VM(resume)
ON_VM(kill)

int WRAP(vm_snapshot)(vh_functions *f, const char *vm, const vh_call *call, char *id, vh_error *err);
int WRAP(vm_snapshot)(vh_functions *f, const char *vm, const vh_call *call, char *id, vh_error *err)
{
    (void)call;
    strcpy(id, "0123456789abcdef0123");
    return on_vm(f, "snapshot", vm, err);
}

int __wrap_vh_exec_wait(vh_exec *exec, const vh_call *call, vh_exec_result *result, vh_error *err);
int __wrap_vh_exec_wait(vh_exec *exec, const vh_call *call, vh_exec_result *result, vh_error *err)
{
    vh__wait w = vh__wait_from(call, 10000);
    char bytes[1000];
    ssize_t n;
    int rc;

    while ((rc = vh__wait_fd(&w, exec->o.stdin_fd, POLLIN, "input", err)) == 0) {
        n = read(exec->o.stdin_fd, bytes, sizeof(bytes));
        if (n <= 0)
            break;
        assert_int_equal(write(exec->o.stdout_fd, bytes, (size_t)n), n);
        if (exec->ends_early)
            break;
    }
    *result = (vh_exec_result){ .size = sizeof(*result), .code = 128 + exec->signal, .signal = exec->signal };
    snprintf(result->reason, sizeof(result->reason), "%u x %u", exec->rows, exec->cols);
    return rc;
}

int __wrap_vh_exec_resize(vh_exec *exec, uint16_t rows, uint16_t cols, vh_error *err);
int __wrap_vh_exec_resize(vh_exec *exec, uint16_t rows, uint16_t cols, vh_error *err)
{
    (void)err;
    exec->rows = rows;
    exec->cols = cols;
    return 0;
}

int __wrap_vh_exec_signal(vh_exec *exec, int signal, vh_error *err);
int __wrap_vh_exec_signal(vh_exec *exec, int signal, vh_error *err)
{
    (void)err;
    exec->signal = signal;
    return 0;
}

void __wrap_vh_exec_free(vh_exec *exec);
void __wrap_vh_exec_free(vh_exec *exec)
{
    if (exec)
        vh_cancel_free(exec->killed);
}

#endif
