/* LSTM, ConvLSTM2D and layers applied to each step: against naive loops, against Keras, by differences, masked, in files. */
#include "data/formats/model_config.h"
#include "layers/layers.h"
#include "tests/keras/recurrent.h"
#include "tests/op_test.h"

static mn_model *built(mn_context *c, mn_model *m, mn_sym x) {
    mn_model_output(m, x);
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    return m;
}

static mn_shape with_n(mn_shape s, int64_t n) {
    mn_shape y = {.ndim = s.ndim + 1, .dim = {n}};
    for (int i = 0; i < s.ndim; i++) y.dim[i + 1] = s.dim[i];
    return y;
}

static void scramble(mn_model *m) {
    int n;
    mn_tensor **p = mn_model_parameters(m, &n, NULL);
    for (int i = 0; i < n; i++) mn_fill_uniform(p[i], 600 + (uint64_t)i, -0.8, 0.9);
}

static mn_tensor *run(mn_model *m, mn_tensor *x, mn_tensor *mask) {
    mn_tensor *in[] = {x, mask};
    ASSERT_OK(mn_model_forward(m, in, false), mn_context_error(mn_model_context(m)));
    return mn_model_result(m, 0);
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* ---- against loops ---- */

/* One sample, equation by equation: gates in the order i, f, c, o. */
START_TEST(test_lstm_loops) {
    enum { N = 2, T = 5, F = 3, U = 4 };
    mn_context *c = op_context(MN_F64, 1);
    mn_model *m = mn_model_create(c, "m");
    mn_sym x = mn_model_input(m, "x", MN_SHAPE(T, F));
    built(c, m, mn_layer_lstm(m, x, (mn_lstm_layer){.name = "l", .units = U, .return_sequences = true}));
    scramble(m);
    mn_tensor *in = mn_input(c, MN_SHAPE(N, T, F), NULL);
    mn_fill_uniform(in, 3, -1, 1);
    double *k = op_values(mn_model_parameter(m, "l/kernel")), *r = op_values(mn_model_parameter(m, "l/recurrent_kernel"));
    double *b = op_values(mn_model_parameter(m, "l/bias")), *v = op_values(in), *got = op_values(run(m, in, NULL));
    for (int n = 0; n < N; n++) {
        double h[U] = {0}, s[U] = {0};
        for (int t = 0; t < T; t++) {
            double z[4][U], next[U];
            for (int g = 0; g < 4; g++)
                for (int u = 0; u < U; u++) {
                    z[g][u] = b[g * U + u];
                    for (int f = 0; f < F; f++) z[g][u] += k[(g * U + u) * F + f] * v[(n * T + t) * F + f];
                    for (int j = 0; j < U; j++) z[g][u] += r[(g * U + u) * U + j] * h[j];
                }
            for (int u = 0; u < U; u++) {
                s[u] = sigmoid(z[1][u]) * s[u] + sigmoid(z[0][u]) * tanh(z[2][u]);
                next[u] = sigmoid(z[3][u]) * tanh(s[u]);
            }
            memcpy(h, next, sizeof h);
            for (int u = 0; u < U; u++) ASSERT_CLOSE(got[(n * T + t) * U + u], h[u], 1e-13);
        }
    }
    free(k), free(r), free(b), free(v), free(got);
    mn_context_destroy(c);
}
END_TEST

/* Element (c,y,x) of an image of H x W; 0 outside. */
static double pixel(const double *image, int H, int W, int c, int y, int x) {
    return y < 0 || x < 0 || y >= H || x >= W ? 0 : image[(c * H + y) * W + x];
}

/* Windows that begin at (y,x) of the image: kernel[k][c][r][s]. */
static double window(const double *kernel, int k, int C, int R, int S, const double *image, int H, int W, int y, int x) {
    double sum = 0;
    for (int c = 0; c < C; c++)
        for (int r = 0; r < R; r++)
            for (int s = 0; s < S; s++) sum += kernel[((k * C + c) * R + r) * S + s] * pixel(image, H, W, c, y + r, x + s);
    return sum;
}

START_TEST(test_conv_lstm_loops) {
    enum { T = 4, C = 2, H = 6, W = 5, U = 3, R = 3, S = 2, P = 4, Q = 4, I = P * Q };
    mn_context *c = op_context(MN_F64, 1);
    mn_model *m = mn_model_create(c, "m");
    mn_sym x = mn_model_input(m, "x", MN_SHAPE(T, C, H, W));
    built(c, m, mn_layer_conv_lstm2d(m, x, (mn_conv_lstm2d_layer){.name = "l", .filters = U, .kernel_size = {R, S}}));
    scramble(m);
    mn_tensor *in = mn_input(c, MN_SHAPE(1, T, C, H, W), NULL);
    mn_fill_uniform(in, 3, -1, 1);
    double *k = op_values(mn_model_parameter(m, "l/kernel")), *r = op_values(mn_model_parameter(m, "l/recurrent_kernel"));
    double *b = op_values(mn_model_parameter(m, "l/bias")), *v = op_values(in), *got = op_values(run(m, in, NULL));
    double h[U * I] = {0}, s[U * I] = {0}, z[4][U * I];
    for (int t = 0; t < T; t++) {
        for (int g = 0; g < 4; g++)
            for (int u = 0; u < U; u++)
                for (int y = 0; y < P; y++)
                    for (int w = 0; w < Q; w++) /* "same" puts 1 row above, and no column to the left of two */
                        z[g][(u * P + y) * Q + w] = b[g * U + u] + window(k, g * U + u, C, R, S, v + t * C * H * W, H, W, y, w) +
                                                    window(r, g * U + u, U, R, S, h, P, Q, y - 1, w);
        for (int i = 0; i < U * I; i++) {
            s[i] = sigmoid(z[1][i]) * s[i] + sigmoid(z[0][i]) * tanh(z[2][i]);
            h[i] = sigmoid(z[3][i]) * tanh(s[i]);
        }
    }
    for (int i = 0; i < U * I; i++) ASSERT_CLOSE(got[i], h[i], 1e-13);
    free(k), free(r), free(b), free(v), free(got);
    mn_context_destroy(c);
}
END_TEST

/* ---- against Keras ---- */

/* Where element `at` (n,d0,d1,..) of one of our shapes lies in Keras's: images are (..,C,H,W) here, (..,H,W,C) there;
 * kernels (4U,C,R,S) and (R,S,C,4U), matrices (4U,in) and (in,4U). */
static int64_t place(mn_shape s, int64_t i, bool kernel) {
    int64_t at[MN_MAX_DIMS], image = s.ndim - 3, to = 0;
    for (int d = s.ndim - 1; d >= 0; d--) at[d] = i % s.dim[d], i /= s.dim[d];
    int order[MN_MAX_DIMS] = {0, 1, 2, 3, 4};
    if (kernel && s.ndim == 4)
        order[0] = 2, order[1] = 3, order[2] = 1, order[3] = 0;
    else if (kernel && s.ndim == 2)
        order[0] = 1, order[1] = 0;
    else if (s.ndim >= 4)
        order[image] = (int)image + 1, order[image + 1] = (int)image + 2, order[image + 2] = (int)image;
    for (int d = 0; d < s.ndim; d++) to = to * s.dim[order[d]] + at[order[d]];
    return to;
}

/* The formula of tests/keras/recurrent.py. */
static void fill(mn_tensor *t, int number, bool kernel) {
    double *v = op_values(t);
    for (int64_t i = 0; i < t->count; i++) v[i] = 0.6 * sin(1.7 * (double)place(t->shape, i, kernel) + number + 1);
    ASSERT_OK(mn_set_f64(t, v), mn_context_error(t->ctx));
    free(v);
}

static void same(const char *what, const mn_tensor *t, bool kernel, const double *want, size_t bytes, double tolerance) {
    ck_assert_msg(t != NULL && bytes == (size_t)t->count * sizeof *want, "%s: %zu numbers", what, bytes / sizeof *want);
    double *got = op_values(t);
    for (int64_t i = 0; i < t->count; i++) {
        double w = want[place(t->shape, i, kernel)];
        ck_assert_msg(fabs(got[i] - w) <= tolerance * fmax(1e-2, fabs(w)), "%s, element %lld: %.12g, Keras says %.12g", what,
                      (long long)i, got[i], w);
    }
    free(got);
}

/* Forward and backward with a loss of known weights; a model of one layer "l". */
static void against_keras(mn_model *m, mn_tensor *mask, double tolerance, const double *const want[5], const size_t bytes[5]) {
    static const char *const weight[] = {"l/kernel", "l/recurrent_kernel", "l/bias"};
    mn_context *c = mn_model_context(m);
    mn_shape s = mn_model_input_shape(m, 0);
    int64_t n = mask ? mask->shape.dim[0] : (int64_t)(bytes[1] / sizeof(double)) / mn_shape_count(s);
    mn_tensor *x = mn_parameter(c, "x", with_n(s, n));
    fill(x, 0, false);
    for (int i = 0; i < 3; i++) fill(mn_model_parameter(m, weight[i]), 1 + i, i < 2);
    mn_tensor *y = run(m, x, mask), *dy = mn_input(c, y->shape, NULL);
    fill(dy, 9, false);
    ASSERT_OK(mn_backward_from(c, y, dy), mn_context_error(c));
    same("y", y, false, want[0], bytes[0], tolerance);
    same("dx", x->grad, false, want[1], bytes[1], tolerance);
    for (int i = 0; i < 3; i++)
        same(weight[i], mn_model_parameter(m, weight[i])->grad, i < 2, want[2 + i], bytes[2 + i], tolerance);
}

#define KERAS(m, mask, tolerance, name)                                                                                          \
    against_keras(m, mask, tolerance,                                                                                            \
                  (const double *const[]){name##_y, name##_dx, name##_dkernel, name##_drecurrent, name##_dbias},                 \
                  (const size_t[]){sizeof name##_y, sizeof name##_dx, sizeof name##_dkernel, sizeof name##_drecurrent,           \
                                   sizeof name##_dbias})

static mn_model *lstm(mn_context *c, mn_shape in, bool mask, mn_lstm_layer o) {
    mn_model *m = mn_model_create(c, "m");
    mn_sym x = mn_model_input(m, "x", in);
    o.name = "l";
    return built(c, m,
                 mask ? mn_layer_lstm_masked(m, x, mn_model_input(m, "mask", MN_SHAPE(in.dim[0])), o) : mn_layer_lstm(m, x, o));
}
static mn_model *conv(mn_context *c, mn_shape in, bool mask, mn_conv_lstm2d_layer o) {
    mn_model *m = mn_model_create(c, "m");
    mn_sym x = mn_model_input(m, "x", in);
    o.name = "l";
    return built(c, m,
                 mask ? mn_layer_conv_lstm2d_masked(m, x, mn_model_input(m, "mask", MN_SHAPE(in.dim[0])), o)
                      : mn_layer_conv_lstm2d(m, x, o));
}

START_TEST(test_keras) {
    for (int dtype = MN_F32; dtype <= MN_F64; dtype++) {
        mn_context *c = op_context((mn_dtype)dtype, 1);
        double tol = dtype == MN_F64 ? 1e-10 : 1e-5 * 20; /* of 1e-2 or more: an f32 sum of a dozen terms */
        KERAS(lstm(c, MN_SHAPE(4, 3), false, (mn_lstm_layer){.units = 2}), NULL, tol, lstm_last);
        KERAS(lstm(c, MN_SHAPE(3, 2), false,
                   (mn_lstm_layer){.units = 3, .return_sequences = true, .recurrent_activation = MN_GATE_HARD_SIGMOID}),
              NULL, tol, lstm_all);
        mn_tensor *mask = mn_input(c, MN_SHAPE(2, 4), (float[]){1, 1, 0, 0, 0, 1, 0, 1});
        KERAS(lstm(c, MN_SHAPE(4, 3), true, (mn_lstm_layer){.units = 2, .return_sequences = true}), mask, tol, lstm_masked);
        KERAS(conv(c, MN_SHAPE(3, 2, 4, 5), false, (mn_conv_lstm2d_layer){.filters = 2, .kernel_size = {2, 3}}), NULL, tol,
              conv_last);
        KERAS(conv(c, MN_SHAPE(3, 2, 5, 4), false,
                   (mn_conv_lstm2d_layer){.filters = 1,
                                          .kernel_size = {3, 3},
                                          .strides = {2, 2},
                                          .padding = MN_SAME,
                                          .return_sequences = true,
                                          .recurrent_activation = MN_GATE_HARD_SIGMOID}),
              NULL, tol, conv_all);
        KERAS(conv(c, MN_SHAPE(3, 1, 5, 4), false,
                   (mn_conv_lstm2d_layer){.filters = 1,
                                          .kernel_size = {3, 2},
                                          .dilation_rate = {2, 2},
                                          .padding = MN_SAME,
                                          .activation = MN_CELL_RELU}),
              NULL, tol, conv_dilated);
        mn_context_destroy(c);
    }
}
END_TEST

/* ---- first values ---- */

START_TEST(test_first_values) {
    mn_context *c = op_context(MN_F64, 4);
    for (int without = 0; without < 2; without++) {
        mn_model *m = lstm(c, MN_SHAPE(2, 30), false, (mn_lstm_layer){.units = 20, .no_unit_forget_bias = without});
        double *b = op_values(mn_model_parameter(m, "l/bias")), *r = op_values(mn_model_parameter(m, "l/recurrent_kernel"));
        double *k = op_values(mn_model_parameter(m, "l/kernel")), largest = 0, limit = sqrt(6.0 / (30 + 80));
        for (int i = 0; i < 80; i++) ck_assert(b[i] == (!without && i >= 20 && i < 40 ? 1 : 0));
        for (int i = 0; i < 80 * 30; i++) largest = fmax(largest, fabs(k[i]));
        ck_assert(largest <= limit && largest > 0.95 * limit);
        for (int i = 0; i < 20; i++)
            for (int j = 0; j < 20; j++) { /* Keras's (20,80) has orthonormal rows: our columns */
                double dot = 0;
                for (int g = 0; g < 80; g++) dot += r[g * 20 + i] * r[g * 20 + j];
                ASSERT_CLOSE(dot, i == j, 1e-11);
            }
        free(b), free(r), free(k);
    }
    mn_context_destroy(c);
}
END_TEST

/* ---- gradients by differences, four steps ---- */

typedef struct gradient_case {
    mn_model *m;
    mn_tensor *mask;
} gradient_case;

static mn_tensor *result(mn_tensor **in, int n, void *arg) {
    (void)n;
    gradient_case *g = arg;
    mn_tensor *both[] = {in[0], g->mask};
    return mn_model_forward(g->m, both, true) ? NULL : mn_model_result(g->m, 0);
}

static void check_gradient(mn_model *m, mn_tensor *mask) {
    mn_context *c = mn_model_context(m);
    int trained;
    mn_tensor **p = mn_model_parameters(m, &trained, NULL),
              *in[16] = {mn_parameter(c, "x", with_n(mn_model_input_shape(m, 0), 2))};
    mn_fill_uniform(in[0], 9, -1, 1);
    scramble(m);
    for (int i = 0; i < trained; i++) in[1 + i] = p[i];
    mn_gradcheck_result r;
    ASSERT_OK(mn_gradcheck(c, result, in, 1 + trained, &(gradient_case){m, mask}, 1e-6, &r), mn_context_error(c));
    ck_assert_int_gt(r.elements, 20);
}

START_TEST(test_gradients) {
    mn_context *c = op_context(MN_F64, 1);
    mn_tensor *mask = mn_parameter(c, "mask", MN_SHAPE(2, 4));
    ASSERT_OK(mn_set_f64(mask, (double[]){1, 1, 1, 0, 1, 0, 1, 1}), mn_context_error(c));
    mask->requires_grad = false;
    for (int all = 0; all < 2; all++) {
        check_gradient(lstm(c, MN_SHAPE(4, 3), false, (mn_lstm_layer){.units = 2, .return_sequences = all}), NULL);
        check_gradient(lstm(c, MN_SHAPE(4, 3), true, (mn_lstm_layer){.units = 2, .return_sequences = all, .no_bias = true}),
                       mask);
        check_gradient(
            conv(c, MN_SHAPE(4, 2, 3, 3), all,
                 (mn_conv_lstm2d_layer){.filters = 2, .kernel_size = {2, 3}, .padding = MN_SAME, .return_sequences = all}),
            mask);
    }
    mn_model *m = mn_model_create(c, "clip"); /* everything together */
    mn_sym x = mn_model_input(m, "x", MN_SHAPE(3, 1, 4, 4));
    mn_model_time_distributed(m, true);
    x = mn_layer_conv2d(m, x, (mn_conv2d_layer){.filters = 2, .kernel_size = {2, 2}, .activation = MN_ACT_TANH});
    x = mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){0});
    mn_model_time_distributed(m, false);
    x = mn_layer_conv_lstm2d(m, x, (mn_conv_lstm2d_layer){.filters = 2, .kernel_size = {2, 2}, .return_sequences = true});
    mn_model_time_distributed(m, true);
    x = mn_layer_flatten(m, x, (mn_plain_layer){0});
    x = mn_layer_dense(m, x, (mn_dense_layer){.units = 3});
    mn_model_time_distributed(m, false);
    check_gradient(built(c, m, mn_layer_lstm(m, x, (mn_lstm_layer){.units = 2})), NULL);
    mn_context_destroy(c);
}
END_TEST

/* ---- masks ---- */

/* Clips of 3 and 5 steps in a batch of 5 steps give what each gives by itself, whatever stands behind the end. */
START_TEST(test_mask_is_length) {
    const int32_t length[] = {3, 5};
    for (int kind = 0; kind < 2; kind++) {
        mn_context *c = op_context(MN_F64, 1);
        mn_shape step = kind ? MN_SHAPE(2, 4, 3) : MN_SHAPE(7);
        int64_t size = mn_shape_count(step);
        mn_lstm_layer o = {.units = 3};
        mn_conv_lstm2d_layer p = {.filters = 3, .kernel_size = {3, 3}, .padding = MN_SAME};
        mn_model *m = kind ? conv(c, with_n(step, 5), true, p) : lstm(c, with_n(step, 5), true, o);
        mn_tensor *x = mn_input(c, with_n(with_n(step, 5), 2), NULL);
        mn_fill_uniform(x, 3, -1, 1);
        scramble(m);
        double *v = op_values(x);
        for (int64_t i = 3 * size; i < 5 * size; i++) v[i] = 1e30;
        ASSERT_OK(mn_set_f64(x, v), mn_context_error(c));
        double *got = op_values(run(m, x, mn_sequence_mask(c, 2, 5, length)));
        for (int n = 0; n < 2; n++) {
            mn_model *one = kind ? conv(c, with_n(step, length[n]), false, p) : lstm(c, with_n(step, length[n]), false, o);
            ck_assert_int_eq(mn_model_copy_matching(one, m), 3);
            mn_tensor *y = mn_input(c, with_n(with_n(step, length[n]), 1), NULL);
            ASSERT_OK(mn_set_f64(y, v + n * 5 * size), mn_context_error(c));
            mn_tensor *r = run(one, y, NULL);
            double *want = op_values(r);
            for (int64_t i = 0; i < r->count; i++) ASSERT_CLOSE(got[n * r->count + i], want[i], 1e-13);
            free(want);
        }
        free(v), free(got);
        mn_context_destroy(c);
    }
}
END_TEST

/* More steps than mn_concat takes inputs, all returned: the last is the one returned alone. */
START_TEST(test_long_sequences) {
    mn_context *c = op_context(MN_F64, 1);
    mn_model *all = lstm(c, MN_SHAPE(1024, 2), false, (mn_lstm_layer){.units = 2, .return_sequences = true});
    mn_model *last = lstm(c, MN_SHAPE(1024, 2), false, (mn_lstm_layer){.units = 2}),
             *part = lstm(c, MN_SHAPE(70, 2), false, (mn_lstm_layer){.units = 2});
    ck_assert(mn_model_copy_matching(last, all) == 3 && mn_model_copy_matching(part, all) == 3);
    mn_tensor *x = mn_input(c, MN_SHAPE(2, 1024, 2), NULL);
    mn_fill_uniform(x, 3, -1, 1);
    double *a = op_values(run(all, x, NULL)), *b = op_values(run(last, x, NULL)),
           *p = op_values(run(part, mn_slice(x, 1, 0, 70), NULL));
    for (int n = 0; n < 2; n++)
        for (int u = 0; u < 2; u++) {
            ASSERT_CLOSE(a[(n * 1024 + 1023) * 2 + u], b[n * 2 + u], 0);
            ASSERT_CLOSE(a[(n * 1024 + 69) * 2 + u], p[n * 2 + u], 1e-14);
        }
    free(a), free(b), free(p);
    mn_context_destroy(c);
}
END_TEST

/* ---- each step by itself ---- */

static mn_sym frames(mn_model *m, mn_sym x) {
    mn_sym y;
    x = mn_layer_conv2d(m, x, (mn_conv2d_layer){.filters = 4, .kernel_size = {3, 3}, .padding = MN_SAME});
    x = mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){0});
    y = mn_layer_depthwise_conv2d(m, x, (mn_depthwise_conv2d_layer){.kernel_size = {3, 3}, .padding = MN_SAME});
    x = mn_layer_add(m, (mn_sym[]){x, y}, 2, (mn_plain_layer){0});
    x = mn_layer_concatenate(m, (mn_sym[]){x, y}, 2, (mn_concatenate_layer){0});
    x = mn_layer_max_pooling2d(m, x, (mn_pooling2d_layer){0});
    x = mn_layer_flatten(m, x, (mn_plain_layer){0});
    return mn_layer_dense(m, x, (mn_dense_layer){.units = 5, .activation = MN_ACT_SIGMOID});
}

START_TEST(test_time_distributed) {
    enum { N = 2, T = 3, SIZE = 2 * 6 * 4 };
    mn_context *c = op_context(MN_F64, 1);
    mn_model *clip = mn_model_create(c, "clip"), *frame = mn_model_create(c, "frame");
    mn_sym x = mn_model_input(clip, "x", MN_SHAPE(T, 2, 6, 4));
    mn_model_time_distributed(clip, true);
    x = frames(clip, x);
    mn_model_time_distributed(clip, false);
    built(c, clip, x);
    built(c, frame, frames(frame, mn_model_input(frame, "x", MN_SHAPE(2, 6, 4))));
    ck_assert(mn_shape_equal(mn_model_output_shape(clip, 0), MN_SHAPE(T, 5)));
    ck_assert_int_eq(mn_model_count(clip).macs, T * mn_model_count(frame).macs);
    ck_assert_int_eq(mn_model_count(clip).parameters, mn_model_count(frame).parameters);
    ck_assert_int_eq(mn_model_copy_matching(frame, clip), 10);
    mn_tensor *in = mn_input(c, MN_SHAPE(N, T, 2, 6, 4), NULL);
    mn_fill_uniform(in, 3, -1, 1);
    double *v = op_values(in), *got = op_values(run(clip, in, NULL));
    for (int folded = 0; folded < 2; folded++) {
        for (int i = 0; i < N * T; i++) {
            mn_tensor *one = mn_input(c, MN_SHAPE(1, 2, 6, 4), NULL);
            ASSERT_OK(mn_set_f64(one, v + i * SIZE), mn_context_error(c));
            double *want = op_values(run(frame, one, NULL));
            for (int k = 0; k < 5; k++) ASSERT_CLOSE(got[i * 5 + k], want[k], 1e-12);
            free(want);
        }
        free(got);
        if (!folded) ck_assert_int_eq(mn_model_fold_batch_norm(clip), 1);
        got = op_values(run(clip, in, NULL));
    }
    free(v), free(got);
    mn_context_destroy(c);
}
END_TEST

/* ---- shapes, sentences ---- */

START_TEST(test_shapes) {
    mn_context *c = op_context(MN_F32, 1);
    mn_model *m = lstm(c, MN_SHAPE(6, 10), false, (mn_lstm_layer){.units = 7});
    ck_assert(mn_shape_equal(mn_model_output_shape(m, 0), MN_SHAPE(7)));
    ck_assert_int_eq(mn_model_count(m).parameters, 4 * 7 * (10 + 7 + 1)); /* Keras's summary: 504 */
    ck_assert_int_eq(mn_model_count(m).macs, 6 * 4 * 7 * (10 + 7));
    m = conv(c, MN_SHAPE(5, 3, 9, 8), false,
             (mn_conv_lstm2d_layer){.filters = 4, .kernel_size = {3, 3}, .return_sequences = true});
    ck_assert(mn_shape_equal(mn_model_output_shape(m, 0), MN_SHAPE(5, 4, 7, 6)));
    ck_assert_int_eq(mn_model_count(m).parameters, 16 * (3 + 4) * 9 + 16); /* Keras's summary: 1024 */
    ck_assert_int_eq(mn_model_count(m).macs, 5 * 16 * 7 * 6 * 9 * (3 + 4));
    mn_context_destroy(c);
}
END_TEST

static mn_sym bad_layer(mn_model *m, int which, mn_sym clip, mn_sym row, mn_sym image) {
    switch (which) {
    case 0:
        return mn_layer_lstm(m, clip, (mn_lstm_layer){.units = 2});
    case 1:
        return mn_layer_lstm(m, row, (mn_lstm_layer){.units = 2});
    case 2:
        return mn_layer_conv_lstm2d(m, image, (mn_conv_lstm2d_layer){.filters = 2, .kernel_size = {3, 3}});
    case 3:
        return mn_layer_conv_lstm2d_masked(m, clip, row, (mn_conv_lstm2d_layer){.filters = 2, .kernel_size = {3, 3}});
    case 4:
        return mn_layer_conv2d(m, clip, (mn_conv2d_layer){.filters = 2, .kernel_size = {3, 3}});
    case 5:
        mn_model_time_distributed(m, true);
        return mn_layer_dense(m, row, (mn_dense_layer){.units = 2});
    case 6:
        mn_model_time_distributed(m, true);
        return mn_layer_add(m, (mn_sym[]){clip, image}, 2, (mn_plain_layer){0});
    case 7:
        return mn_layer_lstm(m, mn_layer_reshape(m, clip, (mn_reshape_layer){.target_shape = MN_SHAPE(1200, 1)}),
                             (mn_lstm_layer){.units = 2});
    case 8:
        return mn_layer_lstm(m, row, (mn_lstm_layer){0});
    case 9:
        return mn_layer_lstm(m, row, (mn_lstm_layer){.units = 2, .recurrent_activation = (mn_gate_activation)5});
    case 10:
        return mn_layer_lstm(m, row, (mn_lstm_layer){.units = 2, .activation = (mn_cell_activation)5});
    default:
        return mn_layer_conv_lstm2d(m, clip, (mn_conv_lstm2d_layer){.filters = 2, .kernel_size = {3, 30}});
    }
}

START_TEST(test_sentences) {
    static const char *const want[] = {
        "LSTM \"lstm\": the input \"clip\" is (6,1,20,10); wanted a sequence (steps,features); hint: a time-distributed Flatten",
        "the input \"row\" is (9); wanted a sequence (steps,features)",
        "\"image\" is (1,20,10); wanted a sequence of images",
        "the mask is (9); wanted (6), a number for each step",
        "hint: \"time_distributed\" applies it to each step",
        "runs on each step of a sequence, and its input is (9)",
        "wanted the same number of steps",
        "the sequence has 1200 steps; wanted 1 to 1024",
        "units is missing",
        "recurrent_activation is 5; wanted MN_GATE_SIGMOID",
        "activation is 5; wanted MN_CELL_TANH",
        "a window of 3x30 does not fit"};
    for (int i = 0; i < (int)(sizeof want / sizeof *want); i++) {
        mn_context *c = op_context(MN_F32, 1);
        mn_model *m = mn_model_create(c, "m");
        mn_sym clip = mn_model_input(m, "clip", MN_SHAPE(6, 1, 20, 10)), row = mn_model_input(m, "row", MN_SHAPE(9)),
               image = mn_model_input(m, "image", MN_SHAPE(1, 20, 10));
        ck_assert_int_lt(bad_layer(m, i, clip, row, image), 0);
        ck_assert_msg(strstr(mn_context_error(c)->text, want[i]) != NULL, "\"%s\" does not hold \"%s\"",
                      mn_context_error(c)->text, want[i]);
        mn_context_destroy(c);
    }
}
END_TEST

/* ---- files ---- */

#if MN_HAVE_JSON
static const char network[] =
    "{\"input\": [4, 6, 5, 2], \"layers\": ["
    "{\"class\": \"Conv2D\", \"filters\": 3, \"kernel_size\": 2, \"activation\": \"leaky_relu\", \"time_distributed\": true},"
    "{\"class\": \"BatchNormalization\", \"time_distributed\": true},"
    "{\"class\": \"ConvLSTM2D\", \"filters\": 3, \"kernel_size\": [2, 3], \"padding\": \"same\", \"return_sequences\": true,"
    " \"recurrent_activation\": \"hard_sigmoid\", \"use_bias\": false, \"name\": \"maps\"},"
    "{\"class\": \"Flatten\", \"time_distributed\": true}, {\"class\": \"Dropout\", \"rate\": 0.5},"
    "{\"class\": \"LSTM\", \"units\": 4, \"activation\": \"relu\", \"unit_forget_bias\": false, \"return_sequences\": true, "
    "\"name\": \"rows\"},"
    "{\"class\": \"BatchNormalization\", \"time_distributed\": true}, {\"class\": \"Flatten\"},"
    "{\"class\": \"Dense\", \"units\": 2, \"name\": \"out\"}]}";

static mn_model *parsed(mn_context *c, const char *text) {
    mn_model *m = mn_model_from_json(c, text, strlen(text), NULL);
    ck_assert_msg(m != NULL, "%s", mn_context_error(c)->text);
    return m;
}

static double *output_of(mn_model *m) {
    mn_context *c = mn_model_context(m);
    mn_tensor *x = mn_input(c, MN_SHAPE(2, 4, 2, 6, 5), NULL);
    double v[2 * 4 * 2 * 6 * 5];
    for (int i = 0; i < (int)(sizeof v / sizeof *v); i++) v[i] = sin(0.7 * i);
    ASSERT_OK(mn_set_f64(x, v), mn_context_error(c));
    return op_values(run(m, x, NULL));
}

START_TEST(test_json) {
    mn_context *c = op_context(MN_F64, 1);
    mn_error err = {0};
    mn_model *m = parsed(c, network), *again;
    ck_assert(mn_shape_equal(mn_model_input_shape(m, 0), MN_SHAPE(4, 2, 6, 5)));
    ck_assert_ptr_null(mn_model_parameter(m, "maps/bias"));
    ck_assert_int_eq((int)mn_item(mn_model_parameter(m, "rows/bias"), 5), 0);
    char *text = mn_model_to_json(m, &err);
    ck_assert_ptr_nonnull(strstr(text, "\"time_distributed\": true"));
    again = parsed(c, text);
    ck_assert_int_gt(mn_model_copy_matching(again, m), 10);
    double *a = output_of(m), *b = output_of(again);
    for (int i = 0; i < 4; i++) ASSERT_CLOSE(a[i], b[i], 0);
    free(a), free(b), mn_free(text);
    const struct {
        const char *layer, *part;
    } bad[] = {{"{\"class\": \"LSTM\", \"units\": 2, \"recurrent_activation\": \"tanh\"}", "wanted sigmoid or hard_sigmoid"},
               {"{\"class\": \"LSTM\", \"units\": 2, \"activation\": \"gelu\"}", "wanted tanh or relu"},
               {"{\"class\": \"LSTM\", \"units\": 2, \"return_sequences\": 1}", "wanted true or false"},
               {"{\"class\": \"LSTM\", \"units\": 2, \"time_distributed\": 1}", "\"time_distributed\" wants true or false"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char whole[300];
        snprintf(whole, sizeof whole, "{\"input\": [5, 2], \"layers\": [%s]}", bad[i].layer);
        ck_assert_ptr_null(mn_model_from_json(c, whole, strlen(whole), NULL));
        ck_assert_msg(strstr(mn_context_error(c)->text, bad[i].part) != NULL, "%s", mn_context_error(c)->text);
        mn_error_clear(mn_context_error(c));
    }
    mn_context_destroy(c);
}
END_TEST

/* Keras's own descriptions: TimeDistributed around a layer, and settings that mien has nothing for. */
START_TEST(test_keras_configs) {
    static const char sequential[] =
        "{\"class_name\": \"Sequential\", \"config\": {\"name\": \"s\", \"layers\": ["
        "{\"class_name\": \"InputLayer\", \"config\": {\"name\": \"i\", \"batch_input_shape\": [null, 3, 6, 5, 2]}},"
        "{\"class_name\": \"TimeDistributed\", \"config\": {\"name\": \"td\", \"layer\": %s}},"
        "{\"class_name\": \"LSTM\", \"config\": {\"name\": \"r\", \"units\": 2, \"dropout\": 0.0%s}}]}}";
    static const char flatten[] =
        "{\"class_name\": \"Flatten\", \"config\": {\"name\": \"f\", \"data_format\": \"channels_last\"}}";
    static const struct {
        const char *layer, *more, *part;
    } c[] = {{flatten, "", NULL},
             {flatten, ", \"go_backwards\": true", "LSTM \"r\": go_backwards is not supported"},
             {flatten, ", \"stateful\": true", "stateful is not supported"},
             {flatten, ", \"recurrent_dropout\": 0.5", "hint: a Dropout layer"},
             {"{\"class_name\": \"Flatten\"}", "", "TimeDistributed \"td\": \"layer\" is not understood"},
             {"7", "", "is not understood"}};
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        mn_context *x = op_context(MN_F32, 1);
        mn_error err = {0};
        char text[1200];
        snprintf(text, sizeof text, sequential, c[i].layer, c[i].more);
        mn_model *m = mn__config_read(x, text, &err);
        ck_assert_msg(c[i].part ? !m && strstr(err.text, c[i].part) : m != NULL, "%zu: %s", i, err.text);
        if (m) ck_assert(mn_model_build(m) == MN_OK && mn_model_parameter(m, "r/kernel")->shape.dim[1] == 60);
        mn_context_destroy(x);
    }
}
END_TEST

#if MN_HAVE_HDF5
/* Written and read, to the bit; and the recurrent kernel lies as Keras has it, (units, 4*units). */
START_TEST(test_files) {
    mn_context *c = op_context(MN_F64, 1), *d = op_context(MN_F64, 2);
    mn_error err = {0};
    mn_model *m = parsed(c, network);
    scramble(m);
    const char *path = test_path("recurrent.h5");
    ASSERT_OK(mn_model_save(m, NULL, path, &err), &err);
    mn_model_info info;
    mn_model *again = mn_model_load(d, path, &info, &err);
    ck_assert_msg(again != NULL, "%s", err.text);
    ck_assert(info.preprocess.channels == 2 && info.preprocess.height == 6 && info.preprocess.width == 5);
    double *a = output_of(m), *b = output_of(again), *r = op_values(mn_model_parameter(m, "rows/recurrent_kernel")), turned[64];
    for (int i = 0; i < 4; i++) ASSERT_CLOSE(a[i], b[i], 0);
    for (int g = 0; g < 16; g++)
        for (int u = 0; u < 4; u++) turned[u * 16 + g] = r[g * 4 + u];
    size_t n;
    char *bytes = test_read_file(path, &n);
    ck_assert_msg(memmem(bytes, n, turned, sizeof turned) != NULL, "the recurrent kernel does not lie as (units, 4*units)");
    free(a), free(b), free(r), free(bytes);
    mn_model_info_free(&info);
    mn_context_destroy(c);
    mn_context_destroy(d);
}
END_TEST
/* A clip flattened whole: Keras counts its numbers as (T,H,W,C). */
START_TEST(test_flat_clip) {
    mn_context *c = op_context(MN_F64, 1), *d = op_context(MN_F64, 2);
    mn_error err = {0};
    mn_model *m =
        parsed(c, "{\"input\": [4, 6, 5, 2], \"layers\": [{\"class\": \"Flatten\"}, {\"class\": \"Dense\", \"units\": 1}]}");
    scramble(m);
    ASSERT_OK(mn_model_save(m, NULL, test_path("flat_clip.h5"), &err), &err);
    mn_model *again = mn_model_load(d, test_path("flat_clip.h5"), NULL, &err);
    ck_assert_msg(again != NULL, "%s", err.text);
    double *a = output_of(m), *b = output_of(again), *w = op_values(mn_model_parameter(m, "dense/kernel")), keras[240];
    for (int i = 0; i < 2; i++) ASSERT_CLOSE(a[i], b[i], 0);
    for (int t = 0, k = 0; t < 4; t++)
        for (int y = 0; y < 6; y++)
            for (int x = 0; x < 5; x++)
                for (int ch = 0; ch < 2; ch++) keras[k++] = w[((t * 2 + ch) * 6 + y) * 5 + x];
    size_t n;
    char *bytes = test_read_file(test_path("flat_clip.h5"), &n);
    ck_assert_msg(memmem(bytes, n, keras, sizeof keras) != NULL, "the kernel does not lie in the order (t, h, w, c)");
    free(a), free(b), free(w), free(bytes);
    mn_context_destroy(c);
    mn_context_destroy(d);
}
END_TEST
#define FILE_TESTS , test_json, test_keras_configs, test_files, test_flat_clip
#else
#define FILE_TESTS , test_json, test_keras_configs
#endif
#else
#define FILE_TESTS
#endif

TEST_SUITE(recurrent, test_lstm_loops, test_conv_lstm_loops, test_keras, test_first_values, test_gradients, test_mask_is_length,
           test_long_sequences, test_time_distributed, test_shapes, test_sentences FILE_TESTS)
