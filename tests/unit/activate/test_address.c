/* Addresses as text. */
#include <stdio.h>
#include <string.h>

#include "activate.h"
#include "address.h"
#include "auto.h"
#include "testenv.h"

static void what_is_parsed_is_written_again(void **state)
{
    static const char *const addresses[] = {
        "tcp:127.0.0.1:1", "tcp:0.0.0.0:65535", "tcp:[::1]:8080", "tcp:[::]:443", "tcp:[fe80::1:2]:80",
        "unix:/run/x.sock", "unix:/a/directory/of/some/length/so/that/the/path/is/as/long/as/the/kernel/lets/"
                            "a/path/of/a/socket/be/abcdefgh",
    };
    char text[VH_ACTIVATE_ADDRESS];
    vh_error err = { 0 };
    vh__address a;

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(addresses); i++) {
        assert_ok(vh__address_parse(addresses[i], &a, &err), err);
        assert_false(a.assign);
        vh__address_format(&a, text, sizeof(text));
        assert_string_equal(text, addresses[i]);
    }
}

static void without_a_port_one_is_to_be_assigned(void **state)
{
    char text[VH_ACTIVATE_ADDRESS];
    vh_error err = { 0 };
    vh__address a;

    (void)state;
    assert_ok(vh__address_parse("tcp:127.0.0.1", &a, &err), err);
    assert_true(a.assign);
    assert_ok(vh__address_parse("tcp:[::1]", &a, &err), err);
    assert_true(a.assign);
    vh__address_set_port(&a, 31000);
    vh__address_format(&a, text, sizeof(text));
    assert_string_equal(text, "tcp:[::1]:31000");
}

static void what_is_wrong_is_told_with_the_remedy(void **state)
{
    static const struct {
        const char *text, *told;
    } bad[] = {
        { "", "write tcp:HOST:PORT" },
        { "127.0.0.1:80", "write tcp:HOST:PORT" },
        { "udp:127.0.0.1:80", "write tcp:HOST:PORT" },
        { "TCP:127.0.0.1:80", "write tcp:HOST:PORT" },
        { "tcp:", "numeric address" },
        { "tcp::80", "numeric address" },
        { "tcp:localhost:80", "numeric address" },
        { "tcp:127.0.0.1.5:80", "numeric address" },
        { "tcp:127.0.0.01:80", "numeric address" },
        { "tcp:::1:80", "numeric address" },
        { "tcp:[::1:80", "numeric address" },
        { "tcp:[::1]80", "numeric address" },
        { "tcp:[127.0.0.1]:80", "numeric address" },
        { "tcp:[fe80::1%eth0]:80", "numeric address" },
        { "tcp:[1111111111111111111111111111111111111111111111111111111111111111]:80", "numeric address" },
        { "tcp:127.0.0.1:", "leave it out" },
        { "tcp:127.0.0.1:0", "leave it out" },
        { "tcp:127.0.0.1:080", "leave it out" },
        { "tcp:127.0.0.1:+80", "leave it out" },
        { "tcp:127.0.0.1: 80", "leave it out" },
        { "tcp:127.0.0.1:80 ", "leave it out" },
        { "tcp:127.0.0.1:80:1", "leave it out" },
        { "tcp:127.0.0.1:65536", "1 to 65535" },
        { "tcp:127.0.0.1:999999", "1 to 65535" },
        { "unix:", "absolute" },
        { "unix:relative.sock", "absolute" },
        { "unix:@abstract", "absolute" },
        { "unix:/run/", "names a file" },
        { "unix:/run/a\nb", "control character" },
        { "unix:/a/directory/of/some/length/so/that/the/path/is/longer/than/the/kernel/lets/"
          "a/path/of/a/socket/be/ab/cde/fgh",
          "sockets allow 107" },
    };
    vh_error err;
    vh__address a;

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(bad); i++) {
        assert_int_equal(vh__address_parse(bad[i].text, &a, &err), VH_EINVALID);
        if (!strstr(err.msg, bad[i].told))
            fail_msg("'%s': %s", bad[i].text, err.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_parsed_is_written_again),
        cmocka_unit_test(without_a_port_one_is_to_be_assigned),
        cmocka_unit_test(what_is_wrong_is_told_with_the_remedy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
