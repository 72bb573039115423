/* pad2d: every element of the result is inside x, at coordinates shifted by the border, or the value. */
#include "tests/op_test.h"

static void case_of(op_env *e, mn_shape s, mn_pad2d_opt o) {
    mn_tensor *x = op_input(e, 0, s, 1, 2);
    double *v = op_values(x), *next = v;
    mn_shape sy = s;
    int64_t H = s.dim[s.ndim - 2], W = s.dim[s.ndim - 1];
    int64_t P = sy.dim[s.ndim - 2] = H + o.padding[0] + o.padding[1], Q = sy.dim[s.ndim - 1] = W + o.padding[2] + o.padding[3];
    int64_t count = mn_shape_count(sy);
    double *want = malloc((size_t)(count + 1) * sizeof *want);
    for (int64_t i = 0; i < count; i++) {
        int64_t p = i / Q % P - o.padding[0], q = i % Q - o.padding[2];
        want[i] = p >= 0 && p < H && q >= 0 && q < W ? *next++ : o.value;
    }
    ck_assert_int_eq(next - v, x->count);
    mn_tensor *y = mn_pad2d(x, o), *g = mn_tensor_create(e->c, MN_STEP, mn_context_dtype(e->c), sy);
    op_expect(e, y, sy, want);
    mn_set_f64(g, want);
    ASSERT_OK(mn_backward_from(e->c, y, g), mn_context_error(e->c));
    op_expect(e, x->grad, s, v); /* the border's gradient goes nowhere */
    free(v), free(want);
    mn_step_begin(e->c);
}

static void values(op_env *e) {
    case_of(e, MN_SHAPE(1, 1), (mn_pad2d_opt){{1, 1, 1, 1}, 0});
    case_of(e, MN_SHAPE(2, 3), (mn_pad2d_opt){{0, 0, 0, 0}, 7});
    case_of(e, MN_SHAPE(2, 3, 5, 7), (mn_pad2d_opt){{1, 2, 3, 0}, -0.5});
    case_of(e, MN_SHAPE(2, 1, 3, 1, 2), (mn_pad2d_opt){{0, 3, 0, 1}, 0});
    case_of(e, MN_SHAPE(2, 0, 3), (mn_pad2d_opt){{1, 1, 0, 0}, 2}); /* nothing but border */
    case_of(e, MN_SHAPE(0, 2, 3), (mn_pad2d_opt){{1, 1, 0, 0}, 2});
    case_of(e, MN_SHAPE(3, 5, 47, 53), (mn_pad2d_opt){{1, 1, 2, 2}, 0}); /* two threads */
}
START_TEST(test_values) { for_each_backend(values); }
END_TEST

static void errors(op_env *e) {
    mn_tensor *v = op_input(e, 0, MN_SHAPE(5), -1, 1), *x = op_input(e, 1, MN_SHAPE(2, 5), -1, 1);
    op_expect_error(e, mn_pad2d(v, (mn_pad2d_opt){0}), MN_ERR_SHAPE, "the input is (5); wanted (...,H,W)");
    op_expect_error(e, mn_pad2d(x, (mn_pad2d_opt){{0, -1, 0, 0}, 0}), MN_ERR_ARG,
                    "the padding is {0,-1,0,0} (top, bottom, left, right)");
    ck_assert_ptr_null(mn_pad2d(NULL, (mn_pad2d_opt){0}));
}
START_TEST(test_errors) { for_each_backend(errors); }
END_TEST

TEST_SUITE(pad2d, test_values, test_errors)
