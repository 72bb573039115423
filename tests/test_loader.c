/* The loader: the same batches whatever the number of workers, every sample once, clean ends. */
#include "tests/data_help.h"
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define N 103
#define SIDE 9

/* Pictures that tell their index; sample `broken` cannot be read; every third has probabilities. */
typedef struct made {
    mn_dataset set;
    atomic_llong broken; /* changed while workers run */
    atomic_int slow;     /* the next pictures to take their time */
    int width;
    float soft[3];
} made;
static mn_status info(const mn_dataset *d, int64_t i, mn_sample_info *s, mn_error *err) {
    (void)err;
    *s = (mn_sample_info){
        .label = {(int32_t)(i % 3), i % 2 ? -1 : 1, -1, -1}, .group = (uint64_t)i, .split = MN_SPLIT_NONE, .id = "x"};
    if (i % 3 == 1) s->soft[0] = ((const made *)d->impl)->soft;
    return MN_OK;
}
static mn_status pixels(const mn_dataset *d, int64_t i, mn_image *im, mn_error *err) {
    made *m = d->impl;
    if (m->slow > 0 && atomic_fetch_sub(&m->slow, 1) > 0) usleep(2000);
    if (i == m->broken) return mn_fail(err, MN_ERR_FORMAT, "picture %d is broken", (int)i);
    mn_status s = mn_image_reserve(im, m->width, SIDE, 1, err);
    for (int k = 0; !s && k < m->width * SIDE; k++) im->pixels[k] = (uint8_t)(i + k * 3);
    return s;
}
static made data = {.set = {.length = N,
                            .n_heads = 2,
                            .head = {{"a", 3, NULL}, {"b", 2, NULL}},
                            .name = "made",
                            .info = info,
                            .pixels = pixels,
                            .impl = &data},
                    .broken = -1,
                    .width = SIDE,
                    .soft = {0.25f, 0.5f, 0.25f}};
static const mn_preprocess prep = {1, SIDE, SIDE, .lo = 0, .hi = 255};

static mn_loader *create(mn_loader_opt opt) {
    mn_error e = {0};
    mn_loader *l = mn_loader_create(&data.set, &prep, opt, &e);
    ck_assert_msg(l != NULL, "%s", e.text);
    return l;
}

/* Everything an epoch gives, from batch `first` on, in one hash; *n: its samples. */
static uint64_t epoch_hash(mn_loader *l, int64_t epoch, int64_t first, int64_t *n) {
    mn_error e = {0};
    mn_batch b;
    uint64_t h = 1469598103934665603u;
    int r;
    *n = 0;
    ck_assert_int_eq(mn_loader_begin(l, epoch, first), MN_OK);
    while ((r = mn_loader_next(l, &b, &e)) == 1) {
        const void *part[] = {b.x, b.label[0], b.label[1], b.soft[0], b.index};
        const size_t size[] = {(size_t)b.n * SIDE * SIDE * 4, (size_t)b.n * 4, (size_t)b.n * 4, (size_t)b.n * 12,
                               (size_t)b.n * 8};
        for (int k = 0; k < 5; k++)
            for (size_t i = 0; i < size[k]; i++) h = (h ^ ((const uint8_t *)part[k])[i]) * 1099511628211u;
        *n += b.n;
    }
    ck_assert_msg(r == 0, "%s", e.text);
    ck_assert_int_eq(mn_loader_next(l, &b, &e), 0); /* over stays over */
    return h;
}

START_TEST(test_contents) {
    mn_loader *l = create((mn_loader_opt){.batch = 10});
    mn_error e = {0};
    mn_batch b;
    ck_assert_int_eq(mn_loader_batches(l), 11);
    ck_assert_int_eq(mn_loader_begin(l, 0, 0), MN_OK);
    for (int64_t i = 0; i < N;) {
        ck_assert_int_eq(mn_loader_next(l, &b, &e), 1);
        ck_assert_int_eq(b.n, i < 100 ? 10 : 3);
        ck_assert_ptr_null(b.soft[1]);
        for (int64_t k = 0; k < b.n; k++, i++) {
            ck_assert_int_eq(b.index[k], i);
            ck_assert(b.label[0][k] == i % 3 && b.label[1][k] == (i % 2 ? -1 : 1));
            for (int p = 0; p < SIDE * SIDE; p++) ASSERT_CLOSE(b.x[k * SIDE * SIDE + p], (uint8_t)(i + p * 3), 1e-4);
            for (int c = 0; c < 3; c++) ASSERT_CLOSE(b.soft[0][3 * k + c], i % 3 == 1 ? data.soft[c] : c == i % 3, 0);
        }
    }
    ck_assert_int_eq(mn_loader_next(l, &b, &e), 0);
    mn_loader_destroy(l);
}
END_TEST

START_TEST(test_workers_agree) {
    mn_augment a;
    mn_error e = {0};
    ASSERT_OK(mn_augment_parse("default,noise,crop", &a, &e), &e);
    uint64_t want[4] = {0};
    static const struct { int workers, prefetch; } ways[] = {{0, 0}, {1, 0}, {1, 1}, {3, 0}, {3, 1}, {5, 9}};
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        mn_loader *l = create((mn_loader_opt){
            .batch = 8, .shuffle = true, .seed = 3, .workers = ways[w].workers, .prefetch = ways[w].prefetch, .augment = &a});
        for (int64_t epoch = 3; epoch >= 0; epoch--) { /* in any order of epochs */
            int64_t n;
            uint64_t h = epoch_hash(l, epoch, 0, &n);
            ck_assert_int_eq(n, N);
            if (w == 0) want[epoch] = h;
            ck_assert_msg(h == want[epoch], "%d workers, epoch %d", ways[w].workers, (int)epoch);
        }
        mn_loader_destroy(l);
    }
    ck_assert(want[0] != want[1] && want[1] != want[2]);
    int64_t n;
    mn_loader *l = create((mn_loader_opt){.batch = 8, .shuffle = true, .seed = 4, .augment = &a});
    ck_assert(epoch_hash(l, 0, 0, &n) != want[0]); /* another seed */
    mn_loader_destroy(l);
    l = create((mn_loader_opt){.batch = 8, .augment = &a}); /* the same order, changed in another way */
    ck_assert(epoch_hash(l, 0, 0, &n) != epoch_hash(l, 1, 0, &n));
    mn_loader_destroy(l);
}
END_TEST

/* Shuffled: a permutation, another one each epoch; a resumed epoch gives the rest of the same one. */
START_TEST(test_shuffle_and_resume) {
    mn_error e = {0};
    mn_batch b;
    int64_t order[2][N];
    mn_loader *l = create((mn_loader_opt){.batch = 7, .shuffle = true, .workers = 2});
    for (int epoch = 0; epoch < 2; epoch++) {
        int64_t at = 0, seen[N] = {0};
        mn_loader_begin(l, epoch, 0);
        while (mn_loader_next(l, &b, &e) == 1)
            for (int64_t k = 0; k < b.n; k++) order[epoch][at++] = b.index[k], seen[b.index[k]]++;
        for (int i = 0; i < N; i++) ck_assert_int_eq(seen[i], 1);
    }
    int same = 0;
    for (int i = 0; i < N; i++) same += order[0][i] == order[1][i];
    ck_assert_int_lt(same, 10);
    for (int64_t first = 0; first <= mn_loader_batches(l); first += 5) {
        int64_t at = first * 7;
        ck_assert_int_eq(mn_loader_begin(l, 1, first), MN_OK);
        while (mn_loader_next(l, &b, &e) == 1)
            for (int64_t k = 0; k < b.n; k++) ck_assert_int_eq(b.index[k], order[1][at++]);
        ck_assert(at == N || first * 7 >= N);
    }
    ck_assert_int_eq(mn_loader_begin(l, 1, 100), MN_ERR_ARG);
    ck_assert_int_eq(mn_loader_begin(l, -1, 0), MN_ERR_ARG);
    mn_loader_destroy(l);
}
END_TEST

/* An epoch may be left in the middle, and a loader destroyed at any moment. */
START_TEST(test_leave_early) {
    mn_error e = {0};
    mn_batch b;
    int64_t n;
    mn_loader *l = create((mn_loader_opt){.batch = 4, .workers = 3, .shuffle = true});
    uint64_t want = epoch_hash(l, 5, 0, &n);
    data.slow = 400; /* so workers are busy when the next epoch begins */
    for (int k = 0; k < 20; k++) {
        mn_loader_begin(l, k, 0);
        for (int i = 0; i < k % 6; i++) ck_assert_int_eq(mn_loader_next(l, &b, &e), 1);
    }
    ck_assert(epoch_hash(l, 5, 0, &n) == want);
    data.slow = 0;
    mn_loader_destroy(l);
    for (int k = 0; k < 20; k++) {
        l = create((mn_loader_opt){.batch = 4, .workers = 1 + k % 3});
        if (k) mn_loader_begin(l, 0, 0);
        for (int i = 1; i < k % 5; i++) mn_loader_next(l, &b, &e);
        mn_loader_destroy(l);
    }
    mn_loader_destroy(NULL);
}
END_TEST

/* The failure comes at its batch, with its sentence, whoever prepared it; the batches before it are whole. */
START_TEST(test_failure_in_order) {
    for (int workers = 0; workers <= 3; workers += 3) {
        mn_error e = {0};
        mn_batch b;
        data.broken = 57;
        mn_loader *l = create((mn_loader_opt){.batch = 10, .workers = workers});
        mn_loader_begin(l, 0, 0);
        for (int k = 0; k < 5; k++) ck_assert_int_eq(mn_loader_next(l, &b, &e), 1);
        for (int k = 0; k < 2; k++) {
            mn_error_clear(&e);
            ck_assert_int_eq(mn_loader_next(l, &b, &e), -1);
            ASSERT_FAILS(e, MN_ERR_FORMAT, "picture 57 is broken");
        }
        data.broken = -1;
        int64_t n;
        epoch_hash(l, 0, 0, &n); /* and it can be used again */
        ck_assert_int_eq(n, N);
        mn_loader_destroy(l);
    }
}
END_TEST

START_TEST(test_options) {
    mn_error e = {0};
    mn_batch b;
    mn_loader *l = create((mn_loader_opt){.drop_last = true, .workers = 2});
    ck_assert_int_eq(mn_loader_batches(l), 3); /* of 32 */
    ck_assert_int_eq(mn_loader_next(l, &b, &e), -1);
    ASSERT_FAILS(e, MN_ERR_ARG, "call mn_loader_begin first");
    int64_t n;
    epoch_hash(l, 0, 0, &n);
    ck_assert_int_eq(n, 96);
    mn_loader_destroy(l);
    const mn_loader_opt bad[] = {{.batch = -1}, {.batch = 70000}, {.workers = -1}, {.workers = 65}, {.prefetch = -1}};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        mn_error_clear(&e);
        ck_assert_ptr_null(mn_loader_create(&data.set, &prep, bad[k], &e));
        ASSERT_FAILS(e, MN_ERR_ARG, "loader: batch");
    }
    mn_error_clear(&e);
    ck_assert_ptr_null(mn_loader_create(&data.set, &prep, (mn_loader_opt){.batch = 200, .drop_last = true}, &e));
    ASSERT_FAILS(e, MN_ERR_ARG, "do not fill one batch");
    mn_error_clear(&e);
    ck_assert_ptr_null(mn_loader_create(&data.set, &(mn_preprocess){0}, (mn_loader_opt){0}, &e));
    ck_assert_int_eq(e.status, MN_ERR_ARG);
}
END_TEST

/* After the first epoch nothing is allocated, with and without resizing... of pictures that fit. */
START_TEST(test_no_allocation) {
    int64_t n;
    mn_augment a;
    mn_error e = {0};
    ASSERT_OK(mn_augment_parse("default", &a, &e), &e);
    mn_loader *l = create((mn_loader_opt){.batch = 8, .workers = 2, .shuffle = true, .augment = &a});
    int64_t before = mn_allocation_count();
    for (int k = 0; k < 3; k++) epoch_hash(l, k, 0, &n);
    ck_assert_int_eq(mn_allocation_count(), before);
    mn_loader_destroy(l);
}
END_TEST

/* A loader that has worked is taken through a fork: the child makes threads of its own. */
START_TEST(test_fork) {
#ifdef __SANITIZE_THREAD__
    test_skip("loader: fork (the thread sanitizer forbids threads in a child)");
    return;
#endif
    int64_t n;
    mn_loader *l = create((mn_loader_opt){.batch = 8, .workers = 2, .shuffle = true});
    uint64_t want = epoch_hash(l, 1, 0, &n);
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        bool ok = epoch_hash(l, 1, 0, &n) == want;
        mn_loader_destroy(l);
        _exit(ok ? 0 : 1);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with %d", status);
    ck_assert(epoch_hash(l, 1, 0, &n) == want);
    mn_loader_destroy(l);
}
END_TEST

/* Out of memory while creating, and while resizing in the middle of an epoch. */
START_TEST(test_out_of_memory) {
    data.width = SIDE + 4;
    bool failed = true;
    for (int64_t n = 1; failed; n++) {
        mn_error e = {0};
        mn_batch b;
        int64_t live;
        test_fail_allocation(n);
        mn_loader *l = mn_loader_create(&data.set, &prep, (mn_loader_opt){.batch = 40, .workers = (int)(n % 2)}, &e);
        int r = -1;
        if (l && mn_loader_begin(l, 0, 0) == MN_OK)
            while ((r = mn_loader_next(l, &b, &e)) == 1) {}
        mn_loader_destroy(l);
        failed = test_allocations_end(&live);
        ck_assert_int_eq(live, 0);
        ck_assert_msg(failed ? r == -1 && e.status == MN_ERR_MEMORY : r == 0, "n = %d: %d %s", (int)n, r, e.text);
        ck_assert_int_lt(n, 1000);
    }
    data.width = SIDE;
}
END_TEST

TEST_SUITE(loader, test_contents, test_workers_agree, test_shuffle_and_resume, test_leave_early, test_failure_in_order,
           test_options, test_no_allocation, test_fork, test_out_of_memory)
