/* slice along every dimension, every start and length of a small tensor. */
#include "tests/op_test.h"

static void case_of(op_env *e, mn_shape s, int dim, int64_t start, int64_t length) {
    mn_tensor *x = op_input(e, 0, s, 1, 2);
    double *v = op_values(x), *want = malloc((size_t)(x->count + 1) * sizeof *want);
    int d = dim < 0 ? dim + s.ndim : dim;
    mn_shape sy = s;
    sy.dim[d] = length;
    int64_t inner = 1, taken = 0;
    for (int i = d + 1; i < s.ndim; i++) inner *= s.dim[i];
    for (int64_t i = 0; i < x->count; i++) { /* in x's order: taken or left out */
        int64_t at = i / inner % s.dim[d];
        bool inside = at >= start && at < start + length;
        if (inside)
            want[taken++] = v[i];
        else
            v[i] = 0;
    }
    mn_tensor *y = mn_slice(x, dim, start, length), *g = mn_tensor_create(e->c, MN_STEP, mn_context_dtype(e->c), sy);
    op_expect(e, y, sy, want);
    mn_set_f64(g, want);
    ASSERT_OK(mn_backward_from(e->c, y, g), mn_context_error(e->c));
    op_expect(e, x->grad, s, v);
    free(v), free(want);
    mn_step_begin(e->c);
}

static void values(op_env *e) {
    mn_shape s = MN_SHAPE(2, 3, 1, 5);
    for (int d = -4; d < 4; d++)
        for (int64_t start = 0; start <= s.dim[(d + 4) % 4]; start++)
            for (int64_t length = 0; start + length <= s.dim[(d + 4) % 4]; length++) case_of(e, s, d, start, length);
    case_of(e, MN_SHAPE(11, 301, 17), 1, 100, 199); /* two threads */
}
START_TEST(test_values) { for_each_backend(values); }
END_TEST

static void errors(op_env *e) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(2, 5), -1, 1);
    op_expect_error(e, mn_slice(x, 2, 0, 1), MN_ERR_ARG, "no dimension 2 in (2,5); wanted -2..1");
    op_expect_error(e, mn_slice(x, 1, 3, 3), MN_ERR_ARG, "start 3 and length 3 leave dimension 1 of (2,5), which has 5");
    op_expect_error(e, mn_slice(x, 1, -1, 2), MN_ERR_ARG, "start -1");
    op_expect_error(e, mn_slice(x, 1, 1, -1), MN_ERR_ARG, "length -1");
    op_expect_error(e, mn_slice(x, 1, INT64_MAX, INT64_MAX), MN_ERR_ARG, "leave dimension 1");
    ck_assert_ptr_null(mn_slice(NULL, 0, 0, 1));
}
START_TEST(test_errors) { for_each_backend(errors); }
END_TEST

TEST_SUITE(slice, test_values, test_errors)
