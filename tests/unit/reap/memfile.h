/* A memory file whose every page tells its number; every seventh is zero, every other of those a hole. */
#ifndef VH_TESTS_REAP_MEMFILE_H
#define VH_TESTS_REAP_MEMFILE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "testenv.h"
#include "fd.h"
#include "reap.h"

enum { PAGE = VH_PAGE_SIZE_MIN };

static inline bool memfile_is_zero(uint32_t page)
{
    return page % 7 == 3;
}

static inline void memfile_page(uint32_t page, unsigned char out[PAGE])
{
    for (size_t i = 0; i < PAGE; i++)
        out[i] = memfile_is_zero(page) ? 0 : (unsigned char)((page * 31 + i * 7 + (page >> 8)) | 1);
}

/* Makes dir/memory and opens it for reading and writing. */
static inline int memfile_make(const testenv *t, uint32_t pages)
{
    unsigned char page[PAGE];
    vh_error err = { 0 };
    char path[128];
    int fd;

    snprintf(path, sizeof(path), "%s/memory", t->dir);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)pages * PAGE), 0);
    for (uint32_t i = 0; i < pages; i++) {
        if (i % 14 == 3)
            continue;
        memfile_page(i, page);
        assert_ok(vh__fd_pwrite_full(fd, page, PAGE, (uint64_t)i * PAGE, "memory", &err), err);
    }
    return fd;
}

static inline vh__ws_identity memfile_id(uint32_t pages)
{
    return (vh__ws_identity){ .snapshot = "sha256-1234", .memory_size = (uint64_t)pages * PAGE,
                             .page_size = PAGE };
}

static inline int open_dir(const testenv *t)
{
    int fd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

#endif
