#include "guest_priv.h"

#include <time.h>

#include "clock.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>

#define MEASURE_NS (10 * VH_NS_PER_MS)

/* A pair of readings taken as close together as can be: the tightest of a few, against being preempted in between. */
static void sample(uint64_t *tsc, int64_t *ns)
{
    uint64_t best = UINT64_MAX;

    for (int i = 0; i < 8; i++) {
        uint64_t before = __rdtsc(), after;
        int64_t now = vh__clock_mono_ns();

        after = __rdtsc();
        if (after - before < best) {
            best = after - before;
            *tsc = before + best / 2;
            *ns = now;
        }
    }
}

static uint32_t measure(void)
{
    uint64_t from = 0, to = 0;
    int64_t begin = 0, end = 0;

    sample(&from, &begin);
    (void)nanosleep(&(struct timespec){ .tv_nsec = MEASURE_NS }, NULL); /* interrupted it is just shorter */
    sample(&to, &end);
    return end > begin && to > from ? (uint32_t)((double)(to - from) * 1e6 / (double)(end - begin) + 0.5) : 0;
}

/* CPUID tells it exactly on newer Intel machines; elsewhere it is measured. */
static uint32_t frequency_khz(void)
{
    unsigned den = 0, num = 0, hz = 0, unused = 0;

    if (__get_cpuid(0x15, &den, &num, &hz, &unused) && den && num && hz)
        return (uint32_t)((uint64_t)hz * num / den / 1000);
    return measure();
}
#else
static uint32_t frequency_khz(void)
{
    return 0;
}
#endif

uint32_t vh__guest_tsc_khz(vh__guest *g)
{
    uint32_t khz;

    pthread_mutex_lock(&g->lock);
    if (!g->tsc_measured) {
        g->tsc_khz = frequency_khz();
        g->tsc_measured = true;
    }
    khz = g->tsc_khz;
    pthread_mutex_unlock(&g->lock);
    return khz;
}
