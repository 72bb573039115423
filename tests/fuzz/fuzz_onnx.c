/* ONNX files: a small convolutional network, an LSTM, and a graph with shapes computed on the way. */
#include "data/onnx/onnx.h"
#include "tests/fuzz/fuzz.h"
#include <stdio.h>
#include <unistd.h>

enum { KINDS = 3, ROOM = 16384 };
static uint8_t valid[KINDS][ROOM];
static size_t valid_size[KINDS];

static mn_model *network(mn_context *c, int kind) {
    mn_model *m = mn_model_create(c, "fuzz");
    mn_sym x = mn_model_input(m, "input", kind == 1 ? MN_SHAPE(3, 4) : MN_SHAPE(2, 6, 5)), y;
    if (kind == 1) {
        x = mn_layer_lstm(m, x, (mn_lstm_layer){.units = 2});
    } else {
        x = mn_layer_conv2d(
            m, x, (mn_conv2d_layer){.filters = 2, .kernel_size = {3, 3}, .padding = MN_SAME, .activation = MN_ACT_GELU});
        x = mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){0});
        y = mn_layer_up_sampling2d(m, mn_layer_max_pooling2d(m, x, (mn_pooling2d_layer){.pool_size = {2, 1}}),
                                   (mn_up_sampling2d_layer){.size = {2, 1}});
        x = kind ? mn_layer_multiply(m, (mn_sym[]){x, y}, 2, (mn_plain_layer){0})
                 : mn_layer_concatenate(m, (mn_sym[]){x, y}, 2, (mn_concatenate_layer){0});
        x = kind ? mn_layer_flatten(m, mn_layer_slice(m, x, (mn_slice_layer){.length = 1}), (mn_plain_layer){0})
                 : mn_layer_global_average_pooling2d(m, x, (mn_plain_layer){0});
    }
    mn_model_output(m, mn_layer_dense(m, x, (mn_dense_layer){.units = 3, .name = "out"}));
    return mn_model_build(m) ? NULL : m;
}

static void make_valid(void) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/fuzz_onnx_%d.onnx", (int)getpid());
    for (int kind = 0; kind < KINDS; kind++) {
        mn_error err = {0};
        mn_context *c = mn_context_create(&(mn_context_opt){.threads = 1}, &err);
        if (mn_model_save(network(c, kind), NULL, path, &err)) abort();
        FILE *f = fopen(path, "rb");
        valid_size[kind] = fread(valid[kind], 1, ROOM, f);
        fclose(f);
        mn_context_destroy(c);
    }
    unlink(path);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
    if (!valid_size[0]) make_valid();
    int kind = (int)(seed >> 8) % KINDS;
    return fuzz_mutate(data, size, max, seed, valid[kind], valid_size[kind]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (int own = 0; own < 2; own++) {
        mn_error err = {0};
        mn_model_info info;
        mn_context *c = mn_context_create(&(mn_context_opt){.threads = 1, .memory_limit = (size_t)1 << 28}, &err);
        mn_model *m = mn__onnx_decode(c, data, size, own, &info, &err);
        if (m ? err.status != MN_OK : !err.text[0] || info.n_heads || info.training) abort();
        mn_model_info_free(&info);
        mn_context_destroy(c);
    }
    return 0;
}
