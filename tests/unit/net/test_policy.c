/*
 * What a guest may reach. The rest of the world is a tap in the test's "host" with the default route, so
 * every packet that gets out is seen. That something is dropped is shown by order: it is sent first, then a
 * packet of the same guest that is let through, and that one arrives first.
 */
#include "netbed.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <sys/mount.h>

#include "fd.h"

#define WORLD_HOST "192.0.2.1" /* the host's address out there */
#define WORLD_MAC  "02:00:00:00:00:99"
#define ALLOWED    "203.0.113.7"
#define GUEST_PORT 4444

struct world {
    netbed b;
    int tap; /* frames that left the host */
};

static void world_init(struct world *w, vh__net_options o)
{
    struct ifreq r = { .ifr_name = "world0", .ifr_flags = IFF_TAP | IFF_NO_PI };

    netbed_init(&w->b, o);
    w->tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    assert_true(w->tap >= 0);
    assert_int_equal(ioctl(w->tap, TUNSETIFF, &r), 0);
    RUN("ip", "addr", "add", WORLD_HOST "/24", "dev", "world0");
    RUN("ip", "link", "set", "world0", "up");
    RUN("ip", "neigh", "add", "192.0.2.254", "lladdr", WORLD_MAC, "dev", "world0");
    RUN("ip", "route", "add", "default", "via", "192.0.2.254");
}

static void world_fini(struct world *w)
{
    close(w->tap);
    netbed_fini(&w->b);
}

/* The next UDP datagram that left the host. */
static packet world_receive(struct world *w)
{
    for (;;) {
        packet p = tap_receive(w->tap, 0);

        if (p.protocol == IPPROTO_UDP)
            return p;
    }
}

static void send_to_port(const vh__net_lease *l, const char *dst, uint16_t port, const char *text)
{
    packet p = udp(VH_NET_GUEST_IP, GUEST_PORT, dst, port, text);

    guest_send(l, &p);
}

static void send_to(const vh__net_lease *l, const char *dst, const char *text)
{
    send_to_port(l, dst, 5353, text);
}

static void assert_gets_out(struct world *w, const vh__net_lease *l, const char *dst)
{
    packet got;

    send_to(l, dst, dst);
    got = world_receive(w);
    assert_string_equal(got.dst, dst);
    assert_string_equal(got.src, WORLD_HOST); /* masqueraded */
    assert_string_equal(text_of(&got), dst);
}

/* Asserts that nothing sent to |dst| gets out, while what comes after it does. */
static void assert_dropped(struct world *w, const vh__net_lease *l, const char *dst)
{
    packet got;

    send_to(l, dst, "forbidden");
    send_to(l, ALLOWED, "allowed");
    got = world_receive(w);
    if (strcmp(got.dst, ALLOWED) != 0)
        fail_msg("a packet to %s got out", got.dst);
}

static const char *const private_ranges[] = { "10.1.2.3",   "172.16.5.5", "172.31.0.1",  "192.168.1.1",
                                              "100.64.0.1", "198.19.0.9", "224.0.0.251", "240.0.0.1" };

static void public_egress_is_masqueraded_and_leaves_private_ranges_out(void **state)
{
    struct world w;
    vh__net_lease *l;

    (void)state;
    world_init(&w, (vh__net_options){ 0 });
    l = netbed_acquire(&w.b);
    assert_gets_out(&w, l, ALLOWED);
    assert_gets_out(&w, l, "8.8.8.8");
    for (size_t i = 0; i < VH_ARRAY_LEN(private_ranges); i++)
        assert_dropped(&w, l, private_ranges[i]);
    assert_dropped(&w, l, "169.254.169.254");
    vh__net_release(l);
    world_fini(&w);
}

static void private_ranges_are_opened_by_an_option_and_metadata_never(void **state)
{
    struct world w;
    vh__net_lease *l;

    (void)state;
    world_init(&w, (vh__net_options){ .allow_private = true });
    l = netbed_acquire(&w.b);
    assert_string_equal(vh__net_lease_info(l)->link, "vhvp1");
    assert_gets_out(&w, l, "10.1.2.3");
    assert_gets_out(&w, l, "192.168.1.1");
    assert_dropped(&w, l, "169.254.169.254");
    vh__net_release(l);
    world_fini(&w);
}

/* Gives this test program, and nobody else, another /etc/resolv.conf. */
static void set_resolvers(const char *dir, const char *text)
{
    char path[128];
    vh_error err = { 0 };

    if (access("/etc/resolv.conf", F_OK) < 0)
        testenv_skip("root", "there is no /etc/resolv.conf to cover");
    snprintf(path, sizeof(path), "%s/resolv.conf", dir);
    assert_ok(vh__file_write_atomic(path, text, strlen(text), 0644, &err), err);
    assert_int_equal(unshare(CLONE_NEWNS), 0);
    assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    assert_int_equal(mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL), 0);
}

static void the_hosts_name_servers_may_be_asked_names_and_nothing_else(void **state)
{
    static const char *const servers[] = { "10.0.0.2", "169.254.169.253" };
    vh__net_resolvers found;
    struct world w;
    vh__net_lease *l;
    packet got;

    (void)state;
    world_init(&w, (vh__net_options){ 0 });
    set_resolvers(w.b.t.dir, "# comment\nnameserver 127.0.0.53\nnameserver 10.0.0.2\nnameserver ::1\n"
                             "nameserver 169.254.169.253\nsearch example.org\n");
    vh__net_resolvers_get(&found);
    assert_int_equal(found.n, 2);
    l = netbed_acquire(&w.b);
    for (size_t i = 0; i < VH_ARRAY_LEN(servers); i++) {
        assert_string_equal(found.address[i], servers[i]);
        send_to_port(l, servers[i], 53, "name?");
        got = world_receive(&w);
        assert_string_equal(got.dst, servers[i]);
        assert_dropped(&w, l, servers[i]); /* on another port */
    }
    vh__net_release(l);
    assert_int_equal(umount2("/etc/resolv.conf", MNT_DETACH), 0);
    world_fini(&w);
}

static void without_egress_only_its_neighbours_get_out(void **state)
{
    struct world w;
    vh__net_options closed = { .egress = "none", .allow_private = true };
    vh__net_lease *in = NULL, *out;
    vh__net *net = NULL;
    vh__wait wait = vh__wait_from(NULL, NETBED_DEADLINE_MS);
    vh_error err = { 0 };
    packet got;

    (void)state;
    world_init(&w, (vh__net_options){ 0 });
    closed.lease_dir = w.b.lease_dir;
    assert_ok(vh__net_new(w.b.t.env, &closed, &net, &err), err);
    out = netbed_acquire(&w.b); /* both policies at once, in one table */
    assert_ok(vh__net_acquire(net, &wait, &in, &err), err);
    assert_string_equal(vh__net_lease_info(in)->link, "vhvn2");
    send_to(in, ALLOWED, "from the closed one");
    send_to(out, ALLOWED, "from the open one");
    got = world_receive(&w);
    assert_string_equal(text_of(&got), "from the open one");
    vh__net_release(in);
    vh__net_free(net);
    vh__net_release(out);
    world_fini(&w);
}

static void a_forged_source_does_not_leave_the_namespace(void **state)
{
    struct world w;
    vh__net_lease *l;
    packet forged = udp("192.168.7.7", GUEST_PORT, ALLOWED, 53, "forged"), got;

    (void)state;
    world_init(&w, (vh__net_options){ .allow_private = true });
    l = netbed_acquire(&w.b);
    guest_send(l, &forged);
    send_to(l, ALLOWED, "honest");
    got = world_receive(&w);
    assert_string_equal(text_of(&got), "honest");
    vh__net_release(l);
    world_fini(&w);
}

static void guests_do_not_reach_one_another(void **state)
{
    struct world w;
    vh__net_lease *one, *two;
    vh_auto_fd int s = -1;
    struct sockaddr_in to;
    packet got;

    (void)state;
    world_init(&w, (vh__net_options){ .allow_private = true });
    one = netbed_acquire(&w.b);
    two = netbed_acquire(&w.b);
    send_to(one, vh__net_lease_info(two)->address, "from a neighbour");
    assert_gets_out(&w, one, ALLOWED); /* it would have arrived by now */
    s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    to = at(vh__net_lease_info(two)->address, 53);
    assert_int_equal(sendto(s, "from the host", 13, 0, (struct sockaddr *)&to, sizeof(to)), 13);
    got = guest_receive(two);
    assert_string_equal(text_of(&got), "from the host");
    vh__fd_close(&s);
    vh__net_release(two);
    vh__net_release(one);
    world_fini(&w);
}

static void the_host_answers_pings_and_nothing_else(void **state)
{
    struct world w;
    vh__net_lease *l;
    static const char *const host[] = { WORLD_HOST, NULL };
    vh_auto_fd int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(53) };
    char byte;

    (void)state;
    world_init(&w, (vh__net_options){ .allow_private = true });
    l = netbed_acquire(&w.b);
    assert_int_equal(bind(s, (struct sockaddr *)&any, sizeof(any)), 0);
    for (size_t i = 0; i < VH_ARRAY_LEN(host); i++) {
        const char *addr = host[i] ? host[i] : vh__net_lease_info(l)->host_end;
        packet echo = ping(VH_NET_GUEST_IP, addr), got;

        send_to(l, addr, "a query");
        guest_send(l, &echo);
        got = guest_receive(l);
        assert_int_equal(got.protocol, IPPROTO_ICMP);
        assert_int_equal(got.payload[0], 0); /* echo reply */
        assert_string_equal(got.src, addr);
        assert_int_equal(recv(s, &byte, 1, MSG_DONTWAIT), -1);
        assert_int_equal(errno, EAGAIN);
    }
    vh__net_release(l);
    world_fini(&w);
}

static void rules_of_others_are_left_as_they_were(void **state)
{
    struct world w;
    char before[4096], after[4096];

    (void)state;
    world_init(&w, (vh__net_options){ 0 });
    RUN("nft", "add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; "
               "policy drop; }; "
               "add rule ip filter FORWARD counter accept");
    netbed_run((const char *const[]){ "nft", "list", "ruleset", NULL }, before, sizeof(before));
    vh__net_release(netbed_acquire(&w.b));
    netbed_run((const char *const[]){ "nft", "list", "ruleset", NULL }, after, sizeof(after));
    assert_string_equal(before, after);
    RUN("nft", "delete table ip filter");
    world_fini(&w);
}

static const char ip_forward[] = "/proc/sys/net/ipv4/ip_forward";

static void set_forwarding(char to)
{
    vh_auto_fd int fd = open(ip_forward, O_WRONLY | O_CLOEXEC);

    assert_int_equal(write(fd, &to, 1), 1);
}

static char forwarding(void)
{
    vh_auto_fd int fd = open(ip_forward, O_RDONLY | O_CLOEXEC);
    char now = 0;

    assert_int_equal(read(fd, &now, 1), 1);
    return now;
}

static void forwarding_is_switched_on_only_for_egress(void **state)
{
    struct world w;
    vh__net_options o = { .egress = "none" };

    (void)state;
    world_init(&w, o);
    set_forwarding('0');
    vh__net_release(netbed_acquire(&w.b));
    assert_int_equal(forwarding(), '0');
    world_fini(&w);
    o.egress = "public";
    world_init(&w, o);
    set_forwarding('0');
    vh__net_release(netbed_acquire(&w.b));
    assert_int_equal(forwarding(), '1');
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_egress_is_masqueraded_and_leaves_private_ranges_out),
        cmocka_unit_test(private_ranges_are_opened_by_an_option_and_metadata_never),
        cmocka_unit_test(the_hosts_name_servers_may_be_asked_names_and_nothing_else),
        cmocka_unit_test(without_egress_only_its_neighbours_get_out),
        cmocka_unit_test(a_forged_source_does_not_leave_the_namespace),
        cmocka_unit_test(guests_do_not_reach_one_another),
        cmocka_unit_test(the_host_answers_pings_and_nothing_else),
        cmocka_unit_test(rules_of_others_are_left_as_they_were),
        cmocka_unit_test(forwarding_is_switched_on_only_for_egress),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
