/*
 * vh_doctor: what this machine must have for functions to run, each thing tried, and how to mend what it lacks. Works
 * where vh_host_new() would fail, and for users who are not root.
 *
 *     static void show(const vh_finding *f, void *arg)
 *     {
 *         printf("%-4s %s: %s\n", vh_finding_level_name(f->level), f->check, f->detail);
 *     }
 *     rc = vh_doctor_run(config, NULL, NULL, show, NULL, &err);
 *
 * Checks try the thing itself (make a namespace, load the rules, write and read a file without the page cache) and
 * leave nothing behind. Threads: any; runs share nothing.
 */
#ifndef VHIVE_DOCTOR_H
#define VHIVE_DOCTOR_H

#include <vhive/attr.h>
#include <vhive/config.h>
#include <vhive/env.h>
#include <vhive/error.h>
#include <vhive/snapshot.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum vh_finding_level {
    VH_FINDING_OK = 0,
    VH_FINDING_WARN, /**< functions run, but slower, or something is not as it should be */
    VH_FINDING_FAIL, /**< functions do not run, or not by the default engine */
} vh_finding_level;

/** Name of a level: "ok", "warn", "fail". */
VH_API const char *vh_finding_level_name(vh_finding_level level);

/** What came out of one check. All borrowed for the call. */
typedef struct vh_finding {
    const char *check; /**< stable name: "qemu", "userfaultfd" */
    vh_finding_level level;
    const char *detail; /**< what was found, one line */
    const char *remedy; /**< what to do, one line; "" when all is well */
} vh_finding;

/** Called for each check on the caller's thread. */
typedef void (*vh_finding_fn)(const vh_finding *finding, void *arg);

/**
 * Makes all checks, in a fixed order. |config| (NULL: defaults) is borrowed; of |opts| (NULL: none) the directories
 * override the configuration's. Returns 0 whatever is found; -ENOMEM; VH_ETIMEDOUT (default deadline 30 s) or
 * VH_ECANCELED after the checks that were made.
 */
VH_API VH_MUST_CHECK int vh_doctor_run(const vh_config *config, const vh_env_options *opts, const vh_call *call,
                                       vh_finding_fn each, void *arg, vh_error *err);

/** A snapshot that no run will restore, and why: damaged, set aside, or made with what is here no more. Borrowed. */
typedef void (*vh_stale_fn)(const vh_snapshot_info *info, const char *why, void *arg);

/**
 * Calls |each| for every such snapshot of |snapshots|, in the order of their ids, on the caller's thread; other
 * parameters and errors as above. Where there is no QEMU or no guest kernel yet, only damaged ones and those that were
 * set aside are known.
 */
VH_API VH_MUST_CHECK int vh_doctor_stale(const vh_config *config, const vh_env_options *opts, const vh_call *call,
                                         vh_snapshots *snapshots, vh_stale_fn each, void *arg, vh_error *err);

#ifdef __cplusplus
}
#endif
#endif
