/* The virtual CPUs stand still, and go on. So does time in the guest, whose clock is therefore mended afterwards. */
#include "shim_priv.h"

#include "auto.h"

/* How long undoing a pause that was not answered may take. */
#define UNDO_MS 1000

/* The agent answers by PONG, which mends the clock. RESUMED is of use only after QUIESCE. */
static int greet(struct shim *s, vh_error *err)
{
    int rc;

    s->paused = s->saving = false;
    s->guest.pongs = 0;
    s->guest.mend_clock = true;
    rc = guest_queue(s, &(vh__agent_msg){ .type = VH_AGENT_RESUMED }, err);
    return rc ? rc : guest_tell(s, &(vh__agent_msg){ .type = VH_AGENT_PING }, err);
}

/*
 * A VMM that did not answer may have stopped the VM, or do so yet. It does what it is told in that order: with this
 * behind it, answered or not, the VM runs in the end.
 */
static void undo_pause(struct shim *s)
{
    vh__wait w = vh__wait_from(NULL, UNDO_MS);

    vh_ignore(s->vmm->ops->resume(s->vmm, &w, NULL)); /* as told above */
    vh_ignore(greet(s, NULL));                        /* without it the clock stays off, as far as it is */
}

int shim_freeze(struct shim *s, const vh__wait *w, vh_error *err)
{
    int rc;

    if (!s->vmm || s->guest.exited || s->exit_told)
        return vh_error_set(err, VH_ESTATE, "pause: the VM is ending");
    if (s->saving)
        return vh_error_set(err, VH_ESTATE, "pause: the VM is being saved");
    rc = s->vmm->ops->pause(s->vmm, w, err);
    if (rc == 0)
        s->paused = true;
    else if (!s->paused)
        undo_pause(s);
    return rc;
}

int shim_go_on(struct shim *s, const vh__wait *w, vh_error *err)
{
    int rc = s->vmm->ops->resume(s->vmm, w, err);

    return rc ? rc : greet(s, err);
}

int shim_thaw(struct shim *s, const vh__wait *w, vh_error *err)
{
    if (!s->vmm)
        return vh_error_set(err, VH_ESTATE, "resume: the VM has ended");
    if (s->saving)
        return vh_error_set(err, VH_ESTATE, "resume: the VM is being saved, after which it goes on by itself");
    return s->paused ? shim_go_on(s, w, err) : 0;
}
