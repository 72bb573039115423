/* ONNX files: what is written comes back, by mien's own description of the layers and by the graph alone. */
#include "data/onnx/onnx.h"
#include "tests/data_help.h"
#include "tests/op_test.h"
#include <sys/wait.h>

#if MN_HAVE_PROTOBUF && MN_HAVE_JSON

static char *emotion_names[] = {"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"};
static char *gender_names[] = {"man", "woman"};

static mn_model_info example_info(const mn_model *m) {
    mn_shape s = mn_model_input_shape(m, 0);
    const int64_t *image = s.dim + s.ndim - 3;
    mn_model_info info = {
        .preprocess = {.channels = (int)image[0], .height = (int)image[1], .width = (int)image[2], .lo = -1, .hi = 1},
        .n_heads = 2,
        .training = (char *)"{\"epochs\": 3}",
        .card = (char *)"# A card\n\xc3\xa4"};
    info.head[0] = (mn_head){.name = "emotion", .n_classes = 7, .class_name = emotion_names};
    info.head[1] = (mn_head){.name = "gender", .n_classes = 2, .class_name = gender_names};
    return info;
}

/* Every parameter random, so that nothing is equal by accident; variances positive. */
static void scramble(mn_model *m) {
    int n;
    mn_tensor **p = mn_model_parameters(m, NULL, &n);
    for (int i = 0; i < n; i++) {
        bool variance = strstr(p[i]->name, "variance") != NULL;
        mn_fill_uniform(p[i], 900 + (uint64_t)i, variance ? 0.5 : -0.2, variance ? 1.5 : 0.2);
    }
}

/* Output `o` of the model for a fixed random input; malloc'ed. */
static double *outputs(mn_model *m, int o, int64_t *count) {
    mn_context *c = mn_model_context(m);
    mn_shape s = mn_model_input_shape(m, 0), batch = {.ndim = s.ndim + 1, .dim = {2}};
    for (int i = 0; i < s.ndim; i++) batch.dim[i + 1] = s.dim[i];
    mn_step_begin(c);
    mn_tensor *x = mn_input(c, batch, NULL);
    double *v = malloc((size_t)x->count * sizeof *v);
    mn_rng r = mn_rng_create(1, 2);
    for (int64_t i = 0; i < x->count; i++) v[i] = mn_rng_uniform(&r, -1, 1);
    ASSERT_OK(mn_set_f64(x, v), mn_context_error(c));
    free(v);
    mn_no_grad_begin(c);
    ASSERT_OK(mn_model_forward(m, &x, false), mn_context_error(c));
    mn_no_grad_end(c);
    *count = mn_model_result(m, o)->count;
    return op_values(mn_model_result(m, o));
}

static void check_same(mn_model *a, mn_model *b, double tolerance) {
    ck_assert_int_eq(mn_model_outputs(a), mn_model_outputs(b));
    for (int o = 0; o < mn_model_outputs(a); o++) {
        int64_t na, nb;
        double *x = outputs(a, o, &na), *y = outputs(b, o, &nb);
        ck_assert_int_eq(na, nb);
        ck_assert_str_eq(mn_model_output_name(a, o), mn_model_output_name(b, o));
        for (int64_t i = 0; i < na; i++) ASSERT_CLOSE(y[i], x[i], tolerance);
        free(x), free(y);
    }
}

static mn_model *decode(mn_context *c, const char *path, bool own, mn_model_info *info) {
    size_t n;
    mn_error err = {0};
    char *bytes = test_read_file(path, &n);
    mn_model *m = mn__onnx_decode(c, (uint8_t *)bytes, n, own, info, &err);
    ck_assert_msg(m != NULL, "%s", err.text);
    free(bytes);
    return m;
}

START_TEST(test_round_trip) {
    static const mn_net_head heads[] = {{"emotion", 7}, {"gender", 2}};
    for (int i = 0; mn_net_names[i]; i++)
        for (int own = 1; own >= 0; own--) {
            if (!own && !strcmp(mn_net_names[i], "convlstm")) continue; /* its steps are in the graph one by one */
            if (!strcmp(mn_net_names[i], "vgg")) continue;              /* has no layer that the others lack */
            mn_context *c = op_context(MN_F32, 3), *d = op_context(MN_F32, 4);
            mn_error err = {0};
            mn_model *m = mn_net_create(c, mn_net_names[i],
                                        &(mn_net_opt){.channels = 3, .height = 21, .width = 26, .heads = heads, .n_heads = 2});
            ck_assert_msg(m != NULL, "%s", mn_context_error(c)->text);
            scramble(m);
            mn_model_info info = example_info(m), got;
            const char *path = test_path("net.onnx");
            ASSERT_OK(mn_model_save(m, &info, path, &err), &err);
            mn_model *again = decode(d, path, own, &got);
            ck_assert_int_eq(got.n_heads, 2);
            ck_assert_str_eq(got.head[0].class_name[3], "happy");
            ck_assert_str_eq(got.card, info.card);
            ck_assert(got.preprocess.lo == -1 && got.preprocess.width == 26);
            check_same(m, again, own ? 0 : 1e-5);
            ck_assert_int_eq(mn_model_count(m).parameters, mn_model_count(again).parameters);
            mn_model_info_free(&got);
            mn_context_destroy(c);
            mn_context_destroy(d);
        }
}
END_TEST

/* Every layer class that a graph can say, with odd options. */
static mn_model *zoo(mn_context *c) {
    mn_model *m = mn_model_create(c, "zoo");
    mn_sym x = mn_model_input(m, "input", MN_SHAPE(3, 13, 17)), y, f;
    x = mn_layer_rescaling(m, x, (mn_rescaling_layer){.scale = 0.5, .offset = -0.25});
    x = mn_layer_zero_padding2d(m, x, (mn_zero_padding2d_layer){.padding = {1, 2, 0, 3}});
    x = mn_layer_conv2d(
        m, x,
        (mn_conv2d_layer){
            .filters = 6, .kernel_size = {3, 2}, .strides = {2, 1}, .groups = 3, .activation = MN_ACT_GELU, .padding = MN_SAME});
    y = mn_layer_depthwise_conv2d(
        m, x,
        (mn_depthwise_conv2d_layer){.kernel_size = {3, 3}, .depth_multiplier = 2, .padding = MN_SAME, .activation = MN_ACT_ELU});
    x = mn_layer_separable_conv2d(
        m, x,
        (mn_separable_conv2d_layer){
            .filters = 12, .kernel_size = {2, 3}, .depth_multiplier = 2, .padding = MN_SAME, .dilation_rate = {2, 1}});
    x = mn_layer_add(m, (mn_sym[]){x, y, y}, 3, (mn_plain_layer){0});
    x = mn_layer_scale(m, x, (mn_scale_layer){0});
    x = mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){.no_scale = true, .epsilon = 0.01});
    x = mn_layer_activation(m, x, (mn_activation_layer){.activation = MN_ACT_LEAKY_RELU, .alpha = 0.2});
    x = mn_layer_padding2d(m, x, (mn_padding2d_layer){.padding = {1, 0, 0, 1}, .value = -2});
    y = mn_layer_average_pooling2d(m, x, (mn_pooling2d_layer){.pool_size = {3, 3}, .strides = {2, 2}, .padding = MN_SAME});
    y = mn_layer_clip(m, y, (mn_clip_layer){.min_value = -1, .max_value = 1e-300});
    x = mn_layer_max_pooling2d(m, x, (mn_pooling2d_layer){.padding = MN_SAME});
    x = mn_layer_concatenate(m, (mn_sym[]){x, y}, 2, (mn_concatenate_layer){0});
    y = mn_layer_slice(m, x, (mn_slice_layer){.axis = 1, .start = 3, .length = 1});
    x = mn_layer_multiply(m, (mn_sym[]){x, y}, 2, (mn_plain_layer){0});
    x = mn_layer_up_sampling2d(m, x, (mn_up_sampling2d_layer){.size = {3, 2}});
    f = mn_layer_flatten(m, x, (mn_plain_layer){0});
    f = mn_layer_dropout(m, f, (mn_dropout_layer){.rate = 0.3});
    f = mn_layer_batch_normalization(m, f, (mn_batch_normalization_layer){.no_center = true});
    y = mn_layer_global_average_pooling2d(m, x, (mn_plain_layer){0});
    f = mn_layer_concatenate(m, (mn_sym[]){y, f}, 2, (mn_concatenate_layer){0});
    f = mn_layer_activation(m, f, (mn_activation_layer){.activation = MN_ACT_SILU});
    f = mn_layer_dense(m, f, (mn_dense_layer){.units = 7, .name = "emotion"});
    mn_model_output(m, f);
    f = mn_layer_reshape(m, f, (mn_reshape_layer){.target_shape = MN_SHAPE(7, 1)});
    f = mn_layer_lstm(m, f, (mn_lstm_layer){.units = 3, .return_sequences = true, .recurrent_activation = MN_GATE_HARD_SIGMOID});
    f = mn_layer_lstm(m, f, (mn_lstm_layer){.units = 2, .activation = MN_CELL_RELU, .no_bias = true});
    mn_model_output(m, mn_layer_dense(m, f, (mn_dense_layer){.units = 2, .name = "gender", .activation = MN_ACT_SOFTPLUS}));
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    return m;
}

START_TEST(test_all_layers) {
    mn_error err = {0};
    for (int own = 1; own >= 0; own--) {
        mn_context *c = op_context(MN_F32, 3), *d = op_context(MN_F32, 4);
        mn_model *m = zoo(c);
        scramble(m);
        mn_model_info info = example_info(m), got;
        info.n_heads = 1;
        ASSERT_OK(mn_model_save(m, &info, test_path("zoo.onnx"), &err), &err);
        check_same(m, decode(d, test_path("zoo.onnx"), own, &got), own ? 0 : 1e-5);
        mn_model_info_free(&got);
        mn_context_destroy(c);
        mn_context_destroy(d);
    }
}
END_TEST

/* ---- graphs of other programs ---- */

typedef struct graph {
    mn__onnx_build b;
    mn_error err;
} graph;

static void graph_begin(graph *g, char *input, mn_shape shape) {
    memset(g, 0, sizeof *g);
    mn__onnx_build_begin(&g->b, &g->err);
    g->b.graph.input = mn__onnx_room(&g->b, 1, sizeof *g->b.graph.input);
    g->b.graph.input[g->b.graph.n_input++] = mn__onnx_port(&g->b, input, shape);
}

static char *constant(graph *g, const char *name, mn_shape shape, double step) {
    float *v;
    char *copy = mn__onnx_floats(&g->b, mn__onnx_text(&g->b, "%s", name), shape, &v);
    for (int64_t i = 0; i < mn_shape_count(shape); i++) v[i] = (float)(step * (double)((i * 7) % 11 - 5));
    return copy;
}

#define NODE(g, op, ...)                                                                                                         \
    mn__onnx_node(&(g)->b, op, op "_node", mn__onnx_text(&(g)->b, op "%zu", (g)->b.graph.n_node), (char *[]){__VA_ARGS__, NULL})

/* The model of the graph that ends in `output`, or NULL with the sentence in g->err. */
static mn_model *graph_model(graph *g, mn_context *c, char *output, int64_t opset) {
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    Onnx__OperatorSetIdProto o = ONNX__OPERATOR_SET_ID_PROTO__INIT, *list[] = {&o};
    Onnx__ValueInfoProto *out = mn__onnx_port(&g->b, output, MN_SHAPE(1));
    mn_model_info info;
    o.has_version = 1, o.version = opset;
    model.opset_import = list, model.n_opset_import = 1, model.graph = &g->b.graph;
    g->b.graph.output = &out, g->b.graph.n_output = 1;
    size_t size = onnx__model_proto__get_packed_size(&model);
    uint8_t *bytes = malloc(size);
    onnx__model_proto__pack(&model, bytes);
    mn_model *m = mn__onnx_decode(c, bytes, size, true, &info, &g->err);
    free(bytes);
    mn_model_info_free(&info);
    return m;
}

static double *graph_run(graph *g, mn_context *c, char *output, int64_t *n) {
    mn_model *m = graph_model(g, c, output, 13);
    ck_assert_msg(m != NULL, "%s", g->err.text);
    return outputs(m, 0, n);
}

/* PyTorch's habits: padding on both sides with stride 2, a shape computed on the way, names with dots. */
START_TEST(test_torch) {
    graph g;
    mn_context *c = op_context(MN_F64, 1);
    graph_begin(&g, (char *)"input", MN_SHAPE(2, 6, 6));
    char *w = constant(&g, "conv1.weight", MN_SHAPE(3, 2, 3, 3), 0.05), *b = constant(&g, "conv1.bias", MN_SHAPE(3), 0.3);
    char *x = NODE(&g, "Conv", (char *)"input", w, b);
    mn__onnx_ints(&g.b, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    mn__onnx_ints(&g.b, "strides", (int64_t[]){2, 2}, 2);
    x = NODE(&g, "Tanh", x);
    x = NODE(&g, "MaxPool", x);
    mn__onnx_ints(&g.b, "kernel_shape", (int64_t[]){3, 3}, 2);
    mn__onnx_ints(&g.b, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    char *shape = NODE(&g, "Shape", x), *zero = mn__onnx_shape(&g.b, (char *)"zero", (int64_t[]){0}, 1),
         *rest = mn__onnx_shape(&g.b, (char *)"rest", (int64_t[]){-1}, 1);
    char *n = NODE(&g, "Gather", shape, zero), *to = NODE(&g, "Concat", n, rest);
    mn__onnx_int(&g.b, "axis", 0);
    x = NODE(&g, "Reshape", x, to);
    x = NODE(&g, "MatMul", x, constant(&g, "fc", MN_SHAPE(27, 4), 0.02));
    x = NODE(&g, "Add", x, constant(&g, "fc_bias", MN_SHAPE(4), 1));
    mn_model *m = graph_model(&g, c, x, 13);
    ck_assert_msg(m != NULL, "%s", g.err.text);
    ck_assert_ptr_nonnull(mn_model_parameter(m, "conv1/kernel"));
    ck_assert_int_eq(mn_model_count(m).parameters, 54 + 3 + 108 + 4); /* the sum is the dense layer's bias */
    int64_t count;
    double *y = outputs(m, 0, &count), in[2 * 72];
    mn_rng r = mn_rng_create(1, 2);
    for (int i = 0; i < 144; i++) in[i] = mn_rng_uniform(&r, -1, 1);
#define STEP(i, step) ((double)(float)((step) * (double)(((i)*7) % 11 - 5)))
    for (int s = 0; s < 2; s++) {
        double conv[3][3][3], want[4];
        for (int k = 0; k < 3; k++)
            for (int p = 0; p < 9; p++) {
                double sum = STEP(k, 0.3);
                for (int i = 0; i < 18; i++) {
                    int h = p / 3 * 2 + i % 9 / 3 - 1, v = p % 3 * 2 + i % 3 - 1;
                    if (h >= 0 && h < 6 && v >= 0 && v < 6) sum += STEP(k * 18 + i, 0.05) * in[s * 72 + i / 9 * 36 + h * 6 + v];
                }
                conv[k][p / 3][p % 3] = tanh(sum);
            }
        for (int u = 0; u < 4; u++) want[u] = STEP(u, 1);
        for (int f = 0; f < 27; f++) {
            double largest = -9;
            for (int dh = -1; dh <= 1; dh++)
                for (int dv = -1; dv <= 1; dv++) {
                    int h = f % 9 / 3 + dh, v = f % 3 + dv;
                    if (h >= 0 && h < 3 && v >= 0 && v < 3) largest = fmax(largest, conv[f / 9][h][v]);
                }
            for (int u = 0; u < 4; u++) want[u] += largest * STEP(f * 4 + u, 0.02);
        }
        for (int u = 0; u < 4; u++) ASSERT_CLOSE(y[s * 4 + u], want[u], 1e-9);
    }
    free(y);
    mn__onnx_build_end(&g.b);
    mn_context_destroy(c);
}
END_TEST

/* TensorFlow's habit: pictures (H,W,C), turned before the convolution and back before the dense layer. */
START_TEST(test_channels_last) {
    graph g, h;
    mn_context *c = op_context(MN_F64, 1);
    int64_t n[2];
    double *y[2];
    graph_begin(&g, (char *)"input", MN_SHAPE(4, 5, 2));
    char *x = NODE(&g, "Transpose", (char *)"input");
    mn__onnx_ints(&g.b, "perm", (int64_t[]){0, 3, 1, 2}, 4);
    x = NODE(&g, "Relu", NODE(&g, "Conv", x, constant(&g, "w", MN_SHAPE(3, 2, 2, 2), 0.1)));
    x = NODE(&g, "Transpose", x);
    mn__onnx_ints(&g.b, "perm", (int64_t[]){0, 2, 3, 1}, 4);
    x = NODE(&g, "Reshape", x, mn__onnx_shape(&g.b, (char *)"to", (int64_t[]){-1, 36}, 2));
    x = NODE(&g, "MatMul", x, constant(&g, "d", MN_SHAPE(36, 3), 0.1));
    y[0] = graph_run(&g, c, x, &n[0]);
    graph_begin(&h, (char *)"input", MN_SHAPE(2, 4, 5)); /* the same without the turns: the dense weight's rows in our order */
    x = NODE(&h, "Relu", NODE(&h, "Conv", (char *)"input", constant(&h, "w", MN_SHAPE(3, 2, 2, 2), 0.1)));
    float *v;
    char *d = mn__onnx_floats(&h.b, (char *)"d", MN_SHAPE(36, 3), &v);
    for (int k = 0; k < 3; k++)
        for (int p = 0; p < 12; p++)
            for (int u = 0; u < 3; u++) v[(k * 12 + p) * 3 + u] = (float)STEP((p * 3 + k) * 3 + u, 0.1);
    y[1] = graph_run(&h, c, NODE(&h, "MatMul", NODE(&h, "Flatten", x), d), &n[1]);
    ck_assert(n[0] == 6 && n[1] == 6);
    for (int i = 0; i < 6; i++) ASSERT_CLOSE(y[0][i], y[1][i], 1e-12);
    free(y[0]), free(y[1]);
    mn__onnx_build_end(&g.b);
    mn__onnx_build_end(&h.b);
    mn_context_destroy(c);
}
END_TEST

static void refused(graph *g, char *output, int64_t opset, const char *part) {
    mn_context *c = op_context(MN_F32, 1);
    ck_assert_ptr_null(graph_model(g, c, output, opset));
    ck_assert_msg(strstr(g->err.text, part) != NULL, "\"%s\" lacks \"%s\"", g->err.text, part);
    mn__onnx_build_end(&g->b);
    mn_context_destroy(c);
}

START_TEST(test_sentences) {
    graph g;
    char *in = (char *)"input";
    graph_begin(&g, in, MN_SHAPE(2, 6, 6));
    refused(&g, NODE(&g, "Einsum", in), 13, "the operator Einsum of the node \"Einsum_node\" is not supported");
    graph_begin(&g, in, MN_SHAPE(2, 6, 6));
    refused(&g, NODE(&g, "Relu", (char *)"nowhere"), 13, "Relu \"Relu_node\": reads \"nowhere\", which is nowhere made");
    graph_begin(&g, in, MN_SHAPE(2, 6, 6));
    refused(&g, NODE(&g, "Relu", in), 99, "opset 99");
    graph_begin(&g, in, MN_SHAPE(2, 6, 6));
    refused(&g, (char *)"absent", 13, "the output \"absent\" is not computed from the input");
    graph_begin(&g, in, MN_SHAPE(2, 6, 6));
    refused(&g, NODE(&g, "Conv", in, constant(&g, "w", MN_SHAPE(3, 5, 3, 3), 1)), 13, "does not fit the input's 2 channels");
    graph_begin(&g, in, MN_SHAPE(2, 6, 6));
    refused(&g, NODE(&g, "Conv", in, in), 13, "Conv \"Conv_node\": input 1 (\"input\") is not a constant");
    graph_begin(&g, in, MN_SHAPE(2, 6, 6));
    refused(&g, NODE(&g, "Reshape", in, mn__onnx_shape(&g.b, (char *)"s", (int64_t[]){-1, 5}, 2)), 13, "mixes samples");
    graph_begin(&g, in, MN_SHAPE(2, 6, 6));
    g.b.graph.input[0]->type->tensor_type->shape->dim[2]->has_dim_value = 0;
    refused(&g, NODE(&g, "Relu", in), 13, "dimension 2 of the input \"input\" is not fixed");
    graph_begin(&g, in, MN_SHAPE(2, 6, 6));
    char *w = constant(&g, "w", MN_SHAPE(3, 2, 3, 3), 1);
    g.b.graph.initializer[0]->raw_data.len -= 4;
    refused(&g, NODE(&g, "Conv", in, w), 13, "the tensor \"w\" does not hold the 54 numbers that its shape says");
}
END_TEST

/* ---- other programs: ONNX Runtime and PyTorch, where MIEN_PYTHON (python3) has them ---- */

/* The exit status of a script of tests/onnx on a folder; 77 where Python lacks the packages. */
static int python(const char *script, const char *folder) {
    const char *program = getenv("MIEN_PYTHON");
    char command[2048];
    snprintf(command, sizeof command, "%s tests/onnx/%s %s >%s/log 2>&1", program ? program : "python3", script, folder, folder);
    int status = system(command);
    return status == -1 ? 77 : WEXITSTATUS(status);
}

static void fail_with_log(const char *folder) {
    char path[600];
    size_t n;
    snprintf(path, sizeof path, "%s/log", folder);
    ck_abort_msg("%s", test_read_file(path, &n));
}

static void save_npy(const char *folder, const char *name, const char *what, mn_tensor *t) {
    char path[600];
    mn_error err = {0};
    float *v = malloc((size_t)t->count * sizeof *v);
    ASSERT_OK(mn_get(t, v), mn_context_error(t->ctx));
    snprintf(path, sizeof path, "%s/%s.%s.npy", folder, name, what);
    ASSERT_OK(mn_npy_save(path, MN_F32, t->shape, v, &err), &err);
    free(v);
}

START_TEST(test_runtime) {
    static const mn_net_head heads[] = {{"emotion", 7}, {"gender", 2}};
    char folder[600], path[700], what[16];
    snprintf(folder, sizeof folder, "%s", help_folder("runtime"));
    for (int i = 0; mn_net_names[i]; i++) {
        if (!strcmp(mn_net_names[i], "vgg")) continue; /* has no layer that the others lack */
        mn_context *c = op_context(MN_F32, 3);
        mn_error err = {0};
        mn_model *m = mn_net_create(c, mn_net_names[i],
                                    &(mn_net_opt){.channels = 3, .height = 29, .width = 34, .heads = heads, .n_heads = 2});
        ck_assert_msg(m != NULL, "%s", mn_context_error(c)->text);
        scramble(m);
        mn_model_info info = example_info(m);
        snprintf(path, sizeof path, "%s/%s.onnx", folder, mn_net_names[i]);
        ASSERT_OK(mn_model_save(m, &info, path, &err), &err);
        mn_shape s = mn_model_input_shape(m, 0), batch = {.ndim = s.ndim + 1, .dim = {2}};
        for (int d = 0; d < s.ndim; d++) batch.dim[d + 1] = s.dim[d];
        mn_step_begin(c);
        mn_tensor *x = mn_tensor_create(c, MN_MODEL, MN_F32, batch);
        mn_fill_uniform(x, 5, -1, 1);
        mn_no_grad_begin(c);
        ASSERT_OK(mn_model_forward(m, &x, false), mn_context_error(c));
        save_npy(folder, mn_net_names[i], "in", x);
        for (int o = 0; o < 2; o++) {
            snprintf(what, sizeof what, "out%d", o);
            save_npy(folder, mn_net_names[i], what, mn_softmax(mn_model_result(m, o)));
        }
        mn_no_grad_end(c);
        mn_context_destroy(c);
    }
    int status = python("runtime.py", folder);
    if (status == 77 || status == 127)
        test_skip("ONNX Runtime: MIEN_PYTHON has no onnx and onnxruntime");
    else if (status)
        fail_with_log(folder);
}
END_TEST

START_TEST(test_pytorch) {
    char folder[600], path[1200];
    snprintf(folder, sizeof folder, "%s", help_folder("pytorch"));
    int status = python("pytorch.py", folder);
    if (status == 77 || status == 127) {
        test_skip("PyTorch: MIEN_PYTHON has none that exports");
        return;
    }
    if (status) fail_with_log(folder);
    static const char *const names[] = {"residual", "mobile", "recurrent", "mixed", "split"};
    for (int i = 0; i < 10; i++) {
        mn_context *c = op_context(MN_F32, 3);
        mn_error err = {0};
        mn_array in, want;
        snprintf(path, sizeof path, "%s/%s%d.onnx", folder, names[i / 2], i % 2);
        mn_model *m = mn_model_load(c, path, NULL, &err);
        ck_assert_msg(m != NULL, "%s", err.text);
        snprintf(path, sizeof path, "%s/%s%d.in.npy", folder, names[i / 2], i % 2);
        ASSERT_OK(mn_npy_load(path, &in, &err), &err);
        snprintf(path, sizeof path, "%s/%s%d.out.npy", folder, names[i / 2], i % 2);
        ASSERT_OK(mn_npy_load(path, &want, &err), &err);
        mn_step_begin(c);
        mn_tensor *x = mn_input(c, in.shape, in.data);
        ASSERT_OK(mn_model_forward(m, &x, false), mn_context_error(c));
        ck_assert(mn_shape_equal(mn_model_result(m, 0)->shape, want.shape));
        double *y = op_values(mn_model_result(m, 0));
        for (int64_t k = 0; k < mn_shape_count(want.shape); k++) ASSERT_CLOSE(y[k], ((const float *)want.data)[k], 1e-5);
        free(y);
        mn_array_free(&in);
        mn_array_free(&want);
        mn_context_destroy(c);
    }
}
END_TEST

/* ---- broken files ---- */

static char *little_file(size_t *n) {
    mn_context *c = op_context(MN_F32, 1);
    mn_error err = {0};
    mn_model *m = mn_model_create(c, "little");
    mn_sym x = mn_model_input(m, "input", MN_SHAPE(1, 3, 3));
    x = mn_layer_conv2d(m, x, (mn_conv2d_layer){.filters = 2, .kernel_size = {2, 2}, .name = "conv", .activation = MN_ACT_SILU});
    x = mn_layer_flatten(m, x, (mn_plain_layer){0});
    mn_model_output(m, mn_layer_dense(m, x, (mn_dense_layer){.units = 7, .name = "emotion"}));
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    mn_model_info info = {.preprocess = {.channels = 1, .height = 3, .width = 3, .hi = 1}, .n_heads = 1};
    info.head[0] = (mn_head){.name = "emotion", .n_classes = 7, .class_name = emotion_names};
    ASSERT_OK(mn_model_save(m, &info, test_path("little.onnx"), &err), &err);
    mn_context_destroy(c);
    return test_read_file(test_path("little.onnx"), n);
}

/* On success the model and info are whole, on failure there is a sentence. */
static bool try_bytes(mn_context *c, const char *bytes, size_t n) {
    mn_error err = {0};
    mn_model_info info;
    uint8_t *copy = malloc(n + 1); /* so that a sanitizer sees the end */
    memcpy(copy, bytes, n);
    mn_model *m = mn__onnx_decode(c, copy, n, n % 2, &info, &err);
    if (m)
        ck_assert_int_eq(err.status, MN_OK);
    else
        ck_assert(err.status != MN_OK && err.text[0] && !info.n_heads && !info.training);
    mn_error_clear((mn_error *)mn_context_error(c));
    mn_model_info_free(&info);
    free(copy);
    return m != NULL;
}

START_TEST(test_truncated) {
    size_t n;
    char *bytes = little_file(&n);
    mn_context *c = op_context(MN_F32, 1);
    ck_assert(try_bytes(c, bytes, n));
    for (size_t at = 0; at < n; at++) ck_assert_msg(!try_bytes(c, bytes, at), "%zu of %zu bytes are a model", at, n);
    free(bytes);
    mn_context_destroy(c);
}
END_TEST

START_TEST(test_flipped) {
    size_t n;
    char *bytes = little_file(&n);
    mn_rng r = mn_rng_create(5, 6);
    mn_context *c = op_context(MN_F32, 1);
    for (int i = 0; i < 3000; i++) {
        size_t at = mn_rng_below(&r, n);
        char was = bytes[at];
        bytes[at] = (char)mn_rng_u32(&r);
        try_bytes(c, bytes, n);
        bytes[at] = was;
    }
    free(bytes);
    mn_context_destroy(c);
}
END_TEST

/* A file of another version of mien's entries, and one that another program has changed. */
START_TEST(test_versions) {
    size_t n;
    char *bytes = little_file(&n), *at = memmem(bytes, n,
                                                "mien_version\x12\x01"
                                                "1",
                                                15);
    mn_context *c = op_context(MN_F32, 1);
    mn_error err = {0};
    ck_assert_ptr_nonnull(at);
    at[14] = '9';
    test_write_file(test_path("new.onnx"), bytes, n);
    ck_assert_ptr_null(mn_model_load(c, test_path("new.onnx"), NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "new.onnx: the file has version 9, this mien knows versions 1 to 1"));
    at[14] = '1';
    at = memmem(bytes, n, "conv:silu", 9); /* the name of a node in the graph */
    ck_assert_ptr_nonnull(at);
    at[0] = 'k';
    test_write_file(test_path("changed.onnx"), bytes, n);
    mn_error_clear(&err);
    mn_model *m = mn_model_load(c, test_path("changed.onnx"), NULL, &err);
    ck_assert_msg(m == NULL || mn_model_layers(m) > 4, "the description was taken though the graph had changed");
    free(bytes);
    mn_context_destroy(c);
}
END_TEST

typedef struct file_bytes {
    char *bytes;
    size_t n;
    bool own;
} file_bytes;

/* Reads the bytes of a file and writes it again. */
static mn_status decode_and_write(void *file, mn_error *err) {
    const file_bytes *f = file;
    mn_model_info info = {0};
    mn_context *c = mn_context_create(&(mn_context_opt){.threads = 1}, err);
    mn_model *m = c ? mn__onnx_decode(c, (uint8_t *)f->bytes, f->n, f->own, &info, err) : NULL;
    if (m) mn_model_save(m, &info, test_path("out.onnx"), err);
    mn_model_info_free(&info);
    mn_context_destroy(c);
    return err->status;
}

START_TEST(test_no_memory) {
    file_bytes f = {0};
    f.bytes = little_file(&f.n);
    for (int own = 0; own < 2; own++) {
        f.own = own;
        ck_assert_int_gt(test_every_allocation(decode_and_write, &f), 40);
    }
    free(f.bytes);
}
END_TEST

TEST_SUITE(onnx, test_round_trip, test_all_layers, test_torch, test_channels_last, test_runtime, test_pytorch, test_sentences,
           test_truncated, test_flipped, test_versions, test_no_memory)
#else
START_TEST(test_missing) {
    mn_error err = {0};
    mn_context *c = op_context(MN_F32, 1);
    ck_assert_ptr_null(mn_model_load(c, "x.onnx", NULL, &err));
    mn_context_destroy(c);
}
END_TEST
TEST_SUITE(onnx, test_missing)
#endif
