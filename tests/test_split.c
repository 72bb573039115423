/* Splits: groups stay whole, classes keep their shares, the same seed gives the same lists. */
#include "tests/data_help.h"

/* A data set of labels and groups only. */
typedef struct made {
    mn_dataset set;
    mn_sample_info *sample;
} made;
static mn_status made_info(const mn_dataset *d, int64_t i, mn_sample_info *out, mn_error *err) {
    (void)err;
    *out = ((const made *)d->impl)->sample[i];
    return MN_OK;
}
static mn_sample_info sample(int label0, int label1, uint64_t group, mn_split split) {
    return (mn_sample_info){.label = {label0, label1, -1, -1}, .group = group, .split = split, .id = "x"};
}
static void make(made *m, mn_sample_info *s, int64_t n) {
    *m = (made){.set = {.length = n, .n_heads = 2, .info = made_info, .impl = m}, .sample = s};
}

static mn_split_lists split(made *m, double valid, double test, uint64_t seed) {
    mn_split_lists l;
    mn_error e = {0};
    ASSERT_OK(mn_dataset_split(&m->set, valid, test, seed, &l, &e), &e);
    /* Always: every sample in exactly one list, in rising order. */
    char *seen = calloc((size_t)m->set.length + 1, 1);
    for (int k = 0; k < 3; k++)
        for (int64_t i = 0; i < l.count[k]; i++) {
            ck_assert(l.index[k][i] >= 0 && l.index[k][i] < m->set.length && !seen[l.index[k][i]]++);
            ck_assert(i == 0 || l.index[k][i] > l.index[k][i - 1]);
        }
    ck_assert_int_eq(l.count[0] + l.count[1] + l.count[2], m->set.length);
    free(seen);
    return l;
}
static int side(const mn_split_lists *l, int64_t sample_index) {
    for (int k = 0; k < 3; k++)
        for (int64_t i = 0; i < l->count[k]; i++)
            if (l->index[k][i] == sample_index) return k;
    return -1;
}

#define N 5000

/* Groups of 1 to 4, classes of very different size. */
static void fill(mn_sample_info *s, mn_split said, uint64_t salt) {
    mn_rng r = mn_rng_create(5, salt);
    for (int i = 0; i < N;) {
        int label = mn_rng_below(&r, 50) == 0 ? 1 : mn_rng_below(&r, 3) == 0 ? 2 : 0;
        for (int64_t k = 1 + (int64_t)mn_rng_below(&r, 4), g = i; k && i < N; k--, i++)
            s[i] = sample(label, -1, (uint64_t)g * 77 + salt, said);
    }
}

START_TEST(test_nothing_said) {
    static mn_sample_info s[N];
    made m;
    fill(s, MN_SPLIT_NONE, 0);
    make(&m, s, N);
    mn_split_lists l = split(&m, 0.1, 0.2, 1), again = split(&m, 0.1, 0.2, 1), other = split(&m, 0.1, 0.2, 2);
    ASSERT_CLOSE((double)l.count[MN_SPLIT_TEST], 0.2 * N, 4);
    ASSERT_CLOSE((double)l.count[MN_SPLIT_VALID], 0.08 * N, 4);
    int count[3][3] = {{0}}, where[N];
    for (int k = 0; k < 3; k++)
        for (int64_t i = 0; i < l.count[k]; i++) {
            where[l.index[k][i]] = k;
            count[k][s[l.index[k][i]].label[0]]++;
        }
    for (int i = 1; i < N; i++)
        if (s[i].group == s[i - 1].group) ck_assert_int_eq(where[i], where[i - 1]);
    for (int c = 0; c < 3; c++) {
        int total = count[0][c] + count[1][c] + count[2][c];
        ck_assert_int_gt(total, 50);
        ASSERT_CLOSE(count[2][c], 0.2 * total, 4);
        ASSERT_CLOSE(count[1][c], 0.08 * total, 4);
    }
    int64_t different = 0;
    for (int k = 0; k < 3; k++) {
        ck_assert_int_eq(l.count[k], again.count[k]);
        ck_assert(!memcmp(l.index[k], again.index[k], (size_t)l.count[k] * sizeof(int64_t)));
        for (int64_t i = 0; i < l.count[k] && i < other.count[k]; i++) different += l.index[k][i] != other.index[k][i];
    }
    ck_assert_int_gt(different, N / 4);
    mn_split_lists_free(&l), mn_split_lists_free(&again), mn_split_lists_free(&other);
}
END_TEST

/* The choice depends on groups, not on the order of files or on what else is there. */
START_TEST(test_stable) {
    static mn_sample_info s[N], backwards[N];
    made m, b;
    fill(s, MN_SPLIT_NONE, 3);
    for (int i = 0; i < N; i++) backwards[i] = s[N - 1 - i];
    make(&m, s, N), make(&b, backwards, N);
    mn_split_lists l = split(&m, 0.1, 0.2, 1), k = split(&b, 0.1, 0.2, 1);
    for (int i = 0; i < N; i += 37) ck_assert_int_eq(side(&l, i), side(&k, N - 1 - i));
    mn_split_lists_free(&k);
    make(&m, s, N - 100);
    k = split(&m, 0.1, 0.2, 1);
    int moved = 0;
    for (int i = 0; i < N - 100; i += 13) moved += side(&l, i) != side(&k, i);
    ck_assert_int_lt(moved, 20);
    mn_split_lists_free(&l), mn_split_lists_free(&k);
}
END_TEST

START_TEST(test_train_and_test_said) {
    static mn_sample_info s[N];
    made m;
    fill(s, MN_SPLIT_TRAIN, 1);
    for (int i = 4000; i < N; i++) s[i].split = MN_SPLIT_TEST;
    for (int i = 4000; i < 4200; i++) s[i].group = s[i - 3000].group; /* copies, as in FER2013 */
    make(&m, s, N);
    mn_split_lists l = split(&m, 0.1, 0.5, 9);
    ck_assert_int_eq(l.count[MN_SPLIT_TEST], 1000); /* what the files say, whatever the share asked for */
    for (int64_t i = 0; i < 1000; i++) ck_assert_int_eq(l.index[MN_SPLIT_TEST][i], 4000 + i);
    ASSERT_CLOSE((double)l.count[MN_SPLIT_VALID], 400, 4);
    for (int i = 1; i < 4000; i += 3)
        if (s[i].group == s[i - 1].group) ck_assert_int_eq(side(&l, i), side(&l, i - 1));
    mn_split_lists_free(&l);
    /* a valid part is said: nothing is carved */
    for (int i = 3000; i < 4000; i++) s[i].split = MN_SPLIT_VALID;
    l = split(&m, 0.1, 0.5, 9);
    ck_assert(l.count[0] == 3000 && l.count[1] == 1000 && l.count[2] == 1000);
    mn_split_lists_free(&l);
}
END_TEST

/* FER2013 (train and test said) with UTKFace (nothing said), and a folder with all three. */
START_TEST(test_mixed) {
    static mn_sample_info s[3000];
    made m;
    for (int i = 0; i < 3000; i++)
        s[i] = i < 1000 ? sample(i % 7, -1, (uint64_t)i, i < 800 ? MN_SPLIT_TRAIN : MN_SPLIT_TEST)
                        : sample(-1, i % 2, (uint64_t)i, MN_SPLIT_NONE);
    make(&m, s, 3000);
    mn_split_lists l = split(&m, 0.1, 0.2, 4);
    int64_t part[3][2] = {{0}};
    for (int k = 0; k < 3; k++)
        for (int64_t i = 0; i < l.count[k]; i++) part[k][l.index[k][i] >= 1000]++;
    ASSERT_CLOSE((double)part[1][0], 80, 3);
    ASSERT_CLOSE((double)part[2][0], 200, 0);
    ASSERT_CLOSE((double)part[1][1], 160, 3);
    ASSERT_CLOSE((double)part[2][1], 400, 3);
    mn_split_lists_free(&l);
    /* unsaid copies of said samples follow them: test before valid before train */
    for (int i = 0; i < 300; i++) s[1000 + i].group = (uint64_t)(i < 100 ? i : 800 + i - 100);
    l = split(&m, 0.1, 0.2, 4);
    for (int i = 0; i < 100; i++) ck_assert_int_eq(side(&l, 1000 + i), side(&l, i));
    for (int i = 100; i < 300; i++) ck_assert_int_eq(side(&l, 1000 + i), MN_SPLIT_TEST);
    mn_split_lists_free(&l);
}
END_TEST

START_TEST(test_small_and_odd) {
    mn_sample_info s[60];
    made m;
    mn_error e = {0};
    mn_split_lists l;
    for (int i = 0; i < 60; i++) s[i] = sample(i / 3, -1, (uint64_t)i, MN_SPLIT_NONE);
    make(&m, s, 60);
    l = split(&m, 0.1, 0, 1); /* 20 classes of 3: the shares still add up */
    ASSERT_CLOSE((double)l.count[1], 6, 1);
    ck_assert_int_eq(l.count[2], 0);
    mn_split_lists_free(&l);
    l = split(&m, 0, 0, 1);
    ck_assert_int_eq(l.count[0], 60);
    mn_split_lists_free(&l);
    for (int i = 0; i < 60; i++) s[i].group = 5; /* one group: it cannot be cut */
    l = split(&m, 0.3, 0.3, 1);
    ck_assert_int_eq(l.count[0], 60);
    mn_split_lists_free(&l);
    for (int i = 0; i < 60; i++) s[i].group = (uint64_t)i, s[i].label[0] = -1; /* no labels at all */
    l = split(&m, 0.5, 0.1, 1);
    ASSERT_CLOSE((double)l.count[2], 6, 1);
    mn_split_lists_free(&l);
    make(&m, s, 0);
    l = split(&m, 0.1, 0.1, 1);
    mn_split_lists_free(&l);
    make(&m, s, 60);
    const double bad[][2] = {{-0.1, 0}, {0, 1}, {1, 0}, {NAN, 0}};
    for (int k = 0; k < 4; k++) {
        mn_error_clear(&e);
        ck_assert_int_eq(mn_dataset_split(&m.set, bad[k][0], bad[k][1], 1, &l, &e), MN_ERR_ARG);
        ASSERT_FAILS(e, MN_ERR_ARG, "wanted 0 to below 1");
    }
}
END_TEST

START_TEST(test_out_of_memory) {
    mn_sample_info s[60];
    made m;
    for (int i = 0; i < 60; i++) s[i] = sample(i / 30, -1, (uint64_t)i, MN_SPLIT_NONE);
    make(&m, s, 60);
    bool failed = true;
    for (int64_t n = 1; failed; n++) {
        mn_error e = {0};
        mn_split_lists l;
        int64_t live;
        test_fail_allocation(n);
        mn_status st = mn_dataset_split(&m.set, 0.1, 0.1, 1, &l, &e);
        mn_split_lists_free(&l);
        failed = test_allocations_end(&live);
        ck_assert_int_eq(live, 0);
        ck_assert_int_eq(st, failed ? MN_ERR_MEMORY : MN_OK);
    }
}
END_TEST

TEST_SUITE(split, test_nothing_said, test_stable, test_train_and_test_said, test_mixed, test_small_and_odd, test_out_of_memory)
