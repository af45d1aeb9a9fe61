#include "visit.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "auto.h"
#include "path.h"

/* A shim answers at once, unless its machine is overloaded or it waits for its VMM. */
#define INSPECT_MS 1000
#define ORDER_MS   10000
#define CONNECT_POLL_MS 20

static int not_running(const char *id, vh_error *err)
{
    return vh_error_set(err, VH_ENOTFOUND, "VM %s: none such runs; `vhive-ctl vm ls` lists them", id);
}

int vh__visit_connect(const vh_env *env, const char *id, const vh__wait *w, int *sock, vh_error *err)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int n = snprintf(a.sun_path, sizeof(a.sun_path), "%s/vms/%s/" VH_SHIM_SOCKET, vh_env_run_dir(env), id);
    vh_auto_fd int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (s < 0)
        return vh_error_set(err, -errno, "VM %s: socket", id);
    if (n < 0 || (size_t)n >= sizeof(a.sun_path))
        return not_running(id, err); /* none has such a long name */
    while (connect(s, (struct sockaddr *)&a, sizeof(a)) < 0) {
        int rc;

        if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR)
            return not_running(id, err);
        if (errno != EAGAIN && errno != EINTR)
            return vh_error_set(err, -errno, "VM %s: connect to its shim", id);
        rc = vh__wait_sleep(w, CONNECT_POLL_MS, "VM's shim", err); /* its queue is full: no event tells when it is not */
        if (rc)
            return rc;
    }
    *sock = vh_steal_fd(&s);
    return 0;
}

static void copy_text(char *to, size_t n, const cJSON *j, const char *key)
{
    snprintf(to, n, "%s", vh__json_str_or(j, key, ""));
}

/* One request without descriptors. The caller owns |*m| on success. */
static int ask(const vh_env *env, const char *id, const char *op, const vh__wait *w, vh__shim_message *m, vh_error *err)
{
    vh__shim_message answer = { 0 };
    vh_auto_fd int sock = -1;
    cJSON *j = cJSON_CreateObject();
    int rc = vh__visit_connect(env, id, w, &sock, err);

    if (rc || !cJSON_AddStringToObject(j, "op", op)) {
        cJSON_Delete(j);
        return rc ? rc : vh_error_set(err, -ENOMEM, "VM %s", id);
    }
    rc = vh__shim_send(sock, j, NULL, 0, NULL, 0, err);
    if (rc == 0)
        rc = vh__shim_recv(sock, w, &answer, err);
    if (rc == 0)
        rc = vh__shim_result(&answer, err);
    if (rc == 0)
        *m = answer;
    else
        vh__shim_message_fini(&answer);
    return rc;
}

static int inspect(const vh_env *env, const char *id, const vh__wait *w, vh_vm_info *info, vh_error *err)
{
    vh__wait soon = vh__wait_within(w, INSPECT_MS);
    vh__shim_message m;
    int rc = ask(env, id, "inspect", &soon, &m, err);

    if (rc)
        return rc;
    *info = (vh_vm_info){ .size = sizeof(*info), .port = (uint16_t)vh__json_u64_or(m.json, "port", 0),
                          .pid = (pid_t)vh__json_u64_or(m.json, "pid", 0),
                          .started_ns = (int64_t)vh__json_u64_or(m.json, "started_us", 0) * 1000,
                          .paused = vh__json_bool_or(m.json, "paused", false) };
    snprintf(info->id, sizeof(info->id), "%.23s", id);
    copy_text(info->image, sizeof(info->image), m.json, "image");
    copy_text(info->address, sizeof(info->address), m.json, "address");
    copy_text(info->engine, sizeof(info->engine), m.json, "engine");
    copy_text(info->snapshot, sizeof(info->snapshot), m.json, "snapshot");
    vh__shim_message_fini(&m);
    return 0;
}

/* Asks each of |names|. Who does not answer is passed over: it may be ending. */
static int visit_each(const vh_env *env, struct dirent **names, int n, const vh__wait *w, vh_vm_info_fn each, void *arg,
                      vh_error *err)
{
    for (int i = 0; i < n; i++) {
        vh_vm_info info;
        int rc = inspect(env, names[i]->d_name, w, &info, err);

        if (rc == 0 && !each(&info, arg))
            return 0;
        if (rc == VH_ECANCELED || rc == -EACCES || rc == -ENOMEM)
            return rc;
        rc = vh__wait_check(w, "list of VMs", err);
        if (rc)
            return rc;
    }
    return 0;
}

static int is_vm(const struct dirent *e)
{
    return strncmp(e->d_name, "vm-", 3) == 0 && strlen(e->d_name) < sizeof(((vh_vm_info *)NULL)->id);
}

static int list(const vh_env *env, const vh__wait *w, vh_vm_info_fn each, void *arg, vh_error *err)
{
    vh_auto_free char *path = vh__path_join(vh_env_run_dir(env), "vms");
    struct dirent **names;
    int n, rc;

    if (!path)
        return vh_error_set(err, -ENOMEM, "list of VMs");
    n = scandir(path, &names, is_vm, alphasort);
    if (n < 0)
        return errno == ENOENT ? 0 : vh_error_set(err, -errno, "list of VMs in %s", path);
    rc = visit_each(env, names, n, w, each, arg, err);
    while (n > 0)
        free(names[--n]);
    free(names);
    return rc;
}

int vh_vms_list(const vh_env *env, const vh_call *call, vh_vm_info_fn each, void *arg, vh_error *err)
{
    vh__wait w = vh__wait_from(call, 10000);

    return list(env, &w, each, arg, err);
}

/* A search for the one VM whose id begins with |ref|. */
struct search {
    const char *ref;
    size_t found;
    char id[24];
};

static bool matches(const char *id, const char *ref)
{
    size_t n = strlen(ref);

    return strncmp(id, ref, n) == 0 || (strncmp(id, "vm-", 3) == 0 && strncmp(id + 3, ref, n) == 0);
}

static bool look_at(const vh_vm_info *info, void *arg)
{
    struct search *s = arg;

    if (matches(info->id, s->ref) && s->found++ == 0)
        memcpy(s->id, info->id, sizeof(s->id));
    return true;
}

int vh__visit_find(const vh_env *env, const char *ref, const vh__wait *w, char id[24], vh_error *err)
{
    struct search s = { .ref = ref ? ref : "" };
    int rc = list(env, w, look_at, &s, err);

    if (rc)
        return rc;
    if (s.found == 1) {
        memcpy(id, s.id, sizeof(s.id));
        return 0;
    }
    if (s.found == 0)
        return *s.ref ? not_running(s.ref, err)
                      : vh_error_set(err, VH_ENOTFOUND,
                                     "no VM runs below %s; start one by `vhive-ctl run`, or name its --run-dir",
                                     vh_env_run_dir(env));
    return *s.ref ? vh_error_set(err, VH_EINVALID, "VM %s: %zu ids begin with it; give more digits", s.ref, s.found)
                  : vh_error_set(err, VH_EINVALID, "%zu VMs run: say which; `vhive-ctl vm ls` lists them", s.found);
}

/* Finds the VM and has its shim do |op|. */
static int order(const vh_env *env, const char *vm, const char *op, const vh_call *call, vh_error *err)
{
    vh__wait w = vh__wait_from(call, ORDER_MS);
    vh__shim_message m;
    char id[24];
    int rc = vh__visit_find(env, vm, &w, id, err);

    if (rc)
        return rc;
    rc = ask(env, id, op, &w, &m, err);
    if (rc)
        return rc == -EPIPE ? vh_error_set(err, VH_EVMM, "%s: VM %s has just ended", op, id) : rc;
    vh__shim_message_fini(&m);
    return 0;
}

int vh_vms_pause(const vh_env *env, const char *vm, const vh_call *call, vh_error *err)
{
    return order(env, vm, "pause", call, err);
}

int vh_vms_resume(const vh_env *env, const char *vm, const vh_call *call, vh_error *err)
{
    return order(env, vm, "resume", call, err);
}
