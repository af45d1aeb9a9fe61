#include "proto.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auto.h"

/** Most variables of one function, and most bytes of them; no VM takes more, and listings have to hold them. */
#define ENV_MAX       1024
#define ENV_BYTES_MAX 65536

int vh__proto_copy(const char *what, const char *text, char *to, size_t room, vh_error *err)
{
    size_t n = strlen(text);

    if (n >= room)
        return vh_error_set(err, VH_EINVALID, "%s: longer than %zu bytes", what, room - 1);
    memcpy(to, text, n + 1);
    return 0;
}

/* protobuf-c has no const: nothing is written through it. */
static char *text(const char *s)
{
    return (char *)(s ? s : "");
}

static size_t count(const char *const *list)
{
    size_t n = 0;

    while (list && list[n])
        n++;
    return n;
}

void vh__proto_from_spec(const vh_function_spec *s, VH_PB(FunctionSpec) *m)
{
    vhive__control__v1__function_spec__init(m);
    m->name = text(s->name);
    m->image = text(s->image);
    m->n_env = count(s->env);
    m->env = (char **)s->env;
    m->address = text(s->address);
    m->port = s->port;
    m->memory_mib = s->memory_mib;
    m->cpus = s->cpus;
    m->engine = text(vh_engine_name(s->engine));
    m->min = s->min;
    m->max = s->max;
    m->concurrency = s->concurrency;
    m->keep_alive_ms = s->keep_alive_ms;
    m->retire = s->retire;
}

static int bounded(const char *what, const char *value, size_t room, vh_error *err)
{
    return strlen(value) < room ? 0 : vh_error_set(err, VH_EINVALID, "%s: longer than %zu bytes", what, room - 1);
}

static int check_env(const VH_PB(FunctionSpec) *m, vh_error *err)
{
    size_t bytes = 0;

    if (m->n_env > ENV_MAX)
        return vh_error_set(err, VH_EINVALID, "env: %zu variables; at most %d", m->n_env, ENV_MAX);
    for (size_t i = 0; i < m->n_env; i++) {
        if (!strchr(m->env[i], '=') || m->env[i][0] == '=')
            return vh_error_set(err, VH_EINVALID, "env: '%.64s' is not NAME=VALUE", m->env[i]);
        bytes += strlen(m->env[i]);
    }
    return bytes <= ENV_BYTES_MAX ? 0
                                  : vh_error_set(err, VH_EINVALID, "env: %zu bytes; at most %d", bytes, ENV_BYTES_MAX);
}

static int check_texts(const VH_PB(FunctionSpec) *m, vh_error *err)
{
    int rc = bounded("name", m->name, VH_FUNCTION_NAME, err);

    if (rc == 0)
        rc = bounded("image", m->image, VH_IMAGE_REF, err);
    if (rc == 0)
        rc = bounded("address", m->address, VH_FUNCTION_ADDRESS, err);
    if (rc == 0 && m->port > UINT16_MAX)
        rc = vh_error_set(err, VH_EINVALID, "port %u: ports are 1 to 65535", m->port);
    return rc ? rc : check_env(m, err);
}

/* protobuf-c counts, our lists end with a NULL. */
static int take_env(const VH_PB(FunctionSpec) *m, const char ***env, vh_error *err)
{
    const char **list = calloc(m->n_env + 1, sizeof(*list));

    if (!list)
        return vh_error_set(err, -ENOMEM, "environment");
    for (size_t i = 0; i < m->n_env; i++)
        list[i] = m->env[i];
    *env = list;
    return 0;
}

int vh__proto_to_spec(const VH_PB(FunctionSpec) *m, vh_function_spec *spec, const char ***env, vh_error *err)
{
    vh_engine engine = VH_ENGINE_AUTO;
    int rc = m ? check_texts(m, err) : vh_error_set(err, VH_EINVALID, "spec: is missing");

    if (rc == 0 && *m->engine)
        rc = vh_engine_parse(m->engine, &engine, err);
    if (rc == 0)
        rc = take_env(m, env, err);
    if (rc)
        return rc;
    *spec = (vh_function_spec){ .size = sizeof(*spec),
                                .name = m->name,
                                .image = m->image,
                                .env = *env,
                                .address = *m->address ? m->address : NULL,
                                .port = (uint16_t)m->port,
                                .memory_mib = m->memory_mib,
                                .cpus = m->cpus,
                                .engine = engine,
                                .min = m->min,
                                .max = m->max,
                                .concurrency = m->concurrency,
                                .keep_alive_ms = m->keep_alive_ms,
                                .retire = m->retire };
    return 0;
}

void vh__proto_from_function(const vh_function_info *i, VH_PB(FunctionSpec) *spec, VH_PB(Function) *m)
{
    vhive__control__v1__function__init(m);
    vh__proto_from_spec(&i->spec, spec);
    m->spec = spec;
    m->address = text(i->address);
    m->image_digest = text(i->image_digest);
    m->snapshot = text(i->snapshot);
    m->revision = i->revision;
    m->deployed_ns = i->deployed_ns;
    m->instances = i->instances;
    m->ready = i->ready;
    m->waiting = i->waiting;
    m->active = i->active;
    m->served = i->served;
    m->started = i->started;
    m->failed = i->failed;
    m->last_error = text(i->last_error);
}

int vh__proto_to_function(const VH_PB(Function) *m, vh_function_info *info, const char ***env, vh_error *err)
{
    vh_function_spec spec;
    int rc = vh__proto_to_spec(m->spec, &spec, env, err);

    if (rc)
        return rc;
    *info = (vh_function_info){ .size = sizeof(*info),
                                .spec = spec,
                                .address = m->address,
                                .image_digest = m->image_digest,
                                .snapshot = m->snapshot,
                                .revision = m->revision,
                                .deployed_ns = m->deployed_ns,
                                .instances = m->instances,
                                .ready = m->ready,
                                .waiting = m->waiting,
                                .active = m->active,
                                .served = m->served,
                                .started = m->started,
                                .failed = m->failed,
                                .last_error = m->last_error };
    return 0;
}

void vh__proto_from_instance(const vh_instance_info *i, VH_PB(Instance) *m)
{
    vhive__control__v1__instance__init(m);
    m->vm = text(i->vm);
    m->function = text(i->function);
    m->revision = i->revision;
    m->state = text(vh_instance_state_name(i->state));
    m->engine = text(i->engine);
    m->snapshot = text(i->snapshot);
    m->address = text(i->address);
    m->port = i->port;
    m->active = i->active;
    m->served = i->served;
    m->started_ns = i->started_ns;
    m->start_us = i->start_us;
    m->memory_mib = i->memory_mib;
}

static int to_state(const char *name, vh_instance_state *state, vh_error *err)
{
    for (int s = VH_INSTANCE_STARTING; s <= VH_INSTANCE_STOPPING; s++) {
        if (strcmp(vh_instance_state_name((vh_instance_state)s), name) == 0) {
            *state = (vh_instance_state)s;
            return 0;
        }
    }
    return vh_error_set(err, VH_EINVALID, "state '%.32s' of an instance is unknown", name);
}

int vh__proto_to_instance(const VH_PB(Instance) *m, vh_instance_info *info, vh_error *err)
{
    vh_instance_info i = { .size = sizeof(i),
                           .revision = m->revision,
                           .port = (uint16_t)m->port,
                           .active = m->active,
                           .served = m->served,
                           .started_ns = m->started_ns,
                           .start_us = m->start_us,
                           .memory_mib = m->memory_mib };
    int rc = to_state(m->state, &i.state, err);

    if (rc == 0)
        rc = vh__proto_copy("vm", m->vm, i.vm, sizeof(i.vm), err);
    if (rc == 0)
        rc = vh__proto_copy("function", m->function, i.function, sizeof(i.function), err);
    if (rc == 0)
        rc = vh__proto_copy("engine", m->engine, i.engine, sizeof(i.engine), err);
    if (rc == 0)
        rc = vh__proto_copy("snapshot", m->snapshot, i.snapshot, sizeof(i.snapshot), err);
    if (rc == 0)
        rc = vh__proto_copy("address", m->address, i.address, sizeof(i.address), err);
    if (rc == 0 && m->port > UINT16_MAX)
        rc = vh_error_set(err, VH_EINVALID, "port %u: ports are 1 to 65535", m->port);
    if (rc == 0)
        *info = i;
    return rc;
}
