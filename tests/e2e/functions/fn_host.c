/*
 * fn-host: a process with functions that does with them what each line of stdin says, and answers each with one line.
 *
 *     deploy NAME IMAGE MIN MAX CONCURRENCY RETIRE KEEP_ALIVE_MS MEMORY_MIB [KEY=VALUE]
 *     serve NAME TIMES THREADS SPEC    calls it TIMES times, by so many at once
 *     plain IMAGE SPEC                 a VM without the functions: microseconds from vh_vm_run() to the answer
 *     show NAME | remove NAME | scale NAME MIN MAX | types | logs NAME | exec NAME PROGRAM [ARGUMENT]
 *     pause VM | resume VM | kill VM | snapshot VM | restart | quit
 *
 * Answers are JSON, or text; what goes wrong is "error: NAME: ...".
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <vhive/host.h>

#define WORDS 16

struct fn_host {
    vh_config *config;
    vh_host *host;
    vh_functions *functions;
    char said[65536];
    size_t len;
};

static void say(struct fn_host *h, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct fn_host *h, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(h->said + h->len, sizeof(h->said) - h->len, format, args);
    va_end(args);
    if (n > 0 && h->len + (size_t)n < sizeof(h->said))
        h->len += (size_t)n;
}

static void log_to_stderr(const vh_log_record *r, void *arg)
{
    (void)arg;
    fprintf(stderr, "%s %s: %s\n", r->module, r->vm ? r->vm : "", r->message);
}

static int open_host(struct fn_host *h, vh_error *err)
{
    vh_env_options options = VH_ENV_OPTIONS_INIT;
    int rc;

    options.log = log_to_stderr;
    rc = vh_host_new(h->config, &options, &h->host, err);
    return rc ? rc : vh_host_functions(h->host, &h->functions, err);
}

static void close_host(struct fn_host *h)
{
    vh_host_free(h->host);
    h->host = NULL;
    h->functions = NULL;
}

static uint32_t number(const char *word)
{
    return word ? (uint32_t)strtoul(word, NULL, 10) : 0;
}

static int deploy(struct fn_host *h, char **w, vh_error *err)
{
    const char *env[] = { w[9], NULL };
    vh_function_spec s = VH_FUNCTION_SPEC_INIT;

    s.name = w[1];
    s.image = w[2];
    s.min = number(w[3]);
    s.max = number(w[4]);
    s.concurrency = number(w[5]);
    s.retire = number(w[6]);
    s.keep_alive_ms = number(w[7]);
    s.memory_mib = number(w[8]);
    s.env = env;
    return vh_functions_deploy(h->functions, &s, NULL, err);
}

struct serving {
    struct fn_host *h;
    const char *name;
    const vh_invoke_request *request;
    pthread_mutex_t mutex;
    unsigned left, ok, cold, failed;
    bool first_cold;
    unsigned long long us, slowest_us, pool_us; /* of |pool_us| it was neither start nor request */
    char error[VH_ERROR_MSG];
};

static unsigned long long spent_by_pool(const vh_phases *p)
{
    int64_t ns = 0;

    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->v[i].id, "wait") == 0 || strcmp(p->v[i].id, "grant") == 0)
            ns += p->v[i].ns;
    return (unsigned long long)ns / 1000;
}

static void note(struct serving *s, int rc, const vh_invoke_timing *t, const vh_error *err, bool first)
{
    unsigned long long us = (unsigned long long)(t->phases.end_ns - t->phases.begin_ns) / 1000;

    if (rc) {
        s->failed++;
        snprintf(s->error, sizeof(s->error), "%s", err->msg);
        return;
    }
    s->ok++;
    s->cold += t->cold;
    s->first_cold |= first && t->cold;
    s->us += us;
    s->pool_us += spent_by_pool(&t->phases);
    s->slowest_us = us > s->slowest_us ? us : s->slowest_us;
}

static void *serve_some(void *arg)
{
    struct serving *s = arg;

    pthread_mutex_lock(&s->mutex);
    for (bool first; s->left; ) {
        vh_invoke_response r = { .size = sizeof(r) };
        vh_invoke_timing t = VH_INVOKE_TIMING_INIT;
        vh_error err = { 0 };
        int rc;

        first = s->ok + s->failed == 0;
        s->left--;
        pthread_mutex_unlock(&s->mutex);
        rc = vh_functions_invoke(s->h->functions, s->name, s->request, NULL, &r, &t, &err);
        vh_invoke_response_fini(&r);
        pthread_mutex_lock(&s->mutex);
        note(s, rc, &t, &err, first);
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

static void quote(struct fn_host *h, const char *key, const char *text)
{
    say(h, "\"%s\": \"", key);
    for (; *text; text++)
        say(h, *text == '"' || *text == '\\' ? "\\%c" : (unsigned char)*text < ' ' ? " " : "%c", *text);
    say(h, "\"");
}

static int serve(struct fn_host *h, char **w, vh_error *err)
{
    struct serving s = { .h = h, .name = w[1], .left = number(w[2]), .mutex = PTHREAD_MUTEX_INITIALIZER };
    pthread_t threads[256];
    unsigned n = number(w[3]);
    vh_invoke_request *request;
    int rc = vh_invoke_parse(w[4], &request, err);

    if (rc || n > 256)
        return rc ? rc : VH_EINVALID;
    s.request = request;
    for (unsigned i = 0; i < n; i++)
        if (pthread_create(&threads[i], NULL, serve_some, &s))
            abort();
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    vh_invoke_request_free(request);
    say(h, "{\"ok\": %u, \"cold\": %u, \"first_cold\": %s, \"failed\": %u, \"us\": %llu, \"slowest_us\": %llu, "
           "\"pool_us\": %llu, ", s.ok, s.cold, s.first_cold ? "true" : "false", s.failed, s.us, s.slowest_us,
        s.pool_us);
    quote(h, "error", s.error);
    say(h, "}");
    return 0;
}

static int plain(struct fn_host *h, char **w, vh_error *err)
{
    vh_invoke_response r = { .size = sizeof(r) };
    vh_run_options o = VH_RUN_OPTIONS_INIT;
    vh_invoke_request *request;
    vh_vm *vm;
    int rc = vh_invoke_parse(w[2], &request, err);

    if (rc)
        return rc;
    o.image = w[1];
    rc = vh_vm_run(vh_host_vms(h->host), &o, NULL, &vm, err);
    if (rc == 0)
        rc = vh_invoke(request, vh_vm_address(vm), vh_vm_port(vm), NULL, &r, err);
    if (rc == 0) {
        say(h, "%lld", (long long)(r.last_byte_ns - vh_vm_phases(vm)->begin_ns) / 1000);
        (void)vh_vm_stop(vm, NULL, NULL);
    }
    vh_vm_free(rc ? NULL : vm);
    vh_invoke_response_fini(&r);
    vh_invoke_request_free(request);
    return rc;
}

static bool show_function(const vh_function_info *i, void *arg)
{
    struct fn_host *h = arg;

    say(h, "{");
    quote(h, "address", i->address);
    say(h, ", ");
    quote(h, "snapshot", i->snapshot);
    say(h, ", ");
    quote(h, "last_error", i->last_error);
    say(h, ", \"revision\": %u, \"instances\": %u, \"ready\": %u, \"waiting\": %u, \"active\": %u, \"served\": %llu, "
           "\"started\": %llu, \"failed\": %llu, \"vms\": [", i->revision, i->instances, i->ready, i->waiting,
        i->active, (unsigned long long)i->served, (unsigned long long)i->started, (unsigned long long)i->failed);
    return true;
}

static bool show_instance(const vh_instance_info *i, void *arg)
{
    struct fn_host *h = arg;

    say(h, "%s{\"vm\": \"%s\", \"state\": \"%s\", \"engine\": \"%s\", \"revision\": %u, \"served\": %llu}",
        h->said[h->len - 1] == '[' ? "" : ", ", i->vm, vh_instance_state_name(i->state), i->engine, i->revision,
        (unsigned long long)i->served);
    return true;
}

static int show(struct fn_host *h, const char *name, vh_error *err)
{
    int rc = vh_functions_list(h->functions, name, show_function, h, err);

    if (rc == 0)
        rc = vh_functions_instances(h->functions, name, show_instance, h, err);
    say(h, "]}");
    return rc;
}

static bool type_of(const vh_event *e, void *arg)
{
    say(arg, "%s ", e->type);
    return true;
}

static int types(struct fn_host *h)
{
    vh_call soon = { .size = sizeof(soon), .timeout_ms = 100 };

    vh_error err = { 0 };
    int rc = vh_functions_events(h->functions, NULL, 1, &soon, type_of, h, &err);

    return rc == VH_ETIMEDOUT ? 0 : rc; /* there is always another one to come */
}

static bool piece(const vh_log_piece *p, void *arg)
{
    say(arg, "%s%.*s ", p->vm[0] ? "" : "(nameless) ", (int)p->n, (const char *)p->bytes);
    return true;
}

static int logs(struct fn_host *h, const char *name, vh_error *err)
{
    int rc = vh_functions_logs(h->functions, name, UINT32_MAX, false, NULL, piece, h, err);

    for (char *p = h->said; *p; p++)
        *p = *p == '\n' ? ' ' : *p;
    return rc;
}

static int exec(struct fn_host *h, char **w, vh_error *err)
{
    const char *argv[] = { w[2], w[3], NULL };
    vh_exec_options o = VH_EXEC_OPTIONS_INIT;
    vh_exec_result result = VH_EXEC_RESULT_INIT;
    vh_exec *x;
    int rc;

    o.argv = argv;
    rc = vh_functions_exec(h->functions, w[1], &o, NULL, &x, err);
    if (rc)
        return rc;
    rc = vh_exec_wait(x, NULL, &result, err);
    vh_exec_free(x);
    say(h, "%d", result.code);
    return rc;
}

static int by_hand(struct fn_host *h, char **w, vh_error *err)
{
    char id[VH_SNAPSHOT_ID];
    int rc;

    if (strcmp(w[0], "pause") == 0)
        return vh_functions_vm_pause(h->functions, w[1], NULL, err);
    if (strcmp(w[0], "resume") == 0)
        return vh_functions_vm_resume(h->functions, w[1], NULL, err);
    if (strcmp(w[0], "kill") == 0)
        return vh_functions_vm_kill(h->functions, w[1], NULL, err);
    rc = vh_functions_vm_snapshot(h->functions, w[1], NULL, id, err);
    if (rc == 0)
        say(h, "%s", id);
    return rc;
}

static int obey(struct fn_host *h, char **w, vh_error *err)
{
    if (strcmp(w[0], "deploy") == 0)
        return deploy(h, w, err);
    if (strcmp(w[0], "serve") == 0)
        return serve(h, w, err);
    if (strcmp(w[0], "plain") == 0)
        return plain(h, w, err);
    if (strcmp(w[0], "show") == 0)
        return show(h, w[1], err);
    if (strcmp(w[0], "remove") == 0)
        return vh_functions_remove(h->functions, w[1], NULL, err);
    if (strcmp(w[0], "scale") == 0)
        return vh_functions_scale(h->functions, w[1], number(w[2]), number(w[3]), err);
    if (strcmp(w[0], "types") == 0)
        return types(h);
    if (strcmp(w[0], "logs") == 0)
        return logs(h, w[1], err);
    if (strcmp(w[0], "exec") == 0)
        return exec(h, w, err);
    if (strcmp(w[0], "restart") != 0)
        return by_hand(h, w, err);
    close_host(h);
    return open_host(h, err);
}

static void split(char *line, char *words[WORDS])
{
    size_t n = 0;

    for (char *rest = line, *word; n < WORDS - 1 && (word = strtok_r(rest, " \n", &rest)); )
        words[n++] = word;
    words[n] = NULL;
}

int main(void)
{
    static struct fn_host h;
    char line[4096], *words[WORDS];
    vh_error err = { 0 };
    int rc = vh_config_new(&h.config, &err);

    if (rc == 0)
        rc = vh_config_load_env(h.config, NULL, &err);
    if (rc == 0)
        rc = open_host(&h, &err);
    printf("%s\n", rc ? err.msg : "ready");
    fflush(stdout);
    while (rc == 0 && fgets(line, sizeof(line), stdin) && strcmp(line, "quit\n") != 0) {
        int code;

        h.len = 0;
        h.said[0] = '\0';
        split(line, words);
        code = words[0] ? obey(&h, words, &err) : VH_EINVALID;
        if (code)
            printf("error: %s: %s\n", vh_error_name(code), err.msg);
        else
            printf("%s\n", h.len ? h.said : "done");
        fflush(stdout);
    }
    close_host(&h);
    vh_config_free(h.config);
    return rc ? 1 : 0;
}
