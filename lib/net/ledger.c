#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "auto.h"
#include "net_priv.h"
#include "path.h"

/* Takes the host-wide lock, under which ids are claimed and the table comes and goes; |*fd| holds it. */
static int lock(const vh__net *net, const vh__wait *w, int *fd, vh_error *err)
{
    vh_auto_free char *path = vh__path_join(net->lease_dir, ".lock");
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    vh_auto_fd int made = -1;

    if (!path)
        return vh_error_set(err, -ENOMEM, "lock of %s", net->lease_dir);
    made = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (made < 0)
        return vh_error_set(err, -errno, "open %s", path);
    while (fcntl(made, F_OFD_SETLK, &all) < 0) {
        int rc = errno == EAGAIN || errno == EACCES ? vh__wait_sleep(w, 1, path, err)
                                                    : vh_error_set(err, -errno, "lock %s", path);
        if (rc)
            return rc;
    }
    *fd = vh_steal_fd(&made);
    return 0;
}

/* Opens the ledger if it is not yet. */
static int open_ledger(vh__net *net, vh_error *err)
{
    int rc = 0;

    pthread_mutex_lock(&net->mutex);
    if (!net->journal)
        rc = vh__journal_open(net->lease_dir, &net->journal, err);
    pthread_mutex_unlock(&net->mutex);
    return rc;
}

static int undo_link(const char *value, void *arg, vh_error *err)
{
    struct nl_sock *sk = NULL;
    int rc = vh__net_links_open(&sk, err);

    (void)arg;
    if (rc == 0)
        rc = vh__net_links_remove(sk, value, err);
    vh__net_links_close(&sk);
    return rc;
}

static int reap_stale(vh__net *net, vh_error *err)
{
    static const vh__journal_handler handlers[] = { { "link", undo_link } };

    return vh__journal_reap(net->journal, handlers, VH_ARRAY_LEN(handlers), net, NULL, err);
}

static bool stop_at_live(const char *name, bool live, void *arg)
{
    (void)name;
    *(bool *)arg |= live;
    return !live;
}

/* Under the lock: removes the table unless somebody has a lease. */
static int remove_idle_table(vh__net *net, vh_error *err)
{
    bool live = false;
    int rc = vh__journal_list(net->journal, stop_at_live, &live, err);

    return rc || live ? rc : vh__net_table_remove(net, err);
}

/* Begins the entry of the lowest id that has none; VH_ELIMIT when all do. */
static int begin_lowest(vh__net_lease *l, const vh__wait *w, vh_error *err)
{
    vh_error e = { 0 };

    /* pair 0 is left out: people take its first address for the network's */
    for (uint32_t id = 1; id < l->net->pairs; id++) {
        char name[16];
        int rc;

        snprintf(name, sizeof(name), "%u", id);
        rc = vh__journal_begin(l->net->journal, name, &l->entry, &e);
        if (rc == VH_EEXISTS)
            rc = id % 256 ? 0 : vh__wait_check(w, "network lease", &e);
        if (l->entry)
            l->info.id = id;
        if (rc && err)
            *err = e;
        if (rc || l->entry)
            return rc;
    }
    return vh_error_set(err, VH_ELIMIT,
                        "network lease: all %u addresses of the pool are taken: stop some VMs or "
                        "configure a larger pool (net.pool)",
                        l->net->pairs - 1);
}

static void name_lease(vh__net_lease *l)
{
    vh__net_info *i = &l->info;

    i->lock_fd = vh__journal_fd(l->entry);
    snprintf(i->link, sizeof(i->link), "%s%c%u", LINK_PREFIX, (char)l->net->policy, i->id);
    vh__net_format(l->net->pool + 2 * i->id, i->host_end);
    vh__net_format(l->net->pool + 2 * i->id + 1, i->address);
}

int vh__net_ledger_claim(vh__net_lease *l, const vh__wait *w, vh_error *err)
{
    vh_auto_fd int held = -1;
    int rc = open_ledger(l->net, err);

    if (rc == 0)
        rc = lock(l->net, w, &held, err);
    if (rc)
        return rc;
    rc = begin_lowest(l, w, err);
    if (rc == VH_ELIMIT && reap_stale(l->net, NULL) == 0)
        rc = begin_lowest(l, w, err);
    if (rc)
        return rc;
    name_lease(l);
    rc = vh__journal_note(l->entry, "link", l->info.link, err);
    return rc ? rc : vh__net_table_ensure(l->net, err);
}

int vh__net_ledger_end(vh__net_lease *l, const vh__wait *w, vh_error *err)
{
    vh_auto_fd int held = -1;
    int rc;

    if (!l->entry)
        return 0;
    rc = lock(l->net, w, &held, err);
    vh__journal_end(vh_steal_ptr(l->entry));
    return rc ? rc : remove_idle_table(l->net, err);
}

int vh__net_ledger_reap(vh__net *net, const vh__wait *w, vh_error *err)
{
    vh_auto_fd int held = -1;
    int stale, rc;

    if (access(net->lease_dir, F_OK) < 0 && errno == ENOENT)
        return 0; /* no lease was ever made */
    rc = open_ledger(net, err);
    if (rc)
        return rc;
    stale = reap_stale(net, err);
    rc = lock(net, w, &held, stale ? NULL : err);
    if (rc == 0)
        rc = remove_idle_table(net, stale ? NULL : err);
    return stale ? stale : rc;
}
