/* Settings: the table, precedence, values, files and the dump. */
#include "testenv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vhive/config.h>

#include "auto.h"
#include "failalloc.h"
#include "fd.h"

static vh_config *fresh(void)
{
    vh_config *c = NULL;
    vh_error err = { 0 };

    assert_ok(vh_config_new(&c, &err), err);
    return c;
}

static int load(vh_config *c, const char *yaml, vh_error *err)
{
    return vh_config_load_yaml(c, yaml, strlen(yaml), "v.yaml", err);
}

static void every_default_is_a_valid_value(void **state)
{
    vh_config *c = fresh();
    vh_error err = { 0 };
    size_t n = 0;

    (void)state;
    for (const vh_config_key *k; (k = vh_config_key_at(n)) != NULL; n++) {
        assert_ok(vh_config_set(c, k->name, k->fallback, VH_CONFIG_FROM_FLAG, "test", &err), err);
        assert_true(*k->help);
        assert_true(strlen(k->name) + strlen("VHIVE_") < VH_CONFIG_NAME_MAX);
    }
    assert_true(n > 20);
    assert_null(vh_config_key_at(n + 100));
    vh_config_free(c);
}

static void names_of_variable_and_flag_are_made_from_the_key(void **state)
{
    const vh_config_key *key = vh_config_key_find("vmm.uid_base");
    char name[VH_CONFIG_NAME_MAX];

    (void)state;
    assert_non_null(key);
    assert_string_equal(vh_config_env_name(key, name), "VHIVE_VMM_UID_BASE");
    assert_string_equal(vh_config_flag_name(key, name), "vmm-uid-base");
    assert_ptr_equal(vh_config_key_of_flag("vmm-uid-base=7", 12), key);
    assert_null(vh_config_key_of_flag("vmm-uid", 7));
}

static void values_are_read_by_their_type(void **state)
{
    vh_config *c = fresh();
    vh_error err = { 0 };

    (void)state;
    assert_ok(load(c,
                   "function: { memory: 1Gi, cpus: 4 }\n"
                   "timeout:\n  hello: 2m\n  stop: 500ms\n"
                   "net:\n  allow_private: yes\n  pool: 10.0.0.0/8\n"
                   "log.level: debug\n",
                   &err),
              err);
    assert_int_equal(vh_config_u64(c, "function.memory"), 1 << 30);
    assert_int_equal(vh_config_u64(c, "function.cpus"), 4);
    assert_int_equal(vh_config_u64(c, "timeout.hello"), 120000);
    assert_int_equal(vh_config_u64(c, "timeout.stop"), 500);
    assert_true(vh_config_bool(c, "net.allow_private"));
    assert_string_equal(vh_config_str(c, "net.pool"), "10.0.0.0/8");
    assert_string_equal(vh_config_str(c, "log.level"), "debug");
    assert_string_equal(vh_config_origin(c, "function.cpus"), "v.yaml:1:32");
    assert_string_equal(vh_config_origin(c, "image.max_bytes"), "default");
    assert_string_equal(vh_config_str(c, "no.such"), "");
    vh_config_free(c);
}

static void the_stronger_source_wins_in_any_order(void **state)
{
    static const char *const envp[] = { "PATH=/bin", "VHIVE_LOG_LEVEL=error", "VHIVE_VMM_ACCEL=kvm",
                                        "VHIVE_PORT=tcp://1.2.3.4:5", NULL };
    vh_config *c = fresh();
    vh_error err = { 0 };

    (void)state;
    assert_ok(vh_config_set(c, "log.level", "debug", VH_CONFIG_FROM_FLAG, "--log-level", &err), err);
    assert_ok(vh_config_load_env(c, envp, &err), err);
    assert_ok(load(c, "log: { level: warn, format: json }\nvmm: { accel: tcg }\n", &err), err);
    assert_string_equal(vh_config_str(c, "log.level"), "debug");
    assert_string_equal(vh_config_origin(c, "log.level"), "--log-level");
    assert_string_equal(vh_config_str(c, "vmm.accel"), "kvm");
    assert_int_equal(vh_config_source_of(c, "vmm.accel"), VH_CONFIG_FROM_ENV);
    assert_string_equal(vh_config_str(c, "log.format"), "json");
    vh_config_free(c);
}

static void a_bad_value_is_named_with_its_place(void **state)
{
    static const struct {
        const char *yaml, *message;
    } cases[] = {
        { "log:\n  levle: debug\n", "v.yaml:2:3: unknown key 'log.levle'; did you mean 'log.level'?" },
        { "logs:\n  level: debug\n", "v.yaml:1:1: unknown key 'logs'; did you mean 'log'?" },
        { "zzzzzzzzzzzz: 1\n", "v.yaml:1:1: unknown key 'zzzzzzzzzzzz'; 'vhive-ctl help config' lists the known ones" },
        { "log:\n  level: loud\n", "v.yaml:2:10: log.level: 'loud' is not one of error|warn|info|debug" },
        { "log: { level: info }\nlog.level: warn\n", "v.yaml:2:1: log.level is set on line 1 already; remove one of "
                                                     "the two" },
        { "log:\n  level: info\nlog:\n  format: json\n", "v.yaml:3:1: section log is on line 1 already; join the two" },
        { "function: { memory: 32M }", "v.yaml:1:21: function.memory: '32M' is out of range: 96M to 65536M are "
                                       "allowed" },
        { "function: { memory: lots }", "v.yaml:1:21: function.memory: 'lots' is not a size such as 256M or 2G" },
        { "function: { memory: 18446744073709551616 }",
          "v.yaml:1:21: function.memory: '18446744073709551616' is not a size such as 256M or 2G" },
        { "function: { memory: 99999999999T }", "v.yaml:1:21: function.memory: '99999999999T' is not a size such as "
                                                "256M or 2G" },
        { "function: { cpus: -1 }", "v.yaml:1:19: function.cpus: '-1' is not a whole number" },
        { "function: { cpus: 33 }", "v.yaml:1:19: function.cpus: '33' is out of range: 1 to 32 are allowed" },
        { "timeout: { stop: 10 }", "v.yaml:1:18: timeout.stop: '10' is not a duration such as 500ms or 30s" },
        { "timeout: { hello: 2h }", "v.yaml:1:19: timeout.hello: '2h' is out of range: 100ms to 3600000ms are "
                                    "allowed" },
        { "net: { allow_private: maybe }", "v.yaml:1:23: net.allow_private: 'maybe' is neither true nor false" },
        { "net: { pool: 198.18.0.0 }", "v.yaml:1:14: net.pool: '198.18.0.0' is not an IPv4 network such as "
                                       "198.18.0.0/15" },
        { "net: { pool: 198.18.0.0/33 }", "v.yaml:1:14: net.pool: '198.18.0.0/33': the prefix must be /8 to /28" },
        { "net: { pool: 198.19.0.0/15 }", "v.yaml:1:14: net.pool: '198.19.0.0/15' has address bits beyond its "
                                          "prefix" },
        { "state_dir: here\n", "v.yaml:1:12: state_dir: 'here' is not an absolute path" },
        { "vmm: { qemu: '' }", "v.yaml:1:14: vmm.qemu: value is empty" },
        { "vmm: { qemu: \"a\\nb\" }", "v.yaml:1:14: vmm.qemu: value has a control character or is not UTF-8" },
        { "vmm: { qemu: \"a\\0b\" }", "v.yaml:1:14: a zero byte is not allowed" },
        { "vmm:\n  qemu:\n    path: x\n", "v.yaml:3:5: nested too deep; a setting is a section, a key and a value" },
        { "vmm:\n  qemu: [a]\n", "v.yaml:2:9: no setting takes a list; write one value" },
        { "vmm: &a\n  qemu: x\n", "v.yaml:1:6: anchors and tags are not allowed; remove it" },
        { "run_dir: *a\n", "v.yaml:1:10: aliases are not allowed; write the value out" },
        { "run_dir: !!str /x\n", "v.yaml:1:10: anchors and tags are not allowed; write the plain value" },
        { "? { a: b }\n: c\n", "v.yaml:1:3: a key must be a plain word" },
        { "just text\n", "v.yaml:1:1: settings must be 'key: value' lines" },
        { "run_dir: /x\n---\nrun_dir: /y\n", "v.yaml:2:1: a second document is not allowed; remove the '---'" },
        { "run_dir: /x\n  bad: [\n", "v.yaml:2:6: mapping values are not allowed in this context; mend the YAML "
                                     "there" },
    };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(cases); i++) {
        vh_config *c = fresh();
        vh_error err = { 0 };

        assert_int_equal(load(c, cases[i].yaml, &err), VH_EINVALID);
        assert_string_equal(err.msg, cases[i].message);
        vh_config_free(c);
    }
}

static void flags_and_variables_are_named_in_errors(void **state)
{
    static const char *const envp[] = { "VHIVE_LOG_LEVEL=loud", NULL };
    vh_config *c = fresh();
    vh_error err = { 0 };

    (void)state;
    assert_int_equal(vh_config_load_env(c, envp, &err), VH_EINVALID);
    assert_string_equal(err.msg, "VHIVE_LOG_LEVEL: 'loud' is not one of error|warn|info|debug");
    assert_int_equal(vh_config_set(c, "vmm.acel", "kvm", VH_CONFIG_FROM_FLAG, "--set", &err), VH_EINVALID);
    assert_string_equal(err.msg, "--set: unknown key 'vmm.acel'; did you mean 'vmm.accel'?");
    vh_config_free(c);
}

static void files_are_bounded_and_only_the_default_one_may_be_missing(void **state)
{
    vh_config *c = fresh();
    vh_auto_buf vh__buf big = { 0 };
    vh_error err = { 0 };
    char path[96];
    testenv t;

    (void)state;
    testenv_init(&t);
    snprintf(path, sizeof(path), "%s/v.yaml", t.dir);
    assert_int_equal(vh_config_load_file(c, path, &err), -ENOENT);
    while (big.len <= VH_CONFIG_FILE_MAX)
        vh__buf_puts(&big, "# nothing but remarks\n");
    assert_ok(vh__file_write_atomic(path, big.data, big.len, 0600, &err), err);
    assert_int_equal(vh_config_load_file(c, path, &err), VH_ELIMIT);
    assert_ok(vh__file_write_atomic(path, "# none\nlog:\n", 12, 0600, &err), err);
    assert_ok(vh_config_load_file(c, path, &err), err);
    assert_ok(load(c, "", &err), err);
    assert_ok(load(c, "---\n", &err), err);
    vh_config_free(c);
    testenv_fini(&t);
}

static void the_dump_reads_back_to_the_same_values(void **state)
{
    vh_config *a = fresh(), *b = fresh();
    vh_auto_free char *first = NULL;
    vh_error err = { 0 };

    (void)state;
    assert_ok(vh_config_set(a, "vmm.qemu", "q \"#\\ \xc3\xa4", VH_CONFIG_FROM_FLAG, "--vmm-qemu\n", &err), err);
    assert_ok(vh_config_set(a, "timeout.stop", "3s", VH_CONFIG_FROM_ENV, "VHIVE_TIMEOUT_STOP", &err), err);
    assert_ok(vh_config_dump(a, &first, &err), err);
    assert_non_null(strstr(first, "\ntimeout:\n"));
    assert_non_null(strstr(first, "  stop: 3s  # VHIVE_TIMEOUT_STOP\n"));
    assert_ok(load(b, first, &err), err);
    for (size_t i = 0; vh_config_key_at(i); i++)
        assert_string_equal(vh_config_str(a, vh_config_key_at(i)->name), vh_config_str(b, vh_config_key_at(i)->name));
    vh_config_free(a);
    vh_config_free(b);
}

static int build_and_free(void *arg)
{
    vh_auto_free char *text = NULL;
    vh_config *c = NULL;
    int rc;

    (void)arg;
    rc = vh_config_new(&c, NULL);
    if (rc == 0)
        rc = load(c, "log: { level: warn }\nrun_dir: /x\n", NULL);
    if (rc == 0)
        rc = vh_config_dump(c, &text, NULL);
    vh_config_free(c);
    return rc;
}

static void distance_counts_slips(void **state)
{
    static const struct {
        const char *a, *b;
        unsigned slips;
    } pairs[] = {
        { "", "", 0 },       { "run", "run", 0 },   { "", "run", 3 },    { "rnu", "run", 1 }, /* swapped */
        { "rnu", "rm", 2 },  { "ru", "run", 1 },    { "rrun", "run", 1 }, { "rum", "run", 1 },
        { "urn", "run", 1 }, { "nur", "run", 2 },
    };

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(pairs); i++) {
        assert_int_equal(vh_config_distance(pairs[i].a, pairs[i].b), pairs[i].slips);
        assert_int_equal(vh_config_distance(pairs[i].b, pairs[i].a), pairs[i].slips);
    }
}

static void running_out_of_memory_is_an_error_everywhere(void **state)
{
    (void)state;
    failalloc_sweep(build_and_free, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_default_is_a_valid_value),
        cmocka_unit_test(names_of_variable_and_flag_are_made_from_the_key),
        cmocka_unit_test(values_are_read_by_their_type),
        cmocka_unit_test(the_stronger_source_wins_in_any_order),
        cmocka_unit_test(a_bad_value_is_named_with_its_place),
        cmocka_unit_test(flags_and_variables_are_named_in_errors),
        cmocka_unit_test(files_are_bounded_and_only_the_default_one_may_be_missing),
        cmocka_unit_test(the_dump_reads_back_to_the_same_values),
        cmocka_unit_test(distance_counts_slips),
        cmocka_unit_test(running_out_of_memory_is_an_error_everywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
