/*
 * pyhello's hook after a restore: has the server seed its random numbers anew, and returns when it has, so that no
 * request meets the numbers that every clone of the snapshot has.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DONE    "/run/vhive/reseeded" /* a FIFO that the server writes to */
#define WAIT_MS 5000

/* The FIFO, for the user of process |pid| to write to. */
static int open_fifo(const char *pid)
{
    char path[64];
    struct stat server;

    snprintf(path, sizeof(path), "/proc/%s", pid);
    if (stat(path, &server) < 0 || (mkfifo(DONE, 0600) < 0 && errno != EEXIST) ||
        chown(DONE, server.st_uid, server.st_gid) < 0)
        return -1;
    return open(DONE, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

int main(void)
{
    const char *pid = getenv("VHIVE_PID");
    struct pollfd p = { .events = POLLIN };

    p.fd = pid ? open_fifo(pid) : -1;
    if (p.fd < 0 || kill((pid_t)strtol(pid, NULL, 10), SIGUSR1) < 0) {
        perror("post-restore: the server");
        return 1;
    }
    if (poll(&p, 1, WAIT_MS) <= 0) {
        fprintf(stderr, "post-restore: no answer of the server within %d ms\n", WAIT_MS);
        return 1;
    }
    return unlink(DONE) < 0;
}
