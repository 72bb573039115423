/* Trains a small CNN on Fashion-MNIST.   make examples && build/examples/fashion [DIR] [EPOCHS] */
#include "data/data.h"
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    const char *dir = argc > 1 ? argv[1] : "/usr/share/datasets/fashion-mnist";
    int epochs = argc > 2 ? atoi(argv[2]) : 5;
    mn_error err = {0};
    mn_preprocess pixels = {.channels = 1, .height = 28, .width = 28};
    mn_dataset *data = mn_dataset_idx(dir, NULL, &err);
    if (!data) return fprintf(stderr, "%s\n", err.text), 1;
    mn_loader *train = mn_loader_create(mn_dataset_part(data, MN_SPLIT_TRAIN, &err), &pixels,
                                        (mn_loader_opt){.batch = 64, .shuffle = true, .workers = 1}, &err);
    mn_loader *test = mn_loader_create(mn_dataset_part(data, MN_SPLIT_TEST, &err), &pixels, (mn_loader_opt){.batch = 200}, &err);
    mn_context *c = mn_context_create(&(mn_context_opt){.seed = 1}, &err);
    if (!train || !test || !c) return fprintf(stderr, "%s\n", err.text), 1;

    mn_model *m = mn_model_create(c, "fashion");
    mn_sym x = mn_model_input(m, "image", MN_SHAPE(1, 28, 28));
    x = mn_layer_conv2d(m, x, (mn_conv2d_layer){.filters = 32, .kernel_size = {3, 3}, .activation = MN_ACT_RELU});
    x = mn_layer_max_pooling2d(m, x, (mn_pooling2d_layer){0});
    x = mn_layer_conv2d(m, x, (mn_conv2d_layer){.filters = 64, .kernel_size = {3, 3}, .activation = MN_ACT_RELU});
    x = mn_layer_max_pooling2d(m, x, (mn_pooling2d_layer){0});
    x = mn_layer_flatten(m, x, (mn_plain_layer){0});
    x = mn_layer_dense(m, x, (mn_dense_layer){.units = 128, .activation = MN_ACT_RELU});
    x = mn_layer_dropout(m, x, (mn_dropout_layer){.rate = 0.25});
    mn_model_output(m, mn_layer_dense(m, x, (mn_dense_layer){.name = "label", .units = 10}));
    if (mn_model_build(m)) return fprintf(stderr, "%s\n", mn_context_error(c)->text), 1;
    int n;
    mn_tensor **weights = mn_model_parameters(m, &n, NULL);
    mn_optim *sgd = mn_optim_create(c, weights, n, (mn_optim_opt){.lr = 0.02, .momentum = 0.9});

    for (int epoch = 0; epoch < epochs; epoch++) {
        mn_batch b;
        mn_accuracy a = {0};
        if (epoch == epochs - 1) mn_optim_set_lr(sgd, 0.002);
        for (mn_loader_begin(train, epoch, 0); mn_loader_next(train, &b, &err) == 1;) {
            mn_step_begin(c);
            mn_tensor *in = mn_input(c, MN_SHAPE(b.n, 1, 28, 28), b.x), *label = mn_labels(c, b.n, b.label[0]);
            mn_model_forward(m, &in, true);
            mn_backward(c, mn_cross_entropy(mn_model_result(m, 0), label, NULL, (mn_cross_entropy_opt){0}));
            mn_optim_step(sgd);
        }
        for (mn_loader_begin(test, 0, 0); mn_loader_next(test, &b, &err) == 1;) {
            mn_step_begin(c);
            mn_tensor *in = mn_input(c, MN_SHAPE(b.n, 1, 28, 28), b.x);
            mn_model_forward(m, &in, false);
            mn_count_correct(mn_model_result(m, 0), b.label[0], &a);
        }
        if (err.status || mn_context_error(c)->status) return fprintf(stderr, "%s%s\n", err.text, mn_context_error(c)->text), 1;
        printf("epoch %d: %.2f %% of %lld test images\n", epoch + 1, 100.0 * (double)a.right / (double)a.of, (long long)a.of);
    }
    return 0;
}
