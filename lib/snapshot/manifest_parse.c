#include "manifest_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "canonical_priv.h"
#include "chunks_priv.h"
#include "json.h"

/* A member that goes into vh_snapshot_info as it is: |size| bytes at |at|, a string, or a number of 4 or 8 bytes. */
typedef struct member {
    const char *group, *name; /* group NULL: at the top */
    size_t at, size;
} member;

#define MEMBER(group, name, field)                                                                                     \
    {                                                                                                                  \
        group, name, offsetof(vh_snapshot_info, field), sizeof(((vh_snapshot_info *)0)->field)                         \
    }

static const member texts[] = {
    MEMBER("image", "ref", image),   MEMBER("image", "digest", image_digest), MEMBER("vmm", "name", vmm),
    MEMBER("vmm", "version", vmm_version), MEMBER("vmm", "accel", accel),
};

static const member numbers[] = {
    MEMBER("machine", "memory_mib", memory_mib), MEMBER("machine", "cpus", cpus),
    MEMBER("memory", "bytes", memory_bytes),     MEMBER("vmstate", "bytes", vmstate_bytes),
    MEMBER(NULL, "pause_us", pause_us),          MEMBER(NULL, "boot_us", boot_us),
};

void vh__manifest_fini(vh__manifest *m)
{
    cJSON_Delete(m->json);
    *m = (vh__manifest){ 0 };
}

const char *vh__manifest_ws_owner(const vh__manifest *m)
{
    return m->digest + strlen("sha256:");
}

static const cJSON *group_of(const cJSON *json, const char *group)
{
    return group ? cJSON_GetObjectItemCaseSensitive(json, group) : json;
}

/* Printable text only: it is shown on terminals. */
static bool printable(const char *s)
{
    while ((unsigned char)*s >= 0x20 && *s != 0x7f)
        s++;
    return *s == '\0';
}

static int take_text(const cJSON *json, const member *f, vh_snapshot_info *info, vh_error *err)
{
    const char *s;
    int rc = vh__json_str(group_of(json, f->group), f->name, "manifest.json", &s, err);

    if (rc)
        return rc;
    if (strlen(s) >= f->size || !printable(s))
        return vh_error_set(err, VH_EINVALID, "manifest.json: member \"%s\" is longer than %zu bytes or not printable",
                            f->name, f->size - 1);
    strcpy((char *)info + f->at, s);
    return 0;
}

static int take_number(const cJSON *json, const member *f, vh_snapshot_info *info, vh_error *err)
{
    uint64_t v;
    int rc = vh__json_u64(group_of(json, f->group), f->name, "manifest.json", &v, err);

    if (rc)
        return rc;
    if (f->size == sizeof(uint32_t) && v > UINT32_MAX)
        return vh_error_set(err, VH_EINVALID, "manifest.json: member \"%s\" is too large", f->name);
    if (f->size == sizeof(uint32_t))
        memcpy((char *)info + f->at, &(uint32_t){ (uint32_t)v }, sizeof(uint32_t));
    else
        memcpy((char *)info + f->at, &v, sizeof(v));
    return 0;
}

static int take_info(const cJSON *json, vh_snapshot_info *info, vh_error *err)
{
    uint64_t created_us = 0;
    int rc = 0;

    for (size_t i = 0; i < VH_ARRAY_LEN(texts) && rc == 0; i++)
        rc = take_text(json, &texts[i], info, err);
    for (size_t i = 0; i < VH_ARRAY_LEN(numbers) && rc == 0; i++)
        rc = take_number(json, &numbers[i], info, err);
    if (rc == 0)
        rc = vh__json_u64(json, "created_us", "manifest.json", &created_us, err);
    info->created_ns = (int64_t)(VH_MIN(created_us, (uint64_t)INT64_MAX / 1000) * 1000);
    return rc;
}

static int take_chunks(vh__manifest *m, vh_error *err)
{
    const cJSON *memory = group_of(m->json, "memory"), *c;
    uint64_t bytes = m->info.memory_bytes;

    if (bytes == 0 || bytes % VH_CHUNK_PAGE || bytes > VH_SNAPSHOT_MEMORY_MAX)
        return vh_error_set(err, VH_EINVALID, "manifest.json: %llu bytes of memory cannot be",
                            (unsigned long long)bytes);
    if (vh__json_u64_or(memory, "chunk_bytes", 0) != VH_CHUNK)
        return vh_error_set(err, VH_EINVALID, "manifest.json: member \"chunk_bytes\" is not %u", VH_CHUNK);
    m->chunks = cJSON_GetObjectItemCaseSensitive(memory, "chunks");
    if (!cJSON_IsArray(m->chunks) || (size_t)cJSON_GetArraySize(m->chunks) != vh__chunks_count(bytes))
        return vh_error_set(err, VH_EINVALID, "manifest.json: member \"chunks\" does not cover the memory");
    cJSON_ArrayForEach(c, m->chunks)
        if (!cJSON_IsString(c) || (strcmp(c->valuestring, "zero") != 0 && !vh__digest_valid(c->valuestring)))
            return vh_error_set(err, VH_EINVALID, "manifest.json: member \"chunks\" holds what is no digest");
    return 0;
}

static int take_identity(vh__manifest *m, vh_error *err)
{
    vh_auto_buf vh__buf text = { 0 };
    int rc = vh__canonical_print(cJSON_GetObjectItemCaseSensitive(m->json, "identity"), &text, err);

    if (rc == 0)
        snprintf(m->info.identity, sizeof(m->info.identity), "%s", text.data);
    return rc;
}

/* The key must be that of the identity: so a manifest cannot claim to be of another one. */
static int take_key(vh__manifest *m, vh_error *err)
{
    char key[VH_DIGEST_TEXT];
    int rc = vh__json_str(m->json, "key", "manifest.json", &m->key, err);

    if (rc == 0)
        rc = vh__snapshot_key(cJSON_GetObjectItemCaseSensitive(m->json, "identity"), key, err);
    if (rc == 0 && strcmp(key, m->key) != 0)
        return vh_error_set(err, VH_EINVALID, "manifest.json: member \"key\" is not the digest of \"identity\"");
    return rc;
}

static int take_all(vh__manifest *m, vh_error *err)
{
    int rc = take_key(m, err);

    if (rc == 0)
        rc = take_info(m->json, &m->info, err);
    if (rc == 0)
        rc = take_identity(m, err);
    if (rc == 0)
        rc = take_chunks(m, err);
    if (rc == 0)
        rc = vh__json_str(group_of(m->json, "vmstate"), "digest", "manifest.json", &m->vmstate_digest, err);
    if (rc)
        return rc;
    if (!vh__digest_valid(m->vmstate_digest))
        return vh_error_set(err, VH_EINVALID, "manifest.json: the VMM state's \"digest\" is none");
    m->machine = cJSON_GetObjectItemCaseSensitive(group_of(m->json, "machine"), "config");
    if (m->machine && !cJSON_IsObject(m->machine))
        return vh_error_set(err, VH_EINVALID, "manifest.json: member \"config\" is not an object");
    return 0;
}

/* The version is looked at first: a newer one may differ in anything else. */
static int check_format(const cJSON *json, vh_error *err)
{
    uint64_t format;
    int rc = vh__json_u64(json, "format", "manifest.json", &format, err);

    if (rc == 0 && format != VH_SNAPSHOT_FORMAT)
        return vh_error_set(err, VH_EUNSUPPORTED, "manifest.json: format %llu, this version reads %d",
                            (unsigned long long)format, VH_SNAPSHOT_FORMAT);
    return rc;
}

static int check_digest(vh__manifest *m, vh_error *err)
{
    vh_auto_json cJSON *told = cJSON_DetachItemFromObjectCaseSensitive(m->json, "digest");
    int rc = vh__canonical_digest(m->json, m->digest, err);

    if (rc == 0 && (!cJSON_IsString(told) || strcmp(told->valuestring, m->digest) != 0))
        return vh_error_set(err, VH_EINVALID, "manifest.json: its content is not what its \"digest\" says");
    return rc;
}

int vh__manifest_parse(const char *bytes, size_t n, vh__manifest *m, vh_error *err)
{
    vh_auto_manifest vh__manifest made = { 0 };
    int rc = n > VH_MANIFEST_MAX ? vh_error_set(err, VH_EINVALID, "manifest.json: larger than %u bytes",
                                                VH_MANIFEST_MAX)
                                 : vh__json_parse(bytes, n, "manifest.json", &made.json, err);

    if (rc == 0)
        rc = check_format(made.json, err);
    if (rc == 0)
        rc = check_digest(&made, err);
    if (rc == 0)
        rc = take_all(&made, err);
    if (rc == VH_EINVALID) {
        rc = VH_ECORRUPT;
        if (err)
            err->code = rc;
    }
    if (rc)
        return rc;
    *m = made;
    made = (vh__manifest){ 0 };
    return 0;
}
