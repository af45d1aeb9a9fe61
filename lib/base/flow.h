/*
 * Flow runner: long operations are tables of steps, not pyramids of error handling.
 *
 *     static const vh__step steps[] = {
 *         { .id = "ws-fetch", .run = start_fetch, .background = true },
 *         { .id = "net-lease", .run = lease, .undo = unlease },
 *         { .id = "vmm-spawn", .run = spawn, .undo = kill_vmm, .after = { "ws-fetch" } },
 *     };
 *     rc = vh__flow_run(steps, VH_ARRAY_LEN(steps), ctx, &wait, &phases, &err);
 *
 * Steps run in order on the caller's thread; a background step runs on a thread of its own from the moment it is
 * reached, and is joined before the first later step that names it in |after|, else at the end of the flow. When a
 * step fails, the background steps are joined and everything that succeeded is undone in reverse order of the table;
 * the error is prefixed with the step's id. Each step's time is one phase: critical for foreground steps, overlapped
 * for background ones; time spent waiting for a background step is a critical phase "wait-<id>", unwinding is one
 * called "undo". A critical phase begins where the one before it ended, also if that was in an earlier flow of the
 * same |phases|: what lies between two steps belongs to the second, and nothing is unexplained.
 */
#ifndef VH_BASE_FLOW_H
#define VH_BASE_FLOW_H

#include <stdbool.h>
#include <vhive/phases.h>

#include "wait.h"

typedef struct vh__step {
    const char *id; /* stable: phase, span, metric label and error prefix; at most 18 bytes */
    /* required; |ctx| is shared with concurrent background steps, which must keep to fields of their own */
    int (*run)(void *ctx, const vh__wait *w, vh_error *err);
    void (*undo)(void *ctx); /* optional; called at most once, only after |run| succeeded */
    bool background;
    const char *after[2];           /* ids of earlier background steps to join first; NULL: none */
    bool (*skip)(const void *ctx);  /* optional: leave this step out, but for |after|, when it returns true */
} vh__step;

/** Most steps of one flow. */
#define VH_FLOW_STEPS_MAX 32
/** Most background steps under way at once in one flow. */
#define VH_FLOW_BACKGROUND_MAX 8

/**
 * Runs |steps| within |w|, which a foreground step may shorten for those after it. |phases| (may be NULL) gets a phase per step, also when the flow fails. Returns 0 with every step
 * done and none undone, or the failing step's code with every step undone. -ENOMEM, -EAGAIN: a thread could not start.
 */
VH_MUST_CHECK int vh__flow_run(const vh__step *steps, size_t n, void *ctx, const vh__wait *w, vh_phases *phases,
                               vh_error *err);

#endif
