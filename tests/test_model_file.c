/* Model files: what is written comes back to the bit, Keras's files are understood, broken ones refused. */
#include "data/formats/hdf5.h"
#include "data/formats/model_config.h"
#include "data/formats/model_info.h"
#include "tests/op_test.h"
#include <unistd.h>

#if MN_HAVE_HDF5 && MN_HAVE_JSON

static char *emotion_names[] = {"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"};
static char *gender_names[] = {"man", "woman"};
static mn_model_info example_info(const mn_model *m) {
    mn_shape s = mn_model_input_shape(m, 0);
    const int64_t *image = s.dim + s.ndim - 3; /* a clip's frames stand before */
    mn_model_info info = {.preprocess = {.channels = (int)image[0],
                                         .height = (int)image[1],
                                         .width = (int)image[2],
                                         .lo = -1,
                                         .hi = 1,
                                         .standardize = true,
                                         .standardize_eps = 8,
                                         .grey = MN_GREY_MEAN,
                                         .mean = {0.1, 0, 0}},
                          .n_heads = 2,
                          .training = (char *)"{\"epochs\": 3}",
                          .card = (char *)"# A card\n\xc3\xa4"};
    info.head[0] = (mn_head){.name = "emotion", .n_classes = 7, .class_name = emotion_names};
    info.head[1] = (mn_head){.name = "gender", .n_classes = 2, .class_name = gender_names};
    return info;
}

static void check_info(const mn_model_info *a, const mn_model_info *b) {
    ck_assert_int_eq(a->n_heads, b->n_heads);
    for (int i = 0; i < a->n_heads; i++) {
        ck_assert_str_eq(a->head[i].name, b->head[i].name);
        ck_assert_int_eq(a->head[i].n_classes, b->head[i].n_classes);
        for (int k = 0; k < a->head[i].n_classes; k++) ck_assert_str_eq(a->head[i].class_name[k], b->head[i].class_name[k]);
    }
    ck_assert_str_eq(a->training, b->training);
    ck_assert_str_eq(a->card, b->card);
    const mn_preprocess *p = &a->preprocess, *q = &b->preprocess;
    ck_assert(p->channels == q->channels && p->height == q->height && p->width == q->width && p->grey == q->grey &&
              p->lo == q->lo && p->hi == q->hi && p->standardize == q->standardize && p->standardize_eps == q->standardize_eps &&
              p->mean[0] == q->mean[0]);
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
    mn_shape s = mn_model_input_shape(m, 0);
    mn_step_begin(c);
    mn_shape batch = {.ndim = s.ndim + 1, .dim = {2}};
    for (int i = 0; i < s.ndim; i++) batch.dim[i + 1] = s.dim[i];
    mn_tensor *x = mn_input(c, batch, NULL);
    double *v = malloc((size_t)x->count * sizeof *v);
    mn_rng r = mn_rng_create(1, 2); /* not the context's seed: the same for both models */
    for (int64_t i = 0; i < x->count; i++) v[i] = mn_rng_uniform(&r, -1, 1);
    ASSERT_OK(mn_set_f64(x, v), mn_context_error(c));
    free(v);
    mn_no_grad_begin(c);
    ASSERT_OK(mn_model_forward(m, &x, false), mn_context_error(c));
    mn_no_grad_end(c);
    mn_tensor *y = mn_model_result(m, o);
    *count = y->count;
    return op_values(y);
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

static mn_model *load(mn_context *c, const char *path, mn_model_info *info) {
    mn_error err = {0};
    mn_model *m = mn_model_load(c, path, info, &err);
    ck_assert_msg(m != NULL, "%s", err.text);
    return m;
}

START_TEST(test_round_trip) {
    static const mn_net_head heads[] = {{"emotion", 7}, {"gender", 2}};
    for (int i = 0; mn_net_names[i]; i++)
        for (int dtype = MN_F32; dtype <= (i < 2 ? MN_F64 : MN_F32); dtype++) {
            mn_context *c = op_context((mn_dtype)dtype, 3), *d = op_context((mn_dtype)dtype, 4);
            mn_error err = {0};
            mn_model *m = mn_net_create(c, mn_net_names[i],
                                        &(mn_net_opt){.channels = 3, .height = 21, .width = 26, .heads = heads, .n_heads = 2});
            ck_assert_msg(m != NULL, "%s", mn_context_error(c)->text);
            if (mn_model_count(m).parameters > 5000000) { /* vgg has no layer that the others lack */
                mn_context_destroy(c);
                mn_context_destroy(d);
                continue;
            }
            scramble(m);
            mn_model_info info = example_info(m), got;
            const char *path = test_path("net.h5");
            ASSERT_OK(mn_model_save(m, &info, path, &err), &err);
            mn_model *again = load(d, path, &got);
            check_info(&info, &got);
            check_same(m, again, 0);
            ck_assert_int_eq(mn_model_count(m).parameters, mn_model_count(again).parameters);
            mn_model_info_free(&got);
            mn_context_destroy(c);
            mn_context_destroy(d);
        }
}
END_TEST

/* Every layer class in one model, with odd options; heads that need a softmax layer of their own. */
static mn_model *zoo(mn_context *c) {
    mn_model *m = mn_model_create(c, "zoo");
    mn_sym x = mn_model_input(m, "input", MN_SHAPE(3, 13, 17)), y, f;
    x = mn_layer_rescaling(m, x, (mn_rescaling_layer){.scale = 0.5, .offset = -0.25});
    x = mn_layer_zero_padding2d(m, x, (mn_zero_padding2d_layer){.padding = {1, 2, 0, 3}});
    x = mn_layer_conv2d(m, x,
                        (mn_conv2d_layer){.filters = 6,
                                          .kernel_size = {3, 2},
                                          .strides = {2, 1},
                                          .groups = 3,
                                          .activation = MN_ACT_LEAKY_RELU,
                                          .padding = MN_SAME});
    y = mn_layer_depthwise_conv2d(
        m, x,
        (mn_depthwise_conv2d_layer){.kernel_size = {3, 3}, .depth_multiplier = 2, .padding = MN_SAME, .activation = MN_ACT_ELU});
    x = mn_layer_separable_conv2d(
        m, x,
        (mn_separable_conv2d_layer){
            .filters = 12, .kernel_size = {2, 3}, .depth_multiplier = 2, .padding = MN_SAME, .dilation_rate = {2, 1}});
    x = mn_layer_add(m, (mn_sym[]){x, y}, 2, (mn_plain_layer){0});
    x = mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){.no_scale = true, .epsilon = 0.01});
    x = mn_layer_activation(m, x, (mn_activation_layer){.activation = MN_ACT_LEAKY_RELU, .alpha = 0.2});
    y = mn_layer_average_pooling2d(m, x, (mn_pooling2d_layer){.pool_size = {3, 3}, .strides = {2, 2}, .padding = MN_SAME});
    x = mn_layer_max_pooling2d(m, x, (mn_pooling2d_layer){.padding = MN_SAME});
    x = mn_layer_concatenate(m, (mn_sym[]){x, y}, 2, (mn_concatenate_layer){0});
    f = mn_layer_flatten(m, x, (mn_plain_layer){0});
    f = mn_layer_dropout(m, f, (mn_dropout_layer){.rate = 0.3});
    f = mn_layer_batch_normalization(m, f, (mn_batch_normalization_layer){.no_center = true});
    y = mn_layer_global_average_pooling2d(m, x, (mn_plain_layer){0});
    f = mn_layer_concatenate(m, (mn_sym[]){y, f}, 2, (mn_concatenate_layer){0});
    f = mn_layer_activation(m, f, (mn_activation_layer){.activation = MN_ACT_SILU});
    f = mn_layer_dense(m, f, (mn_dense_layer){.units = 7, .name = "emotion"});
    mn_model_output(m, f);
    f = mn_layer_reshape(m, f, (mn_reshape_layer){.target_shape = MN_SHAPE(1, -1, 7)});
    f = mn_layer_flatten(m, f, (mn_plain_layer){0});
    mn_model_output(m, mn_layer_dense(m, f, (mn_dense_layer){.units = 2, .name = "gender", .activation = MN_ACT_LEAKY_RELU}));
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    return m;
}

START_TEST(test_all_layers) {
    mn_context *c = op_context(MN_F32, 3), *d = op_context(MN_F32, 4);
    mn_error err = {0};
    mn_model *m = zoo(c);
    scramble(m);
    mn_model_info info = example_info(m), got;
    info.n_heads = 1;
    const char *path = test_path("zoo.h5");
    ASSERT_OK(mn_model_save(m, &info, path, &err), &err);
    mn_model *again = load(d, path, &got);
    int64_t n;
    for (int o = 0; o < 1; o++) {
        double *x = outputs(m, o, &n), *y = outputs(again, o, &n);
        for (int64_t i = 0; i < n; i++) ASSERT_CLOSE(y[i], x[i], 0);
        free(x), free(y);
    }
    mn_model_info_free(&got);
    mn_context_destroy(c);
    mn_context_destroy(d);
}
END_TEST

/* Rows of the dense weight are in Keras's order: h, w, c. */
START_TEST(test_flatten_order) {
    mn_context *c = op_context(MN_F32, 3);
    mn_error err = {0};
    mn_model *m = mn_model_create(c, "flat");
    mn_sym x = mn_model_input(m, "input", MN_SHAPE(2, 2, 3));
    x = mn_layer_flatten(m, x, (mn_plain_layer){0});
    mn_model_output(m, mn_layer_dense(m, x, (mn_dense_layer){.units = 1, .name = "out", .no_bias = true}));
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    float w[12];
    for (int i = 0; i < 12; i++) w[i] = (float)(100 + i); /* (c,h,w): 100 + 6c + 3h + w */
    ASSERT_OK(mn_set(mn_model_parameter(m, "out/kernel"), w), mn_context_error(c));
    const char *path = test_path("flat.h5");
    ASSERT_OK(mn_model_save(m, NULL, path, &err), &err);
    size_t n;
    char *bytes = test_read_file(path, &n);
    float want[12];
    for (int h = 0, k = 0; h < 2; h++)
        for (int v = 0; v < 3; v++)
            for (int ch = 0; ch < 2; ch++) want[k++] = (float)(100 + 6 * ch + 3 * h + v);
    ck_assert_msg(memmem(bytes, n, want, sizeof want) != NULL, "the kernel does not lie in the order (h, w, c)");
    free(bytes);
    mn_context_destroy(c);
}
END_TEST

static mn_model *dense(mn_context *c, int units, bool bias) {
    mn_model *m = mn_model_create(c, "little");
    mn_sym x = mn_model_input(m, "input", MN_SHAPE(1, 3, 3));
    x = mn_layer_conv2d(m, x, (mn_conv2d_layer){.filters = 2, .kernel_size = {2, 2}, .name = "conv"});
    x = mn_layer_flatten(m, x, (mn_plain_layer){0});
    mn_model_output(m, mn_layer_dense(m, x, (mn_dense_layer){.units = units, .name = "emotion", .no_bias = !bias}));
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    return m;
}

/* A file of another program whose output no softmax ends (numbers of a regression) gets none in the file made of it. */
START_TEST(test_plain_outputs) {
    for (int classes = 0; classes < 2; classes++) {
        mn_context *c = op_context(MN_F32, 3), *d = op_context(MN_F32, 4);
        mn_error err = {0};
        mn_model *m = dense(c, 7, true);
        mn_model_info info = {.n_heads = classes}, got = {0};
        info.head[0] = (mn_head){.name = "emotion", .n_classes = 7, .class_name = emotion_names};
        char *text = mn__config_write(m, &info, &err);
        ck_assert_ptr_nonnull(text);
        mn_model *again = mn__config_read(d, text, &err);
        ck_assert_msg(again && !mn_model_build(again), "%s", err.text);
        ASSERT_OK(mn__info_default(again, &got, &err), &err);
        ck_assert(got.n_heads == 1 && got.plain[0] == !classes);
        char *second = mn__config_write(again, &got, &err), *stored = mn__info_write(&got, &err);
        ck_assert_str_eq(second, text);
        ck_assert((strstr(text, "softmax") != NULL) == classes);
        ck_assert((strstr(stored, "\"plain\":true") != NULL) == !classes);
        mn_model_info_free(&got);
        ASSERT_OK(mn__info_read(stored, again, &got, &err), &err);
        ck_assert(got.plain[0] == !classes);
        mn_model_info_free(&got);
        mn_free(text), mn_free(second), mn_free(stored);
        mn_context_destroy(c);
        mn_context_destroy(d);
    }
}
END_TEST

/* The published mini-Xception files of Keras 2.0.5. */
START_TEST(test_peers) {
    static const struct {
        const char *file;
        const char *head;
        int classes;
        int64_t parameters;
    } peer[] = {{"fer2013_mini_XCEPTION.102-0.66.hdf5", "predictions", 7, 58423},
                {"gender_mini_XCEPTION.21-0.95.hdf5", "predictions", 2, 0}};
    if (!test_data_dir()) {
        test_skip("published Keras files: no data directory");
        return;
    }
    for (int i = 0; i < 2; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s/peers/%s", test_data_dir(), peer[i].file);
        mn_context *c = op_context(MN_F32, 1), *d = op_context(MN_F32, 2);
        mn_model_info info, got;
        mn_error err = {0};
        mn_model *m = load(c, path, &info);
        ck_assert_str_eq(mn_model_output_name(m, 0), peer[i].head);
        ck_assert_int_eq(mn_model_output_shape(m, 0).dim[0], peer[i].classes);
        if (peer[i].parameters) ck_assert_int_eq(mn_model_count(m).parameters, peer[i].parameters);
        ck_assert_int_eq(info.head[0].n_classes, peer[i].classes);
        ck_assert_str_eq(info.head[0].class_name[1], "1");
        ck_assert(info.preprocess.height == 64 && info.preprocess.channels == 1 && info.preprocess.hi == 1);
        ASSERT_OK(mn_model_save(m, &info, test_path("peer.h5"), &err), &err); /* and back */
        check_same(m, load(d, test_path("peer.h5"), &got), 0);
        mn_model_info_free(&info);
        mn_model_info_free(&got);
        mn_context_destroy(c);
        mn_context_destroy(d);
    }
}
END_TEST

/* A picture is no sequence: its first dimension is channels here and rows in Keras. Found by tests/fuzz/fuzz_keras.c, as a write
 * behind a buffer. */
START_TEST(test_picture_as_steps) {
    mn_error err = {0};
    mn_context *c = op_context(MN_F32, 1);
    ck_assert_ptr_null(
        mn__config_read(c,
                        "{\"class_name\":\"Sequential\",\"config\":[{\"class_name\":\"TimeDistributed\",\"config\":"
                        "{\"name\":\"t\",\"batch_input_shape\":[null,5,4,2],\"layer\":{\"class_name\":\"Flatten\","
                        "\"config\":{}}}}]}",
                        &err));
    ck_assert_msg(err.status == MN_ERR_UNSUPPORTED && strstr(err.text, "TimeDistributed \"t\": its input is one picture"), "%s",
                  err.text);
    mn_error_clear(&err);
    mn_context_destroy(c);
    c = op_context(MN_F32, 1);
    mn_model *m = mn_model_create(c, "n");
    mn_sym x = mn_model_input(m, "input", MN_SHAPE(2, 5, 4));
    mn_model_time_distributed(m, true);
    x = mn_layer_flatten(m, x, (mn_plain_layer){.name = "f"});
    mn_model_time_distributed(m, false);
    mn_model_output(m, mn_layer_lstm(m, x, (mn_lstm_layer){.units = 3}));
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    ck_assert_int_eq(mn_model_save(m, NULL, test_path("steps.h5"), &err), MN_ERR_UNSUPPORTED);
    ck_assert_msg(err.status == MN_ERR_UNSUPPORTED && strstr(err.text, "Flatten \"f\": takes the channels of an image for steps"),
                  "%s", err.text);
    mn_context_destroy(c);
}
END_TEST

/* ---- a model inside the model ---- */

#define LAYER(class, name, config, from)                                                                                         \
    "{\"class_name\":\"" class "\",\"name\":\"" name "\",\"config\":{\"name\":\"" name "\"" config "},\"inbound_nodes\":[" from "]}"
#define FROM(name) "[[\"" name "\",0,0,{}]]"
#define INSIDE(output)                                                                                                           \
    ",\"layers\":[" LAYER("InputLayer", "in", ",\"batch_input_shape\":[null,2]", "") ","                                          \
    LAYER("Dense", "d", ",\"units\":2", FROM("in")) "],\"input_layers\":[[\"in\",0,0]],\"output_layers\":[[\"" output "\",0,0]]"
#define WHOLE(inner, from)                                                                                                       \
    "{\"class_name\":\"Functional\",\"config\":{\"name\":\"whole\",\"layers\":["                                                   \
    LAYER("InputLayer", "x", ",\"batch_input_shape\":[null,2]", "") "," LAYER("Functional", "front", inner, FROM("x")) ","        \
    LAYER("Dense", "d", ",\"units\":1", FROM(from)) "],\"input_layers\":[[\"x\",0,0]],\"output_layers\":[[\"d\",0,0]]}}"

/* As Keras writes it: the inner layer's weights in the outer one's group. */
static const char *nested_file(const char *config, const char *const *names, int n) {
    static const char *const path[] = {"d", "front"};
    mn_error err = {0};
    const float kernel[2][4] = {{3, -1}, {1, 2, 10, 20}}, bias[2][2] = {{0.5f}, {100, 200}};
    mn__h5_begin();
    hid_t file = mn__h5_create(&err), weights = mn__h5_group_create(file, "model_weights", &err);
    ASSERT_OK(mn__h5_put_text(file, "model_config", config, &err), &err);
    for (int k = 0; k < 2; k++) {
        char *outer[] = {"d/kernel:0", "d/bias:0"};
        mn__texts list = {k ? (char **)(uintptr_t)names : outer, k ? n : 2};
        hid_t group = mn__h5_group_create(weights, path[k], &err);
        for (int i = 0; i < list.n; i++) /* the last of the kernels' and biases' names has them, others have nothing right */
            ASSERT_OK(mn__h5_put_data(group, list.text[i], MN_F32, i % 2 ? MN_SHAPE(k + 1) : MN_SHAPE(2, k + 1),
                                      i < list.n - 2 ? (float[4]){7, 7, 7, 7} : i % 2 ? bias[k] : kernel[k], &err), &err);
        ASSERT_OK(mn__h5_put_texts(group, "weight_names", &list, &err), &err);
        H5Gclose(group);
    }
    H5Gclose(weights);
    ASSERT_OK(mn__h5_store(file, test_path("nested.h5"), &err), &err);
    mn__h5_end();
    return test_path("nested.h5");
}

START_TEST(test_nested) {
    static const struct {
        const char *config, *names[6], *sentence;
        int n;
    } c[] = {
        {WHOLE(INSIDE("d"), "front"), {"d/kernel:0", "d/bias:0"}, NULL, 2},
        {WHOLE(INSIDE("d"), "front"), {"front/d/kernel", "front/d/bias"}, NULL, 2},
        {WHOLE(INSIDE("d"), "front"), {"d/kernel", "d/bias", "front/d/kernel", "front/d/bias"}, NULL, 4},
        {WHOLE(INSIDE("d"), "front"), {"e/d/kernel", "d/bias"}, "Dense \"front.d\": the weight \"kernel\" is missing", 2},
        {WHOLE(INSIDE("d"), "front"), {"d/kernel_2", "d/bias"}, "Dense \"front.d\": the weight \"kernel\" is missing", 2},
        {WHOLE(INSIDE("e"), "front"), {"d/kernel", "d/bias"}, "Functional \"front\": its output \"e\" is no layer", 2},
        {WHOLE(INSIDE("d"), "in"), {"d/kernel", "d/bias"}, "the layer \"d\" reads itself or a layer that is not there", 2},
        {WHOLE("", "front"), {"d/kernel", "d/bias"}, "the model has 0 layers", 2},
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        mn_context *x = op_context(MN_F32, 1);
        mn_error err = {0};
        mn_model *m = mn_model_load(x, nested_file(c[i].config, c[i].names, c[i].n), NULL, &err);
        ck_assert_msg(c[i].sentence ? !m && strstr(err.text, c[i].sentence) : m != NULL, "%zu: %s", i, err.text);
        if (m) { /* (1 2) by ((1 2) (10 20)) + (100 200) = (121 242), 3 of the one less the other + 0.5 */
            mn_step_begin(x);
            mn_tensor *in = mn_input(x, MN_SHAPE(1, 2), (float[]){1, 2});
            ASSERT_OK(mn_model_forward(m, &in, false), mn_context_error(x));
            ASSERT_CLOSE(mn_item(mn_model_result(m, 0), 0), 3 * 121 - 242 + 0.5, 1e-4);
        }
        mn_context_destroy(x);
    }
}
END_TEST

/* ---- broken files ---- */

static char *little_file(size_t *n) {
    mn_context *c = op_context(MN_F32, 1);
    mn_error err = {0};
    mn_model *m = dense(c, 7, true);
    mn_model_info info = {.preprocess = {.channels = 1, .height = 3, .width = 3, .hi = 1}, .n_heads = 1};
    info.head[0] = (mn_head){.name = "emotion", .n_classes = 7, .class_name = emotion_names};
    ASSERT_OK(mn_model_save(m, &info, test_path("little.h5"), &err), &err);
    mn_context_destroy(c);
    return test_read_file(test_path("little.h5"), n);
}

/* Loads bytes; on success the model and info are whole, on failure there is a sentence that names the file. */
static bool try_bytes(const char *bytes, size_t n) {
    const char *path = test_path("broken.h5");
    mn_error err = {0};
    mn_model_info info;
    test_write_file(path, bytes, n);
    mn_context *c = op_context(MN_F32, 1);
    mn_model *m = mn_model_load(c, path, &info, &err);
    ck_assert_int_eq(mn_context_error(c)->status, MN_OK);
    if (m) {
        int64_t count;
        free(outputs(m, 0, &count));
        mn_model_info_free(&info);
    } else {
        ck_assert(err.status != MN_OK && strstr(err.text, "broken.h5") && info.n_heads == 0 && !info.training);
    }
    mn_context_destroy(c);
    return m != NULL;
}

#define TRAILER 24 /* bytes of mien's checksum behind the HDF5 data */

START_TEST(test_truncated) {
    size_t n;
    char *bytes = little_file(&n);
    ck_assert(try_bytes(bytes, n));
    ck_assert(try_bytes(bytes, n - TRAILER)); /* as any program without our checksum writes it */
    const size_t step = 70 / (size_t)test_few(70);
    for (size_t at = 0; at < n - TRAILER; at += step * (at < 600 ? 7 : 97)) ck_assert(!try_bytes(bytes, at));
    free(bytes);
}
END_TEST

START_TEST(test_flipped) {
    size_t n;
    char *bytes = little_file(&n);
    mn_rng r = mn_rng_create(5, 6);
    for (int i = 0; i < test_few(150); i++) { /* the checksum finds every one */
        size_t at = mn_rng_below(&r, n - TRAILER);
        char was = bytes[at];
        bytes[at] = (char)(was ^ (1 << mn_rng_below(&r, 8)));
        ck_assert(!try_bytes(bytes, n));
        bytes[at] = was;
    }
    for (int i = 0; i < test_few(700); i++) { /* without it, anything but a crash */
        size_t at = mn_rng_below(&r, n - TRAILER);
        char was = bytes[at];
        bytes[at] = (char)mn_rng_u32(&r);
        try_bytes(bytes, n - TRAILER);
        bytes[at] = was;
    }
    free(bytes);
}
END_TEST

/* Writes a file with some of its text replaced by text of the same length; loading must fail saying `part`. */
static void replaced(const char *from, const char *to, const char *part) {
    size_t n, length = strlen(from);
    char *bytes = little_file(&n), *at;
    ck_assert_uint_eq(length, strlen(to));
    int found = 0;
    for (char *p = bytes; (at = memmem(p, n - (size_t)(p - bytes), from, length)); p = at + length)
        memcpy(at, to, length), found++;
    ck_assert_msg(found > 0, "\"%s\" is not in the file", from);
    const char *path = test_path("changed.h5");
    test_write_file(path, bytes, n - TRAILER);
    mn_context *c = op_context(MN_F32, 1);
    mn_error err = {0};
    ck_assert_msg(mn_model_load(c, path, NULL, &err) == NULL, "%s for %s was accepted", to, from);
    ck_assert_msg(strstr(err.text, part) != NULL, "%s", err.text);
    mn_context_destroy(c);
    free(bytes);
}

START_TEST(test_sentences) {
    replaced("\"class_name\":\"Conv2D\"", "\"class_name\":\"Canv2D\"",
             "Canv2D \"conv\": there is no layer class \"Canv2D\"; known:");
    replaced("\"class_name\":\"Functional\"", "\"class_name\":\"Fractional\"", "the model is a \"Fractional\"");
    replaced("\"filters\":2", "\"filters\":3",
             "Conv2D \"conv\": the weight \"kernel\" is (2,2,1,2) in the file; wanted (2,2,1,3)");
    replaced("[null,3,3,1]", "[null,9,9,1]", "the weight \"kernel\" is (8,7) in the file; wanted (128,7)");
    replaced("[null,3,3,1]", "[3,3,3,null]", "the shape of the input is not fixed");
    replaced("channels_last", "channels_frst", "data_format is \"channels_frst\"");
    replaced("model_config", "model_confic", "there is no model_config");
    replaced("[[\"conv\",0,0", "[[\"cony\",0,0", "reads itself or a layer that is not there");
    replaced("[[\"conv\",0,0", "[[0,\"conv\",0", "inbound_nodes are not understood");
    replaced("\"surprise\"", "\"surprise ", "mien_info");
    replaced("\"valid\"", "\"vapid\"", "\"padding\" is \"vapid\"");
}
END_TEST

START_TEST(test_no_file) {
    mn_context *c = op_context(MN_F32, 1);
    mn_error err = {0};
    ck_assert_ptr_null(mn_model_load(c, "/nowhere/x.h5", NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "/nowhere/x.h5: cannot be opened"));
    mn_error_clear(&err);
    ck_assert_int_ne(mn_model_save(dense(c, 2, true), NULL, "/nowhere/x.h5", &err), MN_OK);
    ck_assert_ptr_nonnull(strstr(err.text, "does the folder exist"));
    mn_error_clear(&err);
    mn_model *m = mn_net_create(c, "tiny", NULL);
    mn_model_fold_batch_norm(m);
    ck_assert_int_ne(mn_model_save(m, NULL, test_path("f.h5"), &err), MN_OK);
    ck_assert_ptr_nonnull(strstr(err.text, "save before folding"));
    mn_context_destroy(c);
}
END_TEST

/* Reads a file and writes it again. */
static mn_status read_and_write(void *path, mn_error *err) {
    mn_model_info info = {0};
    mn_context *c = mn_context_create(&(mn_context_opt){.threads = 1}, err);
    mn_model *m = c ? mn_model_load(c, path, &info, err) : NULL;
    if (m) mn_model_save(m, &info, test_path("out.h5"), err);
    mn_model_info_free(&info);
    mn_context_destroy(c);
    return err->status;
}

START_TEST(test_no_memory) {
    size_t n;
    free(little_file(&n));
    char path[4096];
    snprintf(path, sizeof path, "%s", test_path("little.h5"));
    ck_assert_int_gt(test_every_allocation(read_and_write, path), 40);
}
END_TEST

TEST_SUITE(model_file, test_picture_as_steps, test_nested, test_round_trip, test_all_layers, test_flatten_order, test_plain_outputs, test_peers,
           test_truncated, test_flipped, test_sentences, test_no_file, test_no_memory)
#else
START_TEST(test_missing) {
    mn_error err = {0};
    mn_context *c = op_context(MN_F32, 1);
    ck_assert_ptr_null(mn_model_load(c, "x.h5", NULL, &err));
    ck_assert_int_eq(err.status, MN_ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "-dev"));
    mn_context_destroy(c);
}
END_TEST
TEST_SUITE(model_file, test_missing)
#endif
