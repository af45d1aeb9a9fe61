#include "http.h"

#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>

#include "auto.h"
#include "clock.h"

/* One request under way. */
struct transfer {
    const vh__http_request *q;
    vh__http_response *r;
    CURL *easy;
    CURLM *multi;
    struct curl_slist *headers;
    int sock;         /* handed in and not yet given to libcurl */
    bool opened;      /* libcurl has asked for a socket: the URL was good */
    int64_t begin_ns; /* libcurl's times count from here */
    vh_error why;     /* why a callback ended the transfer, code 0: it did not */
    char text[CURL_ERROR_SIZE];
};

void vh__http_response_fini(vh__http_response *r)
{
    vh__buf_fini(&r->body);
    vh__buf_fini(&r->head);
    *r = (vh__http_response){ 0 };
}

/* Appends within |max|. Anything but |n| as the result ends the transfer. */
static size_t keep(struct transfer *t, vh__buf *to, const char *bytes, size_t n, size_t max, const char *what)
{
    if (!t->r->first_byte_ns)
        t->r->first_byte_ns = vh__clock_mono_ns();
    if (n > max - to->len)
        (void)vh_error_set(&t->why, VH_ELIMIT, "the response's %s is longer than %zu bytes, its limit", what, max);
    else
        vh__buf_append(to, bytes, n);
    if (to->oom)
        (void)vh_error_set(&t->why, -ENOMEM, "the response's %s", what);
    return t->why.code ? 0 : n;
}

static void take_status(struct transfer *t)
{
    long status = 0;

    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status); /* does not fail: the option is known */
    t->r->status = (int)status;
}

static size_t on_body(char *bytes, size_t one, size_t n, void *arg)
{
    struct transfer *t = arg;
    const vh__http_request *q = t->q;

    (void)one;
    take_status(t);
    if (!q->sink || t->r->status / 100 != 2)
        return keep(t, &t->r->body, bytes, n, q->max_body ? q->max_body : VH_HTTP_BODY_MAX, "body");
    t->why.code = q->sink(q->sink_arg, t->r, bytes, n, &t->why);
    return t->why.code ? 0 : n;
}

static size_t on_head(char *bytes, size_t one, size_t n, void *arg)
{
    struct transfer *t = arg;

    (void)one;
    return keep(t, &t->r->head, bytes, n, VH_HTTP_HEAD_MAX, "head");
}

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = arg;
    int one = 1;

    (void)purpose;
    t->opened = true;
    if (t->sock >= 0) {
        (void)setsockopt(t->sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* slower without, but right */
        return vh_steal_fd(&t->sock);
    }
    if (t->q->sock >= 0)
        return CURL_SOCKET_BAD; /* the one socket is used up: a second connection would go elsewhere */
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static int on_sockopt(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    struct transfer *t = arg;

    (void)fd;
    (void)purpose;
    return t->q->sock >= 0 ? CURL_SOCKOPT_ALREADY_CONNECTED : CURL_SOCKOPT_OK;
}

static int add_header(struct transfer *t, const char *line, vh_error *err)
{
    struct curl_slist *longer;

    if (strpbrk(line, "\r\n"))
        return vh_error_set(err, VH_EINVALID, "HTTP header: a line break in it");
    longer = curl_slist_append(t->headers, line);
    if (!longer)
        return vh_error_set(err, -ENOMEM, "HTTP header");
    t->headers = longer;
    return 0;
}

static int add_headers(struct transfer *t, vh_error *err)
{
    int rc = add_header(t, "Expect:", err); /* else a large body waits a second for a leave that few servers give */

    for (const char *const *h = t->q->headers; !rc && h && *h; h++)
        rc = add_header(t, *h, err);
    return rc;
}

static const char *method_of(const vh__http_request *q)
{
    if (q->method)
        return q->method;
    return q->body ? "POST" : "GET";
}

static int set_body(struct transfer *t)
{
    const vh__http_request *q = t->q;
    int bad = 0;

    if (q->body) {
        bad |= curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_len);
        bad |= curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, q->body); /* borrowed, not copied */
    }
    bad |= curl_easy_setopt(t->easy, CURLOPT_NOBODY, strcmp(method_of(q), "HEAD") == 0 ? 1L : 0L);
    return bad | curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, method_of(q));
}

/* What holds for every request: no signal, no environment, no other protocol, no redirect. */
static int set_policy(CURL *e)
{
    int bad = 0;

    bad |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    bad |= curl_easy_setopt(e, CURLOPT_PROXY, "");
    bad |= curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    bad |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    bad |= curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    return bad | curl_easy_setopt(e, CURLOPT_USERAGENT, "vhive/" VH_VERSION);
}

/* An own CA file takes the place of the system's file, but not of the system's folder of the same certificates. */
static int set_bounds(CURL *e, const vh__http_request *q)
{
    int bad = 0;

    if (q->ca_file && *q->ca_file)
        bad |= curl_easy_setopt(e, CURLOPT_CAINFO, q->ca_file);
    if (q->stall_ms) {
        bad |= curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)q->stall_ms);
        bad |= curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
        bad |= curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)(q->stall_ms + 999) / 1000);
    }
    return bad;
}

static int set_callbacks(struct transfer *t)
{
    CURL *e = t->easy;
    int bad = 0;

    bad |= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->text);
    bad |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    bad |= curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    bad |= curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_head);
    bad |= curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    bad |= curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open);
    bad |= curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, t);
    bad |= curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, on_sockopt);
    bad |= curl_easy_setopt(e, CURLOPT_SOCKOPTDATA, t);
    bad |= curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
    return bad | curl_easy_setopt(e, CURLOPT_URL, t->q->url);
}

static int set_up(struct transfer *t, vh_error *err)
{
    /*
     * libcurl's state of the process: made at the first call and counted at later ones, by any thread at once since
     * 7.84. Never given back, because remaking it costs more than a request and other users may count on it.
     */
    CURLcode global = curl_global_init(CURL_GLOBAL_DEFAULT);
    int rc;

    if (global != CURLE_OK)
        return vh_error_set(err, -ENOMEM, "HTTP client: libcurl: %s", curl_easy_strerror(global));
    rc = add_headers(t, err);
    if (rc)
        return rc;
    t->easy = curl_easy_init();
    t->multi = curl_multi_init();
    if (!t->easy || !t->multi || set_policy(t->easy) | set_callbacks(t) | set_body(t) | set_bounds(t->easy, t->q) ||
        curl_multi_add_handle(t->multi, t->easy))
        return vh_error_set(err, -ENOMEM, "HTTP client");
    return 0;
}

static void tear_down(struct transfer *t)
{
    if (t->easy && t->multi)
        (void)curl_multi_remove_handle(t->multi, t->easy); /* fails only on handles that are not these */
    curl_easy_cleanup(t->easy);
    if (t->multi)
        (void)curl_multi_cleanup(t->multi); /* as above */
    curl_slist_free_all(t->headers);
    vh__fd_close(&t->sock);
}

/* Runs the transfer to its end, |*result| as libcurl saw it. */
static int run(struct transfer *t, const vh__wait *w, CURLcode *result, vh_error *err)
{
    struct curl_waitfd cancel = { .fd = vh__cancel_fd(w->cancel), .events = CURL_WAIT_POLLIN };
    char url[256]; /* what of it may be shown */

    (void)snprintf(url, sizeof(url), "%.*s", (int)vh__http_url_shown(t->q->url), t->q->url);
    for (;;) {
        int running = 0, left;
        const CURLMsg *m;
        CURLMcode bad = curl_multi_perform(t->multi, &running);
        int rc;

        if (bad)
            return vh_error_set(err, -ENOMEM, "%s: libcurl: %s", url, curl_multi_strerror(bad));
        m = curl_multi_info_read(t->multi, &left);
        if (m && m->msg == CURLMSG_DONE) {
            *result = m->data.result;
            return 0;
        }
        rc = vh__wait_check(w, url, err);
        if (rc)
            return rc;
        bad = curl_multi_poll(t->multi, &cancel, w->cancel ? 1 : 0, vh__wait_left_ms(w), NULL);
        if (bad)
            return vh_error_set(err, -ENOMEM, "%s: libcurl: %s", url, curl_multi_strerror(bad));
    }
}

static void stamp(struct transfer *t)
{
    curl_off_t us = 0;

    (void)curl_easy_getinfo(t->easy, CURLINFO_CONNECT_TIME_T, &us); /* does not fail: the option is known */
    if (us > 0)
        t->r->connected_ns = t->begin_ns + us * 1000;
    take_status(t);
}

/* Our code for what stopped libcurl. */
static int code_of(const struct transfer *t, CURLcode result)
{
    long os = 0;

    switch (result) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: /* a URL's scheme, or an answer that is no HTTP */
        return t->opened ? VH_EPROTOCOL : VH_EINVALID;
    case CURLE_COULDNT_RESOLVE_HOST:
        return -EHOSTUNREACH;
    case CURLE_COULDNT_CONNECT:
        (void)curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os); /* the option is known */
        return os ? -(int)os : -ECONNREFUSED;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
        return -ECONNRESET;
    case CURLE_OUT_OF_MEMORY:
        return -ENOMEM;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
        return VH_EREMOTE;
    case CURLE_SSL_CACERT_BADFILE:
        return VH_EINVALID;
    default:
        return VH_EPROTOCOL;
    }
}

static int judge(const struct transfer *t, CURLcode result, vh_error *err)
{
    int shown = (int)vh__http_url_shown(t->q->url);

    if (result == CURLE_OK)
        return 0;
    if (t->why.code && err)
        *err = t->why;
    if (t->why.code)
        return vh_error_wrap(err, t->why.code, "%.*s", shown, t->q->url);
    return vh_error_set(err, code_of(t, result), "%.*s: %s", shown, t->q->url,
                        t->text[0] ? t->text : curl_easy_strerror(result));
}

int vh__http_do(const vh__http_request *q, const vh__wait *w, vh__http_response *r, vh_error *err)
{
    struct transfer t = { .q = q, .r = r, .sock = q->sock, .begin_ns = vh__clock_mono_ns() };
    CURLcode result = CURLE_OK;
    int rc = set_up(&t, err);

    if (!rc)
        rc = run(&t, w, &result, err);
    if (!rc) {
        r->last_byte_ns = vh__clock_mono_ns();
        stamp(&t);
        rc = judge(&t, result, err);
    }
    tear_down(&t);
    return rc;
}

/* The value of |line| (|n| bytes) if its name is |name|, else NULL. */
static const char *value_of(const char *line, size_t n, const char *name)
{
    size_t len = strlen(name);

    if (n <= len || strncasecmp(line, name, len) != 0 || line[len] != ':')
        return NULL;
    return line + len + 1;
}

/* Calls |take| with the value of each header of |name|. */
static void each_header(const vh__http_response *r, const char *name,
                        void (*take)(void *arg, const char *value, size_t n), void *arg)
{
    const char *line = r->head.data, *end = line ? line + r->head.len : NULL;

    while (line < end) {
        size_t n = strcspn(line, "\r\n");
        const char *value = value_of(line, n, name);

        if (value) {
            value += strspn(value, " \t");
            take(arg, value, (size_t)(line + n - value));
        }
        line += n + VH_MAX(strspn(line + n, "\r\n"), 1);
    }
}

struct copy {
    char *out;
    size_t cap;
    bool found;
};

static void take_copy(void *arg, const char *value, size_t n)
{
    struct copy *c = arg;

    (void)snprintf(c->out, c->cap, "%.*s", (int)n, value);
    c->found = true;
}

bool vh__http_header(const vh__http_response *r, const char *name, char *out, size_t cap)
{
    struct copy c = { .out = out, .cap = cap };

    out[0] = '\0';
    each_header(r, name, take_copy, &c);
    return c.found;
}

static void take_joined(void *arg, const char *value, size_t n)
{
    vh__buf *out = arg;

    if (out->len)
        vh__buf_puts(out, ", ");
    vh__buf_append(out, value, n);
}

void vh__http_header_all(const vh__http_response *r, const char *name, vh__buf *out)
{
    each_header(r, name, take_joined, out);
}
