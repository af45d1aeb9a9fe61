/* Every family that modules count in by its name; docs/metrics.md tells the same. */
#include "auto.h"
#include "vhived.h"

static const vh__metric_desc families[] = {
    { "vhive_build_info", "The version that runs; always 1.", VH_GAUGE, { "version" } },
};

int vhived_families_declare(vh__metrics *m, vh_error *err)
{
    int rc = 0;

    for (size_t i = 0; i < VH_ARRAY_LEN(families) && rc == 0; i++)
        rc = vh__metrics_declare(m, &families[i], NULL, err);
    if (rc == 0)
        vh__metrics_update("vhive_build_info", (const char *const[]){ VH_VERSION }, 1, m);
    return rc;
}
