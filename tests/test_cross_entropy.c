/* cross_entropy against PyTorch 1.13 in float64 (its ignore_index is our -1), a naive loop, and its rules. */
#include "tests/op_test.h"

static const double X[12] = {0.5, -1.2, 2.0, 1.5, 0.3, -0.7, -2.0, 0.1, 0.4, 3.0, -3.0, 0.2};
static const double W[3] = {0.5, 2.0, 1.25};
static const int32_t LABEL[4] = {2, 0, -1, 1};
static const double SOFT[12] = {0.2, 0.3, 0.5, 1, 0, 0, 0.25, 0.25, 0.5, 0.1, 0.7, 0.2};

static mn_tensor *filled(op_env *e, mn_shape s, const double *v) {
    mn_tensor *t = mn_parameter(e->c, NULL, s);
    ck_assert(t && mn_set_f64(t, v) == MN_OK);
    return t;
}

static void expect(op_env *e, mn_tensor *target, bool weights, double smoothing, double loss, const double *dx) {
    mn_tensor *x = filled(e, MN_SHAPE(4, 3), X), *w = weights ? filled(e, MN_SHAPE(3), W) : NULL;
    mn_tensor *y = mn_cross_entropy(x, target, w, (mn_cross_entropy_opt){smoothing});
    op_expect(e, y, (mn_shape){0}, &loss);
    ASSERT_OK(mn_backward(e->c, y), mn_context_error(e->c));
    op_expect(e, x->grad, MN_SHAPE(4, 3), dx);
    mn_no_grad_begin(e->c); /* nothing is saved then: another path */
    op_expect(e, mn_cross_entropy(x, target, w, (mn_cross_entropy_opt){smoothing}), (mn_shape){0}, &loss);
    mn_no_grad_end(e->c);
}

static void known_values(op_env *e) {
    mn_tensor *labels = mn_labels(e->c, 4, LABEL), *soft = filled(e, MN_SHAPE(4, 3), SOFT);
    expect(e, labels, false, 0, 2.21352272469601,
           (double[]){0.058847352955457, 0.010750441819078, -0.0695977947745351, -0.0972611278528635, 0.0711035818840655,
                      0.0261575459687979, 0, 0, 0, 0.313492748812035, -0.332556262499846, 0.0190635136878116});
    expect(e, labels, true, 0, 3.35679502142345,
           (double[]){0.058847352955457, 0.010750441819078, -0.0695977947745351, -0.0389044511411454, 0.0284414327536262,
                      0.0104630183875192, 0, 0, 0, 0.501588398099256, -0.532090019999754, 0.0305016219004985});
    expect(e, labels, false, 0.1, 2.20130050247379,
           (double[]){0.0477362418443459, -0.00036066929203311, -0.0473755725523129, -0.0750389056306412, 0.0599924707729544,
                      0.0150464348576868, 0, 0, 0, 0.302381637700924, -0.310334040277624, 0.00795240257670046});
    expect(e, labels, true, 0.1, 3.28957890286182,
           (double[]){0.0544029085110126, -0.00702733595869977, -0.0473755725523129, -0.0158512299234283, 0.0149298698888924,
                      0.000921360034535931, 0, 0, 0, 0.478334388726089, -0.496581088694208, 0.0182466999681187});
    expect(e, soft, false, 0, 1.98518080703443,
           (double[]){-0.00586448528340722, -0.0669371686356915, 0.0728016539190987, -0.0729458458896476, 0.0533276864130492,
                      0.0196181594765984, -0.0501172315651405, 0.0386197910270424, 0.0114974405380981, 0.210119561609026,
                      -0.174417196874885, -0.0357023647341413});
    expect(e, soft, false, 0.1, 1.98113914036776,
           (double[]){-0.00919781861674055, -0.0677705019690248, 0.0769683205857654, -0.056279179222981, 0.0449943530797158,
                      0.0112848261432651, -0.0522005648984738, 0.036536457693709, 0.0156641072047647, 0.204286228275693,
                      -0.165250530208218, -0.0390356980674747});
}
START_TEST(test_known_values) { for_each_backend(known_values); }
END_TEST

/* Soft targets with class weights divide by the weight of the targets, 4.775, where PyTorch divides by N. */
static void soft_weights(op_env *e) {
    static const double torch[12] = {0.0314818739724443, -0.14104388634419,    0.109562012371746,   -0.0148605280532141,
                                     0.0139967530208366, 0.000863775032377437, -0.0168132061230922, -0.0027669278828637,
                                     0.0195801340059559, 0.373706207796272,    -0.330702127494601,  -0.0430040803016706};
    double dx[12];
    for (int i = 0; i < 12; i++) dx[i] = torch[i] * 4 / 4.775;
    expect(e, filled(e, MN_SHAPE(4, 3), SOFT), true, 0.1, 2.68263956382639, dx);
}
START_TEST(test_soft_weights) { for_each_backend(soft_weights); }
END_TEST

/* A label and its one-hot row are the same, and a missing label is a row of zeros. */
static void one_hot(op_env *e) {
    double rows[12] = {0};
    for (int n = 0; n < 4; n++)
        if (LABEL[n] >= 0) rows[3 * n + LABEL[n]] = 1;
    for (int k = 0; k < 4; k++) {
        mn_tensor *x = filled(e, MN_SHAPE(4, 3), X), *w = k & 1 ? filled(e, MN_SHAPE(3), W) : NULL;
        mn_cross_entropy_opt o = {.label_smoothing = k & 2 ? 0.2 : 0};
        mn_tensor *y = mn_cross_entropy(x, mn_labels(e->c, 4, LABEL), w, o);
        ASSERT_OK(mn_backward(e->c, y), mn_context_error(e->c));
        double *dx = op_values(x->grad), loss = mn_item(y, 0);
        y = mn_cross_entropy(x, filled(e, MN_SHAPE(4, 3), rows), w, o);
        op_expect(e, y, (mn_shape){0}, &loss);
        ASSERT_OK(mn_backward(e->c, y), mn_context_error(e->c));
        op_expect(e, x->grad, MN_SHAPE(4, 3), dx);
        free(dx);
    }
}
START_TEST(test_one_hot) { for_each_backend(one_hot); }
END_TEST

/* Without any label, or without any sample: loss 0, gradient 0, no NaN. */
static void no_labels(op_env *e) {
    mn_tensor *x = filled(e, MN_SHAPE(4, 3), X), *none = op_input(e, 0, MN_SHAPE(0, 3), -1, 1);
    static const int32_t missing[4] = {-1, -1, -1, -1};
    static const double zero[12] = {0};
    mn_tensor *y = mn_cross_entropy(x, mn_labels(e->c, 4, missing), NULL, (mn_cross_entropy_opt){0.1});
    op_expect(e, y, (mn_shape){0}, zero);
    ASSERT_OK(mn_backward(e->c, y), mn_context_error(e->c));
    op_expect(e, x->grad, MN_SHAPE(4, 3), zero);
    y = mn_cross_entropy(none, mn_labels(e->c, 0, missing), NULL, (mn_cross_entropy_opt){0});
    op_expect(e, y, (mn_shape){0}, zero);
    ASSERT_OK(mn_backward(e->c, y), mn_context_error(e->c));
}
START_TEST(test_no_labels) { for_each_backend(no_labels); }
END_TEST

/* 5003 rows, two threads: against a naive loop. */
static void large(op_env *e) {
    enum { N = 5003, K = 7 };
    mn_tensor *x = op_input(e, 0, MN_SHAPE(N, K), -4, 4);
    static int32_t label[N];
    for (int n = 0; n < N; n++) label[n] = n * 31 % (K + 1) - 1;
    double *v = op_values(x), *dx = calloc(N * K, sizeof *dx), loss = 0, labelled = 0;
    for (int n = 0; n < N; n++) labelled += label[n] >= 0;
    for (int n = 0; n < N; n++) {
        double sum = 0;
        for (int k = 0; k < K; k++) sum += exp(v[n * K + k]);
        if (label[n] < 0) continue;
        loss -= log(exp(v[n * K + label[n]]) / sum) / labelled;
        for (int k = 0; k < K; k++) dx[n * K + k] = (exp(v[n * K + k]) / sum - (k == label[n])) / labelled;
    }
    mn_tensor *y = mn_cross_entropy(x, mn_labels(e->c, N, label), NULL, (mn_cross_entropy_opt){0});
    op_expect(e, y, (mn_shape){0}, &loss);
    ASSERT_OK(mn_backward(e->c, y), mn_context_error(e->c));
    e->tolerance /= 1000; /* the gradients are small */
    op_expect(e, x->grad, MN_SHAPE(N, K), dx);
    free(v), free(dx);
}
START_TEST(test_large) { for_each_backend(large); }
END_TEST

/* The gradient through a layer, where the pass begins with the loss and where something is computed after it; twice, for what
 * the first pass used must still be there; and logits that something else reads too. */
static void through_layers(op_env *e) {
    mn_tensor *h = op_input(e, 0, MN_SHAPE(4, 5), -1, 1), *w = op_input(e, 1, MN_SHAPE(3, 5), -1, 1);
    for (int k = 0; k < 4; k++) {
        mn_tensor *x = k == 1 ? mn_reshape(mn_linear(h, w, NULL), MN_SHAPE(4, 3)) : mn_linear(h, w, NULL);
        if (k == 2) x = mn_relu(x);
        if (k == 3) x->retain_grad = true;
        mn_tensor *y = mn_cross_entropy(x, mn_labels(e->c, 4, LABEL), NULL, (mn_cross_entropy_opt){0.1});
        ASSERT_OK(mn_backward(e->c, mn_scale(y, 0.5)), mn_context_error(e->c));
        double *half = op_values(w->grad), whole[15];
        for (int pass = 0; pass < 3; pass++) {
            for (int i = 0; i < 15; i++) whole[i] = half[i] * 2 * (pass == 2 ? 2 : 1);
            ASSERT_OK(pass == 2 ? mn_backward_accumulate(e->c, y) : mn_backward(e->c, y), mn_context_error(e->c));
            op_expect(e, w->grad, w->shape, whole);
        }
        free(half);
        mn_step_begin(e->c);
    }
}
START_TEST(test_through_layers) { for_each_backend(through_layers); }
END_TEST

static void extremes(op_env *e) {
    mn_tensor *x = filled(e, MN_SHAPE(3, 2), (double[]){10000, -10000, 10000, -10000, (double)-INFINITY, 3});
    mn_tensor *y = mn_cross_entropy(x, mn_labels(e->c, 3, (int32_t[]){0, 1, 1}), NULL, (mn_cross_entropy_opt){0});
    op_expect(e, y, (mn_shape){0}, (double[]){20000.0 / 3});
    ASSERT_OK(mn_backward(e->c, y), mn_context_error(e->c));
    op_expect(e, x->grad, MN_SHAPE(3, 2), (double[]){0, 0, 1.0 / 3, -1.0 / 3, 0, 0});
}
START_TEST(test_extremes) { for_each_backend(extremes); }
END_TEST

static void errors(op_env *e) {
    mn_tensor *x = filled(e, MN_SHAPE(4, 3), X), *row = op_input(e, 1, MN_SHAPE(3), -1, 1);
    mn_tensor *labels = mn_labels(e->c, 4, LABEL), *two = op_input(e, 2, MN_SHAPE(4, 2), 0, 1);
    mn_cross_entropy_opt none = {0};
    op_expect_error(e, mn_cross_entropy(row, labels, NULL, none), MN_ERR_SHAPE, "the logits are (3); wanted (N,K)");
    op_expect_error(e, mn_cross_entropy(x, mn_labels(e->c, 3, LABEL), NULL, none), MN_ERR_SHAPE,
                    "the logits are (4,3) and the labels (3); wanted one label a row, (4)");
    op_expect_error(e, mn_cross_entropy(x, two, NULL, none), MN_ERR_SHAPE, "target probabilities (4,2)");
    op_expect_error(e, mn_cross_entropy(x, labels, two, none), MN_ERR_SHAPE, "the class weights are (4,2); wanted (3)");
    op_expect_error(e, mn_cross_entropy(x, labels, NULL, (mn_cross_entropy_opt){1.5}), MN_ERR_ARG,
                    "label_smoothing is 1.5; wanted 0..1");
    op_expect_error(e, mn_cross_entropy(x, mn_labels(e->c, 4, (int32_t[]){0, 1, 3, 0}), NULL, none), MN_ERR_ARG,
                    "the label of sample 2 is 3; wanted 0..2, or -1");
    op_expect_error(e, mn_cross_entropy(x, mn_labels(e->c, 4, (int32_t[]){0, -2, 1, 0}), NULL, none), MN_ERR_ARG,
                    "the label of sample 1 is -2");
    ck_assert_ptr_null(mn_cross_entropy(x, NULL, NULL, none));
}
START_TEST(test_errors) { for_each_backend(errors); }
END_TEST

TEST_SUITE(cross_entropy, test_known_values, test_soft_weights, test_one_hot, test_no_labels, test_large, test_through_layers, test_extremes,
           test_errors)
