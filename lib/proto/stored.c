/* Images and snapshots. */
#include "proto.h"

#include "auto.h"

void vh__proto_from_image(const vh_image_info *i, VH_PB(Image) *m)
{
    vhive__control__v1__image__init(m);
    m->ref = (char *)i->ref; /* protobuf-c has no const: nothing is written through it, here and below */
    m->digest = (char *)i->digest;
    m->rootfs_digest = (char *)i->rootfs_digest;
    m->architecture = (char *)i->architecture;
    m->built_s = i->created_s;
    m->converted_s = i->converted_s;
    m->rootfs_bytes = i->rootfs_bytes;
    m->unpacked_bytes = i->unpacked_bytes;
    m->layers = i->layers;
}

int vh__proto_to_image(const VH_PB(Image) *m, vh_image_info *info, vh_error *err)
{
    vh_image_info i = { .created_s = m->built_s,
                        .converted_s = m->converted_s,
                        .rootfs_bytes = m->rootfs_bytes,
                        .unpacked_bytes = m->unpacked_bytes,
                        .layers = m->layers };
    int rc = vh__proto_copy("ref", m->ref, i.ref, sizeof(i.ref), err);

    if (rc == 0)
        rc = vh__proto_copy("digest", m->digest, i.digest, sizeof(i.digest), err);
    if (rc == 0)
        rc = vh__proto_copy("rootfs_digest", m->rootfs_digest, i.rootfs_digest, sizeof(i.rootfs_digest), err);
    if (rc == 0)
        rc = vh__proto_copy("architecture", m->architecture, i.architecture, sizeof(i.architecture), err);
    if (rc == 0)
        *info = i;
    return rc;
}

void vh__proto_from_snapshot(const vh_snapshot_info *i, char **labels, VH_PB(Snapshot) *m)
{
    vhive__control__v1__snapshot__init(m);
    m->id = (char *)i->id;
    m->n_labels = VH_MIN(i->label_count, VH_SNAPSHOT_LABELS_MAX);
    m->labels = labels;
    for (size_t n = 0; n < m->n_labels; n++)
        labels[n] = (char *)i->labels[n];
    m->problem = (char *)i->problem;
    m->quarantined = i->quarantined;
    m->image = (char *)i->image;
    m->image_digest = (char *)i->image_digest;
    m->created_ns = i->created_ns;
    m->memory_bytes = i->memory_bytes;
    m->memory_disk_bytes = i->memory_disk_bytes;
    m->vmstate_bytes = i->vmstate_bytes;
    m->ws_pages = i->ws_pages;
    m->ws_bytes = i->ws_bytes;
    m->vmm = (char *)i->vmm;
    m->vmm_version = (char *)i->vmm_version;
    m->accel = (char *)i->accel;
    m->memory_mib = i->memory_mib;
    m->cpus = i->cpus;
    m->pause_us = i->pause_us;
    m->boot_us = i->boot_us;
    m->identity = (char *)i->identity;
}

/* The texts of |m|, by a table: a snapshot has many. */
static int copy_texts(const VH_PB(Snapshot) *m, vh_snapshot_info *i, vh_error *err)
{
    const struct {
        const char *what, *from;
        char *to;
        size_t room;
    } texts[] = {
        { "id", m->id, i->id, sizeof(i->id) },
        { "problem", m->problem, i->problem, sizeof(i->problem) },
        { "image", m->image, i->image, sizeof(i->image) },
        { "image_digest", m->image_digest, i->image_digest, sizeof(i->image_digest) },
        { "vmm", m->vmm, i->vmm, sizeof(i->vmm) },
        { "vmm_version", m->vmm_version, i->vmm_version, sizeof(i->vmm_version) },
        { "accel", m->accel, i->accel, sizeof(i->accel) },
        { "identity", m->identity, i->identity, sizeof(i->identity) },
    };
    int rc = 0;

    for (size_t n = 0; rc == 0 && n < VH_ARRAY_LEN(texts); n++)
        rc = vh__proto_copy(texts[n].what, texts[n].from, texts[n].to, texts[n].room, err);
    for (size_t n = 0; rc == 0 && n < VH_MIN(m->n_labels, VH_SNAPSHOT_LABELS_MAX); n++)
        rc = vh__proto_copy("label", m->labels[n], i->labels[n], sizeof(i->labels[n]), err);
    return rc;
}

int vh__proto_to_snapshot(const VH_PB(Snapshot) *m, vh_snapshot_info *info, vh_error *err)
{
    vh_snapshot_info i = { .size = sizeof(i),
                           .quarantined = m->quarantined,
                           .label_count = VH_MIN(m->n_labels, VH_SNAPSHOT_LABELS_MAX),
                           .created_ns = m->created_ns,
                           .memory_bytes = m->memory_bytes,
                           .memory_disk_bytes = m->memory_disk_bytes,
                           .vmstate_bytes = m->vmstate_bytes,
                           .ws_pages = m->ws_pages,
                           .ws_bytes = m->ws_bytes,
                           .memory_mib = m->memory_mib,
                           .cpus = m->cpus,
                           .pause_us = m->pause_us,
                           .boot_us = m->boot_us };
    int rc = copy_texts(m, &i, err);

    if (rc == 0)
        *info = i;
    return rc;
}
