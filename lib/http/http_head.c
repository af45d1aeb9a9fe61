/* Strict where leniency lets two readers see different requests (RFC 9112, section 11): one kind of line end, no folding. */
#include "http_head.h"

#include <string.h>
#include <strings.h>

/* Bytes of a line that have not been read yet. */
struct text {
    const char *at;
    size_t n;
};

struct fields {
    unsigned hosts;
    bool close, keep_alive, body;
};

/* Takes a line off |from|; false when there is none, or when its end is not CR LF. */
static bool take_line(struct text *from, struct text *line)
{
    const char *lf = memchr(from->at, '\n', from->n);
    size_t n = lf ? (size_t)(lf - from->at) : 0;

    if (!lf || n == 0 || lf[-1] != '\r')
        return false;
    *line = (struct text){ from->at, n - 1 };
    from->at += n + 1;
    from->n -= n + 1;
    return true;
}

/* Takes what stands before |end|, and |end| itself, off |from|. */
static bool take_until(struct text *from, char end, struct text *word)
{
    const char *p = memchr(from->at, end, from->n);

    if (!p)
        return false;
    *word = (struct text){ from->at, (size_t)(p - from->at) };
    from->n -= word->n + 1;
    from->at = p + 1;
    return true;
}

static bool is(struct text t, const char *what)
{
    return t.n == strlen(what) && memcmp(t.at, what, t.n) == 0;
}

static bool is_anycase(struct text t, const char *what)
{
    return t.n == strlen(what) && strncasecmp(t.at, what, t.n) == 0;
}

/* Whether all of it is visible ASCII; |spaces|: also blanks and what is no ASCII, as values may have. */
static bool is_visible(struct text t, bool spaces)
{
    for (size_t i = 0; i < t.n; i++) {
        unsigned char c = (unsigned char)t.at[i];

        if (!(c > ' ' && c < 0x7f) && !(spaces && (c == ' ' || c == '\t' || c >= 0x80)))
            return false;
    }
    return true;
}

static bool is_token(struct text t)
{
    return t.n > 0 && is_visible(t, false) && !memchr(t.at, ':', t.n);
}

static struct text trimmed(struct text t)
{
    while (t.n && (*t.at == ' ' || *t.at == '\t')) {
        t.at++;
        t.n--;
    }
    while (t.n && (t.at[t.n - 1] == ' ' || t.at[t.n - 1] == '\t'))
        t.n--;
    return t;
}

/* "keep-alive, close" */
static void read_connection(struct text value, struct fields *f)
{
    struct text option;

    while (value.n) {
        if (!take_until(&value, ',', &option)) {
            option = value;
            value.n = 0;
        }
        option = trimmed(option);
        f->close = f->close || is_anycase(option, "close");
        f->keep_alive = f->keep_alive || is_anycase(option, "keep-alive");
    }
}

static int read_field(struct text line, struct fields *f)
{
    struct text name, value;

    if (!take_until(&line, ':', &name) || !is_token(name) || !is_visible(line, true))
        return -400;
    value = trimmed(line);
    if (is_anycase(name, "host"))
        f->hosts++;
    else if (is_anycase(name, "connection"))
        read_connection(value, f);
    else if (is_anycase(name, "transfer-encoding") || (is_anycase(name, "content-length") && !is(value, "0")))
        f->body = true;
    return 0;
}

/* "GET /metrics?x HTTP/1.1"; |*minor| is the version's. */
static int read_request_line(struct text line, vh__http_head *head, int *minor)
{
    struct text method, target, path;

    if (!take_until(&line, ' ', &method) || !is_token(method) || !take_until(&line, ' ', &target) ||
        !is_visible(target, false) || target.n == 0)
        return -400;
    if (line.n != 8 || memcmp(line.at, "HTTP/", 5) != 0)
        return -400;
    if (!is(line, "HTTP/1.1") && !is(line, "HTTP/1.0"))
        return -505;
    if (!is(method, "GET") && !is(method, "HEAD"))
        return -405;
    if (!take_until(&target, '?', &path))
        path = target;
    if (path.n > VH_HTTP_TARGET_MAX)
        return -414;
    *minor = line.at[7] - '0';
    memcpy(head->target, path.at, path.n);
    head->target[path.n] = '\0';
    head->head = is(method, "HEAD");
    return 0;
}

/* All of a head: lines up to the empty one. */
static int read_head(struct text all, vh__http_head *head)
{
    struct fields f = { 0 };
    struct text line;
    int minor = 0, rc = take_line(&all, &line) ? read_request_line(line, head, &minor) : -400;

    while (rc == 0 && take_line(&all, &line) && line.n)
        rc = read_field(line, &f);
    if (rc)
        return rc;
    if (all.n || (minor == 1 && f.hosts != 1)) /* what is left had a bare LF before the end */
        return -400;
    if (f.body)
        return -413;
    head->keep_alive = !f.close && (minor == 1 || f.keep_alive);
    return 0;
}

int vh__http_head_parse(const char *bytes, size_t n, vh__http_head *head)
{
    const char *end = memmem(bytes, n, "\r\n\r\n", 4);
    size_t length = end ? (size_t)(end - bytes) + 4 : n;
    vh__http_head read;
    int rc;

    if (length > VH_HTTP_SERVER_HEAD_MAX)
        return -431;
    if (!end)
        return 0;
    rc = read_head((struct text){ bytes, length }, &read);
    if (rc)
        return rc;
    *head = read;
    return (int)length;
}

const char *vh__http_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } known[] = {
        { 200, "OK" },
        { 400, "Bad Request" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 413, "Content Too Large" },
        { 414, "URI Too Long" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 503, "Service Unavailable" },
        { 505, "HTTP Version Not Supported" },
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].status == status)
            return known[i].reason;
    return "Unknown";
}
