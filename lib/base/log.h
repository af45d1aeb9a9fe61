/* Logging towards the environment's sink. Single statements; nothing is formatted below the level. */
#ifndef VH_BASE_LOG_H
#define VH_BASE_LOG_H

#include <vhive/env.h>

#include "clock.h"
#include "wait.h"

/** Keeps records that many peers can cause down to one in VH_LOG_PAUSE_NS. Zero-initialise; its owner's lock guards it. */
typedef struct vh__log_pace {
    int64_t next_ns;
    uint32_t left_out;
} vh__log_pace;

#define VH_LOG_PAUSE_NS (5 * VH_NS_PER_S)

/** True if a record may be made at |now_ns| (CLOCK_MONOTONIC); |*left_out| is how many were not since the last one. */
bool vh__log_paced(vh__log_pace *pace, int64_t now_ns, uint32_t *left_out);

bool vh__log_enabled(const vh_env *env, vh_log_level level);
/** Makes one record; |vm| may be NULL. Messages longer than 1 KiB are cut. Any thread. */
void vh__log_write(const vh_env *env, vh_log_level level, const char *module, const char *vm, const char *fmt, ...)
    VH_PRINTF(5, 6);
/** Reports progress of the call that |w| (NULL: none) bounds: to its own sink, else the environment's, if there is one. */
void vh__progress(const vh_env *env, const vh__wait *w, const char *what, const char *detail, uint64_t done,
                  uint64_t total);

#define vh__log(env, level, module, vm, ...)                                                                           \
    do {                                                                                                               \
        if (vh__log_enabled(env, level))                                                                               \
            vh__log_write(env, level, module, vm, __VA_ARGS__);                                                        \
    } while (0)

#endif
