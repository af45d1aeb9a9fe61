/* sd_notify(3), whose protocol is a datagram of text: not worth a library. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "auto.h"
#include "clock.h"
#include "vhived.h"

/* Value of the variable |name|, 0 if it is no number. */
static uint64_t number(const char *name)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : 0;
}

int vhived_notify_init(vhived_notify *n, vh_error *err)
{
    const char *socket = getenv("NOTIFY_SOCKET");
    uint64_t pid = number("WATCHDOG_PID"), us = number("WATCHDOG_USEC");

    if (socket && (*socket == '/' || *socket == '@')) {
        n->socket = strdup(socket);
        if (!n->socket)
            return vh_error_set(err, -ENOMEM, "NOTIFY_SOCKET");
    }
    if (us && us < INT64_MAX / 1000 && (!pid || pid == (uint64_t)getpid()))
        n->watchdog_ns = (int64_t)us * 1000 / 2;
    (void)unsetenv("NOTIFY_SOCKET"); /* fails only for names that are none */
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
    return 0;
}

void vhived_notify_fini(vhived_notify *n)
{
    free(n->socket);
}

void vhived_notify_send(const vhived_notify *n, const char *text)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    size_t len = n->socket ? strlen(n->socket) : 0;
    vh_auto_fd int fd = -1;

    if (len == 0 || len >= sizeof(at.sun_path))
        return;
    memcpy(at.sun_path, n->socket, len);
    if (*at.sun_path == '@') /* an abstract name begins with NUL and ends with its length */
        *at.sun_path = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        vh_ignore(sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&at,
                         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0); /* the header says why */
}
