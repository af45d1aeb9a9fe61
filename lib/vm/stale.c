/* Whether a stored snapshot is of a machine that is no more: its key can then not come up again. */
#include <stdio.h>
#include <string.h>

#include "auto.h"
#include "path.h"
#include "vm_priv.h"

int vh__vm_present_get(vh__guest *guest, const char *qemu, const char *cache_dir, const vh__wait *w,
                       vh__vm_present *now, vh_error *err)
{
    vh_auto_free char *path = vh__path_find_program(qemu);
    vh__vm_present n = { 0 };
    int rc;

    if (!path)
        return vh_error_set(err, VH_EMISSING,
                            "%s: not found in PATH; install it (apt-get install qemu-system-x86) or set vmm.qemu", qemu);
    rc = vh__vmm_version(path, cache_dir, w, n.vmm_version, err);
    if (rc == 0)
        rc = vh__guest_look(guest, &n.files, err);
    if (rc == 0)
        *now = n;
    return rc;
}

static bool differs(const cJSON *identity, const char *key, const char *want)
{
    const char *have = vh__json_str_or(identity, key, NULL);

    return have && strcmp(have, want) != 0;
}

static bool differs_number(const cJSON *identity, const char *key, uint64_t want)
{
    return vh__json_u64_or(identity, key, want) != want;
}

const char *vh__vm_stale(const vh_snapshot_info *info, const vh__vm_present *now, char text[64])
{
    vh_auto_json cJSON *identity = NULL;

    if (*info->vmm_version && strcmp(info->vmm_version, now->vmm_version) != 0) {
        snprintf(text, 64, "QEMU %.32s", info->vmm_version);
        return text;
    }
    if (vh__json_parse(info->identity, strlen(info->identity), "identity", &identity, NULL))
        return NULL; /* cut, since it is very long: not known */
    if (differs_number(identity, "format", VH_SNAPSHOT_FORMAT) ||
        differs_number(identity, "machine_version", MACHINE_VERSION) ||
        differs_number(identity, "agent_version", VH_AGENT_VERSION))
        return "an older vHive";
    if (differs(identity, "kernel", now->files.kernel_digest))
        return "another guest kernel";
    return differs(identity, "initramfs", now->files.initramfs_digest) ? "another agent or kernel modules" : NULL;
}
