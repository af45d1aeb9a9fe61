/* modules: vmm json base */
/* QMP input in pieces of varying size: no crash, no endless loop, and every message that comes out is whole. */
#include <stdint.h>
#include <stdlib.h>

#include "qmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    vh__qmp_decoder d = { 0 };
    size_t step = n ? 1 + data[0] % 64 : 1;
    int rc = 0;

    for (size_t at = 0; at < n && rc >= 0; at += step) {
        vh__qmp_message m = { 0 };

        rc = vh__qmp_feed(&d, data + at, n - at < step ? n - at : step, NULL);
        while (rc >= 0 && (rc = vh__qmp_next(&d, &m, NULL)) == 1) {
            if (!m.json || !m.body)
                abort();
            vh__qmp_message_fini(&m);
        }
    }
    vh__qmp_decoder_fini(&d);
    return 0;
}
