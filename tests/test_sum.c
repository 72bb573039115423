/* sum of everything: against a plain loop, and its digits and its order over long rows. */
#include "tests/op_test.h"

static void values(op_env *e) {
    static const mn_shape shapes[] = {{0, {0}}, {1, {1}}, {1, {7}}, {4, {2, 3, 5, 7}}, {1, {8192}}, {1, {8193}}, {2, {0, 3}}};
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        mn_tensor *x = op_input(e, 0, shapes[k], -1, 1);
        double *v = op_values(x), want = 0;
        for (int64_t i = 0; i < x->count; i++) want += v[i];
        mn_tensor *y = mn_sum(x);
        op_expect(e, y, (mn_shape){0}, &want);
        ASSERT_OK(mn_backward(e->c, y), mn_context_error(e->c));
        for (int64_t i = 0; i < x->count; i++) v[i] = 1;
        op_expect(e, x->grad, shapes[k], v);
        free(v);
        mn_step_begin(e->c);
    }
}
START_TEST(test_values) { for_each_backend(values); }
END_TEST

/* Two million times 0.1: a running sum in float would be off by more than 1 in 100. */
static void long_rows(op_env *e) {
    mn_tensor *x = mn_parameter(e->c, NULL, MN_SHAPE(2000003));
    mn_fill(x, 0.1);
    double exact = 2000003 * (mn_context_dtype(e->c) == MN_F32 ? (double)0.1f : 0.1);
    ASSERT_CLOSE(mn_item(mn_sum(x), 0) / exact, 1, mn_context_dtype(e->c) == MN_F32 ? 1e-7 : 1e-12);
}
START_TEST(test_long_rows) { for_each_backend(long_rows); }
END_TEST

/* The same bits with any number of threads. */
START_TEST(test_threads) {
    double got[3];
    for (int k = 0; k < 3; k++) {
        mn_context *c = mn_context_create(&(mn_context_opt){.threads = k + 1, .seed = 3}, NULL);
        mn_tensor *x = mn_parameter(c, NULL, MN_SHAPE(100003));
        mn_fill_normal(x, 1, 0, 1);
        got[k] = mn_item(mn_sum(x), 0);
        mn_context_destroy(c);
    }
    ck_assert(got[0] == got[1] && got[1] == got[2]);
}
END_TEST

TEST_SUITE(sum, test_values, test_long_rows, test_threads)
