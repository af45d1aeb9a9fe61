#include "engines.h"

#include <string.h>

static const bench_engine engines[] = {
    { "boot", VH_ENGINE_BOOT, .shell = false },
    { "file", VH_ENGINE_FILE, .shell = false },
    { "uffd", VH_ENGINE_UFFD, .shell = false },
    { "reap", VH_ENGINE_REAP, .shell = false },
    { "uffd-shell", VH_ENGINE_UFFD, .shell = true },
    { "reap-shell", VH_ENGINE_REAP, .shell = true },
    { "warm", VH_ENGINE_REAP, .running = true },
};

static const bench_engine *find(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
        if (strlen(engines[i].name) == n && strncmp(engines[i].name, name, n) == 0)
            return &engines[i];
    return NULL;
}

static int add(bench_engines *list, const char *name, size_t n, vh_error *err)
{
    const bench_engine *e = find(name, n);

    if (!e)
        return vh_error_set(err, VH_EINVALID, "--engines: '%.*s' is not one of " BENCH_ENGINES, (int)(n < 40 ? n : 40),
                            name);
    for (size_t i = 0; i < list->n; i++)
        if (list->v[i] == e)
            return vh_error_set(err, VH_EINVALID, "--engines: %s is there twice", e->name);
    list->v[list->n++] = e; /* there are fewer of them than BENCH_ENGINES_MAX, and each comes once */
    return 0;
}

int bench_engines_parse(const char *list, bench_engines *out, vh_error *err)
{
    bench_engines found = { .n = 0 };

    for (const char *name = list;; name++) {
        size_t n = strcspn(name, ",");
        int rc = add(&found, name, n, err);

        if (rc)
            return rc;
        name += n;
        if (!*name)
            break;
    }
    *out = found;
    return 0;
}

size_t bench_engines_turn(size_t n, size_t round, size_t k)
{
    size_t zigzag;

    if (n % 2 && round / n % 2)
        k = n - 1 - k; /* an odd square is balanced only together with its mirror image */
    zigzag = k % 2 ? (k + 1) / 2 : (n - k / 2) % n; /* 0, 1, n - 1, 2, n - 2, ...: each difference once */
    return (zigzag + round) % n;
}
