/* One function per request, in a table. Each fills in the answer's members or fails. */
#include "shim_priv.h"

#include <errno.h>
#include <string.h>

#include "clock.h"

/* Before a snapshot the agent gives a hook ten seconds, and settles for up to six; a guest that takes longer hangs. */
#define QUIESCE_MS 20000

/* A request being served. */
struct request {
    struct shim *s;
    vh__shim_message *m;
    vh__wait wait;
    cJSON *answer;
    int give_fd; /* borrowed descriptor "memory" of the answer, -1: none */
};

static bool said_hello(const struct shim *s)
{
    return s->guest.hello;
}

static bool ready_or_over(const struct shim *s)
{
    return s->guest.ready || s->guest.exited;
}

static bool is_quiesced(const struct shim *s)
{
    return s->guest.quiesced || s->guest.hook_failed || s->guest.exited;
}

static bool has_ponged(const struct shim *s)
{
    return s->guest.pongs > 0 || s->guest.hook_failed || s->guest.exited;
}

static bool is_over(const struct shim *s)
{
    return s->guest.exited;
}

static int op_fetch(struct request *r, vh_error *err)
{
    return memory_fetch(r->s, r->m, err);
}

static int op_spawn(struct request *r, vh_error *err)
{
    return memory_spawn(r->s, &r->wait, r->m, err);
}

static int op_connect(struct request *r, vh_error *err)
{
    return memory_connect(r->s, &r->wait, err);
}

static int op_bind(struct request *r, vh_error *err)
{
    return memory_bind(r->s, &r->wait, r->m, err);
}

static int op_hello(struct request *r, vh_error *err)
{
    int rc = shim_pump(r->s, &r->wait, said_hello, "first word of the agent", err);

    if (rc == VH_ETIMEDOUT) {
        char console[384];

        vh__ring_tail(&r->s->vmm->console, console, sizeof(console));
        (void)vh_error_set(err, rc, "the guest's agent did not say hello within its deadline; its console: %s",
                           console[0] ? console : "(silent)");
    }
    if (rc)
        memory_release(r->s); /* so that another try can start from nothing */
    return rc;
}

static int op_start(struct request *r, vh_error *err)
{
    int rc = guest_send(r->s, r->m->payload, r->m->payload_len, err);

    clients_listen(&r->s->clients, r->m->json); /* while the guest is busy */
    if (rc == 0)
        rc = shim_pump(r->s, &r->wait, ready_or_over, "readiness of the function", err);
    if (r->s->guest.exited)
        return guest_exit_error(r->s, err);
    if (rc == VH_ETIMEDOUT) {
        char words[448];

        vh__ring_tail(&r->s->said, words, sizeof(words));
        (void)vh_error_set(err, rc,
                           "the function did not open its port within its deadline; is --port right? Its last lines: %s",
                           words[0] ? words : "(none)");
    }
    return rc;
}

/* What came instead of the agent's answer. */
static int guest_trouble(const struct shim *s, vh_error *err)
{
    if (s->guest.exited)
        return guest_exit_error(s, err);
    return s->guest.hook_failed ? guest_hook_error(s, err) : 0;
}

static int quiesce(struct request *r, vh_error *err)
{
    vh__wait soon = vh__wait_within(&r->wait, QUIESCE_MS);
    int rc;

    r->s->saving = true;
    r->s->guest.quiesced = r->s->guest.hook_failed = false;
    rc = guest_tell(r->s, &(vh__agent_msg){ .type = VH_AGENT_QUIESCE }, err);
    if (rc == 0)
        rc = shim_pump(r->s, &soon, is_quiesced, "quiescence of the guest", err);
    return rc == 0 ? guest_trouble(r->s, err) : rc;
}

/* Quiescing kills execs; those of a VM that goes on are somebody's. */
static int check_save(const struct request *r, vh_error *err)
{
    unsigned execs = vh__json_bool_or(r->m->json, "goes_on", false) ? clients_execs(&r->s->clients) : 0;

    if (r->s->paused)
        return vh_error_set(err, VH_ESTATE, "save: the VM is paused; resume it first");
    if (execs > 0)
        return vh_error_set(err, VH_ESTATE, "save: %u processes of vhive-ctl exec run in the VM; end them first", execs);
    return 0;
}

static int op_save(struct request *r, vh_error *err)
{
    vh_auto_fd int vmstate = vh__shim_take_fd(r->m, "vmstate");
    const vh__vmm_ops *ops = r->s->vmm->ops;
    int rc = vmstate < 0 ? vh_error_set(err, VH_EPROTOCOL, "save: no descriptor") : check_save(r, err);

    if (rc == 0)
        rc = quiesce(r, err);
    if (rc == 0 && !cJSON_AddNumberToObject(r->answer, "paused_ns", (double)vh__clock_mono_ns()))
        rc = vh_error_set(err, -ENOMEM, "answer");
    if (rc == 0)
        rc = ops->pause(r->s->vmm, &r->wait, err);
    if (rc == 0)
        rc = ops->save(r->s->vmm, &r->wait, vmstate, err);
    r->give_fd = r->s->memfd;
    return rc;
}

static int op_load(struct request *r, vh_error *err)
{
    vh_auto_fd int vmstate = vh__shim_take_fd(r->m, "vmstate");

    if (vmstate < 0)
        return vh_error_set(err, VH_EPROTOCOL, "load: no descriptor");
    return r->s->vmm->ops->load(r->s->vmm, &r->wait, vmstate, err);
}

static int op_installed(struct request *r, vh_error *err)
{
    return memory_installed(r->s, &r->wait, r->answer, err);
}

static int op_resume(struct request *r, vh_error *err)
{
    return r->s->vmm->ops->resume(r->s->vmm, &r->wait, err);
}

static int op_pause(struct request *r, vh_error *err)
{
    return shim_freeze(r->s, &r->wait, err);
}

/* Until the clock is right: what is sent behind ADJUST is answered after it. */
static int await_clock(struct request *r, vh_error *err)
{
    int rc = shim_pump(r->s, &r->wait, has_ponged, "answer of the resumed agent", err);

    if (rc == 0) {
        r->s->guest.pongs = 0;
        rc = guest_tell(r->s, &(vh__agent_msg){ .type = VH_AGENT_PING }, err);
    }
    if (rc == 0)
        rc = shim_pump(r->s, &r->wait, has_ponged, "answer of the resumed agent", err);
    return rc == 0 ? guest_trouble(r->s, err) : rc;
}

static int op_unpause(struct request *r, vh_error *err)
{
    bool was = r->s->paused;
    int rc = shim_thaw(r->s, &r->wait, err);

    return rc == 0 && was ? await_clock(r, err) : rc;
}

static int op_continue(struct request *r, vh_error *err)
{
    int rc;

    if (!r->s->saving)
        return 0;
    r->s->guest.hook_failed = false; /* what was wrong with it was told */
    rc = shim_go_on(r->s, &r->wait, err);
    return rc == 0 ? await_clock(r, err) : rc;
}

static int op_tell(struct request *r, vh_error *err)
{
    int rc;

    r->s->guest.pongs = 0;
    r->s->guest.mend_clock = vh__json_bool_or(r->m->json, "pong", false);
    r->s->guest.hook_failed = r->s->saving = false;
    rc = guest_send(r->s, r->m->payload, r->m->payload_len, err);
    clients_listen(&r->s->clients, r->m->json); /* while the guest is busy */
    if (rc == 0 && r->s->guest.mend_clock)
        rc = shim_pump(r->s, &r->wait, has_ponged, "answer of the restored agent", err);
    return rc == 0 ? guest_trouble(r->s, err) : rc;
}

static int op_stats(struct request *r, vh_error *err)
{
    return memory_stats(r->s, r->answer, err);
}

static int op_record(struct request *r, vh_error *err)
{
    return memory_record(r->s, r->m, r->answer, err);
}

/* A guest whose function has ended has nothing left to do: its disk is memory. */
static int op_stop(struct request *r, vh_error *err)
{
    int rc = r->s->paused ? shim_thaw(r->s, &r->wait, err) : 0; /* the function is to hear of it */

    r->s->exit_told = true; /* the answer tells it */
    if (rc == 0)
        rc = guest_send(r->s, r->m->payload, r->m->payload_len, err);
    if (rc == 0)
        rc = shim_pump(r->s, &r->wait, is_over, "end of the function", err);
    clients_vm_over(r->s);
    memory_release(r->s);
    shim_flush_output(r->s);
    return rc == VH_EVMM ? 0 : rc;
}

static const struct op {
    const char *name;
    int (*run)(struct request *r, vh_error *err);
    bool needs_vm;
} ops[] = {
    { "fetch", op_fetch, false }, { "spawn", op_spawn, false },         { "connect", op_connect, true },
    { "bind", op_bind, true },    { "hello", op_hello, true },
    { "start", op_start, true },  { "save", op_save, true },            { "load", op_load, true },
    { "installed", op_installed, true }, { "resume", op_resume, true }, { "tell", op_tell, true },
    { "pause", op_pause, true },  { "unpause", op_unpause, true },      { "continue", op_continue, true },
    { "stats", op_stats, true },  { "record", op_record, true },        { "stop", op_stop, true },
};

static int run_op(struct request *r, vh_error *err)
{
    const char *name = vh__json_str_or(r->m->json, "op", "");

    for (size_t i = 0; i < VH_ARRAY_LEN(ops); i++) {
        if (strcmp(ops[i].name, name) != 0)
            continue;
        if (ops[i].needs_vm && !r->s->vmm)
            return vh_error_set(err, VH_ESTATE, "%s: the VM has ended", name);
        return ops[i].run(r, err);
    }
    return vh_error_set(err, VH_EPROTOCOL, "request '%s': unknown", name);
}

int request_serve(struct shim *s, vh__shim_message *m, vh_error *err)
{
    vh_call call = { .size = sizeof(call), .timeout_ms = (uint32_t)vh__json_u64_or(m->json, "timeout_ms", 0),
                     .cancel = s->gone };
    struct request r = { .s = s, .m = m, .wait = vh__wait_from(&call, 10000), .give_fd = -1,
                         .answer = cJSON_CreateObject() };
    vh_error why = { 0 };
    int rc = r.answer ? run_op(&r, &why) : -ENOMEM;

    if (rc) {
        cJSON_Delete(r.answer);
        r.answer = vh__shim_error(rc, &why);
        r.give_fd = -1;
    } else {
        cJSON_AddTrueToObject(r.answer, "ok");
    }
    if (!cJSON_AddNumberToObject(r.answer, "id", (double)vh__json_u64_or(m->json, "id", 0))) {
        cJSON_Delete(r.answer);
        r.answer = NULL; /* sending nothing fails, which ends us: there is no memory */
    }
    return vh__shim_send(s->control, r.answer, &(vh__shim_fd){ "memory", r.give_fd }, r.give_fd >= 0, NULL, 0, err);
}
