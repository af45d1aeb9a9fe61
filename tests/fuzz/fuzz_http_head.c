/* modules: http base */
/* Bytes of a hostile client: what is read lies within bounds, and the same head is read whatever follows it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    vh__http_head head, again;
    int length = vh__http_head_parse((const char *)data, n, &head);

    if (length <= 0)
        return 0;
    if ((size_t)length > n || length > VH_HTTP_SERVER_HEAD_MAX || !memchr(head.target, '\0', sizeof(head.target)))
        abort();
    if (vh__http_head_parse((const char *)data, (size_t)length, &again) != length || strcmp(head.target, again.target) != 0 ||
        vh__http_head_parse((const char *)data, (size_t)length - 1, &again) != 0)
        abort();
    return 0;
}
