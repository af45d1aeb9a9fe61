#include "shim.h"

#include <string.h>

static const char *const memory_names[] = { [VH_VMM_MEMORY_SHARED] = "shared",
                                            [VH_VMM_MEMORY_PRIVATE] = "private",
                                            [VH_VMM_MEMORY_UFFD] = "uffd" };

/* Strings of vh__vmm_config that travel; optional ones may be NULL. */
static const struct {
    const char *key;
    size_t offset;
    bool optional;
} strings[] = {
    { "binary", offsetof(vh__vmm_config, binary), false },   { "accel", offsetof(vh__vmm_config, accel), false },
    { "run_dir", offsetof(vh__vmm_config, run_dir), false }, { "rootfs", offsetof(vh__vmm_config, rootfs), true },
    { "kernel", offsetof(vh__vmm_config, kernel), true },    { "initramfs", offsetof(vh__vmm_config, initramfs), true },
    { "cmdline", offsetof(vh__vmm_config, cmdline), true },  { "guest_mac", offsetof(vh__vmm_config, guest_mac), false },
    { "preload", offsetof(vh__vmm_config, preload), true },
};

static const char **string_at(const vh__vmm_config *c, size_t i)
{
    return (const char **)(void *)((char *)c + strings[i].offset);
}

cJSON *vh__shim_spawn_encode(const vh__vmm_config *c)
{
    vh_auto_json cJSON *j = cJSON_CreateObject();
    bool ok = cJSON_AddStringToObject(j, "op", "spawn") != NULL;

    for (size_t i = 0; i < VH_ARRAY_LEN(strings); i++) {
        const char *value = *string_at(c, i);

        if (value)
            ok = cJSON_AddStringToObject(j, strings[i].key, value) && ok;
    }
    ok = cJSON_AddNumberToObject(j, "memory_mib", c->memory_mib) && ok;
    ok = cJSON_AddNumberToObject(j, "cpus", c->cpus) && ok;
    ok = cJSON_AddNumberToObject(j, "uid", c->uid) && ok;
    ok = cJSON_AddStringToObject(j, "memory", memory_names[c->memory]) && ok;
    return ok ? vh_steal_ptr(j) : NULL;
}

static int decode_number(const cJSON *j, const char *key, uint32_t min, uint32_t max, uint32_t *out, vh_error *err)
{
    uint64_t v;
    int rc = vh__json_u64(j, key, "spawn", &v, err);

    if (rc)
        return VH_EPROTOCOL;
    if (v < min || v > max)
        return vh_error_set(err, VH_EPROTOCOL, "spawn: \"%s\" is outside %u..%u", key, min, max);
    *out = (uint32_t)v;
    return 0;
}

static int decode_memory(const cJSON *j, vh__vmm_memory *out, vh_error *err)
{
    const char *name = vh__json_str_or(j, "memory", "");

    for (size_t i = 0; i < VH_ARRAY_LEN(memory_names); i++) {
        if (strcmp(name, memory_names[i]) == 0) {
            *out = (vh__vmm_memory)i;
            return 0;
        }
    }
    return vh_error_set(err, VH_EPROTOCOL, "spawn: memory '%s': unknown", name);
}

int vh__shim_spawn_decode(const cJSON *j, vh__vmm_config *c, vh_error *err)
{
    vh__vmm_config d = { 0 };
    int rc;

    for (size_t i = 0; i < VH_ARRAY_LEN(strings); i++) {
        *string_at(&d, i) = vh__json_str_or(j, strings[i].key, NULL);
        if (!*string_at(&d, i) && !strings[i].optional)
            return vh_error_set(err, VH_EPROTOCOL, "spawn: \"%s\" is missing", strings[i].key);
    }
    rc = decode_memory(j, &d.memory, err);
    if (rc == 0 && !d.rootfs != (d.memory == VH_VMM_MEMORY_UFFD))
        rc = vh_error_set(err, VH_EPROTOCOL, "spawn: \"rootfs\" goes with every memory but \"uffd\"");
    if (rc == 0)
        rc = decode_number(j, "memory_mib", 1, 1U << 20, &d.memory_mib, err);
    if (rc == 0)
        rc = decode_number(j, "cpus", 1, 255, &d.cpus, err);
    if (rc == 0)
        rc = decode_number(j, "uid", 1, 0x7fffffff, &d.uid, err);
    if (rc)
        return rc;
    *c = d;
    return 0;
}

cJSON *vh__shim_bind_encode(const vh__shim_bind *b)
{
    vh_auto_json cJSON *j = cJSON_CreateObject();
    bool ok = cJSON_AddStringToObject(j, "op", "bind") && cJSON_AddStringToObject(j, "snapshot", b->snapshot) &&
              cJSON_AddBoolToObject(j, "record", b->record) && cJSON_AddBoolToObject(j, "replay", b->replay);

    return ok ? vh_steal_ptr(j) : NULL;
}

int vh__shim_bind_decode(const cJSON *j, vh__shim_bind *b, vh_error *err)
{
    const char *snapshot = vh__json_str_or(j, "snapshot", NULL);

    if (!snapshot)
        return vh_error_set(err, VH_EPROTOCOL, "bind: \"snapshot\" is missing");
    *b = (vh__shim_bind){ .snapshot = snapshot, .record = vh__json_bool_or(j, "record", false),
                          .replay = vh__json_bool_or(j, "replay", false) };
    return 0;
}
