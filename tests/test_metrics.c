/* Metrics against numbers worked by hand (and, for Wilson's interval, from the literature's tables). */
#include "apps/metrics.h"
#include "tests/tests.h"

/* Three classes, six labelled samples and one without a label:
 *   label      0    0    1    1    1    2   -
 *   predicted  0    1    1    1    0    1   0      (p of the predicted class below)
 * confusion: 0: 1 1 0 | 1: 1 2 0 | 2: 0 1 0. */
static const float p7[7][3] = {{.8f, .1f, .1f}, {.3f, .5f, .2f}, {.1f, .9f, 0}, {.25f, .5f, .25f},
                               {.6f, .2f, .2f}, {.1f, .5f, .4f}, {1, 0, 0}};
static const int32_t label7[7] = {0, 0, 1, 1, 1, 2, -1};

START_TEST(test_by_hand) {
    metrics m;
    metrics_compute(&m, p7[0], label7, 7, 3);
    ck_assert_int_eq(m.n, 6);
    const int64_t confusion[9] = {1, 1, 0, 1, 2, 0, 0, 1, 0};
    for (int i = 0; i < 9; i++) ck_assert_int_eq(m.confusion[i], confusion[i]);
    ASSERT_CLOSE(m.accuracy, 3 / 6., 1e-12);
    ASSERT_CLOSE(m.loss, -(log(.8) + log(.3) + log(.9) + log(.5) + log(.2) + log(.4)) / 6, 1e-7);
    ASSERT_CLOSE(m.precision[0], 1 / 2., 1e-12);
    ASSERT_CLOSE(m.precision[1], 2 / 4., 1e-12);
    ck_assert(isnan(m.precision[2])); /* never predicted */
    ASSERT_CLOSE(m.recall[0], 1 / 2., 1e-12);
    ASSERT_CLOSE(m.recall[1], 2 / 3., 1e-12);
    ASSERT_CLOSE(m.recall[2], 0, 0);
    ASSERT_CLOSE(m.f1[0], 1 / 2., 1e-12);
    ASSERT_CLOSE(m.f1[1], 4 / 7., 1e-12);
    ASSERT_CLOSE(m.f1[2], 0, 0);
    ASSERT_CLOSE(m.macro_f1, (1 / 2. + 4 / 7.) / 3, 1e-12);
    ASSERT_CLOSE(m.weighted_f1, (2 * 1 / 2. + 3 * 4 / 7.) / 6, 1e-12);
    ck_assert_int_eq(m.support[1], 3);
    /* bins of 1/15: .8 -> (11/15, 12/15], .5 (three of them) -> (7/15, 8/15], .9 -> (13/15, 14/15],
     * .6 -> (8/15, 9/15]: |1-.8| + |1-1.5| + |1-.9| + |0-.6| */
    ASSERT_CLOSE(m.ece, (.2 + .5 + .1 + .6) / 6, 1e-6);
    metrics_free(&m);
}
END_TEST

START_TEST(test_nothing_at_all) {
    metrics m;
    int32_t none[2] = {-1, -1};
    for (int n = 0; n <= 2; n += 2) {
        metrics_compute(&m, p7[0], none, n, 3);
        ck_assert_int_eq(m.n, 0);
        ck_assert(isnan(m.accuracy) && isnan(m.accuracy_lo) && isnan(m.accuracy_hi) && isnan(m.loss));
        ck_assert(isnan(m.macro_f1) && isnan(m.weighted_f1) && isnan(m.ece) && isnan(m.f1[0]));
        metrics_free(&m);
    }
}
END_TEST

/* A class without samples that nobody predicts counts in no mean. */
START_TEST(test_empty_class) {
    const float p[2][3] = {{.9f, .1f, 0}, {.2f, .8f, 0}};
    const int32_t label[2] = {0, 1};
    metrics m;
    metrics_compute(&m, p[0], label, 2, 3);
    ASSERT_CLOSE(m.macro_f1, 1, 1e-12);
    ASSERT_CLOSE(m.weighted_f1, 1, 1e-12);
    ck_assert(isnan(m.recall[2]) && isnan(m.precision[2]) && isnan(m.f1[2]));
    ASSERT_CLOSE(m.accuracy_hi, 1, 0);
    metrics_free(&m);
}
END_TEST

/* A probability that a float rounds to 0 gives a large loss, not infinity. */
START_TEST(test_sure_and_wrong) {
    const float p[2] = {1, 0};
    const int32_t label = 1;
    metrics m;
    metrics_compute(&m, p, &label, 1, 2);
    ck_assert(isfinite(m.loss) && m.loss > 60);
    ASSERT_CLOSE(m.ece, 1, 1e-12);
    ASSERT_CLOSE(m.accuracy_lo, 0, 0);
    metrics_free(&m);
}
END_TEST

/* Newcombe 1998, table I, method 3: 81/263, 15/148, 0/20, 1/29. */
START_TEST(test_wilson) {
    const struct {
        int64_t hits, n;
        double lo, hi;
    } row[] = {{81, 263, .2553, .3662}, {15, 148, .0624, .1605}, {0, 20, 0, .1611}, {1, 29, .0061, .1718}, {20, 20, .8389, 1}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        double lo, hi;
        metrics_wilson(row[i].hits, row[i].n, &lo, &hi);
        ASSERT_CLOSE(lo, row[i].lo, 5.1e-5);
        ASSERT_CLOSE(hi, row[i].hi, 5.1e-5);
    }
}
END_TEST

START_TEST(test_softmax) {
    float x[2][3] = {{1000, 1001, 1002}, {-50, -50, -50}};
    metrics_softmax(x[0], 2, 3, 0);
    ASSERT_CLOSE(x[0][2], 1 / (1 + exp(-1) + exp(-2)), 1e-7);
    ASSERT_CLOSE(x[0][0], exp(-2) / (1 + exp(-1) + exp(-2)), 1e-7);
    ASSERT_CLOSE(x[1][1], 1 / 3., 1e-7);
    float warm[2] = {4, 0};
    metrics_softmax(warm, 1, 2, 2);
    ASSERT_CLOSE(warm[0], 1 / (1 + exp(-2)), 1e-7);
    ck_assert_int_eq(metrics_argmax(x[1], 3), 0);
}
END_TEST

TEST_SUITE(metrics, test_by_hand, test_nothing_at_all, test_empty_class, test_sure_and_wrong, test_wilson, test_softmax)
