/* What lies in the store, and how it gets in and out. */
#include "image_priv.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "auto.h"
#include "digest.h"
#include "fd.h"
#include "json.h"
#include "log.h"
#include "path.h"

/* Of what is stored: another one is made anew. Counts changes of the squashfs's bytes as well. */
enum { FORMAT = 1 };

enum { INFO_MAX = 1 << 16 };

char *vh__image_path(const vh_images *images, const char *digest, bool tmp)
{
    return vh__strf("%s/%s%s", images->dir, tmp ? ".tmp-" : "", vh__image_hex(digest));
}

static int out_of_memory(const char *digest, vh_error *err)
{
    return vh_error_set(err, -ENOMEM, "image %s", digest);
}

static int damaged(const char *digest, const char *why, vh_error *err)
{
    return vh_error_set(err, VH_ECORRUPT, "stored image %s: %s: remove it, or open its reference to make it anew",
                        digest, why);
}

static bool copy_text(const cJSON *doc, const char *key, char *to, size_t n)
{
    const char *s = vh__json_str_or(doc, key, NULL);

    if (!s || strlen(s) >= n)
        return false;
    strcpy(to, s);
    return true;
}

static bool parse_info(const cJSON *doc, vh_image_info *i)
{
    uint64_t layers = vh__json_u64_or(doc, "layers", 0);

    i->created_s = (int64_t)vh__json_u64_or(doc, "created", 0);
    i->converted_s = (int64_t)vh__json_u64_or(doc, "converted", 0);
    i->rootfs_bytes = vh__json_u64_or(doc, "rootfs_bytes", 0);
    i->unpacked_bytes = vh__json_u64_or(doc, "unpacked_bytes", 0);
    i->layers = (uint32_t)layers;
    return vh__json_u64_or(doc, "format", 0) == FORMAT && layers <= VH_OCI_LAYERS_MAX &&
           copy_text(doc, "ref", i->ref, sizeof(i->ref)) &&
           copy_text(doc, "architecture", i->architecture, sizeof(i->architecture)) &&
           copy_text(doc, "rootfs_digest", i->rootfs_digest, sizeof(i->rootfs_digest)) &&
           vh__digest_valid(i->rootfs_digest);
}

/* Reads info.json of the image in |dir|, and the digest of its config. */
static int read_info(const char *dir, const char *digest, vh_image_info *info, char *config_digest, vh_error *err)
{
    vh_auto_free char *path = vh__path_join(dir, "info.json");
    vh_auto_json cJSON *doc = NULL;
    vh_image_info i = { 0 };
    vh_error why = { 0 };
    int rc = path ? vh__json_read(path, INFO_MAX, &doc, &why) : -ENOMEM;

    if (rc == -ENOMEM)
        return out_of_memory(digest, err);
    if (rc == -ENOENT)
        return vh_error_set(err, VH_ENOTFOUND, "no image %s is stored: open its reference first", digest);
    if (rc)
        return damaged(digest, why.msg, err);
    if (!parse_info(doc, &i) || !copy_text(doc, "config_digest", config_digest, VH_DIGEST_TEXT))
        return damaged(digest, "info.json is not of this format", err);
    strcpy(i.digest, digest); /* valid ones fit */
    *info = i;
    return 0;
}

int vh__image_info_read(const vh_images *images, const char *digest, vh_image_info *info, vh_error *err)
{
    vh_auto_free char *dir = vh__image_path(images, digest, false);
    char config_digest[VH_DIGEST_TEXT];

    return dir ? read_info(dir, digest, info, config_digest, err) : out_of_memory(digest, err);
}

static int load_config(const vh_images *images, const char *dir, const char *digest, const char *expected,
                       vh__oci_config *out, vh_error *err)
{
    vh_auto_free char *path = vh__path_join(dir, "config.json");
    vh_auto_buf vh__buf text = { 0 };
    char found[VH_DIGEST_TEXT];
    vh_error why = { 0 };
    int rc = path ? vh__file_read(path, images->max_config, &text, &why) : -ENOMEM;

    if (rc == -ENOMEM)
        return out_of_memory(digest, err);
    if (rc)
        return damaged(digest, why.msg, err);
    rc = vh__digest_bytes(text.data ? text.data : "", text.len, found, err);
    if (rc)
        return rc;
    if (strcmp(found, expected) != 0)
        return damaged(digest, "config.json has changed", err);
    return vh__oci_config_parse(text.data, text.len, out, err);
}

/* Its size only: the digest would cost more than the boot it is for. */
static int check_rootfs(const vh_image *image, vh_error *err)
{
    struct stat st;

    if (stat(image->rootfs, &st))
        return damaged(image->info.digest, "rootfs.squashfs is missing", err);
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != image->info.rootfs_bytes)
        return damaged(image->info.digest, "rootfs.squashfs has another size than it had", err);
    return 0;
}

int vh__image_load(const vh_images *images, const char *digest, vh_image *image, vh_error *err)
{
    vh_auto_free char *dir = vh__image_path(images, digest, false);
    char config_digest[VH_DIGEST_TEXT];
    int rc = dir ? read_info(dir, digest, &image->info, config_digest, err) : out_of_memory(digest, err);

    if (rc == 0)
        rc = load_config(images, dir, digest, config_digest, &image->config, err);
    if (rc)
        return rc;
    image->rootfs = vh__path_join(dir, "rootfs.squashfs");
    rc = image->rootfs ? check_rootfs(image, err) : out_of_memory(digest, err);
    if (rc)
        vh__image_unload(image);
    return rc;
}

void vh__image_unload(vh_image *image)
{
    vh__oci_config_fini(&image->config);
    free(image->rootfs);
    image->rootfs = NULL;
}

static cJSON *print_info(const vh_image_info *i, const char *config_digest)
{
    cJSON *doc = cJSON_CreateObject();

    if (doc && cJSON_AddNumberToObject(doc, "format", FORMAT) && cJSON_AddStringToObject(doc, "ref", i->ref) &&
        cJSON_AddStringToObject(doc, "digest", i->digest) &&
        cJSON_AddStringToObject(doc, "config_digest", config_digest) &&
        cJSON_AddStringToObject(doc, "rootfs_digest", i->rootfs_digest) &&
        cJSON_AddStringToObject(doc, "architecture", i->architecture) &&
        cJSON_AddNumberToObject(doc, "created", (double)i->created_s) &&
        cJSON_AddNumberToObject(doc, "converted", (double)i->converted_s) &&
        cJSON_AddNumberToObject(doc, "rootfs_bytes", (double)i->rootfs_bytes) &&
        cJSON_AddNumberToObject(doc, "unpacked_bytes", (double)i->unpacked_bytes) &&
        cJSON_AddNumberToObject(doc, "layers", i->layers))
        return doc;
    cJSON_Delete(doc);
    return NULL;
}

static int write_file(const char *dir, const char *name, const vh__buf *text, vh_error *err)
{
    vh_auto_free char *path = vh__path_join(dir, name);

    if (!path)
        return vh_error_set(err, -ENOMEM, "%s", name);
    return vh__file_write_atomic(path, text->data, text->len, 0644, err);
}

static int write_documents(const char *dir, const vh_image_info *info, const vh__image_docs *docs, vh_error *err)
{
    vh_auto_json cJSON *doc = print_info(info, docs->manifest.config.digest);
    vh_auto_buf vh__buf text = { 0 };
    int rc;

    if (!doc)
        return out_of_memory(info->digest, err);
    vh__json_print(doc, true, &text);
    rc = vh__buf_check(&text, "info.json", err);
    if (rc == 0)
        rc = write_file(dir, "info.json", &text, err);
    return rc ? rc : write_file(dir, "config.json", &docs->config_text, err);
}

/* The files are durable before the name is: a crash leaves the whole image or none. */
int vh__image_publish(const vh_images *images, const char *dir, const vh_image_info *info, const vh__image_docs *docs,
                      vh_error *err)
{
    vh_auto_free char *final = vh__image_path(images, info->digest, false);
    int rc = final ? write_documents(dir, info, docs, err) : out_of_memory(info->digest, err);

    if (rc == 0)
        rc = vh__dir_sync(dir, err);
    if (rc == 0)
        rc = vh__path_remove(final, err); /* a damaged one, which this replaces */
    if (rc)
        return rc;
    if (rename(dir, final))
        return vh_error_set(err, -errno, "publish image %s", final);
    return vh__dir_sync(images->dir, err);
}

int vh__image_drop(const vh_images *images, const char *digest, vh_error *err)
{
    vh_auto_free char *final = vh__image_path(images, digest, false), *tmp = vh__image_path(images, digest, true);
    int rc;

    if (!final || !tmp)
        return out_of_memory(digest, err);
    rc = vh__path_remove(tmp, err);
    if (rc)
        return rc;
    if (rename(final, tmp))
        return vh_error_set(err, -errno, "remove image %s", final);
    return vh__path_remove(tmp, err);
}

static void sweep_one(const vh_images *images, const char *hex)
{
    char digest[VH_DIGEST_TEXT + 16];
    vh_auto_free char *tmp = NULL;
    vh_auto_fd int lock = -1;
    vh_error err = { 0 };

    (void)snprintf(digest, sizeof(digest), "sha256:%s", hex);
    if (!vh__digest_valid(digest) || vh__image_lock(images, digest, LOCK_EX, &lock, &err))
        return; /* not ours, or at work */
    tmp = vh__image_path(images, digest, true);
    if (tmp && vh__path_remove(tmp, &err))
        vh__log(images->env, VH_LOG_WARN, "image", NULL, "what a dead process left stays: %s", err.msg);
    vh__image_lock_forget(images, digest);
}

void vh__images_sweep(const vh_images *images)
{
    vh_auto_dir DIR *d = opendir(images->dir);
    const struct dirent *e;

    while (d && (e = readdir(d)))
        if (strncmp(e->d_name, ".tmp-", 5) == 0)
            sweep_one(images, e->d_name + 5);
}
