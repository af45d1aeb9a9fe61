/* Listening sockets: what is in the way, and who may come in. */
#include "testenv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "auto.h"
#include "listen.h"

struct fixture {
    testenv t;
    char path[96];
};

static int setup(void **state)
{
    static struct fixture f;

    testenv_init(&f.t);
    snprintf(f.path, sizeof(f.path), "%s/sock", f.t.dir);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    testenv_fini(&((struct fixture *)*state)->t);
    return 0;
}

static int connected(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    vh_auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(at.sun_path, path);
    return connect(fd, (struct sockaddr *)&at, sizeof(at)) ? -errno : 0;
}

static void a_socket_has_its_mode_and_is_connected_to(void **state)
{
    struct fixture *f = *state;
    vh_auto_fd int fd = -1;
    vh_error err = { 0 };
    struct stat st;

    assert_ok(vh__listen_unix(f->path, 0660, (gid_t)-1, &fd, NULL, &err), err);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_int_equal(connected(f->path), 0);
}

static void a_stale_socket_is_replaced(void **state)
{
    struct fixture *f = *state;
    vh_auto_fd int fd = -1;
    vh_error err = { 0 };

    assert_ok(vh__listen_unix(f->path, 0600, (gid_t)-1, &fd, NULL, &err), err);
    vh__fd_close(&fd);
    assert_int_equal(connected(f->path), -ECONNREFUSED);
    assert_ok(vh__listen_unix(f->path, 0600, (gid_t)-1, &fd, NULL, &err), err);
    assert_int_equal(connected(f->path), 0);
}

static void a_live_socket_is_refused_and_left_alone(void **state)
{
    struct fixture *f = *state;
    vh_auto_fd int first = -1;
    vh_error err = { 0 };
    int second = -1;

    assert_ok(vh__listen_unix(f->path, 0600, (gid_t)-1, &first, NULL, &err), err);
    assert_int_equal(vh__listen_unix(f->path, 0600, (gid_t)-1, &second, NULL, &err), -EADDRINUSE);
    assert_non_null(strstr(err.msg, "another process listens"));
    assert_int_equal(second, -1);
    assert_int_equal(connected(f->path), 0);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    struct fixture *f = *state;
    vh_auto_file FILE *file = fopen(f->path, "w");
    vh_error err = { 0 };
    struct stat st;
    int fd = -1;

    assert_non_null(file);
    assert_int_equal(vh__listen_unix(f->path, 0600, (gid_t)-1, &fd, NULL, &err), -EADDRINUSE);
    assert_non_null(strstr(err.msg, "no socket"));
    assert_int_equal(stat(f->path, &st), 0);
    assert_true(S_ISREG(st.st_mode));
}

static void the_file_goes_with_the_socket_but_not_that_of_another(void **state)
{
    struct fixture *f = *state;
    vh_auto_fd int first = -1, second = -1;
    vh__socket_file old, file;
    vh_error err = { 0 };

    assert_ok(vh__listen_unix(f->path, 0600, (gid_t)-1, &first, &old, &err), err);
    vh__fd_close(&first);
    assert_ok(vh__listen_unix(f->path, 0600, (gid_t)-1, &second, &file, &err), err);
    old.ino += old.ino == file.ino; /* a file system may give the number of the file that was replaced again */
    vh__unlisten_unix(f->path, &old);
    assert_int_equal(connected(f->path), 0);
    vh__unlisten_unix(f->path, &file);
    assert_int_equal(connected(f->path), -ENOENT);
    assert_true(file.ino == 0);
    vh__unlisten_unix(f->path, &file); /* none: nothing to do */
}

static void a_directory_that_stays_locked_holds_nobody_up_for_ever(void **state)
{
    struct fixture *f = *state;
    vh_auto_fd int dir = open(f->t.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
    vh_error err = { 0 };

    assert_int_equal(flock(dir, LOCK_EX), 0);
    (void)alarm(60);
    assert_int_equal(vh__listen_unix(f->path, 0600, (gid_t)-1, &fd, NULL, &err), -EBUSY);
    (void)alarm(0);
    assert_non_null(strstr(err.msg, "locked"));
    assert_int_equal(fd, -1);
    assert_int_equal(flock(dir, LOCK_UN), 0);
    assert_ok(vh__listen_unix(f->path, 0600, (gid_t)-1, &fd, NULL, &err), err);
}

static void what_is_no_place_for_a_socket_is_told(void **state)
{
    struct fixture *f = *state;
    char longer[200] = "/";
    vh_error err = { 0 };
    int fd = -1;

    memset(longer + 1, 'x', 150);
    assert_int_equal(vh__listen_unix("relative", 0600, (gid_t)-1, &fd, NULL, &err), VH_EINVALID);
    assert_int_equal(vh__listen_unix(longer, 0600, (gid_t)-1, &fd, NULL, &err), VH_EINVALID);
    snprintf(longer, sizeof(longer), "%s/none/sock", f->t.dir);
    assert_int_equal(vh__listen_unix(longer, 0600, (gid_t)-1, &fd, NULL, &err), -ENOENT);
    assert_int_equal(fd, -1);
}

static void only_this_machine_gets_to_a_loopback_address(void **state)
{
    static const char *const bad[] = { "0.0.0.0:0", "192.0.2.1:80", "[::]:0",   "localhost:80", "127.0.0.1",
                                       "127.0.0.1:", "127.0.0.1:65536", "[::1:80", ":80", "[]:80", "127.0.0.1:8x", "" };
    vh_error err = { 0 };
    int fd = -1;

    (void)state;
    for (size_t i = 0; i < VH_ARRAY_LEN(bad); i++)
        assert_int_equal(vh__listen_loopback(bad[i], &fd, &err), VH_EINVALID);
    assert_int_equal(fd, -1);
    assert_ok(vh__listen_loopback("127.0.0.1:0", &fd, &err), err);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_socket_has_its_mode_and_is_connected_to, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stale_socket_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(a_live_socket_is_refused_and_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_is_no_socket_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(the_file_goes_with_the_socket_but_not_that_of_another, setup, teardown),
        cmocka_unit_test_setup_teardown(a_directory_that_stays_locked_holds_nobody_up_for_ever, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_place_for_a_socket_is_told, setup, teardown),
        cmocka_unit_test(only_this_machine_gets_to_a_loopback_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
