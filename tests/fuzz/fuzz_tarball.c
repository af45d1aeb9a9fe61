/* modules: image registry json digest base */
/*
 * Bytes as the file of a docker-archive: its members are found by name, through links, and read, whole or not at all.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "auto.h"
#include "fd.h"
#include "tar_headers.h"
#include "tarball.h"

enum { TIMEOUT_MS = 20000, UNPACKED_MAX = 1 << 20 };

static void check(int rc, const vh_error *err)
{
    if (rc && (err->code != rc || !err->msg[0]))
        abort();
}

static void read_member(const vh__tarball *t, const char *name)
{
    vh_auto_buf vh__buf bytes = { 0 };
    vh_auto_fd int fd = -1;
    vh_error err = { 0 };
    vh__member m;
    int rc;

    if (!vh__tarball_find(t, name, &m))
        return;
    rc = vh__tarball_read(t, &m, UNPACKED_MAX, &bytes, &err);
    check(rc, &err);
    if (rc == 0 && bytes.len != m.size)
        abort();
    rc = vh__tarball_seek(t, &m, &fd, &err);
    check(rc, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const names[] = { "manifest.json", "index.json", "config.json", "a/layer.tar", "b/layer.tar" };
    vh_auto_free uint8_t *copy = malloc(n + 1);
    vh_auto_fd int fd = memfd_create("archive", MFD_CLOEXEC);
    vh__wait w = vh__wait_from(NULL, TIMEOUT_MS);
    vh__tarball *t = NULL;
    vh_error err = { 0 };
    char path[64];
    int rc;

    if (!copy || fd < 0)
        return 0;
    memcpy(copy, data, n);
    fix_headers(copy, n);
    if (vh__fd_pwrite_full(fd, copy, n, 0, "archive", NULL))
        return 0;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    rc = vh__tarball_open(path, P_tmpdir, UNPACKED_MAX, &w, &t, &err);
    check(rc, &err);
    for (size_t i = 0; rc == 0 && i < VH_ARRAY_LEN(names); i++)
        read_member(t, names[i]);
    vh__tarball_close(t);
    return 0;
}
