#include "yaml.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEPTH_MAX 32

/* A document that is being collected. Its end is seen by brackets outside of strings. */
struct document {
    FILE *out;
    char *text;
    size_t n, room;
    int depth;
    bool in_string, escaped;
    bool later; /* one was written before */
};

/* Ends of a JSON string that begins at |p| with its quote: what follows the closing one. */
static const char *string_end(const char *p)
{
    for (p++; *p && *p != '"'; p++)
        if (*p == '\\' && p[1])
            p++;
    return *p ? p + 1 : p;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Whether the |n| bytes at |s| mean themselves without quotes, in YAML 1.1 too. */
static bool is_plain(const char *s, size_t n)
{
    static const char *const words[] = { "null", "true", "false", "yes", "no", "on", "off", "y", "n" };

    if (n == 0 || n > 200 || !(is_letter(*s) || *s == '/'))
        return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strlen(words[i]) == n && strncasecmp(s, words[i], n) == 0)
            return false;
    for (size_t i = 0; i < n; i++)
        if (!is_letter(s[i]) && !strchr("0123456789_./@+-:", s[i]))
            return false;
    return s[n - 1] != ':';
}

/* Characters that JSON may have as they are and YAML not: C1 controls, line separators, BOM and non-characters. */
static size_t forbidden(const unsigned char *s, unsigned *code)
{
    if (s[0] == 0xc2 && s[1] < 0xa0)
        *code = s[1];
    else if (s[0] == 0xe2 && s[1] == 0x80 && (s[2] == 0xa8 || s[2] == 0xa9))
        *code = 0x2000U + (s[2] - 0x80U);
    else if (s[0] == 0xef && s[1] == 0xbb && s[2] == 0xbf)
        *code = 0xfeff;
    else if (s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe)
        *code = 0xff00U + s[2] + 0x40U;
    else
        return 0;
    return s[0] == 0xc2 ? 2 : 3;
}

/* A JSON string is a double-quoted scalar of YAML but for those characters. */
static const char *put_string(FILE *out, const char *p)
{
    const char *end = string_end(p);
    unsigned code;

    if (is_plain(p + 1, (size_t)(end - p) - 2)) {
        fwrite(p + 1, 1, (size_t)(end - p) - 2, out);
        return end;
    }
    while (p < end) {
        size_t n = forbidden((const unsigned char *)p, &code);

        if (n)
            fprintf(out, "\\u%04x", code);
        else
            fputc(*p, out);
        p += n ? n : 1;
    }
    return end;
}

static const char *skip_space(const char *p)
{
    return p + strspn(p, " \t\r\n,:");
}

static const char *put_value(FILE *out, const char *p, int indent, bool in_list);

/* The members of an object or the elements of an array, each on a line; the first one follows "- " directly. */
static const char *put_block(FILE *out, const char *p, int indent, bool in_list)
{
    bool object = *p == '{', first = in_list;

    for (p = skip_space(p + 1); *p && *p != '}' && *p != ']'; p = skip_space(p)) {
        fprintf(out, "%*s", first ? 0 : indent, "");
        first = false;
        if (object) {
            p = skip_space(put_string(out, p));
            fputc(':', out);
        } else {
            fputc('-', out);
        }
        p = put_value(out, p, indent, !object);
    }
    return p + (*p != '\0');
}

static const char *put_scalar(FILE *out, const char *p)
{
    size_t n = strcspn(p, ",]} \t\r\n");

    if (*p == '"')
        return put_string(out, p);
    fwrite(p, 1, n, out);
    return p + n;
}

/* What follows "KEY:" or "-", with the end of its line. */
static const char *put_value(FILE *out, const char *p, int indent, bool in_list)
{
    const char *inside = skip_space(p + 1);

    if (*p != '{' && *p != '[') {
        fputc(' ', out);
        p = put_scalar(out, p);
    } else if (*inside == '}' || *inside == ']') {
        fprintf(out, " %c%c", *p, *inside);
        p = inside + 1;
    } else {
        fputc(in_list ? ' ' : '\n', out);
        return put_block(out, p, indent + 2, in_list);
    }
    fputc('\n', out);
    return p;
}

static void put_document(struct document *d)
{
    const char *p = d->text, *inside = skip_space(p + 1);

    if (d->later)
        fputs("---\n", d->out);
    d->later = true;
    if (*inside == '}' || *inside == ']')
        fprintf(d->out, "%c%c\n", *p, *inside);
    else
        (void)put_block(d->out, p, 0, false); /* ends where the document does */
    fflush(d->out);
}

/* Notes what |c| means for where the document ends. False: too deep. */
static bool follow(struct document *d, char c)
{
    if (d->in_string) {
        d->in_string = d->escaped || c != '"';
        d->escaped = !d->escaped && c == '\\';
    } else if (c == '"') {
        d->in_string = true;
    } else if (c == '{' || c == '[') {
        d->depth++;
    } else if (c == '}' || c == ']') {
        d->depth--;
    }
    return d->depth >= 0 && d->depth <= DEPTH_MAX;
}

static bool keep(struct document *d, char c)
{
    if (d->n + 1 >= d->room) {
        size_t room = d->room ? d->room * 2 : 4096;
        char *grown = realloc(d->text, room);

        if (!grown)
            return false;
        d->text = grown;
        d->room = room;
    }
    d->text[d->n++] = c;
    d->text[d->n] = '\0';
    return true;
}

static ssize_t take(void *cookie, const char *bytes, size_t n)
{
    struct document *d = cookie;

    for (size_t i = 0; i < n; i++) {
        if (d->depth == 0 && strchr(" \t\r\n", bytes[i]))
            continue; /* between documents */
        if (!follow(d, bytes[i]) || !keep(d, bytes[i])) {
            errno = d->depth > DEPTH_MAX ? EOVERFLOW : ENOMEM;
            return 0;
        }
        if (d->depth == 0 && !d->in_string) {
            put_document(d);
            d->n = 0;
        }
    }
    return ferror(d->out) ? 0 : (ssize_t)n;
}

static int release(void *cookie)
{
    struct document *d = cookie;
    int rc = d->n ? EOF : 0; /* a document was cut off */

    free(d->text);
    free(d);
    return rc;
}

FILE *cli_yaml_open(FILE *out)
{
    struct document *d = calloc(1, sizeof(*d));
    FILE *f;

    if (!d)
        return NULL;
    d->out = out;
    f = fopencookie(d, "w", (cookie_io_functions_t){ .write = take, .close = release });
    if (!f)
        free(d);
    return f;
}
