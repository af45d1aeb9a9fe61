/* modules: image json digest base */
/*
 * Bytes as each document of an image: index (by tag, without one, any), manifest, configuration, and as a reference.
 * What is accepted must be what the rest of the module relies on.
 */
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "oci.h"
#include "source.h"

static void check(int rc, const vh_error *err)
{
    if (rc && (err->code != rc || !err->msg[0]))
        abort();
}

static void check_descriptor(const vh__oci_descriptor *d)
{
    if (!vh__digest_valid(d->digest))
        abort();
}

static void as_index(const char *bytes, size_t n)
{
    static const char *const tags[] = { NULL, "", "latest", "v1" };

    for (size_t i = 0; i < VH_ARRAY_LEN(tags); i++) {
        vh__oci_descriptor d;
        vh_error err = { 0 };
        int rc = vh__oci_index_pick(bytes, n, tags[i], &d, &err);

        check(rc, &err);
        if (rc == 0)
            check_descriptor(&d);
    }
}

static void as_manifest(const char *bytes, size_t n)
{
    static vh__oci_manifest m; /* large, and only looked at after success */
    vh_error err = { 0 };
    int rc = vh__oci_manifest_parse(bytes, n, &m, &err);

    check(rc, &err);
    if (rc)
        return;
    check_descriptor(&m.config);
    if (m.n > VH_OCI_LAYERS_MAX)
        abort();
    for (size_t i = 0; i < m.n; i++)
        check_descriptor(&m.layers[i]);
}

static void as_config(const char *bytes, size_t n)
{
    vh__oci_config c;
    vh_error err = { 0 };
    int rc = vh__oci_config_parse(bytes, n, &c, &err);

    check(rc, &err);
    if (rc)
        return;
    for (const char *const *e = c.run.env; *e; e++)
        if (!strchr(*e, '=') || **e == '=')
            abort();
    for (const char *const *a = c.run.argv; *a; a++)
        (void)strlen(*a); /* readable */
    if (c.run.cwd[0] != '/' || !c.run.user || c.run.stop_signal < 1 || c.run.stop_signal > 64)
        abort();
    for (size_t i = 0; i < c.n; i++)
        if (!vh__digest_valid(c.diff_ids[i]))
            abort();
    vh__oci_config_fini(&c);
}

static void as_reference(const char *bytes, size_t n)
{
    char text[256] = "";
    const char *tag;
    size_t dir_len;

    memcpy(text, bytes, VH_MIN(n, sizeof(text) - 1));
    if (vh__oci_split(text, &dir_len, &tag, NULL) == 0 &&
        (dir_len == 0 || dir_len > strlen(text) || (tag && (strchr(tag, '/') || strlen(tag) > 128))))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    as_index((const char *)data, n);
    as_manifest((const char *)data, n);
    as_config((const char *)data, n);
    as_reference((const char *)data, n);
    return 0;
}
