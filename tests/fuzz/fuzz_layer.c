/* modules: image json digest base */
/*
 * Bytes as the layers of an image, through the whole conversion into a memory file. The first byte chooses the
 * compression and whether the same bytes lie below once more, which is where whiteouts and hard links work. Limits
 * are small; digests and the checksums of tar headers are put right, or nothing would get past them. What is accepted
 * must have a super block and whole sectors.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auto.h"
#include "convert.h"
#include "digest.h"
#include "tar_headers.h"

enum { LAYERS = 2, TIMEOUT_MS = 20000 };

typedef struct blob {
    uint8_t *bytes;
    size_t n;
} blob;

static int open_blob(void *arg, size_t i, const vh__wait *w, int *fd, vh_error *err)
{
    const blob *b = arg;

    (void)i;
    (void)w;
    *fd = memfd_create("layer", MFD_CLOEXEC);
    if (*fd < 0 || write(*fd, b->bytes, b->n) != (ssize_t)b->n || lseek(*fd, 0, SEEK_SET))
        return vh_error_set(err, -EIO, "memfd");
    return 0;
}

static void check_squashfs(int fd)
{
    char magic[4];
    struct stat st;

    if (fstat(fd, &st) || st.st_size < 4096 || st.st_size % 4096 || pread(fd, magic, 4, 0) != 4 ||
        memcmp(magic, "hsqs", 4) != 0)
        abort();
}

static void convert(vh__convert_job *job, int fd)
{
    vh__wait w = vh__wait_from(NULL, TIMEOUT_MS);
    vh_error err = { 0 };
    int rc = vh__convert(job, fd, &w, &err);

    if (rc && (err.code != rc || !err.msg[0]))
        abort();
    if (rc == 0)
        check_squashfs(fd);
}

/* The diff_id of compressed bytes is not known without unpacking them: such input is read, but never accepted. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const vh__oci_kind kinds[] = { VH_OCI_TAR, VH_OCI_TAR_GZIP, VH_OCI_TAR_ZSTD };
    char diff_ids[LAYERS][VH_DIGEST_TEXT];
    vh__oci_descriptor layers[LAYERS];
    vh_auto_free uint8_t *copy = malloc(n);
    vh_auto_fd int fd = memfd_create("squashfs", MFD_CLOEXEC);
    blob b = { .bytes = copy, .n = n - 1 };
    vh__convert_job job = {
        .layers = layers,
        .diff_ids = (const char (*)[VH_DIGEST_TEXT])diff_ids,
        .open = open_blob,
        .arg = &b,
        .budget = { .max_bytes = 1 << 20, .max_entries = 1000 },
    };

    if (n == 0 || !copy || fd < 0)
        return 0;
    memcpy(copy, data + 1, b.n);
    fix_headers(copy, b.n);
    job.n = data[0] & 1 ? 2 : 1;
    for (size_t i = 0; i < job.n; i++) {
        layers[i] = (vh__oci_descriptor){ .kind = kinds[(data[0] >> 1) % VH_ARRAY_LEN(kinds)], .size = b.n };
        if (vh__digest_bytes(b.bytes, b.n, layers[i].digest, NULL))
            abort();
        strcpy(diff_ids[i], layers[i].digest);
    }
    convert(&job, fd);
    return 0;
}
