/*
 * What functions show to monitoring. Their figures are asked for when somebody looks: a function that was removed leaves
 * no series behind, and nobody pays for figures that are not read.
 */
#include <inttypes.h>

#include "auto.h"
#include "vhived.h"

#define STATES (VH_INSTANCE_STOPPING + 1)

enum { INSTANCES, WAITING, ACTIVE, SERVED, STARTED, FAILED, COLUMNS };

/* The families that have a series for each function. */
static const struct {
    const char *name, *kind, *help;
} columns[COLUMNS] = {
    [INSTANCES] = { "vhive_function_instances", "gauge", "Instances of the function that are not yet gone." },
    [WAITING] = { "vhive_function_waiting", "gauge", "Connections and calls that wait for an instance." },
    [ACTIVE] = { "vhive_function_active", "gauge", "Connections and calls that have an instance." },
    [SERVED] = { "vhive_function_served_total", "counter", "Connections and calls that were handed to an instance." },
    [STARTED] = { "vhive_function_started_total", "counter", "Instances that came up." },
    [FAILED] = { "vhive_function_failed_total", "counter", "Starts of instances that failed." },
};

struct figures {
    uint64_t functions, states[STATES];
    vh__buf text[COLUMNS]; /* a family stands together, so all grow at once */
};

static bool add_function(const vh_function_info *f, void *arg)
{
    const uint64_t values[COLUMNS] = { [INSTANCES] = f->instances, [WAITING] = f->waiting, [ACTIVE] = f->active,
                                       [SERVED] = f->served,       [STARTED] = f->started, [FAILED] = f->failed };
    struct figures *figures = arg;

    figures->functions++;
    for (size_t i = 0; i < COLUMNS; i++) /* a name is a DNS label: nothing in it needs an escape */
        vh__buf_printf(&figures->text[i], "%s{function=\"%s\"} %" PRIu64 "\n", columns[i].name, f->spec.name, values[i]);
    return true;
}

static bool add_instance(const vh_instance_info *instance, void *arg)
{
    struct figures *figures = arg;

    if (instance->state < STATES)
        figures->states[instance->state]++;
    return true;
}

static void put_head(vh__buf *out, const char *name, const char *kind, const char *help)
{
    vh__buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void put_figures(const struct figures *figures, vh__buf *out)
{
    put_head(out, "vhive_functions", "gauge", "Functions that are deployed.");
    vh__buf_printf(out, "vhive_functions %" PRIu64 "\n", figures->functions);
    put_head(out, "vhive_instances", "gauge", "Instances of all functions, by state.");
    for (int i = 0; i < STATES; i++)
        vh__buf_printf(out, "vhive_instances{state=\"%s\"} %" PRIu64 "\n", vh_instance_state_name((vh_instance_state)i),
                       figures->states[i]);
    for (size_t i = 0; i < COLUMNS; i++) {
        put_head(out, columns[i].name, columns[i].kind, columns[i].help);
        vh__buf_append(out, figures->text[i].data, figures->text[i].len);
        out->oom = out->oom || figures->text[i].oom;
    }
}

void vhived_functions_text(vhived *d, vh__buf *out)
{
    struct figures figures = { 0 };

    pthread_mutex_lock(&d->functions_lock);
    if (d->functions && vh_functions_list(d->functions, NULL, add_function, &figures, NULL) == 0 &&
        vh_functions_instances(d->functions, NULL, add_instance, &figures, NULL) == 0) /* fail for a name alone */
        put_figures(&figures, out);
    pthread_mutex_unlock(&d->functions_lock);
    for (size_t i = 0; i < COLUMNS; i++)
        vh__buf_fini(&figures.text[i]);
}
