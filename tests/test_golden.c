/* Files of earlier versions load for ever: tests/golden holds one of each, with what the network answered then. A file
 * is made once, by MIEN_MAKE_GOLDEN=1 build/run-tests golden, when the version changes, and never again. */
#include "data/data.h"
#include "tests/op_test.h"
#include <unistd.h>

#if MN_HAVE_HDF5 && MN_HAVE_JSON

#define INPUTS (2 * 6 * 5)

static char *emotions[] = {"happy", "sad", "neutral"}, *genders[] = {"man", "woman"};

/* Every part of a file in a few kilobytes: two heads, batch normalisation, flattened colours, preprocessing, a record. */
static void make(const char *path) {
    mn_context *c = op_context(MN_F32, 1);
    mn_error err = {0};
    mn_model *m = mn_model_create(c, "golden");
    mn_sym x = mn_model_input(m, "input", MN_SHAPE(2, 6, 5));
    x = mn_layer_separable_conv2d(m, x, (mn_separable_conv2d_layer){.filters = 3, .kernel_size = {3, 2}, .padding = MN_SAME});
    x = mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){0});
    x = mn_layer_activation(m, x, (mn_activation_layer){.activation = MN_ACT_LEAKY_RELU, .alpha = 0.2});
    x = mn_layer_max_pooling2d(m, x, (mn_pooling2d_layer){.padding = MN_SAME});
    x = mn_layer_flatten(m, x, (mn_plain_layer){0});
    mn_model_output(m, mn_layer_dense(m, x, (mn_dense_layer){.name = "emotion", .units = 3}));
    mn_model_output(m, mn_layer_dense(m, x, (mn_dense_layer){.name = "gender", .units = 2}));
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    int n;
    mn_tensor **p = mn_model_parameters(m, NULL, &n);
    for (int i = 0; i < n; i++) mn_fill_uniform(p[i], 70 + (uint64_t)i, strstr(p[i]->name, "variance") ? 0.5 : -0.7, 1);
    mn_model_info info = {.preprocess = {.channels = 2, .height = 6, .width = 5, .lo = -1, .hi = 1, .grey = MN_GREY_MEAN},
                          .n_heads = 2,
                          .training = (char *)"{\"epochs_run\": 3}",
                          .card = (char *)"A card"};
    info.head[0] = (mn_head){.name = "emotion", .n_classes = 3, .class_name = emotions};
    info.head[1] = (mn_head){.name = "gender", .n_classes = 2, .class_name = genders};
    ASSERT_OK(mn_model_save(m, &info, path, &err), &err);
    mn_context_destroy(c);
}

/* What both heads answer to a fixed input. */
static void answer(mn_model *m, double *out) {
    mn_context *c = mn_model_context(m);
    double v[INPUTS];
    for (int i = 0; i < INPUTS; i++) v[i] = (i * 37 % 101) / 50.0 - 1;
    mn_step_begin(c);
    mn_tensor *x = mn_input(c, MN_SHAPE(1, 2, 6, 5), NULL);
    ASSERT_OK(mn_set_f64(x, v), mn_context_error(c));
    ASSERT_OK(mn_model_forward(m, &x, false), mn_context_error(c));
    ASSERT_OK(mn_get_f64(mn_model_result(m, 0), out), mn_context_error(c));
    ASSERT_OK(mn_get_f64(mn_model_result(m, 1), out + 3), mn_context_error(c));
}

static mn_model *load(mn_context *c, const char *path, mn_model_info *info) {
    mn_error err = {0};
    mn_model *m = mn_model_load(c, path, info, &err);
    ck_assert_msg(m != NULL, "%s", err.text);
    return m;
}

static const double version_1[5] = {0.51600945, -0.541535199, -0.564276457, 0.0872868598, -0.214249149};

static void check_model(mn_model *m, const mn_model_info *info) {
    double got[5];
    answer(m, got);
    if (getenv("MIEN_MAKE_GOLDEN"))
        for (int i = 0; i < 5; i++) fprintf(stderr, "%.9g, ", got[i]);
    for (int i = 0; i < 5; i++) ASSERT_CLOSE(got[i], version_1[i], 1e-5);
    ck_assert_int_eq(info->n_heads, 2);
    ck_assert_str_eq(info->head[0].name, "emotion");
    ck_assert_str_eq(info->head[0].class_name[2], "neutral");
    ck_assert_str_eq(info->head[1].class_name[1], "woman");
    ck_assert(info->preprocess.lo == -1 && info->preprocess.hi == 1 && info->preprocess.grey == MN_GREY_MEAN);
    ck_assert_str_eq(info->training, "{\"epochs_run\": 3}");
    ck_assert_str_eq(info->card, "A card");
}

static void check_file(const char *path) {
    if (getenv("MIEN_MAKE_GOLDEN")) make(path);
    if (access(path, R_OK)) {
        test_skip("golden files: run from the source folder");
        return;
    }
    mn_context *c = op_context(MN_F32, 2);
    mn_model_info info;
    mn_model *m = load(c, path, &info);
    check_model(m, &info);
    mn_model_info_free(&info);
    mn_context_destroy(c);
}

#define VERSION_1 "tests/golden/model-1.h5"
#define ONNX_VERSION_1 "tests/golden/model-1.onnx"

START_TEST(test_version_1) { check_file(VERSION_1); }
END_TEST

/* By mien's own description of the layers, and by the graph, as another program sees it. */
START_TEST(test_onnx_version_1) {
#if MN_HAVE_PROTOBUF
    check_file(ONNX_VERSION_1);
    if (access(ONNX_VERSION_1, R_OK)) return;
    mn_context *c = op_context(MN_F32, 2);
    mn_error err = {0};
    mn_model_info info;
    mn_model *m = mn_onnx_load_graph(c, ONNX_VERSION_1, &info, &err);
    ck_assert_msg(m != NULL, "%s", err.text);
    check_model(m, &info);
    mn_model_info_free(&info);
    mn_context_destroy(c);
#else
    test_skip("ONNX files: built without protobuf-c");
#endif
}
END_TEST

/* A file may end anywhere; tests/test_truncated.c cuts a smaller one at every byte. */
START_TEST(test_truncated) {
    enum { CHECKSUM = 24 };
    size_t n;
    if (access(VERSION_1, R_OK)) {
        test_skip("golden files: run from the source folder");
        return;
    }
    char *bytes = test_read_file(VERSION_1, &n);
    const char *path = test_path("cut.h5");
    test_write_file(path, bytes, n);
    for (size_t left = n - CHECKSUM - 1; left < n; left -= left < 64 ? 1 : 61) {
        mn_error err = {0};
        mn_model_info info;
        ck_assert_int_eq(truncate(path, (off_t)left), 0);
        mn_context *c = op_context(MN_F32, 1);
        ck_assert_msg(!mn_model_load(c, path, &info, &err), "the first %zu bytes were taken for a model", left);
        ck_assert_msg(strstr(err.text, "cut.h5") && info.n_heads == 0, "%s", err.text);
        mn_context_destroy(c);
    }
    free(bytes);
}
END_TEST

TEST_SUITE(golden, test_version_1, test_onnx_version_1, test_truncated)
#else
START_TEST(test_skipped) { test_skip("golden files need HDF5 and JSON"); }
END_TEST
TEST_SUITE(golden, test_skipped)
#endif
