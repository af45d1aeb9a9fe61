/*
 * VMs that are a thread's sleep and a server of this process: for what real ones do not do on demand (fail, hang, die),
 * and for many of them. Functions that are called get an answer by HTTP from the server.
 */
#ifndef VH_TESTS_FAKE_VMS_H
#define VH_TESTS_FAKE_VMS_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auto.h"
#include "clock.h"
#include "fn.h"
#include "wait.h"

/* All of a test's VMs; stands in for its vh_vms. */
struct fakes {
    atomic_uint runs, alive, most_alive, saves, tends; /* counted */
    atomic_bool fail, hang;                            /* of runs to come */
    atomic_bool die_saved;                             /* the next one dies while it is saved */
    atomic_uint start_ms, save_ms;
    atomic_uint pause_ms; /* what the last pause was given */
    atomic_bool boot;    /* they come up by booting */
    uint16_t port;       /* of the server */
    int listener;
    pthread_t server;
    atomic_uint answer_ms;
    struct fake *_Atomic last;
};

struct fake {
    struct fakes *all;
    char id[24];
    int died; /* eventfd */
    bool gone; /* it died, and an operation has heard of it: |died| tells nothing */
    bool booted;
    vh_output_fn output;
    void *output_arg;
};

static struct fake *fake_of(const vh_vm *vm)
{
    return (struct fake *)(uintptr_t)vm;
}

static int fake_run(vh_vms *vms, const vh_run_options *o, const vh_call *call, vh_vm **vm, vh_error *err)
{
    struct fakes *all = (struct fakes *)(void *)vms;
    vh__wait w = vh__wait_from(call, 60000);
    struct fake *v;
    unsigned alive;
    int rc = vh__wait_sleep(&w, all->hang ? 60000 : all->start_ms, "fake start", err);

    if (rc)
        return rc;
    if (all->fail)
        return vh_error_set(err, VH_EGUEST, "the fake VM does not start");
    v = calloc(1, sizeof(*v));
    if (!v)
        return vh_error_set(err, -ENOMEM, "fake VM");
    v->all = all;
    v->died = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    v->booted = all->boot;
    v->output = o->output;
    v->output_arg = o->output_arg;
    snprintf(v->id, sizeof(v->id), "vm-%08x", ++all->runs);
    alive = ++all->alive;
    if (alive > all->most_alive)
        all->most_alive = alive;
    v->output(VH_STREAM_STDOUT, "up\n", 3, v->output_arg);
    all->last = v;
    *vm = (vh_vm *)(void *)v;
    return 0;
}

static void fake_facts(vh_vm *vm, vh_instance_info *info, vh_phases *phases)
{
    const struct fake *v = fake_of(vm);

    strcpy(info->vm, v->id);
    strcpy(info->address, "127.0.0.1");
    strcpy(info->engine, v->booted ? "boot" : "reap");
    strcpy(info->snapshot, v->booted ? "" : "0123456789abcdef0123");
    info->port = v->all->port;
    *phases = (vh_phases){ 0 };
}

static int fake_save(vh_vm *vm, bool again, const vh_call *call, char *id, vh_error *err)
{
    (void)again;
    (void)call;
    usleep(fake_of(vm)->all->save_ms * 1000);
    fake_of(vm)->gone = atomic_exchange(&fake_of(vm)->all->die_saved, false);
    if (fake_of(vm)->gone)
        return vh_error_set(err, VH_EVMM, "the fake VM died");
    strcpy(id, "0123456789abcdef0123");
    fake_of(vm)->all->saves++;
    return 0;
}

static int fake_nothing(vh_vm *vm, const vh_call *call, vh_error *err)
{
    (void)vm;
    (void)call;
    (void)err;
    return 0;
}

static int fake_pause(vh_vm *vm, const vh_call *call, vh_error *err)
{
    (void)err;
    fake_of(vm)->all->pause_ms = call->timeout_ms;
    return 0;
}

static int fake_tend(vh_vm *vm, const vh_call *call, vh_error *err)
{
    (void)call;
    (void)err;
    fake_of(vm)->all->tends++;
    return 0;
}

static int fake_event_fd(const vh_vm *vm)
{
    return fake_of(vm)->died;
}

static bool fake_ended(vh_vm *vm, vh_vm_exit *exit)
{
    uint64_t n;

    if (!fake_of(vm)->gone && read(fake_of(vm)->died, &n, sizeof(n)) < 0)
        return false;
    strcpy(exit->reason, "the fake VM died");
    return true;
}

static void fake_kill(vh_vm *vm)
{
    uint64_t one = 1;

    if (write(fake_of(vm)->died, &one, sizeof(one)) < 0)
        abort();
}

static void fake_free(vh_vm *vm)
{
    struct fake *v = fake_of(vm);

    v->all->alive--;
    close(v->died);
    free(v);
}

static const vh__functions_vms fake_vms = {
    .run = fake_run,
    .facts = fake_facts,
    .save = fake_save,
    .pause = fake_pause,
    .resume = fake_nothing,
    .tend = fake_tend,
    .event_fd = fake_event_fd,
    .ended = fake_ended,
    .stop = fake_nothing,
    .kill = fake_kill,
    .free = fake_free,
};

static void *fake_answer(void *arg)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
    vh_auto_fd int fd = (int)(intptr_t)arg;
    char request[4096];

    if (read(fd, request, sizeof(request)) > 0 && write(fd, answer, sizeof(answer) - 1) < 0)
        abort();
    return NULL;
}

/* One after the other: answers are short. */
static void *fake_serve(void *arg)
{
    struct fakes *all = arg;
    int fd;

    while ((fd = accept(all->listener, NULL, NULL)) >= 0) {
        usleep(all->answer_ms * 1000);
        fake_answer((void *)(intptr_t)fd);
    }
    return NULL;
}

static void fakes_init(struct fakes *all)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t n = sizeof(at);

    memset(all, 0, sizeof(*all));
    all->start_ms = 5;
    all->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(all->listener, (struct sockaddr *)&at, n) || listen(all->listener, 256) ||
        getsockname(all->listener, (struct sockaddr *)&at, &n) || pthread_create(&all->server, NULL, fake_serve, all))
        abort();
    all->port = ntohs(at.sin_port);
}

static void fakes_fini(struct fakes *all)
{
    shutdown(all->listener, SHUT_RDWR);
    pthread_join(all->server, NULL);
    close(all->listener);
}

#endif
