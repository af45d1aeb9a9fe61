/* What monitoring sees, on a loop of its own: it answers while functions are loaded, and while they end. */
#include <string.h>

#include "auto.h"
#include "vhived.h"

static void put_metrics(vhived *d, vh__http_answer *a)
{
    a->status = 200;
    a->type = "text/plain; version=0.0.4; charset=utf-8";
    vh__metrics_text(d->metrics, &a->body);
    vhived_functions_text(d, &a->body);
    vhived_process_text(d, &a->body);
}

static void put_ready(vhived *d, vh__http_answer *a)
{
    static const char *const texts[] = { "starting\n", "ready\n", "stopping\n" };
    vhived_state state = d->state;

    a->status = state == VHIVED_READY ? 200 : 503;
    vh__buf_puts(&a->body, texts[state]);
}

static void answer(const vh__http_head *request, vh__http_answer *a, void *arg)
{
    if (strcmp(request->target, "/metrics") == 0) {
        put_metrics(arg, a);
    } else if (strcmp(request->target, "/readyz") == 0) {
        put_ready(arg, a);
    } else if (strcmp(request->target, "/healthz") == 0) {
        a->status = 200;
        vh__buf_puts(&a->body, "ok\n");
    }
}

static int run(void *server, vh_error *err)
{
    return vh__http_server_run(server, err);
}

int vhived_monitor_start(vhived *d, vh_error *err)
{
    vhived_socket *s = &d->sockets[VHIVED_HTTP];
    int rc;

    if (s->fd < 0)
        return 0;
    rc = vh__http_server_new(&(vh__http_server_options){ .listen_fd = vh_steal_fd(&s->fd), .handler = answer, .arg = d },
                             &d->http, err);
    if (rc)
        return rc;
    d->http_server = (vhived_server){ .name = "HTTP", .run = run, .server = d->http, .end = d->cli->cancel };
    rc = vhived_server_start(&d->http_server, err);
    if (rc)
        vhived_monitor_stop(d);
    return rc;
}

void vhived_monitor_stop(vhived *d)
{
    vh_error err = { 0 };

    if (!d->http)
        return;
    vh__http_server_stop(d->http);
    if (vhived_server_join(&d->http_server, &err))
        vh__log(d->env, VH_LOG_ERROR, "vhived", NULL, "%s", err.msg);
    vh__http_server_free(d->http);
    d->http = NULL;
}
