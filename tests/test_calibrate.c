/* Calibration against closed forms and numbers worked by hand. */
#include "apps/calibrate.h"
#include "tensor/tensor.h"
#include "tests/tests.h"

/* Two classes, every answer equally sure (q), a share s right: the best temperature makes softmax give s, so
 * 1/T = logit(s) / logit(q); with Platt's targets s is a little nearer to a half. */
START_TEST(test_temperature_closed_form) {
    const double q[4] = {.99, .9, .6, .8}, s[4] = {.8, .95, .75, .8};
    for (int t = 0; t < 4; t++) {
        float p[200][2];
        int32_t label[200];
        for (int i = 0; i < 200; i++) {
            int said = i % 3 == 0;
            p[i][said] = (float)q[t], p[i][1 - said] = (float)(1 - q[t]);
            label[i] = i < 200 * s[t] - .5 ? said : 1 - said;
        }
        double right = (s[t] * 201 + (1 - s[t])) / 202, want = log(q[t] / (1 - q[t])) / log(right / (1 - right));
        double T = calibrate_temperature(p[0], label, 200, 2);
        ASSERT_CLOSE(T, want, 1e-5 * want);
        metrics before, after;
        metrics_compute(&before, p[0], label, 200, 2);
        calibrate_apply(p[0], 200, 2, T);
        metrics_compute(&after, p[0], label, 200, 2);
        ASSERT_CLOSE(p[0][1], right, 1e-5);
        ASSERT_CLOSE(after.ece, fabs(right - s[t]), 1e-5);
        ck_assert(after.loss <= before.loss + 1e-4 && after.accuracy == before.accuracy);
        metrics_free(&before);
        metrics_free(&after);
    }
}
END_TEST

/* Labels drawn from softmax(z): 1 is the right temperature for z, 2.5 for 2.5 z. The least loss of a fine
 * grid agrees. */
START_TEST(test_temperature_found_again) {
    enum { N = 4000, K = 5 };
    static float p[N][K], sharp[N][K], q[N][K];
    static int32_t label[N];
    mn_rng r = mn_rng_create(4, 0);
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < K; k++) p[i][k] = (float)mn_rng_uniform(&r, -2, 2), sharp[i][k] = 2.5f * p[i][k];
        metrics_softmax(p[i], 1, K, 1);
        double u = mn_rng_uniform(&r, 0, 1);
        for (label[i] = 0; label[i] < K - 1 && u > p[i][label[i]]; label[i]++) u -= p[i][label[i]];
    }
    metrics_softmax(sharp[0], N, K, 1);
    double T = calibrate_temperature(p[0], label, N, K), T_sharp = calibrate_temperature(sharp[0], label, N, K);
    ASSERT_CLOSE(T, 1, .08);
    ASSERT_CLOSE(T_sharp, 2.5 * T, 1e-3);
    double best = 0, least = INFINITY;
    for (double t = .5; t < 2; t *= 1.002) {
        memcpy(q, p, sizeof q);
        calibrate_apply(q[0], N, K, t);
        metrics m;
        metrics_compute(&m, q[0], label, N, K);
        if (m.loss < least) least = m.loss, best = t;
        metrics_free(&m);
    }
    ASSERT_CLOSE(T, best, .004);
    int32_t none[2] = {-1, -1};
    ASSERT_CLOSE(calibrate_temperature(p[0], none, 2, K), 1, 0);
    ck_assert(calibrate_temperature(p[0], label, 0, K) == 1);
}
END_TEST

/* Two rows, all right or all wrong and sure: neither proves much. A thousand rightly sure ones stay sure.
 * Never infinite. */
START_TEST(test_temperature_bounds) {
    const float p[4] = {1, 0, 1, 0};
    const int32_t right[2] = {0, 0}, wrong[2] = {1, 1};
    ASSERT_CLOSE(calibrate_temperature(p, right, 2, 2), 20, 1e-6);
    static float sure[1000][2];
    static int32_t all[1000];
    for (int i = 0; i < 1000; i++) sure[i][0] = .9f, sure[i][1] = .1f;
    ASSERT_CLOSE(calibrate_temperature(sure[0], all, 1000, 2), log(9) / log(1001), 1e-5);
    ASSERT_CLOSE(calibrate_temperature(p, wrong, 2, 2), 20, 1e-6);
    float q[4] = {1, 0, .5, .5};
    calibrate_apply(q, 2, 2, 20);
    ck_assert(isfinite(q[0]) && isfinite(q[1]));
    ASSERT_CLOSE(q[2], .5, 1e-7);
}
END_TEST

/* Ten rows, confidences .5 .55 ... .95; those at .5, .6 and .9 are wrong. */
static float p10[11][2];
static int32_t label10[11];
static void fill(void) {
    for (int i = 0; i < 10; i++) {
        float c = .5f + .05f * (float)i;
        p10[i][0] = c, p10[i][1] = 1 - c;
        label10[i] = i == 0 || i == 2 || i == 8;
    }
    p10[10][0] = .51f, p10[10][1] = .49f, label10[10] = -1;
}

START_TEST(test_unsure) {
    fill();
    int64_t answered, right;
    ck_assert(calibrate_threshold(p10[0], label10, 11, 2, 0) == 0);
    ASSERT_CLOSE(calibrate_threshold(p10[0], label10, 11, 2, .3), .65, 1e-6); /* below it .5 .55 .6 */
    ASSERT_CLOSE(calibrate_threshold(p10[0], label10, 11, 2, .39), .65, 1e-6);
    calibrate_answered(p10[0], label10, 11, 2, .65 - 1e-6, &answered, &right);
    ck_assert_int_eq(answered, 7);
    ck_assert_int_eq(right, 6);
    calibrate_answered(p10[0], label10, 11, 2, 0, &answered, &right);
    ck_assert(answered == 10 && right == 7);
    float same[4][2] = {{.7f, .3f}, {.7f, .3f}, {.7f, .3f}, {.9f, .1f}}; /* equally sure: all or none are left out */
    int32_t label[4] = {0, 0, 1, 0};
    double t = calibrate_threshold(same[0], label, 4, 2, .5);
    calibrate_answered(same[0], label, 4, 2, t, &answered, &right);
    ck_assert_int_eq(answered, 4);
    ck_assert(calibrate_threshold(same[0], label, 0, 2, .5) == 0);
}
END_TEST

START_TEST(test_risk_coverage) {
    fill();
    int64_t points;
    double area, *risk = calibrate_risk(p10[0], label10, 11, 2, &points, &area);
    const double want[10] = {0, 1 / 2., 1 / 3., 1 / 4., 1 / 5., 1 / 6., 1 / 7., 2 / 8., 2 / 9., 3 / 10.};
    double sum = 0;
    ck_assert_int_eq(points, 10);
    for (int i = 0; i < 10; i++) {
        ASSERT_CLOSE(risk[i], want[i], 1e-12);
        sum += want[i] / 10;
    }
    ASSERT_CLOSE(area, sum, 1e-12);
    free(risk);
    float same[3][2] = {{.7f, .3f}, {.7f, .3f}, {.7f, .3f}};
    int32_t label[3] = {1, 0, 0};
    risk = calibrate_risk(same[0], label, 3, 2, &points, &area);
    for (int i = 0; i < 3; i++) ASSERT_CLOSE(risk[i], 1 / 3., 1e-12);
    ASSERT_CLOSE(area, 1 / 3., 1e-12);
    free(risk);
    ck_assert_ptr_null(calibrate_risk(same[0], label, 0, 2, &points, &area));
    ck_assert(points == 0 && isnan(area));
}
END_TEST

/* The bin (11/15, 12/15] holds two. */
START_TEST(test_bins) {
    const float p[4][2] = {{.78f, .22f}, {.79f, .21f}, {.5f, .5f}, {1, 0}};
    const int32_t label[4] = {0, 1, 0, -1};
    metrics_bin bin[METRICS_BINS];
    metrics_bins(p[0], label, 4, 2, bin);
    ck_assert(bin[11].n == 2 && bin[7].n == 1 && bin[14].n == 0);
    ASSERT_CLOSE(bin[11].confidence, .785, 1e-6);
    ASSERT_CLOSE(bin[11].accuracy, .5, 0);
    ck_assert(isnan(bin[14].accuracy));
}
END_TEST

TEST_SUITE(calibrate, test_temperature_closed_form, test_temperature_found_again, test_temperature_bounds, test_unsure,
           test_risk_coverage, test_bins)
