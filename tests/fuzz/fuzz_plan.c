/* modules: fn */
/* Whatever happens to functions, in whatever order: the promises of the plan are kept. */
#include <stdint.h>

#include "plan_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t none;
    struct world w;

    world_init(&w);
    w.bytes = size ? data : &none;
    w.left = size;
    while (w.left)
        world_step(&w);
    world_finish(&w);
    return 0;
}
