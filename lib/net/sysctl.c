#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "net_priv.h"

int vh__net_sysctl_write(const char *name, const char *value, vh_error *err)
{
    vh_auto_fd int fd = -1;
    char path[96];

    snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value))
        return 0;
    if (errno == EROFS)
        return vh_error_set(err, VH_EMISSING,
                            "set %s: /proc/sys is read-only here: mount it writable, or run privileged", path);
    return vh_error_set(err, -errno, "set %s to %s", path, value);
}

int vh__net_sysctl_forward(bool *changed, vh_error *err)
{
    vh_auto_fd int fd = open("/proc/sys/net/ipv4/ip_forward", O_RDONLY | O_CLOEXEC);
    char now = 0;
    int rc;

    if (fd < 0 || read(fd, &now, 1) != 1)
        return vh_error_set(err, -errno, "read /proc/sys/net/ipv4/ip_forward");
    if (now == '1')
        return 0;
    rc = vh__net_sysctl_write("ipv4/ip_forward", "1", err);
    *changed = rc == 0;
    return rc;
}
