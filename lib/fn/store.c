/* A record as a file: JSON, checked like a deployment when it is read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "json.h"
#include "record.h"

/* Bumped when an older library would misread what is written. */
#define FORMAT 1

static const struct {
    const char *key;
    size_t offset;
} numbers[] = {
    { "memory_mib", offsetof(vh_function_spec, memory_mib) },
    { "cpus", offsetof(vh_function_spec, cpus) },
    { "min", offsetof(vh_function_spec, min) },
    { "max", offsetof(vh_function_spec, max) },
    { "concurrency", offsetof(vh_function_spec, concurrency) },
    { "keep_alive_ms", offsetof(vh_function_spec, keep_alive_ms) },
    { "retire", offsetof(vh_function_spec, retire) },
};

static uint32_t *number_at(const vh_function_spec *s, size_t i)
{
    return (uint32_t *)(void *)((char *)(uintptr_t)s + numbers[i].offset);
}

static bool add_env(cJSON *j, const char *const *env)
{
    cJSON *list = cJSON_AddArrayToObject(j, "env");

    for (; list && *env; env++)
        if (!cJSON_AddItemToArray(list, cJSON_CreateString(*env)))
            return false;
    return list != NULL;
}

static bool add_numbers(cJSON *j, const struct record *r)
{
    bool ok = cJSON_AddNumberToObject(j, "revision", r->revision) &&
              cJSON_AddNumberToObject(j, "port", r->spec.port) &&
              cJSON_AddNumberToObject(j, "deployed_ms", (double)(r->deployed_ns / 1000000));

    for (size_t i = 0; ok && i < VH_ARRAY_LEN(numbers); i++)
        ok = cJSON_AddNumberToObject(j, numbers[i].key, *number_at(&r->spec, i)) != NULL;
    return ok;
}

void vh__record_print(const struct record *r, vh__buf *out)
{
    vh_auto_json cJSON *j = cJSON_CreateObject();
    bool ok = cJSON_AddNumberToObject(j, "format", FORMAT) && cJSON_AddStringToObject(j, "name", r->spec.name) &&
              cJSON_AddStringToObject(j, "image", r->spec.image) &&
              cJSON_AddStringToObject(j, "image_digest", r->image_digest) &&
              cJSON_AddStringToObject(j, "address", r->spec.address) &&
              cJSON_AddStringToObject(j, "listen", r->listen) &&
              cJSON_AddStringToObject(j, "engine", vh_engine_name(r->spec.engine)) && add_numbers(j, r) &&
              add_env(j, r->spec.env);

    if (ok)
        vh__json_print(j, true, out);
    out->oom |= !ok;
}

static int parse_numbers(const cJSON *j, vh_function_spec *s, vh_error *err)
{
    uint64_t port, value;
    int rc = vh__json_u64(j, "port", "function", &port, err);

    for (size_t i = 0; rc == 0 && i < VH_ARRAY_LEN(numbers); i++) {
        rc = vh__json_u64(j, numbers[i].key, "function", &value, err);
        if (rc == 0 && value > UINT32_MAX)
            rc = vh_error_set(err, VH_EINVALID, "function: %s is too large", numbers[i].key);
        if (rc == 0)
            *number_at(s, i) = (uint32_t)value;
    }
    if (rc == 0 && (port < 1 || port > UINT16_MAX))
        rc = vh_error_set(err, VH_EINVALID, "function: port is none");
    if (rc == 0)
        s->port = (uint16_t)port;
    return rc;
}

/* |*env| borrows its strings from |j|. */
static int parse_env(const cJSON *j, const char ***env, vh_error *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(j, "env"), *item;
    size_t n = 0;

    if (!cJSON_IsArray(list))
        return vh_error_set(err, VH_EINVALID, "function: env is no list");
    *env = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(**env));
    if (!*env)
        return vh_error_set(err, -ENOMEM, "function");
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item))
            return vh_error_set(err, VH_EINVALID, "function: env holds something that is no text");
        (*env)[n++] = item->valuestring;
    }
    return 0;
}

static int parse_texts(const cJSON *j, vh_function_spec *s, vh_error *err)
{
    const char *engine;
    int rc = vh__json_str(j, "name", "function", &s->name, err);

    if (rc == 0)
        rc = vh__json_str(j, "image", "function", &s->image, err);
    if (rc == 0)
        rc = vh__json_str(j, "address", "function", &s->address, err);
    if (rc == 0)
        rc = vh__json_str(j, "engine", "function", &engine, err);
    return rc ? rc : vh_engine_parse(engine, &s->engine, err);
}

static bool is_digest(const char *text)
{
    return strncmp(text, "sha256:", 7) == 0 && strlen(text) == VH_IMAGE_DIGEST - 1 &&
           strspn(text + 7, "0123456789abcdef") == VH_IMAGE_DIGEST - 8;
}

/* What a deployment does not name. */
static int parse_state(const cJSON *j, struct record *r, vh_error *err)
{
    const char *digest, *listen;
    uint64_t revision, deployed_ms;
    int rc = vh__json_str(j, "image_digest", "function", &digest, err);

    if (rc == 0)
        rc = vh__json_str(j, "listen", "function", &listen, err);
    if (rc == 0)
        rc = vh__json_u64(j, "revision", "function", &revision, err);
    if (rc == 0)
        rc = vh__json_u64(j, "deployed_ms", "function", &deployed_ms, err);
    if (rc)
        return rc;
    if (!is_digest(digest) || strlen(listen) >= sizeof(r->listen) || revision < 1 || revision > UINT32_MAX ||
        deployed_ms > INT64_MAX / 1000000)
        return vh_error_set(err, VH_EINVALID, "function: image_digest, listen, revision or deployed_ms cannot be");
    strcpy(r->image_digest, digest);
    strcpy(r->listen, listen);
    r->revision = (uint32_t)revision;
    r->deployed_ns = (int64_t)deployed_ms * 1000000;
    return 0;
}

static int parse_spec(const cJSON *j, struct record **record, vh_error *err)
{
    vh_function_spec s = VH_FUNCTION_SPEC_INIT;
    vh_auto_free const char **env = NULL;
    int rc = parse_texts(j, &s, err);

    if (rc == 0)
        rc = parse_numbers(j, &s, err);
    if (rc == 0)
        rc = parse_env(j, &env, err);
    s.env = env;
    return rc ? rc : vh__record_new(&s, record, err);
}

int vh__record_parse(const char *text, size_t n, struct record **record, vh_error *err)
{
    vh_auto_json cJSON *j = NULL;
    struct record *r = NULL;
    int rc = vh__json_parse(text, n, "function", &j, err);

    if (rc == 0 && vh__json_u64_or(j, "format", 0) != FORMAT)
        rc = vh_error_set(err, VH_EINVALID, "function: its format is not %d: another version wrote it", FORMAT);
    if (rc == 0)
        rc = parse_spec(j, &r, err);
    if (rc == 0)
        rc = parse_state(j, r, err);
    if (rc) {
        vh__record_drop(r);
        return rc;
    }
    *record = r;
    return 0;
}
