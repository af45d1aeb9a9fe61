/* Fault addresses and file offsets: the cases of vHive's own tests, and tables that must be refused. */
#include "testenv.h"

#include "auto.h"
#include "reap.h"

#define REGION_LIST(...) (vh__region[]){ __VA_ARGS__ }
#define REGIONS(page, ...)                                                                                   \
    {                                                                                                        \
        .n = VH_ARRAY_LEN(REGION_LIST(__VA_ARGS__)), .page_size = page, .v = { __VA_ARGS__ }                 \
    }

#define BIG (1ull << 40)

static void assert_found(const vh__regions *r, uint64_t fault, uint64_t address, uint64_t offset)
{
    vh__page page;

    assert_true(vh__regions_find(r, fault, &page));
    assert_int_equal(page.address, address);
    assert_int_equal(page.offset, offset);
}

static void faults_translate_to_pages_of_the_file(void **state)
{
    vh__regions one = REGIONS(4096, { .base = 0x100000, .size = 0x4000 });
    vh__regions two = REGIONS(4096, { .base = 0x100000, .size = 0x4000, .offset = 0x800000 },
                              { .base = 0x200000, .size = 0x4000, .offset = 0x900000 });
    vh__regions large = REGIONS(0x2000, { .base = 0x100000, .size = 0x8000, .offset = 0x500000 - 0x2000 });
    vh__page page;

    (void)state;
    assert_found(&one, 0x102000, 0x102000, 0x2000);
    assert_found(&one, 0x101234, 0x101000, 0x1000);
    assert_found(&two, 0x103000, 0x103000, 0x803000);
    assert_found(&two, 0x201000, 0x201000, 0x901000);
    assert_found(&large, 0x103456, 0x102000, 0x500000);
    assert_false(vh__regions_find(&two, 0xfffff, &page));
    assert_false(vh__regions_find(&two, 0x104000, &page));
    assert_false(vh__regions_find(&two, 0x204000, &page));
}

static void file_offsets_translate_back(void **state)
{
    vh__regions r = REGIONS(4096, { .base = 0x400000, .size = 0x4000, .offset = 0x8000 });
    uint64_t address, run;

    (void)state;
    assert_true(vh__regions_address(&r, 0x9000, &address, &run));
    assert_int_equal(address, 0x401000);
    assert_int_equal(run, 0x3000);
    assert_false(vh__regions_address(&r, 0x7fff, &address, &run));
    assert_false(vh__regions_address(&r, 0xc000, &address, &run));
}

static void regions_are_sorted_by_address(void **state)
{
    vh__regions r = REGIONS(4096, { .base = 0x200000, .size = 0x1000 },
                            { .base = 0x100000, .size = 0x1000, .offset = 0x1000 });
    vh_error err = { 0 };

    (void)state;
    assert_ok(vh__regions_check(&r, 0x2000, &err), err);
    assert_int_equal(r.v[0].base, 0x100000);
    assert_int_equal(r.v[1].base, 0x200000);
}

static void impossible_tables_are_refused(void **state)
{
    vh__regions bad[] = {
        REGIONS(4096, { .size = 0 }),
        REGIONS(0, { .size = 0x1000 }),
        REGIONS(2048, { .size = 0x1000 }),
        REGIONS(0x3000, { .size = 0x3000 }),
        REGIONS(4096, { .base = 0x100800, .size = 0x1000 }),
        REGIONS(4096, { .base = 0x100000, .size = 0x1800 }),
        REGIONS(4096, { .base = 0x100000, .size = 0x1000, .offset = 0x10 }),
        REGIONS(4096, { .base = -0x1000ull, .size = 0x2000 }),
        REGIONS(4096, { .size = 0x1000, .offset = BIG }),
        REGIONS(4096, { .size = 0x2000, .offset = BIG - 0x1000 }),
        REGIONS(4096, { .size = -0x1000ull, .offset = 0x1000 }),
        REGIONS(4096, { .base = 0x1000, .size = 0x2000 }, { .base = 0x2000, .size = 0x1000,
                                                           .offset = 0x8000 }),
        REGIONS(4096, { .base = 0x1000, .size = 0x2000 }, { .base = 0x8000, .size = 0x1000,
                                                           .offset = 0x1000 }),
    };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(bad); i++)
        if (vh__regions_check(&bad[i], BIG, NULL) != VH_EINVALID)
            fail_msg("table %zu was accepted", i);
    bad[0].n = 0;
    assert_int_equal(vh__regions_check(&bad[0], BIG, NULL), VH_EINVALID);
    bad[0].n = VH_REGIONS_MAX + 1;
    assert_int_equal(vh__regions_check(&bad[0], BIG, NULL), VH_EINVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_translate_to_pages_of_the_file),
        cmocka_unit_test(file_offsets_translate_back),
        cmocka_unit_test(regions_are_sorted_by_address),
        cmocka_unit_test(impossible_tables_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
