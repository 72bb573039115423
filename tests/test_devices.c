/* The same training on the CPU and on the GPU (or its emulator), and what is said where there is no GPU. */
#include "layers/layers.h"
#include "optim/optim.h"
#include "tests/tests.h"

/* ---- training follows the CPU ---- */

enum { SIZE = 16, BATCH = 3, CLASSES = 3, STEPS = 3 };

typedef struct trained {
    double loss[STEPS];
    float *weight; /* of all parameters, and running statistics */
    int64_t count;
} trained;

/* A pattern for each class, and noise; a function of the step. */
static void make_batch(int step, float *x, int32_t *label) {
    mn_rng r = mn_rng_create(3, (uint64_t)step);
    for (int n = 0; n < BATCH; n++) {
        label[n] = (n + step) % CLASSES;
        for (int i = 0; i < SIZE * SIZE; i++) {
            bool bright = label[n] == 0 ? i / SIZE % 4 < 2 : label[n] == 1 ? i % 4 < 2 : (i / SIZE + i) % 4 < 2;
            x[n * SIZE * SIZE + i] = (float)((bright ? 0.7 : 0.2) + mn_rng_uniform(&r, -0.15, 0.15));
        }
    }
}

static double train_step(mn_context *c, mn_model *m, mn_optim *o, int step) {
    float x[BATCH * SIZE * SIZE];
    int32_t label[BATCH];
    make_batch(step, x, label);
    mn_step_begin(c);
    mn_tensor *in = mn_input(c, MN_SHAPE(BATCH, 1, SIZE, SIZE), x);
    ASSERT_OK(mn_model_forward(m, &in, true), mn_context_error(c));
    mn_tensor *loss = mn_cross_entropy(mn_model_result(m, 0), mn_labels(c, BATCH, label), NULL, (mn_cross_entropy_opt){0});
    ASSERT_OK(mn_backward(c, loss), mn_context_error(c));
    ASSERT_OK(mn_optim_step(o), mn_context_error(c));
    return mn_item(loss, 0);
}

static void keep_weights(mn_model *m, trained *t) {
    int n;
    mn_tensor **w = mn_model_parameters(m, NULL, &n);
    t->count = 0;
    for (int i = 0; i < n; i++) t->count += w[i]->count;
    t->weight = malloc((size_t)t->count * sizeof *t->weight);
    float *to = t->weight;
    for (int i = 0; i < n; to += w[i++]->count) ASSERT_OK(mn_get(w[i], to), mn_context_error(w[i]->ctx));
}

/* STEPS steps of `net`; false where there is no such device. */
static bool train(mn_device device, const char *net, mn_optim_opt opt, trained *t) {
    mn_error err = {0};
    mn_context *c = mn_context_create(&(mn_context_opt){.device = device, .threads = 2, .seed = 7}, &err);
    ck_assert_msg(c || device == MN_CUDA, "%s", err.text);
    if (!c) return false;
    mn_net_head head = {.name = "pattern", .classes = CLASSES};
    mn_model *m =
        mn_net_create(c, net, &(mn_net_opt){.channels = 1, .height = SIZE, .width = SIZE, .heads = &head, .n_heads = 1});
    ck_assert_msg(m != NULL, "%s", mn_context_error(c)->text);
    int n;
    mn_tensor **w = mn_model_parameters(m, &n, NULL);
    mn_optim *o = mn_optim_create(c, w, n, opt);
    for (int k = 0; k < STEPS; k++) t->loss[k] = train_step(c, m, o, k);
    keep_weights(m, t);
    mn_context_destroy(c);
    return true;
}

static void follows(const char *net, mn_optim_opt opt, double tolerance) {
    trained cpu, gpu;
    if (!train(MN_CUDA, net, opt, &gpu)) {
        test_skip("training on CUDA beside the CPU: no device");
        return;
    }
    train(MN_CPU, net, opt, &cpu);
    for (int k = 0; k < STEPS; k++) ASSERT_CLOSE(gpu.loss[k], cpu.loss[k], tolerance);
    ck_assert_msg(fabs(cpu.loss[STEPS - 1] - cpu.loss[0]) > 1e-3, "%s does not move: %g", net, cpu.loss[0]);
    ck_assert_int_eq(gpu.count, cpu.count);
    double worst = 0;
    for (int64_t i = 0; i < cpu.count; i++) {
        double d = fabs((double)(gpu.weight[i] - cpu.weight[i]));
        if (!(d <= worst)) worst = d;
    }
    ASSERT_CLOSE(worst, 0, tolerance);
    trained again;
    train(MN_CUDA, net, opt, &again); /* bit for bit */
    ck_assert(!memcmp(again.weight, gpu.weight, (size_t)gpu.count * sizeof *gpu.weight));
    ck_assert(!memcmp(again.loss, gpu.loss, sizeof gpu.loss));
    free(cpu.weight), free(gpu.weight), free(again.weight);
}

/* Convolution, pooling, dropout, fully connected layers; with momentum and clipping. */
START_TEST(test_seed2) { follows("seed2", (mn_optim_opt){.kind = MN_SGD, .lr = 0.05, .momentum = 0.9, .clip_norm = 5}, 2e-4); }
END_TEST

/* Batch normalisation, separable convolution, global pooling, residual sums; Adam, which enlarges small differences. */
START_TEST(test_mini_xception) { follows("mini-xception", (mn_optim_opt){.kind = MN_ADAM, .lr = 1e-3}, 2e-3); }
END_TEST

/* What is one operation may stand for several (batch norm, a sum and ReLU), and on a GPU for more than on the CPU (a
 * convolution and ReLU). Dropout behind them draws the same mask on both. */
static double loss_behind_dropout(mn_device device) {
    float x[BATCH * SIZE * SIZE];
    int32_t label[BATCH];
    mn_context *c = mn_context_create(&(mn_context_opt){.device = device, .threads = 2, .seed = 7}, NULL);
    if (!c) return NAN;
    mn_model *m = mn_model_create(c, "masked");
    mn_sym s = mn_model_input(m, "input", MN_SHAPE(1, SIZE, SIZE));
    s = mn_layer_conv2d(m, s, (mn_conv2d_layer){.filters = 3, .kernel_size = {3, 3}, .activation = MN_ACT_RELU});
    s = mn_layer_conv2d(m, s, (mn_conv2d_layer){.filters = 4, .kernel_size = {3, 3}, .strides = {2, 2}});
    s = mn_layer_batch_normalization(m, s, (mn_batch_normalization_layer){0});
    s = mn_layer_activation(m, s, (mn_activation_layer){.activation = MN_ACT_RELU});
    mn_sym y = mn_layer_conv2d(m, s, (mn_conv2d_layer){.filters = 4, .kernel_size = {3, 3}, .padding = MN_SAME});
    y = mn_layer_batch_normalization(m, y, (mn_batch_normalization_layer){0});
    s = mn_layer_add(m, (const mn_sym[]){y, s}, 2, (mn_plain_layer){0});
    s = mn_layer_activation(m, s, (mn_activation_layer){.activation = MN_ACT_RELU});
    s = mn_layer_dropout(m, s, (mn_dropout_layer){.rate = 0.5});
    mn_model_output(m, mn_layer_dense(m, mn_layer_flatten(m, s, (mn_plain_layer){0}), (mn_dense_layer){.units = CLASSES}));
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    make_batch(0, x, label);
    mn_step_begin(c);
    mn_tensor *in = mn_input(c, MN_SHAPE(BATCH, 1, SIZE, SIZE), x);
    ASSERT_OK(mn_model_forward(m, &in, true), mn_context_error(c));
    double loss =
        mn_item(mn_cross_entropy(mn_model_result(m, 0), mn_labels(c, BATCH, label), NULL, (mn_cross_entropy_opt){0}), 0);
    mn_context_destroy(c);
    return loss;
}
START_TEST(test_same_masks) {
    double gpu = loss_behind_dropout(MN_CUDA), cpu = loss_behind_dropout(MN_CPU);
    if (isnan(gpu))
        test_skip("dropout on CUDA beside the CPU: no device");
    else
        ASSERT_CLOSE(gpu, cpu, 1e-5);
}
END_TEST

/* ---- what there is ---- */

START_TEST(test_list) {
    mn_device_info all[8];
    int n = mn_device_list(all, 8);
    ck_assert_int_ge(n, 2);
    ck_assert(all[0].device == MN_CPU && all[0].usable && all[0].name[0] && strstr(all[0].detail, "processor"));
    for (int i = 1; i < n; i++) {
        ck_assert(all[i].device == MN_CUDA);
        ck_assert_msg(all[i].usable == !all[i].why[0], "%s: %s", all[i].name, all[i].why);
    }
    ck_assert_int_eq(mn_device_list(all, 1), 1);
    ck_assert_int_eq(mn_device_list(all, 0), 0);
    mn_context *c = mn_context_create(&(mn_context_opt){.device = MN_CUDA}, NULL);
    ck_assert((c != NULL) == all[1].usable);
    mn_context_destroy(c);
}
END_TEST

/* The emulator plays a machine without a driver, without a device, with little memory, with a device that is lost. Each
 * is a sentence; nothing hangs or crashes. */
static bool emulated(void) {
    mn_device_info all[2];
    setenv("EMU_MULTIPROCESSORS", "4", 1);
    return mn_device_list(all, 2) == 2 && strstr(all[1].name, "mulat");
}
static void no_gpu(const char *value, const char *sentence) {
    setenv("EMU_DEVICES", value, 1);
    mn_error err = {0};
    mn_context *c = mn_context_create(&(mn_context_opt){.device = MN_CUDA}, &err);
    if (c) { /* a real GPU does not listen */
        mn_context_destroy(c);
        return;
    }
    ck_assert_int_eq(err.status, MN_ERR_DEVICE);
    bool built = !strstr(err.text, "without CUDA");
    ck_assert_msg(!built || !getenv("EMU_ORDER") || strstr(err.text, sentence), "%s", err.text);
    mn_device_info all[2];
    ck_assert_int_eq(mn_device_list(all, 2), 2);
    ck_assert(!all[1].usable && !strcmp(all[1].why, err.text));
}
START_TEST(test_no_device) { no_gpu("0", "CUDA_VISIBLE_DEVICES may hide them"); }
END_TEST
START_TEST(test_no_driver) { no_gpu("nodriver", "install or update the NVIDIA driver"); }
END_TEST

START_TEST(test_out_of_memory) {
    setenv("EMU_MEMORY_MIB", "8", 1);
    if (!emulated()) return;
    mn_context *c = mn_context_create(&(mn_context_opt){.device = MN_CUDA}, NULL);
    ck_assert_ptr_nonnull(c);
    ck_assert_ptr_null(mn_parameter(c, "w", MN_SHAPE(4 << 20)));
    ck_assert_int_eq(mn_context_error(c)->status, MN_ERR_MEMORY);
    ck_assert_msg(strstr(mn_context_error(c)->text, "out of CUDA memory"), "%s", mn_context_error(c)->text);
    mn_context_destroy(c);
}
END_TEST

START_TEST(test_lost) {
    setenv("EMU_LOSE_AT", "5", 1);
    if (!emulated()) return;
    mn_context *c = mn_context_create(&(mn_context_opt){.device = MN_CUDA}, NULL);
    ck_assert_ptr_nonnull(c);
    mn_tensor *x = mn_parameter(c, "x", MN_SHAPE(100)), *y = x;
    for (int i = 0; i < 10; i++) y = mn_relu(y);
    ck_assert(!y || isnan(mn_item(y, 0)));
    ck_assert_int_eq(mn_context_error(c)->status, MN_ERR_DEVICE);
    mn_context_destroy(c);
}
END_TEST

TEST_SUITE(devices, test_seed2, test_mini_xception, test_same_masks, test_list, test_no_device, test_no_driver,
           test_out_of_memory, test_lost)
