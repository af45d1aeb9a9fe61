/* Spans from the phases of a flow. */
#include "trace.h"

#include <stdio.h>
#include <string.h>

#include "auto.h"

static void tag(vh__span *s, size_t i, const char *key, const char *value)
{
    snprintf(s->tags[i].key, sizeof(s->tags[i].key), "%s", key);
    snprintf(s->tags[i].value, sizeof(s->tags[i].value), "%s", value);
}

/* End of the flow; of an unfinished one, that of its last phase. */
static int64_t flow_end(const vh_phases *p)
{
    int64_t end = p->end_ns ? p->end_ns : p->begin_ns;

    for (size_t i = 0; !p->end_ns && i < p->n; i++)
        end = VH_MAX(end, p->v[i].start_ns + p->v[i].ns);
    return end;
}

int vh__trace_phases(const vh__trace_context *c, const char *name, const vh_phases *phases, int64_t real_minus_mono_ns,
                     vh__span_fn sink, void *sink_arg, vh_error *err)
{
    vh__span whole = { .context = *c };

    if (c->sampling == VH_SAMPLE_NO)
        return 0;
    snprintf(whole.name, sizeof(whole.name), "%s", name);
    whole.start_ns = phases->begin_ns + real_minus_mono_ns;
    whole.ns = flow_end(phases) - phases->begin_ns;
    for (size_t i = 0; i < phases->n; i++) {
        const vh_phase *p = &phases->v[i];
        vh__span part = { .start_ns = p->start_ns + real_minus_mono_ns, .ns = p->ns };
        int rc = vh__trace_child(c, &part.context, err);

        if (rc)
            return rc;
        snprintf(part.name, sizeof(part.name), "%s", p->id);
        tag(&part, 0, "critical", p->critical ? "true" : "false");
        sink(&part, sink_arg);
    }
    sink(&whole, sink_arg);
    return 0;
}
