#include "testenv.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "path.h"

int testenv_count_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void log_to_stderr(const vh_log_record *r, void *arg)
{
    (void)arg;
    fprintf(stderr, "%s %s%s%s: %s\n", vh_log_level_name(r->level), r->module, r->vm ? " " : "", r->vm ? r->vm : "",
            r->message);
}

void testenv_init(testenv *t)
{
    vh_env_options o = VH_ENV_OPTIONS_INIT;
    char state[96], run[96];
    vh_error err = { 0 };

    memset(t, 0, sizeof(*t));
    t->open_fds = testenv_count_fds();
    strcpy(t->dir, "/tmp/vhive-test-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    snprintf(state, sizeof(state), "%s/state", t->dir);
    snprintf(run, sizeof(run), "%s/run", t->dir);
    o.state_dir = state;
    o.run_dir = run;
    if (getenv("VH_TEST_LOG")) {
        o.log = log_to_stderr;
        o.log_level = VH_LOG_DEBUG;
    }
    assert_ok(vh_env_new(&o, &t->env, &err), err);
}

void testenv_fini(testenv *t)
{
    vh_error err = { 0 };

    vh_env_free(t->env);
    assert_ok(vh__path_remove(t->dir, &err), err);
    assert_int_equal(testenv_count_fds(), t->open_fds);
}

int testenv_required(const char *capability)
{
    const char *list = getenv("VH_TEST_REQUIRE");
    size_t n = strlen(capability);

    while (list && *list) {
        size_t len = strcspn(list, ",");

        if (len == n && strncmp(list, capability, n) == 0)
            return 1;
        list += len + (list[len] == ',');
    }
    return 0;
}

int testenv_without(const char *capability, const char *why)
{
    print_message("skipped, no %s: %s\n", capability, why);
    return testenv_required(capability) ? 1 : 77;
}
