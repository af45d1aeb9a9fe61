/* Lists of hosts: mirrors, and those that may answer in plain HTTP. */
#include "registry_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "auto.h"

#define BETWEEN " \t,"

/* Length of |host| without its port. */
static size_t bare_length(const char *host, size_t n)
{
    const char *end = *host == '[' ? memchr(host, ']', n) : memchr(host, ':', n);

    if (!end)
        return n;
    return (size_t)(end - host) + (*host == '[');
}

static bool port_valid(const char *s, size_t n)
{
    unsigned port = 0;

    if (n == 0)
        return true;
    if (n < 2 || n > 6 || *s != ':')
        return false;
    for (size_t i = 1; i < n; i++) {
        if (!isdigit((unsigned char)s[i]))
            return false;
        port = port * 10 + (unsigned)(s[i] - '0');
    }
    return port >= 1 && port <= UINT16_MAX;
}

bool vh__host_valid(const char *host, size_t n)
{
    size_t bare = n > 0 && n <= VH_REGISTRY_HOST_MAX ? bare_length(host, n) : 0;
    bool six = bare > 0 && *host == '[';

    if (bare == 0 || (six && (bare < 4 || host[bare - 1] != ']')))
        return false;
    for (size_t i = six; i < bare - six; i++) {
        unsigned char c = (unsigned char)host[i];

        if (six ? !isxdigit(c) && c != ':' && c != '.' : !isalnum(c) && c != '-' && c != '.' && c != '_')
            return false;
    }
    return *host != '-' && *host != '.' && port_valid(host + bare, n - bare);
}

static bool is_loopback(const char *host, size_t n)
{
    return (n == 9 && strncasecmp(host, "localhost", n) == 0) || (n == 5 && strncmp(host, "[::1]", n) == 0) ||
           (n > 4 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= n);
}

bool vh__host_may_plain(const char *host, const char *insecure)
{
    size_t n = strlen(host);

    if (is_loopback(host, bare_length(host, n)))
        return true;
    for (const char *p = insecure; p && *(p += strspn(p, BETWEEN));) {
        size_t len = strcspn(p, BETWEEN);

        if (len == n && strncasecmp(p, host, n) == 0)
            return true;
        p += len;
    }
    return false;
}

static int add(const vh__registry_options *o, const char *host, size_t len, bool mirror, vh__endpoint *to, size_t *n,
               vh_error *err)
{
    vh__endpoint *e = &to[*n];

    if (!vh__host_valid(host, len))
        return vh_error_set(err, VH_EINVALID, "image.mirrors: \"%.*s\" is not HOST[:PORT]", (int)VH_MIN(len, 100),
                            host);
    if (mirror && *n == VH_REGISTRY_MIRRORS_MAX)
        return vh_error_set(err, VH_ELIMIT, "image.mirrors: more than %d for one registry", VH_REGISTRY_MIRRORS_MAX);
    *e = (vh__endpoint){ .mirror = mirror };
    (void)snprintf(e->host, sizeof(e->host), "%.*s", (int)len, host);
    e->may_plain = vh__host_may_plain(e->host, o->insecure);
    (*n)++;
    return 0;
}

/* One word "HOST=MIRROR[,MIRROR]..." of |len| bytes. */
static int read_rule(const vh__registry_options *o, const char *rule, size_t len, const char *host, vh__endpoint *to,
                     size_t *n, vh_error *err)
{
    const char *equals = memchr(rule, '=', len), *p, *end = rule + len;
    size_t named = equals ? (size_t)(equals - rule) : 0;
    bool ours = named == strlen(host) && strncasecmp(rule, host, named) == 0;
    vh__endpoint dropped[VH_REGISTRY_MIRRORS_MAX + 1];
    size_t other = 0;

    if (!equals || !vh__host_valid(rule, named))
        return vh_error_set(err, VH_EINVALID, "image.mirrors: \"%.*s\": write it as HOST=MIRROR[,MIRROR]...",
                            (int)VH_MIN(len, 100), rule);
    for (p = equals + 1; p < end + 1;) { /* rules of other hosts are read too, so that mistakes show at once */
        size_t word = VH_MIN(strcspn(p, BETWEEN), (size_t)(end - p));
        int rc = add(o, p, word, true, ours ? to : dropped, ours ? n : &other, err);

        if (rc)
            return rc;
        p += word + 1;
    }
    return 0;
}

int vh__endpoints_make(const vh__registry_options *o, const char *host,
                       vh__endpoint to[VH_REGISTRY_MIRRORS_MAX + 1], size_t *n, vh_error *err)
{
    *n = 0;
    for (const char *p = o->mirrors; p && *(p += strspn(p, " \t"));) {
        size_t len = strcspn(p, " \t");
        int rc = read_rule(o, p, len, host, to, n, err);

        if (rc)
            return rc;
        p += len;
    }
    return add(o, host, strlen(host), false, to, n, err);
}

int vh__registry_options_check(const vh__registry_options *o, vh_error *err)
{
    vh__endpoint endpoints[VH_REGISTRY_MIRRORS_MAX + 1];
    size_t n;

    for (const char *p = o->insecure; p && *(p += strspn(p, BETWEEN));) {
        size_t len = strcspn(p, BETWEEN);

        if (!vh__host_valid(p, len))
            return vh_error_set(err, VH_EINVALID, "image.insecure_registries: \"%.*s\" is not HOST[:PORT]",
                                (int)VH_MIN(len, 100), p);
        p += len;
    }
    return vh__endpoints_make(o, "docker.io", endpoints, &n, err);
}
