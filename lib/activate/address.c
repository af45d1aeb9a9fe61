#include "address.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMS "write tcp:HOST:PORT, tcp:HOST or unix:/PATH"

static int parse_unix(const char *text, const char *path, vh__address *a, vh_error *err)
{
    size_t n = strlen(path);

    if (path[0] != '/' || path[n - 1] == '/')
        return vh_error_set(err, VH_EINVALID, "address '%.150s': the path of a socket is absolute and names a file",
                            text);
    if (n >= sizeof(a->at.un.sun_path))
        return vh_error_set(err, VH_EINVALID, "address '%.150s': the path has %zu bytes, sockets allow %zu", text, n,
                            sizeof(a->at.un.sun_path) - 1);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)path[i] < ' ' || path[i] == 0x7f)
            return vh_error_set(err, VH_EINVALID, "address unix:/...: byte %zu of the path is a control character", i);
    a->at.un.sun_family = AF_UNIX;
    memcpy(a->at.un.sun_path, path, n + 1);
    a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
    return 0;
}

/* 1 to 65535 in digits, without zeros in front. */
static int parse_port(const char *text, const char *digits, uint16_t *port, vh_error *err)
{
    unsigned value = 0;
    size_t n = strlen(digits);

    if (n == 0 || n > 5 || strspn(digits, "0123456789") != n || digits[0] == '0')
        return vh_error_set(err, VH_EINVALID,
                            "address '%.150s': ports are 1 to 65535; leave it out to have one assigned", text);
    for (size_t i = 0; i < n; i++)
        value = value * 10 + (unsigned)(digits[i] - '0');
    if (value > UINT16_MAX)
        return vh_error_set(err, VH_EINVALID, "address '%.150s': port %u; ports are 1 to 65535", text, value);
    *port = (uint16_t)value;
    return 0;
}

/* Splits |rest| ("HOST", "HOST:PORT", "[v6]:PORT") into |host| and |port|, NULL if there is none. */
static bool split(const char *rest, char host[INET6_ADDRSTRLEN], const char **port, bool *v6)
{
    const char *end;

    *v6 = rest[0] == '[';
    rest += *v6;
    end = *v6 ? strchr(rest, ']') : strchrnul(rest, ':');
    if (!end || end == rest || end - rest >= INET6_ADDRSTRLEN)
        return false;
    memcpy(host, rest, (size_t)(end - rest));
    host[end - rest] = '\0';
    end += *v6;
    *port = *end == ':' ? end + 1 : NULL;
    return *end == ':' || *end == '\0';
}

static int parse_tcp(const char *text, const char *rest, vh__address *a, vh_error *err)
{
    char host[INET6_ADDRSTRLEN];
    const char *digits;
    uint16_t port = 0;
    bool v6;
    int rc;

    if (!split(rest, host, &digits, &v6) ||
        inet_pton(v6 ? AF_INET6 : AF_INET, host, v6 ? (void *)&a->at.v6.sin6_addr : (void *)&a->at.v4.sin_addr) != 1)
        return vh_error_set(err, VH_EINVALID,
                            "address '%.150s': HOST must be a numeric address, as in tcp:127.0.0.1 or tcp:[::1]:8080",
                            text);
    rc = digits ? parse_port(text, digits, &port, err) : 0;
    if (rc)
        return rc;
    a->at.any.sa_family = v6 ? AF_INET6 : AF_INET;
    a->len = v6 ? sizeof(a->at.v6) : sizeof(a->at.v4);
    a->assign = !digits;
    vh__address_set_port(a, port);
    return 0;
}

int vh__address_parse(const char *text, vh__address *a, vh_error *err)
{
    vh__address made = { .assign = false };
    int rc;

    if (strncmp(text, "unix:", 5) == 0)
        rc = parse_unix(text, text + 5, &made, err);
    else if (strncmp(text, "tcp:", 4) == 0)
        rc = parse_tcp(text, text + 4, &made, err);
    else
        rc = vh_error_set(err, VH_EINVALID, "address '%.150s': " FORMS, text);
    if (!rc)
        *a = made;
    return rc;
}

void vh__address_set_port(vh__address *a, uint16_t port)
{
    if (a->at.any.sa_family == AF_INET6)
        a->at.v6.sin6_port = htons(port);
    else
        a->at.v4.sin_port = htons(port);
}

void vh__address_format(const vh__address *a, char *text, size_t n)
{
    char host[INET6_ADDRSTRLEN] = "";

    if (a->at.any.sa_family == AF_UNIX) {
        (void)snprintf(text, n, "unix:%s", a->at.un.sun_path);
    } else if (a->at.any.sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &a->at.v6.sin6_addr, host, sizeof(host)); /* fails only for want of room */
        (void)snprintf(text, n, "tcp:[%s]:%u", host, ntohs(a->at.v6.sin6_port));
    } else {
        (void)inet_ntop(AF_INET, &a->at.v4.sin_addr, host, sizeof(host)); /* as above */
        (void)snprintf(text, n, "tcp:%s:%u", host, ntohs(a->at.v4.sin_port));
    }
}
