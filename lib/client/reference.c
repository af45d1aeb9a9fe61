#include "client_priv.h"

#include <errno.h>
#include <string.h>

#include "auto.h"
#include "path.h"

static const char *const schemes[] = { "oci:", "docker-archive:" }; /* followed by a path of this machine */

int vh__client_reference(const char *ref, const char *dir, char **absolute, vh_error *err)
{
    vh_auto_free char *here = NULL;
    const char *path = NULL;
    char *made;

    for (size_t i = 0; i < VH_ARRAY_LEN(schemes); i++)
        if (strncmp(ref, schemes[i], strlen(schemes[i])) == 0)
            path = ref + strlen(schemes[i]);
    if (path && *path && *path != '/' && !dir) {
        here = getcwd(NULL, 0);
        if (!here)
            return vh_error_set(err, -errno, "%.128s: the working directory", ref);
        dir = here;
    }
    made = path && *path && *path != '/' ? vh__strf("%.*s%s/%s", (int)(path - ref), ref, dir, path) : strdup(ref);
    if (!made)
        return vh_error_set(err, -ENOMEM, "reference");
    *absolute = made;
    return 0;
}
