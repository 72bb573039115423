/* Every operation's built-in cases; and that the check itself can fail. */
#include "tests/op_test.h"

START_TEST(test_every_operation) {
    int cases = 0;
    for (int op = 0; op < mn_op_count(); op++) {
        mn_context *c = op_context(MN_F64, 5);
        bool more = true;
        int k = 0;
        for (; more; k++) {
            mn_gradcheck_result r;
            ASSERT_OK(mn_gradcheck_op(c, op, k, &more, &r), mn_context_error(c));
            if (more) ck_assert_msg(r.elements > 0, "%s, case %d compares nothing", mn_op_name(op), k);
        }
        ck_assert_msg(k > 1, "%s has no case", mn_op_name(op));
        cases += k - 1;
        mn_context_destroy(c);
    }
    ck_assert_int_ge(cases, mn_op_count());
}
END_TEST

/* x * |x| where the check is told that it is x * x: a wrong gradient for negative x. */
static mn_tensor *lies(mn_tensor **in, int n_in, void *arg) {
    (void)n_in;
    mn_tensor *y = mn_square(in[0]);
    if (*(int *)arg && y) { /* scale the numbers behind the tape's back */
        double v[3];
        mn_get_f64(y, v);
        for (int i = 0; i < 3; i++) v[i] *= 1.00001;
        mn_set_f64(y, v);
    }
    return y;
}
START_TEST(test_check_can_fail) {
    mn_context *c = op_context(MN_F64, 5);
    mn_tensor *x = mn_parameter(c, "x", MN_SHAPE(3));
    mn_fill_uniform(x, 1, -2, 2);
    int lie = 0;
    mn_gradcheck_result r;
    ASSERT_OK(mn_gradcheck(c, lies, &x, 1, &lie, 0, &r), mn_context_error(c));
    ck_assert_int_eq(r.elements, 3);
    lie = 1;
    ck_assert_int_eq(mn_gradcheck(c, lies, &x, 1, &lie, 0, &r), MN_ERR_NUMERIC);
    ck_assert_ptr_nonnull(strstr(mn_context_error(c)->text, "backward says"));
    mn_context_destroy(c);
    c = op_context(MN_F32, 5);
    x = mn_parameter(c, "x", MN_SHAPE(3));
    ck_assert_int_eq(mn_gradcheck(c, lies, &x, 1, &lie, 0, &r), MN_ERR_ARG);
    mn_context_destroy(c);
}
END_TEST

TEST_SUITE(gradcheck, test_every_operation, test_check_can_fail)
