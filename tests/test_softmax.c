/* softmax against PyTorch 1.13 and a naive loop; rows that would overflow. */
#include "tests/op_test.h"

static const double X[12] = {0.5, -1.2, 2.0, 1.5, 0.3, -0.7, -2.0, 0.1, 0.4, 3.0, -3.0, 0.2};

static void known_values(op_env *e) {
    mn_tensor *x = mn_parameter(e->c, NULL, MN_SHAPE(4, 3));
    mn_set_f64(x, X);
    op_expect(e, mn_softmax(x), MN_SHAPE(4, 3),
              (double[]){0.176542058866371, 0.032251325457234, 0.791206615676395, 0.70821661644141, 0.213310745652197,
                         0.0784726379063938, 0.0495310737394382, 0.40447916410817, 0.545989762152392, 0.940478246436105,
                         0.00233121250046085, 0.0571905410634347});
}
START_TEST(test_known_values) { for_each_backend(known_values); }
END_TEST

static void case_of(op_env *e, mn_shape s) {
    mn_tensor *x = op_input(e, 0, s, -5, 5), *g = op_input(e, 1, s, -1, 1);
    int64_t K = s.dim[s.ndim - 1];
    double *v = op_values(x), *dy = op_values(g), *y = malloc((size_t)(x->count + 1) * sizeof *y);
    for (int64_t i = 0; i < x->count; i += K) {
        double sum = 0, dot = 0;
        for (int64_t k = 0; k < K; k++) sum += exp(v[i + k]);
        for (int64_t k = 0; k < K; k++) y[i + k] = exp(v[i + k]) / sum, dot += dy[i + k] * y[i + k];
        for (int64_t k = 0; k < K; k++) dy[i + k] = y[i + k] * (dy[i + k] - dot);
    }
    mn_tensor *t = mn_softmax(x);
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
    mn_tensor *x = mn_parameter(e->c, NULL, MN_SHAPE(3, 3));
    mn_set_f64(x, (double[]){10000, 10000, -10000, -1e30, 0, 1e30, (double)-INFINITY, 2, 2});
    op_expect(e, mn_softmax(x), MN_SHAPE(3, 3), (double[]){0.5, 0.5, 0, 0, 0, 1, 0, 0.5, 0.5});
    op_expect_error(e, mn_softmax(op_input(e, 1, (mn_shape){0}, 0, 1)), MN_ERR_SHAPE, "a single number");
    ck_assert_ptr_null(mn_softmax(NULL));
}
START_TEST(test_extremes) { for_each_backend(extremes); }
END_TEST

TEST_SUITE(softmax, test_known_values, test_shapes, test_extremes)
