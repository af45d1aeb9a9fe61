/* Listening Unix sockets and what they leave behind. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "auto.h"
#include "testenv.h"
#include "unix_listen.h"

struct world {
    testenv t;
    char path[96];
    int fd;
    vh__unix_place place;
    vh_error err;
};

static void begin(struct world *w)
{
    memset(w, 0, sizeof(*w));
    testenv_init(&w->t);
    snprintf(w->path, sizeof(w->path), "%s/x.sock", w->t.dir);
}

static void listen_there(struct world *w)
{
    assert_ok(vh__unix_listen(w->path, &w->fd, &w->place, &w->err), w->err);
}

static void it_is_for_owner_and_group_and_goes_with_its_socket(void **state)
{
    struct world w;
    struct stat st;

    (void)state;
    begin(&w);
    listen_there(&w);
    assert_return_code(lstat(w.path, &st), errno);
    assert_int_equal(st.st_mode, S_IFSOCK | 0660);
    vh__unix_unlink(w.path, &w.place);
    close(w.fd);
    assert_int_equal(lstat(w.path, &st), -1);
    testenv_fini(&w.t);
}

static void a_stale_socket_is_replaced_and_a_live_one_is_not(void **state)
{
    struct world w;
    vh__unix_place place = { .ino = 7 };
    int fd = -7;

    (void)state;
    begin(&w);
    listen_there(&w);
    assert_int_equal(vh__unix_listen(w.path, &fd, &place, &w.err), -EADDRINUSE);
    assert_non_null(strstr(w.err.msg, "another process listens"));
    assert_int_equal(fd, -7);
    assert_int_equal(place.ino, 7);
    close(w.fd); /* as a process that is killed */
    listen_there(&w);
    close(w.fd);
    testenv_fini(&w.t);
}

static void a_file_is_not_replaced(void **state)
{
    struct world w;
    FILE *f;

    (void)state;
    begin(&w);
    f = fopen(w.path, "w");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(vh__unix_listen(w.path, &w.fd, &w.place, &w.err), -EADDRINUSE);
    assert_non_null(strstr(w.err.msg, "no socket"));
    assert_int_equal(vh__unix_listen("relative", &w.fd, &w.place, &w.err), VH_EINVALID);
    assert_int_equal(vh__unix_listen("/nowhere/at/all", &w.fd, &w.place, &w.err), -ENOENT);
    testenv_fini(&w.t);
}

static void the_socket_of_another_is_not_removed(void **state)
{
    struct world w;
    vh__unix_place theirs;
    struct stat st;
    int fd;

    (void)state;
    begin(&w);
    listen_there(&w);
    assert_return_code(unlink(w.path), errno);
    assert_ok(vh__unix_listen(w.path, &fd, &theirs, &w.err), w.err);
    vh__unix_unlink(w.path, &w.place);
    assert_return_code(lstat(w.path, &st), errno);
    close(fd);
    close(w.fd);
    testenv_fini(&w.t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_for_owner_and_group_and_goes_with_its_socket),
        cmocka_unit_test(a_stale_socket_is_replaced_and_a_live_one_is_not),
        cmocka_unit_test(a_file_is_not_replaced),
        cmocka_unit_test(the_socket_of_another_is_not_removed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
