/* modules: image registry json digest base */
/*
 * Bytes as each thing a registry's client reads that others have written: reference, login challenge, config.json,
 * lists of mirrors, and the manifest.json of docker save. What is accepted must be what the rest relies on.
 */
#include <stdlib.h>
#include <string.h>

#include "archive_manifest.h"
#include "auto.h"
#include "registry.h"
#include "registry_priv.h"

static void check(int rc, const vh_error *err)
{
    if (rc && (err->code != rc || !err->msg[0]))
        abort();
}

static void as_reference(const char *text)
{
    vh__registry_ref ref, again;
    vh_error err = { 0 };
    char full[1024], twice[1024];
    int rc = vh__registry_ref_parse(text, &ref, &err);

    check(rc, &err);
    if (rc)
        return;
    vh__registry_ref_print(&ref, full, sizeof(full));
    if (vh__registry_ref_parse(full, &again, &err))
        abort();
    vh__registry_ref_print(&again, twice, sizeof(twice));
    if (strcmp(full, twice) != 0 || strpbrk(ref.name, "?#% :@\r\n") || strstr(ref.name, "..") ||
        !vh__host_valid(ref.host, strlen(ref.host)) || (ref.tag[0] != '\0') == (ref.digest[0] != '\0'))
        abort();
}

static void as_challenge(const char *text)
{
    vh__challenge c = { 0 };
    vh_error err = { 0 };
    int rc = vh__challenge_parse(text, &c, &err);

    check(rc, &err);
    if (rc == 0 && (strlen(c.realm) >= sizeof(c.realm) || strlen(c.service) >= sizeof(c.service) ||
                    (c.kind == VH_CHALLENGE_BEARER && !c.realm[0])))
        abort();
}

static void as_login(const char *text, size_t n)
{
    cJSON *docs = cJSON_CreateArray(), *doc = cJSON_ParseWithLength(text, n);
    vh__login l = { 0 };
    vh_error err = { 0 };
    int rc;

    if (doc)
        (void)cJSON_AddItemToArray(docs, doc); /* fails only for what is no array */
    rc = vh__login_find(docs, "r.example:5000", "org/app", &l, &err);

    check(rc, &err);
    for (const char *p = rc == 0 && l.basic ? l.basic : ""; *p; p++)
        if (*p < ' ')
            abort();
    vh__login_fini(&l);
    cJSON_Delete(docs);
}

static void as_lists(const char *text)
{
    vh__registry_options o = { .mirrors = text, .insecure = text };
    vh__endpoint e[VH_REGISTRY_MIRRORS_MAX + 1];
    vh_error err = { 0 };
    size_t n = 0;
    int rc = vh__endpoints_make(&o, "docker.io", e, &n, &err);

    check(rc, &err);
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (!vh__host_valid(e[i].host, strlen(e[i].host)) || e[i].mirror != (i + 1 < n))
            abort();
    rc = vh__registry_options_check(&o, &err);
    check(rc, &err);
}

static void as_archive(const char *text, size_t n)
{
    static const char *const tags[] = { NULL, "hello:v1", "No Tag" };

    for (size_t i = 0; i < VH_ARRAY_LEN(tags); i++) {
        static vh__archive_image image; /* large, and only looked at after success */
        vh_error err = { 0 };
        int rc = vh__archive_image_pick(text, n, tags[i], &image, &err);

        check(rc, &err);
        if (rc)
            continue;
        if (!image.config || image.n > VH_OCI_LAYERS_MAX)
            abort();
        for (size_t l = 0; l < image.n; l++)
            (void)strlen(image.layers[l]); /* readable */
        vh__archive_image_fini(&image);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = malloc(n + 1);

    if (!text)
        return 0;
    memcpy(text, data, n);
    text[n] = '\0';
    as_reference(text);
    as_challenge(text);
    as_login(text, n);
    as_lists(text);
    as_archive(text, n);
    free(text);
    return 0;
}
