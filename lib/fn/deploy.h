/* Inside of fn: what is deployed, in memory and on disk. Threads: without the lock. */
#ifndef VH_FN_DEPLOY_H
#define VH_FN_DEPLOY_H

#include "fn_priv.h"

/** Reads the stored functions into the new |f|. A damaged file is set aside and told. -ENOMEM, -errno. */
VH_MUST_CHECK int vh__deploy_load(vh_functions *f, vh_error *err);
/** Closes all addresses. Without the lock. */
void vh__deploy_close(vh_functions *f);

#endif
