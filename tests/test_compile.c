/* Compiled inference against the tape: every kind of step on odd shapes, with every instruction set, one to three threads,
 * several batches; what joins, what is left alone, weights that change, memory. */
#include "autograd/profile.h"
#include "layers/layers.h"
#include "optim/optim.h"
#include "tests/op_test.h"

typedef void (*builder)(mn_model *m, int number);

/* All weights random, statistics included; variances positive. */
static void randomise(mn_model *m, uint64_t stream) {
    int all;
    mn_tensor **w = mn_model_parameters(m, NULL, &all);
    for (int i = 0; i < all; i++) {
        bool variance = strstr(w[i]->name, "variance") != NULL;
        mn_fill_uniform(w[i], stream + (uint64_t)i, variance ? 0.5 : -0.5, variance ? 2 : 0.5);
    }
}

/* The outputs of a forward pass without gradients, as doubles one after the other (malloc'ed); *count of them. */
static double *outputs(mn_model *m, int64_t n, int64_t *count) {
    mn_context *c = mn_model_context(m);
    mn_tensor *in[4];
    mn_step_begin(c);
    mn_no_grad_begin(c);
    for (int i = 0; i < mn_model_inputs(m); i++) {
        mn_shape one = mn_model_input_shape(m, i), s = {.ndim = one.ndim + 1, .dim = {n}};
        for (int d = 0; d < one.ndim; d++) s.dim[d + 1] = one.dim[d];
        in[i] = mn_input(c, s, NULL);
        mn_fill_uniform(in[i], 77 + (uint64_t)i, -1, 1);
    }
    ASSERT_OK(mn_model_forward(m, in, false), mn_context_error(c));
    mn_no_grad_end(c);
    *count = 0;
    for (int i = 0; i < mn_model_outputs(m); i++) *count += mn_model_result(m, i)->count;
    double *v = malloc((size_t)(*count + 1) * sizeof *v), *to = v;
    for (int i = 0; i < mn_model_outputs(m); i++) {
        ASSERT_OK(mn_get_f64(mn_model_result(m, i), to), mn_context_error(c));
        to += mn_model_result(m, i)->count;
    }
    return v;
}

static void expect_same(mn_model *m, const char *what, int64_t n, const double *want, int64_t count) {
    int64_t got_count;
    double *got = outputs(m, n, &got_count), largest = 1;
    ck_assert_int_eq(got_count, count);
    for (int64_t i = 0; i < count; i++) largest = fmax(largest, fabs(want[i]));
    double limit = (mn_context_dtype(mn_model_context(m)) == MN_F64 ? 1e-12 : 2e-5) * largest;
    for (int64_t i = 0; i < count; i++)
        ck_assert_msg(fabs(got[i] - want[i]) <= limit, "%s, %d images, %d threads: number %d is %.9g, want %.9g", what, (int)n,
                      mn_context_threads(mn_model_context(m)), (int)i, got[i], want[i]);
    free(got);
}

static void compare(mn_context *c, builder build, int number) {
    char name[40];
    snprintf(name, sizeof name, "model %d", number);
    mn_model *m = mn_model_create(c, name);
    build(m, number);
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    randomise(m, (uint64_t)number * 1000);
    static const int64_t batch[] = {1, 2, 5};
    double *want[3];
    int64_t count[3];
    for (int i = 0; i < 3; i++) want[i] = outputs(m, batch[i], &count[i]);
    ck_assert_int_eq(mn_model_compile(m), 1);
    for (int i = 2; i >= 0; i--) {
        expect_same(m, name, batch[i], want[i], count[i]);
        free(want[i]);
    }
}

/* With every instruction set that this processor has (others fall back on less), types and threads. */
static void everywhere(builder build, int models) {
    static const char *const sets[] = {"plain", "avx2", "avx512"};
    const char *before = getenv("MIEN_CPU");
    char *kept = before ? strdup(before) : NULL;
    for (int k = 0; k < 3; k++)
        for (int dtype = MN_F32; dtype <= (k ? MN_F32 : MN_F64); dtype++)
            for (int threads = 1; threads <= 3; threads++) {
                setenv("MIEN_CPU", sets[k], 1);
                mn_error e = {0};
                mn_context *c = mn_context_create(&(mn_context_opt){.dtype = (mn_dtype)dtype, .threads = threads, .seed = 5}, &e);
                ck_assert_msg(c != NULL, "%s", e.text);
                for (int i = 0; i < models; i++) compare(c, build, i);
                mn_context_destroy(c);
            }
    if (kept)
        setenv("MIEN_CPU", kept, 1);
    else
        unsetenv("MIEN_CPU");
    free(kept);
}

/* ---- one layer each ---- */

static const struct {
    int64_t C, H, W;
    mn_conv2d_layer o;
} convs[] = {
    {1, 1, 1, {.filters = 1, .kernel_size = {1, 1}}},
    {1, 12, 31, {.filters = 8, .kernel_size = {3, 3}, .padding = MN_SAME, .activation = MN_ACT_RELU}},
    {3, 13, 17, {.filters = 5, .kernel_size = {3, 3}}},
    {3, 14, 9, {.filters = 7, .kernel_size = {5, 2}, .strides = {2, 3}, .padding = MN_SAME, .no_bias = true}},
    {8, 30, 33, {.filters = 8, .kernel_size = {3, 3}, .activation = MN_ACT_RELU}},
    {12, 7, 7, {.filters = 48, .kernel_size = {1, 1}, .strides = {2, 2}, .padding = MN_SAME}},
    {16, 5, 3, {.filters = 40, .kernel_size = {1, 1}, .activation = MN_ACT_RELU}},
    {33, 9, 8, {.filters = 70, .kernel_size = {3, 3}, .strides = {2, 2}, .padding = MN_SAME}},
    {6, 11, 12, {.filters = 17, .kernel_size = {3, 3}, .dilation_rate = {2, 3}, .padding = MN_SAME}},
    {20, 3, 3, {.filters = 33, .kernel_size = {3, 3}, .padding = MN_SAME, .activation = MN_ACT_RELU}}, /* Winograd from here */
    {16, 12, 12, {.filters = 16, .kernel_size = {3, 3}, .padding = MN_SAME}},
    {35, 13, 7, {.filters = 19, .kernel_size = {3, 3}, .activation = MN_ACT_RELU, .no_bias = true}},
    {24, 26, 25, {.filters = 64, .kernel_size = {3, 3}, .padding = MN_SAME, .activation = MN_ACT_LEAKY_RELU}},
    {96, 6, 6, {.filters = 80, .kernel_size = {3, 3}, .padding = MN_SAME}},
};
static void one_conv(mn_model *m, int i) {
    mn_sym x = mn_model_input(m, "in", MN_SHAPE(convs[i].C, convs[i].H, convs[i].W));
    mn_model_output(m, mn_layer_conv2d(m, x, convs[i].o));
}
START_TEST(test_conv) { everywhere(one_conv, sizeof convs / sizeof *convs); }
END_TEST

static void one_depthwise(mn_model *m, int i) {
    static const struct {
        int64_t C, H, W;
        mn_depthwise_conv2d_layer o;
    } cases[] = {
        {1, 9, 9, {.kernel_size = {3, 3}, .padding = MN_SAME}},
        {3, 10, 7, {.kernel_size = {3, 3}, .strides = {2, 2}, .padding = MN_SAME, .activation = MN_ACT_RELU}},
        {8, 15, 15, {.kernel_size = {3, 3}, .padding = MN_SAME, .activation = MN_ACT_RELU}},
        {21, 8, 13, {.kernel_size = {3, 3}}},
        {32, 9, 10, {.kernel_size = {5, 4}, .strides = {1, 2}, .padding = MN_SAME, .no_bias = true}},
        {6, 12, 11, {.kernel_size = {3, 2}, .dilation_rate = {2, 3}}},
    };
    mn_sym x = mn_model_input(m, "in", MN_SHAPE(cases[i].C, cases[i].H, cases[i].W));
    mn_model_output(m, mn_layer_depthwise_conv2d(m, x, cases[i].o));
}
START_TEST(test_depthwise) { everywhere(one_depthwise, 6); }
END_TEST

static void one_separable(mn_model *m, int i) {
    static const struct {
        int64_t C, H, W;
        mn_separable_conv2d_layer o;
    } cases[] = {
        {8, 20, 19, {.filters = 16, .kernel_size = {3, 3}, .padding = MN_SAME, .no_bias = true}},
        {5, 7, 6, {.filters = 3, .kernel_size = {3, 3}, .padding = MN_SAME, .activation = MN_ACT_RELU}},
        {32, 5, 5, {.filters = 50, .kernel_size = {3, 3}, .strides = {2, 2}, .padding = MN_SAME}},
        {64, 4, 4, {.filters = 128, .kernel_size = {3, 3}, .padding = MN_SAME, .activation = MN_ACT_RELU}},
        {17, 6, 15, {.filters = 33, .kernel_size = {2, 5}}},
    };
    mn_sym x = mn_model_input(m, "in", MN_SHAPE(cases[i].C, cases[i].H, cases[i].W));
    mn_model_output(m, mn_layer_separable_conv2d(m, x, cases[i].o));
}
START_TEST(test_separable) { everywhere(one_separable, 5); }
END_TEST

static void one_pool(mn_model *m, int i) {
    static const struct {
        int64_t C, H, W;
        mn_pooling2d_layer o;
    } cases[] = {
        {3, 9, 7, {0}},
        {16, 15, 15, {.pool_size = {3, 3}, .strides = {2, 2}, .padding = MN_SAME}},
        {21, 8, 6, {.pool_size = {2, 3}, .strides = {1, 2}, .padding = MN_SAME}},
    };
    mn_sym x = mn_model_input(m, "in", MN_SHAPE(cases[i].C, cases[i].H, cases[i].W));
    mn_model_output(m, mn_layer_max_pooling2d(m, x, cases[i].o));
    x = mn_layer_average_pooling2d(m, x, cases[i].o);
    mn_model_output(m, mn_layer_activation(m, x, (mn_activation_layer){.activation = MN_ACT_RELU}));
}
START_TEST(test_pool) { everywhere(one_pool, 3); }
END_TEST

/* ---- graphs ---- */

static mn_sym conv(mn_model *m, mn_sym x, int filters, int size, int stride) {
    return mn_layer_conv2d(
        m, x,
        (mn_conv2d_layer){.filters = filters, .kernel_size = {size, size}, .strides = {stride, stride}, .padding = MN_SAME});
}
static mn_sym act(mn_model *m, mn_sym x, mn_activation a) {
    return mn_layer_activation(m, x, (mn_activation_layer){.activation = a});
}
static mn_sym norm(mn_model *m, mn_sym x) { return mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){0}); }
static mn_sym sum(mn_model *m, mn_sym x, mn_sym y) { return mn_layer_add(m, (mn_sym[]){x, y}, 2, (mn_plain_layer){0}); }

/* Everything that joins or must not join a step before it. */
static void graph(mn_model *m, int i) {
    mn_sym x = mn_model_input(m, "in", MN_SHAPE(4, 11, 10)), y, z;
    switch (i) {
    case 0: /* a residual block: the sum, then ReLU, in the second convolution */
        x = act(m, norm(m, conv(m, x, 18, 3, 1)), MN_ACT_RELU);
        y = norm(m, conv(m, act(m, norm(m, conv(m, x, 18, 3, 1)), MN_ACT_RELU), 18, 3, 1));
        mn_model_output(m, act(m, sum(m, y, x), MN_ACT_RELU));
        break;
    case 1: /* the shortcut comes last; what it is added to is read twice */
        y = conv(m, x, 9, 3, 2);
        z = sum(m, y, conv(m, x, 9, 1, 2));
        mn_model_output(m, sum(m, act(m, z, MN_ACT_RELU), z));
        break;
    case 2: /* a result that is read by an output and by a ReLU; x + x; three at once */
        y = conv(m, x, 4, 3, 1);
        mn_model_output(m, y);
        y = mn_layer_add(m, (mn_sym[]){act(m, y, MN_ACT_RELU), x, sum(m, x, x)}, 3, (mn_plain_layer){0});
        mn_model_output(m, y);
        break;
    case 3: /* pooling takes the sum (mini-xception) */
        y = norm(m, conv(m, x, 16, 1, 2));
        z = mn_layer_max_pooling2d(m, conv(m, x, 16, 3, 1),
                                   (mn_pooling2d_layer){.pool_size = {3, 3}, .strides = {2, 2}, .padding = MN_SAME});
        z = mn_layer_global_average_pooling2d(m, sum(m, z, y), (mn_plain_layer){0});
        mn_model_output(m, mn_layer_dense(m, z, (mn_dense_layer){.units = 3}));
        break;
    case 4: /* batch norm after a ReLU cannot be folded; every other activation */
        y = norm(m, act(m, conv(m, x, 5, 3, 1), MN_ACT_RELU));
        y = mn_layer_rescaling(m, y, (mn_rescaling_layer){.scale = 0.3, .offset = -1});
        for (int a = MN_ACT_RELU; a < MN_ACT_SOFTMAX; a++) mn_model_output(m, act(m, conv(m, y, 2, 1, 1), (mn_activation)a));
        break;
    case 5: /* flatten keeps the order (C,H,W); dropout vanishes; two heads; batch norm in a dense layer */
        y = mn_layer_flatten(m, conv(m, x, 7, 3, 1), (mn_plain_layer){0});
        y = norm(m, mn_layer_dense(m, y, (mn_dense_layer){.units = 37}));
        y = mn_layer_dropout(m, act(m, y, MN_ACT_RELU), (mn_dropout_layer){.rate = 0.5});
        mn_model_output(m, mn_layer_dense(m, y, (mn_dense_layer){.units = 5}));
        mn_model_output(m, mn_layer_dense(m, y, (mn_dense_layer){.units = 2, .no_bias = true}));
        break;
    case 6: /* two inputs, one of them without pixels */
        y = mn_layer_dense(m, mn_model_input(m, "features", MN_SHAPE(9)),
                           (mn_dense_layer){.units = 6, .activation = MN_ACT_TANH});
        z = mn_layer_global_average_pooling2d(m, conv(m, x, 6, 3, 1), (mn_plain_layer){0});
        mn_model_output(m, sum(m, y, z));
        break;
    default: /* weights so large that they are read once for all images, between steps that go image by image */
        y = conv(m, conv(m, x, 24, 3, 1), 90, 3, 1);
        y = conv(m, act(m, y, MN_ACT_RELU), 90, 3, 1);
        z = sum(m, y, conv(m, x, 90, 1, 1));
        y = mn_layer_max_pooling2d(m, act(m, z, MN_ACT_RELU), (mn_pooling2d_layer){0});
        y = mn_layer_dense(m, mn_layer_flatten(m, y, (mn_plain_layer){0}), (mn_dense_layer){.units = 12});
        mn_model_output(m, mn_layer_dense(m, y, (mn_dense_layer){.units = 4}));
    }
}
START_TEST(test_graph) { everywhere(graph, 8); }
END_TEST

static void named(mn_model *m, int i) {
    (void)i;
    mn_sym x = mn_model_input(m, "in", MN_SHAPE(1, 20, 20));
    x = act(m, norm(m, conv(m, x, 20, 3, 1)), MN_ACT_RELU);
    mn_model_output(
        m, mn_layer_dense(m, mn_layer_flatten(m, conv(m, x, 4, 3, 1), (mn_plain_layer){0}), (mn_dense_layer){.units = 3}));
}

/* ---- use ---- */

START_TEST(test_what_is_not_compiled) {
    mn_context *c = op_context(MN_F32, 2);
    ck_assert_int_lt(mn_model_compile(NULL), 0);
    mn_model *lstm = mn_net_create(c, "lstm-rows", &(mn_net_opt){0});
    ck_assert_int_eq(mn_model_compile(lstm), 0);
    int64_t count;
    free(outputs(lstm, 2, &count)); /* on the tape */
    mn_model *m = mn_model_create(c, "groups");
    mn_sym x = mn_model_input(m, "in", MN_SHAPE(4, 5, 5));
    mn_model_output(m, mn_layer_conv2d(m, x, (mn_conv2d_layer){.filters = 4, .kernel_size = {3, 3}, .groups = 2}));
    ck_assert_int_lt(mn_model_compile(m), 0);
    ck_assert_ptr_nonnull(strstr(mn_context_error(c)->text, "is not built"));
    mn_error_clear(mn_context_error(c));
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    ck_assert_int_eq(mn_model_compile(m), 0);
    mn_context_destroy(c);
}
END_TEST

/* Inner activations are not there; with gradients, or for training, the tape runs. */
START_TEST(test_tape_beside_it) {
    mn_context *c = op_context(MN_F32, 3);
    mn_model *m = mn_model_create(c, "beside");
    mn_sym x = mn_model_input(m, "in", MN_SHAPE(1, 6, 6));
    x = mn_layer_conv2d(m, x, (mn_conv2d_layer){.name = "inner", .filters = 3, .kernel_size = {3, 3}});
    mn_model_output(m, mn_layer_global_average_pooling2d(m, x, (mn_plain_layer){.name = "mean"}));
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    ck_assert_int_eq(mn_model_compile(m), 1);
    int64_t count;
    double *before = outputs(m, 2, &count), *after;
    ck_assert_ptr_null(mn_model_activation(m, "inner"));
    ck_assert_ptr_nonnull(mn_model_activation(m, "mean"));
    int n;
    mn_tensor **w = mn_model_parameters(m, &n, NULL);
    mn_optim *o = mn_optim_create(c, w, n, (mn_optim_opt){.lr = 0.5});
    mn_step_begin(c);
    mn_tensor *in = mn_input(c, MN_SHAPE(2, 1, 6, 6), NULL);
    mn_fill_uniform(in, 4, 0, 1);
    ASSERT_OK(mn_model_forward(m, &in, true), mn_context_error(c));
    ck_assert_ptr_nonnull(mn_model_activation(m, "inner"));
    ASSERT_OK(mn_backward(c, mn_mean(mn_model_result(m, 0))), mn_context_error(c));
    ASSERT_OK(mn_optim_step(o), mn_context_error(c));
    after = outputs(m, 2, &count); /* the optimiser moved the weights: the plan follows */
    ck_assert(fabs(before[0] - after[0]) > 1e-3);
    mn_fill(w[0], 0);
    mn_fill(w[1], 0.25);
    ck_assert_int_eq(mn_model_compile(m), 1);
    free(after);
    after = outputs(m, 2, &count);
    for (int64_t i = 0; i < count; i++) ASSERT_CLOSE(after[i], 0.25, 1e-6);
    free(before), free(after);
    mn_context_destroy(c);
}
END_TEST

/* The row of a layer's operation; fails where there is none. */
static const mn_profile_row *row(const mn_profile *p, const char *layer, const char *op, bool backward) {
    for (int i = 0; i < p->rows; i++)
        if (p->row[i].layer && !strcmp(p->row[i].layer, layer) && !strcmp(p->row[i].op, op) && p->row[i].backward == backward)
            return &p->row[i];
    ck_abort_msg("the profile has no row %s of %s", op, layer);
    return NULL;
}

/* The same multiply-adds are counted on the tape and in a compiled model, and twice as many backward. */
START_TEST(test_profile) {
    static mn_profile p;
    mn_context *c = op_context(MN_F32, 3);
    mn_model *m = mn_model_create(c, "measured");
    mn_sym x = mn_model_input(m, "in", MN_SHAPE(2, 6, 6));
    x = mn_layer_conv2d(m, x, (mn_conv2d_layer){.name = "inner", .filters = 3, .kernel_size = {3, 3}});
    mn_model_output(m,
                    mn_layer_dense(m, mn_layer_flatten(m, x, (mn_plain_layer){0}), (mn_dense_layer){.name = "head", .units = 4}));
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    const double conv_flop = 5 * 2.0 * 3 * 16 * 18, dense_flop = 5 * 2.0 * 48 * 4;
    mn_profile_begin(&p);
    mn_step_begin(c);
    mn_tensor *in = mn_input(c, MN_SHAPE(5, 2, 6, 6), NULL);
    mn_fill_uniform(in, 4, 0, 1);
    ASSERT_OK(mn_model_forward(m, &in, true), mn_context_error(c));
    ASSERT_OK(mn_backward(c, mn_mean(mn_model_result(m, 0))), mn_context_error(c));
    mn_profile_end();
    int rows = p.rows;
    ASSERT_CLOSE(row(&p, "inner", "conv2d", false)->flop, conv_flop, 0);
    ASSERT_CLOSE(row(&p, "inner", "conv2d", true)->flop, 2 * conv_flop, 0);
    ASSERT_CLOSE(row(&p, "head", "linear", false)->flop, dense_flop, 0);
    ASSERT_CLOSE(row(&p, "head", "linear", false)->bytes, 4.0 * (5 * 48 + 4 * 48 + 4 + 5 * 4), 0);
    int64_t count;
    free(outputs(m, 5, &count));
    ck_assert_int_eq(p.rows, rows); /* it had ended */
    ck_assert_int_eq(mn_model_compile(m), 1);
    free(outputs(m, 5, &count)); /* two threads share out the images: one of them is measured, the first 2 images */
    mn_profile_begin(&p);
    free(outputs(m, 5, &count));
    mn_profile_end();
    ASSERT_CLOSE(row(&p, "inner", "conv", false)->flop, conv_flop * 2 / 5, 0);
    ck_assert_int_eq(row(&p, "inner", "conv", false)->calls, 2);
    row(&p, "head", "dense", false);
    mn_context_destroy(c);
}
END_TEST

START_TEST(test_no_allocation) {
    mn_context *c = op_context(MN_F32, 4);
    mn_model *m = mn_model_create(c, "steady");
    named(m, 0);
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    ck_assert_int_eq(mn_model_compile(m), 1);
    int64_t count, before = 0;
    for (int i = 0; i < 6; i++) {
        if (i == 3) before = mn_allocation_count();
        free(outputs(m, 4, &count));
    }
    ck_assert_int_eq(mn_allocation_count(), before);
    mn_context_destroy(c);
}
END_TEST

static mn_status compile_and_run(void *unused, mn_error *err) {
    (void)unused;
    mn_context *c = mn_context_create(&(mn_context_opt){.threads = 2}, err);
    if (!c) return err->status;
    mn_model *m = mn_net_create(c, "tiny", &(mn_net_opt){.height = 16, .width = 16});
    bool compiled = m && mn_model_compile(m) > 0;
    mn_step_begin(c);
    mn_no_grad_begin(c);
    mn_tensor *x = mn_input(c, MN_SHAPE(2, 1, 16, 16), NULL);
    if (x) mn_model_forward(m, &x, false);
    *err = *mn_context_error(c);
    ck_assert(compiled || err->status);
    mn_context_destroy(c);
    return err->status;
}
START_TEST(test_out_of_memory) { ck_assert_int_gt(test_every_allocation(compile_and_run, NULL), 5); }
END_TEST

TEST_SUITE(compile, test_conv, test_depthwise, test_separable, test_pool, test_graph, test_what_is_not_compiled,
           test_tape_beside_it, test_profile, test_no_allocation, test_out_of_memory)
