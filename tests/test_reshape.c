/* reshape and flatten: same numbers, no copy, gradients handed down. */
#include "tests/op_test.h"

static void body(op_env *e) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(2, 3, 4), -1, 1);
    double *v = op_values(x);
    mn_tensor *y = mn_reshape(x, MN_SHAPE(4, -1));
    op_expect(e, y, MN_SHAPE(4, 6), v);
    ck_assert_ptr_eq(y->data, x->data);
    op_expect(e, mn_flatten(x), MN_SHAPE(2, 12), v);
    free(v);
    op_expect_error(e, mn_reshape(x, MN_SHAPE(5, -1)), MN_ERR_SHAPE, "24 elements");
    op_expect_error(e, mn_reshape(x, MN_SHAPE(-1, -1)), MN_ERR_SHAPE, "two dimensions are -1");
    op_expect_error(e, mn_reshape(x, MN_SHAPE(2, 3)), MN_ERR_SHAPE, "do not make (2,3)");
}
START_TEST(test_body) { for_each_backend(body); }
END_TEST

/* y = (x^2 reshaped)^2 with an intermediate view: dy/dx = 4 x^3. */
static void through_a_view(op_env *e) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(2, 3), 0.5, 2);
    mn_tensor *y = mn_square(mn_reshape(mn_square(x), MN_SHAPE(6)));
    mn_tensor *one = mn_tensor_create(e->c, MN_STEP, mn_context_dtype(e->c), MN_SHAPE(6));
    mn_fill(one, 1);
    ASSERT_OK(mn_backward_from(e->c, y, one), mn_context_error(e->c));
    double *v = op_values(x);
    for (int i = 0; i < 6; i++) v[i] = 4 * v[i] * v[i] * v[i];
    op_expect(e, x->grad, MN_SHAPE(2, 3), v);
    free(v);
}
START_TEST(test_through_a_view) { for_each_backend(through_a_view); }
END_TEST

TEST_SUITE(reshape, test_body, test_through_a_view)
