/* Balanced sampling in the loader: how often each class and each row comes, with one head and with two. */
#include "tests/data_help.h"

enum { N = 1000 };

/* Labels given by the test; a picture is one grey level. */
typedef struct made {
    mn_dataset set;
    int32_t label[2][N];
    bool soft; /* head 0: probabilities in place of labels */
    float p[4][4];
} made;
static mn_status info(const mn_dataset *d, int64_t i, mn_sample_info *s, mn_error *err) {
    const made *m = d->impl;
    (void)err;
    *s = (mn_sample_info){.label = {m->label[0][i], m->label[1][i], -1, -1}, .group = (uint64_t)i, .id = "x"};
    if (m->soft) s->soft[0] = m->p[m->label[0][i]], s->label[0] = -1;
    return MN_OK;
}
static mn_status pixels(const mn_dataset *d, int64_t i, mn_image *im, mn_error *err) {
    mn_status s = mn_image_reserve(im, 8, 8, 1, err);
    (void)d;
    for (int k = 0; !s && k < 64; k++) im->pixels[k] = (uint8_t)i;
    return s;
}
static made data;
static const mn_preprocess prep = {1, 8, 8, .lo = 0, .hi = 255};

/* Rows of head 0 and 1 in classes of these sizes, one after the other; what is left has no label. */
static void make(const int *a, const int *b, int b_from) {
    data = (made){.set = {.length = N,
                          .n_heads = 2,
                          .head = {{"a", 4, NULL}, {"b", 4, NULL}},
                          .name = "made",
                          .info = info,
                          .pixels = pixels,
                          .impl = &data}};
    for (int h = 0; h < 2; h++) {
        const int *size = h ? b : a;
        int at = h ? b_from : 0;
        for (int i = 0; i < N; i++) data.label[h][i] = -1;
        for (int k = 0; k < 4 && size; k++)
            for (int i = 0; i < size[k]; i++) data.label[h][at++] = k;
    }
    for (int k = 0; k < 4; k++) data.p[k][k] = 0.7f, data.p[k][(k + 1) % 4] = 0.3f;
}

static mn_loader *create(mn_loader_opt opt) {
    mn_error e = {0};
    opt.shuffle = true;
    mn_loader *l = mn_loader_create(&data.set, &prep, opt, &e);
    ck_assert_msg(l != NULL, "%s", e.text);
    return l;
}

/* How often each row comes in an epoch, and the rows in their order. */
static void draw(mn_loader *l, int64_t epoch, int64_t first, int64_t times[N], int64_t order[N]) {
    mn_error e = {0};
    mn_batch b;
    int64_t n = 0;
    memset(times, 0, N * sizeof *times);
    ck_assert_int_eq(mn_loader_begin(l, epoch, first), MN_OK);
    while (mn_loader_next(l, &b, &e) == 1)
        for (int64_t k = 0; k < b.n; k++) {
            ck_assert_float_eq(b.x[64 * k], (float)(b.index[k] % 256)); /* picture and labels are that row's */
            ck_assert_int_eq(b.label[1][k], data.label[1][b.index[k]]);
            times[b.index[k]]++, order[n++] = b.index[k];
        }
    ck_assert_int_eq(n, N - first * 10);
}

static const int few[4] = {700, 200, 90, 10};

START_TEST(test_classes_alike) {
    int64_t times[N], order[N], both[N];
    make(few, NULL, 0);
    for (int soft = 0; soft < 2; soft++) {
        data.soft = soft;
        mn_loader *l = create((mn_loader_opt){.batch = 10, .balance = 1, .seed = 2});
        memset(both, 0, sizeof both);
        for (int epoch = 0; epoch < 10; epoch++) {
            draw(l, epoch, 0, times, order);
            for (int k = 0, from = 0; k < 4; from += few[k++]) {
                int64_t sum = 0, least = N, most = 0;
                for (int i = from; i < from + few[k]; i++) {
                    sum += times[i], both[i] += times[i];
                    least = times[i] < least ? times[i] : least, most = times[i] > most ? times[i] : most;
                }
                ck_assert_int_eq(sum, 250);
                ck_assert_int_eq(least, 250 / few[k]); /* nobody is drawn twice before everybody was drawn once */
                ck_assert_int_eq(most, (250 + few[k] - 1) / few[k]);
            }
        }
        for (int i = 0; i < 700; i++) ck_assert(both[i] < 10); /* of 3.6: the common class changes from epoch to epoch */
        mn_loader_destroy(l);
    }
}
END_TEST

/* n^(1-p), written out; over many epochs to a tenth of a row. */
START_TEST(test_power) {
    static const double power[] = {0.25, 0.5};
    int64_t times[N], order[N];
    make(few, NULL, 0);
    for (int p = 0; p < 2; p++) {
        mn_loader *l = create((mn_loader_opt){.batch = 10, .balance = power[p]});
        double sum = 0, got[4] = {0};
        for (int k = 0; k < 4; k++) sum += exp((1 - power[p]) * log(few[k]));
        for (int epoch = 0; epoch < 200; epoch++) {
            draw(l, epoch, 0, times, order);
            for (int i = 0; i < N; i++) got[data.label[0][i]] += times[i] / 200.0;
        }
        for (int k = 0; k < 4; k++) ASSERT_CLOSE(got[k], N * exp((1 - power[p]) * log(few[k])) / sum, 0.1);
        mn_loader_destroy(l);
    }
}
END_TEST

/* Heads that never meet: each keeps its share of the rows and is balanced in itself; rows without labels keep theirs. */
START_TEST(test_two_heads_apart) {
    static const int a[4] = {300, 60, 30, 10}, b[4] = {450, 50, 0, 0};
    int64_t times[N], order[N];
    make(a, b, 400);
    mn_loader *l = create((mn_loader_opt){.batch = 10, .balance = 1});
    for (int epoch = 0; epoch < 5; epoch++) {
        int64_t of_a[4] = {0}, of_b[4] = {0}, none = 0;
        draw(l, epoch, 0, times, order);
        for (int i = 0; i < N; i++) {
            if (data.label[0][i] >= 0) of_a[data.label[0][i]] += times[i];
            if (data.label[1][i] >= 0) of_b[data.label[1][i]] += times[i];
            if (data.label[0][i] < 0 && data.label[1][i] < 0) none += times[i];
        }
        for (int k = 0; k < 4; k++) ck_assert_int_eq(of_a[k], 100);
        for (int k = 0; k < 2; k++) ck_assert_int_eq(of_b[k], 250);
        ck_assert_int_eq(none, 100);
    }
    mn_loader_destroy(l);
    /* only head b counts: head a's classes come as often as they are */
    l = create((mn_loader_opt){.batch = 10, .balance = 1, .balance_heads = 2});
    int64_t of_b[2] = {0}, of_a[4] = {0};
    for (int epoch = 0; epoch < 4; epoch++) {
        draw(l, epoch, 0, times, order);
        for (int i = 0; i < N; i++) {
            if (data.label[0][i] >= 0) of_a[data.label[0][i]] += times[i];
            if (data.label[1][i] >= 0) of_b[data.label[1][i]] += times[i];
        }
    }
    for (int k = 0; k < 4; k++) ck_assert_int_eq(of_a[k], 4 * a[k]);
    ck_assert(of_b[0] == 1000 && of_b[1] == 1000);
    mn_loader_destroy(l);
}
END_TEST

/* Heads that meet: pairs of classes come alike, and so do the classes of each head. */
START_TEST(test_two_heads_together) {
    static const int a[4] = {800, 200, 0, 0};
    int64_t times[N], order[N], pair[2][2] = {{0}};
    make(a, NULL, 0);
    for (int i = 0; i < N; i++) data.label[1][i] = i % 5 == 0;
    mn_loader *l = create((mn_loader_opt){.batch = 10, .balance = 1});
    draw(l, 7, 0, times, order);
    for (int i = 0; i < N; i++) pair[data.label[0][i]][data.label[1][i]] += times[i];
    for (int k = 0; k < 4; k++) ck_assert_int_eq(pair[k / 2][k % 2], 250);
    mn_loader_destroy(l);
}
END_TEST

/* A function of seed and epoch, whatever came before; an epoch can be entered in its middle. */
START_TEST(test_repeats) {
    int64_t times[N], order[3][N];
    make(few, NULL, 0);
    mn_loader *l = create((mn_loader_opt){.batch = 10, .balance = 0.7, .seed = 5});
    mn_loader *m = create((mn_loader_opt){.batch = 10, .balance = 0.7, .seed = 5, .workers = 3});
    draw(l, 3, 0, times, order[0]);
    draw(l, 2, 0, times, order[1]);
    ck_assert(memcmp(order[0], order[1], sizeof *order) != 0);
    draw(l, 3, 0, times, order[1]);
    draw(m, 3, 0, times, order[2]);
    ck_assert(!memcmp(order[0], order[1], sizeof *order) && !memcmp(order[0], order[2], sizeof *order));
    draw(m, 3, 60, times, order[1]);
    ck_assert(!memcmp(order[0] + 600, order[1], 400 * sizeof **order));
    int64_t sorted = 0; /* shuffled: kinds do not come one after the other */
    for (int i = 1; i < N; i++) sorted += data.label[0][order[0][i]] >= data.label[0][order[0][i - 1]];
    ck_assert_int_lt(sorted, 800);
    mn_loader_destroy(l);
    mn_loader_destroy(m);
}
END_TEST

START_TEST(test_refused) {
    const mn_loader_opt bad[] = {{.balance = -1, .shuffle = true}, {.balance = 1.5, .shuffle = true}, {.balance = 1}};
    make(few, NULL, 0);
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        mn_error e = {0};
        ck_assert_ptr_null(mn_loader_create(&data.set, &prep, bad[k], &e));
        ASSERT_FAILS(e, MN_ERR_ARG, "wanted 0 to 1, and above 0 only with shuffle");
    }
    bool failed = true;
    for (int64_t n = 1; failed; n++) {
        mn_error e = {0};
        int64_t live;
        test_fail_allocation(n);
        mn_loader *l = mn_loader_create(&data.set, &prep, (mn_loader_opt){.balance = 1, .shuffle = true}, &e);
        mn_loader_destroy(l);
        failed = test_allocations_end(&live);
        ck_assert_int_eq(live, 0);
        ck_assert_msg(!failed == (l != NULL) && (!failed || e.status == MN_ERR_MEMORY), "n = %d: %s", (int)n, e.text);
    }
}
END_TEST

TEST_SUITE(sampling, test_classes_alike, test_power, test_two_heads_apart, test_two_heads_together, test_repeats, test_refused)
