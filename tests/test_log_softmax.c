/* log_softmax against PyTorch 1.13 and a naive loop; rows that would overflow. */
#include "tests/op_test.h"

static const double X[12] = {0.5, -1.2, 2.0, 1.5, 0.3, -0.7, -2.0, 0.1, 0.4, 3.0, -3.0, 0.2};

static void known_values(op_env *e) {
    mn_tensor *x = mn_parameter(e->c, NULL, MN_SHAPE(4, 3));
    mn_set_f64(x, X);
    op_expect(e, mn_log_softmax(x), MN_SHAPE(4, 3),
              (double[]){-1.7341961371358, -3.4341961371358, -0.234196137135798, -0.345005276657514, -1.54500527665751,
                         -2.54500527665751, -3.00515505404967, -0.905155054049672, -0.605155054049672, -0.0613667602947223,
                         -6.06136676029472, -2.86136676029472});
}
START_TEST(test_known_values) { for_each_backend(known_values); }
END_TEST

static void case_of(op_env *e, mn_shape s) {
    mn_tensor *x = op_input(e, 0, s, -5, 5), *g = op_input(e, 1, s, -1, 1);
    int64_t K = s.dim[s.ndim - 1];
    double *v = op_values(x), *dy = op_values(g), *y = malloc((size_t)(x->count + 1) * sizeof *y);
    for (int64_t i = 0; i < x->count; i += K) {
        double sum = 0, all = 0;
        for (int64_t k = 0; k < K; k++) sum += exp(v[i + k]), all += dy[i + k];
        for (int64_t k = 0; k < K; k++) y[i + k] = log(exp(v[i + k]) / sum), dy[i + k] -= exp(v[i + k]) / sum * all;
    }
    mn_tensor *t = mn_log_softmax(x);
    op_expect(e, t, s, y);
    ASSERT_OK(mn_backward_from(e->c, t, g), mn_context_error(e->c));
    op_expect(e, x->grad, s, dy);
    free(v), free(dy), free(y);
    mn_step_begin(e->c);
}
static void shapes(op_env *e) {
    case_of(e, MN_SHAPE(1));
    case_of(e, MN_SHAPE(7));
    case_of(e, MN_SHAPE(5, 1));
    case_of(e, MN_SHAPE(2, 3, 1, 11));
    case_of(e, MN_SHAPE(0, 7));
    case_of(e, MN_SHAPE(3, 1009));
    case_of(e, MN_SHAPE(5003, 7)); /* two threads */
}
START_TEST(test_shapes) { for_each_backend(shapes); }
END_TEST

static void extremes(op_env *e) {
    mn_tensor *x = mn_parameter(e->c, NULL, MN_SHAPE(2, 3));
    mn_set_f64(x, (double[]){10000, 10000, -10000, -1e6, 0, 1e6});
    double half = 0.69314718055994531;
    op_expect(e, mn_log_softmax(x), MN_SHAPE(2, 3), (double[]){-half, -half, -20000 - half, -2e6, -1e6, 0});
    op_expect_error(e, mn_log_softmax(op_input(e, 1, (mn_shape){0}, 0, 1)), MN_ERR_SHAPE, "a single number");
    ck_assert_ptr_null(mn_log_softmax(NULL));
}
START_TEST(test_extremes) { for_each_backend(extremes); }
END_TEST

TEST_SUITE(log_softmax, test_known_values, test_shapes, test_extremes)
