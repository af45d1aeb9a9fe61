#include "vhived.h"

static void *run(void *arg)
{
    vhived_server *s = arg;

    s->rc = s->run(s->server, &s->err);
    vh_cancel_trigger(s->end); /* told to stop, or not: the daemon ends in any case */
    return NULL;
}

int vhived_server_start(vhived_server *s, vh_error *err)
{
    int rc = pthread_create(&s->thread, NULL, run, s);

    if (rc)
        return vh_error_set(err, -rc, "%s: thread", s->name);
    s->running = true;
    return 0;
}

int vhived_server_join(vhived_server *s, vh_error *err)
{
    if (!s->running)
        return 0;
    (void)pthread_join(s->thread, NULL); /* fails only for a thread that is none */
    s->running = false;
    if (s->rc && err)
        *err = s->err;
    return s->rc;
}
