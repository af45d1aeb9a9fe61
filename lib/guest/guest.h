/*
 * Kernel and initramfs of the guests.
 *
 * The kernel is one that the caller names, or the distribution's own cloud kernel: its package is downloaded by apt
 * (or taken from the folder, where there is no network) and unpacked into the state directory, never installed, so
 * that it cannot become the machine's boot entry. Its drivers are modules; so the initramfs, made here too, carries
 * vhive-agent as /init and the few modules a microVM needs, in the order in which they load.
 *
 *     vh__guest_new(env, NULL, &guest, &err);
 *     vh__guest_prepare(guest, &wait, &files, &err);     the first one downloads, later ones look
 *     vh__guest_cmdline(&(vh__guest_boot){ .tsc_khz = vh__guest_tsc_khz(guest) }, line, sizeof(line));
 *
 * Files, below the folder (state_dir/guest):
 *     linux-image-*.deb           packages put there by hand are used before any download
 *     kernels/RELEASE/            vmlinux, modules/NAME.ko, kernel.json; published by rename
 *     initramfs/KEY.cpio          KEY names kernel release, modules and agent: a new agent makes a new one
 *     lock                        flock(2): one process downloads, the others wait for it
 *
 * Threads: a vh__guest may be used by all; concurrent prepares, also of other processes, wait for one another.
 */
#ifndef VH_GUEST_GUEST_H
#define VH_GUEST_GUEST_H

#include <stdint.h>
#include <vhive/env.h>

#include "digest.h"
#include "wait.h"

typedef struct vh__guest vh__guest;

/** All strings are copied; NULL and 0 mean the default. */
typedef struct vh__guest_options {
    size_t size;
    const char *kernel;      /* vmlinux or bzImage to use as it is; default: from the package */
    const char *modules_dir; /* where the .ko files of |kernel| are, at any depth; default: all is built in */
    const char *package;     /* linux-image-cloud-amd64 */
    const char *deb;         /* a kernel package's file, instead of a download */
    const char *dir;         /* state_dir/guest */
    const char *agent;       /* libexec_dir/vhive-agent */
} vh__guest_options;

#define VH_GUEST_OPTIONS_INIT { .size = sizeof(vh__guest_options) }

#define VH_GUEST_PATH    512
#define VH_GUEST_RELEASE 96

/** What a VM boots from. Plain data. */
typedef struct vh__guest_files {
    char kernel[VH_GUEST_PATH]; /* ELF with a PVH entry when it is from the package */
    char kernel_digest[VH_DIGEST_TEXT];
    char initramfs[VH_GUEST_PATH];
    char initramfs_digest[VH_DIGEST_TEXT];
    char release[VH_GUEST_RELEASE]; /* "6.1.0-30-cloud-amd64"; "custom" for a kernel that was given */
} vh__guest_files;

/** Makes a |*guest|; touches no file. |opts| may be NULL. The caller owns it (vh__guest_free()). -ENOMEM. */
VH_MUST_CHECK int vh__guest_new(vh_env *env, const vh__guest_options *opts, vh__guest **guest, vh_error *err);
void vh__guest_free(vh__guest *guest);

/**
 * Sees to it that kernel and initramfs are there and tells where. Blocks: the first call downloads about 27 MB and
 * unpacks it, later ones take a millisecond. |*out| is written on success only.
 * Errors: VH_EMISSING  no kernel and no way to get one (says what to do), or no agent;  VH_ECORRUPT  a package that
 * holds no kernel, or a damaged one;  VH_EINVALID  a module that is no ELF file;  VH_ETIMEDOUT, VH_ECANCELED, -errno.
 */
VH_MUST_CHECK int vh__guest_prepare(vh__guest *guest, const vh__wait *w, vh__guest_files *out, vh_error *err);

/** As vh__guest_prepare(), but only looks: VH_ENOTFOUND when something would have to be made or downloaded first. */
VH_MUST_CHECK int vh__guest_look(vh__guest *guest, vh__guest_files *out, vh_error *err);
/** 0 when there is a way to a kernel, a package's file or one that apt can download; else VH_EMISSING. Makes nothing. */
VH_MUST_CHECK int vh__guest_obtainable(vh__guest *guest, const vh__wait *w, vh_error *err);

/**
 * Frequency of this machine's time-stamp counter in kHz, measured once per |guest| in 10 ms; 0 when there is none.
 * A guest under TCG must be told (tsc_early_khz): left to calibrate by itself, one boot in four hangs.
 */
uint32_t vh__guest_tsc_khz(vh__guest *guest);

typedef struct vh__guest_boot {
    uint32_t tsc_khz;    /* vh__guest_tsc_khz(); 0: left out */
    bool verbose;        /* kernel messages on the console; slows a boot under TCG */
    const char *console; /* "ttyS0"; NULL: none, the kernel is quiet for good */
} vh__guest_boot;

/** Room that vh__guest_cmdline() needs at most, for a console's name of at most 16 bytes. */
#define VH_GUEST_CMDLINE 512

/** Writes the recommended kernel command line into |buf| of |n| >= VH_GUEST_CMDLINE bytes and returns it. */
const char *vh__guest_cmdline(const vh__guest_boot *boot, char *buf, size_t n);

#endif
