#include "manifest_priv.h"

#include <errno.h>

#include "canonical_priv.h"
#include "chunks_priv.h"
#include "json.h"

/* Adds |item| (taken, also on failure) to |to|. Building goes on after a failure and is asked for it once. */
static void add(cJSON *to, const char *name, cJSON *item, bool *ok)
{
    if (item && to && cJSON_AddItemToObject(to, name, item))
        return;
    cJSON_Delete(item);
    *ok = false;
}

static void add_text(cJSON *to, const char *name, const char *text, bool *ok)
{
    add(to, name, text ? cJSON_CreateString(text) : cJSON_CreateNull(), ok); /* NULL: check() names it */
}

static void add_number(cJSON *to, const char *name, uint64_t number, bool *ok)
{
    add(to, name, cJSON_CreateNumber((double)number), ok);
}

static cJSON *group(cJSON *to, const char *name, bool *ok)
{
    cJSON *g = cJSON_CreateObject();

    add(to, name, g, ok);
    return *ok ? g : NULL;
}

static void add_chunks(cJSON *memory, const vh__manifest_content *c, bool *ok)
{
    cJSON *chunks = cJSON_CreateArray();

    for (size_t i = 0; chunks && i < vh__chunks_count(c->memory_bytes); i++) {
        cJSON *digest = cJSON_CreateString(c->chunks[i][0] ? c->chunks[i] : "zero");

        if (!digest || !cJSON_AddItemToArray(chunks, digest)) {
            cJSON_Delete(digest);
            *ok = false;
            break;
        }
    }
    add(memory, "chunks", chunks, ok);
}

static void add_facts(cJSON *json, const vh__snapshot_facts *f, bool *ok)
{
    cJSON *image = group(json, "image", ok), *vmm = group(json, "vmm", ok), *machine = group(json, "machine", ok);

    add_text(image, "ref", f->image, ok);
    add_text(image, "digest", f->image_digest, ok);
    add_text(vmm, "name", f->vmm, ok);
    add_text(vmm, "version", f->vmm_version, ok);
    add_text(vmm, "accel", f->accel, ok);
    add_number(machine, "memory_mib", f->memory_mib, ok);
    add_number(machine, "cpus", f->cpus, ok);
    if (f->machine)
        add(machine, "config", cJSON_Duplicate(f->machine, true), ok);
    add_number(json, "pause_us", f->pause_us, ok);
    add_number(json, "boot_us", f->boot_us, ok);
}

static void add_content(cJSON *json, const vh__manifest_content *c, bool *ok)
{
    cJSON *memory = group(json, "memory", ok), *vmstate = group(json, "vmstate", ok);

    add_text(json, "key", c->key, ok);
    add_number(json, "created_us", (uint64_t)c->created_ns / 1000, ok); /* ns would not fit a double */
    add(json, "identity", cJSON_Duplicate(c->identity, true), ok);
    add_number(vmstate, "bytes", c->vmstate_bytes, ok);
    add_text(vmstate, "digest", c->vmstate_digest, ok);
    add_number(memory, "bytes", c->memory_bytes, ok);
    add_number(memory, "chunk_bytes", VH_CHUNK, ok);
    add_chunks(memory, c, ok);
}

/* What is written must be readable again: rather refuse to save than find out at the first restore. */
static int check(const vh__buf *text, vh_error *err)
{
    vh_auto_manifest vh__manifest m = { 0 };
    int rc = vh__manifest_parse(text->data, text->len, &m, err);

    if (rc == VH_ECORRUPT && err)
        err->code = VH_EINVALID;
    return rc == VH_ECORRUPT ? VH_EINVALID : rc;
}

int vh__manifest_print(const vh__manifest_content *c, const vh__snapshot_facts *facts, vh__buf *out, vh_error *err)
{
    vh_auto_json cJSON *json = cJSON_CreateObject();
    char digest[VH_DIGEST_TEXT];
    bool ok = json != NULL;
    int rc;

    add_number(json, "format", VH_SNAPSHOT_FORMAT, &ok);
    add_facts(json, facts, &ok);
    add_content(json, c, &ok);
    if (!ok)
        return vh_error_set(err, -ENOMEM, "manifest.json");
    rc = vh__canonical_digest(json, digest, err);
    if (rc)
        return rc;
    add_text(json, "digest", digest, &ok);
    vh__json_print(json, true, out);
    vh__buf_puts(out, "\n");
    if (!ok)
        return vh_error_set(err, -ENOMEM, "manifest.json");
    rc = vh__buf_check(out, "manifest.json", err);
    return rc ? rc : check(out, err);
}
