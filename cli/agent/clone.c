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

int64_t clone_realtime_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static int seed_kernel(const uint8_t seed[VH_AGENT_SEED], struct fault *f)
{
    struct {
        struct rand_pool_info info;
        uint8_t bytes[VH_AGENT_SEED];
    } pool = { .info = { .entropy_count = VH_AGENT_SEED * 8, .buf_size = VH_AGENT_SEED } };
    int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC), rc;

    if (fd < 0)
        return fault_set(f, "random", "open /dev/urandom: %m");
    memcpy(pool.info.buf, seed, VH_AGENT_SEED);
    /* crediting alone would leave the running generator as it was up to its next reseeding, a minute away */
    rc = ioctl(fd, RNDADDENTROPY, &pool) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0 ? fault_set(f, "random", "reseed: %m") : 0;
    (void)close(fd); /* carried no data */
    return rc;
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

int clone_refresh(int64_t realtime_ns, const uint8_t seed[VH_AGENT_SEED], struct fault *f)
{
    if (realtime_ns != 0 && set_clock(realtime_ns, f) < 0)
        return -1;
    return seed_kernel(seed, f);
}

static int write_env(const vh__agent_list *env, struct fault *f)
{
    const char *first = env->n ? env->v[0] : "";
    size_t n = 0;

    /* the strings of a decoded list lie one behind the other, each with its NUL: just what the file holds */
    if (env->n)
        n = (size_t)(env->v[env->n - 1] + strlen(env->v[env->n - 1]) + 1 - first);
    return file_replace(VHIVE_RUN_DIR "/env", first, n, 0644) < 0
               ? fault_set(f, "clone", "write %s: %m", VHIVE_RUN_DIR "/env")
               : 0;
}

int clone_publish(uint64_t generation, const vh__agent_list *env, struct fault *f)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)generation);

    if (write_env(env, f) < 0)
        return -1;
    if (file_replace(VHIVE_RUN_DIR "/generation", text, (size_t)n, 0644) < 0)
        return fault_set(f, "clone", "write %s: %m", VHIVE_RUN_DIR "/generation");
    return 0;
}
