/* concat along every dimension: every element of the result is looked up by its coordinates. */
#include "tests/op_test.h"

static void case_of(op_env *e, mn_shape s, int dim, const int64_t *sizes, int n) {
    mn_tensor *x[8];
    double *v[8];
    int d = dim < 0 ? dim + s.ndim : dim;
    mn_shape sy = s;
    sy.dim[d] = 0;
    for (int k = 0; k < n; k++) {
        s.dim[d] = sizes[k];
        sy.dim[d] += sizes[k];
        x[k] = op_input(e, k, s, -1, 1), v[k] = op_values(x[k]);
    }
    int64_t count = mn_shape_count(sy), inner = 1;
    for (int i = d + 1; i < s.ndim; i++) inner *= s.dim[i];
    double *want = malloc((size_t)(count + 1) * sizeof *want), *next[8];
    for (int k = 0; k < n; k++) next[k] = v[k];
    for (int64_t i = 0; i < count; i++) { /* each input is used up in its own order */
        int64_t at = i / inner % sy.dim[d];
        int k = 0;
        while (at >= sizes[k]) at -= sizes[k++];
        want[i] = *next[k]++;
    }
    mn_tensor *y = mn_concat(x, n, dim), *g = mn_tensor_create(e->c, MN_STEP, mn_context_dtype(e->c), sy);
    op_expect(e, y, sy, want);
    ASSERT_OK(mn_set_f64(g, want), mn_context_error(e->c));
    ASSERT_OK(mn_backward_from(e->c, y, g), mn_context_error(e->c));
    for (int k = 0; k < n; k++) op_expect(e, x[k]->grad, x[k]->shape, v[k]), free(v[k]); /* taken apart again */
    free(want);
    mn_step_begin(e->c);
}

static void values(op_env *e) {
    case_of(e, MN_SHAPE(1), 0, (int64_t[]){1}, 1);
    case_of(e, MN_SHAPE(3), 0, (int64_t[]){3, 1, 0, 5}, 4);
    for (int d = -4; d < 4; d++) case_of(e, MN_SHAPE(2, 3, 1, 5), d, (int64_t[]){2, 7, 1}, 3);
    case_of(e, MN_SHAPE(2, 0, 3), 0, (int64_t[]){2, 1}, 2);
    case_of(e, MN_SHAPE(5, 1, 101, 41), 1, (int64_t[]){2, 3}, 2); /* two threads */
}
START_TEST(test_values) { for_each_backend(values); }
END_TEST

static void many(op_env *e) {
    mn_tensor *x[33];
    double want[32];
    for (int k = 0; k < 33; k++) x[k] = op_input(e, k, MN_SHAPE(1), -1, 1);
    for (int k = 0; k < 32; k++) want[k] = mn_item(x[k], 0);
    op_expect(e, mn_concat(x, 32, 0), MN_SHAPE(32), want);
    op_expect_error(e, mn_concat(x, 33, 0), MN_ERR_ARG, "33 inputs; wanted 1 to 32");
    /* one tensor in two places: dx = dy of both */
    ASSERT_OK(mn_backward(e->c, mn_sum(mn_concat((mn_tensor *[]){x[0], x[1], x[0]}, 3, 0))), mn_context_error(e->c));
    op_expect(e, x[0]->grad, MN_SHAPE(1), (double[]){2});
}
START_TEST(test_many) { for_each_backend(many); }
END_TEST

static void errors(op_env *e) {
    mn_tensor *a = op_input(e, 0, MN_SHAPE(2, 3), -1, 1), *b = op_input(e, 1, MN_SHAPE(2, 4), -1, 1);
    mn_tensor *v = op_input(e, 2, MN_SHAPE(2), -1, 1), *s = op_input(e, 3, (mn_shape){0}, -1, 1);
    op_expect_error(e, mn_concat((mn_tensor *[]){a, b}, 2, 0), MN_ERR_SHAPE,
                    "input 0 is (2,3) and input 1 is (2,4); wanted shapes that differ only in dimension 0");
    op_expect_error(e, mn_concat((mn_tensor *[]){a, v}, 2, 1), MN_ERR_SHAPE, "input 1 is (2)");
    op_expect_error(e, mn_concat((mn_tensor *[]){a, b}, 2, 2), MN_ERR_ARG, "no dimension 2 in (2,3); wanted -2..1");
    op_expect_error(e, mn_concat(&s, 1, 0), MN_ERR_ARG, "no dimension 0 in ()");
    ck_assert_ptr_null(mn_concat((mn_tensor *[]){a, NULL}, 2, 0));
}
START_TEST(test_errors) { for_each_backend(errors); }
END_TEST

TEST_SUITE(concat, test_values, test_many, test_errors)
