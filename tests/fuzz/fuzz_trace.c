/* modules: trace */
/* A header is refused or understood; what was understood is written and read back to the same. */
#include <stdlib.h>
#include <string.h>

#include "trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const vh__trace_context *a, const vh__trace_context *b)
{
    if (a->trace_hi != b->trace_hi || a->trace_lo != b->trace_lo || a->span != b->span || a->sampling != b->sampling)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1); /* exactly as long, so that reading beyond it is seen */
    char w3c[VH_TRACE_W3C_TEXT], b3[VH_TRACE_B3_TEXT];
    vh__trace_context c, again;

    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    if (vh__trace_parse_w3c(text, size, &c)) {
        vh__trace_format_w3c(&c, w3c);
        if (!vh__trace_parse_w3c(w3c, strlen(w3c), &again))
            abort();
        check_same(&c, &again);
    }
    if (vh__trace_parse_b3(text, size, &c)) {
        vh__trace_format_b3(&c, b3);
        if (!vh__trace_parse_b3(b3, strlen(b3), &again))
            abort();
        check_same(&c, &again);
    }
    free(text);
    return 0;
}
