/* The graph: errors while building, running, summary, freezing, folding, copying, learning, no memory. */
#include "layers/layers.h"
#include "optim/optim.h"
#include "tests/op_test.h"

/* A convolutional network of a few hundred parameters with every way of folding in it. */
static mn_model *small(mn_context *c) {
    mn_model *m = mn_model_create(c, "small");
    mn_sym x = mn_model_input(m, "input", MN_SHAPE(2, 9, 8)), y;
    mn_batch_normalization_layer norm = {.momentum = 0.9};
    x = mn_layer_conv2d(m, x, (mn_conv2d_layer){.filters = 6, .kernel_size = {3, 3}, .padding = MN_SAME});
    x = mn_layer_batch_normalization(m, x, norm);
    y = mn_layer_activation(m, x, (mn_activation_layer){.activation = MN_ACT_RELU});
    x = mn_layer_depthwise_conv2d(m, y, (mn_depthwise_conv2d_layer){.kernel_size = {3, 3}, .padding = MN_SAME, .no_bias = true});
    x = mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){.no_scale = true});
    x = mn_layer_add(m, (mn_sym[]){x, y}, 2, (mn_plain_layer){0});
    x = mn_layer_separable_conv2d(m, x, (mn_separable_conv2d_layer){.filters = 8, .kernel_size = {3, 3}, .no_bias = true});
    x = mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){.no_center = true});
    x = mn_layer_max_pooling2d(m, x, (mn_pooling2d_layer){0});
    x = mn_layer_flatten(m, x, (mn_plain_layer){0});
    x = mn_layer_dense(m, x, (mn_dense_layer){.units = 10, .no_bias = true});
    x = mn_layer_batch_normalization(m, x, norm);
    x = mn_layer_activation(m, x, (mn_activation_layer){.activation = MN_ACT_RELU});
    x = mn_layer_dropout(m, x, (mn_dropout_layer){.rate = 0.1});
    mn_model_output(m, mn_layer_dense(m, x, (mn_dense_layer){.units = 4, .name = "head"}));
    mn_model_build(m);
    return m;
}

static mn_tensor *random_input(mn_context *c, int64_t n, uint64_t stream) {
    mn_tensor *x = mn_input(c, MN_SHAPE(n, 2, 9, 8), NULL);
    if (x) mn_fill_uniform(x, stream, -1, 1);
    return x;
}

/* ---- errors while building ---- */

static void expect(mn_context *c, mn_model *m, const char *part) {
    ck_assert(mn_model_build(m) != MN_OK);
    ck_assert_msg(strstr(mn_context_error(c)->text, part) != NULL, "%s", mn_context_error(c)->text);
    mn_error_clear(mn_context_error(c));
}

START_TEST(test_errors) {
    mn_context *c = op_context(MN_F32, 1);
    mn_model *m = mn_model_create(c, "none");
    expect(c, m, "has no input");
    m = mn_model_create(c, "none");
    mn_model_input(m, "input", MN_SHAPE(1, 8, 8));
    expect(c, m, "has no output");
    m = mn_model_create(c, "early"); /* the first failure is the one that is told */
    mn_sym x = mn_model_input(m, "input", MN_SHAPE(1, 8, 8));
    x = mn_layer_conv2d(m, x, (mn_conv2d_layer){.name = "first", .filters = 4, .kernel_size = {9, 9}});
    ck_assert_int_lt(x, 0);
    x = mn_layer_dense(m, x, (mn_dense_layer){.units = -4});
    ck_assert_int_ne(mn_model_output(m, x), MN_OK);
    expect(c, m, "Conv2D \"first\": a window of 9x9 does not fit into the input (1,8,8)");
    m = mn_model_create(c, "symbol");
    mn_layer_flatten(m, 3, (mn_plain_layer){0});
    expect(c, m, "Flatten \"flatten\": input 0 is no symbol");
    m = mn_model_create(c, "shapes");
    x = mn_model_input(m, "input", MN_SHAPE(1, 8, 8));
    mn_sym y = mn_layer_max_pooling2d(m, x, (mn_pooling2d_layer){0});
    mn_layer_add(m, (mn_sym[]){x, y}, 2, (mn_plain_layer){.name = "sum"});
    expect(c, m, "Add \"sum\": input 0 is (1,8,8) and input 1 is (1,4,4)");
    m = mn_model_create(c, "input");
    mn_model_input(m, "input", MN_SHAPE(0, 8, 8));
    expect(c, m, "InputLayer \"input\": the output would be (0,8,8)");
    m = mn_model_create(c, "twice");
    x = mn_model_input(m, "input", MN_SHAPE(3));
    mn_model_output(m, x);
    mn_model_output(m, x);
    expect(c, m, "is marked as an output twice");
    m = small(c);
    ck_assert_int_lt(mn_layer_flatten(m, 0, (mn_plain_layer){0}), 0);
    expect(c, m, "is built");
    mn_context_destroy(c);
}
END_TEST

START_TEST(test_run_errors) {
    mn_context *c = op_context(MN_F32, 1);
    mn_error *err = mn_context_error(c);
    mn_model *m = small(c), *raw = mn_model_create(c, "raw");
    mn_tensor *x = random_input(c, 2, 1), *wide = mn_input(c, MN_SHAPE(2, 2, 9, 9), NULL), *none = NULL;
    ck_assert_ptr_null(mn_model_result(m, 0));
    ASSERT_OK(mn_model_forward(m, &x, false), err);
    ck_assert_ptr_nonnull(mn_model_result(m, 0));
    ck_assert(mn_model_result_named(m, "head") == mn_model_result(m, 0) && !mn_model_result_named(m, "tail") &&
              !mn_model_result(m, 1));
    ck_assert(mn_shape_equal(mn_model_activation(m, "conv2d")->shape, MN_SHAPE(2, 6, 9, 8)));
    ck_assert_int_ne(mn_model_forward(m, &wide, false), MN_OK);
    ck_assert_ptr_nonnull(strstr(err->text, "input \"input\" of the model \"small\" is (2,2,9,9); wanted (N,) + (2,9,8)"));
    ck_assert_ptr_null(mn_model_result(m, 0));
    mn_error_clear(err);
    ck_assert_int_ne(mn_model_forward(m, &none, false), MN_OK);
    mn_error_clear(err);
    ck_assert_int_ne(mn_model_forward(raw, &x, false), MN_OK);
    ck_assert_ptr_nonnull(strstr(err->text, "not built"));
    mn_error_clear(err);
    ASSERT_OK(mn_model_forward(m, &x, false), err);
    mn_step_begin(c); /* what the last step computed is gone */
    ck_assert(!mn_model_result(m, 0) && !mn_model_activation(m, "conv2d"));
    mn_context_destroy(c);
}
END_TEST

/* conv, batch norm: an end of a residual block. */
static mn_sym normed(mn_model *m, mn_sym x, int size) {
    x = mn_layer_conv2d(m, x, (mn_conv2d_layer){.filters = 4, .kernel_size = {size, size}, .padding = MN_SAME, .no_bias = true});
    return mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){0});
}
static mn_sym sum_of(mn_model *m, mn_sym a, mn_sym b) {
    return mn_layer_add(m, (const mn_sym[]){a, b}, 2, (mn_plain_layer){0});
}

/* A ReLU that alone reads its input takes that input's place in training, and so do a sum after batch norm and the ReLU
 * after that. The same network with those inputs among its outputs has to keep them: both give the same gradients. */
static mn_model *with_relus(mn_context *c, bool kept) {
    mn_model *m = mn_model_create(c, "relus");
    mn_activation_layer relu = {.activation = MN_ACT_RELU};
    mn_sym x = mn_model_input(m, "input", MN_SHAPE(2, 9, 8)), before[6], side;
    before[0] = mn_layer_conv2d(m, x, (mn_conv2d_layer){.filters = 5, .kernel_size = {3, 3}});
    x = mn_layer_activation(m, before[0], relu);
    x = mn_layer_separable_conv2d(m, x, (mn_separable_conv2d_layer){.filters = 4, .kernel_size = {2, 3}, .no_bias = true});
    before[1] = mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){0});
    x = mn_layer_activation(m, before[1], relu);
    before[3] = normed(m, x, 3);
    x = mn_layer_activation(m, sum_of(m, x, before[3]), relu);
    side = normed(m, x, 1);
    before[4] = normed(m, x, 3); /* of two, the later one takes the sum */
    x = mn_layer_activation(m, sum_of(m, before[4], side), relu);
    before[5] = normed(m, x, 3);
    x = sum_of(m, before[5], x); /* no ReLU after this one */
    x = mn_layer_conv2d(m, x, (mn_conv2d_layer){.filters = 3, .kernel_size = {1, 1}, .activation = MN_ACT_RELU});
    x = mn_layer_dense(m, mn_layer_flatten(m, x, (mn_plain_layer){0}), (mn_dense_layer){.units = 6});
    before[2] = mn_layer_batch_normalization(m, x, (mn_batch_normalization_layer){0});
    x = mn_layer_activation(m, before[2], relu);
    mn_model_output(m, mn_layer_dense(m, x, (mn_dense_layer){.units = 3, .activation = MN_ACT_RELU}));
    for (int i = 0; i < 6 && kept; i++) mn_model_output(m, before[i]);
    ASSERT_OK(mn_model_build(m), mn_context_error(c));
    return m;
}

START_TEST(test_relu_in_place) {
    double *want[32];
    int n = 0;
    for (int kept = 1; kept >= 0; kept--) {
        mn_context *c = op_context(MN_F64, 5);
        mn_error *err = mn_context_error(c);
        mn_model *m = with_relus(c, kept);
        mn_step_begin(c);
        mn_tensor *x = random_input(c, 4, 3), **p = mn_model_parameters(m, &n, NULL);
        ck_assert_int_le(n, 32);
        ASSERT_OK(mn_model_forward(m, &x, true), err);
        ck_assert_int_eq(mn_model_activation(m, "batch_normalization") != NULL, kept);
        ck_assert_int_eq(mn_model_activation(m, "conv2d") != NULL, kept);
        ck_assert_ptr_nonnull(mn_model_activation(m, "activation"));
        static const char *const taken[] = {"batch_normalization_1", "batch_normalization_3", "batch_normalization_4"};
        for (int i = 0; i < 3; i++) ck_assert_int_eq(mn_model_activation(m, taken[i]) != NULL, kept);
        ck_assert_int_eq(mn_model_activation(m, "add") != NULL, kept);
        ck_assert(mn_model_activation(m, "batch_normalization_2") && mn_model_activation(m, "add_2"));
        ASSERT_OK(mn_backward(c, mn_sum(mn_square(mn_model_result(m, 0)))), err);
        for (int i = 0; i < n; i++) {
            double *got = op_values(p[i]->grad);
            for (int64_t k = 0; k < p[i]->count && !kept; k++)
                ck_assert_msg(fabs(got[k] - want[i][k]) <= 1e-11 * (1 + fabs(want[i][k])), "%s[%d]: %g, wanted %g", p[i]->name,
                              (int)k, got[k], want[i][k]);
            if (kept) want[i] = got;
            else free(got), free(want[i]);
        }
        ASSERT_OK(mn_model_forward(m, &x, false), err); /* without training every layer can be looked at */
        ck_assert_ptr_nonnull(mn_model_activation(m, "batch_normalization"));
        mn_context_destroy(c);
    }
}
END_TEST

/* ---- looking ---- */

START_TEST(test_names) {
    mn_context *c = op_context(MN_F32, 1);
    mn_model *m = small(c);
    int trained, all;
    mn_tensor **p = mn_model_parameters(m, &trained, &all);
    ck_assert_int_eq(trained, 14);
    ck_assert_int_eq(all, 22);
    ck_assert_str_eq(p[0]->name, "conv2d/kernel");
    ck_assert_str_eq(p[trained]->name, "batch_normalization/moving_mean");
    ck_assert(p[0]->requires_grad && !p[trained]->requires_grad && p[0]->lifetime == MN_MODEL);
    ck_assert(mn_model_parameter(m, "batch_normalization_3/gamma") && !mn_model_parameter(m, "batch_normalization_1/gamma"));
    /* one piece of memory, each beginning at a multiple of 64 bytes */
    for (int i = 1; i < all; i++) {
        ptrdiff_t gap = (char *)p[i]->data - (char *)p[i - 1]->data;
        ck_assert(gap >= (ptrdiff_t)(p[i - 1]->count * 4) && gap < (ptrdiff_t)(p[i - 1]->count * 4 + 64) && gap % 64 == 0);
    }
    mn_context_destroy(c);
}
END_TEST

START_TEST(test_summary) {
    for (int i = 0; mn_net_names[i]; i++) {
        mn_context *c = op_context(MN_F32, 1);
        mn_model *m = mn_net_create(c, mn_net_names[i], NULL);
        char *text = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&text, &n);
        ASSERT_OK(mn_model_summary(m, f, 0), mn_context_error(c));
        fclose(f);
        for (char *line = text; *line; line = strchr(line, '\n') + 1)
            ck_assert_msg(strcspn(line, "\n") <= 80, "%s: %.100s", mn_net_names[i], line);
        ck_assert_ptr_nonnull(strstr(text, "emotion (7)"));
        if (!strcmp(mn_net_names[i], "mini-xception")) ck_assert_ptr_nonnull(strstr(text, "parameters 58,423 (56,951 trained)"));
        free(text);
        f = open_memstream(&text, &n);
        ASSERT_OK(mn_model_dot(m, f), mn_context_error(c));
        fclose(f);
        ck_assert(!strncmp(text, "digraph", 7) && text[n - 2] == '}');
        free(text);
        mn_context_destroy(c);
    }
}
END_TEST

/* ---- changing ---- */

START_TEST(test_freeze) {
    mn_context *c = op_context(MN_F32, 1);
    mn_model *m = small(c);
    ck_assert_int_eq(mn_model_freeze(m, "*conv2d*", true), 3);
    ck_assert_int_eq(mn_model_freeze(m, "nothing", true), 0);
    mn_tensor *x = random_input(c, 3, 1);
    ASSERT_OK(mn_model_forward(m, &x, true), mn_context_error(c));
    mn_tensor *loss = mn_mean(mn_square(mn_model_result(m, 0)));
    ASSERT_OK(mn_backward(c, loss), mn_context_error(c));
    ck_assert_ptr_null(mn_model_parameter(m, "conv2d/kernel")->grad);
    ck_assert_ptr_nonnull(mn_model_parameter(m, "head/kernel")->grad);
    int64_t trainable = mn_model_count(m).trainable;
    mn_model_freeze(m, "*", false);
    ck_assert_int_gt(mn_model_count(m).trainable, trainable);
    ck_assert(!mn_model_parameter(m, "batch_normalization/moving_mean")->requires_grad);
    mn_context_destroy(c);
}
END_TEST

START_TEST(test_fold) {
    mn_context *c = op_context(MN_F64, 1);
    mn_error *err = mn_context_error(c);
    mn_model *m = small(c);
    int all, before, after;
    mn_tensor **p = mn_model_parameters(m, NULL, &all);
    before = all;
    for (int i = 0; i < all; i++) {
        bool variance = strstr(p[i]->name, "variance");
        mn_fill_uniform(p[i], 50 + (uint64_t)i, variance ? 0.3 : -1, variance ? 2 : 1);
    }
    mn_tensor *x = random_input(c, 3, 1);
    ASSERT_OK(mn_model_forward(m, &x, false), err);
    double *want = op_values(mn_model_result(m, 0));
    ck_assert_int_eq(mn_model_fold_batch_norm(m), 4);
    ck_assert_int_eq(mn_model_fold_batch_norm(m), 0);
    mn_step_begin(c);
    x = random_input(c, 3, 1);
    ASSERT_OK(mn_model_forward(m, &x, false), err);
    double *got = op_values(mn_model_result(m, 0));
    for (int i = 0; i < 12; i++) ASSERT_CLOSE(got[i], want[i], 1e-11);
    free(want), free(got);
    mn_model_parameters(m, NULL, &after);
    ck_assert_int_eq(after, before - 14 + 3); /* gammas, betas and statistics gone; three biases more */
    ck_assert_int_ne(mn_model_forward(m, &x, true), MN_OK);
    ck_assert_ptr_nonnull(strstr(err->text, "folded away"));
    mn_context_destroy(c);
}
END_TEST

START_TEST(test_copy) {
    mn_context *c = op_context(MN_F32, 1), *d = op_context(MN_F64, 2);
    mn_net_head seven = {"emotion", 7}, three = {"mood", 3};
    mn_model *a = mn_net_create(c, "seed2", &(mn_net_opt){.height = 12, .width = 12, .heads = &seven, .n_heads = 1});
    mn_model *b = mn_net_create(d, "seed2", &(mn_net_opt){.height = 12, .width = 12, .heads = &three, .n_heads = 1});
    ck_assert_int_eq(mn_model_copy_matching(b, a), 8); /* all but the head */
    const char *name = "conv2d_1/kernel";
    ASSERT_CLOSE(mn_item(mn_model_parameter(b, name), 5), mn_item(mn_model_parameter(a, name), 5), 0);
    mn_context_destroy(c);
    mn_context_destroy(d);
}
END_TEST

/* ---- learning ---- */

START_TEST(test_overfit) {
    mn_context *c = op_context(MN_F32, 3);
    mn_error *err = mn_context_error(c);
    mn_model *m = small(c);
    int trained;
    mn_tensor **p = mn_model_parameters(m, &trained, NULL);
    mn_optim *o = mn_optim_create(c, p, trained, (mn_optim_opt){.kind = MN_ADAM, .lr = 0.01});
    const int32_t label[8] = {0, 1, 2, 3, 3, 2, 1, 0};
    for (int step = 0; step < 120; step++) {
        mn_step_begin(c);
        mn_tensor *x = random_input(c, 8, 1);
        ASSERT_OK(mn_model_forward(m, &x, true), err);
        ASSERT_OK(
            mn_backward(c, mn_cross_entropy(mn_model_result(m, 0), mn_labels(c, 8, label), NULL, (mn_cross_entropy_opt){0})),
            err);
        ASSERT_OK(mn_optim_step(o), err);
    }
    mn_step_begin(c);
    mn_tensor *x = random_input(c, 8, 1);
    ASSERT_OK(mn_model_forward(m, &x, false), err);
    double *y = op_values(mn_model_result(m, 0));
    for (int i = 0; i < 8; i++)
        for (int k = 0; k < 4; k++) ck_assert_msg(y[i * 4 + k] <= y[i * 4 + label[i]], "image %d is not learned", i);
    free(y);
    mn_context_destroy(c);
}
END_TEST

/* ---- no memory ---- */

/* Builds, runs a training step, folds. */
static mn_status whole(void *unused, mn_error *err) {
    (void)unused;
    mn_context *c = mn_context_create(&(mn_context_opt){.threads = 1}, err);
    if (!c) return err->status;
    mn_model *m = small(c);
    if (m && mn_model_build(m) == MN_OK) {
        mn_tensor *x = random_input(c, 2, 1);
        if (mn_model_forward(m, &x, true) == MN_OK) mn_backward(c, mn_mean(mn_square(mn_model_result(m, 0))));
#if MN_HAVE_JSON
        mn_free(mn_context_error(c)->status ? NULL : mn_model_to_json(m, err));
#endif
        if (!mn_context_error(c)->status) mn_model_fold_batch_norm(m);
    }
    if (mn_context_error(c)->status) *err = *mn_context_error(c);
    mn_context_destroy(c);
    return err->status;
}

START_TEST(test_no_memory) { ck_assert_int_gt(test_every_allocation(whole, NULL), 10); }
END_TEST

TEST_SUITE(model, test_errors, test_run_errors, test_relu_in_place, test_names, test_summary, test_freeze, test_fold, test_copy, test_overfit,
           test_no_memory)
