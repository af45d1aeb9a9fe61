/* A working set as a replay meets it: fetched from disk, installed. */
#include <errno.h>
#include <fcntl.h>

#include "auto.h"
#include "micro_priv.h"

static const vh__ws_identity identity = { .snapshot = "micro", .memory_size = DATA_BYTES, .page_size = PAGE };

/* Page numbers like those of a real working set: runs of 1 to 8, gaps of 1 to 40. */
static size_t choose_pages(uint32_t *pages)
{
    uint32_t seed = 1, random[2];
    size_t n = 0;

    for (uint32_t page = 0; page < DATA_BYTES / PAGE;) {
        vh__micro_noise(random, 2, &seed);
        for (uint32_t k = 0; k < 1 + (random[0] >> 8) % 8 && page < DATA_BYTES / PAGE; k++)
            pages[n++] = page++;
        page += 1 + (random[1] >> 8) % 40;
    }
    return n;
}

static int write_ws(vh_micro *m, const vh__wait *w, vh_error *err)
{
    vh_auto_free uint32_t *pages = calloc(DATA_BYTES / PAGE, sizeof(*pages));
    int rc = pages ? vh__micro_make_data(m, w, err) : vh_error_set(err, -ENOMEM, "working set");

    if (rc || faccessat(m->dir_fd, VH_WS_INDEX_FILE, F_OK, 0) == 0)
        return rc;
    return vh__ws_write(m->dir_fd, &identity, m->data_fd, pages, choose_pages(pages), NULL, err);
}

/* On success the caller owns |*fetch|, which has ended. */
static int fetch_ws(vh_micro *m, const vh__wait *w, vh__ws_fetch **fetch, vh_error *err)
{
    vh__ws_fetch *f = NULL;
    int rc = write_ws(m, w, err);

    if (rc == 0)
        rc = vh__ws_fetch_start(m->dir_fd, &identity, &f, err);
    if (rc == 0)
        rc = vh__ws_fetch_join(f, w, err);
    if (rc) {
        vh__ws_fetch_free(f);
        return rc;
    }
    *fetch = f;
    return 0;
}

int vh__micro_ws_fetch(vh_micro *m, const vh__wait *w, double *value, vh_error *err)
{
    vh__ws_fetch_stats s;
    vh__ws_fetch *fetch;
    int rc = fetch_ws(m, w, &fetch, err);

    if (rc)
        return rc;
    vh__ws_fetch_stats_get(fetch, &s);
    *value = (double)s.bytes * 1e3 / (double)(s.end_ns - s.start_ns);
    vh__ws_fetch_free(fetch);
    return 0;
}

int vh__micro_ws_install(vh_micro *m, const vh__wait *w, double *value, vh_error *err)
{
    vh__ws_fetch *fetch = NULL;
    vh__pager *p = NULL;
    vh__pager_stats s;
    struct target t;
    int rc = vh__micro_target_open(&t, DATA_BYTES, err);

    if (rc)
        return rc;
    rc = fetch_ws(m, w, &fetch, err);
    if (rc == 0)
        rc = vh__micro_pager(&t, m->data_fd, fetch, &p, err);
    if (p)
        rc = vh__pager_install_wait(p, w, err);
    else
        vh__ws_fetch_free(fetch); /* nobody took it */
    if (rc == 0) {
        vh__pager_stats_get(p, &s);
        *value = (double)(s.install_end_ns - s.install_start_ns) / (double)s.ws_pages;
    }
    vh__pager_free(p);
    vh__micro_target_close(&t);
    return rc;
}
