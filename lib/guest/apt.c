#include "guest_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auto.h"
#include "log.h"
#include "path.h"
#include "spawn.h"

#define OUTPUT_MAX (1 << 20)

/* "linux-image-6.1.0-30-cloud-amd64" names a kernel, "linux-image-cloud-amd64" stands for the newest. */
static bool is_concrete(const char *package)
{
    static const char prefix[] = "linux-image-";
    size_t n = sizeof(prefix) - 1;

    return strncmp(package, prefix, n) == 0 && package[n] >= '0' && package[n] <= '9';
}

/* The concrete package among the dependencies in apt-cache's |text|, which is cut there. */
static char *find_depends(char *text)
{
    char *line = strncmp(text, "Depends: ", 9) == 0 ? text : strstr(text, "\nDepends: "), *save = NULL;

    if (!line)
        return NULL;
    line += strcspn(line, " ");
    line[strcspn(line, "\n")] = '\0';
    for (char *token = strtok_r(line, " ,|", &save); token; token = strtok_r(NULL, " ,|", &save))
        if (is_concrete(token))
            return token;
    return NULL;
}

static int resolve(const char *package, const vh__wait *w, char **concrete, vh_error *err)
{
    /* fields of control files are not translated, the words of `apt-cache depends` are */
    const char *argv[] = { "/usr/bin/env", "LC_ALL=C", "apt-cache", "show", "--no-all-versions", package, NULL };
    vh_auto_buf vh__buf out = { 0 };
    const char *found = package;
    int rc = 0;

    if (!is_concrete(package)) {
        rc = vh__run_program(argv, NULL, w, OUTPUT_MAX, &out, err);
        found = rc ? NULL : find_depends(out.data ? out.data : (char[]){ "" });
    }
    if (rc)
        return rc;
    if (!found)
        return vh_error_set(err, VH_EMISSING, "package %s depends on no kernel package", package);
    *concrete = strdup(found);
    return *concrete ? 0 : vh_error_set(err, -ENOMEM, "package %s", package);
}

static int find_file(const char *dir, char **deb, vh_error *err)
{
    vh_auto_dir DIR *d = opendir(dir);
    struct dirent *e;

    while (d && (e = readdir(d))) {
        size_t n = strlen(e->d_name);

        if (n < 4 || strcmp(e->d_name + n - 4, ".deb") != 0)
            continue;
        *deb = vh__path_join(dir, e->d_name);
        return *deb ? 0 : vh_error_set(err, -ENOMEM, "downloaded package");
    }
    return vh_error_set(err, VH_EMISSING, "apt-get has downloaded nothing");
}

int vh__apt_look(vh__guest *g, const vh__wait *w, vh_error *err)
{
    vh_auto_free char *package = NULL;
    vh_auto_buf vh__buf out = { 0 };
    int rc = resolve(g->package, w, &package, err);

    if (rc == 0) {
        const char *argv[] = { "/usr/bin/env", "LC_ALL=C", "apt-get", "-q", "--print-uris", "download", package, NULL };

        rc = vh__run_program(argv, NULL, w, OUTPUT_MAX, &out, err);
    }
    return rc;
}

int vh__apt_download(vh__guest *g, const char *to, const vh__wait *w, char **deb, vh_error *err)
{
    vh_auto_free char *package = NULL;
    vh_auto_buf vh__buf out = { 0 };
    int rc = resolve(g->package, w, &package, err);
    /* apt's own user could not write into a folder of ours; apt then says so and downloads as root anyway */
    const char *argv[] = { "/usr/bin/env", "LC_ALL=C", "apt-get", "-q", "-o", "APT::Sandbox::User=root",
                           "download", package, NULL };

    if (rc)
        return vh_error_wrap(err, rc, "apt finds no package %s (`apt-get update` renews its lists)", g->package);
    vh__progress(g->env, w, "kernel", package, 0, 0);
    rc = vh__run_program(argv, to, w, OUTPUT_MAX, &out, err);
    return rc ? rc : find_file(to, deb, err);
}
