/* Inside of micro: the object, and one function per measurement. */
#ifndef VH_MICRO_MICRO_PRIV_H
#define VH_MICRO_MICRO_PRIV_H

#include <vhive/micro.h>

#include "net.h"
#include "reap.h"
#include "wait.h"

enum { PAGE = VH_PAGE_SIZE_MIN };
/** Bytes of the file on disk. */
#define DATA_BYTES (64U << 20)

struct vh_micro {
    vh_env *env;
    char *qemu; /* name or path */
    char accel[8];
    uint32_t uid;
    char *net_pool; /* NULL: the default */
    char *dir;
    int dir_fd;   /* with the lock */
    int data_fd;  /* DATA_BYTES of noise; -1 until it is made */
    int state_fd; /* device state of a VM with the memory memory_fd; -1 until it is saved */
    int memory_fd;
    vh__net *net; /* NULL until it is needed */
};

/** One measurement; |*value| in the row's unit, of no meaning after an error. */
typedef int vh__micro_fn(vh_micro *m, const vh__wait *w, double *value, vh_error *err);

/* memory.c, replay.c, disk.c, process.c, network.c */
vh__micro_fn vh__micro_uffd_copy, vh__micro_uffd_copy_page, vh__micro_uffd_zero, vh__micro_fault;
vh__micro_fn vh__micro_ws_fetch, vh__micro_ws_install;
vh__micro_fn vh__micro_disk_sequential, vh__micro_disk_random;
vh__micro_fn vh__micro_shim_spawn, vh__micro_vmm_spawn, vh__micro_vmm_load;
vh__micro_fn vh__micro_net_acquire, vh__micro_net_release;

/** Makes the file of noise, |m->data_fd|, if there is none. */
VH_MUST_CHECK int vh__micro_make_data(vh_micro *m, const vh__wait *w, vh_error *err);

/** Makes |m->net| if there is none. VH_EINVALID: the pool is none. */
VH_MUST_CHECK int vh__micro_make_net(vh_micro *m, vh_error *err);

/** Memory whose missing pages come from a userfaultfd of ours. */
struct target {
    int uffd; /* -1 once it was given away */
    char *at;
    size_t size;
};

/** Maps |size| bytes. On success |*t| is the caller's (vh__micro_target_close()). VH_EMISSING, -errno. */
VH_MUST_CHECK int vh__micro_target_open(struct target *t, size_t size, vh_error *err);
void vh__micro_target_close(struct target *t);
/** Starts a pager for |t|, which gives it its userfaultfd. |fetch| (NULL: every page by demand) is taken on success. */
VH_MUST_CHECK int vh__micro_pager(struct target *t, int memory_fd, vh__ws_fetch *fetch, vh__pager **p, vh_error *err);

/** Noise for |n| words; the same for the same |*seed|, which goes on. */
void vh__micro_noise(uint32_t *to, size_t n, uint32_t *seed);

#endif
