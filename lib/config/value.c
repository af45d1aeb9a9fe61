/* Text to value, type by type. Messages say what was wanted; the caller puts in front where the text is from. */
#include "config_priv.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "auto.h"

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit byte_units[] = {
    { "", 1 },           { "K", 1ULL << 10 },  { "M", 1ULL << 20 },  { "G", 1ULL << 30 },  { "T", 1ULL << 40 },
    { "Ki", 1ULL << 10 }, { "Mi", 1ULL << 20 }, { "Gi", 1ULL << 30 }, { "Ti", 1ULL << 40 }, { NULL, 0 },
};
static const struct unit time_units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { NULL, 0 } };
static const struct unit no_units[] = { { "", 1 }, { NULL, 0 } };

/* Digits, then one of |units|. False for anything else, too large numbers included. */
static bool parse_number(const char *text, const struct unit *units, uint64_t *number)
{
    uint64_t n = 0;
    const char *p = text;

    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
            return false;
    if (p == text)
        return false;
    for (; units->name; units++)
        if (strcmp(p, units->name) == 0)
            return !__builtin_mul_overflow(n, units->factor, number);
    return false;
}

static int parse_scaled(const vh_config_key *key, const char *text, uint64_t *number, vh_error *err)
{
    const struct unit *units = key->type == VH_CONFIG_BYTES      ? byte_units
                               : key->type == VH_CONFIG_DURATION ? time_units
                                                                 : no_units;
    const char *form = key->type == VH_CONFIG_BYTES      ? "a size such as 256M or 2G"
                       : key->type == VH_CONFIG_DURATION ? "a duration such as 500ms or 30s"
                                                         : "a whole number";

    if (!parse_number(text, units, number))
        return vh_error_set(err, VH_EINVALID, "'%.64s' is not %s", text, form);
    if (key->max && (*number < key->min || *number > key->max)) {
        const struct unit *u = key->type == VH_CONFIG_BYTES ? &byte_units[2] : &units[0];

        return vh_error_set(err, VH_EINVALID, "'%.64s' is out of range: %llu%s to %llu%s are allowed", text,
                            (unsigned long long)(key->min / u->factor), u->name,
                            (unsigned long long)(key->max / u->factor), u->name);
    }
    return 0;
}

static int parse_bool(const char *text, uint64_t *number, vh_error *err)
{
    static const char *const words[] = { "false", "true", "no", "yes", "off", "on", "0", "1" };

    for (size_t i = 0; i < VH_ARRAY_LEN(words); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *number = i & 1;
            return 0;
        }
    }
    return vh_error_set(err, VH_EINVALID, "'%.64s' is neither true nor false", text);
}

static int parse_enum(const vh_config_key *key, const char *text, vh_error *err)
{
    size_t n = strlen(text);

    for (const char *p = key->choices;; p++) {
        size_t len = strcspn(p, "|");

        if (len == n && strncmp(p, text, n) == 0)
            return 0;
        p += len;
        if (!*p)
            return vh_error_set(err, VH_EINVALID, "'%.64s' is not one of %s", text, key->choices);
    }
}

static int parse_path(const vh_config_key *key, const char *text, vh_error *err)
{
    if (text[0] == '/' || (!*text && !*key->fallback))
        return 0;
    return vh_error_set(err, VH_EINVALID, "'%.200s' is not an absolute path", text);
}

static int parse_cidr(const vh_config_key *key, const char *text, vh_error *err)
{
    const char *slash = strchr(text, '/');
    char address[INET_ADDRSTRLEN] = "";
    struct in_addr in;
    uint64_t prefix;

    if (slash && (size_t)(slash - text) < sizeof(address))
        memcpy(address, text, (size_t)(slash - text));
    if (!*address || inet_pton(AF_INET, address, &in) != 1 || !parse_number(slash + 1, no_units, &prefix))
        return vh_error_set(err, VH_EINVALID, "'%.64s' is not an IPv4 network such as 198.18.0.0/15", text);
    if (prefix < key->min || prefix > key->max)
        return vh_error_set(err, VH_EINVALID, "'%.64s': the prefix must be /%u to /%u", text, (unsigned)key->min,
                            (unsigned)key->max);
    if (ntohl(in.s_addr) & (UINT32_MAX >> prefix))
        return vh_error_set(err, VH_EINVALID, "'%.64s' has address bits beyond its prefix", text);
    return 0;
}

/* Decodes one UTF-8 character at |*p| and steps over it; UINT32_MAX if it is malformed. */
static uint32_t next_char(const unsigned char **p)
{
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
    uint32_t c = *(*p)++;
    unsigned more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;

    if ((c >= 0x80 && c < 0xc0) || c >= 0xf8)
        return UINT32_MAX;
    if (more)
        c &= 0x3fU >> more;
    for (unsigned i = 0; i < more; i++) {
        if ((**p & 0xc0) != 0x80)
            return UINT32_MAX;
        c = c << 6 | (*(*p)++ & 0x3f);
    }
    return c < least[more] ? UINT32_MAX : c;
}

/* Whether |text| can stand in one line of YAML as it is: what the dump writes must be what the loader reads. */
static bool printable(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;

    while (*p) {
        uint32_t c = next_char(&p);

        if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
            (c >= 0xd800 && c < 0xe000) || c == 0xfffe || c == 0xffff || c > 0x10ffff)
            return false;
    }
    return true;
}

int vh_config_parse(const vh_config_key *key, const char *text, uint64_t *number, vh_error *err)
{
    *number = 0;
    if (strlen(text) > VH_CONFIG_VALUE_MAX)
        return vh_error_set(err, VH_EINVALID, "value is longer than %d bytes", VH_CONFIG_VALUE_MAX);
    if (!printable(text))
        return vh_error_set(err, VH_EINVALID, "value has a control character or is not UTF-8");
    switch (key->type) {
    case VH_CONFIG_PATH:
        return parse_path(key, text, err);
    case VH_CONFIG_BOOL:
        return parse_bool(text, number, err);
    case VH_CONFIG_UINT:
    case VH_CONFIG_BYTES:
    case VH_CONFIG_DURATION:
        return parse_scaled(key, text, number, err);
    case VH_CONFIG_ENUM:
        return parse_enum(key, text, err);
    case VH_CONFIG_CIDR:
        return parse_cidr(key, text, err);
    case VH_CONFIG_STRING:
        break;
    }
    if (!*text && *key->fallback)
        return vh_error_set(err, VH_EINVALID, "value is empty");
    return 0;
}
