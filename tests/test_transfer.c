/* Fine-tuning: which weights move, and how far. */
#include "apps/train.h"
#include "tests/tests.h"
#if MN_HAVE_HDF5 && MN_HAVE_JSON
#include <stdlib.h>
#include <string.h>

enum { MOST = 64 };
typedef struct moved {
    int n;
    char name[MOST][64];
    double by[MOST]; /* largest change of a weight */
} moved;

static double *before[MOST];
static train_options options;
static char out[512], from[512];

static void open_run(train_run *r, char *const *extra, int n_extra) {
    static char *base[] = {"mien train", "--data",    "rendered:70,size=16",
                           "--size",     "16",        "--epochs",
                           "3",          "--batch",   "14",
                           "--lr",       "0.05",      "--momentum",
                           "0",          "--threads", "1",
                           "--workers",  "0",         "--patience",
                           "0",          "--net",     "seed2",
                           "--out"};
    enum { N = sizeof base / sizeof *base };
    char *words[N + 12];
    memcpy(words, base, sizeof base);
    snprintf(out, sizeof out, "%s", test_path("out.h5"));
    words[N] = out;
    if (n_extra) memcpy(words + N + 1, extra, (size_t)n_extra * sizeof *words);
    mn_error e = {0};
    ck_assert(train_parse(&options, N + 1 + n_extra, words));
    options.quiet = true;
    ASSERT_OK(train_open(r, &options, &e), &e);
    int n, all;
    mn_tensor **w = mn_model_parameters(r->m, &n, &all);
    for (int i = 0; i < n; i++) {
        before[i] = malloc((size_t)w[i]->count * sizeof(double));
        ck_assert(!mn_get_f64(w[i], before[i]));
    }
}

static void close_run(train_run *r) {
    train_close(r);
    train_options_free(&options);
    for (int i = 0; i < MOST; i++) free(before[i]), before[i] = NULL;
}

/* One epoch by hand: what train_loop does before and in it. */
static moved epoch(train_run *r, int64_t number) {
    mn_error e = {0};
    mn_batch b;
    moved m = {0};
    r->epoch = number, r->batch = 0;
    train_unfreeze(r);
    ck_assert(!mn_loader_begin(r->train, number, 0));
    while (mn_loader_next(r->train, &b, &e) > 0) ASSERT_OK(train_step(r, &b, &e), &e);
    int n, all;
    mn_tensor **w = mn_model_parameters(r->m, &n, &all);
    for (int i = 0; i < n; i++, m.n++) {
        double *now = malloc((size_t)w[i]->count * sizeof *now);
        ck_assert(!mn_get_f64(w[i], now));
        for (int64_t k = 0; k < w[i]->count; k++) m.by[i] = fmax(m.by[i], fabs(now[k] - before[i][k]));
        snprintf(m.name[i], sizeof m.name[i], "%s", w[i]->name);
        memcpy(before[i], now, (size_t)w[i]->count * sizeof *now);
        free(now);
    }
    return m;
}

static double of(const moved *m, const char *name) {
    for (int i = 0; i < m->n; i++)
        if (!strcmp(m->name[i], name)) return m->by[i];
    ck_abort_msg("no weight %s", name);
}

START_TEST(test_lr_scale) {
    train_run r = {0};
    char *extra[] = {"--lr-scale", "*=0.5", "--lr-scale", "conv2d*=0", "--lr-scale", "emotion=2"};
    open_run(&r, extra, 6);
    moved m = epoch(&r, 0);
    int still = 0;
    for (int i = 0; i < m.n; i++) {
        if (!strncmp(m.name[i], "conv2d", 6))
            ck_assert_msg(m.by[i] == 0, "%s moved", m.name[i]), still++;
        else
            ck_assert_msg(m.by[i] > 0, "%s did not move", m.name[i]);
    }
    ck_assert_int_eq(still, 6);
    close_run(&r);
}
END_TEST

/* A step of plain SGD is the rate times the gradient: half the rate, half the step. */
START_TEST(test_lr_scale_is_a_factor) {
    double step[2];
    for (int k = 0; k < 2; k++) {
        train_run r = {0};
        char *extra[] = {"--lr-scale", k ? "emotion=0.25" : "emotion=1", "--dropout", "0"};
        open_run(&r, extra, 4);
        mn_error e = {0};
        mn_batch b;
        ck_assert(!mn_loader_begin(r.train, 0, 0) && mn_loader_next(r.train, &b, &e) > 0);
        mn_tensor *w = mn_model_parameter(r.m, "emotion/kernel");
        double *was = malloc((size_t)w->count * sizeof *was), *now = malloc((size_t)w->count * sizeof *now);
        ck_assert(!mn_get_f64(w, was));
        ASSERT_OK(train_step(&r, &b, &e), &e);
        ck_assert(!mn_get_f64(w, now));
        step[k] = 0;
        for (int64_t i = 0; i < w->count; i++) step[k] += fabs(now[i] - was[i]);
        free(was), free(now);
        close_run(&r);
    }
    ASSERT_CLOSE(step[1], 0.25 * step[0], 1e-4 * step[0]);
}
END_TEST

START_TEST(test_unfreeze) {
    train_run r = {0};
    mn_error e = {0};
    open_run(&r, NULL, 0);
    ck_assert(!mn_model_save(r.m, &r.info, test_path("from.h5"), &e));
    close_run(&r);
    snprintf(from, sizeof from, "%s", test_path("from.h5"));
    char *extra[] = {"--init", from, "--unfreeze-every", "1", "--freeze", "conv2d"};
    open_run(&r, extra, 6);
    const char *order[] = {"dense/kernel", "conv2d_2/kernel", "conv2d_1/kernel",
                           "conv2d/kernel"}; /* how they join; the last never */
    for (int64_t k = 0; k < 5; k++) {
        moved m = epoch(&r, k);
        ck_assert(of(&m, "emotion/kernel") > 0 && of(&m, "gender/bias") > 0);
        for (int64_t i = 0; i < 4; i++)
            ck_assert_msg((of(&m, order[i]) > 0) == (i < k && i < 3), "epoch %d, %s: moved by %g", (int)k, order[i],
                          of(&m, order[i]));
    }
    close_run(&r);
}
END_TEST
TEST_SUITE(transfer, test_lr_scale, test_lr_scale_is_a_factor, test_unfreeze)
#else
START_TEST(test_nothing) { test_skip("model files need libhdf5 and jansson"); }
END_TEST
TEST_SUITE(transfer, test_nothing)
#endif
