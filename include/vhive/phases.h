/*
 * Phases of a cold start: where the time from request to response went. They come from the step runner itself
 * (docs/architecture.md, "flow"), so a breakdown cannot drift from what was done.
 */
#ifndef VHIVE_PHASES_H
#define VHIVE_PHASES_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <vhive/attr.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VH_PHASE_ID 24
#define VH_PHASES_MAX 64

/** One phase. Critical phases follow one another; overlapped ones ran beside them and cost nothing by themselves. */
typedef struct vh_phase {
    char id[VH_PHASE_ID]; /**< stable: the name of the span, the metric's label, the prefix of errors */
    int64_t start_ns;     /**< CLOCK_MONOTONIC */
    int64_t ns;           /**< duration */
    bool critical;
} vh_phase;

/** Phases of one flow, in order of their start. Plain data, caller-owned; zero-initialise. */
typedef struct vh_phases {
    int64_t begin_ns, end_ns; /**< CLOCK_MONOTONIC: the whole flow; end_ns 0 while it runs */
    size_t n;
    vh_phase v[VH_PHASES_MAX];
} vh_phases;

/** Appends a phase; silently dropped beyond VH_PHASES_MAX. Not thread-safe for one |p|. */
VH_API void vh_phases_add(vh_phases *p, const char *id, int64_t start_ns, int64_t end_ns, bool critical);

/** Where the critical phases have got to: the end of the last one, |begin_ns| before the first. CLOCK_MONOTONIC. */
VH_API int64_t vh_phases_reached_ns(const vh_phases *p);

/** Sum of the critical phases in ns: what of end - begin is explained. */
VH_API int64_t vh_phases_critical_ns(const vh_phases *p);

#ifdef __cplusplus
}
#endif
#endif
