#include "invoke_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "fd.h"
#include "json.h"

/** Most bytes of a body that is read from a file. */
#define BODY_MAX (16u << 20)

#define HTTP_EXAMPLES "http:/path or http:POST:/path:@body.json"
#define GRPC_EXAMPLE "grpc:helloworld.Greeter/SayHello:{\"name\":\"record\"}"

void vh_invoke_request_free(vh_invoke_request *request)
{
    if (!request)
        return;
    free(request->verb);
    free(request->path);
    vh__buf_fini(&request->body);
    free(request);
}

/* Copies |n| bytes of |from|. */
static int copy(const char *from, size_t n, char **to, vh_error *err)
{
    *to = strndup(from, n);
    return *to ? 0 : vh_error_set(err, -ENOMEM, "invocation");
}

/* Where bodies come from beside the text itself. */
struct source {
    bool files;       /* "@FILE" is read */
    const void *data; /* NULL, or |n| bytes that replace the text */
    size_t n;
};

/* Text as it stands, or the content of the file that "@" names, or what replaces both. */
static int read_body(const struct source *from, const char *text, vh__buf *out, vh_error *err)
{
    if (from->data) {
        vh__buf_append(out, from->data, from->n);
        return vh__buf_check(out, "invocation", err);
    }
    if (text[0] == '@' && !from->files)
        return vh_error_set(err, VH_EINVALID, "'%.64s': files are not read here; give what is in it as data", text);
    if (text[0] == '@') {
        int rc = vh__file_read(text + 1, BODY_MAX, out, err);

        return rc == -ENOENT ? vh_error_set(err, VH_ENOTFOUND, "%s: no such file, as the invocation's body", text + 1) : rc;
    }
    vh__buf_puts(out, text);
    return vh__buf_check(out, "invocation", err);
}

/* Upper-case letters only: all the methods there are, and nothing that could end the request line. */
static int take_verb(vh_invoke_request *q, const char *verb, size_t n, vh_error *err)
{
    if (n == 0 || n > 16 || strspn(verb, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") < n)
        return vh_error_set(err, VH_EINVALID, "'%.*s' is no HTTP method in upper case; write " HTTP_EXAMPLES,
                            (int)VH_MIN(n, 64), verb);
    return copy(verb, n, &q->verb, err);
}

static int take_path(vh_invoke_request *q, const char *path, size_t n, vh_error *err)
{
    if (path[0] != '/')
        return vh_error_set(err, VH_EINVALID, "HTTP path '%.64s' must begin with '/'; write " HTTP_EXAMPLES, path);
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)path[i] <= ' ' || path[i] == 0x7f || path[i] == '#')
            return vh_error_set(err, VH_EINVALID,
                                "HTTP path '%.64s': a space, '#' or control character must be "
                                "percent-encoded (%%20)",
                                path);
    }
    return copy(path, n, &q->path, err);
}

/* A body there is, be it empty: from |text|, NULL if it names none. */
static int take_body(vh_invoke_request *q, const struct source *from, const char *text, vh_error *err)
{
    q->has_body = text || from->data;
    return q->has_body ? read_body(from, text, &q->body, err) : 0;
}

static int parse_http(vh_invoke_request *q, const struct source *from, const char *spec, vh_error *err)
{
    size_t verb = strcspn(spec, ":"), path;
    int rc;

    if (spec[0] == '/') {
        rc = from->data ? take_verb(q, "POST", 4, err) : take_verb(q, "GET", 3, err);
        if (rc == 0)
            rc = take_path(q, spec, strlen(spec), err);
        return rc ? rc : take_body(q, from, NULL, err);
    }
    if (!spec[verb])
        return vh_error_set(err, VH_EINVALID, "'http:%.64s' names no path; write " HTTP_EXAMPLES, spec);
    rc = take_verb(q, spec, verb, err);
    if (rc)
        return rc;
    spec += verb + 1;
    path = strcspn(spec, ":");
    rc = take_path(q, spec, path, err);
    return rc ? rc : take_body(q, from, spec[path] ? spec + path + 1 : NULL, err);
}

static int encode(vh_invoke_request *q, const struct source *from, const char *text, vh_error *err)
{
    vh_auto_buf vh__buf body = { 0 };
    vh_auto_json cJSON *json = NULL;
    int rc = read_body(from, text, &body, err);

    if (!rc)
        rc = vh__json_parse(body.data, body.len, q->grpc->name, &json, err);
    if (!rc && !cJSON_IsObject(json))
        rc = vh_error_set(err, VH_EINVALID, "%s: the request must be a JSON object like %s", q->grpc->name,
                          q->grpc->sample);
    return rc ? rc : q->grpc->encode(json, &q->body, err);
}

static int parse_grpc(vh_invoke_request *q, const struct source *from, const char *spec, vh_error *err)
{
    vh_auto_free char *name = NULL;
    size_t n = strcspn(spec, ":");
    int rc;

    if (!spec[n] || n == 0)
        return vh_error_set(err, VH_EINVALID, "'grpc:%.64s' has no method or no request; write " GRPC_EXAMPLE, spec);
    rc = copy(spec, n, &name, err);
    if (!rc)
        rc = vh__invoke_method_find(name, &q->grpc, err);
    if (!rc)
        rc = encode(q, from, spec + n + 1, err);
    if (rc)
        return rc;
    q->path = malloc(n + 2);
    if (!q->path)
        return vh_error_set(err, -ENOMEM, "invocation");
    q->path[0] = '/';
    memcpy(q->path + 1, name, n + 1);
    return 0;
}

static int parse(const char *spec, const struct source *from, vh_invoke_request **request, vh_error *err)
{
    vh_invoke_request *q = calloc(1, sizeof(*q));
    int rc;

    if (!q)
        return vh_error_set(err, -ENOMEM, "invocation");
    if (strncmp(spec, "http:", 5) == 0)
        rc = parse_http(q, from, spec + 5, err);
    else if (strncmp(spec, "grpc:", 5) == 0)
        rc = parse_grpc(q, from, spec + 5, err);
    else
        rc = vh_error_set(err, VH_EINVALID,
                          "invocation '%.64s' is neither http: nor grpc:; write " HTTP_EXAMPLES " or " GRPC_EXAMPLE,
                          spec);
    if (rc) {
        vh_invoke_request_free(q);
        return rc;
    }
    *request = q;
    return 0;
}

int vh_invoke_parse(const char *spec, vh_invoke_request **request, vh_error *err)
{
    return parse(spec, &(struct source){ .files = true }, request, err);
}

int vh_invoke_parse_data(const char *spec, const void *data, size_t n, vh_invoke_request **request, vh_error *err)
{
    return parse(spec, &(struct source){ .data = data, .n = n }, request, err);
}
