#include "record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"

#define MAX_DEFAULT           8
#define CONCURRENCY_DEFAULT   100
#define KEEP_ALIVE_MS_DEFAULT 30000
#define ADDRESS_DEFAULT       "tcp:127.0.0.1"

/* More would be a mistake. */
#define INSTANCES_MAX   10000
#define CONCURRENCY_MAX 100000
#define ENV_MAX         1500

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool vh__record_is_name(const char *name)
{
    size_t n = name ? strlen(name) : 0;

    if (n == 0 || n >= VH_FUNCTION_NAME || !is_letter_or_digit(name[0]) || !is_letter_or_digit(name[n - 1]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_letter_or_digit(name[i]) && name[i] != '-')
            return false;
    return true;
}

static int check_env(const char *const *env, vh_error *err)
{
    size_t n = 0;

    for (; env && env[n]; n++)
        if (env[n][0] == '=' || !strchr(env[n], '='))
            return vh_error_set(err, VH_EINVALID, "env '%s': must be NAME=VALUE", env[n]);
    return n <= ENV_MAX ? 0 : vh_error_set(err, VH_EINVALID, "env: %zu variables, at most %d", n, ENV_MAX);
}

static int check_numbers(const vh_function_spec *s, vh_error *err)
{
    uint32_t max = s->max ? s->max : MAX_DEFAULT;

    if (max > INSTANCES_MAX)
        return vh_error_set(err, VH_EINVALID, "max %u: at most %d instances", max, INSTANCES_MAX);
    if (s->min > max)
        return vh_error_set(err, VH_EINVALID, "min %u: more than max (%u)", s->min, max);
    if (s->concurrency > CONCURRENCY_MAX)
        return vh_error_set(err, VH_EINVALID, "concurrency %u: at most %d", s->concurrency, CONCURRENCY_MAX);
    if ((unsigned)s->engine > VH_ENGINE_REAP)
        return vh_error_set(err, VH_EINVALID, "engine %d: there is no such", (int)s->engine);
    return 0;
}

static int check_address(const char *address, vh_error *err)
{
    if (!address || !address[0] || strncmp(address, "tcp:", 4) == 0 || strncmp(address, "unix:/", 6) == 0)
        if (!address || strlen(address) < VH_FUNCTION_ADDRESS)
            return 0;
    return vh_error_set(err, VH_EINVALID, "address '%s': must be tcp:HOST[:PORT] or unix:/PATH, at most %d bytes",
                        address, VH_FUNCTION_ADDRESS - 1);
}

int vh__record_check(const vh_function_spec *spec, vh_error *err)
{
    int rc;

    if (!vh__record_is_name(spec->name))
        return vh_error_set(err, VH_EINVALID, "name '%.80s': must be of a-z, 0-9 and inner '-', at most 63 of them",
                            spec->name ? spec->name : "");
    if (!spec->image || !spec->image[0] || strlen(spec->image) >= VH_IMAGE_REF)
        return vh_error_set(err, VH_EINVALID, "image: a reference of 1 to %d bytes is needed", VH_IMAGE_REF - 1);
    rc = check_address(spec->address, err);
    if (rc == 0)
        rc = check_env(spec->env, err);
    return rc ? rc : check_numbers(spec, err);
}

static void fill_defaults(vh_function_spec *s)
{
    s->max = s->max ? s->max : MAX_DEFAULT;
    s->concurrency = s->concurrency ? s->concurrency : CONCURRENCY_DEFAULT;
    s->keep_alive_ms = s->keep_alive_ms ? s->keep_alive_ms : KEEP_ALIVE_MS_DEFAULT;
}

static const char *const *copy_env(const char *const *env)
{
    size_t n = 0;
    char **copy;

    while (env && env[n])
        n++;
    copy = calloc(n + 1, sizeof(*copy));
    for (size_t i = 0; copy && i < n; i++) {
        copy[i] = strdup(env[i]);
        if (!copy[i]) {
            while (i)
                free(copy[--i]);
            free(copy);
            return NULL;
        }
    }
    return (const char *const *)copy;
}

static bool copy_strings(vh_function_spec *s)
{
    s->name = strdup(s->name);
    s->image = strdup(s->image);
    s->address = strdup(s->address && s->address[0] ? s->address : ADDRESS_DEFAULT);
    s->env = copy_env(s->env);
    return s->name && s->image && s->address && s->env;
}

int vh__record_new(const vh_function_spec *spec, struct record **record, vh_error *err)
{
    vh_function_spec given = VH_FUNCTION_SPEC_INIT;
    struct record *r;
    int rc;

    memcpy(&given, spec, VH_MIN(spec->size, sizeof(given)));
    given.size = sizeof(given);
    rc = vh__record_check(&given, err);
    if (rc)
        return rc;
    r = calloc(1, sizeof(*r));
    if (!r)
        return vh_error_set(err, -ENOMEM, "function %s", given.name);
    r->holders = 1;
    r->spec = given;
    fill_defaults(&r->spec);
    if (!copy_strings(&r->spec)) {
        vh__record_drop(r);
        return vh_error_set(err, -ENOMEM, "function");
    }
    *record = r;
    return 0;
}

void vh__record_hold(struct record *record)
{
    record->holders++;
}

void vh__record_drop(struct record *record)
{
    if (!record || --record->holders)
        return;
    for (const char *const *e = record->spec.env; e && *e; e++)
        free((char *)*e);
    free((void *)record->spec.env);
    free((char *)record->spec.name);
    free((char *)record->spec.image);
    free((char *)record->spec.address);
    vh_image_close(record->image);
    free(record);
}

static bool same_env(const char *const *a, const char *const *b)
{
    for (; *a && *b && strcmp(*a, *b) == 0; a++)
        b++;
    return !*a && !*b;
}

bool vh__record_same_revision(const struct record *a, const struct record *b)
{
    const vh_function_spec *s = &a->spec, *t = &b->spec;

    return strcmp(s->image, t->image) == 0 && strcmp(a->image_digest, b->image_digest) == 0 &&
           strcmp(s->address, t->address) == 0 && same_env(s->env, t->env) && s->port == t->port &&
           s->memory_mib == t->memory_mib && s->cpus == t->cpus && s->engine == t->engine;
}
