/* The function's process: its user, environment and folder, its output pipes, its end. */
#ifndef VHIVE_AGENT_FUNCTION_H
#define VHIVE_AGENT_FUNCTION_H

#include "process.h"

struct function {
    pid_t pid; /* 0: not started */
    bool ended;
    int status;                /* of waitpid(2), once ended */
    struct stream streams[2]; /* stdout, stderr */
    vh__agent_list env; /* of START, kept for the processes that come later */
    const char *cwd, *user;
};

/** Starts the function as |s| says, standard input from /dev/null. As process_start(). */
int function_start(struct function *fn, const vh__agent_start *s, struct fault *f);

/** Notes its end; |status| as of waitpid(2). */
void function_ended(struct function *fn, int status);

/** Whether it has ended, even if that was not noted yet. */
bool function_is_over(const struct function *fn);

/** EXITED's content. */
vh__agent_exited function_result(const struct function *fn);

#endif
