#include "hook.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOOK_NS        (10 * NS_PER_S)
#define READ_AHEAD_MAX (4U << 20)

bool hook_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

void hook_read_ahead(const char *path)
{
    static char block[65536];
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return; /* there is none */
    for (size_t i = 0; i < READ_AHEAD_MAX / sizeof(block) && read(fd, block, sizeof(block)) > 0; i++)
        ;
    (void)close(fd); /* was only read */
}

int hook_start(struct hook *h, const char *path, const struct function *fn, uint64_t generation, int epoll_fd,
               uint32_t tag, struct fault *f)
{
    char number[48], pid[32];
    struct process_spec spec = { .argv = { (const char *[]){ path, NULL }, 1 }, .env = fn->env,
                                 .extra = { (const char *[]){ number, pid }, 2 }, .cwd = "", .user = NULL,
                                 .fds = { -1, -1, -1 } };
    struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u32 = tag };

    *h = (struct hook){ .path = path, .out = { .fd = -1, .readable = true }, .kill_at_ns = now_ns() + HOOK_NS };
    snprintf(number, sizeof(number), "VHIVE_GENERATION=%llu", (unsigned long long)generation);
    snprintf(pid, sizeof(pid), "VHIVE_PID=%d", fn->pid);
    if (process_pipe(true, &h->out.fd, &spec.fds[1], f) == 0) {
        spec.fds[2] = spec.fds[1];
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, h->out.fd, &ev) == 0 && process_start(&spec, &h->pid, f) == 0) {
            fd_close(&spec.fds[1]); /* the process has it */
            return 0;
        }
    }
    fd_close(&spec.fds[1]);
    fd_close(&h->out.fd);
    h->path = NULL;
    f->stage = VH_AGENT_HOOK; /* whatever it lacked */
    return -1;
}

bool hook_ended(struct hook *h, pid_t pid, int status)
{
    if (!h->path || h->ended || h->pid != pid)
        return false;
    h->ended = true;
    h->status = status;
    /* its last words are what is in the pipe now: what it left behind may write for ever */
    if (h->out.fd < 0 || ioctl(h->out.fd, FIONREAD, &h->left) < 0)
        h->left = 0;
    h->out.readable = h->left > 0;
    return true;
}

/* Keeps the last of what it said, in one line. */
static void keep(struct hook *h, const char *data, size_t n)
{
    size_t room = sizeof(h->said) - 1, drop;

    if (n > room) {
        data += n - room;
        n = room;
    }
    drop = h->said_len + n > room ? h->said_len + n - room : 0;
    memmove(h->said, h->said + drop, h->said_len - drop);
    h->said_len -= drop;
    memcpy(h->said + h->said_len, data, n);
    h->said_len += n;
    h->said[h->said_len] = '\0';
}

bool hook_can_tend(const struct hook *h, const struct channel *ch)
{
    return h->path && h->out.fd >= 0 && h->out.readable && channel_room(ch) >= VH_AGENT_OUTPUT_MAX + CHANNEL_RESERVE;
}

static void read_output(struct hook *h, struct channel *ch)
{
    static char data[VH_AGENT_OUTPUT_MAX];
    vh__agent_msg m = { .type = VH_AGENT_OUTPUT, .stream = VH_AGENT_STDERR };
    ssize_t n = read(h->out.fd, data, sizeof(data));

    h->out.readable = n > 0 || (n < 0 && errno == EINTR);
    if (n == 0)
        fd_close(&h->out.fd); /* its writers are gone */
    if (n <= 0)
        return;
    h->left -= h->ended ? (int)n : 0;
    keep(h, data, (size_t)n);
    m.output = (vh__agent_bytes){ .data = data, .len = (uint32_t)n };
    (void)channel_send(ch, &m); /* hook_can_tend() has seen to the room */
}

/* How it ended, as a fault if it failed. */
static int judge(const struct hook *h, struct fault *f)
{
    const char *said = h->said_len ? h->said : "(nothing)";

    if (h->late)
        return fault_set(f, VH_AGENT_HOOK, "%s did not end within %lld s; it said: %s", h->path, HOOK_NS / NS_PER_S,
                         said);
    if (WIFSIGNALED(h->status))
        return fault_set(f, VH_AGENT_HOOK, "%s was killed by signal %d; it said: %s", h->path, WTERMSIG(h->status),
                         said);
    if (WEXITSTATUS(h->status))
        return fault_set(f, VH_AGENT_HOOK, "%s exited with code %d; it said: %s", h->path, WEXITSTATUS(h->status),
                         said);
    return 0;
}

bool hook_tend(struct hook *h, struct channel *ch, int *rc, struct fault *f)
{
    if (!h->path)
        return false;
    if (!h->ended && !h->late && now_ns() >= h->kill_at_ns) {
        h->late = true;
        process_kill_session(h->pid);
    }
    if (hook_can_tend(h, ch))
        read_output(h, ch);
    if (!h->ended || (h->out.fd >= 0 && h->out.readable && h->left > 0))
        return false;
    *rc = judge(h, f);
    fd_close(&h->out.fd);
    h->path = NULL;
    return true;
}

void hook_abort(struct hook *h)
{
    if (!h->path)
        return;
    if (!h->ended)
        process_kill_session(h->pid);
    fd_close(&h->out.fd);
    h->path = NULL;
}
