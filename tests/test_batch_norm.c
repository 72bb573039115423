/* batch_norm against numbers from PyTorch 1.13 (float64, 15 digits) and Keras's rule for the running statistics, and
 * against plain sums in double on odd shapes. */
#include "tests/op_test.h"
#include "autograd/batch_norm.h"
#include "autograd/ends_in_relu.h"
#include "autograd/separable_conv2d.h"

static const double X[12] = {1.5, -2, 0.25, 3, 0.5, 4, -1, 2, 2.5, 1, 0.75, -3}; /* (3,2,1,2) */
static const double DY[12] = {0.5, -1, 2, 0.25, 1.5, -0.75, 1, 3, -2, 0.5, 0.125, -1};

static mn_tensor *vector(op_env *e, double a, double b) {
    mn_tensor *t = mn_parameter(e->c, NULL, MN_SHAPE(2));
    ck_assert(t && mn_set_f64(t, (double[]){a, b}) == MN_OK);
    return t;
}

typedef struct known {
    double y[12], dx[12], dgamma[2], running_mean[2], running_var[2];
} known;

static void against_pytorch(op_env *e, mn_batch_norm_opt o, const known *k) {
    mn_tensor *x = mn_parameter(e->c, NULL, MN_SHAPE(3, 2, 1, 2)), *dy = mn_parameter(e->c, NULL, x->shape);
    mn_tensor *gamma = vector(e, 1.5, -0.5), *beta = vector(e, 0.25, 2), *rm = vector(e, 0.5, -1), *rv = vector(e, 2, 0.5);
    mn_set_f64(x, X), mn_set_f64(dy, DY);
    mn_tensor *y = mn_batch_norm(x, gamma, beta, rm, rv, o);
    op_expect(e, y, x->shape, k->y);
    op_expect(e, rm, rm->shape, k->running_mean);
    op_expect(e, rv, rv->shape, k->running_var);
    ASSERT_OK(mn_backward_from(e->c, y, dy), mn_context_error(e->c));
    op_expect(e, x->grad, x->shape, k->dx);
    op_expect(e, gamma->grad, gamma->shape, k->dgamma);
    op_expect(e, beta->grad, beta->shape, (double[]){-1.25, 5.375});
    ck_assert_ptr_null(rm->grad);
}

static void numbers(op_env *e) {
    known training = {
        {0.45346707810317, -2.39507201534121, 2.0212979332909, 1.31846613469127, -0.360401234309509, 2.48813785913487,
         2.34076693265436, 1.57404133418205, 1.26733539051585, 0.0465329218968302, 1.89351033354551, 2.85191733163591},
        {0.600824042304195, -0.960654253814489, -0.289201684748842, 0.389189179626768, 1.31735640400268, -0.173171471426179,
         -0.138687514924778, -0.397691442706224, -1.33651078801331, 0.5521560669471, 0.23202622616304, 0.204365236590035},
        {-1.3225360076706, 3.86025040897522},
        {0.575, -0.866666666666667},
        {2.2075, 0.909166666666667}};
    against_pytorch(e, (mn_batch_norm_opt){.training = true, .eps = 1e-3}, &training);
    /* Keras's momentum 0.9 is our 0.1; its running variance is the biased one. */
    training.running_var[0] = 2.13958333333333, training.running_var[1] = 0.832638888888889;
    against_pytorch(e, (mn_batch_norm_opt){.training = true, .momentum = 0.1, .eps = 1e-3, .biased_running = true}, &training);
    training.running_mean[0] = 0.5, training.running_mean[1] = -1;
    training.running_var[0] = 2, training.running_var[1] = 0.5;
    against_pytorch(e, (mn_batch_norm_opt){.training = true, .momentum = -1, .eps = 1e-3}, &training);
    static const known evaluation = {
        {1.31039510613235, -2.40098776533088, 1.11699908337393, -0.825602933203415, 0.25, 3.96138287146324, 2, -0.119202199902561,
         2.37079021226471, 0.780197553066177, 0.763798716723506, 3.41280146660171},
        {0.530197553066177, -1.06039510613235, -1.41280146660171, -0.176600183325213, 1.59059265919853, -0.795296329599265,
         -0.706400733300854, -2.11920219990256, -2.12079021226471, 0.530197553066177, -0.0883000916626067, 0.706400733300854},
        {-2.3858889887978, 20.7946715865439},
        {0.5, -1},
        {2, 0.5}};
    against_pytorch(e, (mn_batch_norm_opt){.eps = 1e-3}, &evaluation);
}
START_TEST(test_numbers) { for_each_backend(numbers); }
END_TEST

/* Training mode by the definition: gradients from d mean / d x and d var / d x, term by term. */
static void one_case(op_env *e, mn_shape s, double centre) {
    int64_t C = s.dim[1], pixels = s.ndim == 4 ? s.dim[2] * s.dim[3] : 1;
    mn_tensor *x = op_input(e, 0, s, centre - 1, centre + 1), *dy = op_input(e, 1, s, -1, 1);
    mn_tensor *gamma = op_input(e, 2, MN_SHAPE(C), 0.5, 1.5), *beta = op_input(e, 3, MN_SHAPE(C), -1, 1);
    double *v = op_values(x), *g = op_values(dy), *ga = op_values(gamma), *be = op_values(beta);
    double *Y = calloc((size_t)x->count, sizeof *Y), *DX = calloc((size_t)x->count, sizeof *DX);
    double *DG = calloc((size_t)C, sizeof *DG), *DB = calloc((size_t)C, sizeof *DB);
    double M = (double)(x->count / C);
    for (int64_t c = 0; c < C; c++) {
        double mean = 0, var = 0, dvar = 0, dmean = 0;
        for (int64_t i = 0; i < x->count; i++) mean += i / pixels % C == c ? v[i] / M : 0;
        for (int64_t i = 0; i < x->count; i++) var += i / pixels % C == c ? (v[i] - mean) * (v[i] - mean) / M : 0;
        double sd = sqrt(var + 1e-5);
        for (int64_t i = 0; i < x->count; i++) {
            if (i / pixels % C != c) continue;
            Y[i] = (v[i] - mean) / sd * ga[c] + be[c];
            DG[c] += g[i] * (v[i] - mean) / sd, DB[c] += g[i];
            dvar += g[i] * ga[c] * (v[i] - mean) * -0.5 / (sd * sd * sd), dmean -= g[i] * ga[c] / sd;
        }
        for (int64_t i = 0; i < x->count; i++)
            if (i / pixels % C == c) DX[i] = g[i] * ga[c] / sd + dvar * 2 * (v[i] - mean) / M + dmean / M;
    }
    mn_tensor *y = mn_batch_norm(x, gamma, beta, NULL, NULL, (mn_batch_norm_opt){.training = true});
    double tolerance = e->tolerance;
    e->tolerance *= 1 + 5 * fabs(centre); /* x itself is rounded to the type: |x| times that */
    op_expect(e, y, s, Y);
    for (int pass = 0; pass < 2; pass++) {
        ASSERT_OK(mn__backward_from(e->c, y, dy, pass), mn_context_error(e->c));
        op_expect(e, x->grad, s, DX);
        op_expect(e, gamma->grad, gamma->shape, DG);
        op_expect(e, beta->grad, beta->shape, DB);
        for (int64_t i = 0; i < x->count; i++) DX[i] *= 2;
        for (int64_t i = 0; i < C; i++) DG[i] *= 2, DB[i] *= 2;
    }
    e->tolerance = tolerance;
    free(v), free(g), free(ga), free(be), free(Y), free(DX), free(DG), free(DB);
    mn_step_begin(e->c);
}

static void definition(op_env *e) {
    one_case(e, MN_SHAPE(2, 1), 0);
    one_case(e, MN_SHAPE(7, 5), 0);
    one_case(e, MN_SHAPE(1, 3, 2, 1), 0);
    one_case(e, MN_SHAPE(3, 5, 7, 11), 0);
    one_case(e, MN_SHAPE(5, 2, 19, 13), 0);
    one_case(e, MN_SHAPE(4, 9, 33, 30), 0); /* large enough for two threads */
    one_case(e, MN_SHAPE(4, 2, 9, 8), 100); /* a mean far above the deviation: sums of squares would cancel */
}
START_TEST(test_definition) { for_each_backend(definition); }
END_TEST

/* With a sum and ReLU in the same operation: the values and gradients of them one after the other. sum 2: x itself is added. */
static void one_relu(op_env *e, mn_shape s, bool training, int sum, bool relu) {
    int64_t C = s.dim[1];
    mn_tensor *x = op_input(e, 0, s, -1, 1), *dy = op_input(e, 1, s, -1, 1), *var = op_input(e, 4, MN_SHAPE(C), 0.2, 2);
    mn_tensor *gamma = op_input(e, 2, MN_SHAPE(C), -1.5, 1.5), *beta = op_input(e, 3, MN_SHAPE(C), -0.5, 0.5);
    mn_tensor *mean = op_input(e, 5, MN_SHAPE(C), -0.3, 0.3), *more = sum == 1 ? op_input(e, 6, s, -1, 1) : sum ? x : NULL;
    mn_tensor *of[] = {x, gamma, beta, more}; /* sum 2: the last is the first once more */
    mn_batch_norm_opt o = {.training = training, .momentum = -1};
    mn_tensor *apart = mn_batch_norm(x, gamma, beta, mean, var, o);
    if (sum) apart = mn_add(apart, more);
    if (relu) apart = mn_relu(apart);
    uint64_t before = e->c->next_node;
    mn_tensor *y = mn__batch_norm_add(x, gamma, beta, mean, var, more, relu, o);
    ck_assert_uint_eq(e->c->next_node - before, 1 + (sum > 0) + relu);
    int n = sum ? 4 : 3;
    double *want = op_values(apart), *grad[4];
    op_expect(e, y, s, want);
    ASSERT_OK(mn_backward_from(e->c, apart, dy), mn_context_error(e->c));
    for (int i = 0; i < n; i++) grad[i] = op_values(of[i]->grad);
    for (int pass = 0; pass < 2; pass++) { /* the second adds to the first */
        ASSERT_OK(mn__backward_from(e->c, y, dy, pass), mn_context_error(e->c));
        for (int i = 0; i < n; i++) {
            op_expect(e, of[i]->grad, of[i]->shape, grad[i]);
            for (int64_t k = 0; k < of[i]->count; k++) grad[i][k] *= 2;
        }
    }
    for (int i = 0; i < n; i++) free(grad[i]);
    free(want);
    mn_step_begin(e->c);
}
static void relu(op_env *e) {
    for (int k = 0; k < 10; k++) {
        bool training = k % 2, relu = k < 6;
        int sum = k < 6 ? k / 2 : k / 2 - 2;
        one_relu(e, MN_SHAPE(7, 5), training, sum, relu);
        one_relu(e, MN_SHAPE(3, 5, 7, 11), training, sum, relu);
        if (sum < 2) one_relu(e, MN_SHAPE(4, 9, op_size(e, 33, 11), 30), training, sum, relu); /* two threads */
    }
}
/* Nobody asks for the gradient of x, or of what is added. */
static void partly(op_env *e) {
    for (int k = 0; k < 2; k++) {
        mn_tensor *x = op_input(e, 0, MN_SHAPE(2, 3, 5, 3), -1, 1), *more = op_input(e, 1, x->shape, -1, 1);
        mn_tensor *dy = op_input(e, 2, x->shape, -1, 1), *kept = k ? x : more;
        (k ? more : x)->requires_grad = false;
        mn_batch_norm_opt o = {.training = true};
        ASSERT_OK(mn_backward_from(e->c, mn_relu(mn_add(mn_batch_norm(x, NULL, NULL, NULL, NULL, o), more)), dy),
                  mn_context_error(e->c));
        double *want = op_values(kept->grad);
        ASSERT_OK(mn_backward_from(e->c, mn__batch_norm_add(x, NULL, NULL, NULL, NULL, more, true, o), dy),
                  mn_context_error(e->c));
        op_expect(e, kept->grad, kept->shape, want);
        free(want);
        mn_step_begin(e->c);
    }
}
START_TEST(test_relu) { for_each_backend(relu); }
END_TEST
START_TEST(test_partly) { for_each_backend(partly); }
END_TEST

/* What may read batch norm that is pending, and what has it settled. */
static mn_tensor *reader(op_env *e, int kind, mn_tensor *x) {
    int64_t C = x->shape.dim[1];
    const int same[] = {1, 1, 1, 1};
    mn_pool2d_opt three = {.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1, 1, 1}};
    mn_tensor *one = op_input(e, 10, MN_SHAPE(6, C, 1, 1), -1, 1), *depth = op_input(e, 11, MN_SHAPE(C, 1, 3, 3), -1, 1);
    mn_tensor *full = op_input(e, 12, MN_SHAPE(17, C, 3, 3), -0.3, 0.3), *few = op_input(e, 13, MN_SHAPE(5, C, 3, 3), -0.3, 0.3);
    switch (kind) {
    case 0:
        return mn__separable_conv2d(x, depth, one, same);
    case 1:
        return mn_conv2d(x, few, NULL, (mn_conv2d_opt){.padding = {1, 1, 0, 2}});
    case 2:
        return mn_conv2d(x, depth, NULL, (mn_conv2d_opt){.groups = (int)C, .padding = {1, 1, 1, 1}});
    case 3:
        return mn_conv2d(x, one, NULL, (mn_conv2d_opt){.stride = {2, 2}});
    case 4:
        return mn_max_pool2d(x, three);
    case 5:
        return mn_max_pool2d(x, (mn_pool2d_opt){.kernel = {2, 2}});
    case 6:
        return mn_conv2d(x, full, NULL, (mn_conv2d_opt){.padding = {1, 1, 1, 1}});
    case 7:
        return mn_max_pool2d(x, (mn_pool2d_opt){.kernel = {2, 3}, .stride = {1, 1}});
    case 8:
        return mn_global_avg_pool2d(x);
    case 9:
        return mn_add(mn_max_pool2d(x, three), mn_conv2d(x, op_input(e, 14, MN_SHAPE(C, C, 1, 1), -1, 1), NULL,
                                                         (mn_conv2d_opt){.stride = {2, 2}})); /* two readers */
    case 10:
        return mn_conv2d(x, one, NULL, (mn_conv2d_opt){0}); /* the pending one is settled after a first reader */
    default:
        return NULL;
    }
}

/* Batch norm left pending: the results and gradients of the one that is computed. */
static void one_pending(op_env *e, int kind, mn_shape s, bool relu) {
    int64_t C = s.dim[1];
    mn_batch_norm_opt o = {.training = true, .momentum = -1};
    double *want = NULL, *grad[4] = {0}, tolerance = e->tolerance;
    for (int pending = 0; pending < 2; pending++) {
        mn_tensor *x = op_input(e, 0, s, -1, 1), *gamma = op_input(e, 2, MN_SHAPE(C), -1.5, 1.5);
        mn_tensor *beta = op_input(e, 3, MN_SHAPE(C), -0.5, 0.5), *in = mn_neg(x); /* not a leaf */
        mn_tensor *z = pending ? mn__batch_norm_pending(in, gamma, beta, NULL, NULL, relu, o)
                               : mn__batch_norm_add(in, gamma, beta, NULL, NULL, NULL, relu, o);
        if (kind == 10) reader(e, 0, z);
        mn_tensor *y = reader(e, kind, z),
                  *w = kind == 4 || kind == 5 || kind == 7 || kind == 8 || kind == 9 ? NULL : y->node->in[1];
        ck_assert_msg(y != NULL, "%s", mn_context_error(e->c)->text);
        mn_tensor *dy = op_input(e, 1, y->shape, -1, 1), *of[] = {x, gamma, beta, w};
        ASSERT_OK(mn_backward_from(e->c, y, dy), mn_context_error(e->c));
        e->tolerance = tolerance * fmax(1, sqrt((double)(x->count / C)) / 3); /* sums over all pixels */
        if (!pending)
            want = op_values(y);
        else
            op_expect(e, y, y->shape, want);
        for (int i = 0; i < 4 && of[i]; i++) {
            if (!pending)
                grad[i] = op_values(of[i]->grad);
            else
                op_expect(e, of[i]->grad, of[i]->shape, grad[i]);
        }
        e->tolerance = tolerance;
        mn_step_begin(e->c);
    }
    free(want);
    for (int i = 0; i < 4; i++) free(grad[i]);
}
static void pending(op_env *e) {
    for (int kind = 0; kind < 11; kind++)
        for (int relu = 0; relu < 2; relu++) {
            one_pending(e, kind, MN_SHAPE(2, 3, 5, 4), relu);
            one_pending(e, kind, MN_SHAPE(3, 17, 9, 20), relu);
            one_pending(e, kind, MN_SHAPE(3, 5, op_size(e, 60, 11), 34), relu); /* two threads */
        }
}
START_TEST(test_pending) { for_each_backend(pending); }
END_TEST

/* Behind a convolution that has left statistics of its result: the same as behind one that has not. centre: its bias. */
static void behind(op_env *e, mn_shape xs, mn_shape ws, int groups, double centre) {
    mn_tensor *x = op_input(e, 0, xs, -1, 1), *w = op_input(e, 1, ws, -1, 1), *dy, *mean[2], *var[2], *y[2];
    mn_tensor *b = op_input(e, 2, MN_SHAPE(ws.dim[0]), centre - 1, centre + 1);
    mn_tensor *gamma = op_input(e, 3, b->shape, 0.5, 1.5), *beta = op_input(e, 4, b->shape, -1, 1), *of[] = {x, w, gamma, beta};
    const mn_conv2d_opt o = {.groups = groups, .padding = {1, 1, 1, 1}};
    double tolerance = e->tolerance, *want, *grad[4];
    e->tolerance *= 1 + 5 * fabs(centre);
    for (int k = 0; k < 2; k++) {
        mean[k] = op_input(e, 5, b->shape, -1, 1), var[k] = op_input(e, 6, b->shape, 0, 1);
        mn_tensor *z = (k ? mn__conv2d_measured : mn_conv2d)(x, w, b, o);
        if (k && mn_context_device(e->c) == MN_CUDA) ck_assert_ptr_nonnull(z->node->saved[0]);
        y[k] = mn_batch_norm(z, gamma, beta, mean[k], var[k], (mn_batch_norm_opt){.training = true});
    }
    dy = op_input(e, 7, y[0]->shape, -1, 1);
    want = op_values(y[0]);
    op_expect(e, y[1], y[0]->shape, want);
    free(want);
    for (int i = 0; i < 2; i++) {
        want = op_values(i ? var[0] : mean[0]);
        op_expect(e, i ? var[1] : mean[1], b->shape, want);
        free(want);
    }
    ASSERT_OK(mn_backward_from(e->c, y[0], dy), mn_context_error(e->c));
    for (int i = 0; i < 4; i++) grad[i] = op_values(of[i]->grad);
    ASSERT_OK(mn_backward_from(e->c, y[1], dy), mn_context_error(e->c));
    for (int i = 0; i < 4; i++) op_expect(e, of[i]->grad, of[i]->shape, grad[i]), free(grad[i]);
    e->tolerance = tolerance;
    mn_step_begin(e->c);
}
static void measured(op_env *e) {
    behind(e, MN_SHAPE(2, 2, 3, 1), MN_SHAPE(5, 2, 3, 3), 1, 0); /* less than a strip */
    behind(e, MN_SHAPE(3, 5, 7, 11), MN_SHAPE(7, 5, 3, 3), 1, 0);
    behind(e, MN_SHAPE(3, 4, 7, 11), MN_SHAPE(70, 2, 3, 3), 2, 0); /* two groups of 35 */
    behind(e, MN_SHAPE(3, 2, 13, 11), MN_SHAPE(70, 2, 3, 3), 1, 100);
}
START_TEST(test_measured) { for_each_backend(measured); }
END_TEST

static void errors(op_env *e) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(2, 3, 4, 4), -1, 1), *v = op_input(e, 1, MN_SHAPE(3), 1, 2);
    mn_tensor *w = op_input(e, 2, MN_SHAPE(4), 1, 2), *one = op_input(e, 3, MN_SHAPE(1, 3), -1, 1);
    mn_batch_norm_opt t = {.training = true};
    op_expect_error(e, mn_batch_norm(v, NULL, NULL, NULL, NULL, t), MN_ERR_SHAPE, "input is (3), wanted (N,C)");
    op_expect_error(e, mn_batch_norm(x, w, NULL, NULL, NULL, t), MN_ERR_SHAPE, "gamma is (4), wanted (3)");
    op_expect_error(e, mn_batch_norm(x, v, v, v, w, t), MN_ERR_SHAPE, "running_var is (4), wanted (3)");
    op_expect_error(e, mn_batch_norm(x, v, v, v, NULL, t), MN_ERR_ARG, "give both or neither");
    op_expect_error(e, mn_batch_norm(x, v, v, NULL, NULL, (mn_batch_norm_opt){0}), MN_ERR_ARG, "outside of training");
    op_expect_error(e, mn_batch_norm(x, v, v, v, v, (mn_batch_norm_opt){.eps = -1}), MN_ERR_ARG, "eps is -1");
    op_expect_error(e, mn_batch_norm(x, v, v, v, v, (mn_batch_norm_opt){.momentum = 2}), MN_ERR_ARG, "momentum is 2");
    op_expect_error(e, mn_batch_norm(one, v, v, v, v, t), MN_ERR_SHAPE, "one value a channel");
    op_expect_error(e, mn__batch_norm_add(x, v, v, v, v, one, true, t), MN_ERR_SHAPE, "what is added is (1,3)");
    ck_assert_ptr_null(mn_batch_norm(NULL, v, v, v, v, t));
}
START_TEST(test_errors) { for_each_backend(errors); }
END_TEST

TEST_SUITE(batch_norm, test_numbers, test_definition, test_relu, test_partly, test_measured, test_pending, test_errors)
