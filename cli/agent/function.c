#include "function.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define ACCOUNTS_MAX (256 * 1024)
#define FILES_SOFT   65536 /* higher ones are slow for programs that close every possible descriptor */
#define FILES_HARD   1048576

/* Everything the child needs, made before the fork. */
struct plan {
    const vh__agent_start *start;
    const char *cwd, *path;
    const char **env;
    vh__agent_user user;
    int out, err; /* write ends */
    int report;   /* a child that fails writes its failure there; exec closes it */
};

/* What the child reports. */
struct failure {
    int step, code;
};

enum { STEP_SETUP, STEP_CWD, STEP_USER, STEP_EXEC };

static const char *env_value(const vh__agent_list *env, const char *name)
{
    size_t n = strlen(name);

    for (uint32_t i = 0; i < env->n; i++)
        if (strncmp(env->v[i], name, n) == 0 && env->v[i][n] == '=')
            return env->v[i] + n + 1;
    return NULL;
}

/* The environment of |s|, with PATH and HOME where it has none. */
static void build_env(struct plan *p, const vh__agent_start *s)
{
    static const char *env[VH_AGENT_STRINGS_MAX + 3];
    static char home[VH_AGENT_HOME_MAX + 8];
    size_t n = 0;

    p->path = env_value(&s->env, "PATH");
    if (!p->path) {
        p->path = DEFAULT_PATH;
        env[n++] = "PATH=" DEFAULT_PATH;
    }
    if (!env_value(&s->env, "HOME")) {
        snprintf(home, sizeof(home), "HOME=%s", p->user.home);
        env[n++] = home;
    }
    for (uint32_t i = 0; i < s->env.n; i++)
        env[n++] = s->env.v[i];
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
    const char *const *argv = p->start->argv.v;
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

static _Noreturn void child_main(const struct plan *p)
{
    int null = open("/dev/null", O_RDONLY);

    reset_process();
    if (setsid() < 0 || null < 0 || dup2(null, 0) < 0 || dup2(p->out, 1) < 0 || dup2(p->err, 2) < 0)
        child_fail(p, STEP_SETUP);
    if (null > 2)
        (void)close(null); /* a copy of it stays */
    /* root may enter what the user may not; a folder of the user's own may be out of reach for root (NFS), not here */
    if (chdir(p->cwd) < 0)
        child_fail(p, STEP_CWD);
    /* pipes are the function's: a program that opens /dev/stdout again must be allowed to */
    if (fchown(1, p->user.uid, p->user.gid) < 0 || fchown(2, p->user.uid, p->user.gid) < 0)
        child_fail(p, STEP_SETUP);
    if (setgroups(p->user.ngroups, p->user.groups) < 0 || setgid(p->user.gid) < 0 || setuid(p->user.uid) < 0)
        child_fail(p, STEP_USER);
    exec_by_path(p);
    child_fail(p, STEP_EXEC);
}

/* What a failing child has reported, for people. */
static int explain(const struct plan *p, const struct failure *why, struct fault *f)
{
    const char *command = p->start->argv.v[0];

    errno = why->code;
    if (why->step == STEP_SETUP)
        return fault_set(f, "start", "prepare the function's process: %m");
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

/* Forks; waits until the child has executed the command or reported why not. */
static int launch(struct function *fn, struct plan *p, struct fault *f)
{
    struct failure why;
    int pipefd[2];
    ssize_t got;
    pid_t pid;

    if (pipe2(pipefd, O_CLOEXEC) < 0)
        return fault_set(f, "start", "pipe: %m");
    p->report = pipefd[1];
    pid = fork();
    if (pid == 0)
        child_main(p);
    (void)close(pipefd[1]); /* the child's end */
    if (pid < 0) {
        (void)close(pipefd[0]); /* unused */
        return fault_set(f, "start", "fork: %m");
    }
    do
        got = read(pipefd[0], &why, sizeof(why));
    while (got < 0 && errno == EINTR);
    (void)close(pipefd[0]); /* was only read */
    if (got == sizeof(why))
        return explain(p, &why, f);
    fn->pid = pid;
    return 0;
}

static void close_streams(struct function *fn)
{
    for (int i = 0; i < 2; i++) {
        if (fn->streams[i].fd >= 0)
            (void)close(fn->streams[i].fd); /* nobody has written to it */
        fn->streams[i].fd = -1;
    }
}

static int open_streams(struct function *fn, int write_ends[2], struct fault *f)
{
    int pipefd[2];

    for (int i = 0; i < 2; i++) {
        if (pipe2(pipefd, O_CLOEXEC) < 0 || fcntl(pipefd[0], F_SETFL, O_NONBLOCK) < 0)
            return fault_set(f, "start", "output pipe: %m");
        fn->streams[i].fd = pipefd[0];
        write_ends[i] = pipefd[1];
    }
    return 0;
}

int function_start(struct function *fn, const vh__agent_start *s, struct fault *f)
{
    struct plan p = { .start = s, .cwd = s->cwd[0] ? s->cwd : "/" };
    int ends[2], rc;

    if (s->argv.n == 0)
        return fault_set(f, "exec", "the image names no command");
    if (resolve_user(s->user, &p.user, f) < 0 || make_cwd(p.cwd, f) < 0) {
        f->code = VH_AGENT_EXIT_NOT_EXECUTABLE;
        return -1;
    }
    build_env(&p, s);
    rc = open_streams(fn, ends, f);
    if (rc == 0) {
        p.out = ends[0];
        p.err = ends[1];
        rc = launch(fn, &p, f);
        (void)close(ends[0]); /* the child's */
        (void)close(ends[1]); /* the child's */
    }
    if (rc < 0)
        close_streams(fn);
    return rc;
}

void function_reap(struct function *fn)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == fn->pid) {
            fn->ended = true;
            fn->status = status;
        }
}

/* Whether the kernel has killed for want of memory since boot: the only such killer of a guest is its own. */
static bool out_of_memory(void)
{
    static char text[16384];
    const char *count;

    if (file_get("/proc/vmstat", text, sizeof(text)) < 0)
        return false;
    count = strstr(text, "\noom_kill ");
    return count && strtoul(count + strlen("\noom_kill "), NULL, 10) > 0;
}

vh__agent_exited function_result(const struct function *fn)
{
    vh__agent_exited e = { 0 };

    if (WIFEXITED(fn->status))
        e.code = (uint32_t)WEXITSTATUS(fn->status);
    if (WIFSIGNALED(fn->status))
        e.signal = (uint32_t)WTERMSIG(fn->status);
    e.oom = e.signal == SIGKILL && out_of_memory();
    return e;
}
