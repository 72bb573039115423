/* bias_add against loops over n, c and the rest. */
#include "tests/op_test.h"

static void case_of(op_env *e, mn_shape s) {
    int64_t N = s.dim[0], C = s.dim[1], I = 1;
    for (int d = 2; d < s.ndim; d++) I *= s.dim[d];
    mn_tensor *x = op_input(e, 0, s, -1, 1), *b = op_input(e, 1, MN_SHAPE(C), -1, 1), *w = op_input(e, 2, s, -1, 1);
    double *vx = op_values(x), *vb = op_values(b), *vw = op_values(w);
    double *want = malloc((size_t)(N * C * I + 1) * sizeof *want), *db = calloc((size_t)C + 1, sizeof *db);
    int64_t at = 0;
    for (int64_t n = 0; n < N; n++)
        for (int64_t c = 0; c < C; c++)
            for (int64_t i = 0; i < I; i++, at++) want[at] = vx[at] + vb[c], db[c] += vw[at];
    mn_tensor *y = mn_bias_add(x, b);
    op_expect(e, y, s, want);
    ASSERT_OK(mn_backward_from(e->c, y, w), mn_context_error(e->c));
    op_expect(e, x->grad, s, vw);
    op_expect(e, b->grad, MN_SHAPE(C), db);
    free(vx), free(vb), free(vw), free(want), free(db);
    mn_step_begin(e->c);
}

static void values(op_env *e) {
    case_of(e, MN_SHAPE(1, 1));
    case_of(e, MN_SHAPE(5, 3));
    case_of(e, MN_SHAPE(1, 7, 1));
    case_of(e, MN_SHAPE(2, 3, 5, 7));
    case_of(e, MN_SHAPE(2, 2, 3, 1, 2));
    case_of(e, MN_SHAPE(0, 3));
    case_of(e, MN_SHAPE(0, 3, 2, 2));
    case_of(e, MN_SHAPE(2, 3, 0));
    case_of(e, MN_SHAPE(130, 521)); /* wider than a strip, two threads */
    case_of(e, MN_SHAPE(3, 5, 67, 41));
}
START_TEST(test_values) { for_each_backend(values); }
END_TEST

static void errors(op_env *e) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(2, 3, 4), -1, 1), *b = op_input(e, 1, MN_SHAPE(4), -1, 1);
    op_expect_error(e, mn_bias_add(x, b), MN_ERR_SHAPE, "x is (2,3,4) and the bias (4); wanted x (N,C,...)");
    op_expect_error(e, mn_bias_add(b, b), MN_ERR_SHAPE, "wanted x (N,C,...)");
    ck_assert_ptr_null(mn_bias_add(x, NULL));
}
START_TEST(test_errors) { for_each_backend(errors); }
END_TEST

TEST_SUITE(bias_add, test_values, test_errors)
