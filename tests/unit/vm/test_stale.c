/* Which stored snapshots are of a machine that is no more. */
#include "testenv.h"

#include <stdio.h>
#include <string.h>

#include "vm_priv.h"

#define KERNEL    "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define INITRAMFS "sha256:2222222222222222222222222222222222222222222222222222222222222222"

static const vh__vm_present now = { .vmm_version = "7.2.22",
                                    .files = { .kernel_digest = KERNEL, .initramfs_digest = INITRAMFS } };

static vh_snapshot_info made(const char *qemu, unsigned machine, const char *kernel, const char *initramfs)
{
    vh_snapshot_info info = VH_SNAPSHOT_INFO_INIT;

    snprintf(info.vmm_version, sizeof(info.vmm_version), "%s", qemu);
    snprintf(info.identity, sizeof(info.identity),
             "{\"format\": %u, \"machine_version\": %u, \"agent_version\": %u, \"kernel\": \"%s\", \"initramfs\": \"%s\"}",
             VH_SNAPSHOT_FORMAT, machine, VH_AGENT_VERSION, kernel, initramfs);
    return info;
}

static void a_snapshot_is_stale_when_its_key_cannot_come_up_again(void **state)
{
    vh_snapshot_info good = made("7.2.22", MACHINE_VERSION, KERNEL, INITRAMFS);
    vh_snapshot_info qemu = made("7.1.0", MACHINE_VERSION, KERNEL, INITRAMFS);
    vh_snapshot_info machine = made("7.2.22", MACHINE_VERSION + 1, KERNEL, INITRAMFS);
    vh_snapshot_info kernel = made("7.2.22", MACHINE_VERSION, INITRAMFS, INITRAMFS);
    vh_snapshot_info agent = made("7.2.22", MACHINE_VERSION, KERNEL, KERNEL);
    char text[64];

    (void)state;
    assert_null(vh__vm_stale(&good, &now, text));
    assert_string_equal(vh__vm_stale(&qemu, &now, text), "QEMU 7.1.0");
    assert_string_equal(vh__vm_stale(&machine, &now, text), "an older vHive");
    assert_string_equal(vh__vm_stale(&kernel, &now, text), "another guest kernel");
    assert_string_equal(vh__vm_stale(&agent, &now, text), "another agent or kernel modules");
}

static void what_is_not_known_is_not_stale(void **state)
{
    vh_snapshot_info info = made("7.2.22", MACHINE_VERSION, KERNEL, INITRAMFS);
    char text[64];

    (void)state;
    info.identity[20] = '\0'; /* cut */
    assert_null(vh__vm_stale(&info, &now, text));
    strcpy(info.identity, "{}");
    assert_null(vh__vm_stale(&info, &now, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_is_stale_when_its_key_cannot_come_up_again),
        cmocka_unit_test(what_is_not_known_is_not_stale),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
