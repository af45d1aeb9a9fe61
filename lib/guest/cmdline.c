#include "guest_priv.h"

#include <stdio.h>

const char *vh__guest_cmdline(const vh__guest_boot *boot, char *buf, size_t n)
{
    int len = 0;

    if (boot->tsc_khz)
        len = snprintf(buf, n, "tsc_early_khz=%u ", boot->tsc_khz);
    len += snprintf(buf + len, n - (size_t)len, "tsc=reliable panic=-1 reboot=t");
    if (!boot->verbose)
        len += snprintf(buf + len, n - (size_t)len, " quiet loglevel=3");
    if (boot->console)
        (void)snprintf(buf + len, n - (size_t)len, " console=%.16s", boot->console);
    return buf;
}
