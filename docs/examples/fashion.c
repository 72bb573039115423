/* Trains a small CNN on Fashion-MNIST. Build: make examples. Run: build/examples/fashion [DIR] [EPOCHS] */
#include "data/data.h"
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    mn_error err = {0};
    mn_preprocess input = {.channels = 1, .height = 28, .width = 28};
    mn_dataset *set = mn_dataset_idx(argc > 1 ? argv[1] : "/usr/share/datasets/fashion-mnist", NULL, &err);
    mn_split_lists split = {0};
    if (!set || mn_dataset_split(set, 0.1, 0, 1, &split, &err)) return fprintf(stderr, "%s\n", err.text), 1;
    mn_dataset *train = mn_dataset_subset(set, split.index[MN_SPLIT_TRAIN], split.count[MN_SPLIT_TRAIN], &err);
    mn_dataset *test = mn_dataset_subset(set, split.index[MN_SPLIT_TEST], split.count[MN_SPLIT_TEST], &err);
    mn_loader *tr = mn_loader_create(train, &input, (mn_loader_opt){.batch = 64, .shuffle = true, .workers = 1}, &err);
    mn_loader *te = mn_loader_create(test, &input, (mn_loader_opt){.batch = 200}, &err);
    mn_context *c = mn_context_create(&(mn_context_opt){.seed = 1}, &err);
    if (!tr || !te || !c) return fprintf(stderr, "%s\n", err.text), 1;

    mn_model *m = mn_model_create(c, "fashion");
    mn_sym x = mn_model_input(m, "image", MN_SHAPE(1, 28, 28));
    for (int filters = 32; filters <= 64; filters *= 2) {
        x = mn_layer_conv2d(m, x, (mn_conv2d_layer){.filters = filters, .kernel_size = {3, 3}, .activation = MN_ACT_RELU});
        x = mn_layer_max_pooling2d(m, x, (mn_pooling2d_layer){0});
    }
    x = mn_layer_dropout(m, mn_layer_flatten(m, x, (mn_plain_layer){0}), (mn_dropout_layer){.rate = 0.25});
    mn_model_output(m, mn_layer_dense(m, x, (mn_dense_layer){.name = "label", .units = 10}));
    if (mn_model_build(m)) return fprintf(stderr, "%s\n", mn_context_error(c)->text), 1;
    int n;
    mn_optim *sgd = mn_optim_create(c, mn_model_parameters(m, &n, NULL), n, (mn_optim_opt){.lr = 0.05, .momentum = 0.9});

    for (int epoch = 0, epochs = argc > 2 ? atoi(argv[2]) : 3; epoch < epochs; epoch++) {
        mn_batch b;
        int64_t right = 0, seen = 0;
        mn_optim_set_lr(sgd, epoch < epochs - 1 ? 0.05 : 0.005);
        for (mn_loader_begin(tr, epoch, 0); mn_loader_next(tr, &b, &err) == 1;) {
            mn_step_begin(c);
            mn_model_forward(m, (mn_tensor *[]){mn_input(c, MN_SHAPE(b.n, 1, 28, 28), b.x)}, true);
            mn_backward(c, mn_cross_entropy(mn_model_result(m, 0), mn_labels(c, b.n, b.label[0]), NULL, (mn_cross_entropy_opt){0}));
            if (mn_optim_step(sgd)) return fprintf(stderr, "%s\n", mn_context_error(c)->text), 1;
        }
        for (mn_loader_begin(te, 0, 0); mn_loader_next(te, &b, &err) == 1; seen += b.n) {
            mn_step_begin(c);
            mn_model_forward(m, (mn_tensor *[]){mn_input(c, MN_SHAPE(b.n, 1, 28, 28), b.x)}, false);
            for (int64_t i = 0; i < b.n; i++) {
                int best = 0;
                for (int k = 1; k < 10; k++)
                    if (mn_item(mn_model_result(m, 0), i * 10 + k) > mn_item(mn_model_result(m, 0), i * 10 + best)) best = k;
                right += best == b.label[0][i];
            }
        }
        printf("epoch %d: %.2f %% of %lld test images\n", epoch + 1, 100.0 * (double)right / (double)seen, (long long)seen);
    }
    if (err.status) return fprintf(stderr, "%s\n", err.text), 1;
    mn_context_destroy(c), mn_loader_destroy(tr), mn_loader_destroy(te), mn_split_lists_free(&split);
    mn_dataset_destroy(train), mn_dataset_destroy(test), mn_dataset_destroy(set);
    return 0;
}
