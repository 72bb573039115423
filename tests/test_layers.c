/* Layers one by one: shapes, weights, multiply-adds by hand; gradients through whole models; initialisers. */
#include "layers/layers.h"
#include "tests/op_test.h"

/* ---- shapes and counts ---- */

typedef struct layer_case {
    const char *what;
    mn_sym (*add)(mn_model *m, mn_sym x);
    mn_shape out;
    int64_t parameters, macs;
} layer_case;

#define CASE(name, ...)                                                                                                          \
    static mn_sym add_##name(mn_model *m, mn_sym x) { return __VA_ARGS__; }
CASE(conv_same, mn_layer_conv2d(m, x, (mn_conv2d_layer){.filters = 5, .kernel_size = {3, 3}, .padding = MN_SAME}))
CASE(conv_valid,
     mn_layer_conv2d(m, x, (mn_conv2d_layer){.filters = 5, .kernel_size = {3, 2}, .strides = {2, 3}, .no_bias = true}))
CASE(conv_dilated, mn_layer_conv2d(m, x, (mn_conv2d_layer){.filters = 4, .kernel_size = {3, 3}, .dilation_rate = {2, 3}}))
CASE(conv_groups, mn_layer_conv2d(m, x, (mn_conv2d_layer){.filters = 6, .kernel_size = {1, 1}, .groups = 2}))
CASE(depthwise,
     mn_layer_depthwise_conv2d(
         m, x, (mn_depthwise_conv2d_layer){.kernel_size = {3, 3}, .depth_multiplier = 2, .strides = {2, 2}, .padding = MN_SAME}))
CASE(separable, mn_layer_separable_conv2d(m, x,
                                          (mn_separable_conv2d_layer){
                                              .filters = 7, .kernel_size = {3, 3}, .depth_multiplier = 3, .padding = MN_SAME}))
CASE(norm, mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){0}))
CASE(norm_bare, mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){.no_center = true, .no_scale = true}))
CASE(max_pool, mn_layer_max_pooling2d(m, x, (mn_pooling2d_layer){0}))
CASE(max_pool_same,
     mn_layer_max_pooling2d(m, x, (mn_pooling2d_layer){.pool_size = {3, 3}, .strides = {2, 2}, .padding = MN_SAME}))
CASE(average, mn_layer_average_pooling2d(m, x, (mn_pooling2d_layer){.pool_size = {2, 3}, .strides = {1, 1}}))
CASE(global, mn_layer_global_average_pooling2d(m, x, (mn_plain_layer){0}))
CASE(flat, mn_layer_flatten(m, x, (mn_plain_layer){0}))
CASE(reshape, mn_layer_reshape(m, x, (mn_reshape_layer){.target_shape = MN_SHAPE(9, -1, 2)}))
CASE(pad, mn_layer_zero_padding2d(m, x, (mn_zero_padding2d_layer){.padding = {1, 2, 3, 4}}))
CASE(add, mn_layer_add(m, (mn_sym[]){x, x, x}, 3, (mn_plain_layer){0}))
CASE(concat, mn_layer_concatenate(m, (mn_sym[]){x, x}, 2, (mn_concatenate_layer){0}))
CASE(concat_rows, mn_layer_concatenate(m, (mn_sym[]){x, x}, 2, (mn_concatenate_layer){.axis = 2}))
CASE(relu, mn_layer_activation(m, x, (mn_activation_layer){.activation = MN_ACT_RELU}))
CASE(dropout, mn_layer_dropout(m, x, (mn_dropout_layer){.rate = 0.5}))
CASE(rescale, mn_layer_rescaling(m, x, (mn_rescaling_layer){.scale = 2, .offset = 1}))

/* On an input of (4,9,11). */
START_TEST(test_shapes) {
#define S(...) MN_SHAPE(__VA_ARGS__)
    const layer_case list[] = {
        {"conv_same", add_conv_same, S(5, 9, 11), 5 * 4 * 9 + 5, 5 * 99 * 4 * 9},
        {"conv_valid", add_conv_valid, S(5, 4, 4), 5 * 4 * 6, 5 * 16 * 4 * 6},
        {"conv_dilated", add_conv_dilated, S(4, 5, 5), 4 * 4 * 9 + 4, 4 * 25 * 4 * 9},
        {"conv_groups", add_conv_groups, S(6, 9, 11), 6 * 2 + 6, 6 * 99 * 2},
        {"depthwise", add_depthwise, S(8, 5, 6), 8 * 9 + 8, 8 * 30 * 9},
        {"separable", add_separable, S(7, 9, 11), 12 * 9 + 7 * 12 + 7, 99 * (12 * 9 + 12 * 7)},
        {"norm", add_norm, S(4, 9, 11), 16, 0},
        {"norm_bare", add_norm_bare, S(4, 9, 11), 8, 0},
        {"max_pool", add_max_pool, S(4, 4, 5), 0, 0},
        {"max_pool_same", add_max_pool_same, S(4, 5, 6), 0, 0},
        {"average", add_average, S(4, 8, 9), 0, 0},
        {"global", add_global, S(4), 0, 0},
        {"flat", add_flat, S(396), 0, 0},
        {"reshape", add_reshape, S(9, 22, 2), 0, 0},
        {"pad", add_pad, S(4, 12, 18), 0, 0},
        {"add", add_add, S(4, 9, 11), 0, 0},
        {"concat", add_concat, S(8, 9, 11), 0, 0},
        {"concat_rows", add_concat_rows, S(4, 18, 11), 0, 0},
        {"relu", add_relu, S(4, 9, 11), 0, 0},
        {"dropout", add_dropout, S(4, 9, 11), 0, 0},
        {"rescale", add_rescale, S(4, 9, 11), 0, 0},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        mn_context *c = op_context(MN_F32, 1);
        mn_model *m = mn_model_create(c, "one");
        mn_model_output(m, list[i].add(m, mn_model_input(m, "input", MN_SHAPE(4, 9, 11))));
        ASSERT_OK(mn_model_build(m), mn_context_error(c));
        mn_model_stats s = mn_model_count(m);
        char text[64];
        ck_assert_msg(mn_shape_equal(mn_model_output_shape(m, 0), list[i].out), "%s gives %s", list[i].what,
                      mn_shape_text(mn_model_output_shape(m, 0), text, sizeof text));
        ck_assert_msg(s.parameters == list[i].parameters, "%s has %lld parameters", list[i].what, (long long)s.parameters);
        ck_assert_msg(s.macs == list[i].macs, "%s has %lld MACs", list[i].what, (long long)s.macs);
        for (int training = 0; training < 2; training++) { /* the graph and the operations agree */
            mn_step_begin(c);
            mn_tensor *x = mn_input(c, MN_SHAPE(3, 4, 9, 11), NULL);
            mn_fill_uniform(x, 1, -1, 1);
            ASSERT_OK(mn_model_forward(m, &x, training), mn_context_error(c));
            mn_shape got = mn_model_result(m, 0)->shape;
            ck_assert(got.ndim == list[i].out.ndim + 1 && got.dim[0] == 3);
            for (int d = 0; d < list[i].out.ndim; d++) ck_assert_int_eq(got.dim[d + 1], list[i].out.dim[d]);
        }
        mn_context_destroy(c);
    }
}
END_TEST

/* ---- gradients through whole models, in f64 ---- */

static mn_sym all_kinds(mn_model *m, mn_sym x) {
    mn_sym a, b;
    x = mn_layer_conv2d(m, x,
                        (mn_conv2d_layer){.filters = 4, .kernel_size = {3, 3}, .padding = MN_SAME, .activation = MN_ACT_SILU});
    x = mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){.momentum = 0.9});
    a = mn_layer_separable_conv2d(
        m, x, (mn_separable_conv2d_layer){.filters = 4, .kernel_size = {3, 3}, .padding = MN_SAME, .activation = MN_ACT_TANH});
    b = mn_layer_depthwise_conv2d(m, x, (mn_depthwise_conv2d_layer){.kernel_size = {2, 2}, .padding = MN_SAME, .no_bias = true});
    x = mn_layer_add(m, (mn_sym[]){x, a, b}, 3, (mn_plain_layer){0});
    a = mn_layer_average_pooling2d(m, x, (mn_pooling2d_layer){.pool_size = {2, 2}});
    b = mn_layer_conv2d(m, x,
                        (mn_conv2d_layer){.filters = 2, .kernel_size = {2, 2}, .strides = {2, 2}, .activation = MN_ACT_GELU});
    x = mn_layer_concatenate(m, (mn_sym[]){a, b}, 2, (mn_concatenate_layer){0});
    x = mn_layer_zero_padding2d(m, x, (mn_zero_padding2d_layer){.padding = {1, 0, 0, 1}});
    x = mn_layer_rescaling(m, x, (mn_rescaling_layer){.scale = 1.5, .offset = 0.1});
    x = mn_layer_flatten(m, x, (mn_plain_layer){0});
    return mn_layer_dense(m, x, (mn_dense_layer){.units = 3, .name = "head"});
}

static mn_tensor *model_loss(mn_tensor **in, int n, void *arg) {
    (void)n;
    mn_model *m = arg;
    if (mn_model_forward(m, in, true)) return NULL;
    return mn_cross_entropy(mn_model_result(m, 0), mn_labels(mn_model_context(m), 3, (int32_t[]){0, 2, 1}), NULL,
                            (mn_cross_entropy_opt){0});
}

START_TEST(test_gradients) {
    mn_context *c = op_context(MN_F64, 7);
    mn_model *m = mn_model_create(c, "kinds");
    mn_model_output(m, all_kinds(m, mn_model_input(m, "input", MN_SHAPE(2, 4, 6))));
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    int trained;
    mn_tensor **p = mn_model_parameters(m, &trained, NULL), *in[32];
    ck_assert_int_lt(trained, 31);
    in[0] = mn_parameter(c, "x", MN_SHAPE(3, 2, 4, 6));
    mn_fill_uniform(in[0], 3, -1, 1);
    for (int i = 0; i < trained; i++) {
        in[1 + i] = p[i];
        mn_fill_uniform(p[i], 40 + (uint64_t)i, -0.7, 0.9);
    }
    mn_gradcheck_result r;
    ASSERT_OK(mn_gradcheck(c, model_loss, in, 1 + trained, m, 1e-6, &r), mn_context_error(c));
    ck_assert_int_gt(r.elements, 300);
    mn_context_destroy(c);
}
END_TEST

/* ---- values ---- */

/* Moving statistics move by Keras's rule; frozen layers and inference use them. */
START_TEST(test_batch_norm) {
    mn_context *c = op_context(MN_F64, 1);
    mn_model *m = mn_model_create(c, "bn");
    mn_sym x = mn_model_input(m, "input", MN_SHAPE(1));
    mn_model_output(
        m, mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){.name = "bn", .momentum = 0.75, .epsilon = 0.25}));
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    mn_tensor *mean = mn_model_parameter(m, "bn/moving_mean"), *variance = mn_model_parameter(m, "bn/moving_variance");
    for (int frozen = 0; frozen < 2; frozen++) {
        ck_assert_int_eq(mn_model_freeze(m, "b?", frozen), 1);
        mn_step_begin(c);
        mn_tensor *in = mn_input(c, MN_SHAPE(2, 1), (float[]){1, 5}); /* mean 3, variance 4 */
        ASSERT_OK(mn_model_forward(m, &in, true), mn_context_error(c));
        ASSERT_CLOSE(mn_item(mean, 0), 0.25 * 3, 1e-12);
        ASSERT_CLOSE(mn_item(variance, 0), 0.75 * 1 + 0.25 * 4, 1e-12);
        double want = frozen ? (5 - 0.75) / sqrt(1.75 + 0.25) : 2 / sqrt(4.25);
        ASSERT_CLOSE(mn_item(mn_model_result(m, 0), 1), want, 1e-12);
    }
    mn_context_destroy(c);
}
END_TEST

START_TEST(test_activations) {
    const struct {
        mn_activation a;
        double alpha, at_minus_1, at_2;
    } want[] = {{MN_ACT_LINEAR, 0, -1, 2},
                {MN_ACT_RELU, 0, 0, 2},
                {MN_ACT_LEAKY_RELU, 0, -0.01, 2},
                {MN_ACT_LEAKY_RELU, 0.3, -0.3, 2},
                {MN_ACT_ELU, 0, exp(-1) - 1, 2},
                {MN_ACT_ELU, 2, 2 * (exp(-1) - 1), 2},
                {MN_ACT_SIGMOID, 0, 1 / (1 + exp(1)), 1 / (1 + exp(-2))},
                {MN_ACT_TANH, 0, tanh(-1), tanh(2)},
                {MN_ACT_GELU, 0, -0.15865525393145707, 1.9544997361036416},
                {MN_ACT_SILU, 0, -1 / (1 + exp(1)), 2 / (1 + exp(-2))},
                {MN_ACT_SOFTPLUS, 0, log(1 + exp(-1)), log(1 + exp(2))}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        mn_context *c = op_context(MN_F64, 1);
        mn_model *m = mn_model_create(c, "a");
        mn_sym x = mn_model_input(m, "input", MN_SHAPE(2));
        mn_model_output(m, mn_layer_activation(m, x, (mn_activation_layer){.activation = want[i].a, .alpha = want[i].alpha}));
        ASSERT_OK(mn_model_build(m), mn_context_error(c));
        mn_tensor *in = mn_input(c, MN_SHAPE(1, 2), (float[]){-1, 2});
        ASSERT_OK(mn_model_forward(m, &in, false), mn_context_error(c));
        ASSERT_CLOSE(mn_item(mn_model_result(m, 0), 0), want[i].at_minus_1, 1e-12);
        ASSERT_CLOSE(mn_item(mn_model_result(m, 0), 1), want[i].at_2, 1e-12);
        mn_context_destroy(c);
    }
}
END_TEST

/* ---- initialisers ---- */

static void statistics(const mn_tensor *t, double *mean, double *deviation, double *largest) {
    double *v = op_values(t), sum = 0, square = 0;
    *largest = 0;
    for (int64_t i = 0; i < t->count; i++) sum += v[i], square += v[i] * v[i], *largest = fmax(*largest, fabs(v[i]));
    *mean = sum / (double)t->count;
    *deviation = sqrt(square / (double)t->count - *mean * *mean);
    free(v);
}

START_TEST(test_init_statistics) {
    mn_context *c = op_context(MN_F64, 5);
    mn_tensor *w = mn_parameter(c, "w", MN_SHAPE(64, 32, 3, 3));
    int64_t in = 32 * 9, out = 64 * 9;
    double he = sqrt(2.0 / (double)in), xavier = sqrt(2.0 / (double)(in + out)), mean, deviation, largest;
    const struct {
        mn_init how;
        double deviation, bound;
    } want[] = {{MN_INIT_HE_NORMAL, he, 6 * he},
                {MN_INIT_HE_UNIFORM, he, sqrt(3) * he},
                {MN_INIT_XAVIER_NORMAL, xavier, 6 * xavier},
                {MN_INIT_XAVIER_UNIFORM, xavier, sqrt(3) * xavier}};
    for (int i = 0; i < 4; i++) {
        ASSERT_OK(mn_init_fill(w, want[i].how, in, out, 2, 9), mn_context_error(c));
        statistics(w, &mean, &deviation, &largest);
        double n = (double)w->count; /* four standard errors */
        ASSERT_CLOSE(mean, 0, 4 * 2 * want[i].deviation / sqrt(n));
        ASSERT_CLOSE(deviation / (2 * want[i].deviation), 1, 4 / sqrt(2 * n));
        ck_assert(largest <= 2 * want[i].bound && largest > 0.98 * 2 * sqrt(3) * want[i].deviation);
    }
    ASSERT_OK(mn_init_fill(w, MN_INIT_ONES, in, out, 1, 9), mn_context_error(c));
    ASSERT_CLOSE(mn_item(w, 17), 1, 0);
    mn_context_destroy(c);
}
END_TEST

START_TEST(test_init_orthogonal) {
    const mn_shape shapes[] = {MN_SHAPE(6, 3, 2, 2), MN_SHAPE(20, 7), MN_SHAPE(5, 5), MN_SHAPE(1, 9), MN_SHAPE(9, 1)};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        mn_context *c = op_context(MN_F64, 5);
        mn_tensor *w = mn_parameter(c, "w", shapes[s]);
        ASSERT_OK(mn_init_fill(w, MN_INIT_ORTHOGONAL, 1, 1, 3, 9), mn_context_error(c));
        double *v = op_values(w);
        int64_t rows = shapes[s].dim[0], columns = w->count / rows, n = rows < columns ? rows : columns;
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < n; j++) {
                double dot = 0; /* of rows, or of columns where there are more rows */
                for (int64_t k = 0; k < (rows < columns ? columns : rows); k++)
                    dot += rows < columns ? v[i * columns + k] * v[j * columns + k] : v[k * columns + i] * v[k * columns + j];
                ASSERT_CLOSE(dot, i == j ? 9 : 0, 1e-11);
            }
        free(v);
        mn_context_destroy(c);
    }
}
END_TEST

/* The first numbers are a function of seed and names, not of what else is in the model. */
START_TEST(test_init_names) {
    double first[3];
    for (int i = 0; i < 3; i++) {
        mn_context *c = op_context(MN_F32, i == 2 ? 6 : 5);
        mn_model *m = mn_model_create(c, "same");
        mn_sym x = mn_model_input(m, "input", MN_SHAPE(1, 8, 8));
        if (i == 1) x = mn_layer_conv2d(m, x, (mn_conv2d_layer){.name = "other", .filters = 1, .kernel_size = {1, 1}});
        mn_model_output(m, mn_layer_conv2d(m, x, (mn_conv2d_layer){.name = "a", .filters = 2, .kernel_size = {3, 3}}));
        ASSERT_OK(mn_model_build(m), mn_context_error(c));
        first[i] = mn_item(mn_model_parameter(m, "a/kernel"), 3);
        mn_context_destroy(c);
    }
    ck_assert(first[0] == first[1] && first[0] != first[2]);
}
END_TEST

TEST_SUITE(layers, test_shapes, test_gradients, test_batch_norm, test_activations, test_init_statistics, test_init_orthogonal,
           test_init_names)
