/* The named networks: counts known from the papers or by hand, every input size, any heads. */
#include "layers/layers.h"
#include "tests/op_test.h"

static const mn_net_head two_heads[] = {{"emotion", 7}, {"gender", 2}};

static mn_model *open_net(mn_context *c, const char *name, mn_net_opt o) {
    mn_model *m = mn_net_open(c, name, &o);
    ck_assert_msg(m != NULL, "%s: %s", name, mn_context_error(c)->text);
    return m;
}

/* Trained parameters, all parameters and multiply-adds where a source gives them; 0: not compared. */
START_TEST(test_counts) {
    static const struct {
        const char *name;
        int heads;
        int64_t trained, all, macs;
    } want[] = {
        {"seed2", 1, 4813319, 4813319, 26617600}, /* docs: N1, 4.81 M, 53.2 MFLOP; by hand below */
        {"mini-xception", 1, 56951, 58423, 0},    /* Keras's own summary of the published file */
        {"tiny", 2, 83145, 0, 0},
        {"base", 2, 988921, 0, 0}, /* PyTorch counts of the same networks */
        {"logreg", 1, 48 * 48 * 7 + 7, 48 * 48 * 7 + 7, 48 * 48 * 7},
        {"lstm-rows", 1, 4 * 128 * (48 + 128 + 1) + 129 * 7, 91527, 48 * 4 * 128 * (48 + 128) + 128 * 7},
        {"convlstm", 1, 78935, 79031, 8 * (24 * 24 * 144 + 12 * 12 * 4608 + 6 * 6 * 128 * 64 * 9) + 32 * 7},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        mn_context *c = op_context(MN_F32, 1);
        mn_model *m = open_net(c, want[i].name, (mn_net_opt){.heads = two_heads, .n_heads = want[i].heads});
        mn_model_stats s = mn_model_count(m);
        ck_assert_msg(s.trainable == want[i].trained, "%s trains %lld", want[i].name, (long long)s.trainable);
        if (want[i].all) ck_assert_msg(s.parameters == want[i].all, "%s has %lld", want[i].name, (long long)s.parameters);
        if (want[i].macs) ck_assert_msg(s.macs == want[i].macs, "%s: %lld MACs", want[i].name, (long long)s.macs);
        mn_context_destroy(c);
    }
    /* seed2's multiply-adds: three 3x3 convolutions and two dense layers */
    int64_t by_hand = 48 * 48 * 9 * 1 * 32 + 24 * 24 * 9 * 32 * 64 + 12 * 12 * 9 * 64 * 128 + 18432 * 256 + 256 * 7;
    ck_assert_int_eq(by_hand, want[0].macs);
}
END_TEST

/* About what the documentation says: millions of parameters, millions of multiply-adds. */
START_TEST(test_sizes) {
    static const struct {
        const char *name;
        double parameters, macs;
    } want[] = {{"vgg", 10.0, 640.7}, {"seed1", 1.47, 0}, {"resnet-small", 0.70, 0}, {"tiny", 0.085, 15.0}, {"base", 0.99, 114}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        mn_context *c = op_context(MN_F32, 1);
        mn_model_stats s = mn_model_count(open_net(c, want[i].name, (mn_net_opt){.heads = two_heads, .n_heads = 1}));
        ASSERT_CLOSE((double)s.parameters / 1e6, want[i].parameters, 0.02 * want[i].parameters);
        if (want[i].macs > 0) ASSERT_CLOSE((double)s.macs / 1e6, want[i].macs, 0.01 * want[i].macs);
        mn_context_destroy(c);
    }
}
END_TEST

/* Every network runs forward and backward on an odd size, in colour, with two heads, and every trained
 * parameter gets a finite gradient. */
START_TEST(test_run) {
    for (int i = 0; mn_net_names[i]; i++) {
        ck_assert_ptr_nonnull(mn_net_describe(mn_net_names[i]));
        mn_context *c = op_context(MN_F32, 1);
        mn_error *err = mn_context_error(c);
        mn_model *m = open_net(c, mn_net_names[i],
                               (mn_net_opt){.channels = 3, .height = 29, .width = 34, .heads = two_heads, .n_heads = 2});
        ck_assert_int_eq(mn_model_outputs(m), 2);
        bool clip = mn_model_input_shape(m, 0).ndim == 4;
        mn_tensor *x = mn_input(c, clip ? MN_SHAPE(2, 8, 3, 29, 34) : MN_SHAPE(2, 3, 29, 34), NULL);
        ASSERT_OK(mn_fill_uniform(x, 5, -1, 1), err);
        ASSERT_OK(mn_model_forward(m, &x, true), err);
        mn_tensor *emotion = mn_model_result_named(m, "emotion"), *gender = mn_model_result(m, 1);
        ck_assert(mn_shape_equal(emotion->shape, MN_SHAPE(2, 7)) && mn_shape_equal(gender->shape, MN_SHAPE(2, 2)));
        mn_tensor *loss = mn_add(mn_cross_entropy(emotion, mn_labels(c, 2, (int32_t[]){0, 6}), NULL, (mn_cross_entropy_opt){0}),
                                 mn_cross_entropy(gender, mn_labels(c, 2, (int32_t[]){1, -1}), NULL, (mn_cross_entropy_opt){0}));
        ASSERT_OK(mn_backward(c, loss), err);
        int trained;
        mn_tensor **p = mn_model_parameters(m, &trained, NULL);
        for (int k = 0; k < trained; k++) {
            ck_assert_msg(p[k]->grad != NULL, "%s: %s has no gradient", mn_net_names[i], p[k]->name);
            ck_assert(isfinite(mn_item(p[k]->grad, p[k]->count - 1)));
        }
        mn_context_destroy(c);
    }
}
END_TEST

/* The same clip, as it is and as a strip of grey frames: the same weights give the same answers. */
START_TEST(test_strip) {
    mn_context *c = op_context(MN_F32, 1);
    mn_error *err = mn_context_error(c);
    mn_model *clip = open_net(c, "convlstm", (mn_net_opt){.height = 24, .width = 20, .steps = 5});
    mn_model *strip = open_net(c, "convlstm", (mn_net_opt){.height = 120, .width = 20, .steps = 5, .strip = true});
    ck_assert(mn_shape_equal(mn_model_input_shape(strip, 0), MN_SHAPE(1, 120, 20)));
    ck_assert_int_gt(mn_model_copy_matching(strip, clip), 8);
    float x[2 * 120 * 20], y[2][14];
    for (int i = 0; i < 2 * 120 * 20; i++) x[i] = (float)sin(0.1 * i);
    for (int k = 0; k < 2; k++) {
        mn_tensor *in = mn_input(c, k ? MN_SHAPE(2, 1, 120, 20) : MN_SHAPE(2, 5, 1, 24, 20), x);
        ASSERT_OK(mn_model_forward(k ? strip : clip, &in, false), err);
        ASSERT_OK(mn_get(mn_model_result(k ? strip : clip, 0), y[k]), err);
        mn_step_begin(c);
    }
    for (int i = 0; i < 14; i++) ASSERT_CLOSE(y[0][i], y[1][i], 0);
    static const struct {
        mn_net_opt o;
        mn_shape in;
    } size[] = {{{.strip = true}, MN_SHAPE(1, 384, 48)},
                {{.strip = true, .height = 72, .width = 12}, MN_SHAPE(1, 72, 12)},
                {{.strip = true, .steps = 3, .width = 20}, MN_SHAPE(1, 60, 20)}};
    for (int k = 0; k < 3; k++)
        ck_assert(mn_shape_equal(mn_model_input_shape(open_net(c, "convlstm", size[k].o), 0), size[k].in));
    mn_context_destroy(c);
}
END_TEST

START_TEST(test_errors) {
    mn_context *c = op_context(MN_F32, 1);
    const struct {
        const char *name;
        mn_net_opt o;
        const char *part;
    } bad[] = {
        {"seed3", {0}, "wanted one of seed2, seed1"},
        {"seed2", {.channels = -1}, "channels is -1"},
        {"seed2", {.height = 100000}, "height is 100000"},
        {"seed2", {.heads = two_heads, .n_heads = 0}, "number of heads is 0"},
        {"seed2", {.heads = (mn_net_head[]){{"a", 2}, {"a", 3}}, .n_heads = 2}, "already a Dense of this name"},
        {"seed2", {.heads = (mn_net_head[]){{"a", 0}}, .n_heads = 1}, "has 0 classes"},
        {"mini-xception", {.height = 4, .width = 4}, "network \"mini-xception\" on 4x4: Conv2D"},
        {"convlstm",
         {.strip = true, .height = 50, .width = 24, .steps = 3},
         "a strip 50 high with 1 channels for clips of 3 frames"},
        {"convlstm", {.strip = true, .channels = 3}, "wanted grey frames"},
        {"/nowhere/net.json", {0}, "cannot be opened"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_ptr_null(mn_net_open(c, bad[i].name, &bad[i].o));
        ck_assert_msg(strstr(mn_context_error(c)->text, bad[i].part) != NULL, "%s", mn_context_error(c)->text);
        mn_error_clear(mn_context_error(c));
    }
    mn_context_destroy(c);
}
END_TEST

TEST_SUITE(nets, test_counts, test_sizes, test_run, test_strip, test_errors)
