/* One daemon for each state directory: <state>/vhived.lock, which the kernel releases whatever our end. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "auto.h"
#include "path.h"
#include "vhived.h"

/* Who holds the lock, as it wrote there. */
static int tell_holder(int fd, const char *state, vh_error *err)
{
    char pid[16] = "";

    if (pread(fd, pid, sizeof(pid) - 1, 0) <= 0)
        strcpy(pid, "?"); /* it has just taken it */
    pid[strcspn(pid, "\n")] = '\0';
    return vh_error_set(err, VH_ESTATE,
                        "state directory %s: another vhived serves it, process %s; end that one, or name another "
                        "--state-dir", state, pid);
}

int vhived_lock(vhived *d, vh_error *err)
{
    const char *state = vh_env_state_dir(d->env);
    vh_auto_free char *path = vh__path_join(state, "vhived.lock");
    vh_auto_fd int fd = -1;
    char pid[16];
    int n, rc;

    if (!path)
        return vh_error_set(err, -ENOMEM, "lock of %s", state);
    rc = vh__path_mkdirs(state, 0711, err);
    if (rc)
        return rc;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return vh_error_set(err, -errno, "open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB))
        return errno == EWOULDBLOCK ? tell_holder(fd, state, err) : vh_error_set(err, -errno, "lock %s", path);
    n = snprintf(pid, sizeof(pid), "%d\n", getpid());
    if (ftruncate(fd, 0) || pwrite(fd, pid, (size_t)n, 0) != n)
        return vh_error_set(err, -errno, "write %s", path);
    d->lock_fd = vh_steal_fd(&fd);
    return 0;
}

/* The file stays: removed, it could be locked by one while another makes it anew. */
void vhived_unlock(vhived *d)
{
    vh__fd_close(&d->lock_fd);
}
