/* One step of SGD after a network has gone through a file equals that of the original: what can be read can be trained. */
#include "data/data.h"
#include "data/onnx/onnx.h"
#include "optim/optim.h"
#include "tests/op_test.h"
#include <unistd.h>

#if MN_HAVE_JSON && (MN_HAVE_HDF5 || MN_HAVE_PROTOBUF)

/* Every parameter random, so that nothing is equal by accident, and of a size that keeps activations moderate. */
static void scramble(mn_model *m) {
    int n;
    mn_tensor **p = mn_model_parameters(m, NULL, &n);
    for (int i = 0; i < n; i++) {
        int64_t fan = p[i]->count / p[i]->shape.dim[0];
        bool kernel = p[i]->shape.ndim >= 2, positive = strstr(p[i]->name, "variance") || strstr(p[i]->name, "gamma");
        double reach = kernel ? sqrt(6.0 / (double)fan) : 0.3;
        mn_fill_uniform(p[i], 900 + (uint64_t)i, positive ? 0.5 : -reach, positive ? 1.5 : reach);
    }
}

/* One step on `input` (N first), or on three random samples; the loss is the mean square of each output, added. */
static void step(mn_model *m, const mn_array *input) {
    mn_context *c = mn_model_context(m);
    mn_shape s = mn_model_input_shape(m, 0), batch = {.ndim = s.ndim + 1, .dim = {3}};
    for (int i = 0; i < s.ndim; i++) batch.dim[i + 1] = s.dim[i];
    int n;
    mn_tensor **p = mn_model_parameters(m, &n, NULL);
    mn_optim *sgd = mn_optim_create(c, p, n, (mn_optim_opt){.kind = MN_SGD, .lr = 0.1});
    ck_assert_msg(sgd != NULL, "%s", mn_context_error(c)->text);
    mn_step_begin(c);
    mn_tensor *x = mn_input(c, input ? input->shape : batch, input ? input->data : NULL);
    double *v = malloc((size_t)x->count * sizeof *v);
    mn_rng r = mn_rng_create(3, 4);
    for (int64_t i = 0; i < x->count; i++) v[i] = mn_rng_uniform(&r, -1, 1);
    if (!input) ASSERT_OK(mn_set_f64(x, v), mn_context_error(c));
    free(v);
    ASSERT_OK(mn_model_forward(m, &x, true), mn_context_error(c));
    mn_tensor *loss = mn_mean(mn_square(mn_model_result(m, 0)));
    for (int o = 1; o < mn_model_outputs(m); o++) loss = mn_add(loss, mn_mean(mn_square(mn_model_result(m, o))));
    ASSERT_OK(mn_backward(c, loss), mn_context_error(c));
    ASSERT_OK(mn_optim_step(sgd), mn_context_error(c));
}

static double **values_of(mn_model *m) {
    int n;
    mn_tensor **p = mn_model_parameters(m, NULL, &n);
    double **v = malloc((size_t)n * sizeof *v);
    for (int i = 0; i < n; i++) v[i] = op_values(p[i]);
    return v;
}

static void free_values(mn_model *m, double **v) {
    int n;
    mn_model_parameters(m, NULL, &n);
    for (int i = 0; i < n; i++) free(v[i]);
    free(v);
}

/* The tensor of b that holds the values of a's parameter i: the one of its name, or where a graph has another word for a layer
 * (a separable convolution is two) the one that holds the same numbers. */
static mn_tensor **twins_of(const char *what, mn_model *a, double *const *values, mn_model *b) {
    int n, m;
    mn_tensor **p = mn_model_parameters(a, NULL, &n), **q = mn_model_parameters(b, NULL, &m);
    mn_tensor **twin = malloc((size_t)n * sizeof *twin);
    for (int i = 0; i < n; i++) {
        twin[i] = mn_model_parameter(b, p[i]->name);
        for (int k = 0; k < m && !twin[i]; k++) {
            double *v = q[k]->count == p[i]->count ? op_values(q[k]) : NULL;
            if (v && !memcmp(v, values[i], (size_t)p[i]->count * sizeof *v)) twin[i] = q[k];
            free(v);
        }
        ck_assert_msg(twin[i] && twin[i]->count == p[i]->count, "%s: %s is not there", what, p[i]->name);
    }
    return twin;
}

/* After a step of both, each of a's first n parameters (then statistics) is its twin's; `before`: of a, before the step. */
static void check_same(const char *what, mn_model *a, int n, double *const *before, mn_tensor *const *twin) {
    mn_tensor **p = mn_model_parameters(a, NULL, NULL);
    for (int i = 0; i < n; i++) {
        double *x = op_values(p[i]), *y = op_values(twin[i]), largest = 1e-3, worst = 0;
        for (int64_t k = 0; k < p[i]->count; k++) {
            largest = fmax(largest, fabs(x[k] - before[i][k]));
            if (!(fabs(x[k] - y[k]) <= worst)) worst = fabs(x[k] - y[k]);
        }
        ck_assert_msg(worst <= 1e-4 * largest + 1e-6, "%s: %s differs by %g, its step is up to %g", what, p[i]->name, worst,
                      largest);
        free(x), free(y);
    }
}

/* The ways a network can take through a file. */
static mn_model *through(mn_model *m, int way, mn_context *d) {
    mn_error err = {0};
    mn_model_info info;
    const char *path = test_path(way == 0 ? "step.h5" : "step.onnx");
    ASSERT_OK(mn_model_save(m, NULL, path, &err), &err);
    mn_model *again = way < 2 ? mn_model_load(d, path, &info, &err) : mn_onnx_load_graph(d, path, &info, &err);
    ck_assert_msg(again != NULL, "%s", err.text);
    mn_model_info_free(&info);
    mn_model_set_dropout(again, 0);
    return again;
}

START_TEST(test_named) {
    static const mn_net_head heads[] = {{"emotion", 7}, {"gender", 2}};
    static const char *const ways[] = {"Keras", "ONNX", "ONNX's graph"};
    const char *name = mn_net_names[_i];
    mn_context *c = op_context(MN_F32, 3);
    mn_model *m = mn_net_create(c, name, &(mn_net_opt){.channels = 3, .height = 21, .width = 26, .heads = heads, .n_heads = 2});
    ck_assert_msg(m != NULL, "%s", mn_context_error(c)->text);
    mn_model_set_dropout(m, 0);
    scramble(m);
    mn_context *d[3] = {NULL};
    mn_model *again[3] = {NULL};
    for (int way = MN_HAVE_HDF5 ? 0 : 1; way < (MN_HAVE_PROTOBUF ? 3 : 1); way++) {
        if (way == 2 && !strcmp(name, "convlstm")) continue; /* its steps are in the graph one by one */
        d[way] = op_context(MN_F32, 4);
        again[way] = through(m, way, d[way]);
    }
    int all;
    mn_model_parameters(m, NULL, &all);
    double **before = values_of(m);
    step(m, NULL);
    for (int way = 0; way < 3; way++) {
        char what[80];
        if (!again[way]) continue;
        snprintf(what, sizeof what, "%s through %s", name, ways[way]);
        mn_tensor **twin = twins_of(what, m, before, again[way]);
        step(again[way], NULL);
        check_same(what, m, all, before, twin);
        free(twin);
        mn_context_destroy(d[way]);
    }
    free_values(m, before);
    mn_context_destroy(c);
}
END_TEST

/* ---- networks of PyTorch: files of tests/onnx/step.py ---- */

static const mn_array *array_named(const mn_array *list, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (!strcmp(list[i].name, name)) return &list[i];
    ck_abort_msg("there is no array \"%s\"", name);
    return NULL;
}

static void check_output(mn_model *m, const mn_array *input, const mn_array *want) {
    mn_context *c = mn_model_context(m);
    mn_step_begin(c);
    mn_tensor *x = mn_input(c, input->shape, input->data);
    ASSERT_OK(mn_model_forward(m, &x, false), mn_context_error(c));
    ck_assert(mn_shape_equal(mn_model_result(m, 0)->shape, want->shape));
    double *y = op_values(mn_model_result(m, 0));
    for (int64_t k = 0; k < mn_shape_count(want->shape); k++) ASSERT_CLOSE(y[k], ((const float *)want->data)[k], 1e-5);
    free(y);
}

START_TEST(test_torch) {
    static const char *const names[] = {"residual", "mobile", "rows", "mixed"};
    char path[80];
    if (access("tests/golden/torch-rows.onnx", R_OK) || !MN_HAVE_PROTOBUF) {
        test_skip("PyTorch's steps: run from the source folder, with protobuf-c");
        return;
    }
    mn_context *c = op_context(MN_F32, 3), *d = op_context(MN_F32, 4);
    mn_error err = {0};
    mn_array *list;
    int n, trained;
    snprintf(path, sizeof path, "tests/golden/torch-%s.safetensors", names[_i]);
    ASSERT_OK(mn_safetensors_load(path, &list, &n, &err), &err);
    snprintf(path, sizeof path, "tests/golden/torch-%s.onnx", names[_i]);
    mn_model *m = mn_model_load(c, path, NULL, &err), *torch = m ? mn_model_load(d, path, NULL, &err) : NULL;
    ck_assert_msg(torch != NULL, "%s", err.text);
    check_output(m, array_named(list, n, "input"), array_named(list, n, "output"));
    double **before = values_of(m);
    step(m, array_named(list, n, "input"));
    snprintf(path, sizeof path, "tests/golden/torch-%s.safetensors", names[_i]);
    mn_tensor **p = mn_model_parameters(m, &trained, NULL);
    ck_assert_msg(mn_weights_load(torch, path, false, &err) == trained, "%s has other parameters: %s", path, err.text);
    mn_tensor **twin = malloc((size_t)trained * sizeof *twin);
    for (int i = 0; i < trained; i++) twin[i] = mn_model_parameter(torch, p[i]->name);
    check_same(path, m, trained, before, twin);
    free(twin);
    free_values(m, before);
    mn_arrays_free(list, n);
    mn_context_destroy(c);
    mn_context_destroy(d);
}
END_TEST

Suite *suite_step(void);
Suite *suite_step(void) {
    Suite *s = suite_create("step");
    TCase *c = tcase_create("step");
    int n = 0;
    while (mn_net_names[n]) n++;
    tcase_set_timeout(c, 300);
    tcase_add_loop_test(c, test_named, 0, n);
    tcase_add_loop_test(c, test_torch, 0, 4);
    suite_add_tcase(s, c);
    return s;
}
#else
START_TEST(test_skipped) { test_skip("steps after reading need model files"); }
END_TEST
TEST_SUITE(step, test_skipped)
#endif
