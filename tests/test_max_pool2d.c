/* max_pool2d against a search over all elements of every window; ties, NaN, infinities, error sentences. */
#include "tests/pool_cases.h"

static double maximum(const pool_case *k, const double *x, const pool_window *w, double *f) {
    (void)k;
    int best = 0;
    for (int i = 0; i < w->count; i++) {
        f[i] = 0;
        if (x[w->index[i]] > x[w->index[best]]) best = i;
    }
    f[best] = 1;
    return x[w->index[best]];
}

static void definition(op_env *e) {
    for (int i = 0; i < N_POOL_CASES; i++) {
        const pool_case *k = &pool_cases[i];
        pool_check(e, k, op_input(e, 0, MN_SHAPE(k->N, k->C, k->H, k->W), -1, 1), mn_max_pool2d, maximum);
    }
}
START_TEST(test_definition) { for_each_backend(definition); }
END_TEST

/* Few different values, so that most windows have several maxima: the first in row order gets the gradient. */
static void ties(op_env *e) {
    for (int i = 0; i < N_POOL_CASES; i++) {
        const pool_case *k = &pool_cases[i];
        mn_tensor *x = op_input(e, 0, MN_SHAPE(k->N, k->C, k->H, k->W), 0, 3);
        double *v = op_values(x);
        for (int64_t j = 0; j < x->count; j++) v[j] = j % 3 ? floor(v[j]) : 0;
        ck_assert_int_eq(mn_set_f64(x, v), MN_OK);
        free(v);
        pool_check(e, k, x, mn_max_pool2d, maximum);
    }
}
START_TEST(test_ties) { for_each_backend(ties); }
END_TEST

static void extremes(op_env *e) {
    mn_tensor *x = mn_parameter(e->c, NULL, MN_SHAPE(1, 1, 2, 40));
    double v[80];
    for (int i = 0; i < 80; i++) v[i] = i % 5;
    v[2] = NAN, v[5] = v[44] = v[45] = v[4] = -INFINITY, v[47] = INFINITY;
    mn_set_f64(x, v);
    mn_tensor *y = mn_max_pool2d(x, (mn_pool2d_opt){.kernel = {2, 2}});
    ck_assert(isnan(mn_item(y, 1)));
    ck_assert(mn_item(y, 2) == -INFINITY);
    ck_assert(mn_item(y, 3) == INFINITY);
    mn_tensor *z = mn_max_pool2d(x, (mn_pool2d_opt){.kernel = {2, 3}, .stride = {1, 1}});
    ck_assert(isnan(mn_item(z, 0)) && isnan(mn_item(z, 2)) && !isnan(mn_item(z, 3)));
}
START_TEST(test_extremes) { for_each_backend(extremes); }
END_TEST

static void errors(op_env *e) { pool_errors(e, mn_max_pool2d); }
START_TEST(test_errors) { for_each_backend(errors); }
END_TEST

TEST_SUITE(max_pool2d, test_definition, test_ties, test_extremes, test_errors)
