#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "auto.h"
#include "buf.h"
#include "fd.h"

extern char **environ;

/* What the child says through the pipe when it could not exec. */
struct failure {
    int code;
    char step[28];
};

static _Noreturn void child_fail(int report, const char *step)
{
    struct failure f = { .code = errno };

    strncpy(f.step, step, sizeof(f.step) - 1);
    if (write(report, &f, sizeof(f)) < 0) {
        /* the parent is gone: nobody to tell */
    }
    _exit(127);
}

/*
 * Moves the wanted descriptors to their numbers. First all of them, and the report pipe, go above every target, so
 * that no move overwrites one still to come. Returns where the report pipe is.
 */
static int child_fds(const vh__spawn_options *o, int report)
{
    int high = 2, moved[32], null;

    if (o->nfds > VH_ARRAY_LEN(moved)) {
        errno = E2BIG;
        child_fail(report, "descriptors");
    }
    for (size_t i = 0; i < o->nfds; i++)
        high = VH_MAX(high, o->fds[i].to);
    report = fcntl(report, F_DUPFD_CLOEXEC, high + 1);
    if (report < 0)
        _exit(127);
    for (size_t i = 0; i < o->nfds; i++) {
        moved[i] = fcntl(o->fds[i].from, F_DUPFD_CLOEXEC, high + 1);
        if (moved[i] < 0)
            child_fail(report, "duplicate descriptor");
    }
    null = open("/dev/null", O_RDWR); /* if it is 0 to 2 it stays; else close_range() sees to it */
    if (null < 0)
        child_fail(report, "open /dev/null");
    for (int std = 0; std <= 2; std++)
        if (null != std && dup2(null, std) < 0)
            child_fail(report, "redirect to /dev/null");
    for (size_t i = 0; i < o->nfds; i++)
        if (dup2(moved[i], o->fds[i].to) < 0)
            child_fail(report, "place descriptor");
    /* whatever is open and not named dies at exec */
    if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        child_fail(report, "close_range");
    for (size_t i = 0; i < o->nfds; i++)
        if (fcntl(o->fds[i].to, F_SETFD, 0) < 0)
            child_fail(report, "keep descriptor");
    return report;
}

/* What is dropped from the bounding set is not regained by the exec of a root program. */
static void child_limit_caps(uint64_t keep, int report)
{
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
        if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap) < 0)
            child_fail(report, "drop capabilities");
}

/*
 * A daemon may be one that is to be spared when memory runs out; its children, VMs above all, are what is to be taken
 * then. Raising the score needs no privilege. Without /proc it stays as it is.
 */
static void child_unspare(void)
{
    int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
    char sign = '0';

    if (fd < 0)
        return;
    if (read(fd, &sign, 1) == 1 && sign == '-')
        vh_ignore(write(fd, "0", 1) < 0); /* as above */
    (void)close(fd);                      /* of no consequence */
}

static _Noreturn void child_main(const vh__spawn_options *o, int report)
{
    sigset_t none;

    if (o->new_session && setsid() < 0)
        child_fail(report, "setsid");
    if (o->netns_fd > 0 && setns(o->netns_fd, CLONE_NEWNET) < 0)
        child_fail(report, "enter network namespace");
    if (o->cwd && chdir(o->cwd) < 0)
        child_fail(report, "change directory");
    if (o->nofile) {
        struct rlimit r = { .rlim_cur = o->nofile, .rlim_max = o->nofile };

        if (setrlimit(RLIMIT_NOFILE, &r) < 0)
            child_fail(report, "limit descriptors");
    }
    child_unspare();
    if (o->limit_caps)
        child_limit_caps(o->keep_caps, report);
    for (int s = 1; s < NSIG; s++)
        (void)signal(s, SIG_DFL); /* fails for SIGKILL, SIGSTOP and libc's own, which need none */
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL); /* cannot fail */
    report = child_fds(o, report);
    execve(o->argv[0], (char *const *)o->argv, o->envp ? (char *const *)o->envp : environ);
    child_fail(report, "execute");
}

int vh__spawn(const vh__spawn_options *o, vh__process *p, vh_error *err)
{
    int pidfd = -1, pipefd[2];
    struct clone_args args = { .flags = CLONE_PIDFD | (o->new_pid_ns ? CLONE_NEWPID : 0),
                               .pidfd = (uintptr_t)&pidfd,
                               .exit_signal = SIGCHLD };
    vh_auto_fd int readable = -1;
    struct failure f;
    ssize_t got;
    long pid;

    if (pipe2(pipefd, O_CLOEXEC) < 0)
        return vh_error_set(err, -errno, "start %s: pipe", o->argv[0]);
    readable = pipefd[0];
    pid = syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        child_main(o, pipefd[1]);
    if (pid < 0) {
        int code = -errno;
        (void)close(pipefd[1]); /* nothing to do about it */
        return vh_error_set(err, code, "start %s: clone", o->argv[0]);
    }
    (void)close(pipefd[1]); /* the child's end */
    *p = (vh__process){ .pid = (pid_t)pid, .pidfd = pidfd };
    do
        got = read(readable, &f, sizeof(f));
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return 0;
    (void)vh__process_kill(p); /* it is exiting */
    if (got != sizeof(f))
        return vh_error_set(err, -EIO, "start %s", o->argv[0]);
    return vh_error_set(err, -f.code, "start %s: %s", o->argv[0], f.step);
}

static int reap(vh__process *p)
{
    siginfo_t info = { 0 };
    int rc, status = 0;

    do
        rc = waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED);
    while (rc < 0 && errno == EINTR);
    if (rc == 0)
        status = info.si_code == CLD_EXITED ? W_EXITCODE(info.si_status, 0) : W_EXITCODE(0, info.si_status);
    vh__fd_close(&p->pidfd);
    p->pid = -1;
    return status;
}

int vh__process_wait(vh__process *p, const vh__wait *w, const char *what, int *status, vh_error *err)
{
    int rc = vh__wait_fd(w, p->pidfd, POLLIN, what, err);

    if (rc)
        return rc;
    *status = reap(p);
    return 0;
}

int vh__process_signal(const vh__process *p, int sig)
{
    return syscall(SYS_pidfd_send_signal, p->pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

int vh__process_kill(vh__process *p)
{
    if (p->pidfd < 0)
        return 0;
    (void)vh__process_signal(p, SIGKILL); /* fails only when it has ended already */
    return reap(p);
}

const char *vh__process_status_text(int status, char *buf, size_t n)
{
    const char *name = WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : NULL;

    if (WIFSIGNALED(status))
        snprintf(buf, n, "killed by SIG%s", name ? name : "?");
    else
        snprintf(buf, n, "exited with code %d", WEXITSTATUS(status));
    return buf;
}

/* Reads |fd| to its end, keeping the first |max| bytes. */
static int collect(int fd, const vh__wait *w, const char *what, size_t max, vh__buf *out, vh_error *err)
{
    char chunk[4096];

    for (;;) {
        int rc = vh__wait_fd(w, fd, POLLIN, what, err);
        ssize_t got;

        if (rc)
            return rc;
        got = read(fd, chunk, sizeof(chunk));
        if (got == 0)
            return vh__buf_check(out, what, err);
        if (got < 0 && errno != EINTR)
            return vh_error_set(err, -errno, "%s: read its output", what);
        if (got > 0 && out->len < max)
            vh__buf_append(out, chunk, VH_MIN((size_t)got, max - out->len));
    }
}

/* The last non-empty line of |s|, which is cut there. */
static const char *last_line(char *s)
{
    size_t n = strlen(s);
    char *nl;

    while (n > 0 && (s[n - 1] == '\n' || s[n - 1] == '\r'))
        s[--n] = '\0';
    nl = strrchr(s, '\n');
    return nl ? nl + 1 : s;
}

int vh__run_program(const char *const *argv, const char *cwd, const vh__wait *w, size_t max, vh__buf *out,
                    vh_error *err)
{
    vh__process p = VH_PROCESS_INIT;
    vh_auto_fd int readable = -1;
    int pipefd[2], status, rc;
    char text[64];

    if (pipe2(pipefd, O_CLOEXEC) < 0)
        return vh_error_set(err, -errno, "run %s: pipe", argv[0]);
    readable = pipefd[0];
    rc = vh__spawn(&(vh__spawn_options){ .argv = argv, .cwd = cwd,
                                         .fds = (vh__spawn_fd[]){ { pipefd[1], 1 }, { pipefd[1], 2 } }, .nfds = 2 },
                   &p, err);
    (void)close(pipefd[1]); /* the child's end */
    if (rc)
        return rc;
    rc = collect(readable, w, argv[0], max, out, err);
    if (rc == 0)
        rc = vh__process_wait(&p, w, argv[0], &status, err);
    if (rc) {
        (void)vh__process_kill(&p); /* the first error is the one to tell */
        return rc;
    }
    if (status != 0)
        return vh_error_set(err, VH_EMISSING, "%s %s: %s", argv[0],
                            vh__process_status_text(status, text, sizeof(text)), last_line(out->data ? out->data : text));
    return 0;
}
