/*
 * Figures of module snapshot on this machine: how long saving, publishing, opening and verifying take.
 *
 *     snapshot-micro DIR [MIB [DATA_MIB]]     DIR is on the disk to measure; a guest of MIB (default 256) of which
 *                                             DATA_MIB (default 120) are data, scattered in runs of random length
 *
 * The memory is read from a memfd, as QEMU's. Opening is with files just written; verifying with them evicted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "auto.h"
#include "clock.h"
#include "path.h"
#include "snapshot.h"

enum { ROUNDS = 9, PAGE = 4096, VMSTATE = 68 << 10 };
enum { SAVE, PUBLISH, OPEN, VERIFY, FIGURES };

static void must(int rc, const vh_error *err)
{
    if (rc == 0)
        return;
    fprintf(stderr, "snapshot-micro: %s\n", err->msg);
    exit(1);
}

/* Runs of 16 to 400 pages of data, a tenth of them zero, with as long holes between them; the same every time. */
static int make_guest(size_t size, size_t data)
{
    int fd = memfd_create("guest", MFD_CLOEXEC);
    uint64_t page[PAGE / sizeof(uint64_t)];
    size_t written = 0;

    if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
        return -1;
    srand(1);
    for (size_t at = 0; at < size && written < data; at += (size_t)(16 + rand() % 400) * PAGE) {
        for (int run = 16 + rand() % 385; run > 0 && at < size; run--, at += PAGE, written += PAGE) {
            for (size_t i = 0; i < VH_ARRAY_LEN(page); i++)
                page[i] = (uint64_t)rand();
            if (rand() % 10 == 0)
                memset(page, 0, sizeof(page));
            if (pwrite(fd, page, PAGE, (off_t)at) != PAGE)
                return -1;
        }
    }
    return fd;
}

static void save_one(vh_snapshots *s, const cJSON *identity, int guest, size_t size, double *ms, char *id)
{
    static const vh__snapshot_facts facts = { .image = "oci:micro", .image_digest = "none", .vmm = "none",
                                              .vmm_version = "0", .accel = "none" };
    static const char vmstate[VMSTATE] = "devices";
    vh__wait w = vh__wait_from(NULL, 60000);
    vh__snapshot_draft *d;
    vh_error err = { 0 };
    int64_t start;

    must(vh__snapshot_draft_begin(s, identity, false, &w, &d, &err), &err);
    if (pwrite(vh__snapshot_draft_vmstate_fd(d), vmstate, VMSTATE, 0) != VMSTATE)
        must(vh_error_set(&err, VH_ESTATE, "write vmstate"), &err);
    start = vh__clock_mono_ns();
    must(vh__snapshot_draft_save_memory(d, guest, size, &w, &err), &err);
    ms[SAVE] = (double)(vh__clock_mono_ns() - start) / 1e6;
    start = vh__clock_mono_ns();
    must(vh__snapshot_draft_publish(d, &facts, NULL, id, &err), &err);
    ms[PUBLISH] = (double)(vh__clock_mono_ns() - start) / 1e6;
    vh__snapshot_draft_abort(d);
}

static void measure(vh_snapshots *s, int guest, size_t size, double *ms)
{
    cJSON *identity = cJSON_Parse("{\"function\":\"micro\"}");
    char key[VH_DIGEST_TEXT], id[VH_SNAPSHOT_ID];
    vh__snapshot *snap;
    vh_error err = { 0 };
    int64_t start;

    must(vh__snapshot_key(identity, key, &err), &err);
    save_one(s, identity, guest, size, ms, id);
    cJSON_Delete(identity);
    start = vh__clock_mono_ns();
    must(vh__snapshot_open(s, key, &snap, &err), &err);
    ms[OPEN] = (double)(vh__clock_mono_ns() - start) / 1e6;
    vh__snapshot_close(snap);
    must(vh_snapshots_evict(s, id, &err), &err);
    start = vh__clock_mono_ns();
    must(vh_snapshots_verify(s, id, NULL, &err), &err);
    ms[VERIFY] = (double)(vh__clock_mono_ns() - start) / 1e6;
    must(vh_snapshots_remove(s, id, &err), &err);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void print_medians(double (*rounds)[FIGURES])
{
    static const char *const names[FIGURES] = { "save memory", "publish (sync)", "open", "verify, cold" };

    for (int f = 0; f < FIGURES; f++) {
        double column[ROUNDS];

        for (int r = 0; r < ROUNDS; r++)
            column[r] = rounds[r][f];
        qsort(column, ROUNDS, sizeof(column[0]), by_value);
        printf("%-16s median %8.2f ms   worst %8.2f ms\n", names[f], column[ROUNDS / 2], column[ROUNDS - 1]);
    }
}

int main(int argc, char **argv)
{
    size_t size = (argc > 2 ? strtoul(argv[2], NULL, 10) : 256) << 20;
    size_t data = (argc > 3 ? strtoul(argv[3], NULL, 10) : 120) << 20;
    vh_env_options o = VH_ENV_OPTIONS_INIT;
    double rounds[ROUNDS][FIGURES];
    char state[4096];
    vh_snapshots *s;
    vh_env *env;
    vh_error err = { 0 };
    int guest;

    if (argc < 2 || size == 0) {
        fprintf(stderr, "usage: snapshot-micro DIR [MIB [DATA_MIB]]\n");
        return 2;
    }
    snprintf(state, sizeof(state), "%s/snapshot-micro.state", argv[1]);
    o.state_dir = state;
    must(vh_env_new(&o, &env, &err), &err);
    must(vh_snapshots_new(env, &s, &err), &err);
    guest = make_guest(size, data);
    if (guest < 0)
        must(vh_error_set(&err, VH_ESTATE, "make guest memory"), &err);
    for (int r = 0; r < ROUNDS; r++)
        measure(s, guest, size, rounds[r]);
    print_medians(rounds);
    vh_snapshots_free(s);
    vh_env_free(env);
    close(guest);
    must(vh__path_remove(state, &err), &err);
    return 0;
}
