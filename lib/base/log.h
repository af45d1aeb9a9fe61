/* Logging towards the environment's sink. Single statements; nothing is formatted below the level. */
#ifndef VH_BASE_LOG_H
#define VH_BASE_LOG_H

#include <vhive/env.h>

#include "wait.h"

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
