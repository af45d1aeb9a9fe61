#include "invoke_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "auto.h"

#define FIRST_ATTEMPT_MS 50
#define LAST_ATTEMPT_MS 1000

/* Where to connect to, and its name in messages. */
struct target {
    struct sockaddr_storage at;
    socklen_t len;
    char name[INET6_ADDRSTRLEN + 10];
};

static int parse_target(const char *address, uint16_t port, struct target *t, vh_error *err)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&t->at;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&t->at;

    memset(t, 0, sizeof(*t));
    if (port == 0)
        return vh_error_set(err, VH_EINVALID, "function at %s: port 0; ports are 1 to 65535", address);
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        t->len = sizeof(*v4);
        (void)snprintf(t->name, sizeof(t->name), "%.45s:%u", address, port);
    } else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        t->len = sizeof(*v6);
        (void)snprintf(t->name, sizeof(t->name), "[%.45s]:%u", address, port);
    } else {
        return vh_error_set(err, VH_EINVALID, "function at '%s': not a numeric IPv4 or IPv6 address", address);
    }
    return 0;
}

static bool worth_another_try(int code)
{
    switch (code) {
    case -ECONNREFUSED:
    case -ECONNRESET:
    case -ECONNABORTED:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
    case -EHOSTDOWN:
    case -ENETDOWN:
    case -ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

/* One attempt. Its own errors are -errno, so that VH_ETIMEDOUT can only come from |w|. */
static int attempt(const struct target *t, const vh__wait *w, int *out, vh_error *err)
{
    vh_auto_fd int fd = socket(t->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int code = 0;
    socklen_t len = sizeof(code);
    int rc;

    if (fd < 0)
        return vh_error_set(err, -errno, "connect to %s: socket", t->name);
    if (connect(fd, (const struct sockaddr *)&t->at, t->len) < 0 && errno != EINPROGRESS)
        return vh_error_set(err, -errno, "connect to %s", t->name);
    rc = vh__wait_fd(w, fd, POLLOUT, t->name, err);
    if (rc)
        return rc;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
        code = errno;
    if (code)
        return vh_error_set(err, -code, "connect to %s", t->name);
    *out = vh_steal_fd(&fd);
    return 0;
}

/* The deadline is over: says what stood in the way. */
static int timed_out(const struct target *t, int code, vh_error *err)
{
    const char *why = code && code != VH_ETIMEDOUT ? vh_strerror(code) : "no answer";

    return vh_error_set(err, VH_ETIMEDOUT, "connect to %s: not accepted within the deadline, last: %s", t->name, why);
}

int vh__invoke_connect(const char *address, uint16_t port, const vh__wait *w, int *fd, vh_error *err)
{
    uint32_t patience = FIRST_ATTEMPT_MS;
    struct target t;
    int last = 0;
    int rc = parse_target(address, port, &t, err);

    while (!rc) {
        vh__wait once = vh__wait_within(w, patience);

        rc = attempt(&t, &once, fd, err);
        if (rc == 0 || (rc != VH_ETIMEDOUT && !worth_another_try(rc)))
            return rc;
        last = rc;
        if (rc == VH_ETIMEDOUT) {
            patience = VH_MIN(patience * 2, LAST_ATTEMPT_MS);
            rc = vh__wait_check(w, t.name, err);
        } else {
            rc = vh__wait_sleep(w, 1, t.name, err);
        }
    }
    return rc == VH_ETIMEDOUT ? timed_out(&t, last, err) : rc;
}
