/* modules: snapshot reap json base */
/*
 * Manifests of snapshots, twice: as they are, which rarely gets past their own digest, and with that digest put
 * right, so that what stands behind it is reached too. What is accepted must be what the catalogue relies on.
 */
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "canonical_priv.h"
#include "chunks_priv.h"
#include "json.h"
#include "manifest_priv.h"

static void parse(const char *bytes, size_t n)
{
    vh_auto_manifest vh__manifest m = { 0 };
    vh_error err = { 0 };

    if (vh__manifest_parse(bytes, n, &m, &err)) {
        if (!err.code || !err.msg[0] || m.json)
            abort();
        return;
    }
    if (!vh__digest_valid(m.key) || !vh__digest_valid(m.vmstate_digest) || !vh__digest_valid(m.digest) ||
        m.info.memory_bytes == 0 || m.info.memory_bytes > VH_SNAPSHOT_MEMORY_MAX ||
        (size_t)cJSON_GetArraySize(m.chunks) != vh__chunks_count(m.info.memory_bytes))
        abort();
}

static void parse_with_right_digest(const char *bytes, size_t n)
{
    vh_auto_json cJSON *json = NULL;
    vh_auto_buf vh__buf text = { 0 };
    char digest[VH_DIGEST_TEXT];
    cJSON *identity;

    if (vh__json_parse(bytes, n, "input", &json, NULL) || !cJSON_IsObject(json))
        return;
    identity = cJSON_GetObjectItemCaseSensitive(json, "identity");
    if (identity && vh__snapshot_key(identity, digest, NULL) == 0) {
        cJSON_DeleteItemFromObjectCaseSensitive(json, "key");
        cJSON_AddStringToObject(json, "key", digest);
    }
    cJSON_DeleteItemFromObjectCaseSensitive(json, "digest");
    if (vh__canonical_digest(json, digest, NULL))
        return;
    cJSON_AddStringToObject(json, "digest", digest);
    vh__json_print(json, false, &text);
    if (!text.oom)
        parse(text.data, text.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    parse((const char *)data, size);
    parse_with_right_digest((const char *)data, size);
    return 0;
}
