/* modules: json */
#include <stdint.h>

#include "json.h"

/* What parses must print, and what was printed must parse to the same text again. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    vh_auto_json cJSON *first = NULL, *second = NULL;
    vh_auto_buf vh__buf printed = { 0 };
    vh_error err;

    if (vh__json_parse((const char *)bytes, n, "input", &first, &err))
        return 0;
    vh__json_print(first, false, &printed);
    if (printed.oom || vh__json_parse(printed.data, printed.len, "printed", &second, &err))
        __builtin_trap();
    return 0;
}
