/*
 * WWW-Authenticate (RFC 9110): challenges, separated by commas, each a scheme and parameters, which are separated by
 * commas as well; so a word is a parameter's name if '=' follows it, else a scheme. Several headers are one list.
 */
#include "registry_priv.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

typedef struct scanner {
    const char *at;
    vh__challenge now;  /* being read */
    vh__challenge best; /* so far */
    bool cut;           /* a value of |now| did not fit */
} scanner;

static int bad(vh_error *err)
{
    return vh_error_set(err, VH_EPROTOCOL, "the registry's login challenge (WWW-Authenticate) cannot be read");
}

static bool is_token(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t token(const char *s)
{
    size_t n = 0;

    while (is_token(s[n]))
        n++;
    return n;
}

static void skip(scanner *s, const char *set)
{
    s->at += strspn(s->at, set);
}

/* Where a parameter's value goes; NULL: nobody wants it. */
static char *place_of(vh__challenge *c, const char *name, size_t n, size_t *cap)
{
    if (n == 5 && strncasecmp(name, "realm", n) == 0) {
        *cap = sizeof(c->realm);
        return c->realm;
    }
    if (n == 7 && strncasecmp(name, "service", n) == 0) {
        *cap = sizeof(c->service);
        return c->service;
    }
    return NULL;
}

/* A quoted string, its backslashes undone, to |to| (NULL: nowhere). */
static int read_quoted(scanner *s, char *to, size_t cap, vh_error *err)
{
    size_t used = 0;

    for (s->at++; *s->at != '"'; s->at++) {
        if (*s->at == '\\')
            s->at++;
        if (*s->at == '\0')
            return bad(err);
        if (to && used + 1 < cap)
            to[used++] = *s->at;
        else
            s->cut |= to != NULL;
    }
    s->at++;
    if (to)
        to[used] = '\0';
    return 0;
}

static int read_value(scanner *s, const char *name, size_t n, vh_error *err)
{
    size_t cap = 0, len;
    char *to = place_of(&s->now, name, n, &cap);

    if (*s->at == '"')
        return read_quoted(s, to, cap, err);
    len = token(s->at);
    if (len == 0)
        return bad(err);
    if (to && len < cap) {
        memcpy(to, s->at, len);
        to[len] = '\0';
    }
    s->cut |= to && len >= cap;
    s->at += len;
    return 0;
}

/* The challenge that was being read is complete: keeps it if it is better than what there was. */
static void settle(scanner *s)
{
    bool usable = s->now.kind == VH_CHALLENGE_BASIC || (s->now.kind == VH_CHALLENGE_BEARER && s->now.realm[0]);

    if (usable && !s->cut && s->now.kind > s->best.kind)
        s->best = s->now;
    s->now = (vh__challenge){ 0 };
    s->cut = false;
}

static void begin(scanner *s, const char *scheme, size_t n)
{
    settle(s);
    if (n == 6 && strncasecmp(scheme, "bearer", n) == 0)
        s->now.kind = VH_CHALLENGE_BEARER;
    else if (n == 5 && strncasecmp(scheme, "basic", n) == 0)
        s->now.kind = VH_CHALLENGE_BASIC;
}

/* A scheme, or one parameter; a bare "token68" of other schemes passes as a word. */
static int read_item(scanner *s, vh_error *err)
{
    const char *word = s->at;
    size_t n = token(word);

    if (n == 0)
        return bad(err);
    s->at += n;
    skip(s, " \t");
    if (*s->at != '=') {
        s->at += strspn(s->at, "/"); /* token68 has it */
        begin(s, word, n);
        return 0;
    }
    s->at++;
    if (*s->at == '=' || *s->at == '\0' || *s->at == ',') { /* the padding of a token68 */
        skip(s, "=");
        return 0;
    }
    skip(s, " \t");
    return read_value(s, word, n, err);
}

int vh__challenge_parse(const char *text, vh__challenge *out, vh_error *err)
{
    scanner s = { .at = text };

    for (skip(&s, " \t,"); *s.at; skip(&s, " \t,")) {
        int rc = read_item(&s, err);

        if (rc)
            return rc;
    }
    settle(&s);
    *out = s.best;
    return 0;
}
