/* From a manifest to a stored image. */
#include "image_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "auto.h"
#include "clock.h"
#include "convert.h"
#include "digest.h"
#include "fetch.h"
#include "log.h"
#include "path.h"
#include "space.h"

typedef struct make {
    const vh_images *images;
    vh__source *source;
    vh__fetch *fetch; /* NULL: the blobs are on this machine */
    const vh__wait *wait;
    vh__image_docs docs;
    vh_image_info info;
} make;

void vh__image_docs_fini(vh__image_docs *d)
{
    vh__oci_config_fini(&d->config);
    vh__buf_fini(&d->config_text);
}

static int read_documents(make *m, const vh__oci_descriptor *d, const vh__wait *w, vh_error *err)
{
    vh_auto_buf vh__buf text = { 0 };
    vh__image_docs *docs = &m->docs;
    size_t max = m->images->max_config;
    int rc = vh__source_read(m->source, d, max, w, &text, err);

    if (rc == 0)
        rc = vh__oci_manifest_parse(text.data, text.len, &docs->manifest, err);
    if (rc == 0)
        rc = vh__source_read(m->source, &docs->manifest.config, max, w, &docs->config_text, err);
    if (rc == 0)
        rc = vh__oci_config_parse(docs->config_text.data, docs->config_text.len, &docs->config, err);
    if (rc)
        return rc;
    if (docs->config.n != docs->manifest.n)
        return vh_error_set(err, VH_EIMAGE, "its manifest has %zu layers, its config %zu: rebuild the image",
                            docs->manifest.n, docs->config.n);
    return 0;
}

static int open_layer(void *arg, size_t i, const vh__wait *w, int *fd, vh_error *err)
{
    make *m = arg;
    const vh__oci_manifest *manifest = &m->docs.manifest;
    int rc;

    if (m->fetch)
        return vh__fetch_open(m->fetch, i, w, fd, err); /* which may fail for another layer's sake */
    rc = m->source->ops->open_blob(m->source, &manifest->layers[i], w, fd, err);
    return rc ? vh__oci_layer_failed(manifest->layers, manifest->n, i, rc, err) : 0;
}

/* While layers come in, the conversion waits for them most of the time, and theirs is the progress to be seen. */
static void report(void *arg, uint64_t done, uint64_t total)
{
    make *m = arg;

    if (!m->fetch || vh__fetch_done(m->fetch))
        vh__progress(m->images->env, m->wait, "convert", NULL, done, total);
}

/* Of the compressed layers. */
static uint64_t sum_of(const vh__oci_manifest *manifest)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < manifest->n; i++)
        sum += VH_MIN(manifest->layers[i].size, UINT64_MAX - sum);
    return sum;
}

/* A layer is compressed, or stands for itself: more of it than may come out is not even fetched. */
static int start_fetch(make *m, const char *dir, const vh__wait *w, vh_error *err)
{
    const vh__oci_manifest *manifest = &m->docs.manifest;
    vh__fetch_job job = { .env = m->images->env, .source = m->source, .layers = manifest->layers, .n = manifest->n,
                          .parallel = m->images->downloads, .dir = dir };

    if (!m->source->ops->fetch)
        return 0;
    if (sum_of(manifest) > m->images->max_unpacked)
        return vh_error_set(err, VH_ELIMIT, "its layers have %llu bytes, more than the %llu that an image may unpack "
                            "to: raise image.max_bytes", (unsigned long long)sum_of(manifest),
                            (unsigned long long)m->images->max_unpacked);
    return vh__fetch_start(&job, w, &m->fetch, err);
}

static int convert_layers(make *m, int fd, const vh__wait *w, vh_error *err)
{
    vh__convert_job job = {
        .layers = m->docs.manifest.layers,
        .diff_ids = (const char (*)[VH_DIGEST_TEXT])m->docs.config.diff_ids,
        .n = m->docs.manifest.n,
        .open = open_layer,
        .report = report,
        .arg = m,
        .budget = { .max_bytes = m->images->max_unpacked, .max_entries = m->images->max_entries },
    };
    int rc = vh__convert(&job, fd, w, err);

    m->info.unpacked_bytes = job.budget.bytes;
    return rc;
}

static int make_rootfs(make *m, const char *dir, const vh__wait *w, vh_error *err)
{
    vh_auto_free char *path = vh__path_join(dir, "rootfs.squashfs");
    vh_auto_fd int fd = -1;
    struct stat st;
    int rc;

    if (!path)
        return vh_error_set(err, -ENOMEM, "image");
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return vh_error_set(err, -errno, "create %s", path);
    rc = convert_layers(m, fd, w, err);
    if (rc) /* what it makes is about as large as what it is made from, which remote images need room for too */
        rc = vh__space_error(dir, sum_of(&m->docs.manifest) * (m->fetch ? 2 : 1), rc, err);
    if (rc == 0)
        rc = vh__digest_fd(fd, path, m->info.rootfs_digest, err);
    if (rc)
        return rc;
    if (fsync(fd) || fstat(fd, &st))
        return vh_error_set(err, -errno, "write %s", path);
    m->info.rootfs_bytes = (uint64_t)st.st_size;
    return 0;
}

static int make_in(make *m, const char *dir, const vh__wait *w, vh_error *err)
{
    int rc = vh__path_remove(dir, err); /* a dead process's */

    if (rc == 0)
        rc = vh__path_mkdirs(dir, 0755, err);
    if (rc == 0)
        rc = start_fetch(m, dir, w, err);
    if (rc == 0)
        rc = make_rootfs(m, dir, w, err);
    vh__fetch_stop(m->fetch);
    m->fetch = NULL;
    m->info.converted_s = vh__clock_real_ns() / VH_NS_PER_S;
    return rc ? rc : vh__image_publish(m->images, dir, &m->info, &m->docs, err);
}

static void describe(make *m, const vh__oci_descriptor *manifest)
{
    strcpy(m->info.ref, m->source->ref);
    strcpy(m->info.digest, manifest->digest);
    strcpy(m->info.architecture, m->docs.config.architecture);
    m->info.created_s = m->docs.config.created_s;
    m->info.layers = (uint32_t)m->docs.manifest.n;
}

static int make_image(make *m, const vh__oci_descriptor *manifest, const vh__wait *w, vh_error *err)
{
    vh_auto_free char *dir = vh__image_path(m->images, manifest->digest, true);
    int64_t begin = vh__clock_mono_ns();
    vh_error why = { 0 };
    int rc = dir ? read_documents(m, manifest, w, err) : vh_error_set(err, -ENOMEM, "image");

    if (rc)
        return rc;
    describe(m, manifest);
    rc = make_in(m, dir, w, err);
    if (rc) {
        if (vh__path_remove(dir, &why))
            vh__log(m->images->env, VH_LOG_WARN, "image", NULL, "a failed conversion stays: %s", why.msg);
        return rc;
    }
    vh__log(m->images->env, VH_LOG_INFO, "image", NULL, "converted %s (%s): %llu MiB in %lld ms", m->info.ref,
            m->info.digest, (unsigned long long)(m->info.rootfs_bytes >> 20),
            (long long)((vh__clock_mono_ns() - begin) / VH_NS_PER_MS));
    return 0;
}

int vh__image_make(const vh_images *images, vh__source *source, const vh__oci_descriptor *manifest, const vh__wait *w,
                   vh_error *err)
{
    vh_auto_free make *m = calloc(1, sizeof(*m)); /* a manifest is large for a stack */
    int rc;

    if (!m)
        return vh_error_set(err, -ENOMEM, "image %s", manifest->digest);
    m->images = images;
    m->source = source;
    m->wait = w;
    rc = make_image(m, manifest, w, err);
    vh__image_docs_fini(&m->docs);
    return rc;
}
