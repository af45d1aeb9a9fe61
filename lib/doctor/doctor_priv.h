/* Inside of doctor: one examination, and what its checks find. */
#ifndef VH_DOCTOR_DOCTOR_PRIV_H
#define VH_DOCTOR_DOCTOR_PRIV_H

#include <vhive/doctor.h>

#include "guest.h"
#include "net.h"
#include "wait.h"

/** Room for what a check says. */
#define VH_EXAM_TEXT 512

/** What checks work with, and what the running one has found. */
typedef struct vh__exam {
    const vh_config *config;
    vh_config *own_config; /* NULL when the caller gave one */
    vh_env *env;
    vh__guest *guest;
    vh__net *net;
    const vh__wait *w;
    vh_error dirs; /* set when the configured directories cannot be; |env| then has the default ones */
    vh_finding_level level;
    char detail[VH_EXAM_TEXT], remedy[VH_EXAM_TEXT];
    char complaint[VH_EXAM_TEXT]; /* the last warning that a module logged */
} vh__exam;

/** Makes what checks work with; the caller owns it (vh__exam_fini()), also after an error. -ENOMEM. */
VH_MUST_CHECK int vh__exam_init(vh__exam *x, const vh_config *config, const vh_env_options *opts, const vh__wait *w,
                                vh_error *err);
void vh__exam_fini(vh__exam *x);

/* finding.c: what a check has found. The last one counts. */
void vh__found_ok(vh__exam *x, const char *fmt, ...) VH_PRINTF(2, 3);
void vh__found_warn(vh__exam *x, const char *remedy, const char *fmt, ...) VH_PRINTF(3, 4);
void vh__found_fail(vh__exam *x, const char *remedy, const char *fmt, ...) VH_PRINTF(3, 4);
/** OK with |fine| when |rc| is 0, else a failure with the message of |err|; its last part, after "; ", is the remedy. */
void vh__found_result(vh__exam *x, int rc, const vh_error *err, const char *fine, const char *remedy);

/** "12 MiB" into |text|, which it returns. */
const char *vh__found_size(uint64_t bytes, char text[24]);

/* The checks: machine.c, monitor.c, devices.c, places.c, stores.c */
void vh__check_root(vh__exam *x);
void vh__check_memory(vh__exam *x);
void vh__check_clock(vh__exam *x);
void vh__check_libexec(vh__exam *x);
void vh__check_processes(vh__exam *x);
void vh__check_qemu(vh__exam *x);
void vh__check_kvm(vh__exam *x);
void vh__check_userfaultfd(vh__exam *x);
void vh__check_namespaces(vh__exam *x);
void vh__check_tun(vh__exam *x);
void vh__check_nftables(vh__exam *x);
void vh__check_forward(vh__exam *x);
void vh__check_state_dir(vh__exam *x);
void vh__check_run_dir(vh__exam *x);
void vh__check_kernel(vh__exam *x);
void vh__check_images(vh__exam *x);
void vh__check_snapshots(vh__exam *x);

/** The nearest directory at or above |path| that is there, into |dir|. False: none, or it is no directory. */
bool vh__place_existing(const char *path, char *dir, size_t room);

/** Calls |each| as vh_doctor_stale() does. */
VH_MUST_CHECK int vh__stale_each(vh__exam *x, vh_snapshots *snapshots, vh_stale_fn each, void *arg, vh_error *err);

#endif
