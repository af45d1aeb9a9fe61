/* Messages between library and shim over a real socket pair. */
#include "testenv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "failalloc.h"
#include "shim.h"

struct pair {
    testenv env;
    int fd[2];
};

static int set_up(void **state)
{
    struct pair *p = calloc(1, sizeof(*p));

    testenv_init(&p->env);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->fd), 0);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct pair *p = *state;

    vh__fd_close(&p->fd[0]);
    vh__fd_close(&p->fd[1]);
    testenv_fini(&p->env);
    free(p);
    return 0;
}

static void descriptors_arrive_under_their_names(void **state)
{
    struct pair *p = *state;
    vh__wait w = vh__wait_from(NULL, 1000);
    vh__shim_fd fds[] = { { "absent", -1 }, { "null", open("/dev/null", O_RDONLY) }, { "zero", open("/dev/zero", O_RDONLY) } };
    vh__shim_message m = { 0 };
    struct stat zero, got;
    vh_error err = { 0 };
    int fd;

    assert_ok(vh__shim_send(p->fd[0], cJSON_CreateObject(), fds, 3, "pay\0load", 8, &err), err);
    assert_ok(vh__shim_recv(p->fd[1], &w, &m, &err), err);
    assert_int_equal(m.payload_len, 8);
    assert_memory_equal(m.payload, "pay\0load", 8);
    assert_int_equal(vh__shim_take_fd(&m, "absent"), -1);
    fd = vh__shim_take_fd(&m, "zero");
    assert_int_equal(fstat(fd, &got), 0);
    assert_int_equal(stat("/dev/zero", &zero), 0);
    assert_true(got.st_rdev == zero.st_rdev);
    assert_int_equal(vh__shim_take_fd(&m, "zero"), -1);
    close(fd);
    close(fds[1].fd);
    close(fds[2].fd);
    vh__shim_message_fini(&m); /* closes "null" */
}

static void a_closed_peer_is_a_broken_pipe(void **state)
{
    struct pair *p = *state;
    vh__wait w = vh__wait_from(NULL, 1000);
    vh__shim_message m = { 0 };
    vh_error err = { 0 };

    vh__fd_close(&p->fd[0]);
    assert_int_equal(vh__shim_recv(p->fd[1], &w, &m, &err), -EPIPE);
    assert_int_equal(vh__shim_send(p->fd[1], cJSON_CreateObject(), NULL, 0, NULL, 0, &err), -EPIPE);
}

static void what_is_no_message_is_refused(void **state)
{
    struct pair *p = *state;
    vh__wait w = vh__wait_from(NULL, 1000);
    vh__shim_message m = { 0 };
    vh_error err = { 0 };

    assert_int_equal(send(p->fd[0], "{\"a\":", 5, 0), 5);
    assert_int_equal(vh__shim_recv(p->fd[1], &w, &m, &err), VH_EPROTOCOL);
}

static void too_large_a_message_is_refused_before_it_is_sent(void **state)
{
    struct pair *p = *state;
    static char big[VH_SHIM_MESSAGE_MAX];
    vh_error err = { 0 };

    assert_int_equal(vh__shim_send(p->fd[0], cJSON_CreateObject(), NULL, 0, big, sizeof(big), &err), VH_ELIMIT);
}

static void an_error_keeps_its_code_and_words(void **state)
{
    struct pair *p = *state;
    vh__wait w = vh__wait_from(NULL, 1000);
    vh__shim_message m = { 0 };
    vh_error err = { 0 }, got = { 0 };

    (void)vh_error_set(&err, VH_EGUEST, "it \"fell\" over");
    assert_ok(vh__shim_send(p->fd[0], vh__shim_error(VH_EGUEST, &err), NULL, 0, NULL, 0, &err), err);
    assert_ok(vh__shim_recv(p->fd[1], &w, &m, &err), err);
    assert_int_equal(vh__shim_result(&m, &got), VH_EGUEST);
    assert_int_equal(got.code, VH_EGUEST);
    assert_string_equal(got.msg, "it \"fell\" over");
    vh__shim_message_fini(&m);
}

static const vh__vmm_config example = { .binary = "/q", .accel = "tcg", .run_dir = "/r", .rootfs = "/f",
                                        .guest_mac = "m", .memory_mib = 256, .cpus = 2, .uid = 7,
                                        .memory = VH_VMM_MEMORY_PRIVATE, .preload = "/p" };

static void a_spawn_request_survives_the_journey(void **state)
{
    cJSON *j = vh__shim_spawn_encode(&example);
    vh__vmm_config got;
    vh_error err = { 0 };

    (void)state;
    assert_ok(vh__shim_spawn_decode(j, &got, &err), err);
    assert_string_equal(got.preload, "/p");
    assert_null(got.kernel);
    assert_int_equal(got.memory, VH_VMM_MEMORY_PRIVATE);
    assert_int_equal(got.uid, 7);
    cJSON_DeleteItemFromObject(j, "binary");
    assert_int_equal(vh__shim_spawn_decode(j, &got, &err), VH_EPROTOCOL);
    cJSON_Delete(j);
}

static int decoded(const vh__vmm_config *c)
{
    cJSON *j = vh__shim_spawn_encode(c);
    vh__vmm_config got;
    int rc = vh__shim_spawn_decode(j, &got, NULL);

    cJSON_Delete(j);
    return rc;
}

static void a_spawn_request_as_root_is_refused(void **state)
{
    vh__vmm_config root = example;

    (void)state;
    root.uid = 0;
    assert_int_equal(decoded(&root), VH_EPROTOCOL);
}

static void only_memory_by_faults_goes_without_a_disk(void **state)
{
    vh__vmm_config c = example;

    (void)state;
    c.rootfs = NULL;
    assert_int_equal(decoded(&c), VH_EPROTOCOL);
    c.memory = VH_VMM_MEMORY_UFFD;
    assert_int_equal(decoded(&c), 0);
    c.rootfs = "/f";
    assert_int_equal(decoded(&c), VH_EPROTOCOL);
}

static void a_bind_request_survives_the_journey(void **state)
{
    cJSON *j = vh__shim_bind_encode(&(vh__shim_bind){ .snapshot = "abc", .record = true });
    vh__shim_bind got;
    vh_error err = { 0 };

    (void)state;
    assert_ok(vh__shim_bind_decode(j, &got, &err), err);
    assert_string_equal(got.snapshot, "abc");
    assert_true(got.record && !got.replay);
    cJSON_DeleteItemFromObject(j, "snapshot");
    assert_int_equal(vh__shim_bind_decode(j, &got, &err), VH_EPROTOCOL);
    cJSON_Delete(j);
}

#define test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(descriptors_arrive_under_their_names),
        test(a_closed_peer_is_a_broken_pipe),
        test(what_is_no_message_is_refused),
        test(too_large_a_message_is_refused_before_it_is_sent),
        test(an_error_keeps_its_code_and_words),
        cmocka_unit_test(a_spawn_request_survives_the_journey),
        cmocka_unit_test(a_spawn_request_as_root_is_refused),
        cmocka_unit_test(only_memory_by_faults_goes_without_a_disk),
        cmocka_unit_test(a_bind_request_survives_the_journey),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
