#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "path.h"
#include "vm_priv.h"

int vh__vms_new(const vh__vms_options *o, vh_vms **vms, vh_error *err)
{
    vh_vms *n = calloc(1, sizeof(*n));
    vh_auto_free char *ledger = vh__path_join(vh_env_run_dir(o->env), "journal");
    int rc;

    if (!n || !ledger) {
        free(n);
        return vh_error_set(err, -ENOMEM, "virtual machines");
    }
    pthread_mutex_init(&n->mutex, NULL);
    n->o = *o;
    n->o.qemu = strdup(o->qemu);
    n->o.accel = strdup(o->accel);
    n->cache_dir = vh__path_join(vh_env_state_dir(o->env), "cache");
    if (!n->o.qemu || !n->o.accel || !n->cache_dir)
        rc = vh_error_set(err, -ENOMEM, "virtual machines");
    else
        rc = vh__path_mkdirs(n->cache_dir, 0711, err);
    if (rc == 0)
        rc = vh__journal_open(ledger, &n->journal, err);
    if (rc) {
        vh__vms_free(n);
        return rc;
    }
    *vms = n;
    return 0;
}

void vh__vms_free(vh_vms *vms)
{
    if (!vms)
        return;
    vh_vms_shells_end(vms);
    pthread_mutex_destroy(&vms->mutex);
    vh__journal_free(vms->journal);
    free((char *)vms->o.qemu);
    free((char *)vms->o.accel);
    free(vms->cache_dir);
    free(vms);
}

/* Undoes a note "dir", which names a directory of ours and nothing else. */
static int undo_dir(const char *value, void *arg, vh_error *err)
{
    const vh_vms *vms = arg;
    vh_auto_free char *dir = vh__strf("%s/vms/%s", vh_env_run_dir(vms->o.env), value);

    if (!dir)
        return vh_error_set(err, -ENOMEM, "remove directory of %s", value);
    if (strchr(value, '/') || value[0] == '.')
        return vh_error_set(err, VH_ECORRUPT, "journal: '%s' is no directory of a VM", value);
    return vh__path_remove(dir, err);
}

int vh__vms_reap(vh_vms *vms, vh_error *err)
{
    const vh__journal_handler handlers[] = { { "dir", undo_dir } };

    return vh__journal_reap(vms->journal, handlers, VH_ARRAY_LEN(handlers), vms, NULL, err);
}
