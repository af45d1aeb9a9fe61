/* Addresses of functions as text and as the kernel has them. No I/O. */
#ifndef VH_ACTIVATE_ADDRESS_H
#define VH_ACTIVATE_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <vhive/attr.h>
#include <vhive/error.h>

typedef union vh__sockaddr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
} vh__sockaddr;

typedef struct vh__address {
    vh__sockaddr at;
    socklen_t len;
    bool assign; /* TCP without a port: one of the range is to be found */
} vh__address;

/**
 * Parses "tcp:HOST:PORT", "tcp:HOST", "unix:/PATH"; HOST is a numeric address, of IPv6 in brackets. VH_EINVALID with
 * what is wrong and how it is written.
 */
VH_MUST_CHECK int vh__address_parse(const char *text, vh__address *a, vh_error *err);
/** Sets the port of a TCP address. */
void vh__address_set_port(vh__address *a, uint16_t port);
/** Writes |a| as text of at most |n| bytes, its end included (VH_ACTIVATE_ADDRESS is enough). */
void vh__address_format(const vh__address *a, char *text, size_t n);

#endif
