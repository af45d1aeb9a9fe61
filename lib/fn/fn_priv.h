/* Inside of fn. Unless it says otherwise, a function here is called with |f->mutex| held, and does not block. */
#ifndef VH_FN_FN_PRIV_H
#define VH_FN_FN_PRIV_H

#include <pthread.h>
#include <vhive/phases.h>
#include <vhive/snapshot.h>

#include "bell.h"
#include "events.h"
#include "log.h"
#include "fn.h"
#include "logs.h"
#include "plan.h"
#include "pool.h"
#include "record.h"

/* A function that is deployed, or was and has instances yet. */
struct function {
    struct plan_function plan;
    vh_functions *f;
    struct function *next;    /* in order of names */
    struct record *record;    /* what is deployed */
    struct vh__listener *listener; /* under |f->edit| */
    char snapshot[VH_SNAPSHOT_ID];
    char last_error[VH_ERROR_MSG]; /* of the last start that failed */
    int last_code;
    struct log log;
    vh__log_pace refusals;
    uint32_t users; /* who look at it without the lock: it is not freed before they let go */
    bool gone;      /* out of the plan and the list */
};

/* An instance's side of the machine. */
struct body {
    struct job job; /* its start, then one thing at a time */
    struct plan_instance *inst;
    struct function *fn;
    struct record *record; /* that it was started with */
    vh_vm *vm;             /* once it is up */
    vh_cancel *cancel;     /* of its start */
    vh_instance_info info;
    vh_phases phases; /* of its start */
    uint64_t serial;  /* tells it from another one at the same place in memory */
    enum plan_act task;
};

/* Somebody who wants an instance. */
struct want {
    struct claim claim;
    struct function *fn; /* set with the claim */
    void (*granted)(struct want *want, struct body *body);
    void (*refused)(struct want *want, int code, const char *why);
    void (*cut)(struct want *want); /* its instance ends under it; NULL: it will notice */
};

struct vh_functions {
    vh__functions_options o;
    const vh__functions_vms *ops;
    char *dir; /* of the stored functions */
    int dir_fd; /* locked for this process */
    pthread_mutex_t edit; /* deployments one after the other; taken before |mutex| */
    pthread_mutex_t mutex;
    struct plan plan;
    struct function *functions;
    struct vh__activator *activator;
    struct events events;
    struct bell *bells; /* of those who wait for any change */
    uint32_t callers;   /* in vh__call_begin(): they need the lock once more after a refusal */
    struct pool starters, enders;
    uint64_t serial;
    pthread_t watcher;
    bool watching;
    int alarm;             /* eventfd: wakes the watcher */
    int64_t sleeping_until; /* it */
};

/* functions.c */
/** The deployed function |name|; NULL and VH_ENOTFOUND in |err|. */
struct function *vh__function_find(vh_functions *f, const char *name, vh_error *err);
/** Makes one for |record| (taken on success), at its place in the list. */
VH_MUST_CHECK int vh__function_new(vh_functions *f, struct record *record, struct function **fn, vh_error *err);
void vh__function_use(struct function *fn);
void vh__function_unuse(struct function *fn);
struct plan_settings vh__function_settings(const vh_functions *f, const struct record *record);
/** Waits, the lock given up meanwhile, until |done|. VH_ETIMEDOUT, VH_ECANCELED, -errno. */
VH_MUST_CHECK int vh__functions_wait(vh_functions *f, const vh__wait *w, bool (*done)(void *arg), void *arg,
                                     const char *what, vh_error *err);
void vh__functions_tell(vh_functions *f, const char *type, const char *function, const char *vm, const char *fmt, ...)
    VH_PRINTF(5, 6);
int64_t vh__functions_now(void);

/* actions.c */
/** Carries out what the plan wants after an event. */
void vh__functions_act(vh_functions *f);
/** The same after an operation on a VM ended, for which others may be waiting. */
void vh__functions_op_over(vh_functions *f);
/**
 * Takes the lock after an operation on the VM of |b|, for what is told then. Its client took whatever the VM had to say
 * meanwhile: if it has ended, that is told here, since the watcher would wait for it in vain.
 */
void vh__functions_lock_after_op(struct body *b);
/** Cancels all starts and kills all VMs. */
void vh__functions_kill_all(vh_functions *f);

/* watch.c */
VH_MUST_CHECK int vh__watch_start(vh_functions *f, vh_error *err);
/** Without the lock. */
void vh__watch_stop(vh_functions *f);
/** Has it look at the instances and the time anew. */
void vh__watch_wake(vh_functions *f);
/** The VM of |b| ended by itself. */
void vh__watch_lost(struct body *b, const vh_vm_exit *exit);

/* calls.c */
struct call {
    struct want want;
    vh_functions *f;
    struct bell bell;
    struct body *body;
    int code; /* of a refusal */
    char why[VH_ERROR_MSG];
    int64_t begin_ns, granted_ns;
};
/** Waits for an instance of |name|, without the lock. On success |call->body| stays until vh__call_end(). */
VH_MUST_CHECK int vh__call_begin(vh_functions *f, const char *name, bool beside, const vh__wait *w, struct call *call,
                                 vh_error *err);
/** Without the lock. */
void vh__call_end(struct call *call);

#endif
