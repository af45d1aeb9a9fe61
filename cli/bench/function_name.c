#include <stdio.h>
#include <string.h>

#include "functions.h"

void bench_function_name(const char *image, char *name, size_t room)
{
    const char *slash = strrchr(image, '/'), *colon = strchr(image, ':');
    const char *last = slash ? slash + 1 : colon ? colon + 1 : image;

    snprintf(name, room, "%.*s", (int)strcspn(last, ":@"), last);
    if (!*name)
        snprintf(name, room, "%s", image);
}
