#include "vmm.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "auto.h"
#include "fd.h"
#include "path.h"
#include "vmm_priv.h"

static const vh__vmm_ops *const backends[] = { &vh__qemu_ops };

int vh__vmm_backend(const char *name, const vh__vmm_ops **ops, vh_error *err)
{
    for (size_t i = 0; i < VH_ARRAY_LEN(backends); i++) {
        if (strcmp(backends[i]->name, name) == 0) {
            *ops = backends[i];
            return 0;
        }
    }
    return vh_error_set(err, VH_EINVALID, "VMM '%s': unknown; there is: qemu", name);
}

int vh__vmm_spawn(const vh__vmm_ops *ops, const vh__vmm_config *c, vh__vmm **v, vh_error *err)
{
    vh__vmm *n = calloc(1, sizeof(*n));
    int rc;

    if (!n)
        return vh_error_set(err, -ENOMEM, "VMM");
    *n = (vh__vmm){ .ops = ops, .process = VH_PROCESS_INIT, .agent_fd = -1, .console_fd = -1, .stderr_fd = -1,
                    .saveable = c->memory == VH_VMM_MEMORY_SHARED };
    rc = ops->spawn(n, c, err);
    if (rc) {
        vh__vmm_free(n);
        return rc;
    }
    *v = n;
    return 0;
}

/* Bounded, so that one that never stops talking does not keep us. */
static void drain_one(int *fd, vh__ring *ring)
{
    char bytes[4096];

    for (int i = 0; i < 16 && *fd >= 0; i++) {
        ssize_t got = read(*fd, bytes, sizeof(bytes));

        if (got > 0)
            vh__ring_put(ring, bytes, (size_t)got);
        else if (got < 0 && errno == EAGAIN)
            return;
        else if (got == 0 || errno != EINTR)
            vh__fd_close(fd);
    }
}

void vh__vmm_drain(vh__vmm *v)
{
    drain_one(&v->console_fd, &v->console);
    drain_one(&v->stderr_fd, &v->complaints);
}

int vh__vmm_explain(vh__vmm *v, int code, vh_error *err)
{
    struct pollfd p = { .fd = v->process.pidfd, .events = POLLIN };
    char words[384], how[64];

    if (!v->ended && poll(&p, 1, code == -EPIPE || code == -ECONNRESET ? 200 : 0) != 1)
        return code;
    if (!v->ended)
        v->status = vh__process_kill(&v->process);
    v->ended = true;
    vh__vmm_drain(v);
    if (vh__ring_find(&v->console, "Kernel panic", words, sizeof(words)))
        return vh_error_set(err, VH_EVMM, "the guest's kernel has died: %s", words);
    vh__ring_tail(v->complaints.total ? &v->complaints : &v->console, words, sizeof(words));
    return vh_error_set(err, VH_EVMM, "%s %s; its last words: %s", v->ops->name,
                        vh__process_status_text(v->status, how, sizeof(how)), words[0] ? words : "(none)");
}

void vh__vmm_free(vh__vmm *v)
{
    if (!v)
        return;
    (void)vh__process_kill(&v->process); /* how it ended interests nobody any more */
    vh__fd_close(&v->agent_fd);
    vh__fd_close(&v->console_fd);
    vh__fd_close(&v->stderr_fd);
    v->ops->free(v);
    free(v);
}

/* "QEMU emulator version 7.2.22 (Debian ...)" -> "7.2.22" */
static int parse_version(const char *text, char version[32])
{
    const char *p = strstr(text, "QEMU emulator version ");

    return p && sscanf(p, "QEMU emulator version %31[0-9.]", version) == 1 ? 0 : VH_EVMM;
}

/* A VMM that takes longer than this to say what it is hangs. */
#define VERSION_MS 10000

int vh__vmm_version(const char *binary, const char *cache_dir, const vh__wait *w, char version[32], vh_error *err)
{
    vh_auto_free char *cache = NULL;
    vh_auto_buf vh__buf text = { 0 };
    vh__wait soon = vh__wait_within(w, VERSION_MS);
    struct stat st;
    int rc;

    if (stat(binary, &st) < 0)
        return vh_error_set(err, VH_EMISSING, "VMM %s: %s; install qemu-system-x86 or set vmm.qemu", binary,
                            strerror(errno));
    cache = vh__strf("%s/vmm-%llx-%llx-%llx", cache_dir ? cache_dir : "", (unsigned long long)st.st_ino,
                     (unsigned long long)st.st_mtime, (unsigned long long)st.st_size);
    if (!cache)
        return vh_error_set(err, -ENOMEM, "VMM version");
    if (cache_dir && vh__file_read(cache, 256, &text, NULL) == 0 && parse_version(text.data ? text.data : "", version) == 0)
        return 0;
    vh__buf_clear(&text);
    rc = vh__run_program((const char *[]){ binary, "--version", NULL }, NULL, &soon, 4096, &text, err);
    if (rc)
        return rc;
    if (parse_version(text.data ? text.data : "", version))
        return vh_error_set(err, VH_EVMM, "VMM %s: prints no version; is it QEMU?", binary);
    if (cache_dir) /* if it cannot be kept it is asked again next time */
        vh_ignore(vh__file_write_atomic(cache, text.data, VH_MIN(text.len, (size_t)256), 0644, NULL));
    return 0;
}
