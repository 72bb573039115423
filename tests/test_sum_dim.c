/* sum_dim over each dimension of odd shapes, with and without keep_dim. */
#include "tests/op_test.h"

static void case_of(op_env *e, mn_shape s, int dim, bool keep) {
    mn_tensor *x = op_input(e, 0, s, -1, 1);
    int d = dim < 0 ? dim + s.ndim : dim;
    mn_shape want_shape = {0};
    for (int i = 0; i < s.ndim; i++)
        if (i != d || keep) want_shape.dim[want_shape.ndim++] = i == d ? 1 : s.dim[i];
    int64_t count = mn_shape_count(want_shape), inner = 1;
    for (int i = d + 1; i < s.ndim; i++) inner *= s.dim[i];
    double *v = op_values(x), *want = calloc((size_t)count + 1, sizeof *want);
    for (int64_t i = 0; i < x->count; i++) want[i / (inner * s.dim[d]) * inner + i % inner] += v[i];
    mn_tensor *y = mn_sum_dim(x, (mn_reduce_opt){dim, keep});
    op_expect(e, y, want_shape, want);
    mn_tensor *g = op_input(e, 1, want_shape, -1, 1);
    ASSERT_OK(mn_backward_from(e->c, y, g), mn_context_error(e->c));
    double *dy = op_values(g);
    for (int64_t i = 0; i < x->count; i++) v[i] = dy[i / (inner * s.dim[d]) * inner + i % inner];
    op_expect(e, x->grad, s, v);
    free(v), free(want), free(dy);
    mn_step_begin(e->c);
}

static void values(op_env *e) {
    for (int keep = 0; keep < 2; keep++) {
        case_of(e, MN_SHAPE(1), 0, keep);
        case_of(e, MN_SHAPE(7), -1, keep);
        for (int d = -4; d < 4; d++) case_of(e, MN_SHAPE(2, 3, 1, 5), d, keep);
        case_of(e, MN_SHAPE(3, 0, 2), 1, keep); /* the sum of nothing is 0 */
        case_of(e, MN_SHAPE(0, 3), 1, keep);
    }
    case_of(e, MN_SHAPE(70, 3, 301), 0, false); /* wider than a strip, two threads */
    case_of(e, MN_SHAPE(3, 70, 301), 1, false);
    case_of(e, MN_SHAPE(3, 20011), 1, true);
}
START_TEST(test_values) { for_each_backend(values); }
END_TEST

static void errors(op_env *e) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(2, 3), -1, 1), *s = op_input(e, 1, (mn_shape){0}, -1, 1);
    op_expect_error(e, mn_sum_dim(x, (mn_reduce_opt){.dim = 2}), MN_ERR_ARG, "no dimension 2 in (2,3); wanted -2..1");
    op_expect_error(e, mn_sum_dim(x, (mn_reduce_opt){.dim = -3}), MN_ERR_ARG, "no dimension -3");
    op_expect_error(e, mn_sum_dim(s, (mn_reduce_opt){.dim = 0}), MN_ERR_ARG, "no dimension 0 in ()");
}
START_TEST(test_errors) { for_each_backend(errors); }
END_TEST

TEST_SUITE(sum_dim, test_values, test_errors)
