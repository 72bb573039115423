/* Elementwise operations against known values (from PyTorch 1.13 in float64, printed with 15 digits). */
#include "tests/op_test.h"

static const double X[5] = {-1.7, -0.4, 0.0, 0.25, 2.3};

typedef mn_tensor *(*op0)(mn_tensor *);
static void expect(op_env *e, mn_tensor *(*f)(mn_tensor *), const double *x, const double *want) {
    mn_tensor *t = mn_parameter(e->c, NULL, MN_SHAPE(5));
    ck_assert(t && mn_set_f64(t, x) == MN_OK);
    op_expect(e, f(t), MN_SHAPE(5), want);
}

static mn_tensor *leaky(mn_tensor *x) { return mn_leaky_relu(x, 0.1); }
static mn_tensor *elu(mn_tensor *x) { return mn_elu(x, 1.5); }
static mn_tensor *clamp(mn_tensor *x) { return mn_clamp(x, -0.5, 1); }
static mn_tensor *scale(mn_tensor *x) { return mn_scale(x, -3); }
static mn_tensor *shift(mn_tensor *x) { return mn_shift(x, 0.5); }

static void known_values(op_env *e) {
    static const double positive[5] = {0.01, 0.5, 1, 2.25, 9};
    expect(e, mn_neg, X, (double[]){1.7, 0.4, 0, -0.25, -2.3});
    expect(e, mn_abs, X, (double[]){1.7, 0.4, 0, 0.25, 2.3});
    expect(e, mn_square, X, (double[]){2.89, 0.16, 0, 0.0625, 5.29});
    expect(e, mn_relu, X, (double[]){0, 0, 0, 0.25, 2.3});
    expect(e, mn_exp, X, (double[]){0.182683524052735, 0.670320046035639, 1, 1.28402541668774, 9.97418245481472});
    expect(e, mn_log, positive, (double[]){-4.60517018598809, -0.693147180559945, 0, 0.810930216216329, 2.19722457733622});
    expect(e, mn_sqrt, positive, (double[]){0.1, 0.707106781186548, 1, 1.5, 3});
    expect(e, mn_sigmoid, X, (double[]){0.154465265083535, 0.401312339887548, 0.5, 0.562176500885798, 0.908877038985144});
    expect(e, mn_tanh, X, (double[]){-0.935409070603099, -0.379948962255225, 0, 0.244918662403709, 0.980096396266191});
    expect(e, mn_silu, X, (double[]){-0.262590950642009, -0.160524935955019, 0, 0.14054412522145, 2.09041718966583});
    expect(e, mn_softplus, X,
           (double[]){0.167786029386266, 0.513015252399953, 0.693147180559945, 0.825939419878844, 2.39554546459796});
    expect(e, mn_gelu, X, (double[]){-0.0757612866895232, -0.13783130335587, 0, 0.149676581420731, 2.27533454695015});
    expect(e, leaky, X, (double[]){-0.17, -0.04, 0, 0.25, 2.3});
    expect(e, elu, X, (double[]){-1.2259747139209, -0.494519930946541, 0, 0.25, 2.3});
    expect(e, clamp, X, (double[]){-0.5, -0.4, 0, 0.25, 1});
    expect(e, scale, X, (double[]){5.1, 1.2, 0, -0.75, -6.9});
    expect(e, shift, X, (double[]){-1.2, 0.1, 0.5, 0.75, 2.8});
}
START_TEST(test_known_values) { for_each_backend(known_values); }
END_TEST

/* Far from zero: nothing overflows where the result is finite. */
static void extremes(op_env *e) {
    static const double far[5] = {-1000, -90, 0, 90, 1000};
    expect(e, mn_sigmoid, far, (double[]){0, 0, 0.5, 1, 1});
    expect(e, mn_softplus, far, (double[]){0, 0, 0.693147180559945, 90, 1000});
    expect(e, mn_silu, far, (double[]){0, 0, 0, 90, 1000});
    expect(e, mn_tanh, far, (double[]){-1, -1, 0, 1, 1});
}
START_TEST(test_extremes) { for_each_backend(extremes); }
END_TEST

TEST_SUITE(unary, test_known_values, test_extremes)
