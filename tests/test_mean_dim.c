/* mean_dim against sums taken by hand; the sums themselves are tested in test_sum_dim.c. */
#include "tests/op_test.h"

static void values(op_env *e) {
    mn_tensor *x = mn_parameter(e->c, NULL, MN_SHAPE(2, 3));
    mn_set_f64(x, (double[]){1, 2, 6, -4, 0, 1});
    op_expect(e, mn_mean_dim(x, (mn_reduce_opt){.dim = 1}), MN_SHAPE(2), (double[]){3, -1});
    op_expect(e, mn_mean_dim(x, (mn_reduce_opt){.dim = -2}), MN_SHAPE(3), (double[]){-1.5, 1, 3.5});
    mn_tensor *y = mn_mean_dim(x, (mn_reduce_opt){.dim = 1, .keep_dim = true}), *g = op_input(e, 0, MN_SHAPE(2, 1), 0, 1);
    op_expect(e, y, MN_SHAPE(2, 1), (double[]){3, -1});
    mn_set_f64(g, (double[]){6, -3});
    ASSERT_OK(mn_backward_from(e->c, y, g), mn_context_error(e->c));
    op_expect(e, x->grad, MN_SHAPE(2, 3), (double[]){2, 2, 2, -1, -1, -1});
    /* (x - mean) has the mean 0: broadcasting a kept dimension */
    mn_tensor *centred = mn_sub(x, mn_mean_dim(x, (mn_reduce_opt){.dim = 1, .keep_dim = true}));
    op_expect(e, centred, MN_SHAPE(2, 3), (double[]){-2, -1, 3, -3, 1, 2});
}
START_TEST(test_values) { for_each_backend(values); }
END_TEST

static void errors(op_env *e) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(2, 0), -1, 1);
    op_expect_error(e, mn_mean_dim(x, (mn_reduce_opt){.dim = 1}), MN_ERR_SHAPE, "dimension 1 of (2,0) has no elements");
    op_expect_error(e, mn_mean_dim(x, (mn_reduce_opt){.dim = 2}), MN_ERR_ARG, "no dimension 2");
}
START_TEST(test_errors) { for_each_backend(errors); }
END_TEST

TEST_SUITE(mean_dim, test_values, test_errors)
