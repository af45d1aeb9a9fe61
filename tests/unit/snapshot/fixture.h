/* What the catalogue's tests share: a catalogue of their own, guest memory, and ways to save and to damage. */
#ifndef VH_TESTS_SNAPSHOT_FIXTURE_H
#define VH_TESTS_SNAPSHOT_FIXTURE_H

#include "testenv.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auto.h"
#include "snapshot.h"

#define PAGE 4096U
/* three chunks, the last one short */
#define MEMORY (5U << 20)

typedef struct fixture {
    testenv t;
    vh_snapshots *s;
    int memfd;
} fixture;

static const vh__snapshot_facts some_facts = { .image = "oci:functions/hello", .image_digest = "sha256:1234",
                                               .vmm = "qemu", .vmm_version = "7.2.0", .accel = "tcg",
                                               .memory_mib = 5, .cpus = 1, .pause_us = 1500, .boot_us = 3000000 };

/* Guest memory of |size| bytes: text in pages 1 to 3, zeros written to page 5, text in the last page, holes else. */
static inline int make_memory(size_t size)
{
    int fd = memfd_create("guest", MFD_CLOEXEC);
    char page[PAGE];

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    for (unsigned i = 1; i <= 3; i++) {
        memset(page, 'a' + (int)i, sizeof(page));
        assert_int_equal(pwrite(fd, page, PAGE, (off_t)(i * PAGE)), PAGE);
    }
    assert_int_equal(pwrite(fd, page, PAGE, (off_t)(size - PAGE)), PAGE);
    memset(page, 0, sizeof(page));
    assert_int_equal(pwrite(fd, page, PAGE, 5 * PAGE), PAGE);
    return fd;
}

static inline void fixture_init(fixture *f)
{
    vh_error err = { 0 };

    testenv_init(&f->t);
    assert_ok(vh_snapshots_new(f->t.env, &f->s, &err), err);
    f->memfd = make_memory(MEMORY);
}

static inline void fixture_fini(fixture *f)
{
    vh_snapshots_free(f->s);
    close(f->memfd);
    testenv_fini(&f->t);
}

/* Identity number |n|; the caller deletes it. */
static inline cJSON *identity(int n)
{
    cJSON *j = cJSON_CreateObject();

    cJSON_AddStringToObject(j, "image", "sha256:1234");
    cJSON_AddNumberToObject(j, "function", n);
    cJSON_AddNumberToObject(j, "format", VH_SNAPSHOT_FORMAT);
    return j;
}

static inline const char *key_of(int n, char key[VH_DIGEST_TEXT])
{
    cJSON *j = identity(n);
    vh_error err = { 0 };

    assert_ok(vh__snapshot_key(j, key, &err), err);
    cJSON_Delete(j);
    return key;
}

static inline int begin_within(vh_snapshots *s, int n, bool again, uint32_t ms, vh__snapshot_draft **d, vh_error *err)
{
    vh__wait w = vh__wait_from(NULL, ms);
    cJSON *j = identity(n);
    int rc = vh__snapshot_draft_begin(s, j, again, &w, d, err);

    cJSON_Delete(j);
    return rc;
}

/* Publishes |d| of |memfd|, and frees it, NULL if |rc|; returns the first error. */
static inline int finish(vh__snapshot_draft *d, int rc, int memfd, size_t size, const char *label,
                         char id[VH_SNAPSHOT_ID], vh_error *err)
{
    vh__wait w = vh__wait_from(NULL, 20000);

    if (rc == 0 && pwrite(vh__snapshot_draft_vmstate_fd(d), "devices", 7, 0) != 7)
        rc = vh_error_set(err, VH_ESTATE, "write vmstate");
    if (rc == 0)
        rc = vh__snapshot_draft_save_memory(d, memfd, size, &w, err);
    if (rc == 0)
        rc = vh__snapshot_draft_publish(d, &some_facts, label, id, err);
    vh__snapshot_draft_abort(d);
    return rc;
}

/* Saves identity |n| from |memfd|; returns the first error. No assertions, so it may run in a child. */
static inline int save(vh_snapshots *s, int n, int memfd, size_t size, const char *label, char id[VH_SNAPSHOT_ID],
                       vh_error *err)
{
    vh__snapshot_draft *d = NULL;
    int rc = begin_within(s, n, false, 20000, &d, err);

    return finish(d, rc, memfd, size, label, id, err);
}

/* Path of |file| of snapshot |id|, or of what is called |id| when |file| is "". */
static inline const char *path_of(const fixture *f, const char *id, const char *file)
{
    static _Thread_local char path[256];

    snprintf(path, sizeof(path), "%s/state/snapshots/%s%s%s", f->t.dir, id, *file ? "/" : "", file);
    return path;
}

static inline bool count_info(const vh_snapshot_info *info, void *arg)
{
    (void)info;
    ++*(int *)arg;
    return true;
}

static inline int count_snapshots(vh_snapshots *s)
{
    vh_error err = { 0 };
    int n = 0;

    assert_ok(vh_snapshots_list(s, count_info, &n, &err), err);
    return n;
}

/* Entries of the catalogue's directory beside labels/. */
static inline int count_entries(const fixture *f)
{
    vh_auto_dir DIR *dir = opendir(path_of(f, "", ""));
    struct dirent *e;
    int n = 0;

    assert_non_null(dir);
    while ((e = readdir(dir)))
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && strcmp(e->d_name, "labels") != 0;
    return n;
}

static inline void flip_byte(const char *path, off_t at)
{
    vh_auto_fd int fd = open(path, O_RDWR | O_CLOEXEC);
    unsigned char c;

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &c, 1, at), 1);
    c ^= 1;
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
}

#endif
