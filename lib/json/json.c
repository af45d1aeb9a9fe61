#include "json.h"

#include <errno.h>
#include <stdlib.h>

#include "fd.h"

void vh__json_auto_free(cJSON **j)
{
    cJSON_Delete(*j);
}

int vh__json_parse(const char *bytes, size_t n, const char *what, cJSON **out, vh_error *err)
{
    const char *end = NULL;
    cJSON *j = n ? cJSON_ParseWithLengthOpts(bytes, n, &end, false) : NULL;

    if (!j)
        return vh_error_set(err, VH_EINVALID, "%s: not valid JSON near byte %zu", what,
                            end ? (size_t)(end - bytes) : (size_t)0);
    for (; end < bytes + n; end++) {
        if (*end == ' ' || *end == '\t' || *end == '\r' || *end == '\n' || *end == '\0')
            continue;
        cJSON_Delete(j);
        return vh_error_set(err, VH_EINVALID, "%s: something follows the JSON value at byte %zu", what,
                            (size_t)(end - bytes));
    }
    *out = j;
    return 0;
}

int vh__json_read(const char *path, size_t max, cJSON **out, vh_error *err)
{
    vh_auto_buf vh__buf b = { 0 };
    int rc = vh__file_read(path, max, &b, err);

    return rc ? rc : vh__json_parse(b.data, b.len, path, out, err);
}

int vh__json_str(const cJSON *obj, const char *key, const char *what, const char **out, vh_error *err)
{
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(obj, key);

    if (!cJSON_IsString(m))
        return vh_error_set(err, VH_EINVALID, "%s: member \"%s\" is missing or not a string", what, key);
    *out = m->valuestring;
    return 0;
}

static bool is_u64(const cJSON *m)
{
    return cJSON_IsNumber(m) && m->valuedouble >= 0 && m->valuedouble <= 9007199254740992.0 &&
           m->valuedouble == (double)(uint64_t)m->valuedouble;
}

int vh__json_u64(const cJSON *obj, const char *key, const char *what, uint64_t *out, vh_error *err)
{
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(obj, key);

    if (!is_u64(m))
        return vh_error_set(err, VH_EINVALID, "%s: member \"%s\" is missing or not a whole number from 0", what, key);
    *out = (uint64_t)m->valuedouble;
    return 0;
}

const char *vh__json_str_or(const cJSON *obj, const char *key, const char *fallback)
{
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(obj, key);

    return cJSON_IsString(m) ? m->valuestring : fallback;
}

uint64_t vh__json_u64_or(const cJSON *obj, const char *key, uint64_t fallback)
{
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(obj, key);

    return is_u64(m) ? (uint64_t)m->valuedouble : fallback;
}

bool vh__json_bool_or(const cJSON *obj, const char *key, bool fallback)
{
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(obj, key);

    return cJSON_IsBool(m) ? cJSON_IsTrue(m) : fallback;
}

void vh__json_print(const cJSON *j, bool indent, vh__buf *out)
{
    char *text = j ? indent ? cJSON_Print(j) : cJSON_PrintUnformatted(j) : NULL;

    if (text)
        vh__buf_puts(out, text);
    else
        out->oom = true;
    cJSON_free(text);
}
