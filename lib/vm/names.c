#include <string.h>

#include "auto.h"
#include "vm_priv.h"

static const char *const names[] = { [VH_ENGINE_AUTO] = "auto",
                                     [VH_ENGINE_BOOT] = "boot",
                                     [VH_ENGINE_FILE] = "file",
                                     [VH_ENGINE_UFFD] = "uffd",
                                     [VH_ENGINE_REAP] = "reap" };

const char *vh_engine_name(vh_engine engine)
{
    return (unsigned)engine < VH_ARRAY_LEN(names) ? names[engine] : "unknown";
}

int vh_engine_parse(const char *name, vh_engine *engine, vh_error *err)
{
    for (size_t i = 0; i < VH_ARRAY_LEN(names); i++) {
        if (strcmp(names[i], name) == 0) {
            *engine = (vh_engine)i;
            return 0;
        }
    }
    return vh_error_set(err, VH_EINVALID, "engine '%s': unknown; there are auto, boot, file, uffd and reap", name);
}
