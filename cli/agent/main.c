/*
 * vhive-agent: PID 1 of the guest. It loads the drivers, opens the channel to the host, says HELLO, and does what it
 * is told: makes the image its root, starts the function, watches it, tells of it. One thread and one loop, in which
 * nothing blocks; every buffer is bounded, and a channel that is full blocks the function's output, not the loop.
 */
#include "agent_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "modules.h"
#include "mounts.h"

#define CHANNEL_WAIT_MS 5000
#define LEAVE_NS        (10 * NS_PER_S) /* without a byte taken by the host, or its STOP after EXITED */

static _Noreturn void power_off(void)
{
    sync();
    reboot(RB_POWER_OFF);
    reboot(RB_AUTOBOOT); /* ends the VM just as well, when the machine has no power switch */
    for (;;)
        pause();
}

int agent_watch(struct agent *a, int fd, uint32_t events, enum event tag)
{
    struct epoll_event ev = { .events = events, .data.u32 = tag };

    return epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
}

void agent_leave(struct agent *a, const vh__agent_exited *result)
{
    if (a->leaving)
        return;
    a->leaving = true;
    a->probing = false;
    a->kill_at_ns = 0;
    probe_stop(&a->probe);
    a->result = *result;
    a->off_at_ns = now_ns() + LEAVE_NS;
    hook_abort(&a->hook);
    exec_kill_all(&a->execs, &a->ch);
    (void)kill(-1, SIGKILL); /* fails when nobody is left; their ends of the pipes close with them */
}

/* Whether a portion of output can be moved now. */
static bool can_pump(const struct agent *a, int i)
{
    const struct stream *s = &a->fn.streams[i];

    return s->fd >= 0 && s->readable && channel_room(&a->ch) >= VH_AGENT_OUTPUT_MAX + CHANNEL_RESERVE;
}

/* Moves one portion of output from the function to the channel. */
static void pump_stream(struct agent *a, int i)
{
    static char data[VH_AGENT_OUTPUT_MAX];
    struct stream *s = &a->fn.streams[i];
    vh__agent_msg m = { .type = VH_AGENT_OUTPUT, .stream = (uint16_t)(VH_AGENT_STDOUT + i) };
    ssize_t n = read(s->fd, data, sizeof(data));

    if (n > 0) {
        m.output = (vh__agent_bytes){ .data = data, .len = (uint32_t)n };
        (void)channel_send(&a->ch, &m); /* can_pump() has seen to the room */
    } else if (n == 0) {
        (void)close(s->fd); /* its writers are gone */
        s->fd = -1;
    }
    s->readable = n > 0 || (n < 0 && errno == EINTR);
}

void agent_pump_output(struct agent *a)
{
    for (int i = 0; i < 2; i++) {
        a->fn.streams[i].readable = true; /* its event may still be waiting */
        while (can_pump(a, i))
            pump_stream(a, i);
    }
}

static bool drained(const struct agent *a)
{
    return a->fn.streams[0].fd < 0 && a->fn.streams[1].fd < 0;
}

/*
 * The end: the last output, then EXITED, then power-off. What the host has not read when the machine goes is lost,
 * and only its STOP, or its hanging up, tells that it has read all; so it is waited for, while it reads, or a time.
 */
static void say_goodbye(struct agent *a)
{
    vh__agent_msg m = { .type = VH_AGENT_EXITED, .exited = a->result };
    bool late;

    if (a->off_at_ns < a->ch.moved_ns + LEAVE_NS)
        a->off_at_ns = a->ch.moved_ns + LEAVE_NS;
    late = now_ns() >= a->off_at_ns;
    if (!a->told && drained(a))
        a->told = channel_send(&a->ch, &m);
    a->off |= late || (a->told && !a->ch.connected);
}

static void tend_hook(struct agent *a)
{
    const char *path = a->hook.path;
    struct fault f;
    int rc;

    if (hook_tend(&a->hook, &a->ch, &rc, &f))
        messages_hook_over(a, path, rc, &f);
}

/* What is due apart from the channel. */
static void tend_function(struct agent *a)
{
    for (int i = 0; i < 2; i++)
        if (can_pump(a, i))
            pump_stream(a, i);
    if (a->probing && probe_step(&a->probe, a->epoll_fd, EVENT_PROBE)) {
        a->probing = false;
        (void)channel_send(&a->ch, &(vh__agent_msg){ .type = VH_AGENT_READY }); /* the reserve has room for it */
    }
    if (a->kill_at_ns && now_ns() >= a->kill_at_ns) {
        a->kill_at_ns = 0;
        (void)kill(a->fn.pid, SIGKILL); /* fails when it has ended in this moment */
    }
    if (a->fn.ended && !a->leaving) {
        vh__agent_exited result = function_result(&a->fn);

        agent_leave(a, &result);
    }
    if (a->leaving)
        say_goodbye(a);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Milliseconds until something is due, for epoll_wait(2); -1: nothing is. */
static int time_left(const struct agent *a)
{
    int64_t at = earlier(earlier(a->kill_at_ns, a->off_at_ns), exec_due_ns(&a->execs)), left;

    if (a->hook.path && !a->hook.late)
        at = earlier(at, a->hook.kill_at_ns);
    if (a->probing)
        at = earlier(at, a->probe.at_ns);
    if (at == 0 || a->quiesced)
        return -1;
    left = (at - now_ns() + NS_PER_MS - 1) / NS_PER_MS;
    return left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

/* Reaps whatever has ended. Orphans of the guest are ours, for this is PID 1. */
static void reap(struct agent *a)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == a->fn.pid)
            function_ended(&a->fn, status);
        else if (!exec_ended(&a->execs, pid, status))
            (void)hook_ended(&a->hook, pid, status); /* else it is an orphan */
}

static void handle_signals(struct agent *a)
{
    struct signalfd_siginfo info;

    while (read(a->signal_fd, &info, sizeof(info)) == sizeof(info))
        ; /* several ends may be one signal: reap() takes them all */
    reap(a);
}

static void handle_event(struct agent *a, uint32_t tag, uint32_t events)
{
    switch ((enum event)tag) {
    case EVENT_CHANNEL:
        channel_event(&a->ch, events);
        break;
    case EVENT_SIGNAL:
        handle_signals(a);
        break;
    case EVENT_STDOUT:
    case EVENT_STDERR:
        a->fn.streams[tag - EVENT_STDOUT].readable = true;
        break;
    case EVENT_PROBE: /* probe_step() looks for itself */
        break;
    case EVENT_HOOK:
        a->hook.out.readable = true;
        break;
    default:
        exec_event(&a->execs, tag - EVENT_EXEC);
        break;
    }
}

static void wait_for_events(struct agent *a, int timeout_ms)
{
    struct epoll_event events[8];
    int n = epoll_wait(a->epoll_fd, events, 8, timeout_ms);

    for (int i = 0; i < n; i++)
        handle_event(a, events[i].data.u32, events[i].events);
}

static void run(struct agent *a)
{
    bool more = false;

    while (!a->off) {
        wait_for_events(a, more ? 0 : time_left(a));
        more = messages_handle(a);
        if (!a->quiesced) {
            tend_function(a);
            tend_hook(a);
            more |= exec_tend(&a->execs, &a->ch);
        }
        more |= channel_flush(&a->ch);
        /* the flush may have made the room; an exec's output waits for the next round in any case */
        more |= !a->quiesced && (can_pump(a, 0) || can_pump(a, 1) || hook_can_tend(&a->hook, &a->ch));
    }
}

/*
 * Descriptors 0, 1 and 2, so that none of ours gets such a number. say() writes to the last: to the kernel's log, not
 * to the console's terminal, which blocks its writer whenever an interrupt of the serial port is late.
 */
static void open_log(void)
{
    int null = open("/dev/null", O_RDWR), log = open("/dev/kmsg", O_WRONLY);

    (void)dup2(log < 0 ? null : log, 2); /* first: without a console |log| is 1. If it fails, lines go nowhere */
    (void)dup2(null, 0);                 /* as above */
    (void)dup2(null, 1);                 /* as above */
    if (null > 2)
        (void)close(null); /* copies of them stay */
    if (log > 2)
        (void)close(log);
}

static int catch_signals(struct agent *a, struct fault *f)
{
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &child, NULL); /* cannot fail */
    (void)signal(SIGPIPE, SIG_IGN);             /* cannot fail */
    a->signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    a->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (a->signal_fd < 0 || a->epoll_fd < 0 || agent_watch(a, a->signal_fd, EPOLLIN, EVENT_SIGNAL) < 0)
        return fault_set(f, "init", "signals: %m");
    return 0;
}

/*
 * A function that eats all memory shall be told so by its death. Without this the kernel goes on for minutes evicting the
 * program's own pages and reading them back from the image; with it, a working set of the last second that cannot be
 * kept is out of memory. Kernels without multi-generational LRU do as they always did.
 */
static void kill_instead_of_thrashing(void)
{
    if (file_put("/sys/kernel/mm/lru_gen/enabled", "y", 1, 0644) == 0)
        (void)file_put("/sys/kernel/mm/lru_gen/min_ttl_ms", "1000", 4, 0644); /* it came with the file above */
}

static int begin(struct agent *a, struct fault *f)
{
    vh__agent_msg hello = { .type = VH_AGENT_HELLO };
    struct timespec boot;

    if (mounts_early(f) < 0)
        return -1;
    open_log();
    (void)file_put("/proc/self/oom_score_adj", "-1000", 5, 0644); /* without it the guest dies whole */
    kill_instead_of_thrashing();
    if (catch_signals(a, f) < 0 || modules_load(f) < 0 || channel_open(&a->ch, CHANNEL_WAIT_MS, f) < 0)
        return -1;
    if (agent_watch(a, a->ch.fd, CHANNEL_EVENTS, EVENT_CHANNEL) < 0)
        return fault_set(f, "channel", "watch: %m");
    clock_gettime(CLOCK_BOOTTIME, &boot);
    hello.hello.version = VH_AGENT_VERSION;
    hello.hello.agent_version = VH_VERSION;
    hello.hello.boottime_ns = (uint64_t)(boot.tv_sec * NS_PER_S + boot.tv_nsec);
    (void)channel_send(&a->ch, &hello); /* the first: there is room */
    return 0;
}

int main(void)
{
    static struct agent a; /* zero, so that its buffers take no room in the file */
    struct fault f;

    if (getpid() != 1) {
        say("runs as PID 1 of a guest only");
        return 1;
    }
    a.fn.streams[0].fd = a.fn.streams[1].fd = a.probe.fd = a.clone.random_fd = a.clone.generation_fd = -1;
    if (begin(&a, &f) < 0)
        say("%s: %s", f.stage, f.text);
    else
        run(&a);
    power_off();
}
