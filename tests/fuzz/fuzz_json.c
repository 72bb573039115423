/* Network files, and the model_config of a Keras file: the same bytes as both. What can be read is built, run, and
 * written. */
#include "data/formats/model_config.h"
#include "tests/fuzz/fuzz.h"

static const char *const valid[] = {"{\"name\":\"n\",\"input\":[9,10,2],\"layers\":[{\"class\":\"Conv2D\",\"filters\":4,"
                                    "\"kernel_size\":[3,2],\"strides\":2,\"padding\":\"same\",\"activation\":\"relu\",\"name\":"
                                    "\"a\"},{\"class\":\"BatchNormalization\"},"
                                    "{\"class\":\"ZeroPadding2D\",\"padding\":[[1,2],[0,1]]},{\"class\":\"MaxPooling2D\",\"pool_"
                                    "size\":2},{\"class\":\"SeparableConv2D\","
                                    "\"filters\":4,\"kernel_size\":3,\"padding\":\"same\"},{\"class\":\"Reshape\",\"target_"
                                    "shape\":[2,-1]},{\"class\":\"LSTM\",\"units\":3},"
                                    "{\"class\":\"Heads\"}]}",
                                    "{\"class_name\":\"Functional\",\"config\":{\"name\":\"f\",\"layers\":[{\"class_name\":"
                                    "\"InputLayer\",\"name\":\"i\",\"config\":"
                                    "{\"batch_input_shape\":[null,6,6,2],\"name\":\"i\"},\"inbound_nodes\":[]},{\"class_name\":"
                                    "\"Conv2D\",\"name\":\"c\",\"config\":{"
                                    "\"filters\":2,\"kernel_size\":[1,1]},\"inbound_nodes\":[[[\"i\",0,0,{}]]]},{\"class_name\":"
                                    "\"Add\",\"name\":\"s\",\"config\":{},"
                                    "\"inbound_nodes\":[[[\"i\",0,0,{}],[\"c\",0,0,{}]]]},{\"class_name\":\"Flatten\",\"name\":"
                                    "\"l\",\"config\":{},\"inbound_nodes\":"
                                    "[[[\"s\",0,0,{}]]]},{\"class_name\":\"Dense\",\"name\":\"d\",\"config\":{\"units\":3,"
                                    "\"activation\":\"softmax\"},\"inbound_nodes\":"
                                    "[[[\"l\",0,0,{}]]]}],\"input_layers\":[[\"i\",0,0]],\"output_layers\":[[\"d\",0,0]]}}",
                                    "{\"class_name\":\"Sequential\",\"config\":[{\"class_name\":\"TimeDistributed\",\"config\":{"
                                    "\"name\":\"t\",\"batch_input_shape\":"
                                    "[null,3,4,4,1],\"layer\":{\"class_name\":\"Conv2D\",\"config\":{\"name\":\"c\",\"filters\":"
                                    "2,\"kernel_size\":2}}}},{\"class_name\":"
                                    "\"ConvLSTM2D\",\"config\":{\"name\":\"r\",\"filters\":2,\"kernel_size\":[2,2]}},{\"class_"
                                    "name\":\"LeakyReLU\",\"config\":{\"name\":\"k\","
                                    "\"alpha\":0.2}}]}"};

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
    const char *text = valid[seed / 64 % 3];
    return fuzz_mutate(data, size, max, seed, text, strlen(text));
}

/* One sample of zeros, unless the network is large. */
static void run(mn_model *m) {
    mn_context *c = mn_model_context(m);
    if (mn_model_build(m)) return;
    mn_model_stats s = mn_model_count(m);
    if (s.macs > 3000000 || s.activation_bytes > 3000000) return;
    mn_tensor *in[8] = {NULL};
    mn_step_begin(c);
    for (int i = 0; i < mn_model_inputs(m) && i < 8; i++) {
        mn_shape one = mn_model_input_shape(m, i), x = {.ndim = one.ndim + 1, .dim = {1}};
        for (int d = 0; d < one.ndim; d++) x.dim[d + 1] = one.dim[d];
        in[i] = mn_input(c, x, NULL);
        if (!in[i] || mn_fill(in[i], 0)) return;
    }
    if (mn_model_inputs(m) <= 8) mn_model_forward(m, in, false);
}

static void check(mn_context *c, mn_model *m) {
    mn_error err = {0};
    if (!m && !mn_context_error(c)->text[0]) abort(); /* a refusal without a sentence */
    if (m) run(m);
    char *text = m && !mn_context_error(c)->status ? mn_model_to_json(m, &err) : NULL;
    mn_free(text);
    mn_context_destroy(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const mn_context_opt opt = {.threads = 1, .memory_limit = 64 << 20};
    mn_error err = {0};
    char *text = mn_alloc(size + 1);
    memcpy(text, data, size);
    text[size] = 0;
    mn_context *c = mn_context_create(&opt, NULL);
    check(c, mn_model_from_json(c, text, size, NULL));
    c = mn_context_create(&opt, NULL);
    mn_model *m = mn__config_read(c, text, &err);
    if (!m && !err.text[0]) abort();
    if (m)
        check(c, m);
    else
        mn_context_destroy(c);
    mn_free(text);
    return 0;
}
