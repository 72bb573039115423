/* Intervals against exact distributions, McNemar's test against published numbers. */
#include "apps/intervals.h"
#include "apps/metrics.h"
#include "tensor/tensor.h"
#include "tests/tests.h"

/* P(X = k), X ~ Binomial(n, p), by the recurrence, not by logarithms. */
static void binomial(int n, double p, double *out) {
    out[0] = pow(1 - p, n);
    for (int k = 1; k <= n; k++) out[k] = out[k - 1] * (n - k + 1) / k * p / (1 - p);
}

/* The smallest k with P(X <= k) >= q. */
static int quantile(int n, double p, double q) {
    double b[1001], sum = 0;
    binomial(n, p, b);
    for (int k = 0; k <= n; k++)
        if ((sum += b[k]) >= q) return k;
    return n;
}

enum { PEOPLE = 60, EACH = 10 };

/* People who are right always or never: the bootstrap's accuracy is Binomial(people, p) / people, however
 * many pictures each has. Without clusters the same answers look surer than they are. */
START_TEST(test_clusters) {
    int32_t label[PEOPLE * EACH], predicted[PEOPLE * EACH];
    int64_t cluster[PEOPLE * EACH];
    for (int i = 0; i < PEOPLE * EACH; i++) {
        label[i] = i % 2;
        cluster[i] = i / EACH;
        predicted[i] = i / EACH < 42 ? label[i] : 1 - label[i]; /* 70 % */
    }
    answers a = {PEOPLE * EACH, 2, label, predicted, cluster, PEOPLE};
    interval accuracy, f1, alone;
    intervals_bootstrap(&a, &accuracy, &f1);
    /* 2,000 draws find a percentile within one step of 1/60 */
    ASSERT_CLOSE(accuracy.lo, quantile(PEOPLE, .7, .025) / 60., 1.01 / 60);
    ASSERT_CLOSE(accuracy.hi, quantile(PEOPLE, .7, .975) / 60., 1.01 / 60);
    a.cluster = NULL;
    intervals_bootstrap(&a, &alone, &f1);
    ASSERT_CLOSE(alone.lo, quantile(600, .7, .025) / 600., 3.01 / 600);
    ASSERT_CLOSE(alone.hi, quantile(600, .7, .975) / 600., 3.01 / 600);
    ck_assert(accuracy.hi - accuracy.lo > 2.5 * (alone.hi - alone.lo));
}
END_TEST

/* Two classes, always answered 0: with a share s of class 0, macro F1 is s / (1 + s) (class 1 has F1 0). */
START_TEST(test_macro_f1) {
    int32_t label[400], predicted[400] = {0};
    for (int i = 0; i < 400; i++) label[i] = i >= 300;
    answers a = {400, 3, label, predicted, NULL, 0}; /* class 2 never occurs: it counts in no mean */
    interval accuracy, f1;
    intervals_bootstrap(&a, &accuracy, &f1);
    ASSERT_CLOSE(f1.lo, accuracy.lo / (1 + accuracy.lo), 1e-12);
    ASSERT_CLOSE(f1.hi, accuracy.hi / (1 + accuracy.hi), 1e-12);
    ASSERT_CLOSE(accuracy.lo, quantile(400, .75, .025) / 400., 3.01 / 400);
}
END_TEST

START_TEST(test_rows_without_a_label) {
    int32_t label[6] = {0, -1, 1, -1, -1, -1}, predicted[6] = {0, 0, 1, 1, 1, 1}, none[6] = {-1, -1, -1, -1, -1, -1};
    int64_t cluster[6] = {2, 2, 0, 1, 1, 1};
    answers a = {6, 2, label, predicted, cluster, 3};
    interval accuracy, f1;
    intervals_bootstrap(&a, &accuracy, &f1);
    ck_assert(accuracy.lo == 1 && accuracy.hi == 1 && f1.hi == 1);
    a.label = none;
    intervals_bootstrap(&a, &accuracy, &f1);
    ck_assert(isnan(accuracy.lo) && isnan(accuracy.hi) && isnan(f1.lo));
    ck_assert(isnan(intervals_difference(&a, predicted).lo));
    ck_assert_int_eq(intervals_mcnemar(&a, predicted).n, 0);
}
END_TEST

/* The interval contains the truth about as often as it says: 200 samples of 150 answers, 80 % right. */
START_TEST(test_coverage) {
    int inside = 0;
    mn_rng r = mn_rng_create(17, 0);
    for (int t = 0; t < 200; t++) {
        int32_t label[150], predicted[150];
        for (int i = 0; i < 150; i++) {
            label[i] = (int32_t)mn_rng_below(&r, 2);
            predicted[i] = mn_rng_below(&r, 10) < 8 ? label[i] : 1 - label[i];
        }
        answers a = {150, 2, label, predicted, NULL, 0};
        interval accuracy, f1;
        intervals_bootstrap(&a, &accuracy, &f1);
        inside += accuracy.lo <= .8 && .8 <= accuracy.hi;
    }
    ck_assert_msg(inside >= 178 && inside <= 200, "%d of 200", inside); /* 190 - 12: four deviations */
}
END_TEST

/* Fleiss 1981 and Agresti 2002 use 2x2 tables of 1,600 voters with 86 and 150 changes; small ones by hand. */
START_TEST(test_mcnemar) {
    ASSERT_CLOSE(intervals_sign_test(0, 0), 1, 0);
    ASSERT_CLOSE(intervals_sign_test(0, 5), 2 / 32., 1e-12);
    ASSERT_CLOSE(intervals_sign_test(2, 8), 2 * (1 + 10 + 45) / 1024., 1e-12);
    ASSERT_CLOSE(intervals_sign_test(8, 2), 2 * (1 + 10 + 45) / 1024., 1e-12);
    ASSERT_CLOSE(intervals_sign_test(5, 5), 1, 1e-12);
    double b[237], sum = 0;
    binomial(236, .5, b);
    for (int k = 0; k <= 86; k++) sum += 2 * b[k];
    ASSERT_CLOSE(intervals_sign_test(86, 150), sum, 1e-12);
    ck_assert(sum < 4e-5 && sum > 2e-5); /* z = -4.17 */
    ASSERT_CLOSE(intervals_sign_test(50000, 50600), 2 * .5 * erfc((600 - 1) / sqrt(100600) / sqrt(2)),
                 1e-4); /* normal, with continuity */

    int32_t label[20], pa[20], pb[20];
    for (int i = 0; i < 20; i++) { /* both right 8, only a 2, only b 7, neither 2, no label 1 */
        label[i] = i == 19 ? -1 : 1;
        pa[i] = i < 10, pb[i] = i < 8 || (i >= 10 && i < 17);
    }
    answers a = {20, 2, label, pa, NULL, 0};
    mcnemar m = intervals_mcnemar(&a, pb);
    ck_assert(m.n == 19 && m.both == 8 && m.only_a == 2 && m.only_b == 7);
    ASSERT_CLOSE(m.p, 2 * (1 + 9 + 36) / 512., 1e-12);
    interval d = intervals_difference(&a, pb);
    ck_assert(d.lo < 5 / 19. && 5 / 19. < d.hi && d.lo >= -2 / 19. - .2 && d.hi <= 12 / 19.);
    d = intervals_difference(&a, pa);
    ck_assert(d.lo == 0 && d.hi == 0);
}
END_TEST

TEST_SUITE(intervals, test_clusters, test_macro_f1, test_rows_without_a_label, test_coverage, test_mcnemar)
