/* Bytes as text that others can read: JSON, base64, and lines for a terminal. Errors stick to the stream. */
#ifndef CLI_ENCODE_H
#define CLI_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** Whether |n| bytes are UTF-8 without a zero byte. */
bool cli_is_utf8(const void *bytes, size_t n);

/** Writes |n| bytes as a JSON string with its quotes; a byte that is not UTF-8 becomes U+FFFD. */
void cli_put_json(FILE *out, const void *bytes, size_t n);
/** Writes |n| bytes as base64 (RFC 4648, padded), without quotes. */
void cli_put_base64(FILE *out, const void *bytes, size_t n);
/** Writes |text| with control characters and broken UTF-8 as '?': names come from images, terminals obey escapes. */
void cli_put_plain(FILE *out, const char *text);
/** Columns that cli_put_plain() of |text| takes, one per character. */
size_t cli_plain_width(const char *text);

/** "1.5 GiB", "12 KiB", "7 B" into |buf|, which it returns. */
const char *cli_bytes_text(uint64_t bytes, char buf[24]);
/** RFC 3339 in UTC with |digits| (0 to 9) of the second's fraction into |buf|, which it returns. */
const char *cli_time_text(int64_t realtime_ns, int digits, char buf[40]);

#endif
