/* Layers fetched several at once, from a source that does as it is told. */
#include "testenv.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auto.h"
#include "failalloc.h"
#include "fd.h"
#include "fetch.h"
#include "path.h"

enum { LAYERS = 6 };

typedef struct fixture {
    vh__source base; /* first: it is cast to */
    testenv t;
    vh__oci_descriptor layers[LAYERS];
    vh__fetch_job job;
    vh__wait wait;
    pthread_mutex_t lock;
    char order[LAYERS * 2]; /* of the fetches, a letter per layer */
    size_t n, busy, most;   /* fetches begun; under way; the most there were */
    char fails, hangs;      /* letter of a layer that fails, or never comes; 0: none */
    vh_error err;
} fixture;

static void note(fixture *f, char letter)
{
    pthread_mutex_lock(&f->lock);
    f->order[f->n++] = letter;
    f->busy++;
    f->most = VH_MAX(f->most, f->busy);
    pthread_mutex_unlock(&f->lock);
}

/* A layer is 1000 times its letter, which its digest begins with. */
static int fake_fetch(vh__source *s, const vh__registry_blob *b, const vh__wait *w, vh_error *err)
{
    fixture *f = (fixture *)s;
    char letter = b->digest[7], bytes[1000];
    int rc;

    note(f, letter);
    rc = vh__wait_sleep(w, letter == f->hangs ? 60000 : 5, "a slow registry", err);
    memset(bytes, letter, sizeof(bytes));
    if (rc == 0 && letter == f->fails)
        rc = vh_error_set(err, VH_EREMOTE, "no such layer");
    if (rc == 0)
        rc = vh__fd_pwrite_full(b->fd, bytes, sizeof(bytes), 0, "layer", err);
    if (rc == 0)
        b->moved(b->arg, sizeof(bytes));
    pthread_mutex_lock(&f->lock);
    f->busy--;
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static const vh__source_ops fake = { .scheme = "fake:", .fetch = fake_fetch };

/* Layers by their letters, the lowest first. */
static void begin(fixture *f, const char *letters, unsigned parallel)
{
    memset(f, 0, sizeof(*f));
    testenv_init(&f->t);
    pthread_mutex_init(&f->lock, NULL);
    f->base.ops = &fake;
    f->wait = vh__wait_from(NULL, 20000);
    for (size_t i = 0; letters[i]; i++) {
        f->layers[i].size = 1000;
        snprintf(f->layers[i].digest, VH_DIGEST_TEXT, "sha256:%c", letters[i]);
    }
    f->job = (vh__fetch_job){ .env = f->t.env, .source = &f->base, .layers = f->layers, .n = strlen(letters),
                              .parallel = parallel, .dir = f->t.dir };
}

static void end(fixture *f)
{
    pthread_mutex_destroy(&f->lock);
    testenv_fini(&f->t);
}

static void assert_layer(fixture *f, vh__fetch *fetch, size_t i, char letter)
{
    vh_auto_fd int fd = -1;
    char bytes[1001];

    assert_ok(vh__fetch_open(fetch, i, &f->wait, &fd, &f->err), f->err);
    assert_int_equal(read(fd, bytes, sizeof(bytes)), 1000);
    for (size_t k = 0; k < 1000; k++)
        assert_int_equal(bytes[k], letter);
}

static void layers_come_whole_the_uppermost_first(void **state)
{
    vh__fetch *fetch;
    fixture f;

    (void)state;
    begin(&f, "abcdef", 1);
    assert_ok(vh__fetch_start(&f.job, &f.wait, &fetch, &f.err), f.err);
    for (size_t i = LAYERS; i > 0; i--)
        assert_layer(&f, fetch, i - 1, (char)('a' + i - 1));
    assert_layer(&f, fetch, 2, 'c'); /* again */
    assert_true(vh__fetch_done(fetch));
    vh__fetch_stop(fetch);
    assert_string_equal(f.order, "fedcba");
    assert_int_equal(f.most, 1);
    assert_int_equal(rmdir(f.t.dir), 0); /* nothing with a name was left in it */
    assert_int_equal(mkdir(f.t.dir, 0700), 0);
    end(&f);
}

static void several_come_at_once_but_no_more_than_told(void **state)
{
    vh__fetch *fetch;
    fixture f;

    (void)state;
    begin(&f, "abcdef", 3);
    assert_ok(vh__fetch_start(&f.job, &f.wait, &fetch, &f.err), f.err);
    assert_layer(&f, fetch, 0, 'a');
    vh__fetch_stop(fetch);
    assert_true(f.most > 1 && f.most <= 3);
    end(&f);
}

static void equal_layers_are_fetched_once(void **state)
{
    vh__fetch *fetch;
    fixture f;

    (void)state;
    begin(&f, "aabab", 2);
    assert_ok(vh__fetch_start(&f.job, &f.wait, &fetch, &f.err), f.err);
    for (size_t i = 5; i > 0; i--)
        assert_layer(&f, fetch, i - 1, "aabab"[i - 1]);
    assert_true(vh__fetch_done(fetch));
    vh__fetch_stop(fetch);
    assert_int_equal(f.n, 2);
    end(&f);
}

static void one_that_fails_ends_all(void **state)
{
    vh__fetch *fetch;
    fixture f;
    int fd = -1;

    (void)state;
    begin(&f, "abcdef", 3);
    f.fails = 'd';
    f.hangs = 'f';
    assert_ok(vh__fetch_start(&f.job, &f.wait, &fetch, &f.err), f.err);
    assert_int_equal(vh__fetch_open(fetch, 5, &f.wait, &fd, &f.err), VH_EREMOTE);
    assert_non_null(strstr(f.err.msg, "layer 4 of 6 (sha256:d): no such layer"));
    assert_int_equal(fd, -1);
    vh__fetch_stop(fetch);
    assert_true(vh__wait_left_ms(&f.wait) > 10000); /* the one that hangs was not waited for */
    end(&f);
}

static void a_wait_ends_with_its_deadline_and_a_stop_at_once(void **state)
{
    vh__fetch *fetch;
    vh__wait little;
    fixture f;
    int fd = -1;

    (void)state;
    begin(&f, "ab", 2);
    f.hangs = 'b';
    assert_ok(vh__fetch_start(&f.job, &f.wait, &fetch, &f.err), f.err);
    little = vh__wait_within(&f.wait, 50);
    assert_int_equal(vh__fetch_open(fetch, 1, &little, &fd, &f.err), VH_ETIMEDOUT);
    vh__fetch_stop(fetch);
    assert_true(vh__wait_left_ms(&f.wait) > 10000);
    end(&f);
}

static void without_room_nothing_is_begun(void **state)
{
    vh__fetch *fetch = NULL;
    fixture f;

    (void)state;
    begin(&f, "ab", 2);
    f.layers[0].size = 1ULL << 60;
    assert_int_equal(vh__fetch_start(&f.job, &f.wait, &fetch, &f.err), -ENOSPC);
    assert_non_null(strstr(f.err.msg, "MiB free"));
    assert_null(fetch);
    assert_int_equal(f.n, 0);
    end(&f);
}

static int attempt(void *arg)
{
    fixture *f = arg;
    vh__fetch *fetch = NULL;
    int fd = -1, rc;

    f->n = 0;
    rc = vh__fetch_start(&f->job, &f->wait, &fetch, NULL);
    for (size_t i = f->job.n; rc == 0 && i > 0; i--) {
        rc = vh__fetch_open(fetch, i - 1, &f->wait, &fd, NULL);
        vh__fd_close(&fd);
    }
    vh__fetch_stop(fetch);
    return rc;
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    fixture f;

    (void)state;
    begin(&f, "abc", 1);
    failalloc_sweep(attempt, &f);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_come_whole_the_uppermost_first),
        cmocka_unit_test(several_come_at_once_but_no_more_than_told),
        cmocka_unit_test(equal_layers_are_fetched_once),
        cmocka_unit_test(one_that_fails_ends_all),
        cmocka_unit_test(a_wait_ends_with_its_deadline_and_a_stop_at_once),
        cmocka_unit_test(without_room_nothing_is_begun),
        cmocka_unit_test(running_out_of_memory_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
