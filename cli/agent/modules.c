#include "modules.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LIST "/modules.list"

static int load(const char *path, struct fault *f)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    long rc;

    if (fd < 0)
        return fault_set(f, "modules", "open %s: %m", path);
    rc = syscall(SYS_finit_module, fd, "", 0);
    if (rc < 0 && errno != EEXIST)
        (void)fault_set(f, "modules", "load %s: %m", path);
    else
        rc = 0;
    (void)close(fd); /* was only read */
    (void)unlink(path); /* left there it costs memory, no more */
    return (int)rc;
}

int modules_load(struct fault *f)
{
    static char list[8192];

    if (file_get(LIST, list, sizeof(list)) < 0)
        return errno == ENOENT ? 0 : fault_set(f, "modules", "read %s: %m", LIST);
    for (char *path = strtok(list, "\n"); path; path = strtok(NULL, "\n"))
        if (load(path, f) < 0)
            return -1;
    (void)unlink(LIST); /* as above */
    return 0;
}
