/* Indexes and manifests. */
#include "oci.h"

#include <string.h>

#include "auto.h"
#include "buf.h"
#include "json.h"
#include "oci_priv.h"

static const struct {
    const char *name;
    vh__oci_kind kind;
} media_types[] = {
    { "application/vnd.oci.image.index.v1+json", VH_OCI_INDEX },
    { "application/vnd.docker.distribution.manifest.list.v2+json", VH_OCI_INDEX },
    { "application/vnd.oci.image.manifest.v1+json", VH_OCI_MANIFEST },
    { "application/vnd.docker.distribution.manifest.v2+json", VH_OCI_MANIFEST },
    { "application/vnd.oci.image.config.v1+json", VH_OCI_CONFIG },
    { "application/vnd.docker.container.image.v1+json", VH_OCI_CONFIG },
    { "application/vnd.oci.image.layer.v1.tar", VH_OCI_TAR },
    { "application/vnd.oci.image.layer.v1.tar+gzip", VH_OCI_TAR_GZIP },
    { "application/vnd.oci.image.layer.v1.tar+zstd", VH_OCI_TAR_ZSTD },
    { "application/vnd.oci.image.layer.nondistributable.v1.tar", VH_OCI_TAR },
    { "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", VH_OCI_TAR_GZIP },
    { "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", VH_OCI_TAR_ZSTD },
    { "application/vnd.docker.image.rootfs.diff.tar", VH_OCI_TAR },
    { "application/vnd.docker.image.rootfs.diff.tar.gzip", VH_OCI_TAR_GZIP },
    { "application/vnd.docker.image.rootfs.diff.tar.zstd", VH_OCI_TAR_ZSTD },
};

/* No index of a reasonable image comes near. */
enum { INDEX_MAX = 4096 };

static vh__oci_kind kind_of(const char *media_type)
{
    for (size_t i = 0; i < VH_ARRAY_LEN(media_types); i++)
        if (strcmp(media_types[i].name, media_type) == 0)
            return media_types[i].kind;
    return VH_OCI_OTHER;
}

int vh__oci_parse(const char *bytes, size_t n, const char *what, cJSON **doc, vh_error *err)
{
    vh_auto_json cJSON *d = NULL;
    vh_error why = { 0 };

    if (vh__json_parse(bytes, n, what, &d, &why))
        return vh_error_set(err, VH_EIMAGE, "%s", why.msg);
    if (!cJSON_IsObject(d))
        return vh_error_set(err, VH_EIMAGE, "%s: not a JSON object", what);
    *doc = vh_steal_ptr(d);
    return 0;
}

static int parse_descriptor(const cJSON *d, const char *what, vh__oci_descriptor *out, vh_error *err)
{
    const char *digest = vh__json_str_or(d, "digest", "");
    vh_error why = { 0 };

    if (!vh__digest_valid(digest))
        return vh_error_set(err, VH_EIMAGE, "%s: digest \"%.80s\" is not \"sha256:\" and 64 hex digits", what,
                            digest);
    if (vh__json_u64(d, "size", what, &out->size, &why))
        return vh_error_set(err, VH_EIMAGE, "%s", why.msg);
    out->kind = kind_of(vh__json_str_or(d, "mediaType", ""));
    strcpy(out->digest, digest); /* VH_DIGEST_TEXT has room for a valid one */
    return 0;
}

static const char *tag_of(const cJSON *d)
{
    const cJSON *notes = cJSON_GetObjectItemCaseSensitive(d, "annotations");

    return vh__json_str_or(notes, "org.opencontainers.image.ref.name", NULL);
}

/* A descriptor without a platform may be for any: the config tells. */
static bool platform_fits(const cJSON *d)
{
    const cJSON *p = cJSON_GetObjectItemCaseSensitive(d, "platform");

    return !p || (strcmp(vh__json_str_or(p, "os", ""), "linux") == 0 &&
                  strcmp(vh__json_str_or(p, "architecture", ""), "amd64") == 0);
}

typedef struct choice {
    const char *tag;           /* "": any */
    const cJSON *hit, *single; /* of that tag; any of our platform */
    size_t images;             /* of our platform */
    bool foreign;              /* that tag, but for others */
    vh__buf tags;              /* seen, for the error */
} choice;

static void consider(choice *c, const cJSON *d)
{
    vh__oci_kind kind = kind_of(vh__json_str_or(d, "mediaType", ""));
    const char *tag = tag_of(d);
    bool match = *c->tag == '\0' || (tag && strcmp(tag, c->tag) == 0);

    if (kind != VH_OCI_INDEX && kind != VH_OCI_MANIFEST)
        return;
    if (tag && c->tags.len < 300)
        vh__buf_printf(&c->tags, "%s%.60s", c->tags.len ? ", " : "", tag);
    if (!platform_fits(d)) {
        c->foreign |= match;
        return;
    }
    c->images++;
    c->single = d;
    if (match && !c->hit)
        c->hit = d;
}

static int no_choice(const choice *c, vh_error *err)
{
    if (c->foreign)
        return vh_error_set(err, VH_EIMAGE, "it has no image for linux/amd64: build or copy it for that platform");
    if (*c->tag == '\0')
        return vh_error_set(err, VH_EIMAGE, "its index names no image");
    return vh_error_set(err, VH_ENOTFOUND, "no image has the tag \"%.128s\" (tags: %s)", c->tag,
                        c->tags.data ? c->tags.data : "none");
}

int vh__oci_index_pick(const char *bytes, size_t n, const char *tag, vh__oci_descriptor *out, vh_error *err)
{
    vh_auto_json cJSON *doc = NULL;
    choice c = { .tag = tag ? tag : "latest" };
    const cJSON *list, *d;
    size_t seen = 0;
    int rc = vh__oci_parse(bytes, n, "index", &doc, err);

    if (rc)
        return rc;
    list = cJSON_GetObjectItemCaseSensitive(doc, "manifests");
    if (!cJSON_IsArray(list))
        return vh_error_set(err, VH_EIMAGE, "index: member \"manifests\" is missing or not an array");
    cJSON_ArrayForEach(d, list)
    {
        if (++seen > INDEX_MAX) {
            rc = vh_error_set(err, VH_ELIMIT, "index: more than %d manifests", INDEX_MAX);
            break;
        }
        consider(&c, d);
    }
    if (!tag && !c.hit && c.images == 1 && !tag_of(c.single))
        c.hit = c.single;
    if (rc == 0)
        rc = c.hit ? parse_descriptor(c.hit, "index", out, err) : no_choice(&c, err);
    vh__buf_fini(&c.tags);
    return rc;
}

/* Schema 1 has no media type of its own in the document, and its layers have another name. */
static bool is_schema1(const cJSON *doc, const char *type)
{
    return strncmp(type, "application/vnd.docker.distribution.manifest.v1", 47) == 0 ||
           vh__json_u64_or(doc, "schemaVersion", 2) == 1;
}

/* One digest must not stand for two images: whoever serves the bytes would choose by the media type that he sends. */
static bool is_ambiguous(const cJSON *doc, vh__oci_kind kind)
{
    return cJSON_HasObjectItem(doc, kind == VH_OCI_INDEX ? "layers" : "manifests");
}

int vh__oci_document_kind(const char *bytes, size_t n, const char *media_type, vh__oci_kind *out, vh_error *err)
{
    vh_auto_json cJSON *doc = NULL;
    vh__oci_kind kind;
    int rc = vh__oci_parse(bytes, n, "manifest", &doc, err);

    if (rc)
        return rc;
    if (is_schema1(doc, media_type))
        return vh_error_set(err, VH_EIMAGE, "the registry has it in Docker's schema 1 only, which is not supported: "
                            "push it again by a tool of this decade");
    kind = kind_of(media_type);
    if (kind == VH_OCI_OTHER)
        kind = kind_of(vh__json_str_or(doc, "mediaType", ""));
    if (kind == VH_OCI_OTHER) /* servers that know no media types send "application/json" or nothing */
        kind = cJSON_HasObjectItem(doc, "manifests") ? VH_OCI_INDEX
               : cJSON_HasObjectItem(doc, "layers")  ? VH_OCI_MANIFEST
                                                     : VH_OCI_OTHER;
    if (kind != VH_OCI_INDEX && kind != VH_OCI_MANIFEST)
        return vh_error_set(err, VH_EIMAGE, "the registry has something of type \"%.100s\", not a container image",
                            media_type);
    if (is_ambiguous(doc, kind))
        return vh_error_set(err, VH_EIMAGE, "the registry has something that is an index and a manifest at once");
    *out = kind;
    return 0;
}

static bool is_layer(vh__oci_kind kind)
{
    return kind == VH_OCI_TAR || kind == VH_OCI_TAR_GZIP || kind == VH_OCI_TAR_ZSTD;
}

static int parse_layers(const cJSON *list, vh__oci_manifest *out, vh_error *err)
{
    const cJSON *d;

    if (!cJSON_IsArray(list))
        return vh_error_set(err, VH_EIMAGE, "manifest: member \"layers\" is missing or not an array");
    out->n = 0;
    cJSON_ArrayForEach(d, list)
    {
        vh__oci_descriptor *l = &out->layers[out->n];
        int rc;

        if (out->n == VH_OCI_LAYERS_MAX)
            return vh_error_set(err, VH_ELIMIT, "manifest: more than %d layers", VH_OCI_LAYERS_MAX);
        rc = parse_descriptor(d, "manifest: layer", l, err);
        if (rc)
            return rc;
        if (!is_layer(l->kind))
            return vh_error_set(err, VH_EIMAGE, "manifest: layer %zu has the media type \"%.100s\": tar, plain or "
                                "compressed by gzip or zstd, is supported", out->n + 1,
                                vh__json_str_or(d, "mediaType", ""));
        out->n++;
    }
    return 0;
}

int vh__oci_manifest_parse(const char *bytes, size_t n, vh__oci_manifest *out, vh_error *err)
{
    vh_auto_json cJSON *doc = NULL;
    const cJSON *config;
    int rc = vh__oci_parse(bytes, n, "manifest", &doc, err);

    if (rc)
        return rc;
    config = cJSON_GetObjectItemCaseSensitive(doc, "config");
    rc = parse_descriptor(config, "manifest: config", &out->config, err);
    if (rc)
        return rc;
    if (out->config.kind != VH_OCI_CONFIG)
        return vh_error_set(err, VH_EIMAGE, "manifest: it is of an artifact (config of type \"%.100s\"), not of a "
                            "container image", vh__json_str_or(config, "mediaType", ""));
    return parse_layers(cJSON_GetObjectItemCaseSensitive(doc, "layers"), out, err);
}

int vh__oci_layer_failed(const vh__oci_descriptor *layers, size_t n, size_t i, int rc, vh_error *err)
{
    return vh_error_wrap(err, rc, "layer %zu of %zu (%s)", i + 1, n, layers[i].digest);
}
