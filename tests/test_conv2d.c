/* conv2d forward and all three gradients against loops in double that follow the definition, over odd shapes. */
#include "tests/op_test.h"
#include "autograd/ends_in_relu.h"

typedef struct conv_case {
    int64_t N, C, H, W, K, R, S;
    bool bias;
    mn_conv2d_opt o;
} conv_case;

typedef struct image4 { /* a (d0,d1,d2,d3) array of doubles that reads 0 outside */
    double *v;
    int64_t d[4];
} image4;

static image4 image_new(int64_t a, int64_t b, int64_t c, int64_t d) {
    return (image4){calloc((size_t)(a * b * c * d + 1), sizeof(double)), {a, b, c, d}};
}
static double *image_at(image4 m, int64_t a, int64_t b, int64_t c, int64_t d) {
    static double outside;
    outside = 0;
    if (c < 0 || c >= m.d[2] || d < 0 || d >= m.d[3]) return &outside;
    return m.v + ((a * m.d[1] + b) * m.d[2] + c) * m.d[3] + d;
}

static int64_t or_one(int v) { return v ? v : 1; }

/* to += v, in double or as a direct sum in single precision would round it. */
static void add(bool single, double *to, double v) { *to = single ? (float)((float)*to + (float)v) : *to + v; }

/* Walks over every product of the definition; adds what dy gives to dx, dw, db. */
static void naive(const conv_case *k, bool single, image4 x, image4 w, const double *b, image4 y, image4 dy, image4 dx, image4 dw,
                  double *db) {
    int64_t G = or_one(k->o.groups), per_in = k->C / G, per_out = k->K / G;
    for (int64_t n = 0; n < k->N; n++)
        for (int64_t o = 0; o < k->K; o++)
            for (int64_t p = 0; p < y.d[2]; p++)
                for (int64_t q = 0; q < y.d[3]; q++) {
                    double g = *image_at(dy, n, o, p, q), sum = b ? b[o] : 0;
                    for (int64_t i = 0; i < per_in; i++)
                        for (int64_t r = 0; r < k->R; r++)
                            for (int64_t s = 0; s < k->S; s++) {
                                int64_t h = p * or_one(k->o.stride[0]) + r * or_one(k->o.dilation[0]) - k->o.padding[0];
                                int64_t v = q * or_one(k->o.stride[1]) + s * or_one(k->o.dilation[1]) - k->o.padding[2];
                                int64_t c = o / per_out * per_in + i;
                                double a = *image_at(x, n, c, h, v), f = *image_at(w, o, i, r, s);
                                add(single, &sum, a * f);
                                add(single, image_at(dx, n, c, h, v), g * f);
                                add(single, image_at(dw, o, i, r, s), g * a);
                            }
                    *image_at(y, n, o, p, q) = sum;
                    add(single, &db[o], g);
                }
}

static int64_t out_size(int64_t size, int64_t window, int stride, int dilation, int before, int after) {
    int64_t count = 0; /* windows that fit, counted one by one */
    for (int64_t at = -before; at + or_one(dilation) * (window - 1) < size + after; at += or_one(stride)) count++;
    return count;
}

static void double_all(image4 m) {
    for (int64_t i = 0; i < m.d[0] * m.d[1] * m.d[2] * m.d[3]; i++) m.v[i] *= 2;
}

/* Sums of many terms round more: the tolerance is relative to their standard deviation, a third of the root of their number. */
static void expect_sum(op_env *e, double terms, const mn_tensor *t, image4 want) {
    double tolerance = e->tolerance;
    e->tolerance *= fmax(1, sqrt(terms) / 3);
    op_expect(e, t, MN_SHAPE(want.d[0], want.d[1], want.d[2], want.d[3]), want.v);
    e->tolerance = tolerance;
}

static void one_case(op_env *e, const conv_case *k) {
    int64_t per = k->C / or_one(k->o.groups);
    int64_t P = out_size(k->H, k->R, k->o.stride[0], k->o.dilation[0], k->o.padding[0], k->o.padding[1]);
    int64_t Q = out_size(k->W, k->S, k->o.stride[1], k->o.dilation[1], k->o.padding[2], k->o.padding[3]);
    mn_shape xs = MN_SHAPE(k->N, k->C, k->H, k->W), ws = MN_SHAPE(k->K, per, k->R, k->S);
    mn_shape ys = MN_SHAPE(k->N, k->K, P, Q);
    mn_tensor *x = op_input(e, 0, xs, -1, 1), *w = op_input(e, 1, ws, -1, 1);
    mn_tensor *b = k->bias ? op_input(e, 2, MN_SHAPE(k->K), -1, 1) : NULL, *dy = op_input(e, 3, ys, -1, 1);
    image4 X = {op_values(x), {k->N, k->C, k->H, k->W}}, W = {op_values(w), {k->K, per, k->R, k->S}};
    image4 DY = {op_values(dy), {k->N, k->K, P, Q}}, Y = image_new(k->N, k->K, P, Q);
    image4 DX = image_new(k->N, k->C, k->H, k->W), DW = image_new(k->K, per, k->R, k->S), DB = image_new(1, 1, 1, k->K);
    double *B = b ? op_values(b) : NULL;
    naive(k, false, X, W, B, Y, DY, DX, DW, DB.v);
    mn_tensor *y = mn_conv2d(x, w, b, k->o);
    expect_sum(e, (double)(per * k->R * k->S), y, Y);
    for (int pass = 0; pass < 2; pass++) { /* the second adds to the first */
        ASSERT_OK(mn__backward_from(e->c, y, dy, pass), mn_context_error(e->c));
        expect_sum(e, (double)(k->K * k->R * k->S), x->grad, DX);
        expect_sum(e, (double)(k->N * P * Q), w->grad, DW);
        if (b) op_expect(e, b->grad, b->shape, DB.v);
        double_all(DX), double_all(DW), double_all(DB);
    }
    free(X.v), free(W.v), free(DY.v), free(Y.v), free(DX.v), free(DW.v), free(DB.v), free(B);
    mn_step_begin(e->c);
}

static const conv_case cases[] = {
    {1, 1, 1, 1, 1, 1, 1, true, {.groups = 1}},
    {2, 3, 7, 5, 4, 3, 3, true, {.padding = {1, 1, 1, 1}}},
    {3, 2, 5, 11, 5, 3, 2, false, {.stride = {2, 3}}},                        /* rectangular, no bias */
    {1, 3, 8, 9, 7, 2, 3, true, {.stride = {2, 1}, .padding = {0, 1, 2, 0}}}, /* four-sided padding, N = 1 */
    {2, 2, 13, 11, 3, 3, 3, true, {.dilation = {3, 2}, .padding = {2, 3, 0, 1}}},
    {2, 2, 9, 9, 3, 2, 2, true, {.stride = {3, 4}}},         /* stride larger than the kernel */
    {2, 2, 3, 3, 3, 5, 5, true, {.padding = {3, 2, 4, 3}}},  /* kernel larger than the image */
    {2, 2, 1, 6, 3, 3, 3, false, {.padding = {5, 5, 5, 5}}}, /* windows that see only padding */
    {2, 6, 7, 5, 9, 3, 3, true, {.groups = 3, .padding = {1, 1, 1, 1}}},
    {3, 4, 6, 6, 4, 1, 3, false, {.groups = 2, .stride = {1, 2}, .dilation = {1, 2}}},
    {2, 5, 9, 7, 5, 3, 3, true, {.groups = 5, .padding = {1, 1, 1, 1}}}, /* depthwise */
    {3, 7, 11, 13, 7, 3, 3, false, {.groups = 7, .stride = {2, 2}, .padding = {0, 1, 0, 1}}},
    {1, 3, 17, 19, 3, 5, 3, true, {.groups = 3, .dilation = {2, 1}, .padding = {4, 4, 1, 1}}},
    {2, 3, 20, 37, 3, 3, 3, true, {.groups = 3, .padding = {1, 1, 1, 1}}},
    {2, 4, 9, 8, 4, 3, 3, true, {.groups = 4, .stride = {2, 1}, .padding = {1, 0, 1, 2}}},
    {1, 3, 5, 12, 3, 2, 9, true, {.groups = 3, .padding = {1, 0, 4, 4}}}, /* wider than the flat path takes */
    {2, 3, 5, 5, 6, 3, 3, true, {.groups = 3, .padding = {1, 1, 1, 1}}},  /* two outputs a channel */
    {3, 5, 7, 3, 11, 1, 1, true, {.groups = 1}},                          /* 1x1 */
    {2, 5, 7, 3, 4, 1, 1, false, {.stride = {2, 2}}},
    {2, 5, 3, 3, 4, 1, 1, true, {.padding = {1, 0, 0, 1}}},
    {3, 17, 13, 11, 19, 1, 1, true, {.groups = 1}},
    {1, 6, 21, 20, 9, 1, 1, true, {.groups = 1}}, /* one image shared out among threads */
    {2, 10, 13, 14, 9, 1, 1, true, {.stride = {2, 3}}},
    {3, 8, 8, 8, 16, 1, 1, false, {.groups = 1}},
    {1, 70, 5, 9, 130, 1, 1, true, {.groups = 1}}, /* more weights than the path for few channels takes */
    {2, 1, 13, 9, 8, 3, 3, true, {.padding = {1, 1, 1, 1}}}, /* one channel */
    {3, 1, 20, 35, 19, 3, 3, true, {.padding = {1, 1, 1, 1}}},
    {1, 1, 21, 18, 5, 3, 3, false, {.groups = 1}},
    {2, 1, 12, 10, 3, 5, 5, true, {.padding = {2, 2, 2, 2}}},
    {2, 16, 8, 8, 16, 3, 3, true, {.padding = {1, 1, 1, 1}}}, /* 3x3 with many channels */
    {3, 19, 11, 7, 17, 3, 3, true, {.padding = {1, 1, 1, 1}}},
    {5, 32, 6, 6, 35, 3, 3, false, {.padding = {1, 1, 1, 1}}},
    {1, 33, 12, 13, 21, 3, 3, true, {.padding = {0, 2, 1, 0}}},
    {2, 16, 3, 3, 18, 3, 3, true, {.groups = 1}},
    {2, 17, 5, 18, 16, 3, 3, false, {.padding = {2, 2, 3, 3}}},
    {7, 24, 10, 9, 40, 3, 3, true, {.padding = {1, 1, 1, 1}}},
    {2, 243, 5, 6, 250, 3, 3, true, {.padding = {1, 1, 0, 2}}}, /* more points than the caches hold */
    {11, 5, 9, 11, 6, 3, 3, true, {.stride = {2, 2}, .padding = {1, 1, 1, 1}}}, /* several images in one product */
    {9, 6, 6, 5, 6, 3, 3, false, {.groups = 3, .stride = {2, 1}, .padding = {0, 1, 0, 1}}},
    {2, 3, 9, 75, 4, 3, 3, true, {.stride = {2, 2}, .padding = {0, 1, 0, 1}}}, /* wide and with stride */
};

static void definition(op_env *e) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) one_case(e, &cases[i]);
}
START_TEST(test_definition) { for_each_backend(definition); }
END_TEST

/* In f32 no path may round much more than the direct sum does: at most four times as much, by the root of the mean
 * square of all errors (the Winograd path is at about twice). */
static double error_ratio(const mn_tensor *t, image4 exact, image4 direct) {
    double ours = 0, theirs = 0, *v = op_values(t);
    for (int64_t i = 0; i < t->count; i++) {
        ours += (v[i] - exact.v[i]) * (v[i] - exact.v[i]);
        theirs += (direct.v[i] - exact.v[i]) * (direct.v[i] - exact.v[i]);
    }
    free(v);
    return sqrt(ours / theirs);
}

static void accuracy_of(op_env *e, conv_case k) {
    image4 Y[2], DX[2], DW[2], DB = image_new(1, 1, 1, k.K);
    mn_tensor *x = op_input(e, 0, MN_SHAPE(k.N, k.C, k.H, k.W), -1, 1), *w = op_input(e, 1, MN_SHAPE(k.K, k.C, 3, 3), -1, 1);
    mn_tensor *y = mn_conv2d(x, w, NULL, k.o), *dy = op_input(e, 2, MN_SHAPE(k.N, k.K, k.H, k.W), -1, 1);
    image4 X = {op_values(x), {k.N, k.C, k.H, k.W}}, W = {op_values(w), {k.K, k.C, 3, 3}};
    image4 G = {op_values(dy), {k.N, k.K, k.H, k.W}};
    for (int single = 0; single < 2; single++) {
        Y[single] = image_new(k.N, k.K, k.H, k.W), DX[single] = image_new(k.N, k.C, k.H, k.W);
        DW[single] = image_new(k.K, k.C, 3, 3);
        naive(&k, single, X, W, NULL, Y[single], G, DX[single], DW[single], DB.v);
    }
    ASSERT_OK(mn_backward_from(e->c, y, dy), mn_context_error(e->c));
    ASSERT_CLOSE(error_ratio(y, Y[0], Y[1]), 2, 2);
    ASSERT_CLOSE(error_ratio(x->grad, DX[0], DX[1]), 2, 2);
    ASSERT_CLOSE(error_ratio(w->grad, DW[0], DW[1]), 2, 2);
    if (getenv("MIEN_SHOW"))
        printf("rounding against a direct f32 sum: y %.2f, dx %.2f, dw %.2f\n", error_ratio(y, Y[0], Y[1]),
               error_ratio(x->grad, DX[0], DX[1]), error_ratio(w->grad, DW[0], DW[1]));
    for (int i = 0; i < 2; i++) free(Y[i].v), free(DX[i].v), free(DW[i].v);
    free(X.v), free(W.v), free(G.v), free(DB.v);
    mn_step_begin(e->c);
}
static void accuracy(op_env *e) {
    if (mn_context_dtype(e->c) != MN_F32) return;
    accuracy_of(e, (conv_case){4, 48, 15, 14, 40, 3, 3, false, {.padding = {1, 1, 1, 1}}});
    accuracy_of(e, (conv_case){9, 243, 3, 4, 250, 3, 3, false, {.padding = {1, 1, 1, 1}}}); /* many channels */
}
START_TEST(test_accuracy) { for_each_backend(accuracy); }
END_TEST

/* More images than are worked on at a time, on the CPU in as many channels as that takes: as the same images in two batches. */
static void two_batches(op_env *e) {
    const bool few = mn_context_device(e->c) == MN_CUDA; /* which the emulator runs in seconds instead of half a minute */
    const int64_t N = 129, half = 65, C = few ? 43 : 243, K = few ? 50 : 250;
    const mn_conv2d_opt o = {.padding = {1, 1, 1, 1}};
    if (mn_context_dtype(e->c) != MN_F32) return;
    mn_tensor *x = op_input(e, 0, MN_SHAPE(N, C, 3, 3), -1, 1), *w = op_input(e, 1, MN_SHAPE(K, C, 3, 3), -1, 1);
    mn_tensor *dy = op_input(e, 2, MN_SHAPE(N, K, 3, 3), -1, 1), *y = mn_conv2d(x, w, NULL, o);
    ASSERT_OK(mn_backward_from(e->c, y, dy), mn_context_error(e->c));
    double *want = op_values(y), *dx = op_values(x->grad), *dw = op_values(w->grad), tolerance = e->tolerance;
    mn_tensor *part = mn_concat((mn_tensor *[]){mn_conv2d(mn_slice(x, 0, 0, half), w, NULL, o),
                                                mn_conv2d(mn_slice(x, 0, half, N - half), w, NULL, o)}, 2, 0);
    ASSERT_OK(mn_backward_from(e->c, part, dy), mn_context_error(e->c));
    op_expect(e, part, y->shape, want);
    op_expect(e, x->grad, x->shape, dx);
    e->tolerance *= 2 * sqrt((double)N * 9);
    op_expect(e, w->grad, w->shape, dw);
    e->tolerance = tolerance;
    free(want), free(dx), free(dw);
}
START_TEST(test_two_batches) { for_each_backend(two_batches); }
END_TEST

/* A batch without images: an empty result, and gradients that are zero. */
static void empty_batch(op_env *e) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(0, 2, 5, 5), -1, 1), *w = op_input(e, 1, MN_SHAPE(3, 2, 3, 3), -1, 1);
    mn_tensor *b = op_input(e, 2, MN_SHAPE(3), -1, 1), *y = mn_conv2d(x, w, b, (mn_conv2d_opt){0});
    double zero[54] = {0};
    op_expect(e, y, MN_SHAPE(0, 3, 3, 3), NULL);
    ASSERT_OK(mn_backward_from(e->c, y, mn_tensor_create(e->c, MN_STEP, e->c->dtype, y->shape)), mn_context_error(e->c));
    op_expect(e, w->grad, w->shape, zero);
    op_expect(e, b->grad, b->shape, zero);
}
START_TEST(test_empty_batch) { for_each_backend(empty_batch); }
END_TEST

/* TensorFlow's "same": as many outputs as ceil(size/stride), the odd element of padding at the end. */
START_TEST(test_same_padding) {
    static const int want[][6] = {/* size, kernel, stride, dilation, before, after */
                                  {48, 3, 1, 1, 1, 1}, {48, 3, 2, 1, 0, 1}, {47, 3, 2, 1, 1, 1}, {5, 2, 1, 1, 0, 1},
                                  {7, 5, 1, 1, 2, 2},  {9, 3, 1, 4, 4, 4},  {8, 1, 2, 1, 0, 0},  {10, 4, 3, 1, 1, 2}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const int *v = want[i];
        int before = -1, after = -1;
        mn_same_padding(v[0], v[1], v[2], v[3], &before, &after);
        ck_assert_int_eq(before, v[4]);
        ck_assert_int_eq(after, v[5]);
        ck_assert_int_eq(out_size(v[0], v[1], v[2], v[3], before, after), (v[0] + v[2] - 1) / v[2]);
    }
}
END_TEST

/* With ReLU in the same operation: the values and gradients of the two one after the other. `kept`: somebody wants to see the
 * gradient of the result, which must not have gone through the ReLU. */
static void one_relu(op_env *e, mn_shape xs, mn_shape ws, mn_conv2d_opt o, bool kept) {
    mn_tensor *x = op_input(e, 0, xs, -1, 1), *w = op_input(e, 1, ws, -1, 1), *b = op_input(e, 2, MN_SHAPE(ws.dim[0]), -1, 1);
    mn_tensor *of[] = {x, w, b}, *apart = mn_relu(mn_conv2d(x, w, b, o)), *y = mn__conv2d_relu(x, w, b, o);
    ck_assert_msg(y != NULL, "%s", mn_context_error(e->c)->text);
    mn_tensor *dy = op_input(e, 3, y->shape, -1, 1);
    double *want = op_values(apart), *slope = op_values(dy), *grad[3];
    op_expect(e, y, y->shape, want);
    ASSERT_OK(mn_backward_from(e->c, apart, dy), mn_context_error(e->c));
    for (int i = 0; i < 3; i++) grad[i] = op_values(of[i]->grad);
    y->retain_grad = kept;
    for (int pass = 0; pass < 2; pass++) { /* the second adds to the first */
        ASSERT_OK(mn__backward_from(e->c, y, dy, pass), mn_context_error(e->c));
        for (int i = 0; i < 3; i++) {
            op_expect(e, of[i]->grad, of[i]->shape, grad[i]);
            for (int64_t k = 0; k < of[i]->count; k++) grad[i][k] *= 2;
        }
        if (kept) op_expect(e, y->grad, y->shape, slope);
    }
    free(want), free(slope), free(grad[0]), free(grad[1]), free(grad[2]);
    mn_step_begin(e->c);
}
static void relu(op_env *e) {
    const mn_conv2d_opt one = {.padding = {1, 1, 1, 1}};
    for (int kept = 0; kept < 2; kept++) {
        one_relu(e, MN_SHAPE(2, 3, 6, 5), MN_SHAPE(4, 3, 3, 3), one, kept);
        one_relu(e, MN_SHAPE(2, 1, 6, 5), MN_SHAPE(11, 1, 3, 3), one, kept);                                  /* grey */
        one_relu(e, MN_SHAPE(1, 4, 5, 7), MN_SHAPE(4, 1, 3, 3), (mn_conv2d_opt){.groups = 4}, kept);          /* depthwise */
        one_relu(e, MN_SHAPE(2, 4, 7, 5), MN_SHAPE(6, 2, 3, 2), (mn_conv2d_opt){.groups = 2, .stride = {2, 1}}, kept);
        one_relu(e, MN_SHAPE(1, 40, 3, 3), MN_SHAPE(3, 40, 3, 3), (mn_conv2d_opt){0}, kept); /* a long sum, in slices */
    }
}
START_TEST(test_relu) { for_each_backend(relu); }
END_TEST

/* With max pooling in the same operation: values and gradients of two or three one after the other. */
static void one_pooled(op_env *e, mn_shape xs, mn_shape ws, mn_conv2d_opt o, bool relu, double least) {
    mn_tensor *x = op_input(e, 0, xs, least, 1), *w = op_input(e, 1, ws, -1, 1), *b = op_input(e, 2, MN_SHAPE(ws.dim[0]), -1, 1);
    mn_tensor *of[] = {x, w, b}, *z = mn_conv2d(x, w, b, o);
    mn_tensor *apart = mn_max_pool2d(relu ? mn_relu(z) : z, (mn_pool2d_opt){.kernel = {2, 2}});
    const uint64_t before = e->c->next_node;
    mn_tensor *y = mn__conv2d_pooled(x, w, b, o, relu);
    ck_assert_msg(y != NULL, "%s", mn_context_error(e->c)->text);
    ck_assert_uint_eq(e->c->next_node - before, 2 + relu);
    mn_tensor *dy = op_input(e, 3, apart->shape, -1, 1);
    double *want = op_values(apart), *grad[3];
    op_expect(e, y, apart->shape, want);
    ASSERT_OK(mn_backward_from(e->c, apart, dy), mn_context_error(e->c));
    for (int i = 0; i < 3; i++) grad[i] = op_values(of[i]->grad);
    for (int pass = 0; pass < 2; pass++) { /* the second adds to the first */
        ASSERT_OK(mn__backward_from(e->c, y, dy, pass), mn_context_error(e->c));
        for (int i = 0; i < 3; i++) {
            op_expect(e, of[i]->grad, of[i]->shape, grad[i]);
            for (int64_t k = 0; k < of[i]->count; k++) grad[i][k] *= 2;
        }
    }
    mn_no_grad_begin(e->c); /* no places are kept */
    op_expect(e, mn__conv2d_pooled(x, w, b, o, relu), apart->shape, want);
    mn_no_grad_end(e->c);
    free(want), free(grad[0]), free(grad[1]), free(grad[2]);
    mn_step_begin(e->c);
}
/* NaN in one pixel of x: the windows that see it, and no others. */
static void pooled_nan(op_env *e, int64_t channels) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(1, channels, 8, 8), -1, 1), *w = op_input(e, 1, MN_SHAPE(2, channels, 1, 1), -1, 1);
    double *v = op_values(x);
    v[2 * 8 + 5] = NAN;
    ASSERT_OK(mn_set_f64(x, v), mn_context_error(e->c));
    mn_tensor *y = mn__conv2d_pooled(x, w, NULL, (mn_conv2d_opt){0}, false);
    double *got = op_values(y);
    for (int i = 0; i < 32; i++) ck_assert_int_eq(isnan(got[i]), i % 16 == 1 * 4 + 2);
    ASSERT_OK(mn_backward(e->c, mn_sum(y)), mn_context_error(e->c));
    double *grad = op_values(x->grad), *weight = op_values(w);
    ASSERT_CLOSE(grad[2 * 8 + 5], weight[0] + weight[channels], e->tolerance); /* it is the largest of its window */
    free(v), free(got), free(grad), free(weight);
    mn_step_begin(e->c);
}
static void pooled(op_env *e) {
    const mn_conv2d_opt one = {.padding = {1, 1, 1, 1}};
    for (int relu = 0; relu < 2; relu++) {
        one_pooled(e, MN_SHAPE(2, 3, 6, 4), MN_SHAPE(4, 3, 3, 3), one, relu, -1);
        one_pooled(e, MN_SHAPE(3, 3, 7, 5), MN_SHAPE(4, 3, 3, 3), one, relu, -1); /* a row and a column in no window */
        one_pooled(e, MN_SHAPE(2, 2, 3, 3), MN_SHAPE(3, 2, 2, 2), (mn_conv2d_opt){0}, relu, 1); /* equal numbers, one window */
        one_pooled(e, MN_SHAPE(2, 1, 6, 9), MN_SHAPE(11, 1, 3, 3), one, relu, -1);              /* grey */
        one_pooled(e, MN_SHAPE(2, 1, 5, 4), MN_SHAPE(3, 1, 1, 1), (mn_conv2d_opt){0}, relu, 1); /* equal numbers */
        one_pooled(e, MN_SHAPE(2, 4, 5, 7), MN_SHAPE(4, 1, 3, 3), (mn_conv2d_opt){.groups = 4}, relu, -1); /* depthwise */
        one_pooled(e, MN_SHAPE(2, 4, 13, 9), MN_SHAPE(6, 2, 3, 2), (mn_conv2d_opt){.groups = 2, .stride = {2, 1}}, relu, -1);
        one_pooled(e, MN_SHAPE(1, 40, 4, 4), MN_SHAPE(3, 40, 3, 3), (mn_conv2d_opt){0}, relu, -1); /* a long sum, in slices */
    }
    one_pooled(e, MN_SHAPE(1, 2, 16, 33), MN_SHAPE(130, 2, 1, 1), (mn_conv2d_opt){0}, true, -1); /* large tiles */
    pooled_nan(e, 1), pooled_nan(e, 3);
}
START_TEST(test_pooled) { for_each_backend(pooled); }
END_TEST

static void errors(op_env *e) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(2, 3, 8, 8), -1, 1), *grey = op_input(e, 1, MN_SHAPE(4, 1, 3, 3), -1, 1);
    mn_tensor *w = op_input(e, 2, MN_SHAPE(4, 3, 3, 3), -1, 1), *b = op_input(e, 3, MN_SHAPE(3), -1, 1);
    mn_tensor *none = op_input(e, 4, MN_SHAPE(4, 3, 0, 3), -1, 1);
    op_expect_error(e, mn_conv2d(x, grey, NULL, (mn_conv2d_opt){0}), MN_ERR_SHAPE,
                    "conv2d: input has 3 channels (2,3,8,8), weight wants 1 (4,1,3,3); hint: convert to grey or set "
                    "in_channels=3");
    op_expect_error(e, mn_conv2d(b, w, NULL, (mn_conv2d_opt){0}), MN_ERR_SHAPE, "wanted (N,C,H,W)");
    op_expect_error(e, mn_conv2d(x, w, b, (mn_conv2d_opt){0}), MN_ERR_SHAPE, "bias is (3), wanted (4)");
    op_expect_error(e, mn_conv2d(x, w, NULL, (mn_conv2d_opt){.groups = 2}), MN_ERR_SHAPE, "2 groups of input");
    op_expect_error(e, mn_conv2d(x, w, NULL, (mn_conv2d_opt){.groups = -1}), MN_ERR_ARG, "groups is -1");
    op_expect_error(e, mn_conv2d(x, w, NULL, (mn_conv2d_opt){.stride = {1, -2}}), MN_ERR_ARG, "stride is {1,-2}");
    op_expect_error(e, mn_conv2d(x, w, NULL, (mn_conv2d_opt){.dilation = {-1, 1}}), MN_ERR_ARG, "dilation is {-1,1}");
    op_expect_error(e, mn_conv2d(x, w, NULL, (mn_conv2d_opt){.padding = {0, 0, -1, 0}}), MN_ERR_ARG, "mn_slice crops");
    op_expect_error(e, mn_conv2d(x, w, NULL, (mn_conv2d_opt){.dilation = {4, 1}}), MN_ERR_SHAPE, "does not fit");
    op_expect_error(e, mn_conv2d(x, w, NULL, (mn_conv2d_opt){.dilation = {2147483647, 1}}), MN_ERR_SHAPE, "does not fit");
    op_expect_error(e, mn_conv2d(x, none, NULL, (mn_conv2d_opt){0}), MN_ERR_SHAPE, "does not fit");
    ck_assert_ptr_null(mn_conv2d(NULL, w, NULL, (mn_conv2d_opt){0}));
}
START_TEST(test_errors) { for_each_backend(errors); }
END_TEST

TEST_SUITE(conv2d, test_definition, test_accuracy, test_two_batches, test_empty_batch, test_same_padding, test_relu, test_pooled,
           test_errors)
