/* The rules of the tape: overwrite, accumulate, reuse, no-gradient mode, errors, drawing. */
#include "autograd/batch_norm.h"
#include "autograd/ends_in_relu.h"
#include "autograd/guided.h"
#include "tests/op_test.h"

static mn_tensor *one_element(op_env *e, double v) {
    mn_tensor *x = mn_parameter(e->c, "x", MN_SHAPE(1));
    mn_fill(x, v);
    return x;
}

static void rules(op_env *e) {
    mn_context *c = e->c;
    mn_tensor *x = one_element(e, 3), *unused = one_element(e, 1);
    for (int i = 0; i < 2; i++) { /* overwritten: the same result twice */
        mn_step_begin(c);
        ASSERT_OK(mn_backward(c, mn_square(mn_square(x))), mn_context_error(c));
        ASSERT_CLOSE(mn_item(x->grad, 0), 4 * 27, 1e-4);
    }
    ck_assert_uint_eq(x->grad_pass, mn_backward_pass(c));
    ck_assert_uint_eq(unused->grad_pass, 0);
    mn_step_begin(c);
    ASSERT_OK(mn_backward_accumulate(c, mn_square(x)), mn_context_error(c));
    ASSERT_CLOSE(mn_item(x->grad, 0), 4 * 27 + 6, 1e-4);
    /* used three times in one expression: (x x) x */
    mn_step_begin(c);
    mn_tensor *m = mn_reshape(x, MN_SHAPE(1, 1));
    mn_tensor *y = mn_matmul(mn_matmul(m, m, (mn_matmul_opt){0}), m, (mn_matmul_opt){0});
    ASSERT_OK(mn_backward(c, y), mn_context_error(c));
    ASSERT_CLOSE(mn_item(x->grad, 0), 27, 1e-4);
}
START_TEST(test_rules) { for_each_backend(rules); }
END_TEST

static void retained(op_env *e) {
    mn_tensor *x = one_element(e, 2);
    mn_tensor *h = mn_square(x);
    h->retain_grad = true;
    ASSERT_OK(mn_backward(e->c, mn_square(h)), mn_context_error(e->c));
    ASSERT_CLOSE(mn_item(h->grad, 0), 8, 1e-5);
    mn_step_begin(e->c);
    h = mn_square(x);
    ASSERT_OK(mn_backward(e->c, mn_square(h)), mn_context_error(e->c));
    ck_assert_ptr_null(h->grad);
}
START_TEST(test_retained) { for_each_backend(retained); }
END_TEST

static void no_gradient(op_env *e) {
    mn_tensor *x = one_element(e, 2);
    mn_no_grad_begin(e->c);
    mn_tensor *y = mn_square(x);
    ck_assert_int_eq(mn_tape_length(e->c), 0);
    mn_no_grad_end(e->c);
    ck_assert_int_eq(mn_backward(e->c, y), MN_ERR_ARG);
    ck_assert_ptr_nonnull(strstr(mn_context_error(e->c)->text, "mn_no_grad_begin"));
    mn_error_clear(mn_context_error(e->c));
    mn_square(x);
    ck_assert_int_eq(mn_tape_length(e->c), 1);
}
START_TEST(test_no_gradient) { for_each_backend(no_gradient); }
END_TEST

static void errors(op_env *e) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(3), -1, 1);
    ck_assert_int_eq(mn_backward(e->c, mn_square(x)), MN_ERR_SHAPE);
    ck_assert_ptr_nonnull(strstr(mn_context_error(e->c)->text, "(3)"));
    mn_error_clear(mn_context_error(e->c));
    /* the first failure runs through the chain to backward */
    mn_tensor *bad = mn_square(mn_tanh(mn_reshape(x, MN_SHAPE(2, 2))));
    ck_assert_ptr_null(bad);
    ck_assert_int_eq(mn_backward(e->c, bad), MN_ERR_SHAPE);
    ck_assert_ptr_nonnull(strstr(mn_context_error(e->c)->text, "reshape"));
    mn_error_clear(mn_context_error(e->c));
    ck_assert_int_eq(mn_backward(e->c, NULL), MN_ERR_ARG);
    mn_error_clear(mn_context_error(e->c));
    mn_context *other = op_context(mn_context_dtype(e->c), 1);
    mn_tensor *foreign = mn_parameter(other, NULL, MN_SHAPE(3, 3)), *mine = op_input(e, 1, MN_SHAPE(3, 3), -1, 1);
    op_expect_error(e, mn_matmul(mine, foreign, (mn_matmul_opt){0}), MN_ERR_ARG, "another context");
    mn_context_destroy(other);
}
START_TEST(test_errors) { for_each_backend(errors); }
END_TEST

START_TEST(test_drawing) {
    mn_context *c = op_context(MN_F32, 1);
    mn_tensor *x = mn_parameter(c, "weights", MN_SHAPE(2, 2));
    mn_tanh(mn_matmul(x, x, (mn_matmul_opt){0}));
    const char *path = test_path("tape.dot");
    FILE *f = fopen(path, "w");
    ASSERT_OK(mn_tape_dot(c, f), mn_context_error(c));
    fclose(f);
    size_t n;
    char *text = test_read_file(path, &n);
    ck_assert(strstr(text, "digraph") && strstr(text, "weights") && strstr(text, "matmul") && strstr(text, "tanh"));
    free(text);
    mn_context_destroy(c);
}
END_TEST

/* Guided backpropagation stops what is negative at a ReLU that another operation has taken in, too. */
static void same_guided(op_env *e, mn_tensor *x, mn_tensor *fused, mn_tensor *apart) {
    ck_assert_msg(fused && apart, "%s", mn_context_error(e->c)->text);
    mn_tensor *dy = op_input(e, 9, apart->shape, -1, 1);
    ASSERT_OK(mn_backward_guided(e->c, apart, dy), mn_context_error(e->c));
    double *want = op_values(x->grad);
    ASSERT_OK(mn_backward_guided(e->c, fused, dy), mn_context_error(e->c));
    op_expect(e, x->grad, x->shape, want);
    ASSERT_OK(mn_backward_from(e->c, fused, dy), mn_context_error(e->c)); /* which is something else */
    double *plain = op_values(x->grad), most = 0;
    for (int64_t i = 0; i < x->count; i++) most = fmax(most, fabs(plain[i] - want[i]));
    ck_assert(most > 0.01);
    free(want), free(plain);
    mn_step_begin(e->c);
}
static void guided(op_env *e) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(2, 3, 5, 4), -1, 1), *w = op_input(e, 1, MN_SHAPE(4, 3, 3, 3), -1, 1);
    mn_tensor *rows = op_input(e, 2, MN_SHAPE(3, 5), -1, 1), *v = op_input(e, 3, MN_SHAPE(4, 5), -1, 1);
    mn_tensor *mean = op_input(e, 4, MN_SHAPE(3), -0.3, 0.3), *var = op_input(e, 5, MN_SHAPE(3), 0.2, 2);
    const mn_conv2d_opt pad = {.padding = {1, 1, 1, 1}};
    same_guided(e, x, mn__conv2d_relu(x, w, NULL, pad), mn_relu(mn_conv2d(x, w, NULL, pad)));
    same_guided(e, rows, mn__linear_relu(rows, v, NULL), mn_relu(mn_linear(rows, v, NULL)));
    for (int training = 0; training < 2; training++) {
        const mn_batch_norm_opt o = {.training = training, .momentum = -1};
        mn_tensor *fused = mn__batch_norm_add(x, NULL, NULL, mean, var, NULL, true, o);
        same_guided(e, x, fused, mn_relu(mn_batch_norm(x, NULL, NULL, mean, var, o)));
    }
}
START_TEST(test_guided) { for_each_backend(guided); }
END_TEST

TEST_SUITE(tape, test_rules, test_retained, test_no_gradient, test_errors, test_drawing, test_guided)
