#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* Room in the channel that its output leaves to messages about it. */
#define ROOM (VH_AGENT_OUTPUT_MAX + CHANNEL_RESERVE)
/* A terminal's last output arrives a moment after its writer has gone; a child left behind may keep the stream open. */
#define LINGER_NS (100 * NS_PER_MS)
/* ^D, what a terminal takes for the end of its input; twice, since the first one may end a line that was begun. */
static const char end_of_file[] = { 4, 4 };

enum { TAG_IN, TAG_OUT, TAG_ERR, TAGS = 4 };

static struct exec *find(struct execs *e, uint16_t id)
{
    for (unsigned i = 0; i < VH_AGENT_EXECS_MAX; i++)
        if (e->slot[i].id == id)
            return &e->slot[i];
    return NULL;
}

/* Its descriptors; what is under way in them is lost. */
static void close_all(struct exec *x)
{
    fd_close(&x->in_fd);
    fd_close(&x->out[0].fd);
    fd_close(&x->out[1].fd);
}

static int watch(const struct exec *x, int epoll_fd, uint32_t tag)
{
    const struct {
        int fd;
        uint32_t events;
    } w[] = { [TAG_IN] = { x->in_fd, EPOLLOUT | EPOLLET }, [TAG_OUT] = { x->out[0].fd, EPOLLIN | EPOLLET },
              [TAG_ERR] = { x->out[1].fd, EPOLLIN | EPOLLET } };

    for (unsigned i = 0; i < 3; i++) {
        struct epoll_event ev = { .events = w[i].events, .data.u32 = tag + i };

        if (w[i].fd >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, w[i].fd, &ev) < 0)
            return -1;
    }
    return 0;
}

static void resize(int fd, uint32_t rows, uint32_t cols)
{
    struct winsize size = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols };

    (void)ioctl(fd, TIOCSWINSZ, &size); /* a terminal keeps the size it has, then */
}

/* A new terminal: both our directions are its master, apart so that each has events of its own. */
static int open_terminal(struct exec *x, const vh__agent_exec *m, int theirs[3], struct fault *f)
{
    int unlock = 0;

    x->in_fd = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (x->in_fd < 0 || ioctl(x->in_fd, TIOCSPTLCK, &unlock) < 0)
        return fault_set(f, "terminal", "open a terminal: %m");
    x->out[0].fd = fcntl(x->in_fd, F_DUPFD_CLOEXEC, 3);
    theirs[0] = ioctl(x->in_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (x->out[0].fd < 0 || theirs[0] < 0)
        return fault_set(f, "terminal", "open a terminal: %m");
    if (m->rows && m->cols)
        resize(x->in_fd, m->rows, m->cols);
    for (int i = 1; i < 3; i++) {
        theirs[i] = fcntl(theirs[0], F_DUPFD_CLOEXEC, 3);
        if (theirs[i] < 0)
            return fault_set(f, "terminal", "open a terminal: %m");
    }
    return 0;
}

static int open_pipes(struct exec *x, int theirs[3], struct fault *f)
{
    int rc = process_pipe(false, &x->in_fd, &theirs[0], f);

    for (int i = 0; i < 2 && rc == 0; i++)
        rc = process_pipe(true, &x->out[i].fd, &theirs[i + 1], f);
    return rc;
}

static int start(struct exec *x, const vh__agent_exec *m, const struct function *fn, struct fault *f)
{
    struct process_spec spec = { .argv = m->argv, .env = fn->env, .extra = m->env, .tty = m->tty,
                                 .cwd = m->cwd[0] ? m->cwd : fn->cwd, .user = m->user[0] ? m->user : fn->user,
                                 .fds = { -1, -1, -1 } };
    int rc = m->tty ? open_terminal(x, m, spec.fds, f) : open_pipes(x, spec.fds, f);

    if (rc == 0)
        rc = process_start(&spec, &x->pid, f);
    for (int i = 0; i < 3; i++)
        fd_close(&spec.fds[i]); /* the process has them */
    return rc;
}

static bool tell_exited(struct channel *ch, uint16_t id, const vh__agent_exec_exited *how)
{
    return channel_send(ch, &(vh__agent_msg){ .type = VH_AGENT_EXEC_EXITED, .stream = id, .exec_exited = *how });
}

/* EXEC: what cannot be started is told by EXITED, and is no fault of the host's. */
static void begin(struct execs *e, struct exec *x, const vh__agent_msg *m, const struct function *fn, int epoll_fd,
                  uint32_t tag, struct channel *ch)
{
    struct fault f;

    x->pid = 0;
    x->ended = x->in_ended = false;
    x->tty = m->exec.tty != 0;
    x->in_fd = x->out[0].fd = x->out[1].fd = -1;
    x->out[0].readable = x->out[1].readable = x->writable = true; /* the first try finds out */
    x->credit[0] = x->credit[1] = VH_AGENT_EXEC_WINDOW;
    x->in_start = x->in_end = x->taken = 0;
    if (start(x, &m->exec, fn, &f) == 0) {
        x->id = m->stream;
        e->n++;
        if (watch(x, epoll_fd, tag) < 0)
            process_kill_session(x->pid); /* out of memory: it ends as killed */
        return;
    }
    close_all(x);
    /* there is room: messages are taken only while there is some to answer */
    (void)tell_exited(ch, m->stream, &(vh__agent_exec_exited){ .code = (uint32_t)f.code, .text = f.text });
}

static bool handle_exec(struct execs *e, const vh__agent_msg *m, const struct function *fn, int epoll_fd, uint32_t tag,
                        struct channel *ch)
{
    struct exec *x = find(e, 0);

    if (find(e, m->stream) || !x)
        return false;
    begin(e, x, m, fn, epoll_fd, tag + (unsigned)(x - e->slot) * TAGS, ch);
    return true;
}

/* False when there is more than the window allows, or something behind the end. */
static bool take_input(struct exec *x, const vh__agent_bytes *b)
{
    if (x->in_ended || b->len > sizeof(x->in) - (x->in_end - x->in_start))
        return false;
    if (b->len == 0) {
        x->in_ended = true;
        return true;
    }
    if (b->len > sizeof(x->in) - x->in_end) {
        memmove(x->in, x->in + x->in_start, x->in_end - x->in_start);
        x->in_end -= x->in_start;
        x->in_start = 0;
    }
    memcpy(x->in + x->in_end, b->data, b->len);
    x->in_end += b->len;
    return true;
}

static bool take_credit(struct exec *x, uint32_t out, uint32_t err)
{
    if (out > VH_AGENT_EXEC_WINDOW - x->credit[0] || err > VH_AGENT_EXEC_WINDOW - x->credit[1])
        return false;
    x->credit[0] += out;
    x->credit[1] += err;
    return true;
}

/* The client is gone: who would read what is left? */
static void abandon(struct exec *x)
{
    if (!x->ended)
        process_kill_session(x->pid);
    close_all(x);
}

static bool handle_running(struct exec *x, const vh__agent_msg *m)
{
    switch (m->type) {
    case VH_AGENT_EXEC_INPUT:
        return take_input(x, &m->exec_data);
    case VH_AGENT_EXEC_CREDIT:
        return take_credit(x, m->exec_credit.out, m->exec_credit.err);
    case VH_AGENT_EXEC_RESIZE:
        if (x->tty && x->out[0].fd >= 0)
            resize(x->out[0].fd, m->exec_resize.rows, m->exec_resize.cols);
        return true;
    case VH_AGENT_EXEC_SIGNAL:
        if (!x->ended)
            (void)kill(-x->pid, (int)m->signal.number); /* a bad number does nothing; the host's API refuses it */
        return true;
    default:
        abandon(x);
        return true;
    }
}

bool exec_handle(struct execs *e, const vh__agent_msg *m, const struct function *fn, int epoll_fd, uint32_t tag,
                 struct channel *ch, struct fault *f)
{
    struct exec *x = find(e, m->stream);
    bool fine;

    if (m->type == VH_AGENT_EXEC)
        fine = handle_exec(e, m, fn, epoll_fd, tag, ch);
    else
        fine = !x || handle_running(x, m); /* no such exec: it has just ended, which the host did not know yet */
    if (!fine)
        (void)fault_set(f, "exec", "the host sent %s that exec %u does not allow", vh__agent_type_name(m->type),
                        m->stream);
    return fine;
}

void exec_event(struct execs *e, unsigned n)
{
    struct exec *x = &e->slot[n / TAGS];

    if (n % TAGS == TAG_IN)
        x->writable = true;
    else
        x->out[n % TAGS - TAG_OUT].readable = true;
}

bool exec_ended(struct execs *e, pid_t pid, int status)
{
    for (unsigned i = 0; e->n && i < VH_AGENT_EXECS_MAX; i++) {
        struct exec *x = &e->slot[i];

        if (x->id == 0 || x->ended || x->pid != pid)
            continue;
        x->ended = true;
        x->status = status;
        x->out[0].readable = x->out[1].readable = true; /* its last words, whose event may come later */
        x->done_at_ns = now_ns() + LINGER_NS;
        return true;
    }
    return false;
}

/* Nobody reads it, or it came to its end: what came is taken, or the host would wait for its window. */
static void drop_input(struct exec *x)
{
    fd_close(&x->in_fd);
    x->taken += (uint32_t)(x->in_end - x->in_start);
    x->in_start = x->in_end = 0;
}

/* A pipe is closed; a terminal has to be told. False when that is full: once it is read it is tried again. */
static bool tell_end(struct exec *x)
{
    return !x->tty || write(x->in_fd, end_of_file, sizeof(end_of_file)) >= 0 || errno != EAGAIN;
}

static void write_input(struct exec *x)
{
    while (x->in_fd >= 0 && x->writable && x->in_end > x->in_start) {
        ssize_t n = write(x->in_fd, x->in + x->in_start, x->in_end - x->in_start);

        if (n > 0) {
            x->in_start += (size_t)n;
            x->taken += (uint32_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            x->writable = false;
        } else if (n == 0 || errno != EINTR) {
            fd_close(&x->in_fd);
        }
    }
    if (x->in_fd < 0 || (x->in_ended && x->in_end == x->in_start && tell_end(x)))
        drop_input(x);
}

static bool can_read(const struct exec *x, int i, const struct channel *ch)
{
    return x->out[i].fd >= 0 && x->out[i].readable && x->credit[i] > 0 && channel_room(ch) >= ROOM;
}

/* Moves one portion of output to the channel. */
static void read_output(struct exec *x, int i, struct channel *ch)
{
    static uint8_t data[VH_AGENT_OUTPUT_MAX];
    vh__agent_msg m = { .type = i ? VH_AGENT_EXEC_STDERR : VH_AGENT_EXEC_STDOUT, .stream = x->id };
    size_t most = x->credit[i] < sizeof(data) ? x->credit[i] : sizeof(data);
    ssize_t n = read(x->out[i].fd, data, most);

    x->out[i].readable = n > 0 || (n < 0 && errno == EINTR);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        fd_close(&x->out[i].fd); /* its writers are gone; of a terminal that is EIO */
        return;
    }
    if (n < 0)
        return;
    x->credit[i] -= (uint32_t)n;
    m.exec_data = (vh__agent_bytes){ .data = data, .len = (uint32_t)n };
    (void)channel_send(ch, &m); /* can_read() has seen to the room */
}

/* Whether its output is waited for, though nothing is there: of a terminal, or of writers that it left behind. */
static bool is_lingering(const struct exec *x)
{
    return x->ended && (x->out[0].fd >= 0 || x->out[1].fd >= 0) && (x->out[0].fd < 0 || !x->out[0].readable) &&
           (x->out[1].fd < 0 || !x->out[1].readable);
}

/* Whether all that it wrote was read. */
static bool is_drained(const struct exec *x)
{
    return (x->out[0].fd < 0 && x->out[1].fd < 0) || (is_lingering(x) && now_ns() >= x->done_at_ns);
}

static void finish(struct execs *e, struct exec *x, struct channel *ch)
{
    vh__agent_exec_exited how = { .text = "" };

    if (WIFSIGNALED(x->status))
        how.signal = (uint32_t)WTERMSIG(x->status);
    else
        how.code = (uint32_t)WEXITSTATUS(x->status);
    close_all(x);
    if (!tell_exited(ch, x->id, &how))
        return;
    x->id = 0;
    e->n--;
}

static bool tend(struct execs *e, struct exec *x, struct channel *ch)
{
    write_input(x);
    if (x->taken && channel_send(ch, &(vh__agent_msg){ .type = VH_AGENT_EXEC_TAKEN, .stream = x->id,
                                                       .exec_taken.bytes = x->taken }))
        x->taken = 0;
    for (int i = 0; i < 2; i++)
        if (can_read(x, i, ch))
            read_output(x, i, ch);
    if (x->ended && is_drained(x))
        finish(e, x, ch);
    return x->id != 0 && (can_read(x, 0, ch) || can_read(x, 1, ch));
}

bool exec_tend(struct execs *e, struct channel *ch)
{
    bool more = false;

    e->turn++;
    for (unsigned i = 0; e->n && i < VH_AGENT_EXECS_MAX; i++) {
        struct exec *x = &e->slot[(e->turn + i) % VH_AGENT_EXECS_MAX];

        if (x->id != 0)
            more |= tend(e, x, ch);
    }
    return more;
}

int64_t exec_due_ns(const struct execs *e)
{
    int64_t due = 0;

    for (unsigned i = 0; e->n && i < VH_AGENT_EXECS_MAX; i++) {
        const struct exec *x = &e->slot[i];

        if (x->id != 0 && is_lingering(x) && (due == 0 || x->done_at_ns < due))
            due = x->done_at_ns;
    }
    return due;
}

void exec_kill_all(struct execs *e, struct channel *ch)
{
    for (unsigned i = 0; e->n && i < VH_AGENT_EXECS_MAX; i++) {
        struct exec *x = &e->slot[i];

        if (x->id == 0)
            continue;
        if (!x->ended) {
            process_kill_session(x->pid);
            (void)waitpid(x->pid, &x->status, 0); /* it cannot but end */
            x->ended = true;
        }
        finish(e, x, ch); /* all fit: messages are taken only while there is room for such answers */
    }
}
