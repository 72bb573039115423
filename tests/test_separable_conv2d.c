/* separable_conv2d against the two convolutions that it stands for. */
#include "tests/op_test.h"
#include "autograd/internal.h"
#include "autograd/separable_conv2d.h"

typedef struct separable_case {
    int64_t N, C, H, W, K;
    int padding[4];
} separable_case;

static const separable_case cases[] = {
    {2, 3, 7, 5, 4, {1, 1, 1, 1}},     {1, 2, 3, 3, 1, {0, 0, 0, 0}},    {3, 5, 9, 16, 9, {1, 1, 1, 1}},
    {2, 8, 11, 17, 16, {1, 1, 1, 1}},  {2, 17, 8, 33, 8, {2, 0, 0, 2}},  {1, 4, 60, 60, 5, {1, 1, 1, 1}},
    {5, 33, 15, 15, 19, {1, 1, 1, 1}}, {4, 6, 10, 47, 3, {0, 1, 2, 2}},  {2, 3, 1, 1, 2, {1, 1, 1, 1}},
    {3, 2, 2, 1, 2, {2, 2, 1, 2}},     {2, 70, 5, 6, 130, {1, 1, 1, 1}}, /* more weights than one operation takes */
};

/* Both ways on the same numbers; of the first, results and gradients once and twice as much. */
static void one_case(op_env *e, const separable_case *k) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(k->N, k->C, k->H, k->W), -1, 1);
    mn_tensor *depth = op_input(e, 1, MN_SHAPE(k->C, 1, 3, 3), -1, 1), *point = op_input(e, 2, MN_SHAPE(k->K, k->C, 1, 1), -1, 1);
    mn_conv2d_opt o = {.groups = (int)k->C};
    memcpy(o.padding, k->padding, sizeof o.padding);
    mn_tensor *of[] = {x, depth, point}, *apart = mn_conv2d(mn_conv2d(x, depth, NULL, o), point, NULL, (mn_conv2d_opt){0});
    mn_tensor *y = mn__separable_conv2d(x, depth, point, k->padding);
    ck_assert_msg(y != NULL, "%s", mn_context_error(e->c)->text);
    mn_tensor *dy = op_input(e, 3, y->shape, -1, 1);
    double *want = op_values(apart), *grad[3], tolerance = e->tolerance;
    op_expect(e, y, apart->shape, want);
    ASSERT_OK(mn_backward_from(e->c, apart, dy), mn_context_error(e->c));
    for (int i = 0; i < 3; i++) grad[i] = op_values(of[i]->grad);
    for (int pass = 0; pass < 2; pass++) { /* the second adds to the first */
        ASSERT_OK(mn__backward_from(e->c, y, dy, pass), mn_context_error(e->c));
        for (int i = 0; i < 3; i++) {
            e->tolerance =
                i ? tolerance * fmax(1, sqrt((double)(k->N * k->H * k->W)) / 4) : tolerance; /* longer sums round more */
            op_expect(e, of[i]->grad, of[i]->shape, grad[i]);
            for (int64_t p = 0; p < of[i]->count; p++) grad[i][p] *= 2;
        }
        e->tolerance = tolerance;
    }
    free(want), free(grad[0]), free(grad[1]), free(grad[2]);
    mn_step_begin(e->c);
}

static void definition(op_env *e) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) one_case(e, &cases[i]);
}
START_TEST(test_definition) { for_each_backend(definition); }
END_TEST

/* Gradients of some inputs alone. */
static void frozen(op_env *e) {
    for (int wanted = 0; wanted < 3; wanted++) {
        mn_tensor *of[] = {op_input(e, 0, MN_SHAPE(2, 3, 6, 5), -1, 1), op_input(e, 1, MN_SHAPE(3, 1, 3, 3), -1, 1),
                           op_input(e, 2, MN_SHAPE(4, 3, 1, 1), -1, 1)};
        const int padding[] = {1, 1, 1, 1};
        mn_tensor *y = mn__separable_conv2d(of[0], of[1], of[2], padding), *dy = op_input(e, 3, y->shape, -1, 1);
        ASSERT_OK(mn_backward_from(e->c, y, dy), mn_context_error(e->c));
        double *want = op_values(of[wanted]->grad);
        mn_tensor *alone[3];
        for (int i = 0; i < 3; i++) alone[i] = op_input(e, i, of[i]->shape, -1, 1), alone[i]->requires_grad = i == wanted;
        ASSERT_OK(mn_backward_from(e->c, mn__separable_conv2d(alone[0], alone[1], alone[2], padding), dy),
                  mn_context_error(e->c));
        op_expect(e, alone[wanted]->grad, alone[wanted]->shape, want);
        for (int i = 0; i < 3; i++) ck_assert(i == wanted || !alone[i]->grad);
        free(want);
        mn_step_begin(e->c);
    }
}
START_TEST(test_frozen) { for_each_backend(frozen); }
END_TEST

static void empty_batch(op_env *e) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(0, 2, 5, 5), -1, 1), *depth = op_input(e, 1, MN_SHAPE(2, 1, 3, 3), -1, 1);
    mn_tensor *point = op_input(e, 2, MN_SHAPE(3, 2, 1, 1), -1, 1);
    const int padding[] = {1, 1, 1, 1};
    double zero[18] = {0};
    mn_tensor *y = mn__separable_conv2d(x, depth, point, padding);
    op_expect(e, y, MN_SHAPE(0, 3, 5, 5), NULL);
    ASSERT_OK(mn_backward_from(e->c, y, mn_tensor_create(e->c, MN_STEP, e->c->dtype, y->shape)), mn_context_error(e->c));
    op_expect(e, depth->grad, depth->shape, zero);
    op_expect(e, point->grad, point->shape, zero);
}
START_TEST(test_empty_batch) { for_each_backend(empty_batch); }
END_TEST

static void errors(op_env *e) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(2, 3, 8, 8), -1, 1), *depth = op_input(e, 1, MN_SHAPE(4, 1, 3, 3), -1, 1);
    mn_tensor *point = op_input(e, 2, MN_SHAPE(5, 3, 1, 1), -1, 1), *flat = op_input(e, 3, MN_SHAPE(2, 3), -1, 1);
    const int padding[] = {1, 1, 1, 1};
    op_expect_error(e, mn__separable_conv2d(x, depth, point, padding), MN_ERR_SHAPE, "3 groups of input (2,3,8,8)");
    op_expect_error(e, mn__separable_conv2d(flat, depth, point, padding), MN_ERR_SHAPE, "wanted (N,C,H,W)");
    ck_assert_ptr_null(mn__separable_conv2d(NULL, depth, point, padding));
}
START_TEST(test_errors) { for_each_backend(errors); }
END_TEST

TEST_SUITE(separable_conv2d, test_definition, test_frozen, test_empty_batch, test_errors)
