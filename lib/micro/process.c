/* The processes of a VM: shim and VMM. No guest runs. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "auto.h"
#include "clock.h"
#include "micro_priv.h"
#include "path.h"
#include "shim.h"
#include "spawn.h"
#include "vmm.h"

enum { MEMORY_MIB = 64 };

/* Path of one of libvhive's own programs. */
static int program(const vh_micro *m, const char *name, char **path, vh_error *err)
{
    vh_auto_free char *p = vh__path_join(vh_env_libexec_dir(m->env), name);

    if (!p)
        return vh_error_set(err, -ENOMEM, "path of %s", name);
    if (access(p, R_OK) < 0)
        return vh_error_set(err, VH_EMISSING, "%s: %s; install libvhive's programs or set libexec_dir", p,
                            strerror(errno));
    *path = vh_steal_ptr(p);
    return 0;
}

/* Asks the new shim for what it cannot know: any answer will do. */
static int await_shim(int sock, const vh__wait *w, vh_error *err)
{
    vh__shim_message answer = { 0 };
    cJSON *request = cJSON_CreateObject();
    int rc;

    if (!cJSON_AddStringToObject(request, "op", "stats")) {
        cJSON_Delete(request);
        return vh_error_set(err, -ENOMEM, "request to the shim");
    }
    rc = vh__shim_send(sock, request, NULL, 0, NULL, 0, err);
    if (rc == 0)
        rc = vh__shim_recv(sock, w, &answer, err);
    vh__shim_message_fini(&answer);
    return rc;
}

int vh__micro_shim_spawn(vh_micro *m, const vh__wait *w, double *value, vh_error *err)
{
    vh_auto_free char *shim = NULL;
    vh_auto_fd int ours = -1, theirs = -1;
    vh__process p = VH_PROCESS_INIT;
    int64_t start = vh__clock_mono_ns();
    int pair[2], rc = program(m, "vhive-shim", &shim, err);

    if (rc)
        return rc;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return vh_error_set(err, -errno, "shim: socket pair");
    ours = pair[0];
    theirs = pair[1];
    rc = vh__spawn(&(vh__spawn_options){ .argv = (const char *[]){ shim, NULL },
                                         .cwd = "/",
                                         .fds = &(vh__spawn_fd){ theirs, VH_SHIM_FD },
                                         .nfds = 1,
                                         .new_session = true,
                                         .new_pid_ns = true },
                   &p, err);
    if (rc == 0)
        rc = await_shim(ours, w, err);
    *value = (double)(vh__clock_mono_ns() - start) / 1e3;
    (void)vh__process_kill(&p);
    return rc;
}

/*
 * A file that passes for a kernel of 1994 (boot protocol 2.0), whose every instruction is hlt: QEMU loads it without
 * a look, and the guest stands still at once.
 */
static int make_kernel(const vh_micro *m, vh_error *err)
{
    vh_auto_fd int fd = openat(m->dir_fd, "kernel", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    unsigned char image[4 * PAGE];

    if (fd < 0)
        return vh_error_set(err, -errno, "make %s/kernel", m->dir);
    memset(image, 0xf4, sizeof(image));
    image[0x1f1] = 4;                      /* sectors of setup code */
    memcpy(image + 0x202, "HdrS\0\2", 6);  /* magic and version */
    image[0x211] = 1;                      /* loaded high */
    return vh__fd_pwrite_full(fd, image, sizeof(image), 0, "kernel", err);
}

/* What the two VMMs need beside |c|: their paths, a network, and an end. */
struct machine {
    char *qemu, *shim, *preload, *kernel;
    vh__net_lease *lease;
    vh__vmm_config config;
    vh__vmm *vmm;
};

static void machine_fini(struct machine *v)
{
    vh__vmm_free(v->vmm);
    vh__net_release(v->lease);
    free(v->qemu);
    free(v->shim);
    free(v->preload);
    free(v->kernel);
}

static int machine_init(vh_micro *m, const vh__wait *w, struct machine *v, vh_error *err)
{
    int rc = vh__micro_make_net(m, err);

    v->qemu = vh__path_find_program(m->qemu);
    if (rc == 0 && !v->qemu)
        rc = vh_error_set(err, VH_EMISSING, "%s: not found in PATH; install it (apt-get install qemu-system-x86)",
                          m->qemu);
    if (rc == 0)
        rc = program(m, "vhive-shim", &v->shim, err);
    if (rc == 0)
        rc = program(m, "readonly-preload.so", &v->preload, err);
    if (rc == 0)
        rc = vh__net_acquire(m->net, w, &v->lease, err);
    if (rc)
        return rc;
    v->kernel = vh__path_join(m->dir, "kernel");
    if (!v->kernel)
        return vh_error_set(err, -ENOMEM, "path of the kernel");
    v->config = (vh__vmm_config){ .binary = v->qemu, .accel = m->accel, .run_dir = "/",
                                  .rootfs = v->shim, /* any file will do */
                                  .guest_mac = VH_NET_GUEST_MAC, .memory_mib = MEMORY_MIB, .cpus = 1, .uid = m->uid,
                                  .tap_fd = vh__net_lease_info(v->lease)->tap_fd,
                                  .netns_fd = vh__net_lease_info(v->lease)->netns_fd };
    return 0;
}

static int spawn(struct machine *v, const vh__wait *w, vh_error *err)
{
    const vh__vmm_ops *ops;
    int rc = vh__vmm_backend("qemu", &ops, err);

    if (rc == 0)
        rc = vh__vmm_spawn(ops, &v->config, &v->vmm, err);
    return rc ? rc : ops->connect(v->vmm, w, err);
}

static int save(vh_micro *m, struct machine *v, const vh__wait *w, vh_error *err)
{
    int rc = make_kernel(m, err);

    v->config.memory = VH_VMM_MEMORY_SHARED;
    v->config.memory_fd = m->memory_fd;
    v->config.kernel = v->config.initramfs = v->kernel;
    v->config.cmdline = "";
    if (rc == 0)
        rc = spawn(v, w, err);
    if (rc == 0)
        rc = v->vmm->ops->pause(v->vmm, w, err);
    return rc ? rc : v->vmm->ops->save(v->vmm, w, m->state_fd, err);
}

/* Saves a VM, once: memory and device state for those that load. */
static int make_state(vh_micro *m, const vh__wait *w, vh_error *err)
{
    struct machine v = { .vmm = NULL };
    int rc = 0;

    if (m->state_fd >= 0)
        return 0;
    m->memory_fd = memfd_create("micro-memory", MFD_CLOEXEC);
    m->state_fd = memfd_create("micro-state", MFD_CLOEXEC);
    if (m->memory_fd < 0 || m->state_fd < 0 || ftruncate(m->memory_fd, (off_t)MEMORY_MIB << 20) < 0)
        rc = vh_error_set(err, -errno, "memory of a VM");
    if (rc == 0)
        rc = machine_init(m, w, &v, err);
    if (rc == 0)
        rc = save(m, &v, w, err);
    machine_fini(&v);
    if (rc) {
        vh__fd_close(&m->memory_fd);
        vh__fd_close(&m->state_fd);
    }
    return rc;
}

/* A VMM is spawned as for a restore by the engine file; it loads the state; stamps before, between and after. */
static int restore(vh_micro *m, const vh__wait *w, int64_t stamps[3], vh_error *err)
{
    struct machine v = { .vmm = NULL };
    int rc = make_state(m, w, err);

    if (rc)
        return rc;
    rc = machine_init(m, w, &v, err);
    if (rc == 0 && lseek(m->state_fd, 0, SEEK_SET) < 0)
        rc = vh_error_set(err, -errno, "device state");
    if (rc == 0) {
        v.config.memory = VH_VMM_MEMORY_PRIVATE;
        v.config.memory_fd = m->memory_fd;
        v.config.preload = v.preload;
        stamps[0] = vh__clock_mono_ns();
        rc = spawn(&v, w, err);
        stamps[1] = vh__clock_mono_ns();
    }
    if (rc == 0)
        rc = v.vmm->ops->load(v.vmm, w, m->state_fd, err);
    stamps[2] = vh__clock_mono_ns();
    machine_fini(&v);
    return rc;
}

int vh__micro_vmm_spawn(vh_micro *m, const vh__wait *w, double *value, vh_error *err)
{
    int64_t stamps[3];
    int rc = restore(m, w, stamps, err);

    if (rc == 0)
        *value = (double)(stamps[1] - stamps[0]) / 1e3;
    return rc;
}

int vh__micro_vmm_load(vh_micro *m, const vh__wait *w, double *value, vh_error *err)
{
    int64_t stamps[3];
    int rc = restore(m, w, stamps, err);

    if (rc == 0)
        *value = (double)(stamps[2] - stamps[1]) / 1e3;
    return rc;
}
