/* Configurations: how to run an image. */
#include "oci.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json.h"
#include "oci_priv.h"

enum {
    STRING_MAX = 131071, /* of one argument or variable: the kernel's MAX_ARG_STRLEN, less the NUL */
    LIST_MAX = 4096,
    USER_MAX = 256,
    PATH_LIMIT = 4095,
};

/* Real-time signals of a Linux process as glibc numbers them. */
enum { RTMIN = 34, RTMAX = 64 };

static int bad(vh_error *err, const char *member, const char *why)
{
    return vh_error_set(err, VH_EIMAGE, "config: %s %s: rebuild the image", member, why);
}

/* |n| strings of |list| (null and missing: none) to the end of |to|. */
static int add_strings(const cJSON *list, const char *member, const char **to, size_t *n, vh_error *err)
{
    const cJSON *s;

    if (!list || cJSON_IsNull(list))
        return 0;
    if (!cJSON_IsArray(list))
        return bad(err, member, "is not an array");
    cJSON_ArrayForEach(s, list)
    {
        if (!cJSON_IsString(s))
            return bad(err, member, "has something that is not a string");
        if (*n == LIST_MAX || strlen(s->valuestring) > STRING_MAX)
            return vh_error_set(err, VH_ELIMIT, "config: %s has over %d entries or one over 128 KiB", member,
                                LIST_MAX);
        to[(*n)++] = s->valuestring;
    }
    return 0;
}

static const cJSON *member(const cJSON *o, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

static int list_new(const cJSON *a, const cJSON *b, const char ***out, vh_error *err)
{
    size_t n = (size_t)cJSON_GetArraySize(a) + (size_t)cJSON_GetArraySize(b);

    *out = calloc((n < LIST_MAX ? n : LIST_MAX) + 1, sizeof(**out));
    return *out ? 0 : vh_error_set(err, -ENOMEM, "config");
}

static int parse_argv(const cJSON *run, vh__oci_config *c, vh_error *err)
{
    const cJSON *entrypoint = member(run, "Entrypoint"), *cmd = member(run, "Cmd");
    size_t n = 0;
    int rc = list_new(entrypoint, cmd, &c->argv, err);

    if (rc == 0)
        rc = add_strings(entrypoint, "Entrypoint", c->argv, &n, err);
    if (rc == 0)
        rc = add_strings(cmd, "Cmd", c->argv, &n, err);
    c->run.argv = c->argv;
    return rc;
}

static int parse_env(const cJSON *run, vh__oci_config *c, vh_error *err)
{
    const cJSON *env = member(run, "Env");
    size_t n = 0;
    int rc = list_new(env, NULL, &c->env, err);

    if (rc == 0)
        rc = add_strings(env, "Env", c->env, &n, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < n; i++)
        if (strcspn(c->env[i], "=") == 0 || !strchr(c->env[i], '='))
            return vh_error_set(err, VH_EIMAGE, "config: Env has \"%.80s\", which is not NAME=VALUE: rebuild the "
                                "image", c->env[i]);
    c->run.env = c->env;
    return 0;
}

/* A string member, "" when it is missing or null. */
static int parse_text(const cJSON *run, const char *key, size_t max, const char **out, vh_error *err)
{
    const cJSON *s = member(run, key);

    *out = "";
    if (!s || cJSON_IsNull(s))
        return 0;
    if (!cJSON_IsString(s))
        return bad(err, key, "is not a string");
    if (strlen(s->valuestring) > max)
        return bad(err, key, "is too long");
    *out = s->valuestring;
    return 0;
}

static int parse_place(const cJSON *run, vh__oci_config *c, vh_error *err)
{
    int rc = parse_text(run, "WorkingDir", PATH_LIMIT, &c->run.cwd, err);

    if (rc)
        return rc;
    if (*c->run.cwd == '\0')
        c->run.cwd = "/";
    if (*c->run.cwd != '/')
        return bad(err, "WorkingDir", "is not absolute");
    rc = parse_text(run, "User", USER_MAX, &c->run.user, err);
    for (const char *p = c->run.user; rc == 0 && *p; p++)
        if (isspace((unsigned char)*p) || iscntrl((unsigned char)*p))
            return bad(err, "User", "has a space or control character");
    return rc;
}

/* "8080", "8080/tcp", "8080-8090/tcp": the first port; 0 for other protocols, -1 if it is none of these. */
static int port_of(const char *text)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    if (!isdigit((unsigned char)*text) || port < 1 || port > UINT16_MAX)
        return -1;
    if (*end == '-')
        (void)strtoul(end + 1, &end, 10); /* where a range ends is not asked for */
    if (*end == '\0' || strcmp(end, "/tcp") == 0)
        return (int)port;
    return *end == '/' ? 0 : -1;
}

static int parse_ports(const cJSON *run, vh__oci_config *c, vh_error *err)
{
    const cJSON *ports = member(run, "ExposedPorts"), *p;

    if (!ports || cJSON_IsNull(ports))
        return 0;
    if (!cJSON_IsObject(ports))
        return bad(err, "ExposedPorts", "is not an object");
    cJSON_ArrayForEach(p, ports)
    {
        int port = port_of(p->string);

        if (port < 0)
            return vh_error_set(err, VH_EIMAGE, "config: ExposedPorts has \"%.40s\", which is not a port: rebuild "
                                "the image", p->string);
        if (port > 0 && (c->run.port == 0 || port < c->run.port))
            c->run.port = (uint16_t)port;
    }
    return 0;
}

/* What follows "RTMIN+" or "RTMAX-"; -1 if it is no number. */
static int offset_of(const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    return isdigit((unsigned char)*text) && *end == '\0' && n <= RTMAX - RTMIN ? (int)n : -1;
}

int vh__oci_signal(const char *text)
{
    const char *name = strncmp(text, "SIG", 3) == 0 ? text + 3 : text;
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (isdigit((unsigned char)*text))
        return *end == '\0' && n >= 1 && n <= RTMAX ? (int)n : 0;
    if (strncmp(name, "RTMIN", 5) == 0)
        return name[5] == '\0' ? RTMIN : name[5] == '+' && offset_of(name + 6) >= 0 ? RTMIN + offset_of(name + 6) : 0;
    if (strncmp(name, "RTMAX", 5) == 0)
        return name[5] == '\0' ? RTMAX : name[5] == '-' && offset_of(name + 6) >= 0 ? RTMAX - offset_of(name + 6) : 0;
    for (int i = 1; i < 32; i++) {
        const char *known = sigabbrev_np(i);

        if (known && strcmp(known, name) == 0)
            return i;
    }
    return 0;
}

static int parse_signal(const cJSON *run, vh__oci_config *c, vh_error *err)
{
    const cJSON *s = member(run, "StopSignal");

    c->run.stop_signal = SIGTERM;
    if (!s || cJSON_IsNull(s) || (cJSON_IsString(s) && *s->valuestring == '\0'))
        return 0;
    if (cJSON_IsString(s))
        c->run.stop_signal = vh__oci_signal(s->valuestring);
    else
        c->run.stop_signal = (int)vh__json_u64_or(run, "StopSignal", 0);
    if (c->run.stop_signal < 1 || c->run.stop_signal > RTMAX)
        return bad(err, "StopSignal", "is no signal of Linux");
    return 0;
}

static int parse_labels(const cJSON *run, vh__oci_config *c, vh_error *err)
{
    const cJSON *labels = member(run, "Labels");

    if (labels && !cJSON_IsNull(labels) && !cJSON_IsObject(labels))
        return bad(err, "Labels", "is not an object");
    return parse_text(labels, "io.vhive.invoke", STRING_MAX, &c->run.invoke, err);
}

static int parse_run(const cJSON *run, vh__oci_config *c, vh_error *err)
{
    int rc;

    if (run && !cJSON_IsNull(run) && !cJSON_IsObject(run))
        return bad(err, "config", "is not an object");
    rc = parse_argv(run, c, err);
    if (rc == 0)
        rc = parse_env(run, c, err);
    if (rc == 0)
        rc = parse_place(run, c, err);
    if (rc == 0)
        rc = parse_ports(run, c, err);
    if (rc == 0)
        rc = parse_labels(run, c, err);
    return rc ? rc : parse_signal(run, c, err);
}

static int parse_platform(const cJSON *doc, vh__oci_config *c, vh_error *err)
{
    const char *os = vh__json_str_or(doc, "os", ""), *arch = vh__json_str_or(doc, "architecture", "");

    if (strcmp(os, "linux") != 0 || strcmp(arch, "amd64") != 0)
        return vh_error_set(err, VH_EIMAGE, "it is built for \"%.40s/%.40s\": build it for linux/amd64", os, arch);
    strcpy(c->architecture, "amd64");
    return 0;
}

static int parse_diff_ids(const cJSON *doc, vh__oci_config *c, vh_error *err)
{
    const cJSON *list = member(member(doc, "rootfs"), "diff_ids"), *id;
    int n = cJSON_GetArraySize(list);

    if (!cJSON_IsArray(list))
        return bad(err, "rootfs.diff_ids", "is missing or not an array");
    if (n > VH_OCI_LAYERS_MAX)
        return vh_error_set(err, VH_ELIMIT, "config: more than %d layers", VH_OCI_LAYERS_MAX);
    c->diff_ids = calloc((size_t)n + 1, sizeof(*c->diff_ids));
    if (!c->diff_ids)
        return vh_error_set(err, -ENOMEM, "config");
    cJSON_ArrayForEach(id, list)
    {
        if (!cJSON_IsString(id) || !vh__digest_valid(id->valuestring))
            return bad(err, "rootfs.diff_ids", "has what is not a sha256 digest");
        strcpy(c->diff_ids[c->n++], id->valuestring);
    }
    return 0;
}

/* RFC 3339; the fraction does not matter. 0 when it is not one: nobody depends on it. */
static int64_t parse_time(const char *text)
{
    struct tm tm = { 0 };
    const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    int64_t t;

    if (!p)
        return 0;
    t = timegm(&tm);
    if (*p == '.')
        p += 1 + strspn(p + 1, "0123456789");
    if (strptime(p, "%z", &tm))
        t -= tm.tm_gmtoff;
    return t > 0 ? t : 0;
}

int vh__oci_config_parse(const char *bytes, size_t n, vh__oci_config *out, vh_error *err)
{
    vh__oci_config c = { 0 };
    int rc = vh__oci_parse(bytes, n, "config", &c.doc, err);

    if (rc)
        return rc;
    rc = parse_platform(c.doc, &c, err);
    if (rc == 0)
        rc = parse_diff_ids(c.doc, &c, err);
    if (rc == 0)
        rc = parse_run(member(c.doc, "config"), &c, err);
    if (rc) {
        vh__oci_config_fini(&c);
        return rc;
    }
    c.created_s = parse_time(vh__json_str_or(c.doc, "created", ""));
    *out = c;
    return 0;
}

void vh__oci_config_fini(vh__oci_config *c)
{
    free(c->diff_ids);
    free(c->argv);
    free(c->env);
    cJSON_Delete(c->doc);
    memset(c, 0, sizeof(*c));
}
