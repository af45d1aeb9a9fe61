#include "canonical_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "snapshot.h"

static void print(const cJSON *j, vh__buf *out);

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

static void print_object(const cJSON *j, vh__buf *out)
{
    size_t n = (size_t)cJSON_GetArraySize(j), i = 0;
    vh_auto_free const cJSON **members = calloc(n + 1, sizeof(*members));
    const cJSON *m;

    if (!members) {
        out->oom = true;
        return;
    }
    cJSON_ArrayForEach(m, j)
        members[i++] = m;
    qsort(members, n, sizeof(*members), by_name);
    vh__buf_puts(out, "{");
    for (i = 0; i < n; i++) {
        cJSON name = { .type = cJSON_String, .valuestring = members[i]->string };

        vh__buf_puts(out, i ? "," : "");
        print(&name, out);
        vh__buf_puts(out, ":");
        print(members[i], out);
    }
    vh__buf_puts(out, "}");
}

static void print_array(const cJSON *j, vh__buf *out)
{
    const cJSON *m;

    vh__buf_puts(out, "[");
    cJSON_ArrayForEach(m, j) {
        vh__buf_puts(out, m == j->child ? "" : ",");
        print(m, out);
    }
    vh__buf_puts(out, "]");
}

/* Recursion is as deep as the value, which cJSON bounds when it parses (CJSON_NESTING_LIMIT). */
static void print(const cJSON *j, vh__buf *out)
{
    vh_auto_free char *leaf = NULL;

    if (cJSON_IsObject(j)) {
        print_object(j, out);
    } else if (cJSON_IsArray(j)) {
        print_array(j, out);
    } else if (cJSON_IsNumber(j)) {
        vh__buf_printf(out, "%.17g", j->valuedouble); /* exact, and not subject to cJSON's changing taste */
    } else {
        leaf = cJSON_PrintUnformatted(j);
        if (leaf)
            vh__buf_puts(out, leaf);
        else
            out->oom = true;
    }
}

int vh__canonical_print(const cJSON *j, vh__buf *out, vh_error *err)
{
    print(j, out);
    return vh__buf_check(out, "canonical JSON", err);
}

int vh__canonical_digest(const cJSON *j, char text[VH_DIGEST_TEXT], vh_error *err)
{
    vh_auto_buf vh__buf b = { 0 };
    int rc = vh__canonical_print(j, &b, err);

    return rc ? rc : vh__digest_bytes(b.data, b.len, text, err);
}

int vh__snapshot_key(const cJSON *identity, char key[VH_DIGEST_TEXT], vh_error *err)
{
    if (!cJSON_IsObject(identity) || !identity->child)
        return vh_error_set(err, VH_EINVALID, "identity of a snapshot: must be an object with members");
    return vh__canonical_digest(identity, key, err);
}
