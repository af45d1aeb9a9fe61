#include "guest_priv.h"

#include <stdio.h>

/*
 * tsc=reliable: the watchdog compares the counter with a tick that TCG delivers late, and would disown it.
 * cryptomgr.notests: the ciphers' self-tests are a quarter of a boot under TCG (2.12 -> 1.56 s of processor time).
 * panic=-1, reboot=t: a dead guest ends its monitor (which runs with -no-reboot) instead of hanging.
 * Tried without measurable gain: mitigations=off, rodata=off, rcupdate.rcu_expedited=1, nowatchdog audit=0.
 */
#define FIXED "tsc=reliable cryptomgr.notests panic=-1 reboot=t"

/*
 * What a clone would spend its first milliseconds on, in code that an emulating VMM has to translate anew: pressure
 * statistics, security modules that no image can configure, and housekeeping that is due a moment after it resumes.
 */
#define LEAN "psi=0 lsm=landlock,yama sysctl.vm.stat_interval=600 sysctl.vm.compaction_proactiveness=0"

const char *vh__guest_cmdline(const vh__guest_boot *boot, char *buf, size_t n)
{
    int len = 0;

    if (boot->tsc_khz)
        len = snprintf(buf, n, "tsc_early_khz=%u ", boot->tsc_khz);
    len += snprintf(buf + len, n - (size_t)len, "%s %s", FIXED, LEAN);
    if (!boot->verbose)
        len += snprintf(buf + len, n - (size_t)len, " quiet loglevel=3");
    if (boot->console)
        (void)snprintf(buf + len, n - (size_t)len, " console=%.16s", boot->console);
    return buf;
}
