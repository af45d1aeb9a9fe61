/* modules: invoke rpc http json base */
/* The text that names a call: refused with a message, or a request. '@' would read files of the machine. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <vhive/invoke.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *spec = malloc(n + 1);
    vh_invoke_request *q = NULL;
    vh_error err = { 0 };

    if (!spec)
        abort();
    memcpy(spec, data, n);
    spec[n] = '\0';
    if (!strchr(spec, '@')) {
        int rc = vh_invoke_parse(spec, &q, &err);

        if ((rc == 0) != (q != NULL) || (rc && !err.msg[0]))
            abort();
    }
    vh_invoke_request_free(q);
    free(spec);
    return 0;
}
