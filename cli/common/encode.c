#include "encode.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

/* Bytes of the UTF-8 character at |s| (at most |n|); 0 if it is malformed, overlong, a surrogate or too large. */
static size_t char_length(const unsigned char *s, size_t n)
{
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;

    if (len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if (len >= 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf0 && s[1] < 0x90) ||
                     (s[0] == 0xf4 && s[1] >= 0x90)))
        return 0;
    return len;
}

bool cli_is_utf8(const void *bytes, size_t n)
{
    const unsigned char *s = bytes;

    for (size_t i = 0, len; i < n; i += len) {
        len = char_length(s + i, n - i);
        if (len == 0 || s[i] == 0)
            return false;
    }
    return true;
}

void cli_put_json(FILE *out, const void *bytes, size_t n)
{
    static const char letters[] = "\b\f\n\r\t\"\\", escapes[] = "bfnrt\"\\";
    const unsigned char *s = bytes;

    fputc('"', out);
    for (size_t i = 0; i < n;) {
        size_t len = char_length(s + i, n - i);
        const char *letter = s[i] ? strchr(letters, s[i]) : NULL;

        if (len == 0)
            fputs("\xef\xbf\xbd", out);
        else if (letter)
            fprintf(out, "\\%c", escapes[letter - letters]);
        else if (s[i] < 0x20 || s[i] == 0x7f)
            fprintf(out, "\\u%04x", s[i]);
        else
            fwrite(s + i, 1, len, out);
        i += len ? len : 1;
    }
    fputc('"', out);
}

void cli_put_base64(FILE *out, const void *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *s = bytes;

    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v = (uint32_t)s[i] << 16 | (uint32_t)(left > 1 ? s[i + 1] : 0) << 8 | (left > 2 ? s[i + 2] : 0);

        fputc(digits[v >> 18], out);
        fputc(digits[v >> 12 & 63], out);
        fputc(left > 1 ? digits[v >> 6 & 63] : '=', out);
        fputc(left > 2 ? digits[v & 63] : '=', out);
    }
}

/* Whether the character of |len| bytes may reach a terminal: no control character of either set. */
static bool harmless(const unsigned char *s, size_t len)
{
    return len && s[0] >= 0x20 && s[0] != 0x7f && !(s[0] == 0xc2 && s[1] < 0xa0);
}

void cli_put_plain(FILE *out, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t n = strlen(text);

    for (size_t i = 0; i < n;) {
        size_t len = char_length(s + i, n - i);

        if (harmless(s + i, len))
            fwrite(s + i, 1, len, out);
        else
            fputc('?', out);
        i += len ? len : 1;
    }
}

size_t cli_plain_width(const char *text)
{
    size_t n = strlen(text), width = 0;

    for (size_t i = 0; i < n; width++) {
        size_t len = char_length((const unsigned char *)text + i, n - i);

        i += len ? len : 1;
    }
    return width;
}

const char *cli_bytes_text(uint64_t bytes, char buf[24])
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
    double v = (double)bytes;
    size_t u = 0;

    for (; v >= 1024 && u < 5; u++)
        v /= 1024;
    snprintf(buf, 24, u && v < 9.95 ? "%.1f %s" : "%.0f %s", v, units[u]);
    return buf;
}

const char *cli_time_text(int64_t realtime_ns, int digits, char buf[40])
{
    static const int64_t powers[] = { 1000000000, 100000000, 10000000, 1000000, 100000, 10000, 1000, 100, 10, 1 };
    time_t seconds = (time_t)(realtime_ns / 1000000000);
    int64_t rest = realtime_ns % 1000000000;
    struct tm tm;
    size_t n;

    if (rest < 0) {
        rest += 1000000000;
        seconds--;
    }
    if (!gmtime_r(&seconds, &tm)) {
        snprintf(buf, 40, "?");
        return buf;
    }
    n = strftime(buf, 24, "%Y-%m-%dT%H:%M:%S", &tm);
    if (digits)
        n += (size_t)snprintf(buf + n, 40 - n, ".%0*" PRId64, digits, rest / powers[digits]);
    snprintf(buf + n, 40 - n, "Z");
    return buf;
}
