#include <vhive/phases.h>

#include <string.h>

void vh_phases_add(vh_phases *p, const char *id, int64_t start_ns, int64_t end_ns, bool critical)
{
    vh_phase *v;
    size_t at;

    if (p->n == VH_PHASES_MAX)
        return;
    for (at = p->n; at > 0 && p->v[at - 1].start_ns > start_ns; at--)
        p->v[at] = p->v[at - 1];
    v = &p->v[at];
    p->n++;
    *v = (vh_phase){ .start_ns = start_ns, .ns = end_ns - start_ns, .critical = critical };
    strncpy(v->id, id, sizeof(v->id) - 1);
}

int64_t vh_phases_reached_ns(const vh_phases *p)
{
    int64_t reached = p->begin_ns;

    for (size_t i = 0; i < p->n; i++)
        if (p->v[i].critical && p->v[i].start_ns + p->v[i].ns > reached)
            reached = p->v[i].start_ns + p->v[i].ns;
    return reached;
}

int64_t vh_phases_critical_ns(const vh_phases *p)
{
    int64_t sum = 0;

    for (size_t i = 0; i < p->n; i++)
        if (p->v[i].critical)
            sum += p->v[i].ns;
    return sum;
}
