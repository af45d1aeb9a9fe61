/*
 * JSON from untrusted places, on cJSON: bounded size, typed members, errors that name the member.
 * Files and messages of ours are made with cJSON directly and printed with vh__json_print().
 */
#ifndef VH_JSON_JSON_H
#define VH_JSON_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <cjson/cJSON.h>
#include <vhive/error.h>

#include "buf.h"

#define vh_auto_json __attribute__((cleanup(vh__json_auto_free)))
void vh__json_auto_free(cJSON **j);

/** Parses |n| bytes; |what| names them in errors. The caller owns |*out| (cJSON_Delete). VH_EINVALID if not JSON. */
VH_MUST_CHECK int vh__json_parse(const char *bytes, size_t n, const char *what, cJSON **out, vh_error *err);
/** Reads and parses a file of at most |max| bytes. */
VH_MUST_CHECK int vh__json_read(const char *path, size_t max, cJSON **out, vh_error *err);

/** A string member (borrowed, lives as long as |obj|). Missing or another type: VH_EINVALID naming |what| and |key|. */
VH_MUST_CHECK int vh__json_str(const cJSON *obj, const char *key, const char *what, const char **out, vh_error *err);
/** An unsigned integer member that a double holds exactly (<= 2^53). */
VH_MUST_CHECK int vh__json_u64(const cJSON *obj, const char *key, const char *what, uint64_t *out, vh_error *err);

/** A string member or |fallback| when it is missing or of another type. */
const char *vh__json_str_or(const cJSON *obj, const char *key, const char *fallback);
/** A number member or |fallback|. */
uint64_t vh__json_u64_or(const cJSON *obj, const char *key, uint64_t fallback);
bool vh__json_bool_or(const cJSON *obj, const char *key, bool fallback);

/** Appends |j| as text, in one line or indented. Out of memory is sticky in |out|. */
void vh__json_print(const cJSON *j, bool indent, vh__buf *out);

#endif
