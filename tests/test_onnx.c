/* ONNX files: what is written comes back, by mien's own description of the layers and by the graph alone. */
#include "data/onnx.h"
#include "tests/op_test.h"

#if MN_HAVE_PROTOBUF && MN_HAVE_JSON

static char *emotion_names[] = {"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"};
static char *gender_names[] = {"man", "woman"};

static mn_model_info example_info(const mn_model *m) {
    mn_shape s = mn_model_input_shape(m, 0);
    const int64_t *image = s.dim + s.ndim - 3;
    mn_model_info info = {.preprocess = {.channels = (int)image[0], .height = (int)image[1], .width = (int)image[2], .lo = -1, .hi = 1},
                          .n_heads = 2, .training = (char *)"{\"epochs\": 3}", .card = (char *)"# A card\n\xc3\xa4"};
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
            mn_model *m = mn_net_create(c, mn_net_names[i], &(mn_net_opt){.channels = 3, .height = 21, .width = 26, .heads = heads, .n_heads = 2});
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

TEST_SUITE(onnx, test_round_trip)
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
