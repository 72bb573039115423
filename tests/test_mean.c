/* mean of everything, and that the mean of nothing is an error. */
#include "tests/op_test.h"

static void values(op_env *e) {
    static const mn_shape shapes[] = {{0, {0}}, {1, {1}}, {1, {7}}, {4, {2, 3, 5, 7}}, {2, {3, 20011}}};
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        mn_tensor *x = op_input(e, 0, shapes[k], -1, 1);
        double *v = op_values(x), want = 0;
        for (int64_t i = 0; i < x->count; i++) want += v[i] / (double)x->count;
        mn_tensor *y = mn_mean(x);
        op_expect(e, y, (mn_shape){0}, &want);
        ASSERT_OK(mn_backward(e->c, mn_scale(y, 3)), mn_context_error(e->c));
        for (int64_t i = 0; i < x->count; i++) v[i] = 3.0 / (double)x->count;
        op_expect(e, x->grad, shapes[k], v);
        free(v);
        mn_step_begin(e->c);
    }
    op_expect_error(e, mn_mean(op_input(e, 0, MN_SHAPE(0, 3), 0, 1)), MN_ERR_SHAPE, "(0,3) has no elements");
}
START_TEST(test_values) { for_each_backend(values); }
END_TEST

TEST_SUITE(mean, test_values)
