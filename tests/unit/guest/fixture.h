/* Crafted kernels, modules and packages for the tests of lib/guest. */
#ifndef VH_TESTS_GUEST_FIXTURE_H
#define VH_TESTS_GUEST_FIXTURE_H

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "auto.h"
#include "fd.h"
#include "path.h"
#include "testenv.h"

#define FIXTURE_RELEASE "6.9.1-3-cloud-amd64"

/** Writes |n| bytes as dir/name, whose folders are made. */
static inline void fixture_file(const char *dir, const char *name, const void *bytes, size_t n)
{
    vh_auto_free char *path = vh__path_join(dir, name), *folder = strdup(path);
    vh_error err = { 0 };

    *strrchr(folder, '/') = '\0';
    assert_ok(vh__path_mkdirs(folder, 0755, &err), err);
    assert_ok(vh__file_write_atomic(path, bytes, n, 0644, &err), err);
}

/** Appends the smallest ELF64 module with |n| bytes of .modinfo: "key=value" strings, each with its NUL. */
static inline void fixture_module(vh__buf *out, const char *modinfo, size_t n)
{
    static const char names[] = "\0.modinfo\0.shstrtab";
    Elf64_Ehdr eh = { .e_ident = ELFMAG, .e_type = ET_REL, .e_machine = EM_X86_64, .e_version = 1,
                      .e_ehsize = sizeof(eh), .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 3, .e_shstrndx = 2 };
    Elf64_Shdr sh[3] = { { .sh_type = SHT_NULL } };

    eh.e_ident[EI_CLASS] = ELFCLASS64;
    eh.e_ident[EI_DATA] = ELFDATA2LSB;
    eh.e_shoff = sizeof(eh) + n + sizeof(names);
    sh[1] = (Elf64_Shdr){ .sh_name = 1, .sh_type = SHT_PROGBITS, .sh_offset = sizeof(eh), .sh_size = n };
    sh[2] = (Elf64_Shdr){ .sh_name = 10, .sh_type = SHT_STRTAB, .sh_offset = sizeof(eh) + n, .sh_size = sizeof(names) };
    vh__buf_append(out, &eh, sizeof(eh));
    vh__buf_append(out, modinfo, n);
    vh__buf_append(out, names, sizeof(names));
    vh__buf_append(out, sh, sizeof(sh));
}

/** Appends a module that names its dependencies. */
static inline void fixture_depends(vh__buf *out, const char *depends)
{
    vh_auto_buf vh__buf info = { 0 };

    vh__buf_append(&info, "license=GPL", 12);
    vh__buf_printf(&info, "depends=%s", depends);
    vh__buf_append(&info, "\0name=x", 8);
    fixture_module(out, info.data, info.len);
}

/** A bzImage that packs |n| bytes by gzip. */
static inline void fixture_bzimage(vh__buf *out, const void *payload, size_t n)
{
    vh_auto_free char *packed = malloc(n + 4096);
    struct archive *a = archive_write_new();
    struct archive_entry *e = archive_entry_new();
    uint32_t start = 0x80, length;
    size_t used = 0;

    archive_write_add_filter_gzip(a);
    archive_write_set_format_raw(a);
    assert_int_equal(archive_write_open_memory(a, packed, n + 4096, &used), ARCHIVE_OK);
    archive_entry_set_filetype(e, AE_IFREG);
    assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
    assert_int_equal(archive_write_data(a, payload, n), (la_ssize_t)n);
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_entry_free(e);
    archive_write_free(a);
    length = (uint32_t)used;
    memset(vh__buf_reserve(out, 2 * 512 + start), 0, 2 * 512 + start);
    out->len += 2 * 512 + start;
    out->data[0x1f1] = 1; /* one sector of setup code */
    memcpy(out->data + 0x202, "HdrS\x0f\x02", 6);
    memcpy(out->data + 0x248, &start, 4);
    memcpy(out->data + 0x24c, &length, 4);
    vh__buf_append(out, packed, used);
}

static inline void fixture_entry(struct archive *a, const char *name, const vh__buf *data)
{
    struct archive_entry *e = archive_entry_new();

    archive_entry_set_pathname(e, name);
    archive_entry_set_mode(e, S_IFREG | 0644);
    archive_entry_set_size(e, (la_int64_t)data->len);
    assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
    assert_int_equal(archive_write_data(a, data->data, data->len), (la_ssize_t)data->len);
    archive_entry_free(e);
}

/* The files of a package, as a compressed tar archive. */
static inline void fixture_data_tar(vh__buf *out, int filter, const char *kernel)
{
    static const char *const modules[][2] = {
        { "drivers/virtio/virtio_ring.ko", "" },
        { "drivers/virtio/virtio.ko", "virtio_ring" },
        { "drivers/virtio/virtio_mmio.ko", "virtio,virtio_ring" },
        { "drivers/char/virtio_console.ko", "virtio,virtio-ring" },
        { "fs/overlayfs/overlay.ko", "" },
        { "drivers/gpu/large.ko", "" },
    };
    size_t used = 0, room = 1 << 20;
    struct archive *a = archive_write_new();
    vh_auto_buf vh__buf data = { 0 };
    char *to = vh__buf_reserve(out, room), name[128];

    archive_write_add_filter(a, filter);
    archive_write_set_format_gnutar(a);
    assert_int_equal(archive_write_open_memory(a, to, room, &used), ARCHIVE_OK);
    vh__buf_puts(&data, "text");
    fixture_entry(a, "./usr/share/doc/kernel/README", &data);
    for (size_t i = 0; kernel && i < VH_ARRAY_LEN(modules); i++) {
        vh__buf_clear(&data);
        fixture_depends(&data, modules[i][1]);
        snprintf(name, sizeof(name), "./lib/modules/" FIXTURE_RELEASE "/kernel/%s", modules[i][0]);
        fixture_entry(a, name, &data);
    }
    vh__buf_clear(&data);
    if (kernel) {
        fixture_bzimage(&data, kernel, strlen(kernel));
        fixture_entry(a, "./boot/vmlinuz-" FIXTURE_RELEASE, &data);
    }
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
    out->len += used;
}

/** Writes a Debian package with some modules and |kernel| in a bzImage; NULL: with documentation only. */
static inline void fixture_deb(const char *path, int filter, const char *kernel)
{
    struct archive *a = archive_write_new();
    vh_auto_buf vh__buf version = { 0 }, data = { 0 };

    archive_write_set_format_ar_bsd(a);
    assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
    vh__buf_puts(&version, "2.0\n");
    fixture_data_tar(&data, filter, kernel);
    fixture_entry(a, "debian-binary", &version);
    fixture_entry(a, filter == ARCHIVE_FILTER_XZ ? "data.tar.xz" : "data.tar.gz", &data);
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
}

#endif
