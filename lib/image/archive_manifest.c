#include "archive_manifest.h"

#include <string.h>

#include "auto.h"
#include "json.h"
#include "registry.h"

enum { IMAGES_MAX = 4096 };

void vh__archive_image_fini(vh__archive_image *i)
{
    cJSON_Delete(i->doc);
    *i = (vh__archive_image){ 0 };
}

static bool same_ref(const vh__registry_ref *a, const vh__registry_ref *b)
{
    return strcmp(a->host, b->host) == 0 && strcmp(a->name, b->name) == 0 && strcmp(a->tag, b->tag) == 0;
}

/* Whether |image| has the tag |want|; its tags go to |seen| for the error. */
static bool has_tag(const cJSON *image, const vh__registry_ref *want, vh__buf *seen)
{
    const cJSON *t;
    bool found = false;

    cJSON_ArrayForEach(t, cJSON_GetObjectItemCaseSensitive(image, "RepoTags"))
    {
        vh__registry_ref ref;

        if (!cJSON_IsString(t))
            continue;
        if (seen->len < 300)
            vh__buf_printf(seen, "%s%.100s", seen->len ? ", " : "", t->valuestring);
        found = found || (want && vh__registry_ref_parse(t->valuestring, &ref, NULL) == 0 && same_ref(&ref, want));
    }
    return found;
}

static int choose(const cJSON *doc, const char *tag, const cJSON **out, vh_error *err)
{
    vh_auto_buf vh__buf seen = { 0 };
    vh__registry_ref want;
    const cJSON *image, *hit = NULL;
    int n = cJSON_GetArraySize(doc);
    int rc = tag ? vh__registry_ref_parse(tag, &want, err) : 0;

    if (rc)
        return rc;
    if (!cJSON_IsArray(doc) || n == 0)
        return vh_error_set(err, VH_EIMAGE, "its manifest.json names no image");
    if (n > IMAGES_MAX)
        return vh_error_set(err, VH_ELIMIT, "its manifest.json names more than %d images", IMAGES_MAX);
    cJSON_ArrayForEach(image, doc)
        if (has_tag(image, tag ? &want : NULL, &seen) && !hit)
            hit = image;
    if (!tag && n == 1)
        hit = doc->child;
    rc = vh__buf_check(&seen, "manifest.json", err);
    if (rc)
        return rc;
    if (!hit)
        return vh_error_set(err, VH_ENOTFOUND, "%s%.200s (it has: %s)",
                            tag ? "it has no image " : "it has several images: write which one behind the file",
                            tag ? tag : "", seen.data ? seen.data : "none with a name");
    *out = hit;
    return 0;
}

static int take(const cJSON *image, vh__archive_image *out, vh_error *err)
{
    const cJSON *layers = cJSON_GetObjectItemCaseSensitive(image, "Layers"), *l;

    out->config = vh__json_str_or(image, "Config", NULL);
    if (!out->config || !cJSON_IsArray(layers))
        return vh_error_set(err, VH_EIMAGE, "its manifest.json names no config or no layers");
    cJSON_ArrayForEach(l, layers)
    {
        if (!cJSON_IsString(l))
            return vh_error_set(err, VH_EIMAGE, "its manifest.json names a layer that is not a text");
        if (out->n == VH_OCI_LAYERS_MAX)
            return vh_error_set(err, VH_ELIMIT, "its manifest.json names more than %d layers", VH_OCI_LAYERS_MAX);
        out->layers[out->n++] = l->valuestring;
    }
    return 0;
}

int vh__archive_image_pick(const char *bytes, size_t n, const char *tag, vh__archive_image *out, vh_error *err)
{
    vh_auto_json cJSON *doc = NULL;
    const cJSON *image = NULL;
    vh_error why = { 0 };
    int rc = vh__json_parse(bytes, n, "manifest.json", &doc, &why);

    if (rc)
        return vh_error_set(err, VH_EIMAGE, "%s", why.msg);
    *out = (vh__archive_image){ 0 };
    rc = choose(doc, tag, &image, err);
    if (rc == 0)
        rc = take(image, out, err);
    if (rc)
        return rc;
    out->doc = vh_steal_ptr(doc);
    return 0;
}
