#include "log.h"

#include <stdarg.h>
#include <stdio.h>

#include "clock.h"
#include "env_priv.h"

const char *vh_log_level_name(vh_log_level level)
{
    static const char *const names[] = { "error", "warn", "info", "debug" };

    return level >= VH_LOG_ERROR && level <= VH_LOG_DEBUG ? names[level] : "unknown";
}

bool vh__log_enabled(const vh_env *env, vh_log_level level)
{
    return env && env->log && level <= env->log_level;
}

void vh__log_write(const vh_env *env, vh_log_level level, const char *module, const char *vm, const char *fmt, ...)
{
    char message[1024];
    va_list ap;

    va_start(ap, fmt);
    if (vsnprintf(message, sizeof(message), fmt, ap) < 0)
        message[0] = '\0';
    va_end(ap);
    env->log(&(vh_log_record){ .level = level, .module = module, .vm = vm, .message = message,
                               .time_ns = vh__clock_real_ns() },
             env->log_arg);
}

void vh__progress(const vh_env *env, const vh__wait *w, const char *what, const char *detail, uint64_t done,
                  uint64_t total)
{
    vh_progress progress = { .what = what, .detail = detail, .done = done, .total = total };

    if (w && w->progress)
        w->progress(&progress, w->progress_arg);
    else if (env->progress)
        env->progress(&progress, env->progress_arg);
}

bool vh__log_paced(vh__log_pace *pace, int64_t now_ns, uint32_t *left_out)
{
    if (now_ns < pace->next_ns) {
        pace->left_out++;
        return false;
    }
    pace->next_ns = now_ns + VH_LOG_PAUSE_NS;
    *left_out = pace->left_out;
    pace->left_out = 0;
    return true;
}
