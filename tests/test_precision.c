/* What mn_context_opt.precision may round, and what not: products on tensor cores against sums in double of factors that
 * are rounded here by other means. */
#include "autograd/ends_in_relu.h"
#include "tests/op_test.h"

static const mn_precision rounding[] = {MN_TF32X3, MN_TF32, MN_BF16};

/* x to `bits` significant bits, halves to even or away from zero. */
static double rounded(double x, int bits, bool even) {
    int e;
    double m = ldexp(frexp(x, &e), bits);
    return ldexp(even ? rint(m) : round(m), e - bits);
}
static double as_factor(mn_precision p, double x) {
    return p == MN_TF32 ? rounded(x, 11, false) : p == MN_BF16 ? rounded(x, 8, true) : x;
}

/* A GPU of compute capability 7.5 has not; the emulator can be told to be one (EMU_SM=75). */
static bool has_tensor_cores(void) {
    mn_device_info all[2];
    int major = 0;
    return mn_device_list(all, 2) == 2 && sscanf(all[1].detail, "compute capability %d", &major) == 1 && major >= 8;
}

static mn_context *context_of(mn_device device, mn_dtype dtype, mn_precision p) {
    mn_error err = {0};
    mn_context *c = mn_context_create(&(mn_context_opt){.device = device, .dtype = dtype, .threads = 2, .precision = p}, &err);
    if (!c && device == MN_CUDA) return test_skip("tensor cores: no device"), NULL;
    ck_assert_msg(c != NULL, "%s", err.text);
    return c;
}

static void product(op_env *e, mn_precision p, int64_t M, int64_t N, int64_t K, bool ta, bool tb) {
    mn_tensor *a = op_input(e, 0, ta ? MN_SHAPE(K, M) : MN_SHAPE(M, K), -1, 1);
    mn_tensor *b = op_input(e, 1, tb ? MN_SHAPE(N, K) : MN_SHAPE(K, N), -1, 1);
    double *x = op_values(a), *y = op_values(b), *want = calloc((size_t)(M * N), sizeof *want);
    if (!has_tensor_cores()) p = MN_PRECISE;
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < N; j++)
            for (int64_t k = 0; k < K; k++)
                want[i * N + j] += as_factor(p, x[ta ? k * M + i : i * K + k]) * as_factor(p, y[tb ? j * K + k : k * N + j]);
    op_expect(e, mn_matmul(a, b, (mn_matmul_opt){ta, tb}), MN_SHAPE(M, N), want);
    free(x), free(y), free(want);
}

/* Both factors are rounded, once, and nothing else is. */
START_TEST(test_factors) {
    for (size_t i = 0; i < sizeof rounding / sizeof *rounding; i++) {
        op_env e = {.c = context_of(MN_CUDA, MN_F32, rounding[i]), .tolerance = 2e-5};
        if (!e.c) return;
        ck_assert_int_eq(mn_context_precision(e.c), rounding[i]);
        for (int t = 0; t < 4; t++) {
            product(&e, rounding[i], 1, 1, 1, t & 1, t >> 1);
            product(&e, rounding[i], 17, 9, 33, t & 1, t >> 1);
            product(&e, rounding[i], 70, 131, 37, t & 1, t >> 1);
            product(&e, rounding[i], 5, 3, 700, t & 1, t >> 1); /* in slices */
        }
        mn_context_destroy(e.c);
    }
}
END_TEST

/* An MN_MODEL tensor of numbers that every format holds exactly: multiples of 1/128 below 1. */
static mn_tensor *exact_input(mn_context *c, int number, mn_shape shape) {
    mn_tensor *t = mn_parameter(c, NULL, shape);
    ck_assert_msg(t && !mn_fill_uniform(t, 7 + (uint64_t)number, -1, 1), "%s", mn_context_error(c)->text);
    double *v = op_values(t);
    for (int64_t i = 0; i < t->count; i++) v[i] = round(v[i] * 128) / 128;
    ASSERT_OK(mn_set_f64(t, v), mn_context_error(c));
    free(v);
    return t;
}

typedef struct results {
    mn_tensor *y, *dx, *dw, *normed, *pooled; /* normed: by the statistics that the convolution leaves */
} results;
static results convolve(mn_context *c, mn_shape x, mn_shape w, mn_shape y, mn_conv2d_opt o) {
    mn_tensor *in = exact_input(c, 0, x), *weight = exact_input(c, 1, w),
              *out = mn__conv2d_measured(in, weight, exact_input(c, 2, MN_SHAPE(w.dim[0])), o);
    ck_assert_msg(out != NULL, "%s", mn_context_error(c)->text);
    ck_assert(mn_context_device(c) == MN_CPU || out->node->saved[0]);
    mn_tensor *normed = mn_batch_norm(out, NULL, NULL, NULL, NULL, (mn_batch_norm_opt){.training = true});
    ASSERT_OK(mn_backward_from(c, out, exact_input(c, 3, y)), mn_context_error(c));
    mn_tensor *pooled = mn__conv2d_pooled(in, weight, NULL, o, true);
    return (results){out, in->grad, weight->grad, normed, pooled};
}
static void same(op_env *e, const mn_tensor *got, const mn_tensor *want) {
    double *v = op_values(want);
    op_expect(e, got, want->shape, v);
    free(v);
}

/* Numbers that need no rounding give the convolution of f64 in every precision. */
START_TEST(test_exact_numbers) {
    const struct {
        mn_shape x, w, y;
        mn_conv2d_opt o;
    } cases[] = {
        {MN_SHAPE(2, 5, 9, 7), MN_SHAPE(11, 5, 3, 3), MN_SHAPE(2, 11, 9, 7), {.padding = {1, 1, 1, 1}}},
        {MN_SHAPE(3, 6, 8, 9),
         MN_SHAPE(70, 3, 3, 2),
         MN_SHAPE(3, 70, 4, 4),
         {.groups = 2, .stride = {2, 2}, .padding = {1, 0, 0, 0}}},
    };
    for (size_t i = 0; i < sizeof rounding / sizeof *rounding; i++)
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
            op_env e = {.c = context_of(MN_CUDA, MN_F32, rounding[i]), .tolerance = 2e-5};
            if (!e.c) return;
            mn_context *exact = context_of(MN_CPU, MN_F64, MN_PRECISE);
            results got = convolve(e.c, cases[k].x, cases[k].w, cases[k].y, cases[k].o);
            results want = convolve(exact, cases[k].x, cases[k].w, cases[k].y, cases[k].o);
            same(&e, got.y, want.y), same(&e, got.dx, want.dx), same(&e, got.dw, want.dw), same(&e, got.normed, want.normed);
            same(&e, got.pooled, want.pooled);
            mn_context_destroy(e.c), mn_context_destroy(exact);
        }
}
END_TEST

/* An infinite factor stays infinite, or becomes NaN where it would have to be split; NaN stays NaN. */
START_TEST(test_special_numbers) {
    for (size_t i = 0; i < sizeof rounding / sizeof *rounding; i++) {
        mn_context *c = context_of(MN_CUDA, MN_F32, rounding[i]);
        if (!c) return;
        mn_tensor *a = mn_input(c, MN_SHAPE(3, 1), (float[]){INFINITY, NAN, -3}), *b = mn_input(c, MN_SHAPE(1, 1), (float[]){2});
        double *v = op_values(mn_matmul(a, b, (mn_matmul_opt){0}));
        ck_assert_msg((v[0] > 0 || rounding[i] == MN_TF32X3) && !isfinite(v[0]) && isnan(v[1]) && v[2] == -6, "%g %g %g", v[0],
                      v[1], v[2]);
        free(v);
        mn_context_destroy(c);
    }
}
END_TEST

/* On the CPU, and in f64, nothing is rounded. */
START_TEST(test_elsewhere) {
    mn_error err = {0};
    ck_assert_ptr_null(mn_context_create(&(mn_context_opt){.precision = MN_PRECISION_COUNT}, &err));
    ck_assert_msg(strstr(err.text, "there is no precision 4") != NULL, "%s", err.text);
    for (int k = 0; k < 2; k++) {
        op_env e = {.c = context_of(k ? MN_CUDA : MN_CPU, k ? MN_F64 : MN_F32, MN_BF16), .tolerance = k ? 1e-12 : 2e-5};
        if (!e.c) return;
        product(&e, MN_PRECISE, 17, 9, 33, false, true);
        mn_context_destroy(e.c);
    }
}
END_TEST

TEST_SUITE(precision, test_factors, test_exact_numbers, test_special_numbers, test_elsewhere)
