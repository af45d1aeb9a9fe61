/* Leases: both ways through a namespace, one holder each, nothing left whoever dies. */
#include "netbed.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "clock.h"
#include "failalloc.h"
#include "path.h"

/* Host to guest and back: the guest sees the host's end, the host sees the clone address. */
static void assert_reaches(const vh__net_lease *l, const char *text)
{
    const vh__net_info *i = vh__net_lease_info(l);
    struct sockaddr_in to = at(i->address, 7000);
    vh_auto_fd int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct pollfd pfd = { .fd = s, .events = POLLIN };
    packet got, reply;
    char back[64] = { 0 };

    assert_int_equal(connect(s, (struct sockaddr *)&to, sizeof(to)), 0); /* only its answers are received */
    assert_int_equal(send(s, text, strlen(text), 0), strlen(text));
    got = guest_receive(l);
    assert_string_equal(got.dst, VH_NET_GUEST_IP);
    assert_string_equal(got.src, i->host_end);
    assert_int_equal(port_at(&got, 2), 7000);
    assert_string_equal(text_of(&got), text);
    reply = udp(got.dst, 7000, got.src, port_at(&got, 0), "and back");
    guest_send(l, &reply);
    assert_int_equal(poll(&pfd, 1, NETBED_DEADLINE_MS), 1);
    assert_int_equal(recv(s, back, sizeof(back) - 1, 0), 8);
    assert_string_equal(back, "and back");
}

static void two_leases_differ_and_both_guests_answer(void **state)
{
    netbed b;
    vh__net_lease *one, *two;

    (void)state;
    netbed_init(&b, (vh__net_options){ 0 });
    one = netbed_acquire(&b);
    two = netbed_acquire(&b);
    assert_string_equal(vh__net_lease_info(one)->address, "198.18.0.3");
    assert_string_equal(vh__net_lease_info(two)->address, "198.18.0.5");
    assert_string_equal(vh__net_lease_info(two)->link, "vhve2");
    assert_reaches(one, "to one");
    assert_reaches(two, "to two");
    assert_reaches(one, "to one again");
    vh__net_release(two);
    vh__net_release(one);
    vh__net_release(NULL);
    netbed_fini(&b);
}

static void the_lowest_free_id_is_leased_again_and_works(void **state)
{
    netbed b;
    vh__net_lease *l[3];

    (void)state;
    netbed_init(&b, (vh__net_options){ 0 });
    for (int i = 0; i < 3; i++)
        l[i] = netbed_acquire(&b);
    for (int round = 0; round < 3; round++) {
        vh__net_release(l[1]);
        l[1] = netbed_acquire(&b);
        assert_int_equal(vh__net_lease_info(l[1])->id, 2);
        assert_reaches(l[1], "again");
    }
    for (int i = 0; i < 3; i++)
        vh__net_release(l[i]);
    netbed_fini(&b);
}

static void the_callers_thread_stays_where_it_is(void **state)
{
    netbed b;
    vh__net_lease *l;
    char before[64] = { 0 }, after[64] = { 0 }, path[64], inside[64] = { 0 };

    (void)state;
    netbed_init(&b, (vh__net_options){ 0 });
    assert_true(readlink("/proc/thread-self/ns/net", before, sizeof(before) - 1) > 0);
    l = netbed_acquire(&b);
    assert_true(readlink("/proc/thread-self/ns/net", after, sizeof(after) - 1) > 0);
    assert_string_equal(before, after);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", vh__net_lease_info(l)->netns_fd);
    assert_true(readlink(path, inside, sizeof(inside) - 1) > 0);
    assert_string_not_equal(before, inside);
    vh__net_release(l);
    netbed_fini(&b);
}

static void a_full_pool_says_so(void **state)
{
    netbed b;
    vh__net_lease *l[3], *more = NULL;
    vh__wait w = vh__wait_from(NULL, NETBED_DEADLINE_MS);
    vh_error err = { 0 };

    (void)state;
    netbed_init(&b, (vh__net_options){ .pool = "198.51.100.0/29" });
    for (int i = 0; i < 3; i++)
        l[i] = netbed_acquire(&b);
    assert_string_equal(vh__net_lease_info(l[2])->address, "198.51.100.7");
    assert_reaches(l[2], "the last");
    assert_int_equal(vh__net_acquire(b.net, &w, &more, &err), VH_ELIMIT);
    assert_non_null(strstr(err.msg, "all 3 addresses"));
    assert_null(more);
    for (int i = 0; i < 3; i++)
        vh__net_release(l[i]);
    netbed_fini(&b);
}

/* What a holder tells of itself. */
struct told {
    char link[16];
    pid_t shim;
};

/* A process with a lease that waits to be killed; with |shim|, so does a child of it with copies of all. */
static pid_t holder(netbed *b, bool shim, struct told *told)
{
    int tell[2];
    pid_t pid;

    assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        vh__net_lease *l = netbed_acquire_or_exit(b);
        struct told t = { .shim = 0 };

        snprintf(t.link, sizeof(t.link), "%s", vh__net_lease_info(l)->link);
        if (shim)
            t.shim = fork();
        if ((!shim || t.shim) && write(tell[1], &t, sizeof(t)) != sizeof(t))
            _exit(1);
        for (;;)
            pause();
    }
    close(tell[1]);
    assert_int_equal(read(tell[0], told, sizeof(*told)), sizeof(*told));
    close(tell[0]);
    return pid;
}

static void end_holder(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* The kernel takes down an unused namespace in its own time. */
static void wait_until_gone(const char *link)
{
    vh__wait w = vh__wait_from(NULL, NETBED_DEADLINE_MS);
    vh_error err = { 0 };

    while (if_nametoindex(link))
        assert_ok(vh__wait_sleep(&w, 5, link, &err), err);
}

static void reap(netbed *b)
{
    vh__wait w = vh__wait_from(NULL, NETBED_DEADLINE_MS);
    vh_error err = { 0 };

    assert_ok(vh__net_reap(b->net, &w, &err), err);
}

static bool has_entry(const netbed *b, const char *id)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", b->lease_dir, id);
    return access(path, F_OK) == 0;
}

static void what_a_killed_holder_had_vanishes_and_its_lease_is_reaped(void **state)
{
    netbed b;
    struct told told;
    char now[4096];
    pid_t pid;

    (void)state;
    netbed_init(&b, (vh__net_options){ 0 });
    pid = holder(&b, false, &told);
    reap(&b);
    assert_true(has_entry(&b, "1"));
    assert_int_not_equal(if_nametoindex(told.link), 0);
    end_holder(pid);
    wait_until_gone(told.link);
    assert_true(has_entry(&b, "1"));
    reap(&b);
    assert_false(has_entry(&b, "1"));
    netbed_state(now, sizeof(now));
    assert_string_equal(now, b.before);
    netbed_fini(&b);
}

static void reaping_does_not_wait_for_the_kernel(void **state)
{
    netbed b;
    struct told told;

    (void)state;
    netbed_init(&b, (vh__net_options){ 0 });
    for (int i = 0; i < 3; i++) {
        vh__net_lease *l;

        end_holder(holder(&b, false, &told));
        reap(&b);
        assert_int_equal(if_nametoindex(told.link), 0);
        l = netbed_acquire(&b);
        assert_string_equal(vh__net_lease_info(l)->link, told.link);
        assert_reaches(l, "after a crash");
        vh__net_release(l);
    }
    netbed_fini(&b);
}

static void a_shim_keeps_the_lease_of_its_dead_maker(void **state)
{
    netbed b;
    struct told told;
    vh__net_lease *other;

    (void)state;
    netbed_init(&b, (vh__net_options){ 0 });
    end_holder(holder(&b, true, &told));
    reap(&b);
    assert_true(has_entry(&b, "1"));
    assert_int_not_equal(if_nametoindex(told.link), 0);
    other = netbed_acquire(&b);
    assert_int_equal(vh__net_lease_info(other)->id, 2);
    vh__net_release(other); /* not the last: the table stays */
    assert_int_equal(kill(told.shim, SIGKILL), 0);
    wait_until_gone(told.link);
    reap(&b);
    assert_false(has_entry(&b, "1"));
    netbed_fini(&b);
}

static void stale_leases_are_reaped_when_the_pool_is_full(void **state)
{
    netbed b;
    struct told told;
    vh__net_lease *l;

    (void)state;
    netbed_init(&b, (vh__net_options){ .pool = "198.51.100.0/30" });
    end_holder(holder(&b, false, &told));
    l = netbed_acquire(&b);
    assert_int_equal(vh__net_lease_info(l)->id, 1);
    vh__net_release(l);
    netbed_fini(&b);
}

#define PROCESSES 4
#define LEASES    4
#define ROUNDS    3

/* Takes, names and gives back leases; between rounds all are given back. */
static void work(netbed *b, int out)
{
    vh__net_lease *l[LEASES];

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < LEASES; i++) {
            char path[128];
            vh_auto_fd int mark = -1;

            l[i] = netbed_acquire_or_exit(b);
            snprintf(path, sizeof(path), "%s/mark-%u", b->t.dir, vh__net_lease_info(l[i])->id);
            mark = open(path, O_CREAT | O_EXCL | O_CLOEXEC, 0600);
            if (mark < 0)
                _exit(2); /* somebody else has this id at the same time */
        }
        for (int i = 0; i < LEASES; i++) {
            char path[128];

            snprintf(path, sizeof(path), "%s/mark-%u", b->t.dir, vh__net_lease_info(l[i])->id);
            if (unlink(path))
                _exit(3);
            vh__net_release(l[i]);
        }
    }
    _exit(write(out, "", 1) == 1 ? 0 : 4);
}

static void processes_in_parallel_never_share_an_id(void **state)
{
    netbed b;
    pid_t pids[PROCESSES];
    int done[2];

    (void)state;
    netbed_init(&b, (vh__net_options){ 0 });
    assert_int_equal(pipe2(done, O_CLOEXEC), 0);
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            work(&b, done[1]);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    close(done[0]);
    close(done[1]);
    netbed_fini(&b);
}

/* One thread of several on one vh__net; reports whether all went well. */
static void *churn(void *arg)
{
    netbed *b = arg;
    vh__net_lease *l[2] = { NULL, NULL };
    vh__wait w = vh__wait_from(NULL, NETBED_DEADLINE_MS);

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 2; i++)
            if (vh__net_acquire(b->net, &w, &l[i], NULL))
                return b;
        for (int i = 0; i < 2; i++)
            vh__net_release(l[i]);
    }
    return NULL;
}

static void threads_may_share_a_network(void **state)
{
    netbed b;
    pthread_t t[PROCESSES];
    void *failed;

    (void)state;
    netbed_init(&b, (vh__net_options){ 0 });
    for (int i = 0; i < PROCESSES; i++)
        assert_int_equal(pthread_create(&t[i], NULL, churn, &b), 0);
    for (int i = 0; i < PROCESSES; i++) {
        assert_int_equal(pthread_join(t[i], &failed), 0);
        assert_null(failed);
    }
    netbed_fini(&b);
}

static void the_lock_is_waited_for_within_the_deadline(void **state)
{
    netbed b;
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    vh_auto_fd int lock = -1;
    vh__net_lease *l = NULL;
    vh__wait w;
    vh_error err = { 0 };
    char path[128];

    (void)state;
    netbed_init(&b, (vh__net_options){ 0 });
    vh__net_release(netbed_acquire(&b)); /* makes the directory */
    snprintf(path, sizeof(path), "%s/.lock", b.lease_dir);
    lock = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(fcntl(lock, F_OFD_SETLK, &all), 0);
    w = vh__wait_from(NULL, 30);
    assert_int_equal(vh__net_acquire(b.net, &w, &l, &err), VH_ETIMEDOUT);
    assert_null(l);
    vh__fd_close(&lock);
    netbed_fini(&b);
}

static void without_privileges_the_error_says_what_is_missing(void **state)
{
    netbed b;
    pid_t pid;
    int status;

    (void)state;
    netbed_init(&b, (vh__net_options){ 0 });
    assert_int_equal(chmod(b.t.dir, 0777), 0); /* the ledger is no obstacle: it would be the user's own */
    pid = fork();
    if (pid == 0) {
        vh__wait w = vh__wait_from(NULL, NETBED_DEADLINE_MS);
        vh__net_lease *l = NULL;
        vh_error err = { 0 };

        if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
            _exit(2);
        if (vh__net_acquire(b.net, &w, &l, &err) != VH_EMISSING || !strstr(err.msg, "run as root"))
            _exit(3);
        _exit(has_entry(&b, "1") ? 4 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    netbed_fini(&b);
}

static int acquire_and_release(void *arg)
{
    netbed *b = arg;
    vh__net *net = NULL;
    vh__net_lease *l = NULL;
    vh__wait w = vh__wait_from(NULL, NETBED_DEADLINE_MS);
    int rc = vh__net_new(b->t.env, &b->o, &net, NULL);

    if (rc == 0)
        rc = vh__net_acquire(net, &w, &l, NULL);
    failalloc_at(0); /* the release is not what is tried */
    vh__net_release(l);
    vh__net_free(net);
    return rc;
}

static void a_failing_allocation_leaves_nothing(void **state)
{
    netbed b;
    unsigned n = 0;
    int rc;

    (void)state;
    netbed_init(&b, (vh__net_options){ 0 });
    do {
        failalloc_at(++n);
        rc = acquire_and_release(&b);
        assert_true(rc == 0 || rc == -ENOMEM);
    } while (rc);
    assert_true(n > 5);
    reap(&b); /* what a release under memory pressure had to leave to the next */
    netbed_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_leases_differ_and_both_guests_answer),
        cmocka_unit_test(the_lowest_free_id_is_leased_again_and_works),
        cmocka_unit_test(the_callers_thread_stays_where_it_is),
        cmocka_unit_test(a_full_pool_says_so),
        cmocka_unit_test(what_a_killed_holder_had_vanishes_and_its_lease_is_reaped),
        cmocka_unit_test(reaping_does_not_wait_for_the_kernel),
        cmocka_unit_test(a_shim_keeps_the_lease_of_its_dead_maker),
        cmocka_unit_test(stale_leases_are_reaped_when_the_pool_is_full),
        cmocka_unit_test(processes_in_parallel_never_share_an_id),
        cmocka_unit_test(threads_may_share_a_network),
        cmocka_unit_test(the_lock_is_waited_for_within_the_deadline),
        cmocka_unit_test(without_privileges_the_error_says_what_is_missing),
        cmocka_unit_test(a_failing_allocation_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
