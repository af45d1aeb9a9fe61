/* "[HOST[:PORT]/]NAME[:TAG][@DIGEST]". */
#include "registry.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "registry_priv.h"

static int bad(const char *text, const char *why, vh_error *err)
{
    return vh_error_set(err, VH_EINVALID, "image reference \"docker://%.200s\": %s: write it as "
                        "docker://[HOST[:PORT]/]NAME[:TAG|@DIGEST]", text, why);
}

static bool is_word(char c)
{
    return islower((unsigned char)c) || isdigit((unsigned char)c);
}

/* Length of what may stand between two words of a name: ".", "_", "__" or any number of "-". */
static size_t separator(const char *s)
{
    if (*s == '-')
        return strspn(s, "-");
    if (s[0] == '_' && s[1] == '_')
        return 2;
    return *s == '.' || *s == '_';
}

/* Components of lower-case words, separated by '/'. */
static bool name_valid(const char *s)
{
    size_t n = strlen(s);

    if (n == 0 || n > VH_REGISTRY_NAME_MAX)
        return false;
    while (*s) {
        if (!is_word(*s))
            return false;
        while (is_word(*s))
            s++;
        if (*s)
            s += *s == '/' ? 1 : separator(s);
        else
            return true;
        if (!is_word(*s))
            return false;
    }
    return false;
}

static bool tag_valid(const char *s)
{
    size_t n = strlen(s);

    if (n == 0 || n > VH_REGISTRY_TAG_MAX || *s == '.' || *s == '-')
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("._-", *s))
            return false;
    return true;
}

/* Whether the |n| bytes before the first '/' are a host rather than a part of the name. */
static bool is_host(const char *s, size_t n)
{
    if (n == 9 && strncmp(s, "localhost", 9) == 0)
        return true;
    for (size_t i = 0; i < n; i++)
        if (s[i] == '.' || s[i] == ':' || isupper((unsigned char)s[i]))
            return true;
    return false;
}

/* Docker's own registry has several names. */
static void set_host(vh__registry_ref *ref, const char *host, size_t n)
{
    (void)snprintf(ref->host, sizeof(ref->host), "%.*s", (int)n, host);
    if (strcmp(ref->host, "index.docker.io") == 0 || strcmp(ref->host, "registry-1.docker.io") == 0)
        strcpy(ref->host, "docker.io");
}

/* Cuts "@DIGEST", then ":TAG" off the end of |rest|. */
static int take_ends(char *rest, const char *text, vh__registry_ref *ref, vh_error *err)
{
    char *at = strchr(rest, '@'), *slash, *colon;

    if (at) {
        if (!vh__digest_valid(at + 1))
            return bad(text, "what follows '@' is not \"sha256:\" and 64 hex digits", err);
        strcpy(ref->digest, at + 1);
        *at = '\0';
    }
    slash = strrchr(rest, '/');
    colon = strchr(slash ? slash : rest, ':');
    if (colon) {
        if (!tag_valid(colon + 1))
            return bad(text, "what follows ':' is not a tag (letters, digits, \"_\", \".\", \"-\")", err);
        strcpy(ref->tag, colon + 1);
        *colon = '\0';
    }
    if (ref->digest[0])
        ref->tag[0] = '\0';
    else if (!colon)
        strcpy(ref->tag, "latest");
    return 0;
}

int vh__registry_ref_parse(const char *text, vh__registry_ref *out, vh_error *err)
{
    char rest[VH_REGISTRY_HOST_MAX + VH_REGISTRY_NAME_MAX + VH_REGISTRY_TAG_MAX + VH_DIGEST_TEXT + 4];
    vh__registry_ref ref = { .host = "docker.io" };
    size_t host = strcspn(text, "/");
    int rc;

    if (text[host] != '/' || !is_host(text, host))
        host = 0;
    if (host && !vh__host_valid(text, host))
        return bad(text, "its host is not one", err);
    if (host)
        set_host(&ref, text, host++);
    if (strlen(text + host) >= sizeof(rest))
        return bad(text, "it is too long", err);
    strcpy(rest, text + host);
    rc = take_ends(rest, text, &ref, err);
    if (rc)
        return rc;
    if (strcmp(ref.host, "docker.io") == 0 && !strchr(rest, '/') && strlen(rest) + 8 <= VH_REGISTRY_NAME_MAX)
        strcpy(ref.name, "library/");
    if (!name_valid(rest))
        return bad(text, "its name is not one (lower-case letters and digits, \"/\", and \".\", \"_\", \"-\" between "
                   "them)", err);
    strcat(ref.name, rest);
    *out = ref;
    return 0;
}

void vh__registry_ref_print(const vh__registry_ref *ref, char *out, size_t cap)
{
    bool pinned = ref->digest[0] != '\0';

    (void)snprintf(out, cap, "%s/%s%c%s", ref->host, ref->name, pinned ? '@' : ':', pinned ? ref->digest : ref->tag);
}
