#include "user.h"

#include <string.h>

/* One colon-separated field, not terminated. */
struct slice {
    const char *at;
    size_t n;
};

/* Cuts |line| (up to its newline) into |max| fields, the last one takes the rest. Returns the number found. */
static size_t cut(const char *line, struct slice *fields, size_t max)
{
    const char *end = line + strcspn(line, "\n");
    size_t n = 0;

    while (n < max) {
        const char *stop = n + 1 < max ? memchr(line, ':', (size_t)(end - line)) : NULL;

        fields[n++] = (struct slice){ line, (size_t)((stop ? stop : end) - line) };
        if (!stop)
            break;
        line = stop + 1;
    }
    return n;
}

static const char *next_line(const char *line)
{
    line += strcspn(line, "\n");
    return *line ? line + 1 : line;
}

static bool same(struct slice a, struct slice b)
{
    return a.n == b.n && memcmp(a.at, b.at, a.n) == 0;
}

/* A decimal id; (uid_t)-1 is none, it means "leave as it is" to the kernel. */
static bool parse_id(struct slice s, uint32_t *id)
{
    uint64_t v = 0;

    if (s.n == 0 || s.n > 10)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(s.at[i] - '0');
    }
    if (v >= UINT32_MAX)
        return false;
    *id = (uint32_t)v;
    return true;
}

/* The passwd line of |name|, or else, when |name| is a number, of that uid. */
static bool find_user(const char *passwd, struct slice who, bool by_id, uint32_t id, struct slice *f)
{
    uint32_t uid, gid;

    for (const char *line = passwd; *line; line = next_line(line)) {
        if (cut(line, f, 7) < 6 || !parse_id(f[2], &uid) || !parse_id(f[3], &gid))
            continue;
        if (by_id ? uid == id : f[0].n > 0 && same(f[0], who))
            return true;
    }
    return false;
}

static bool find_group(const char *group, struct slice name, uint32_t *gid)
{
    struct slice f[4];

    for (const char *line = group; *line; line = next_line(line))
        if (cut(line, f, 4) >= 3 && f[0].n > 0 && same(f[0], name) && parse_id(f[2], gid))
            return true;
    return false;
}

static bool lists_member(struct slice members, struct slice name)
{
    while (members.n) {
        const char *comma = memchr(members.at, ',', members.n);
        size_t n = comma ? (size_t)(comma - members.at) : members.n;

        if (same((struct slice){ members.at, n }, name))
            return true;
        n += comma != NULL;
        members.at += n;
        members.n -= n;
    }
    return false;
}

static void add_supplementary(const char *group, struct slice name, vh__agent_user *u)
{
    struct slice f[4];
    uint32_t gid;

    for (const char *line = group; *line && u->ngroups < VH_AGENT_GROUPS_MAX; line = next_line(line))
        if (cut(line, f, 4) == 4 && parse_id(f[2], &gid) && lists_member(f[3], name))
            u->groups[u->ngroups++] = gid;
}

static void set_home(struct slice home, vh__agent_user *u)
{
    if (home.n == 0 || home.n >= sizeof(u->home) || home.at[0] != '/')
        return;
    memcpy(u->home, home.at, home.n);
    u->home[home.n] = '\0';
}

const char *vh__agent_user_resolve(const char *spec, const char *passwd, const char *group, vh__agent_user *out)
{
    const char *colon = strchr(spec, ':');
    struct slice who = { spec, colon ? (size_t)(colon - spec) : strlen(spec) };
    struct slice f[7], grp = { colon ? colon + 1 : "", colon ? strlen(colon + 1) : 0 };
    vh__agent_user u = { .home = "/" };
    bool number, listed;

    if (who.n == 0)
        who = (struct slice){ "0", 1 };
    number = parse_id(who, &u.uid);
    listed = find_user(passwd, who, false, 0, f) || (number && find_user(passwd, who, true, u.uid, f));
    if (!listed && !number)
        return "no such user in the image's /etc/passwd";
    if (listed) {
        (void)parse_id(f[2], &u.uid); /* find_user() has parsed both */
        (void)parse_id(f[3], &u.gid);
        set_home(f[5], &u);
    }
    if (grp.n && !find_group(group, grp, &u.gid) && !parse_id(grp, &u.gid))
        return "no such group in the image's /etc/group";
    if (listed && !grp.n)
        add_supplementary(group, f[0], &u);
    *out = u;
    return NULL;
}
