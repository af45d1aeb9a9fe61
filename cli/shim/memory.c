/* The VMM together with its memory: a memfd, the snapshot's file, or page faults served by the pager. */
#include "shim_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "path.h"

/* A VMM that takes longer than this to map its memory hangs. */
#define HANDSHAKE_MS 10000

static int set_ws_identity(struct shim *s, const char *snapshot, uint64_t memory_size, vh_error *err)
{
    char *copy = snapshot ? strdup(snapshot) : NULL;

    if (!copy)
        return vh_error_set(err, snapshot ? -ENOMEM : VH_EPROTOCOL, "working set: snapshot's id");
    free((char *)s->ws_id.snapshot);
    s->ws_id = (vh__ws_identity){ .snapshot = copy, .memory_size = memory_size, .page_size = VH_PAGE_SIZE_MIN };
    return 0;
}

int memory_fetch(struct shim *s, vh__shim_message *m, vh_error *err)
{
    vh_auto_fd int dir = vh__shim_take_fd(m, "dir");
    uint64_t size;
    int rc = vh__json_u64(m->json, "memory_bytes", "fetch", &size, err);

    if (rc || dir < 0 || s->fetch || s->pager)
        return rc ? rc : vh_error_set(err, VH_EPROTOCOL, "fetch: no directory, or a second time");
    rc = set_ws_identity(s, vh__json_str_or(m->json, "snapshot", NULL), size, err);
    return rc ? rc : vh__ws_fetch_start(dir, &s->ws_id, &s->fetch, err);
}

static int make_memfd(struct shim *s, uint32_t mib, vh_error *err)
{
    s->memfd = memfd_create("guest-ram", MFD_CLOEXEC);
    if (s->memfd < 0 || ftruncate(s->memfd, (off_t)mib << 20) < 0)
        return vh_error_set(err, -errno, "guest memory of %u MiB", mib);
    return 0;
}

/* Receives the VMM's userfaultfd and starts to serve it. */
static int start_pager(struct shim *s, const vh__wait *w, const vh__shim_spawn *sp, int sock, vh_error *err)
{
    vh__wait soon = vh__wait_within(w, HANDSHAKE_MS);
    vh__regions regions;
    vh_auto_fd int uffd = -1;
    vh__pager_mode mode = sp->replay ? VH_PAGER_REPLAY : sp->record ? VH_PAGER_RECORD : VH_PAGER_LAZY;
    uint64_t size = (uint64_t)sp->vmm.memory_mib << 20;
    int rc = vh__handshake_recv(sock, &soon, size, &uffd, &regions, err);

    if (rc == VH_EPROTOCOL && vh__vmm_explain(s->vmm, -EPIPE, err) == VH_EVMM)
        return VH_EVMM; /* it died before it could say anything */
    if (rc)
        return vh_error_wrap(err, rc, "hand-over of QEMU's memory");
    rc = vh__pager_start(&(vh__pager_options){ .uffd = uffd, .memory_fd = s->memory_fd, .memory_size = size,
                                               .regions = &regions, .mode = mode,
                                               .fetch = sp->replay ? s->fetch : NULL },
                         &s->pager, err);
    if (rc)
        return rc;
    (void)vh_steal_fd(&uffd); /* the pager's now */
    if (sp->replay)
        s->fetch = NULL; /* likewise */
    return 0;
}

static int spawn_uffd(struct shim *s, const vh__wait *w, const vh__vmm_ops *ops, vh__shim_spawn *sp, vh_error *err)
{
    vh_auto_fd int dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    vh_auto_fd int ours = -1, theirs = -1;
    int pair[2], rc;

    if (dev < 0)
        return vh_error_set(err, VH_EMISSING,
                            "/dev/userfaultfd: %s; engines uffd and reap need Linux 6.1 or newer and root, engine file "
                            "does not",
                            strerror(errno));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return vh_error_set(err, -errno, "userfaultfd handshake: socket pair");
    ours = pair[0];
    theirs = pair[1];
    sp->vmm.uffd_dev = dev;
    sp->vmm.uffd_sock = theirs;
    rc = set_ws_identity(s, sp->snapshot, (uint64_t)sp->vmm.memory_mib << 20, err);
    if (rc == 0)
        rc = vh__vmm_spawn(ops, &sp->vmm, &s->vmm, err);
    vh__fd_close(&theirs); /* so that a VMM that dies closes the pair */
    return rc ? rc : start_pager(s, w, sp, ours, err);
}

static int spawn_vmm(struct shim *s, const vh__wait *w, const vh__vmm_ops *ops, vh__shim_spawn *sp, vh_error *err)
{
    int rc;

    switch (sp->vmm.memory) {
    case VH_VMM_MEMORY_SHARED:
        rc = make_memfd(s, sp->vmm.memory_mib, err);
        sp->vmm.memory_fd = s->memfd;
        break;
    case VH_VMM_MEMORY_UFFD:
        return spawn_uffd(s, w, ops, sp, err);
    default:
        rc = 0;
        sp->vmm.memory_fd = s->memory_fd;
    }
    return rc ? rc : vh__vmm_spawn(ops, &sp->vmm, &s->vmm, err);
}

static void take_fd(vh__shim_message *m, const char *name, int *to)
{
    int fd = vh__shim_take_fd(m, name);

    if (fd < 0)
        return;
    vh__fd_close(to);
    *to = fd;
}

int memory_spawn(struct shim *s, const vh__wait *w, vh__shim_message *m, vh_error *err)
{
    vh_auto_fd int tap = vh__shim_take_fd(m, "tap");
    vh_auto_fd int netns = vh__shim_take_fd(m, "netns");
    vh__shim_spawn sp;
    const vh__vmm_ops *ops;
    int rc = vh__shim_spawn_decode(m->json, &sp, err);

    if (rc == 0)
        rc = vh__vmm_backend("qemu", &ops, err);
    if (rc)
        return rc;
    if (s->vmm || tap < 0 || netns < 0)
        return vh_error_set(err, VH_EPROTOCOL, "spawn: a second VM, or no network");
    take_fd(m, "memory", &s->memory_fd);
    take_fd(m, "stdout", &s->out[0].fd);
    take_fd(m, "stderr", &s->out[1].fd);
    take_fd(m, "lease", &s->leases[0]);
    take_fd(m, "journal", &s->leases[1]);
    sp.vmm.tap_fd = tap;
    sp.vmm.netns_fd = netns;
    s->guest = (struct guest){ 0 };
    s->said.total = 0;
    vh__agent_decoder_init(s->agent, VH_AGENT_FROM_GUEST);
    rc = spawn_vmm(s, w, ops, &sp, err);
    if (rc == 0)
        rc = ops->connect(s->vmm, w, err);
    if (rc)
        memory_release(s);
    return rc;
}

/* When it was read and copied, beside all else. */
static int tell_installation(struct shim *s, cJSON *answer, vh_error *err)
{
    vh__pager_stats st;

    vh__pager_stats_get(s->pager, &st);
    if (cJSON_AddNumberToObject(answer, "fetch_start_ns", (double)st.fetch.start_ns) &&
        cJSON_AddNumberToObject(answer, "fetch_end_ns", (double)st.fetch.end_ns) &&
        cJSON_AddNumberToObject(answer, "install_start_ns", (double)st.install_start_ns) &&
        cJSON_AddNumberToObject(answer, "install_end_ns", (double)st.install_end_ns))
        return 0;
    return vh_error_set(err, -ENOMEM, "answer");
}

int memory_installed(struct shim *s, const vh__wait *w, cJSON *answer, vh_error *err)
{
    vh_error why = { 0 };
    int rc;

    if (!s->pager)
        return vh_error_set(err, VH_ESTATE, "no working set is being installed");
    rc = vh__pager_install_wait(s->pager, w, &why);
    if (rc == 0)
        return tell_installation(s, answer, err);
    if (vh__pager_check(s->pager, err))
        return VH_ECORRUPT;
    /* the pager goes on by demand: slower, not wrong */
    return cJSON_AddStringToObject(answer, "warning", why.msg) ? 0 : vh_error_set(err, -ENOMEM, "answer");
}

int memory_record(struct shim *s, vh__shim_message *m, cJSON *answer, vh_error *err)
{
    vh_auto_fd int dir = vh__shim_take_fd(m, "dir");
    vh_auto_free uint32_t *pages = NULL;
    vh__ws_info info = { 0 };
    size_t n = 0;
    int rc;

    if (!s->pager || dir < 0)
        return vh_error_set(err, VH_ESTATE, "nothing is being recorded");
    rc = vh__pager_record_take(s->pager, &pages, &n, err);
    if (rc == 0)
        rc = vh__ws_write(dir, &s->ws_id, s->memory_fd, pages, n, &info, err);
    if (rc)
        return rc;
    if (!cJSON_AddNumberToObject(answer, "pages", (double)info.pages) ||
        !cJSON_AddNumberToObject(answer, "runs", (double)info.runs))
        return vh_error_set(err, -ENOMEM, "answer");
    return 0;
}

/* Value of "KEY: N" in the text of a /proc file, 0 if it is not there. */
static uint64_t proc_value(const char *text, const char *key)
{
    const char *p = text ? strstr(text, key) : NULL;

    return p ? strtoull(p + strlen(key), NULL, 10) : 0;
}

/* A value of a process; 0 means this one, whose pid in /proc is not the one it sees itself. */
static uint64_t read_proc(pid_t pid, const char *file, const char *key)
{
    vh_auto_free char *path = pid ? vh__strf("/proc/%d/%s", (int)pid, file) : vh__strf("/proc/self/%s", file);
    vh_auto_buf vh__buf text = { 0 };

    return path && vh__file_read(path, 65536, &text, NULL) == 0 ? proc_value(text.data, key) : 0;
}

/* The VMM's pid in the namespace that /proc is mounted for, which is not ours; its pidfd knows it. */
static pid_t host_pid(const vh__vmm *v)
{
    vh_auto_free char *path = vh__strf("/proc/self/fdinfo/%d", v->process.pidfd);
    vh_auto_buf vh__buf text = { 0 };

    return path && vh__file_read(path, 4096, &text, NULL) == 0 ? (pid_t)proc_value(text.data, "Pid:") : 0;
}

int memory_stats(struct shim *s, cJSON *answer, vh_error *err)
{
    vh__pager_stats st = { 0 };
    pid_t pid;
    bool ok;

    if (!s->vmm)
        return vh_error_set(err, VH_ESTATE, "the VM has ended");
    if (s->pager)
        vh__pager_stats_get(s->pager, &st);
    pid = host_pid(s->vmm);
    ok = cJSON_AddNumberToObject(answer, "faults", (double)st.faults) &&
         cJSON_AddNumberToObject(answer, "residual_faults", (double)st.residual) &&
         cJSON_AddNumberToObject(answer, "ws_pages", (double)st.ws_pages) &&
         cJSON_AddNumberToObject(answer, "installed_pages", (double)(st.installed_pages + st.installed_zeros)) &&
         cJSON_AddNumberToObject(answer, "bytes_read",
                                 (double)(read_proc(pid, "io", "read_bytes: ") +
                                          read_proc(0, "io", "read_bytes: "))) &&
         cJSON_AddNumberToObject(answer, "vmm_pss_kib", (double)read_proc(pid, "smaps_rollup", "Pss:"));
    return ok ? 0 : vh_error_set(err, -ENOMEM, "answer");
}

void memory_release(struct shim *s)
{
    vh__vmm_free(s->vmm); /* first: nobody may fault while the pager goes */
    s->vmm = NULL;
    vh__pager_free(s->pager);
    s->pager = NULL;
    vh__ws_fetch_free(s->fetch);
    s->fetch = NULL;
    free((char *)s->ws_id.snapshot);
    s->ws_id = (vh__ws_identity){ 0 };
    vh__fd_close(&s->memfd);
    vh__fd_close(&s->memory_fd);
}
