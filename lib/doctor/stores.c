/* What is stored: the guest's kernel, images, snapshots. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <vhive/image.h>

#include "auto.h"
#include "doctor_priv.h"
#include "vm.h"

void vh__check_kernel(vh__exam *x)
{
    vh__guest_files files;
    vh_error err = { 0 }, none = { 0 };
    int rc = vh__guest_look(x->guest, &files, &err);

    if (rc == 0)
        vh__found_ok(x, "%s at %s", files.release, files.kernel);
    else if (rc != VH_ENOTFOUND)
        vh__found_fail(x, "remove what is damaged, or set guest.kernel", "%s", err.msg);
    else if (vh__guest_obtainable(x->guest, x->w, &none))
        vh__found_fail(x, "apt-get update; without network put a linux-image-*.deb into guest.dir, or set guest.kernel", "%s", none.msg);
    else
        vh__found_ok(x, "%s: the first run makes it ready", err.msg);
}

static int count_image(const vh_image_info *info, void *arg)
{
    (void)info;
    ++*(unsigned *)arg;
    return 0;
}

void vh__check_images(vh__exam *x)
{
    vh_images *images = NULL;
    vh_error err = { 0 };
    unsigned n = 0;
    int rc = vh_images_new(x->env, NULL, &images, &err);

    if (rc == 0)
        rc = vh_images_list(images, count_image, &n, &err);
    vh_images_free(images);
    if (rc)
        vh__found_fail(x, "make it readable, or choose another state_dir", "%s", err.msg);
    else if (*x->complaint)
        vh__found_warn(x, "vhive-ctl image rm DIGEST; the next run converts it anew", "%s", x->complaint);
    else
        vh__found_ok(x, "%u stored", n);
}

struct stale {
    vh__exam *x;
    vh__vm_present now;
    bool known; /* what a snapshot would be made with now */
    vh_stale_fn each;
    void *arg;
};

static bool look_at(const vh_snapshot_info *info, void *arg)
{
    struct stale *s = arg;
    char text[64], why[96];
    const char *other;

    if (info->problem[0]) {
        s->each(info, info->problem, s->arg);
        return true;
    }
    other = s->known ? vh__vm_stale(info, &s->now, text) : NULL;
    snprintf(why, sizeof(why), "made with %s", other ? other : "");
    if (other)
        s->each(info, why, s->arg);
    return true;
}

int vh__stale_each(vh__exam *x, vh_snapshots *snapshots, vh_stale_fn each, void *arg, vh_error *err)
{
    struct stale s = { .x = x, .each = each, .arg = arg };

    s.known = vh__vm_present_get(x->guest, vh_config_str(x->config, "vmm.qemu"), NULL, x->w, &s.now, NULL) == 0;
    return vh_snapshots_list(snapshots, look_at, &s, err);
}

struct count {
    unsigned all, stale;
    char first[VH_EXAM_TEXT];
};

static bool count_snapshot(const vh_snapshot_info *info, void *arg)
{
    (void)info;
    ((struct count *)arg)->all++;
    return true;
}

static void count_stale(const vh_snapshot_info *info, const char *why, void *arg)
{
    struct count *c = arg;

    if (c->stale++ == 0)
        snprintf(c->first, sizeof(c->first), "%s %s", info->id, why);
}

void vh__check_snapshots(vh__exam *x)
{
    vh_snapshots *snapshots = NULL;
    struct count c = { 0 };
    vh_error err = { 0 };
    int rc = vh_snapshots_find(x->env, &snapshots, &err);

    if (rc == 0)
        rc = vh_snapshots_list(snapshots, count_snapshot, &c, &err);
    if (rc == 0)
        rc = vh__stale_each(x, snapshots, count_stale, &c, &err);
    vh_snapshots_free(snapshots);
    if (rc == -EACCES)
        vh__found_warn(x, "look as root", "%s", err.msg);
    else if (rc && rc != VH_ENOTFOUND)
        vh__found_fail(x, "mend it, or choose another state_dir", "%s", err.msg);
    else if (c.stale)
        vh__found_warn(x, "vhive-ctl snapshot prune", "%u of %u can no more be restored: %.300s", c.stale, c.all, c.first);
    else
        vh__found_ok(x, "%u stored", c.all);
}
