#include "metric.h"

#include "env_priv.h"

void vh__metric_update(const vh_env *env, const char *name, const char *const *values, int64_t amount)
{
    if (env && env->metrics)
        env->metrics(name, values, amount, env->metrics_arg);
}
