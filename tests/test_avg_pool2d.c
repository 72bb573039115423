/* avg_pool2d against a sum over all elements of every window, with both ways of counting padding. */
#include "tests/pool_cases.h"

static double average(const pool_case *k, const double *x, const pool_window *w, double *f) {
    double m = k->o.count_padding ? k->o.kernel[0] * k->o.kernel[1] : w->count, sum = 0;
    for (int i = 0; i < w->count; i++) f[i] = 1 / m, sum += x[w->index[i]];
    return sum / m;
}

static void definition(op_env *e) {
    for (int i = 0; i < N_POOL_CASES; i++)
        for (int count_padding = 0; count_padding < 2; count_padding++) {
            pool_case k = pool_cases[i];
            k.o.count_padding = count_padding;
            pool_check(e, &k, op_input(e, 0, MN_SHAPE(k.N, k.C, k.H, k.W), -1, 1), mn_avg_pool2d, average);
        }
}
START_TEST(test_definition) { for_each_backend(definition); }
END_TEST

static void errors(op_env *e) { pool_errors(e, mn_avg_pool2d); }
START_TEST(test_errors) { for_each_backend(errors); }
END_TEST

TEST_SUITE(avg_pool2d, test_definition, test_errors)
