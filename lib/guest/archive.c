#include "guest_priv.h"

#include <archive.h>
#include <errno.h>

int vh__archive_error(struct archive *a, const char *what, vh_error *err)
{
    const char *text = archive_error_string(a);
    int code = archive_errno(a);

    if (code == ENOMEM)
        return vh_error_set(err, -ENOMEM, "%s", what);
    return vh_error_set(err, VH_ECORRUPT, "%s: %s", what, text ? text : "unreadable archive");
}
