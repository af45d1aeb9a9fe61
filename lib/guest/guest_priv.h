#ifndef VH_GUEST_GUEST_PRIV_H
#define VH_GUEST_GUEST_PRIV_H

#include <pthread.h>
#include <stdbool.h>

#include "buf.h"
#include "guest.h"

struct vh__guest {
    vh_env *env;
    char *kernel, *modules_dir, *package, *deb, *dir, *agent; /* the first two and |deb| may be NULL */
    pthread_mutex_t lock;                                     /* of |tsc_khz| */
    bool tsc_measured;
    uint32_t tsc_khz;
};

/** The modules that a guest needs, NULL-terminated, without what they depend on. */
extern const char *const vh__guest_modules[];

/* kernel_store.c: unpacked kernels below dir/kernels. */

typedef struct vh__kernel {
    char dir[VH_GUEST_PATH]; /* .../kernels/RELEASE */
    char release[VH_GUEST_RELEASE];
    char digest[VH_DIGEST_TEXT];
} vh__kernel;

/**
 * Finds the newest unpacked kernel, with |source| only those that came from a package file of that name. |*found|
 * tells whether there is one.
 */
VH_MUST_CHECK int vh__kernel_find(const char *dir, const char *source, vh__kernel *out, bool *found, vh_error *err);

/** Unpacks the package file |deb| into dir/kernels/RELEASE, replacing what is there. The caller holds the lock. */
VH_MUST_CHECK int vh__kernel_unpack(vh__guest *g, const char *deb, const vh__wait *w, vh_error *err);

/* deb.c: kernel packages. */

/**
 * Writes boot/vmlinuz-RELEASE as |to|/vmlinuz and every module as |to|/all/NAME.ko from the package |deb|, and
 * tells |release|. VH_ECORRUPT: no package, or none of a kernel.
 */
VH_MUST_CHECK int vh__deb_unpack(const char *deb, const char *to, const vh__wait *w, char release[VH_GUEST_RELEASE],
                                 vh_error *err);

/* apt.c: the download. */

/** Downloads the kernel package that |g->package| stands for into |to|. On success |*deb| is the file, the caller's. */
VH_MUST_CHECK int vh__apt_download(vh__guest *g, const char *to, const vh__wait *w, char **deb, vh_error *err);
/** 0 when apt knows where the package is to be had; downloads nothing. VH_EMISSING. */
VH_MUST_CHECK int vh__apt_look(vh__guest *g, const vh__wait *w, vh_error *err);

/* vmlinux.c */

/**
 * Takes the ELF kernel out of the bzImage |image|: a monitor that enters it directly (PVH) saves the guest from
 * decompressing, which is slow without KVM. An ELF file is copied. VH_ECORRUPT when it is neither.
 */
VH_MUST_CHECK int vh__vmlinux_extract(const char *image, const char *to, vh_error *err);

/* kmod.c: kernel modules. */

typedef struct vh__kmod {
    char name[56]; /* '-' written as '_', as modules are told apart */
    char *path;
    vh__buf data;
} vh__kmod;

#define VH_KMODS_MAX 64

typedef struct vh__kmods {
    size_t n;
    vh__kmod v[VH_KMODS_MAX];
} vh__kmods;

void vh__kmods_free(vh__kmods *mods);
#define vh_auto_kmods __attribute__((cleanup(vh__kmods_free)))

/**
 * Loads those of |wanted| (NULL-terminated) that lie as NAME.ko at any depth below |dir|, and what they depend on,
 * in an order in which each comes after its dependencies. A wanted module that is not there is taken to be built into
 * the kernel; a dependency that is not there is VH_ECORRUPT. Zero-initialise |mods|; free it also after an error.
 */
VH_MUST_CHECK int vh__kmods_load(const char *dir, const char *const *wanted, vh__kmods *mods, vh_error *err);

/**
 * The value of |key| ("depends") in the .modinfo section of a module's ELF file of |n| bytes; "" when it has none.
 * |*value| borrows from |bytes|. VH_EINVALID for what is no ELF64 file or points outside of itself.
 */
VH_MUST_CHECK int vh__modinfo_get(const void *bytes, size_t n, const char *key, const char **value, vh_error *err);

/* initramfs.c */

/** Writes the archive {init, modules, modules.list, dev/console} as |path|; equal input gives equal bytes. */
VH_MUST_CHECK int vh__initramfs_write(const char *path, const vh__buf *agent, const vh__kmods *mods, vh_error *err);

/* archive.c */

struct archive;

/** Translates libarchive's failure on |what|: VH_ECORRUPT or -errno, with its text. */
int vh__archive_error(struct archive *a, const char *what, vh_error *err);

#endif
