/* modules: fn */
/* Whatever a stored function's file holds: it is refused with a message, or read, and then written as it was read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_back(const struct record *r)
{
    vh_auto_buf vh__buf text = { 0 }, again = { 0 };
    struct record *copy;

    vh__record_print(r, &text);
    if (text.oom || vh__record_parse(text.data, text.len, &copy, NULL))
        abort();
    vh__record_print(copy, &again);
    if (!vh__record_same_revision(r, copy) || again.len != text.len || memcmp(again.data, text.data, text.len) != 0)
        abort();
    vh__record_drop(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    vh_error err = { 0 };
    struct record *r;
    int rc = vh__record_parse((const char *)data, size, &r, &err);

    if (rc && !err.msg[0])
        abort();
    if (rc)
        return 0;
    if (!vh__record_is_name(r->spec.name) || !r->spec.port || !r->revision || r->spec.min > r->spec.max)
        abort();
    read_back(r);
    vh__record_drop(r);
    return 0;
}
