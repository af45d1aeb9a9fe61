#include "env_priv.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "path.h"

/* Longest run directory: sockets below it must fit sockaddr_un (108 bytes). */
#define RUN_DIR_MAX 64

/*
 * Shim, agent and preload library: PREFIX/libexec/vhive, where PREFIX is two levels above the file this code was
 * loaded from (PREFIX/bin/vhive-ctl, PREFIX/lib/libvhive.so, or a multiarch folder below lib).
 */
static char *default_libexec(void)
{
    vh_auto_free char *self = NULL;
    Dl_info info;

    /* a shared library: its path; a program that has us built in: its argv[0], which may lack a folder */
    if (dladdr((void *)(uintptr_t)&vh_env_new, &info) && info.dli_fname)
        self = realpath(strchr(info.dli_fname, '/') ? info.dli_fname : "/proc/self/exe", NULL);
    for (int up = 0; self && up < 3; up++) {
        vh_auto_free char *candidate = NULL;
        char *slash = strrchr(self, '/');

        if (!slash || slash == self)
            break;
        *slash = '\0';
        candidate = vh__path_join(self, "libexec/vhive");
        if (candidate && access(candidate, F_OK) == 0)
            return vh_steal_ptr(candidate);
    }
    return strdup("/usr/libexec/vhive");
}

static int set_dir(char **out, const char *given, const char *fallback, const char *what, vh_error *err)
{
    const char *dir = given ? given : fallback;

    if (dir[0] != '/')
        return vh_error_set(err, VH_EINVALID, "%s directory '%s': must be an absolute path", what, dir);
    *out = strdup(dir);
    if (!*out)
        return vh_error_set(err, -ENOMEM, "%s directory", what);
    for (size_t n = strlen(*out); n > 1 && (*out)[n - 1] == '/'; n--)
        (*out)[n - 1] = '\0';
    return 0;
}

int vh_env_new(const vh_env_options *opts, vh_env **env, vh_error *err)
{
    vh_env_options o = VH_ENV_OPTIONS_INIT;
    vh_auto_free char *libexec = NULL;
    vh_env *e;
    int rc;

    if (opts)
        memcpy(&o, opts, VH_MIN(opts->size, sizeof(o)));
    libexec = o.libexec_dir ? strdup(o.libexec_dir) : default_libexec();
    e = calloc(1, sizeof(*e));
    if (!e || !libexec) {
        free(e);
        return vh_error_set(err, -ENOMEM, "environment");
    }
    e->log = o.log;
    e->log_arg = o.log_arg;
    e->log_level = o.log_level;
    e->progress = o.progress;
    e->progress_arg = o.progress_arg;
    e->metrics = o.metrics;
    e->metrics_arg = o.metrics_arg;
    e->trace = o.trace;
    e->trace_arg = o.trace_arg;
    rc = set_dir(&e->state_dir, o.state_dir, "/var/lib/vhive", "state", err);
    if (rc == 0)
        rc = set_dir(&e->run_dir, o.run_dir, "/run/vhive", "run", err);
    if (rc == 0 && strlen(e->run_dir) > RUN_DIR_MAX)
        rc = vh_error_set(err, VH_EINVALID,
                          "run directory '%s': longer than %d bytes, sockets below it would not fit; choose a shorter "
                          "one",
                          e->run_dir, RUN_DIR_MAX);
    if (rc == 0)
        rc = set_dir(&e->libexec_dir, libexec, NULL, "libexec", err);
    if (rc) {
        vh_env_free(e);
        return rc;
    }
    *env = e;
    return 0;
}

void vh_env_free(vh_env *env)
{
    if (!env)
        return;
    free(env->state_dir);
    free(env->run_dir);
    free(env->libexec_dir);
    free(env);
}

void vh_env_set_log_level(vh_env *env, vh_log_level level)
{
    env->log_level = level;
}

const char *vh_env_state_dir(const vh_env *env)
{
    return env->state_dir;
}

const char *vh_env_run_dir(const vh_env *env)
{
    return env->run_dir;
}

const char *vh_env_libexec_dir(const vh_env *env)
{
    return env->libexec_dir;
}
