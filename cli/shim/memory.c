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

/* A VMM that takes longer than this to map its memory, or to answer for the first time, hangs. */
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

/* Receives the VMM's userfaultfd, as soon as it has mapped its memory, and starts to serve it. */
static int start_pager(struct shim *s, const vh__wait *w, const vh__shim_bind *b, vh_error *err)
{
    vh__wait soon = vh__wait_within(w, HANDSHAKE_MS);
    vh__regions regions;
    vh_auto_fd int uffd = -1;
    vh__pager_mode mode = b->replay ? VH_PAGER_REPLAY : b->record ? VH_PAGER_RECORD : VH_PAGER_LAZY;
    int rc = vh__handshake_recv(s->uffd_sock, &soon, s->memory_bytes, &uffd, &regions, err);

    if (rc == VH_EPROTOCOL && vh__vmm_explain(s->vmm, -EPIPE, err) == VH_EVMM)
        return VH_EVMM; /* it died before it could say anything */
    if (rc)
        return vh_error_wrap(err, rc, "hand-over of QEMU's memory");
    rc = vh__pager_start(&(vh__pager_options){ .uffd = uffd, .memory_fd = s->memory_fd, .memory_size = s->memory_bytes,
                                               .regions = &regions, .mode = mode,
                                               .fetch = b->replay ? s->fetch : NULL },
                         &s->pager, err);
    if (rc)
        return rc;
    (void)vh_steal_fd(&uffd); /* the pager's now */
    if (b->replay)
        s->fetch = NULL; /* likewise */
    vh__fd_close(&s->uffd_sock);
    return 0;
}

static int spawn_uffd(struct shim *s, const vh__vmm_ops *ops, vh__vmm_config *c, vh_error *err)
{
    vh_auto_fd int dev = -1;
    vh_auto_fd int theirs = -1; /* closed when it has its copy, so that a VMM that dies closes the pair */
    int pair[2], rc = vh__uffd_device_open(&dev, err);

    if (rc)
        return rc;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return vh_error_set(err, -errno, "userfaultfd handshake: socket pair");
    s->uffd_sock = pair[0];
    theirs = pair[1];
    c->uffd_dev = dev;
    c->uffd_sock = theirs;
    return vh__vmm_spawn(ops, c, &s->vmm, err);
}

static int connect_vmm(struct shim *s, const vh__wait *w, vh_error *err)
{
    vh__wait soon = vh__wait_within(w, HANDSHAKE_MS);
    int rc = s->connected ? 0 : s->vmm->ops->connect(s->vmm, &soon, err);

    s->connected |= rc == 0;
    return rc;
}

/* A VMM whose page faults are served later cannot be waited for yet. */
static int spawn_vmm(struct shim *s, const vh__wait *w, const vh__vmm_ops *ops, vh__vmm_config *c, vh_error *err)
{
    int rc = 0;

    s->memory_bytes = (uint64_t)c->memory_mib << 20;
    if (c->memory == VH_VMM_MEMORY_UFFD)
        return spawn_uffd(s, ops, c, err);
    if (c->memory == VH_VMM_MEMORY_SHARED)
        rc = make_memfd(s, c->memory_mib, err);
    c->memory_fd = c->memory == VH_VMM_MEMORY_SHARED ? s->memfd : s->memory_fd;
    if (rc == 0)
        rc = vh__vmm_spawn(ops, c, &s->vmm, err);
    return rc ? rc : connect_vmm(s, w, err);
}

static void take_fd(vh__shim_message *m, const char *name, int *to)
{
    int fd = vh__shim_take_fd(m, name);

    if (fd < 0)
        return;
    vh__fd_close(to);
    *to = fd;
}

static void take_common_fds(struct shim *s, vh__shim_message *m)
{
    take_fd(m, "memory", &s->memory_fd);
    take_fd(m, "stdout", &s->out[0].fd);
    take_fd(m, "stderr", &s->out[1].fd);
}

int memory_spawn(struct shim *s, const vh__wait *w, vh__shim_message *m, vh_error *err)
{
    vh_auto_fd int tap = vh__shim_take_fd(m, "tap");
    vh_auto_fd int netns = vh__shim_take_fd(m, "netns");
    vh__vmm_config c;
    const vh__vmm_ops *ops;
    int rc = vh__shim_spawn_decode(m->json, &c, err);

    if (rc == 0)
        rc = vh__vmm_backend("qemu", &ops, err);
    if (rc)
        return rc;
    if (s->vmm || tap < 0 || netns < 0)
        return vh_error_set(err, VH_EPROTOCOL, "spawn: a second VM, or no network");
    take_common_fds(s, m);
    take_fd(m, "lease", &s->leases[0]);
    take_fd(m, "journal", &s->leases[1]);
    c.tap_fd = tap;
    c.netns_fd = netns;
    s->guest = (struct guest){ 0 };
    s->said.total = 0;
    vh__agent_decoder_init(s->agent, VH_AGENT_FROM_GUEST);
    rc = spawn_vmm(s, w, ops, &c, err);
    if (rc)
        memory_release(s);
    return rc;
}

int memory_connect(struct shim *s, const vh__wait *w, vh_error *err)
{
    int rc = connect_vmm(s, w, err);

    if (rc)
        memory_release(s);
    return rc;
}

/* Pages first: from here on the VMM may wait for one before it answers. */
int memory_bind(struct shim *s, const vh__wait *w, vh__shim_message *m, vh_error *err)
{
    vh_auto_fd int rootfs = vh__shim_take_fd(m, "rootfs");
    vh__shim_bind b;
    int rc = vh__shim_bind_decode(m->json, &b, err);

    if (rc)
        return rc;
    take_common_fds(s, m);
    if (s->uffd_sock < 0 || s->memory_fd < 0 || rootfs < 0)
        return vh_error_set(err, VH_EPROTOCOL, "bind: a second time, or no memory, or no disk");
    rc = set_ws_identity(s, b.snapshot, s->memory_bytes, err);
    if (rc == 0)
        rc = start_pager(s, w, &b, err);
    if (rc == 0)
        rc = connect_vmm(s, w, err);
    if (rc == 0)
        rc = s->vmm->ops->attach(s->vmm, w, rootfs, err);
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
    vh__fd_close(&s->uffd_sock);
    s->connected = false;
}
