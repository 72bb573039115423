/* linear against three loops in double; with and without a bias. */
#include "autograd/ends_in_relu.h"
#include "tests/op_test.h"

static void case_of(op_env *e, int64_t N, int64_t C, int64_t K, bool bias) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(N, C), -1, 1), *w = op_input(e, 1, MN_SHAPE(K, C), -1, 1);
    mn_tensor *b = bias ? op_input(e, 2, MN_SHAPE(K), -1, 1) : NULL, *g = op_input(e, 3, MN_SHAPE(N, K), -1, 1);
    double *vx = op_values(x), *vw = op_values(w), *vb = bias ? op_values(b) : NULL, *vg = op_values(g);
    double *y = calloc((size_t)(N * K + 1), sizeof *y), *dx = calloc((size_t)(N * C + 1), sizeof *dx);
    double *dw = calloc((size_t)(K * C + 1), sizeof *dw), *db = calloc((size_t)K + 1, sizeof *db);
    for (int64_t n = 0; n < N; n++)
        for (int64_t k = 0; k < K; k++) {
            double dy = vg[n * K + k], sum = bias ? vb[k] : 0;
            for (int64_t c = 0; c < C; c++) {
                sum += vx[n * C + c] * vw[k * C + c];
                dx[n * C + c] += dy * vw[k * C + c];
                dw[k * C + c] += dy * vx[n * C + c];
            }
            y[n * K + k] = sum, db[k] += dy;
        }
    mn_tensor *t = mn_linear(x, w, b);
    op_expect(e, t, MN_SHAPE(N, K), y);
    ASSERT_OK(mn_backward_from(e->c, t, g), mn_context_error(e->c));
    op_expect(e, x->grad, x->shape, dx);
    op_expect(e, w->grad, w->shape, dw);
    if (b) op_expect(e, b->grad, b->shape, db);
    free(vx), free(vw), free(vb), free(vg), free(y), free(dx), free(dw), free(db);
    mn_step_begin(e->c);
}

static void values(op_env *e) {
    for (int bias = 0; bias < 2; bias++) {
        case_of(e, 1, 1, 1, bias);
        case_of(e, 1, 5, 3, bias);
        case_of(e, 17, 2, 7, bias);
        case_of(e, 65, 70, 67, bias); /* two threads */
        case_of(e, 40, 33, 16, bias); /* as many outputs as a GPU's thread keeps */
        case_of(e, 3, 64, 17, bias);
        case_of(e, 1030, 3, 2, bias); /* few, but too many rows for that */
        case_of(e, 0, 3, 2, bias);
    }
}
START_TEST(test_values) { for_each_backend(values); }
END_TEST

/* With ReLU in the same operation: the values and gradients of the two one after the other. */
static void relu(op_env *e) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(7, 300), -1, 1), *w = op_input(e, 1, MN_SHAPE(5, 300), -1, 1);
    mn_tensor *b = op_input(e, 2, MN_SHAPE(5), -1, 1), *dy = op_input(e, 3, MN_SHAPE(7, 5), -1, 1), *of[] = {x, w, b};
    mn_tensor *apart = mn_relu(mn_linear(x, w, b)), *y = mn__linear_relu(x, w, b);
    double *want = op_values(apart);
    op_expect(e, y, MN_SHAPE(7, 5), want);
    ASSERT_OK(mn_backward_from(e->c, apart, dy), mn_context_error(e->c));
    double *grad[3] = {op_values(x->grad), op_values(w->grad), op_values(b->grad)};
    ASSERT_OK(mn_backward_from(e->c, y, dy), mn_context_error(e->c));
    for (int i = 0; i < 3; i++) op_expect(e, of[i]->grad, of[i]->shape, grad[i]);
    ASSERT_OK(mn_backward_accumulate(e->c, mn_sum(mn_mul(y, dy))), mn_context_error(e->c));
    for (int i = 0; i < 3; i++) {
        for (int64_t k = 0; k < of[i]->count; k++) grad[i][k] *= 2;
        op_expect(e, of[i]->grad, of[i]->shape, grad[i]);
        free(grad[i]);
    }
    free(want);
}
START_TEST(test_relu) { for_each_backend(relu); }
END_TEST

static void errors(op_env *e) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(2, 3), -1, 1), *w = op_input(e, 1, MN_SHAPE(5, 4), -1, 1);
    mn_tensor *images = op_input(e, 2, MN_SHAPE(2, 1, 3, 3), -1, 1), *v = op_input(e, 3, MN_SHAPE(5, 3), -1, 1);
    op_expect_error(e, mn_linear(x, w, NULL), MN_ERR_SHAPE, "x (2,3) has 3 features, the weight (5,4) wants 4");
    op_expect_error(e, mn_linear(images, w, NULL), MN_ERR_SHAPE, "hint: mn_flatten(x)");
    op_expect_error(e, mn_linear(x, v, x), MN_ERR_SHAPE, "the bias is (2,3), wanted (5)");
    ck_assert_ptr_null(mn_linear(x, NULL, NULL));
}
START_TEST(test_errors) { for_each_backend(errors); }
END_TEST

TEST_SUITE(linear, test_values, test_relu, test_errors)
