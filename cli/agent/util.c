#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

int fault_set(struct fault *f, const char *stage, const char *fmt, ...)
{
    va_list ap;

    f->stage = stage;
    f->code = VH_AGENT_EXIT_GUEST;
    va_start(ap, fmt);
    vsnprintf(f->text, sizeof(f->text), fmt, ap);
    va_end(ap);
    return -1;
}

void say(const char *fmt, ...)
{
    static const char head[] = "<2>vhive-agent: "; /* critical: shown on a quiet console, too */
    char line[640];
    va_list ap;
    int n;

    memcpy(line, head, sizeof(head));
    va_start(ap, fmt);
    n = vsnprintf(line + sizeof(head) - 1, sizeof(line) - sizeof(head) + 1, fmt, ap);
    va_end(ap);
    if (n > 0)
        (void)!write(STDERR_FILENO, line, strlen(line)); /* there is nowhere else to complain to */
}

int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

bool wait_for_path(const char *path, int ms)
{
    int64_t deadline = now_ns() + ms * NS_PER_MS;

    while (access(path, F_OK) < 0) {
        if (now_ns() > deadline)
            return false;
        nanosleep(&(struct timespec){ .tv_nsec = 2 * NS_PER_MS }, NULL);
    }
    return true;
}

int file_put(const char *path, const void *bytes, size_t n, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    const char *at = bytes;
    int code = 0;

    if (fd < 0)
        return -1;
    while (n && code == 0) {
        ssize_t done = write(fd, at, n);

        if (done < 0 && errno != EINTR)
            code = errno;
        if (done > 0) {
            at += done;
            n -= (size_t)done;
        }
    }
    if (close(fd) < 0 && code == 0)
        code = errno;
    errno = code;
    return code ? -1 : 0;
}

int file_replace(const char *path, const void *bytes, size_t n, mode_t mode)
{
    char temporary[128];

    snprintf(temporary, sizeof(temporary), "%s.new", path);
    (void)unlink(temporary); /* usually there is none */
    if (file_put(temporary, bytes, n, mode) < 0)
        return -1;
    return rename(temporary, path);
}

ssize_t file_get(const char *path, char *to, size_t cap)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    size_t have = 0;
    ssize_t got = -1;

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
        errno = EINVAL;
    else
        while (have < cap && (got = read(fd, to + have, cap - have)) > 0)
            have += (size_t)got;
    if (have == cap) {
        errno = EFBIG;
        got = -1;
    }
    (void)close(fd); /* was only read */
    if (got < 0)
        return -1;
    to[have] = '\0';
    return (ssize_t)have;
}
