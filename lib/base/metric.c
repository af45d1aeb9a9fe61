#include "metric.h"

#include "env_priv.h"

bool vh__metric_wanted(const vh_env *env)
{
    return env && env->metrics;
}

void vh__metric_update(const vh_env *env, const char *name, const char *const *values, int64_t amount)
{
    if (vh__metric_wanted(env))
        env->metrics(name, values, amount, env->metrics_arg);
}

void vh__trace_ended(const vh_env *env, const vh_trace_record *record)
{
    if (env && env->trace)
        env->trace(record, env->trace_arg);
}
