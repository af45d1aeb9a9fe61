#include "guest_priv.h"

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "auto.h"
#include "fd.h"

#define IMAGE_MAX   (256 << 20)
#define VMLINUX_MAX (1 << 30)

/* Offsets of the boot protocol (Documentation/x86/boot.rst). */
enum { SETUP_SECTS = 0x1f1, MAGIC = 0x202, VERSION = 0x206, PAYLOAD_OFFSET = 0x248, PAYLOAD_LENGTH = 0x24c };

static uint32_t number(const uint8_t *p, unsigned bytes)
{
    uint32_t v = 0;

    while (bytes--)
        v = v << 8 | p[bytes];
    return v;
}

/* The compressed kernel within a bzImage. */
static bool find_payload(const vh__buf *image, const uint8_t **payload, size_t *n)
{
    const uint8_t *p = (const uint8_t *)image->data;
    uint64_t off, len;

    if (image->len < 0x250 || memcmp(p + MAGIC, "HdrS", 4) != 0 || number(p + VERSION, 2) < 0x208)
        return false;
    off = ((p[SETUP_SECTS] ? p[SETUP_SECTS] : 4) + 1) * 512ull + number(p + PAYLOAD_OFFSET, 4);
    len = number(p + PAYLOAD_LENGTH, 4);
    if (len < 8 || off > image->len || len > image->len - off)
        return false;
    *payload = p + off;
    /* every format but gzip is followed by the unpacked length, which its reader would take for another frame */
    *n = p[off] == 0x1f && p[off + 1] == 0x8b ? len : len - 4;
    return true;
}

static int decompress(struct archive *a, const uint8_t *payload, size_t n, int fd, const char *what, vh_error *err)
{
    struct archive_entry *entry;
    uint64_t total = 0;
    const void *block;
    la_int64_t off;
    size_t len;
    int rc;

    if (archive_read_open_memory(a, payload, n) != ARCHIVE_OK || archive_read_next_header(a, &entry) != ARCHIVE_OK)
        return vh__archive_error(a, what, err);
    while ((rc = archive_read_data_block(a, &block, &len, &off)) == ARCHIVE_OK) {
        if (total == 0 && (len < SELFMAG || memcmp(block, ELFMAG, SELFMAG) != 0))
            return vh_error_set(err, VH_ECORRUPT, "%s: what it packs is no ELF kernel", what);
        if (total + len > VMLINUX_MAX)
            return vh_error_set(err, VH_ELIMIT, "%s: unpacks to more than %d bytes", what, VMLINUX_MAX);
        rc = vh__fd_pwrite_full(fd, block, len, total, what, err);
        if (rc)
            return rc;
        total += len;
    }
    return rc == ARCHIVE_EOF ? 0 : vh__archive_error(a, what, err);
}

static int unpack(const vh__buf *image, int fd, const char *what, vh_error *err)
{
    const uint8_t *payload;
    struct archive *a;
    size_t n;
    int rc;

    if (image->len >= SELFMAG && memcmp(image->data, ELFMAG, SELFMAG) == 0)
        return vh__fd_pwrite_full(fd, image->data, image->len, 0, what, err);
    if (!find_payload(image, &payload, &n))
        return vh_error_set(err, VH_ECORRUPT, "%s: neither a bzImage nor an ELF kernel", what);
    a = archive_read_new();
    if (!a)
        return vh_error_set(err, -ENOMEM, "unpack %s", what);
    archive_read_support_filter_all(a); /* a warning means that some filter needs a program; none of ours does */
    archive_read_support_format_raw(a); /* as above */
    rc = decompress(a, payload, n, fd, what, err);
    archive_read_free(a); /* was only read */
    return rc;
}

int vh__vmlinux_extract(const char *image, const char *to, vh_error *err)
{
    vh_auto_buf vh__buf bytes = { 0 };
    vh_auto_fd int fd = -1;
    int rc = vh__file_read(image, IMAGE_MAX, &bytes, err);

    if (rc)
        return rc;
    fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return vh_error_set(err, -errno, "create %s", to);
    rc = unpack(&bytes, fd, image, err);
    if (rc == 0 && fsync(fd) < 0)
        rc = vh_error_set(err, -errno, "write %s", to);
    return rc;
}
