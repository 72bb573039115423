/* add, sub, mul, div against a reference that finds every operand by its coordinates. */
#include "tests/op_test.h"

/* The element of t that broadcasting puts at the coordinates `at` of an output of `ndim` dimensions. */
static double stretched(const mn_tensor *t, const double *v, const int64_t *at, int ndim) {
    int64_t i = 0;
    for (int d = 0; d < t->shape.ndim; d++) {
        int64_t c = at[ndim - t->shape.ndim + d];
        i = i * t->shape.dim[d] + (t->shape.dim[d] == 1 ? 0 : c);
    }
    return v[i];
}

static double apply(int op, double a, double b) { return op == 0 ? a + b : op == 1 ? a - b : op == 2 ? a * b : a / b; }
static mn_tensor *(*const ops[4])(mn_tensor *, mn_tensor *) = {mn_add, mn_sub, mn_mul, mn_div};

static void one(op_env *e, mn_shape sa, mn_shape sb, mn_shape sy) {
    mn_tensor *a = op_input(e, 0, sa, -2, 2), *b = op_input(e, 1, sb, 0.5, 2);
    double *va = op_values(a), *vb = op_values(b);
    int64_t count = mn_shape_count(sy);
    double *want = malloc((size_t)(count + 1) * sizeof *want);
    for (int op = 0; op < 4; op++) {
        int64_t at[MN_MAX_DIMS] = {0};
        for (int64_t i = 0; i < count; i++) {
            want[i] = apply(op, stretched(a, va, at, sy.ndim), stretched(b, vb, at, sy.ndim));
            for (int d = sy.ndim - 1; d >= 0 && ++at[d] == sy.dim[d]; d--) at[d] = 0;
        }
        op_expect(e, ops[op](a, b), sy, want);
    }
    free(va), free(vb), free(want);
    mn_step_begin(e->c);
}

static void forward(op_env *e) {
    mn_shape scalar = {0};
    one(e, scalar, scalar, scalar);
    one(e, MN_SHAPE(1), scalar, MN_SHAPE(1));
    one(e, MN_SHAPE(7), MN_SHAPE(7), MN_SHAPE(7));
    one(e, MN_SHAPE(2, 3, 5), scalar, MN_SHAPE(2, 3, 5));
    one(e, scalar, MN_SHAPE(2, 3, 5), MN_SHAPE(2, 3, 5));
    one(e, MN_SHAPE(3, 11), MN_SHAPE(11), MN_SHAPE(3, 11));
    one(e, MN_SHAPE(3, 1), MN_SHAPE(1, 11), MN_SHAPE(3, 11));
    one(e, MN_SHAPE(2, 3, 5, 7), MN_SHAPE(1, 3, 1, 1), MN_SHAPE(2, 3, 5, 7));
    one(e, MN_SHAPE(2, 3, 5, 7), MN_SHAPE(3, 1, 7), MN_SHAPE(2, 3, 5, 7));
    one(e, MN_SHAPE(2, 1, 3, 1, 2), MN_SHAPE(1, 5, 1, 7, 1), MN_SHAPE(2, 5, 3, 7, 2));
    one(e, MN_SHAPE(1, 1, 1), MN_SHAPE(1), MN_SHAPE(1, 1, 1));
    one(e, MN_SHAPE(0), MN_SHAPE(1), MN_SHAPE(0));
    one(e, MN_SHAPE(2, 0, 3), MN_SHAPE(1, 1, 3), MN_SHAPE(2, 0, 3));
    int64_t n = op_size(e, 23333, 777); /* two threads, several pieces */
    one(e, MN_SHAPE(3, n), MN_SHAPE(3, n), MN_SHAPE(3, n));
    one(e, MN_SHAPE(3, n), MN_SHAPE(3, 1), MN_SHAPE(3, n));
}
START_TEST(test_forward) { for_each_backend(forward); }
END_TEST

/* The gradient of the sum of a*b (stretched) over everything, for shapes too large for differences. */
static void large_sums(op_env *e) {
    enum { C = 7, I = 41 };
    const int64_t N = op_size(e, 300, 60);
    mn_tensor *x = op_input(e, 0, MN_SHAPE(N, C, I), -1, 1);
    mn_tensor *b[3] = {op_input(e, 1, MN_SHAPE(C, 1), -1, 1), op_input(e, 2, MN_SHAPE(I), -1, 1),
                       op_input(e, 3, (mn_shape){0}, -1, 1)};
    double *v = op_values(x), want[3][C * I] = {{0}};
    for (int64_t n = 0; n < N; n++)
        for (int c = 0; c < C; c++)
            for (int i = 0; i < I; i++) {
                double s = v[(n * C + c) * I + i];
                want[0][c] += s, want[1][i] += s, want[2][0] += s;
            }
    for (int k = 0; k < 3; k++) {
        ASSERT_OK(mn_backward(e->c, mn_sum(mn_mul(x, b[k]))), mn_context_error(e->c));
        op_expect(e, b[k]->grad, b[k]->shape, want[k]);
        ASSERT_OK(mn_backward_accumulate(e->c, mn_sum(mn_mul(b[k], x))), mn_context_error(e->c));
        for (int i = 0; i < b[k]->count; i++) want[k][i] *= 2;
        op_expect(e, b[k]->grad, b[k]->shape, want[k]);
        mn_step_begin(e->c);
    }
    free(v);
}
START_TEST(test_large_sums) { for_each_backend(large_sums); }
END_TEST

/* Nothing came in, so nothing flows back: the gradient of what was stretched to no elements is 0. */
static void empty(op_env *e) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(0, 3), -1, 1), *b = op_input(e, 1, MN_SHAPE(3), -1, 1);
    ASSERT_OK(mn_backward(e->c, mn_sum(mn_mul(x, b))), mn_context_error(e->c));
    op_expect(e, b->grad, MN_SHAPE(3), (double[]){0, 0, 0});
}
START_TEST(test_empty) { for_each_backend(empty); }
END_TEST

static void errors(op_env *e) {
    mn_tensor *a = op_input(e, 0, MN_SHAPE(2, 3), -1, 1), *b = op_input(e, 1, MN_SHAPE(2), -1, 1);
    op_expect_error(e, mn_add(a, b), MN_ERR_SHAPE, "add: (2,3) and (2) do not broadcast: sizes 3 and 2 meet");
    op_expect_error(e, mn_mul(a, op_input(e, 2, MN_SHAPE(0), 0, 1)), MN_ERR_SHAPE, "sizes 3 and 0 meet");
    ck_assert_ptr_null(mn_sub(a, NULL));
    ck_assert_ptr_null(mn_div(NULL, a));
}
START_TEST(test_errors) { for_each_backend(errors); }
END_TEST

TEST_SUITE(binary, test_forward, test_large_sums, test_empty, test_errors)
