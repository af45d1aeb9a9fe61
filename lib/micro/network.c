/* A lease of the network that a VM gets, from the host's own ledger: beside VMs that run. */
#include "clock.h"
#include "micro_priv.h"

int vh__micro_make_net(vh_micro *m, vh_error *err)
{
    return m->net ? 0 : vh__net_new(m->env, &(vh__net_options){ .pool = m->net_pool }, &m->net, err);
}

static int lease(vh_micro *m, const vh__wait *w, int64_t stamps[3], vh_error *err)
{
    vh__net_lease *l = NULL;
    int rc = vh__micro_make_net(m, err);

    if (rc)
        return rc;
    stamps[0] = vh__clock_mono_ns();
    rc = vh__net_acquire(m->net, w, &l, err);
    stamps[1] = vh__clock_mono_ns();
    vh__net_release(l);
    stamps[2] = vh__clock_mono_ns();
    return rc;
}

int vh__micro_net_acquire(vh_micro *m, const vh__wait *w, double *value, vh_error *err)
{
    int64_t stamps[3];
    int rc = lease(m, w, stamps, err);

    if (rc == 0)
        *value = (double)(stamps[1] - stamps[0]) / 1e3;
    return rc;
}

int vh__micro_net_release(vh_micro *m, const vh__wait *w, double *value, vh_error *err)
{
    int64_t stamps[3];
    int rc = lease(m, w, stamps, err);

    if (rc == 0)
        *value = (double)(stamps[2] - stamps[1]) / 1e3;
    return rc;
}
