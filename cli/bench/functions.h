/* The functions under test: image and request of each, from the command line or from the image's label. */
#ifndef BENCH_FUNCTIONS_H
#define BENCH_FUNCTIONS_H

#include <vhive/host.h>
#include <vhive/invoke.h>

#include "cli.h"

typedef struct bench_function {
    const char *image; /* reference; borrowed */
    const char *name;  /* last part of it, or all of it where two would be the same */
    vh_invoke_request *request;
    char short_name[128];
    char snapshot[72]; /* id, once one is made; "" */
} bench_function;

/** Zero-initialise; bench_functions_fini(). */
typedef struct bench_functions {
    bench_function *v;
    size_t n;
} bench_functions;

/** Rows for a command's table. --memory, --cpus and --accel are settings: the library reads them there. */
#define BENCH_FUNCTION_OPTIONS                                                                                         \
    { "image", 0, CLI_TEXT, "REF", .help = "image of a function; may be repeated" },                                   \
    { "invoke", 'i', CLI_TEXT, "SPEC", .help = "request of the i-th image (default: its label io.vhive.invoke)" },     \
    { "memory", 'm', CLI_SETTING, "SIZE", .key = "function.memory" },                                                  \
    { "cpus", 0, CLI_SETTING, "COUNT", .key = "function.cpus" },                                                       \
    { "accel", 0, CLI_SETTING, "ACCEL", .key = "vmm.accel" }

/**
 * Opens every --image of the command line, converting it if need be, and parses its request. VH_EINVALID: no --image,
 * more --invoke than images, or an image without a request; errors of vh_image_open() and vh_invoke_parse().
 */
VH_MUST_CHECK int bench_functions_open(const cli *c, vh_images *images, bench_functions *out, vh_error *err);
void bench_functions_fini(bench_functions *f);

/**
 * Makes the host of a bench. It tells of each VM that starts, and there are hundreds: only warnings are logged unless a
 * level is asked for. The caller owns |*host|. Errors of vh_host_new().
 */
VH_MUST_CHECK int bench_host_open(cli *c, vh_host **host, vh_error *err);

/** What |image| is called in reports: "oci:build/functions/hello:v1" is "hello". */
void bench_function_name(const char *image, char *name, size_t room);

#endif
