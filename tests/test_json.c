/* Networks as JSON: what may be written, the words, and a sentence for everything else. */
#include "data/formats/model_config.h"
#include "layers/layers.h"
#include "tests/op_test.h"

#if MN_HAVE_JSON

static const mn_net_head two_heads[] = {{"emotion", 7}, {"gender", 2}};

static mn_model *parse(mn_context *c, const char *text, const mn_net_opt *o) {
    mn_model *m = mn_model_from_json(c, text, strlen(text), o);
    ck_assert_msg(m != NULL, "%s", mn_context_error(c)->text);
    return m;
}

static void refuse(mn_context *c, const char *text, const mn_net_opt *o, const char *part) {
    ck_assert_msg(mn_model_from_json(c, text, strlen(text), o) == NULL, "accepted: %.200s", text);
    const mn_error *e = mn_context_error(c);
    ck_assert_msg(strstr(e->text, part) != NULL, "%.200s gave: %s", text, e->text);
    mn_error_clear(mn_context_error(c));
}

START_TEST(test_small) {
    mn_context *c = op_context(MN_F32, 1);
    mn_model *m =
        parse(c,
              "{\"name\": \"s\", \"input\": [12, 10, 3], \"layers\": ["
              "{\"class\": \"Conv2D\", \"filters\": 4, \"kernel_size\": [3, 5], \"padding\": \"same\", \"activation\": \"relu\","
              " \"use_bias\": false, \"kernel_initializer\": \"he_uniform\"},"
              "{\"class\": \"MaxPooling2D\"},"
              "{\"class\": \"ZeroPadding2D\", \"padding\": [[1, 2], [3, 4]], \"name\": \"pad\"},"
              "{\"class\": \"ReLU\"},"
              "{\"class\": \"Concatenate\", \"inputs\": [\"pad\", \"activation\"]},"
              "{\"class\": \"Flatten\"}, {\"class\": \"Dense\", \"units\": 5, \"activation\": \"softmax\", \"name\": \"head\"}]}",
              NULL);
    ck_assert(mn_shape_equal(mn_model_input_shape(m, 0), MN_SHAPE(3, 12, 10)));
    ck_assert_str_eq(mn_model_output_name(m, 0), "head");
    /* 6x5 after pooling, 9x12 after padding, 8 channels after concatenation */
    ck_assert_int_eq(mn_model_parameter(m, "head/kernel")->shape.dim[1], 8 * 9 * 12);
    ck_assert(mn_shape_equal(mn_model_parameter(m, "conv2d/kernel")->shape, MN_SHAPE(4, 3, 3, 5)));
    ck_assert_ptr_null(mn_model_parameter(m, "conv2d/bias"));
    mn_context_destroy(c);
}
END_TEST

START_TEST(test_words) {
    mn_context *c = op_context(MN_F32, 1);
    mn_net_opt o = {.channels = 3, .height = 20, .width = 24, .heads = two_heads, .n_heads = 2};
    mn_model *m = parse(c, "{\"layers\": [{\"class\": \"GlobalAveragePooling2D\"}, {\"class\": \"Heads\"}]}", &o);
    ck_assert(mn_shape_equal(mn_model_input_shape(m, 0), MN_SHAPE(3, 20, 24)) && mn_model_outputs(m) == 2);
    ck_assert_str_eq(mn_model_output_name(m, 1), "gender");
    m = parse(c,
              "{\"input\": [\"height\", \"width\", 3], \"layers\": [{\"class\": \"Flatten\", \"name\": \"f\"},"
              "{\"class\": \"Dense\", \"units\": \"classes:emotion\", \"name\": \"e\"},"
              "{\"class\": \"Dense\", \"units\": \"classes:gender\", \"name\": \"g\", \"inputs\": \"f\"}], \"outputs\": [\"e\", "
              "\"g\"]}",
              &o);
    ck_assert(mn_model_output_shape(m, 0).dim[0] == 7 && mn_model_output_shape(m, 1).dim[0] == 2);
    o.n_heads = 1;
    m = parse(c, "{\"layers\": [{\"class\": \"Flatten\"}, {\"class\": \"Dense\", \"units\": \"classes\"}]}", &o);
    ck_assert_str_eq(mn_model_output_name(m, 0), "emotion");
    mn_context_destroy(c);
}
END_TEST

/* Written and read again, every named network is the same one. */
START_TEST(test_write) {
    for (int i = 0; mn_net_names[i]; i++) {
        mn_context *c = op_context(MN_F32, 1);
        mn_error err = {0};
        mn_model *m =
            mn_net_create(c, mn_net_names[i], &(mn_net_opt){.height = 20, .width = 30, .heads = two_heads, .n_heads = 2});
        char *text = mn_model_to_json(m, &err), *again;
        ck_assert_msg(text != NULL, "%s", err.text);
        mn_model *n = parse(c, text, NULL);
        again = mn_model_to_json(n, &err);
        ck_assert_str_eq(text, again);
        mn_model_stats a = mn_model_count(m), b = mn_model_count(n);
        ck_assert(a.parameters == b.parameters && a.macs == b.macs && a.activation_bytes == b.activation_bytes);
        mn_free(text), mn_free(again);
        mn_context_destroy(c);
    }
}
END_TEST

#define NET(layers) "{\"input\": [8, 8, 1], \"layers\": [" layers "]}"
START_TEST(test_refused) {
    mn_context *c = op_context(MN_F32, 1);
    static const struct {
        const char *text, *part;
    } bad[] = {
        {"", "line"},
        {"[1]", "wanted an object"},
        {"{\"layers\": 3}", "\"layers\" is missing"},
        {"{\"layers\": [], \"layer\": []}", "there is no key \"layer\""},
        {"{\"name\": 3, \"layers\": [1]}", "\"name\" wants a text"},
        {"{\"input\": [8, 8], \"layers\": [{\"class\": \"Conv2D\", \"filters\": 1, \"kernel_size\": 1}]}", "wanted an image"},
        {"{\"input\": [8, 8, NaN], \"layers\": []}", "line 1"},
        {"{\"input\": [8, 8, 1e999], \"layers\": []}", "line 1"},
        {"{\"input\": [8, 8, 99999999999999999999], \"layers\": []}", "line 1"},
        {"{\"input\": [100000, 100000, 1], \"layers\": [{\"class\": \"Flatten\"}]}", "the output would be"},
        {"{\"input\": \"big\", \"layers\": [{\"class\": \"Flatten\"}]}", "wanted [height, width, channels]"},
        {"{\"input\": [0, 8, 1], \"layers\": [{\"class\": \"Flatten\"}]}", "the output would be (1,0,8)"},
        {NET("{}"), "layer 0 has no \"class\""},
        {NET("7"), "layer 0 has no \"class\""},
        {NET("{\"class\": \"Conv3D\"}"), "there is no layer class \"Conv3D\"; known: InputLayer, Conv2D"},
        {NET("{\"class\": \"Conv2D\", \"name\": \"a\", \"filter\": 3}"),
         "Conv2D \"a\": there is no field \"filter\"; known: class, name, inputs, filters"},
        {NET("{\"class\": \"Conv2D\", \"kernel_size\": 3}"), "filters is missing"},
        {NET("{\"class\": \"Conv2D\", \"filters\": -3, \"kernel_size\": 3}"), "filters is -3; wanted 1 to"},
        {NET("{\"class\": \"Conv2D\", \"filters\": 1.5, \"kernel_size\": 3}"), "\"filters\" is 1.5; wanted a whole number"},
        {NET("{\"class\": \"Conv2D\", \"filters\": 1, \"kernel_size\": [1,2,3]}"), "\"kernel_size\" is [1,2,3]"},
        {NET("{\"class\": \"Conv2D\", \"filters\": 1, \"kernel_size\": 9}"),
         "a window of 9x9 does not fit into the input (1,8,8)"},
        {NET("{\"class\": \"Conv2D\", \"filters\": 1, \"kernel_size\": 3, \"padding\": \"some\"}"),
         "\"padding\" is \"some\"; wanted \"valid\" or \"same\""},
        {NET("{\"class\": \"Conv2D\", \"filters\": 1, \"kernel_size\": 3, \"activation\": \"relo\"}"), "wanted linear, relu"},
        {NET("{\"class\": \"Conv2D\", \"filters\": 3, \"kernel_size\": 3, \"groups\": 2}"), "groups is 2, which must divide"},
        {NET("{\"class\": \"Dense\", \"units\": 3}"), "hint: a Flatten"},
        {NET("{\"class\": \"Dense\", \"units\": \"many\"}"), "\"units\" is the word \"many\""},
        {NET("{\"class\": \"Dropout\", \"rate\": 1}"), "rate is 1; wanted 0 to 0.9999"},
        {NET("{\"class\": \"Dropout\", \"rate\": \"half\"}"), "wanted a number"},
        {NET("{\"class\": \"Add\", \"inputs\": \"input\"}"), "has 1 input; wanted 2 or more"},
        {NET("{\"class\": \"Flatten\", \"name\": \"a\", \"inputs\": \"a\"}"), "no layer above it is called so"},
        {NET("{\"class\": \"Flatten\", \"name\": \"a\", \"inputs\": \"b\"}, {\"class\": \"Flatten\", \"name\": \"b\"}"),
         "names \"b\""},
        {NET("{\"class\": \"Flatten\", \"name\": \"a\"}, {\"class\": \"Dense\", \"units\": 2, \"name\": \"a\"}"),
         "there is already a Flatten of this name"},
        {NET("{\"class\": \"Flatten\", \"name\": \"\"}"), "name has 0 characters"},
        {NET("{\"class\": \"Reshape\", \"target_shape\": [3, 3]}"), "64 numbers, which do not make (3,3)"},
        {NET("{\"class\": \"Reshape\", \"target_shape\": [-1, -1]}"), "at most one -1"},
        {NET("{\"class\": \"Activation\", \"activation\": \"softmax\"}, {\"class\": \"Flatten\"}"), "softmax of (1,8,8)"},
        {NET("{\"class\": \"Flatten\"}, {\"class\": \"Dense\", \"units\": 1000000}, {\"class\": \"Dense\", \"units\": 1000000}"),
         "more than 536870912 numbers"},
        {"{\"layers\": [{\"class\": \"Flatten\"}], \"outputs\": [\"x\"]}", "\"outputs\" names \"x\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) refuse(c, bad[i].text, NULL, bad[i].part);
    mn_net_opt two = {.heads = two_heads, .n_heads = 2}, wide = {.width = 50};
    refuse(c, "{\"layers\": [{\"class\": \"Flatten\"}, {\"class\": \"Dense\", \"units\": \"classes\"}]}", &two,
           "hint: {\"class\": \"Heads\"}");
    refuse(c, "{\"layers\": [{\"class\": \"Flatten\"}, {\"class\": \"Dense\", \"units\": 7}]}", &two,
           "has 1 output, but 2 heads are asked for");
    two.n_heads = 1;
    refuse(c, "{\"layers\": [{\"class\": \"Flatten\"}, {\"class\": \"Dense\", \"units\": 6}]}", &two,
           "head \"emotion\" has 7 classes");
    refuse(c, NET("{\"class\": \"Flatten\"}"), &wide, "hint: write the word \"width\" there");
    mn_context_destroy(c);
}
END_TEST

/* Deep and long texts; every prefix of a good one. */
START_TEST(test_hostile) {
    mn_context *c = op_context(MN_F32, 1);
    char *deep = malloc(200001);
    memset(deep, '[', 200000);
    deep[200000] = 0;
    refuse(c, deep, NULL, "depth");
    size_t n = (size_t)sprintf(deep, "{\"layers\": [");
    for (int i = 0; i < 5000; i++) n += (size_t)sprintf(deep + n, "{\"class\": \"Dropout\"},");
    sprintf(deep + n, "{\"class\": \"Flatten\"}]}");
    refuse(c, deep, NULL, "5001 layers; wanted at most 4096");
    static const char good[] = NET("{\"class\": \"Conv2D\", \"filters\": 2, \"kernel_size\": [3, 1], \"name\": \"a\"}, "
                                   "{\"class\": \"Flatten\", \"inputs\": [\"a\"]}");
    for (size_t length = 0; length + 1 < sizeof good; length++) {
        memcpy(deep, good, length);
        deep[length] = 0;
        refuse(c, deep, NULL, "");
    }
    free(deep);
    parse(c, good, NULL);
    mn_context_destroy(c);
}
END_TEST

/* The networks that come as files. */
/* A network's text may end at any byte. */
START_TEST(test_truncated) {
    mn_context *c = op_context(MN_F32, 1);
    mn_model *m = mn_net_create(c, "mini-xception", NULL);
    mn_error err = {0};
    char *text = mn_model_to_json(m, &err);
    ck_assert_ptr_nonnull(text);
    mn_context_destroy(c);
    size_t n = strlen(text);
    c = op_context(MN_F32, 1);
    for (size_t left = n - 1; left < n; left--) {
        ck_assert_msg(!mn_model_from_json(c, text, left, NULL), "the first %zu bytes were taken for a network", left);
        ck_assert(mn_context_error(c)->text[0]);
        mn_error_clear(mn_context_error(c));
    }
    mn_free(text);
    mn_context_destroy(c);
}
END_TEST

START_TEST(test_shipped) {
    static const char *const files[] = {"layers/nets/seed2.json", "layers/nets/venturi.json", "layers/nets/rectangular.json",
                                        "layers/nets/triangular.json", "layers/nets/residual.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        mn_context *c = op_context(MN_F32, 1);
        mn_model *m =
            mn_net_open(c, files[i], &(mn_net_opt){.channels = 3, .height = 33, .width = 48, .heads = two_heads, .n_heads = 2});
        ck_assert_msg(m != NULL, "%s", mn_context_error(c)->text);
        ck_assert_int_eq(mn_model_outputs(m), 2);
        mn_context_destroy(c);
    }
    mn_context *c = op_context(MN_F32, 1);
    int64_t a = mn_model_count(mn_net_open(c, files[0], NULL)).parameters,
            b = mn_model_count(mn_net_open(c, "seed2", NULL)).parameters;
    ck_assert_int_eq(a, b);
    /* the three shapes are of one budget, within a tenth */
    double macs[3];
    for (int i = 0; i < 3; i++) macs[i] = (double)mn_model_count(mn_net_open(c, files[1 + i], NULL)).macs;
    for (int i = 1; i < 3; i++) ASSERT_CLOSE(macs[i] / macs[0], 1, 0.1);
    mn_context_destroy(c);
}
END_TEST

/* A Keras model of one layer behind an input, through mn__config_read. */
static mn_model *keras_layer(mn_context *c, const char *input, const char *class_name, const char *config, mn_error *err) {
    char text[600];
    snprintf(text, sizeof text,
             "{\"class_name\": \"Sequential\", \"config\": [{\"class_name\": \"%s\", \"config\": {\"name\": \"x\", "
             "\"batch_input_shape\": [null, %s]%s}}]}",
             class_name, input, config);
    mn_model *m = mn__config_read(c, text, err);
    return m && mn_model_build(m) == MN_OK ? m : NULL;
}

/* A layer with an activation that is a layer. */
#define OWN(kind, config) ", \"units\": 2, \"activation\": {\"class_name\": \"" kind "\", \"config\": " config "}"

/* What Keras's numbers mean: a slope of 0.2 in the word leaky_relu, a ceiling in ReLU, Dense on the last dimension. */
START_TEST(test_keras_numbers) {
    static const struct {
        const char *class_name, *config;
        float at_minus_2, at_9;
        const char *part;
    } c[] = {
        {"Activation", ", \"activation\": \"leaky_relu\"", -0.4f, 9, NULL},
        {"LeakyReLU", "", -0.6f, 9, NULL},
        {"LeakyReLU", ", \"alpha\": 0.13", -0.26f, 9, NULL},
        {"ReLU", ", \"max_value\": null, \"negative_slope\": 0.0, \"threshold\": 0.0", 0, 9, NULL},
        {"ReLU", ", \"max_value\": 6.0", 0, 6, NULL},
        {"ReLU", ", \"max_value\": 0.5, \"negative_slope\": 0.0", 0, 0.5f, NULL},
        {"ReLU", ", \"max_value\": 6, \"negative_slope\": 0.1", 0, 0, "ReLU \"x\": max_value beside negative_slope"},
        {"ReLU", ", \"max_value\": 0", 0, 0, "ReLU \"x\": max_value"},
        {"ReLU", ", \"threshold\": 1.0", 0, 0, "ReLU \"x\": threshold"},
        {"Dense", ", \"units\": 2, \"activation\": \"leaky_relu\"", -0.4f, 9, NULL},
        {"Dense", OWN("LeakyReLU", "{\"alpha\": 0.1}"), -0.2f, 9, NULL},
        {"Dense", OWN("LeakyReLU", "{\"negative_slope\": 0.25}"), -0.5f, 9, NULL},
        {"Dense", OWN("ReLU", "{\"max_value\": 6}"), 0, 6, NULL},
        {"Dense", OWN("ReLU", "[]"), 0, 0, "Dense \"x\": an activation without config"},
        {"Dense", OWN("PReLU", "{}"), 0, 0, "Dense \"x\": \"activation\" is"},
        {"LSTM", OWN("ReLU", "{}"), 0, 0, "LSTM \"x\""}};
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        mn_context *x = op_context(MN_F32, 1);
        mn_error err = {0};
        mn_model *m = keras_layer(x, "2", c[i].class_name, c[i].config, &err);
        ck_assert_msg(c[i].part ? !m && strstr(err.text, c[i].part) : m != NULL, "%zu: %s", i, err.text);
        if (m) {
            mn_step_begin(x);
            mn_tensor *in = mn_input(x, MN_SHAPE(1, 2), (float[]){-2, 9}), *w = mn_model_parameter(m, "x/kernel");
            if (w) ASSERT_OK(mn_set_f64(w, (double[]){1, 0, 0, 1}), mn_context_error(x));
            float y[2];
            ck_assert(mn_model_forward(m, &in, false) == MN_OK && mn_get(mn_model_result(m, 0), y) == MN_OK);
            ck_assert_msg(fabsf(y[0] - c[i].at_minus_2) < 1e-6f && fabsf(y[1] - c[i].at_9) < 1e-6f, "%zu: %g, %g", i, y[0], y[1]);
        }
        mn_context_destroy(x);
    }
    mn_context *x = op_context(MN_F32, 1);
    mn_error err = {0};
    mn_model *m = keras_layer(x, "4, 3", "Dense", ", \"units\": 5", &err);
    ck_assert_msg(m && mn_shape_equal(mn_model_output_shape(m, 0), MN_SHAPE(4, 5)), "%s", err.text);
    mn_context_destroy(x);
}
END_TEST

TEST_SUITE(json, test_small, test_words, test_write, test_refused, test_hostile, test_truncated, test_shipped, test_keras_numbers)
#else
START_TEST(test_missing) {
    mn_context *c = op_context(MN_F32, 1);
    ck_assert_ptr_null(mn_model_from_json(c, "{}", 2, NULL));
    ck_assert_ptr_nonnull(strstr(mn_context_error(c)->text, "libjansson-dev"));
    mn_context_destroy(c);
}
END_TEST
TEST_SUITE(json, test_missing)
#endif
