/* guest-files DIR AGENT: prepares kernel and initramfs in DIR and prints their paths and a command line. */
#include <stdio.h>

#include "guest.h"

static void log_line(const vh_log_record *r, void *arg)
{
    (void)arg;
    fprintf(stderr, "%s: %s\n", r->module, r->message);
}

static int prepare(vh_env *env, char **argv, vh_error *err)
{
    vh__guest_options o = VH_GUEST_OPTIONS_INIT;
    vh__wait w = vh__wait_from(NULL, 120000);
    char line[VH_GUEST_CMDLINE];
    vh__guest_files f;
    vh__guest *g;
    int rc;

    o.dir = argv[1];
    o.agent = argv[2];
    rc = vh__guest_new(env, &o, &g, err);
    if (rc)
        return rc;
    rc = vh__guest_prepare(g, &w, &f, err);
    if (rc == 0)
        printf("%s\n%s\n%s\n", f.kernel, f.initramfs,
               vh__guest_cmdline(&(vh__guest_boot){ .tsc_khz = vh__guest_tsc_khz(g), .console = "ttyS0" }, line,
                                 sizeof(line)));
    vh__guest_free(g);
    return rc;
}

int main(int argc, char **argv)
{
    vh_env_options o = VH_ENV_OPTIONS_INIT;
    vh_error err = { 0 };
    vh_env *env;
    int rc;

    if (argc != 3)
        return 2;
    o.log = log_line;
    rc = vh_env_new(&o, &env, &err);
    if (rc == 0) {
        rc = prepare(env, argv, &err);
        vh_env_free(env);
    }
    if (rc)
        fprintf(stderr, "%s\n", err.msg);
    return rc ? 1 : 0;
}
