#include "net.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "fd.h"

/* Longer ones are nobody's. */
#define RESOLV_CONF_MAX 65536

static void take_line(const char *line, vh__net_resolvers *out)
{
    char *address = out->address[out->n];
    struct in_addr a;

    if (sscanf(line, "nameserver %15[0-9.]", address) == 1 && inet_pton(AF_INET, address, &a) == 1 &&
        (ntohl(a.s_addr) >> 24) != 127)
        out->n++;
}

void vh__net_resolvers_get(vh__net_resolvers *out)
{
    vh_auto_buf vh__buf text = { 0 };
    char *save = NULL;

    out->n = 0;
    if (vh__file_read("/etc/resolv.conf", RESOLV_CONF_MAX, &text, NULL) || !text.data)
        return; /* a guest without names is still a guest */
    for (char *l = strtok_r(text.data, "\n", &save); l && out->n < VH_NET_RESOLVERS_MAX;
         l = strtok_r(NULL, "\n", &save))
        take_line(l, out);
}
