/*
 * replay FOLDER: feeds every file of a seed corpus to a fuzz target, then truncations and byte flips of each. The
 * mutations are the same in every run; only how many are tried is bounded by time, and every seed itself is always
 * tried. Inputs lie in exact-size heap blocks, so that a sanitizer sees a read past their end.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Mutations of each kind per seed, spread evenly over its length. */
#define MUTATIONS 256
/* Seconds after which no further mutations are made. */
#define SECONDS 10
/* Seeds are small; a larger file is a mistake. */
#define SEED_MAX (1 << 20)

struct replay {
    unsigned long seeds, inputs;
    time_t stop;
};

static time_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static void try_input(struct replay *r, const uint8_t *bytes, size_t n, size_t flip_at, uint8_t flip)
{
    uint8_t *copy = malloc(n); /* not NULL for 0 either, as libFuzzer has it */

    if (!copy)
        abort();
    memcpy(copy, bytes, n);
    if (flip_at < n)
        copy[flip_at] ^= flip;
    (void)LLVMFuzzerTestOneInput(copy, n); /* by libFuzzer's contract it is 0 */
    free(copy);
    r->inputs++;
}

static void try_mutations(struct replay *r, const uint8_t *bytes, size_t n)
{
    static const uint8_t flips[] = { 0x01, 0x80, 0xff };
    size_t rounds = n < MUTATIONS ? n : MUTATIONS;

    for (size_t i = 0; i < rounds && now() < r->stop; i++) {
        size_t at = n * i / rounds;

        try_input(r, bytes, at, SIZE_MAX, 0);
        for (size_t f = 0; f < sizeof(flips); f++)
            try_input(r, bytes, n, at, flips[f]);
    }
}

/* Reads the seed at |path| into |bytes| of SEED_MAX. Returns its length, or -1 after saying why not. */
static long read_seed(const char *path, uint8_t *bytes)
{
    FILE *f = fopen(path, "rb");
    size_t n;

    if (!f) {
        perror(path);
        return -1;
    }
    n = fread(bytes, 1, SEED_MAX, f);
    fclose(f);
    if (n == SEED_MAX) {
        fprintf(stderr, "%s: %d bytes or more, too large for a seed\n", path, SEED_MAX);
        return -1;
    }
    return (long)n;
}

static int replay_folder(struct replay *r, const char *folder, uint8_t *bytes)
{
    struct dirent **names;
    int count = scandir(folder, &names, NULL, alphasort), rc = 0;

    if (count < 0) {
        perror(folder);
        return 1;
    }
    for (int i = 0; i < count; i++) {
        char path[4096];
        struct stat st;
        long n;

        snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
        free(names[i]);
        if (rc || stat(path, &st) || !S_ISREG(st.st_mode))
            continue;
        n = read_seed(path, bytes);
        if (n < 0) {
            rc = 1;
            continue;
        }
        try_input(r, bytes, (size_t)n, SIZE_MAX, 0);
        try_mutations(r, bytes, (size_t)n);
        r->seeds++;
    }
    free(names);
    return rc;
}

int main(int argc, char **argv)
{
    struct replay r = { .stop = now() + SECONDS };
    uint8_t *bytes = malloc(SEED_MAX);
    int rc;

    if (argc != 2 || !bytes) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    rc = replay_folder(&r, argv[1], bytes);
    free(bytes);
    printf("%lu seeds, %lu inputs\n", r.seeds, r.inputs);
    return rc || r.seeds == 0; /* a replay of nothing proves nothing */
}
