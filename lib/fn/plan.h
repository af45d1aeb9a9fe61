/*
 * plan: what is started, stopped, granted and refused, and when. A core without threads, clock or VMs: events go in
 * with the time, actions come out, and nothing else happens.
 *
 *     vh__plan_claim(plan, fn, &claim, now);
 *     while (vh__plan_next(plan, &action))
 *         carry_out(&action);
 *     sleep_until(vh__plan_wake_ns(plan, now));
 *
 * All actions are taken after every event, before the next one. Taking one may lead to further events.
 *
 * Rules
 * - Single flight: n waiting claims have ceil(n / claims per instance) instances started for them, those that are on
 *   their way counted.
 * - A claim goes to the instance that has most and still has room, so that others fall idle and end.
 * - An instance ends when it had |retire| claims, when it is of an old revision, or when it had none for |keep_alive|
 *   and there are more than |min|. It always finishes what it has.
 * - |max| bounds the instances that may still get something; the machine's limits bound all, until they are gone.
 * - Functions that wait for an instance take turns, one start each. For one that does not fit, idle instances of others
 *   are ended, the longest idle first, and of functions that are at their |min| only when there are no others; none is
 *   ended if even all of them would not make room. Nobody passes one whose turn it is: else large ones would starve.
 *   Instances for |min| are started when no claim waits for one, and nothing is ended for them.
 * - A failed start fails the claims that waited, unless another instance is there or coming. The next one is tried
 *   after a pause that doubles from failure to failure. A VM that dies young counts as a failed start.
 * - A booted instance is saved once for its revision: when it has no claim, or at last while it has some, but never
 *   with one beside: a process that is no part of the function would be in the snapshot. A restored one
 *   is tended when its first claim ended (its working set is stored).
 *
 * Threads: none of its own; one at a time.
 */
#ifndef VH_FN_PLAN_H
#define VH_FN_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <vhive/attr.h>

/* First and longest pause after failed starts; an instance that dies before YOUNG is one of them. */
#define PLAN_BACKOFF_MS     500
#define PLAN_BACKOFF_MAX_MS 30000
#define PLAN_YOUNG_MS       10000
/* A booted instance that is never without a claim is saved all the same, so long after it came up. */
#define PLAN_SAVE_BUSY_MS 10000

enum plan_act {
    PLAN_START = 1, /* bring up |inst| of |fn|; then vh__plan_up() or vh__plan_failed() */
    PLAN_STOP,      /* end |inst|, a starting one by cancelling its start; then vh__plan_down(), or as above */
    PLAN_SAVE,      /* make the revision's snapshot of |inst|; then vh__plan_saved() */
    PLAN_TEND,      /* store the working set of |inst|; then vh__plan_op_end() */
    PLAN_GRANT,     /* |claim| has |inst|, until vh__plan_release() */
    PLAN_REFUSE,    /* |claim| gets nothing; |claim->why|. It is forgotten */
    PLAN_FORGET,    /* |inst| is no part of the plan any more: free() it */
    PLAN_GONE,      /* |fn|, which was removed, is no part of the plan any more */
};

enum plan_why {
    PLAN_WHY_NONE,
    PLAN_WHY_QUEUE,     /* its function's is full */
    PLAN_WHY_QUEUE_ALL, /* so many wait for all functions */
    PLAN_WHY_TOO_LARGE, /* an instance would not fit even alone */
    PLAN_WHY_START,     /* the start it waited for failed */
    PLAN_WHY_REMOVED,
};

enum plan_state { PLAN_STARTING, PLAN_READY, PLAN_DRAINING, PLAN_STOPPING, PLAN_DOWN };

struct plan_function;
struct plan_instance;

/* The link of whatever has an action pending; one at a time. */
struct plan_note {
    struct plan_note *next;
    enum plan_act act; /* 0: none */
};

/* The machine's. None is 0. */
struct plan_limits {
    uint64_t memory_mib;
    uint32_t instances;
    uint32_t starts;     /* under way at once */
    uint32_t queue;      /* claims that wait, of one function */
    uint32_t queue_all;  /* ... of all */
};

/* Somebody who wants an instance. The caller's memory, zeroed but for |beside|; the plan's from claim to release. */
struct claim {
    struct plan_note note;
    bool beside; /* needs an instance, but no place in it (a process beside the function): not counted as served */
    struct plan_function *fn;   /* while it is known to the plan */
    struct plan_instance *inst; /* that it was granted */
    bool cold;                  /* that one was started after it came */
    enum plan_why why;
    int64_t since_ns;
    struct claim *prev, *next; /* of those who wait, or who have |inst| */
};

struct claim_queue {
    struct claim *first, *last;
    uint32_t n;
};

/* An instance. Members are the plan's but for |body|. */
struct plan_instance {
    struct plan_note note;
    void *body; /* the caller's */
    struct plan_function *fn;
    uint32_t revision, memory_mib;
    enum plan_state state;
    bool paused, dead, booted;
    bool op;      /* somebody is at its VM: it is not ended meanwhile */
    bool saved;   /* that was tried */
    bool tended;  /* so was that */
    bool cancelled;
    struct claim_queue claims;  /* that it was granted to */
    uint32_t active, beside; /* how many of them are ordinary, and beside */
    uint64_t served;         /* claims it was given, without those beside */
    uint32_t failures;       /* of the function in a row, when it was started */
    int64_t start_ns, up_ns, idle_ns; /* |idle_ns|: since when it has none */
    struct plan_instance *prev, *next;
};

/* How many, and how long; may change at any time. */
struct plan_settings {
    uint32_t min, max, concurrency, retire; /* |max|, |concurrency| not 0 */
    int64_t keep_alive_ns;
    uint32_t memory_mib; /* of instances that are started from now on */
    bool saves;          /* booted instances are to be saved */
};

/* A function. The caller's memory, zeroed; the plan's between add and PLAN_GONE. Members are for reading. */
struct plan_function {
    struct plan_note note;
    struct plan_settings set;
    uint32_t revision;
    bool removed, ended; /* |ended|: nothing is waited for any more */
    bool has_snapshot;   /* the current revision */
    bool saving;
    struct claim_queue waiting, beside;
    struct plan_instance *first, *last; /* oldest first */
    uint32_t active, failures;
    int64_t retry_ns; /* no start before */
    uint64_t served, started, failed;
    struct plan_function *prev, *next; /* in turn */
};

struct plan {
    struct plan_limits limits;
    struct plan_function *first, *last; /* the next one in turn first */
    struct plan_note *notes, **notes_end;
    uint64_t memory_mib;          /* of all instances that are not gone */
    uint32_t instances, starting; /* not gone; of them on their way */
    uint32_t waiting;             /* claims */
};

struct plan_action {
    enum plan_act act;
    struct plan_function *fn;
    struct plan_instance *inst;
    struct claim *claim;
};

void vh__plan_init(struct plan *p, const struct plan_limits *limits);
/** Takes the next action; false: none is left. */
bool vh__plan_next(struct plan *p, struct plan_action *action);
/** When vh__plan_tick() is due; INT64_MAX: something else has to happen first. */
int64_t vh__plan_wake_ns(const struct plan *p, int64_t now);
void vh__plan_tick(struct plan *p, int64_t now);

/** Adds |fn|, zeroed but for its |revision|. */
void vh__plan_add(struct plan *p, struct plan_function *fn, const struct plan_settings *set, int64_t now);
/** New settings; those of a new revision have the instances of the old one drained. */
void vh__plan_set(struct plan *p, struct plan_function *fn, const struct plan_settings *set, bool new_revision,
                  int64_t now);
/** Refuses those who wait and drains the instances; PLAN_GONE follows the last one. */
void vh__plan_remove(struct plan *p, struct plan_function *fn, int64_t now);
/** Ends the instances of a removed function though they have claims. */
void vh__plan_end(struct plan *p, struct plan_function *fn, int64_t now);

/** |claim| wants an instance of |fn|: PLAN_GRANT or PLAN_REFUSE follows, unless it is released before. */
void vh__plan_claim(struct plan *p, struct plan_function *fn, struct claim *claim, int64_t now);
/** |claim| waits no more, or is done with its instance. No-op for one that was refused. */
void vh__plan_release(struct plan *p, struct claim *claim, int64_t now);

/** The start of |inst| succeeded, by a boot or by a restore. */
void vh__plan_up(struct plan *p, struct plan_instance *inst, bool booted, int64_t now);
/** The start of |inst| failed, or was cancelled. */
void vh__plan_failed(struct plan *p, struct plan_instance *inst, int64_t now);
/** The VM of |inst| died, or was |killed|, without having been stopped: PLAN_STOP follows. */
void vh__plan_lost(struct plan *p, struct plan_instance *inst, bool killed, int64_t now);
/** |inst| is gone with all it had. */
void vh__plan_down(struct plan *p, struct plan_instance *inst, int64_t now);

/** Whether somebody may be at the VM of |inst| now; if so, until vh__plan_op_end() or vh__plan_saved(). */
VH_MUST_CHECK bool vh__plan_op_begin(struct plan_instance *inst);
void vh__plan_op_end(struct plan *p, struct plan_instance *inst, int64_t now);
/** The snapshot that was to be made of |inst| is there, or not. Ends the operation. */
void vh__plan_saved(struct plan *p, struct plan_instance *inst, bool ok, int64_t now);
/** A paused instance gets no claims and does not end for want of any. */
void vh__plan_pause(struct plan *p, struct plan_instance *inst, bool paused, int64_t now);

/** Room of |inst| for further claims. */
uint32_t vh__plan_room(const struct plan_instance *inst);

#endif
