#include "client_priv.h"
int vh_client_read_functions(const char *path, vh_function_spec_fn each, void *arg, vh_error *err)
{
    (void)each;
    (void)arg;
    return vh_error_set(err, VH_EUNSUPPORTED, "%s: not yet", path);
}
