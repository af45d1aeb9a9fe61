#include "function.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* A copy for good: START comes once, so its texts fit. */
static const char *keep(const char *text)
{
    static char data[VH_AGENT_FRAME_MAX];
    static size_t used;
    size_t n = strlen(text) + 1;

    memcpy(data + used, text, n);
    used += n;
    return data + used - n;
}

static void keep_start(struct function *fn, const vh__agent_start *s)
{
    static const char *env[VH_AGENT_STRINGS_MAX];

    for (uint32_t i = 0; i < s->env.n; i++)
        env[i] = keep(s->env.v[i]);
    fn->env = (vh__agent_list){ .v = env, .n = s->env.n };
    fn->cwd = keep(s->cwd);
    fn->user = keep(s->user);
}

int function_start(struct function *fn, const vh__agent_start *s, struct fault *f)
{
    struct process_spec spec = { .argv = s->argv, .env = s->env, .cwd = s->cwd, .user = s->user,
                                 .fds = { -1, -1, -1 } };
    int rc = 0;

    keep_start(fn, s);
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = process_pipe(true, &fn->streams[i].fd, &spec.fds[i + 1], f);
    if (rc == 0)
        rc = process_start(&spec, &fn->pid, f);
    for (int i = 0; i < 2; i++) {
        fd_close(&spec.fds[i + 1]); /* the process has them */
        if (rc < 0)
            fd_close(&fn->streams[i].fd);
    }
    return rc;
}

void function_ended(struct function *fn, int status)
{
    fn->ended = true;
    fn->status = status;
}

bool function_is_over(const struct function *fn)
{
    siginfo_t how = { .si_pid = 0 };

    /* left to be reaped by the loop; no such child: it has been */
    return fn->ended || waitid(P_PID, (id_t)fn->pid, &how, WEXITED | WNOHANG | WNOWAIT) < 0 || how.si_pid != 0;
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
