/* lstm_cell against loops in double. */
#include "tests/op_test.h"

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double hard(double x) { return fmax(0, fmin(1, 0.2 * x + 0.5)); }
static double relu(double x) { return x > 0 ? x : 0; }

/* N samples of U channels at I positions; gate k of channel u at position i is z[n][k][u][i]. */
static void case_of(op_env *e, int64_t N, int64_t U, int64_t I, bool begin, bool masked, bool special) {
    mn_tensor *z = op_input(e, 0, MN_SHAPE(N, 4 * U, I), -4, 4), *state = op_input(e, 1, MN_SHAPE(N, 2 * U, I), -2, 2);
    mn_tensor *mask = op_input(e, 2, MN_SHAPE(N, 3), 1, 1);
    double *m = op_values(mask), *in = op_values(z), *old = op_values(state),
           *want = malloc(sizeof *want * (size_t)(N * 2 * U * I));
    for (int64_t n = 0; n < N; n++) m[n * 3 + 1] = n % 2 ? 0 : 0.25; /* anything but 0 counts */
    ASSERT_OK(mn_set_f64(mask, m), mn_context_error(e->c));
    double (*gate)(double) = special ? hard : sigmoid, (*f)(double) = special ? relu : tanh;
    for (int64_t n = 0; n < N; n++)
        for (int64_t u = 0; u < U; u++)
            for (int64_t i = 0; i < I; i++) {
                double g[4], *h = want + ((n * 2 + 0) * U + u) * I + i, *c = want + ((n * 2 + 1) * U + u) * I + i;
                double h0 = begin ? 0 : old[((n * 2 + 0) * U + u) * I + i], c0 = begin ? 0 : old[((n * 2 + 1) * U + u) * I + i];
                for (int k = 0; k < 4; k++) g[k] = in[((n * 4 + k) * U + u) * I + i];
                *c = gate(g[1]) * c0 + gate(g[0]) * f(g[2]);
                *h = gate(g[3]) * f(*c);
                if (masked && n % 2) *h = h0, *c = c0;
            }
    op_expect(e,
              mn_lstm_cell(z, begin ? NULL : state, masked ? mask : NULL,
                           (mn_lstm_cell_opt){.hard_sigmoid = special, .relu = special, .step = 1}),
              MN_SHAPE(N, 2 * U, I), want);
    free(m), free(in), free(old), free(want);
}

static void body(op_env *e) {
    for (int k = 0; k < 8; k++) {
        case_of(e, 1, 1, 1, k & 1, k & 2, k & 4);
        case_of(e, 3, 5, 7, k & 1, k & 2, k & 4);
    }
    case_of(e, 9, 17, 60, false, true, false); /* large enough for two threads */
}
START_TEST(test_forward) { for_each_backend(body); }
END_TEST

/* Numbers so large that exp overflows still give gates of 0 and 1. */
static void large(op_env *e) {
    mn_tensor *z = mn_input(e->c, MN_SHAPE(1, 4), (float[]){900, -900, 900, 900});
    op_expect(e, mn_lstm_cell(z, NULL, NULL, (mn_lstm_cell_opt){0}), MN_SHAPE(1, 2), (double[]){tanh(1), 1});
}
START_TEST(test_large) { for_each_backend(large); }
END_TEST

static void errors(op_env *e) {
    mn_tensor *z = op_input(e, 0, MN_SHAPE(2, 8), -1, 1), *odd = op_input(e, 1, MN_SHAPE(2, 6), -1, 1);
    mn_tensor *mask = op_input(e, 2, MN_SHAPE(2, 3), 1, 1);
    const mn_lstm_cell_opt o = {0};
    op_expect_error(e, mn_lstm_cell(odd, NULL, NULL, o), MN_ERR_SHAPE, "the gates are (2,6); wanted (N,4U,...)");
    op_expect_error(e, mn_lstm_cell(z, odd, NULL, o), MN_ERR_SHAPE,
                    "the gates are (2,8) and the state (2,6); wanted the state (2,4)");
    op_expect_error(e, mn_lstm_cell(z, NULL, op_input(e, 3, MN_SHAPE(3, 3), 1, 1), o), MN_ERR_SHAPE,
                    "the mask is (3,3); wanted (2,T)");
    op_expect_error(e, mn_lstm_cell(z, NULL, mask, (mn_lstm_cell_opt){.step = 3}), MN_ERR_ARG,
                    "there is no step 3 in the mask (2,3)");
    op_expect_error(e, mn_sequence_mask(e->c, 2, 3, (int32_t[]){3, 4}), MN_ERR_ARG, "sample 1 has 4 steps; wanted 0 to 3");
    op_expect(e, mn_sequence_mask(e->c, 2, 3, (int32_t[]){0, 2}), MN_SHAPE(2, 3), (double[]){0, 0, 0, 1, 1, 0});
}
START_TEST(test_errors) { for_each_backend(errors); }
END_TEST

TEST_SUITE(lstm_cell, test_forward, test_large, test_errors)
