/* mse, huber, binary_cross_entropy against PyTorch 1.13 in float64, and far from zero. */
#include "tests/op_test.h"

static const double X[6] = {0.5, -1.2, 2.0, 0.0, -3.0, 0.9}, T[6] = {1, 0, 0.25, 0.5, 1, 0.9};

static mn_tensor *huber(mn_tensor *x, mn_tensor *t) { return mn_huber(x, t, 0.75); }

static void expect(op_env *e, mn_tensor *(*f)(mn_tensor *, mn_tensor *), double loss, const double *dx) {
    mn_tensor *x = mn_parameter(e->c, NULL, MN_SHAPE(2, 3)), *t = mn_parameter(e->c, NULL, MN_SHAPE(2, 3));
    mn_set_f64(x, X), mn_set_f64(t, T);
    mn_tensor *y = f(x, t);
    op_expect(e, y, (mn_shape){0}, &loss);
    ASSERT_OK(mn_backward(e->c, y), mn_context_error(e->c));
    op_expect(e, x->grad, MN_SHAPE(2, 3), dx);
    ck_assert_ptr_null(t->grad); /* targets are not differentiated */
}

static void known_values(op_env *e) {
    expect(e, mn_mse, 3.50041666666667,
           (double[]){-0.166666666666667, -0.4, 0.583333333333333, -0.166666666666667, -1.33333333333333, 0});
    expect(e, huber, 0.769791666666667, (double[]){-0.0833333333333333, -0.125, 0.125, -0.0833333333333333, -0.125, 0});
    expect(e, mn_binary_cross_entropy, 1.08952931157115,
           (double[]){-0.0629234447996909, 0.0385792027501637, 0.105132846329647, 0, -0.158762354470406, -0.031508416229166});
}
START_TEST(test_known_values) { for_each_backend(known_values); }
END_TEST

/* Logits of +-1000: the loss is finite, and the gradient is that of a sure mistake or a sure hit. */
static void extremes(op_env *e) {
    mn_tensor *x = mn_parameter(e->c, NULL, MN_SHAPE(4)), *t = mn_parameter(e->c, NULL, MN_SHAPE(4));
    mn_set_f64(x, (double[]){1000, 1000, -1000, -1000}), mn_set_f64(t, (double[]){1, 0, 1, 0});
    mn_tensor *y = mn_binary_cross_entropy(x, t);
    op_expect(e, y, (mn_shape){0}, (double[]){500});
    ASSERT_OK(mn_backward(e->c, y), mn_context_error(e->c));
    op_expect(e, x->grad, MN_SHAPE(4), (double[]){0, 0.25, -0.25, 0});
}
START_TEST(test_extremes) { for_each_backend(extremes); }
END_TEST

/* Longer than a block, on two threads: against a plain loop. */
static void large(op_env *e) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(5, 13007), -2, 2), *t = op_input(e, 1, MN_SHAPE(5, 13007), -2, 2);
    double *v = op_values(x), *u = op_values(t), loss = 0, *dx = malloc((size_t)x->count * sizeof *dx);
    for (int64_t i = 0; i < x->count; i++) {
        double d = v[i] - u[i];
        loss += d * d / (double)x->count, dx[i] = 2 * d / (double)x->count;
    }
    mn_tensor *y = mn_mse(x, t);
    op_expect(e, y, (mn_shape){0}, &loss);
    ASSERT_OK(mn_backward(e->c, y), mn_context_error(e->c));
    op_expect(e, x->grad, x->shape, dx);
    free(v), free(u), free(dx);
}
START_TEST(test_large) { for_each_backend(large); }
END_TEST

static void errors(op_env *e) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(4, 1), -1, 1), *t = op_input(e, 1, MN_SHAPE(4), -1, 1);
    mn_tensor *none = op_input(e, 2, MN_SHAPE(0, 3), -1, 1);
    op_expect_error(e, mn_mse(x, t), MN_ERR_SHAPE, "mse: the input is (4,1) and the target (4); wanted the same shape");
    op_expect_error(e, mn_binary_cross_entropy(x, t), MN_ERR_SHAPE, "hint: mn_reshape");
    op_expect_error(e, mn_huber(x, x, 0), MN_ERR_ARG, "the parameter is 0, wanted a number above 0");
    op_expect_error(e, mn_huber(x, x, (double)NAN), MN_ERR_ARG, "wanted a number above 0");
    op_expect_error(e, mn_mse(none, none), MN_ERR_SHAPE, "has no elements");
    ck_assert_ptr_null(mn_mse(x, NULL));
}
START_TEST(test_errors) { for_each_backend(errors); }
END_TEST

TEST_SUITE(loss, test_known_values, test_extremes, test_large, test_errors)
