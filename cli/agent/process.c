#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define ACCOUNTS_MAX (256 * 1024)
#define FILES_SOFT   65536 /* higher ones are slow for programs that close every possible descriptor */
#define FILES_HARD   1048576

/* Everything the child needs, made before the fork. */
struct plan {
    const struct process_spec *spec;
    const char *cwd, *path;
    const char **env;
    vh__agent_user user;
    int report; /* a child that fails writes its failure there; exec closes it */
};

/* What the child reports. */
struct failure {
    int step, code;
};

enum { STEP_SETUP, STEP_CWD, STEP_USER, STEP_EXEC };

void fd_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* nothing to do about it */
    *fd = -1;
}

const char *env_value(const vh__agent_list *env, const char *name)
{
    size_t n = strlen(name);

    for (uint32_t i = 0; i < env->n; i++)
        if (strncmp(env->v[i], name, n) == 0 && env->v[i][n] == '=')
            return env->v[i] + n + 1;
    return NULL;
}

bool env_has(const vh__agent_list *env, const char *entry)
{
    size_t n = strcspn(entry, "=") + 1;

    for (uint32_t i = 0; i < env->n; i++)
        if (strncmp(env->v[i], entry, n) == 0)
            return true;
    return false;
}

/* The environment of |s|, with PATH and HOME where it has none. */
static void build_env(struct plan *p, const struct process_spec *s)
{
    static const char *env[VH_AGENT_STRINGS_MAX + 3];
    static char home[VH_AGENT_HOME_MAX + 8];
    size_t n = 0;

    for (uint32_t i = 0; i < s->env.n; i++)
        if (!env_has(&s->extra, s->env.v[i]))
            env[n++] = s->env.v[i];
    for (uint32_t i = 0; i < s->extra.n; i++)
        env[n++] = s->extra.v[i];
    p->path = env_value(&(vh__agent_list){ env, (uint32_t)n }, "PATH");
    if (!p->path) {
        p->path = DEFAULT_PATH;
        env[n++] = "PATH=" DEFAULT_PATH;
    }
    if (!env_value(&(vh__agent_list){ env, (uint32_t)n }, "HOME")) {
        snprintf(home, sizeof(home), "HOME=%s", p->user.home);
        env[n++] = home;
    }
    env[n] = NULL;
    p->env = env;
}

static int read_accounts(const char *path, char *to, struct fault *f)
{
    to[0] = '\0';
    if (file_get(path, to, ACCOUNTS_MAX) < 0 && errno != ENOENT && errno != ENOTDIR)
        return fault_set(f, "user", "read %s of the image: %m", path);
    return 0;
}

static int resolve_user(const char *spec, vh__agent_user *u, struct fault *f)
{
    static char passwd[ACCOUNTS_MAX], group[ACCOUNTS_MAX];
    const char *wrong;

    if (!spec) {
        *u = (vh__agent_user){ .home = "/" };
        return 0;
    }
    if (read_accounts("/etc/passwd", passwd, f) < 0 || read_accounts("/etc/group", group, f) < 0)
        return -1;
    wrong = vh__agent_user_resolve(spec, passwd, group, u);
    return wrong ? fault_set(f, "user", "user \"%s\": %s", spec, wrong) : 0;
}

/* Makes the working directory if it is missing, as container runtimes do. */
static int make_cwd(const char *cwd, struct fault *f)
{
    char path[4096];

    if (cwd[0] != '/')
        return fault_set(f, "cwd", "working directory \"%s\" is not absolute", cwd);
    snprintf(path, sizeof(path), "%s", cwd);
    for (char *p = path + 1;; p++) {
        char end = *p;

        if (end && end != '/')
            continue;
        *p = '\0';
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            return fault_set(f, "cwd", "make working directory %s: %m", path);
        if (!end)
            return 0;
        *p = end;
    }
}

static _Noreturn void child_fail(const struct plan *p, int step)
{
    struct failure why = { .step = step, .code = errno };

    (void)!write(p->report, &why, sizeof(why)); /* a parent that is gone ends everything anyway */
    _exit(127);
}

/* Tries each folder of PATH; errno tells the most telling of the failures. */
static void exec_by_path(const struct plan *p)
{
    const char *const *argv = p->spec->argv.v;
    char path[4096];
    int code = ENOENT;

    if (strchr(argv[0], '/')) {
        execve(argv[0], (char *const *)argv, (char *const *)p->env);
        return;
    }
    for (const char *dir = p->path; argv[0][0]; dir++) {
        size_t n = strcspn(dir, ":");

        snprintf(path, sizeof(path), "%.*s/%s", n ? (int)n : 1, n ? dir : ".", argv[0]);
        execve(path, (char *const *)argv, (char *const *)p->env);
        if (errno != ENOENT && errno != ENOTDIR)
            code = errno;
        dir += n;
        if (!*dir)
            break;
    }
    errno = code;
}

static void reset_process(void)
{
    struct rlimit files = { .rlim_cur = FILES_SOFT, .rlim_max = FILES_HARD };
    sigset_t none;

    for (int s = 1; s < NSIG; s++)
        (void)signal(s, SIG_DFL); /* fails for SIGKILL and SIGSTOP, which need none */
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL); /* cannot fail */
    (void)setrlimit(RLIMIT_NOFILE, &files);      /* the kernel's own limits serve, too */
    (void)file_put("/proc/self/oom_score_adj", "0", 1, 0644); /* as above */
    (void)umask(022);
}

/* Descriptors 0, 1 and 2, and the session that goes with them. What is passed in has higher numbers. */
static int take_descriptors(const struct process_spec *s)
{
    int null = open("/dev/null", O_RDWR);

    if (setsid() < 0 || null < 0)
        return -1;
    for (int i = 0; i < 3; i++)
        if (dup2(s->fds[i] < 0 ? null : s->fds[i], i) < 0)
            return -1;
    if (null > 2)
        (void)close(null); /* copies of it stay */
    return s->tty ? ioctl(0, TIOCSCTTY, 0) : 0;
}

/* Pipes and terminal are the user's: a program that opens /dev/stdout again must be allowed to. */
static int own_descriptors(const struct plan *p)
{
    for (int i = 0; i < 3; i++)
        if (p->spec->fds[i] >= 0 && fchown(i, p->user.uid, p->user.gid) < 0)
            return -1;
    return 0;
}

static _Noreturn void child_main(const struct plan *p)
{
    reset_process();
    if (take_descriptors(p->spec) < 0)
        child_fail(p, STEP_SETUP);
    /* root may enter what the user may not; a folder of the user's own may be out of reach for root (NFS), not here */
    if (chdir(p->cwd) < 0)
        child_fail(p, STEP_CWD);
    if (own_descriptors(p) < 0)
        child_fail(p, STEP_SETUP);
    if (setgroups(p->user.ngroups, p->user.groups) < 0 || setgid(p->user.gid) < 0 || setuid(p->user.uid) < 0)
        child_fail(p, STEP_USER);
    exec_by_path(p);
    child_fail(p, STEP_EXEC);
}

/* What a failing child has reported, for people. */
static int explain(const struct plan *p, const struct failure *why, struct fault *f)
{
    const char *command = p->spec->argv.v[0];

    errno = why->code;
    if (why->step == STEP_SETUP)
        return fault_set(f, "start", "prepare the process: %m");
    if (why->step == STEP_CWD)
        (void)fault_set(f, "cwd", "enter working directory %s: %m", p->cwd);
    else if (why->step == STEP_USER)
        (void)fault_set(f, "user", "become uid %u, gid %u: %m", p->user.uid, p->user.gid);
    else if (why->code == ENOENT || why->code == ENOTDIR)
        (void)fault_set(f, "exec", "command \"%s\" not found in the image (or the interpreter it names)", command);
    else
        (void)fault_set(f, "exec", "command \"%s\" cannot be executed: %m", command);
    f->code = why->step == STEP_EXEC && (why->code == ENOENT || why->code == ENOTDIR) ? VH_AGENT_EXIT_NOT_FOUND
                                                                                      : VH_AGENT_EXIT_NOT_EXECUTABLE;
    return -1;
}

/* Starts the child; waits until the child has executed the command or reported why not. */
static int launch(struct plan *p, pid_t *out, struct fault *f)
{
    struct failure why;
    int pipefd[2];
    ssize_t got;
    pid_t pid;

    if (pipe2(pipefd, O_CLOEXEC) < 0)
        return fault_set(f, "start", "pipe: %m");
    p->report = pipefd[1];
    pid = vfork(); /* quicker than a copy of our pages, in a clone above all; the child leaves our memory as it is */
    if (pid == 0)
        child_main(p);
    (void)close(pipefd[1]); /* the child's end */
    if (pid < 0) {
        (void)close(pipefd[0]); /* unused */
        return fault_set(f, "start", "new process: %m");
    }
    do
        got = read(pipefd[0], &why, sizeof(why));
    while (got < 0 && errno == EINTR);
    (void)close(pipefd[0]); /* was only read */
    if (got == sizeof(why))
        return explain(p, &why, f);
    *out = pid;
    return 0;
}

int process_pipe(bool we_read, int *ours, int *theirs, struct fault *f)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return fault_set(f, "start", "pipe: %m");
    *ours = ends[we_read ? 0 : 1];
    *theirs = ends[we_read ? 1 : 0];
    (void)fcntl(*ours, F_SETFL, O_NONBLOCK); /* cannot fail for a pipe */
    return 0;
}

int process_start(const struct process_spec *s, pid_t *pid, struct fault *f)
{
    struct plan p = { .spec = s, .cwd = s->cwd[0] ? s->cwd : "/" };

    if (s->argv.n == 0)
        return fault_set(f, "exec", "no command is named");
    if (resolve_user(s->user, &p.user, f) < 0 || make_cwd(p.cwd, f) < 0) {
        f->code = VH_AGENT_EXIT_NOT_EXECUTABLE;
        return -1;
    }
    build_env(&p, s);
    return launch(&p, pid, f);
}

/* Session of a process: the fourth value behind the name in brackets, which may hold anything. 0 if it is gone. */
static pid_t session_of(const char *pid)
{
    char path[64], text[1536]; /* 52 values of up to 20 digits */
    const char *name_end;
    int session = 0;

    snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
    if (file_get(path, text, sizeof(text)) < 0)
        return 0;
    name_end = strrchr(text, ')');
    return name_end && sscanf(name_end + 1, " %*c %*d %*d %d", &session) == 1 ? session : 0;
}

static bool kill_members(pid_t session)
{
    DIR *proc = opendir("/proc");
    bool found = false;
    struct dirent *e;

    while (proc && (e = readdir(proc))) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);

        if (pid > 1 && pid != session && session_of(e->d_name) == session)
            found |= kill(pid, SIGKILL) == 0;
    }
    if (proc)
        (void)closedir(proc); /* was only read */
    return found;
}

void process_kill_session(pid_t pid)
{
    (void)kill(pid, SIGKILL); /* the leader, a zombie at least */
    /* who forks while we look is seen in the next round; killed ones stay in sight until they are reaped */
    for (int round = 0; round < 3 && kill_members(pid); round++)
        ;
}
