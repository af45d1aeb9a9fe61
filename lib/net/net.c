#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "net_priv.h"

#define DEFAULT_POOL      "198.18.0.0/15"
#define DEFAULT_LEASE_DIR "/run/vhive-net"

char *vh__net_format(uint32_t addr, char *text)
{
    struct in_addr a = { .s_addr = htonl(addr) };

    inet_ntop(AF_INET, &a, text, INET_ADDRSTRLEN);
    return text;
}

/* "a.b.c.d/n" and nothing else. */
static bool split_range(const char *text, struct in_addr *addr, unsigned *bits)
{
    char head[INET_ADDRSTRLEN] = { 0 };
    const char *slash = strchr(text, '/');
    size_t digits = slash ? strspn(slash + 1, "0123456789") : 0;

    if (digits < 1 || digits > 2 || slash[1 + digits] || (size_t)(slash - text) >= sizeof(head))
        return false;
    memcpy(head, text, (size_t)(slash - text));
    *bits = (unsigned)strtoul(slash + 1, NULL, 10);
    return inet_pton(AF_INET, head, addr) == 1;
}

static int parse_pool(vh__net *net, const char *text, vh_error *err)
{
    struct in_addr a;
    unsigned bits;

    if (!split_range(text, &a, &bits) || bits < 8 || bits > 30)
        return vh_error_set(err, VH_EINVALID,
                            "network pool \"%s\": must be an IPv4 range from /8 to /30, like %s", text,
                            DEFAULT_POOL);
    net->pool = ntohl(a.s_addr);
    if (net->pool & (UINT32_MAX >> bits))
        return vh_error_set(err, VH_EINVALID, "network pool \"%s\": its address is not the first of a /%u",
                            text, bits);
    net->pairs = 1U << (31 - bits);
    return 0;
}

static int parse_policy(vh__net *net, const vh__net_options *o, vh_error *err)
{
    const char *egress = o->egress ? o->egress : "public";

    if (strcmp(egress, "none") == 0)
        net->policy = POLICY_NONE;
    else if (strcmp(egress, "public") == 0)
        net->policy = o->allow_private ? POLICY_PRIVATE : POLICY_PUBLIC;
    else
        return vh_error_set(err, VH_EINVALID, "egress \"%s\": must be public or none", egress);
    return 0;
}

static int fill(vh__net *net, const vh__net_options *o, vh_error *err)
{
    const char *dir = o->lease_dir ? o->lease_dir : DEFAULT_LEASE_DIR;
    int rc = parse_pool(net, o->pool ? o->pool : DEFAULT_POOL, err);

    if (rc == 0)
        rc = parse_policy(net, o, err);
    if (rc)
        return rc;
    if (dir[0] != '/')
        return vh_error_set(err, VH_EINVALID, "lease directory \"%s\": must be absolute", dir);
    net->lease_dir = strdup(dir);
    return net->lease_dir ? 0 : vh_error_set(err, -ENOMEM, "network");
}

int vh__net_new(vh_env *env, const vh__net_options *o, vh__net **net, vh_error *err)
{
    static const vh__net_options defaults = { 0 };
    vh__net *made = calloc(1, sizeof(*made));
    int rc;

    if (!made)
        return vh_error_set(err, -ENOMEM, "network");
    made->env = env;
    pthread_mutex_init(&made->mutex, NULL); /* cannot fail with default attributes */
    rc = fill(made, o ? o : &defaults, err);
    if (rc) {
        vh__net_free(made);
        return rc;
    }
    *net = made;
    return 0;
}

void vh__net_free(vh__net *net)
{
    if (!net)
        return;
    vh__journal_free(net->journal);
    pthread_mutex_destroy(&net->mutex);
    free(net->lease_dir);
    free(net);
}
