#include "functions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int bench_host_open(cli *c, vh_host **host, vh_error *err)
{
    vh_env_options o;

    cli_env_options(c, &o);
    if (vh_config_source_of(c->config, "log.level") == VH_CONFIG_FROM_DEFAULT)
        o.log_level = VH_LOG_WARN;
    return vh_host_new(c->config, &o, host, err);
}

/* The |i|-th value of option |name|, NULL if there are fewer. */
static const char *value_at(const cli *c, const char *name, size_t i)
{
    for (size_t v = 0; v < c->args.nvalues; v++)
        if (strcmp(c->args.values[v].option->name, name) == 0 && i-- == 0)
            return c->args.values[v].text;
    return NULL;
}

static size_t count(const cli *c, const char *name)
{
    size_t n = 0;

    while (value_at(c, name, n))
        n++;
    return n;
}

static int parse_request(bench_function *f, const char *spec, const char *label, vh_error *err)
{
    int rc;

    if (!spec && !*label)
        return vh_error_set(err, VH_EINVALID, "image %s: no request; give one with --invoke SPEC, or label the image "
                            "with io.vhive.invoke", f->image);
    rc = vh_invoke_parse(spec ? spec : label, &f->request, err);
    return rc ? vh_error_wrap(err, rc, "request of image %s", f->image) : 0;
}

static int open_one(const cli *c, vh_images *images, bench_function *f, const char *spec, vh_error *err)
{
    vh_call call = cli_call(c);
    vh_image *image;
    int rc = vh_image_open(images, f->image, &call, &image, err);

    if (rc)
        return rc;
    rc = vh_image_check_runnable(image, err);
    if (rc == 0)
        rc = parse_request(f, spec, vh_image_config_get(image)->invoke, err);
    vh_image_close(image);
    return rc;
}

/* Short names are for people: two that are the same would be none. */
static void name_all(bench_functions *f)
{
    for (size_t i = 0; i < f->n; i++) {
        bench_function_name(f->v[i].image, f->v[i].short_name, sizeof(f->v[i].short_name));
        f->v[i].name = f->v[i].short_name;
    }
    for (size_t i = 0; i < f->n; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(f->v[i].short_name, f->v[k].short_name) == 0) {
                f->v[i].name = f->v[i].image;
                f->v[k].name = f->v[k].image;
            }
}

static int check(const cli *c, vh_error *err)
{
    if (count(c, "image") == 0)
        return vh_error_set(err, VH_EINVALID, "--image REF is missing");
    if (count(c, "invoke") > count(c, "image"))
        return vh_error_set(err, VH_EINVALID, "--invoke is there more often than --image: the i-th belongs to the i-th");
    for (size_t i = 0; i < count(c, "image"); i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(value_at(c, "image", i), value_at(c, "image", k)) == 0)
                return vh_error_set(err, VH_EINVALID, "--image %s is there twice", value_at(c, "image", i));
    return 0;
}

int bench_functions_open(const cli *c, vh_images *images, bench_functions *out, vh_error *err)
{
    bench_functions f = { .n = count(c, "image") };
    int rc = check(c, err);

    if (rc)
        return rc;
    f.v = calloc(f.n, sizeof(*f.v));
    if (!f.v)
        return vh_error_set(err, -ENOMEM, "functions");
    for (size_t i = 0; rc == 0 && i < f.n; i++) {
        f.v[i].image = value_at(c, "image", i);
        rc = open_one(c, images, &f.v[i], value_at(c, "invoke", i), err);
    }
    if (rc) {
        bench_functions_fini(&f);
        return rc;
    }
    name_all(&f);
    *out = f;
    return 0;
}

void bench_functions_fini(bench_functions *f)
{
    for (size_t i = 0; i < f->n; i++)
        vh_invoke_request_free(f->v[i].request);
    free(f->v);
    *f = (bench_functions){ .v = NULL };
}
