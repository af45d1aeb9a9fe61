#include <vhive/doctor.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "doctor_priv.h"
#include "host.h"

/* All checks together take a second; a probe guest under KVM up to three. */
#define DEADLINE_MS 30000

static const struct {
    const char *name;
    void (*check)(vh__exam *x);
} checks[] = {
    { "root", vh__check_root },
    { "qemu", vh__check_qemu },
    { "kvm", vh__check_kvm },
    { "userfaultfd", vh__check_userfaultfd },
    { "programs", vh__check_libexec },
    { "pid-namespace", vh__check_processes },
    { "network-namespace", vh__check_namespaces },
    { "tun", vh__check_tun },
    { "nftables", vh__check_nftables },
    { "forwarding", vh__check_forward },
    { "state-dir", vh__check_state_dir },
    { "run-dir", vh__check_run_dir },
    { "memory", vh__check_memory },
    { "clock", vh__check_clock },
    { "guest-kernel", vh__check_kernel },
    { "images", vh__check_images },
    { "snapshots", vh__check_snapshots },
};

/* What a store says about what it leaves out of a listing. */
static void on_record(const vh_log_record *record, void *arg)
{
    vh__exam *x = arg;

    if (record->level <= VH_LOG_WARN)
        snprintf(x->complaint, sizeof(x->complaint), "%s", record->message);
}

static int make_env(vh__exam *x, const vh_env_options *given, vh_error *err)
{
    vh_env_options o;
    int rc;

    vh__host_env_options(x->config, given, &o);
    o.log = on_record;
    o.log_arg = x;
    o.log_level = VH_LOG_WARN;
    o.progress = NULL;
    rc = vh_env_new(&o, &x->env, &x->dirs);
    if (rc == VH_EINVALID) { /* told by its check; the others can do with another one */
        o.run_dir = NULL;
        rc = vh_env_new(&o, &x->env, err);
    }
    return rc;
}

int vh__exam_init(vh__exam *x, const vh_config *config, const vh_env_options *opts, const vh__wait *w, vh_error *err)
{
    int rc;

    *x = (vh__exam){ .w = w };
    rc = config ? 0 : vh_config_new(&x->own_config, err);
    x->config = config ? config : x->own_config;
    if (rc == 0)
        rc = make_env(x, opts, err);
    if (rc == 0)
        rc = vh__host_guest(x->config, x->env, &x->guest, err);
    return rc ? rc : vh__host_net(x->config, x->env, &x->net, err);
}

void vh__exam_fini(vh__exam *x)
{
    vh__net_free(x->net);
    vh__guest_free(x->guest);
    vh_env_free(x->env);
    vh_config_free(x->own_config);
    *x = (vh__exam){ 0 };
}

int vh_doctor_run(const vh_config *config, const vh_env_options *opts, const vh_call *call, vh_finding_fn each,
                  void *arg, vh_error *err)
{
    vh__wait w = vh__wait_from(call, DEADLINE_MS);
    vh__exam x;
    int rc = vh__exam_init(&x, config, opts, &w, err);

    for (size_t i = 0; i < VH_ARRAY_LEN(checks) && rc == 0; i++) {
        rc = vh__wait_check(&w, checks[i].name, err);
        if (rc)
            break;
        x.complaint[0] = '\0';
        checks[i].check(&x);
        each(&(vh_finding){ .check = checks[i].name, .level = x.level, .detail = x.detail, .remedy = x.remedy }, arg);
    }
    vh__exam_fini(&x);
    return rc;
}

int vh_doctor_stale(const vh_config *config, const vh_env_options *opts, const vh_call *call, vh_snapshots *snapshots,
                    vh_stale_fn each, void *arg, vh_error *err)
{
    vh__wait w = vh__wait_from(call, DEADLINE_MS);
    vh__exam x;
    int rc = vh__exam_init(&x, config, opts, &w, err);

    if (rc == 0)
        rc = vh__stale_each(&x, snapshots, each, arg, err);
    vh__exam_fini(&x);
    return rc;
}
