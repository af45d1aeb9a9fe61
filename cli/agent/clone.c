#include "clone.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "mounts.h"
#include "process.h"

int64_t clone_realtime_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static int seed_kernel(struct clone *c, const uint8_t seed[VH_AGENT_SEED], struct fault *f)
{
    struct {
        struct rand_pool_info info;
        uint8_t bytes[VH_AGENT_SEED];
    } pool = { .info = { .entropy_count = VH_AGENT_SEED * 8, .buf_size = VH_AGENT_SEED } };

    if (c->random_fd < 0)
        c->random_fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
    if (c->random_fd < 0)
        return fault_set(f, "random", "open /dev/urandom: %m");
    memcpy(pool.info.buf, seed, VH_AGENT_SEED);
    /* crediting alone would leave the running generator as it was up to its next reseeding, a minute away */
    return ioctl(c->random_fd, RNDADDENTROPY, &pool) < 0 || ioctl(c->random_fd, RNDRESEEDCRNG) < 0
               ? fault_set(f, "random", "reseed: %m")
               : 0;
}

static int set_clock(int64_t realtime_ns, struct fault *f)
{
    struct timespec t = { .tv_sec = realtime_ns / NS_PER_S, .tv_nsec = realtime_ns % NS_PER_S };

    return realtime_ns < 0 || clock_settime(CLOCK_REALTIME, &t) < 0
               ? fault_set(f, "clock", "set to %lld ns: %m", (long long)realtime_ns)
               : 0;
}

int clone_adjust(int64_t delta_ns, struct fault *f)
{
    int64_t now = clone_realtime_ns(), then;

    if (__builtin_add_overflow(now, delta_ns, &then))
        return fault_set(f, "clock", "cannot move by %lld ns", (long long)delta_ns);
    return set_clock(then, f);
}

int clone_refresh(struct clone *c, int64_t realtime_ns, const uint8_t seed[VH_AGENT_SEED], struct fault *f)
{
    if (realtime_ns != 0 && set_clock(realtime_ns, f) < 0)
        return -1;
    return seed_kernel(c, seed, f);
}

/* Appends |entry| with its NUL to |text|, whose size both messages' limits have seen to. */
static size_t append(char *text, size_t n, const char *entry)
{
    size_t len = strlen(entry) + 1;

    memcpy(text + n, entry, len);
    return n + len;
}

static int write_env(const vh__agent_list *env, const vh__agent_list *late, struct fault *f)
{
    static char text[2 * VH_AGENT_FRAME_MAX];
    size_t n = 0;

    for (uint32_t i = 0; i < env->n; i++)
        if (!env_has(late, env->v[i]))
            n = append(text, n, env->v[i]);
    for (uint32_t i = 0; i < late->n; i++)
        n = append(text, n, late->v[i]);
    return file_replace(VHIVE_RUN_DIR "/env", text, n, 0644) < 0
               ? fault_set(f, "clone", "write %s: %m", VHIVE_RUN_DIR "/env")
               : 0;
}

/* In place, by one write: generations of clones have as many digits as each other, so no reader sees half of one. */
static int write_generation(struct clone *c, uint64_t generation, struct fault *f)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)generation);

    return pwrite(c->generation_fd, text, (size_t)n, 0) != n
               ? fault_set(f, "clone", "write %s: %m", VHIVE_RUN_DIR "/generation")
               : 0;
}

int clone_prepare(struct clone *c, const vh__agent_list *env, const vh__agent_list *late, struct fault *f)
{
    c->generation_fd = open(VHIVE_RUN_DIR "/generation", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (c->generation_fd < 0)
        return fault_set(f, "clone", "make %s: %m", VHIVE_RUN_DIR "/generation");
    return write_env(env, late, f) < 0 ? -1 : write_generation(c, 0, f);
}

int clone_publish(struct clone *c, uint64_t generation, const vh__agent_list *env, const vh__agent_list *late,
                  struct fault *f)
{
    if (late->n && write_env(env, late, f) < 0)
        return -1;
    return write_generation(c, generation, f);
}
