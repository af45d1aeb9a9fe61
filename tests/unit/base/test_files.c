/* Paths, whole files, descriptors over sockets. */
#include "testenv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "path.h"

static void directories_are_made_with_their_parents(void **state)
{
    vh_error err = { 0 };
    struct stat st;
    testenv t;
    char *deep;

    (void)state;
    testenv_init(&t);
    deep = vh__path_join(t.dir, "a/b//c");
    assert_ok(vh__path_mkdirs(deep, 0700, &err), err);
    assert_ok(vh__path_mkdirs(deep, 0700, &err), err);
    assert_int_equal(stat(deep, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    free(deep);
    testenv_fini(&t);
}

static void removal_does_not_follow_links(void **state)
{
    vh_error err = { 0 };
    char outside[96], tree[96], link[128];
    testenv t;

    (void)state;
    testenv_init(&t);
    snprintf(outside, sizeof(outside), "%s/outside", t.dir);
    snprintf(tree, sizeof(tree), "%s/tree", t.dir);
    snprintf(link, sizeof(link), "%s/link", tree);
    assert_ok(vh__file_write_atomic(outside, "x", 1, 0600, &err), err);
    assert_ok(vh__path_mkdirs(tree, 0700, &err), err);
    assert_int_equal(symlink(t.dir, link), 0);
    assert_ok(vh__path_remove(tree, &err), err);
    assert_int_equal(access(tree, F_OK), -1);
    assert_int_equal(access(outside, F_OK), 0);
    assert_ok(vh__path_remove(tree, &err), err); /* again: a missing one is fine */
    testenv_fini(&t);
}

static void an_atomic_write_replaces_and_leaves_no_other_file(void **state)
{
    vh_error err = { 0 };
    vh__buf b = { 0 };
    char path[96];
    testenv t;

    (void)state;
    testenv_init(&t);
    snprintf(path, sizeof(path), "%s/file", t.dir);
    assert_ok(vh__file_write_atomic(path, "one", 3, 0600, &err), err);
    assert_ok(vh__file_write_atomic(path, "two!", 4, 0600, &err), err);
    assert_ok(vh__file_read(path, 10, &b, &err), err);
    assert_string_equal(b.data, "two!");
    vh__buf_clear(&b);
    assert_int_equal(vh__file_read(path, 3, &b, &err), VH_ELIMIT);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(t.dir), 0); /* nothing else was in it */
    vh__buf_fini(&b);
    testenv_fini(&t);
}

static void a_write_that_fails_leaves_the_old_content(void **state)
{
    vh_error err = { 0 };

    (void)state;
    assert_int_equal(vh__file_write_atomic("/proc/nothing/here", "x", 1, 0600, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "/proc/nothing/here"));
}

static void reading_beyond_the_end_is_damage(void **state)
{
    char bytes[8];
    vh_error err = { 0 };
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)state;
    assert_int_equal(vh__fd_pread_full(fd, bytes, 8, 0, "the void", &err), VH_ECORRUPT);
    assert_non_null(strstr(err.msg, "the void"));
    close(fd);
}

static void a_message_with_too_many_descriptors_leaves_none_open(void **state)
{
    int pair[2], fds[VH_FDS_MAX], many[VH_FDS_MAX + 1];
    char byte = 0;
    struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
    char control[CMSG_SPACE(sizeof(many))] = { 0 };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    vh_error err = { 0 };
    size_t n, nfds;
    testenv t;

    (void)state;
    testenv_init(&t);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    for (int i = 0; i <= VH_FDS_MAX; i++)
        many[i] = pair[0];
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(many));
    memcpy(CMSG_DATA(c), many, sizeof(many));
    assert_int_equal(sendmsg(pair[0], &m, 0), 1);
    assert_int_equal(vh__fd_recv(pair[1], &byte, 1, &n, fds, &nfds, &err), VH_EPROTOCOL);
    close(pair[0]);
    close(pair[1]);
    testenv_fini(&t); /* counts descriptors */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directories_are_made_with_their_parents),
        cmocka_unit_test(removal_does_not_follow_links),
        cmocka_unit_test(an_atomic_write_replaces_and_leaves_no_other_file),
        cmocka_unit_test(a_write_that_fails_leaves_the_old_content),
        cmocka_unit_test(reading_beyond_the_end_is_damage),
        cmocka_unit_test(a_message_with_too_many_descriptors_leaves_none_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
