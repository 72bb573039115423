/* global_avg_pool2d against plain means. */
#include "tests/op_test.h"
#include "autograd/internal.h"

static void one_case(op_env *e, int64_t N, int64_t C, int64_t H, int64_t W) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(N, C, H, W), -1, 1), *dy = op_input(e, 1, MN_SHAPE(N, C), -1, 1);
    double *X = op_values(x), *DY = op_values(dy), *Y = calloc((size_t)dy->count, sizeof *Y);
    for (int64_t i = 0; i < x->count; i++) Y[i / (H * W)] += X[i];
    for (int64_t i = 0; i < dy->count; i++) Y[i] /= (double)H * (double)W;
    mn_tensor *y = mn_global_avg_pool2d(x);
    op_expect(e, y, MN_SHAPE(N, C), Y);
    for (int pass = 0; pass < 2; pass++) {
        ASSERT_OK(mn__backward_from(e->c, y, dy, pass), mn_context_error(e->c));
        for (int64_t i = 0; i < x->count; i++) X[i] = (pass + 1) * DY[i / (H * W)] / (double)(H * W);
        op_expect(e, x->grad, x->shape, X);
    }
    free(X), free(DY), free(Y);
    mn_step_begin(e->c);
}

static void definition(op_env *e) {
    one_case(e, 1, 1, 1, 1);
    one_case(e, 2, 3, 5, 7);
    one_case(e, 1, 13, 1, 17);
    one_case(e, 5, 11, 31, 29);
}
START_TEST(test_definition) { for_each_backend(definition); }
END_TEST

static void errors(op_env *e) {
    mn_tensor *flat = op_input(e, 0, MN_SHAPE(2, 3), -1, 1), *empty = op_input(e, 1, MN_SHAPE(2, 3, 0, 4), -1, 1);
    op_expect_error(e, mn_global_avg_pool2d(flat), MN_ERR_SHAPE, "input is (2,3), wanted (N,C,H,W)");
    op_expect_error(e, mn_global_avg_pool2d(empty), MN_ERR_SHAPE, "input is (2,3,0,4)");
    ck_assert_ptr_null(mn_global_avg_pool2d(NULL));
}
START_TEST(test_errors) { for_each_backend(errors); }
END_TEST

TEST_SUITE(global_avg_pool2d, test_definition, test_errors)
