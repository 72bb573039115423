/* Runs a model file on arrays: build/run_model MODEL OUT IN.npy [IN2.npy ...] writes OUT0.npy, OUT1.npy, ...: a file for each
 * output. For tests/keras/zoo.py. */
#include "data/data.h"
#include <stdio.h>

enum { MAX_INPUTS = 8 };

static mn_status run(mn_model *m, int n, char **path, const char *out, mn_error *err) {
    mn_context *c = mn_model_context(m);
    mn_tensor *in[MAX_INPUTS];
    if (n != mn_model_inputs(m) || n > MAX_INPUTS)
        return mn_fail(err, MN_ERR_ARG, "%d arrays are given; wanted %d", n, mn_model_inputs(m));
    mn_step_begin(c);
    for (int i = 0; i < n; i++) {
        mn_array a;
        if (mn_npy_load(path[i], &a, err)) return err->status;
        in[i] = mn_input(c, a.shape, a.data);
        mn_array_free(&a);
    }
    mn_no_grad_begin(c);
    mn_status s = mn_model_forward(m, in, false);
    mn_no_grad_end(c);
    for (int i = 0; i < mn_model_outputs(m) && !s; i++) {
        mn_tensor *t = mn_model_result(m, i);
        float *x = mn_alloc((size_t)t->count * sizeof *x);
        char name[512];
        snprintf(name, sizeof name, "%s%d.npy", out, i);
        s = !x ? mn_fail(err, MN_ERR_MEMORY, "out of memory") : mn_get(t, x);
        if (!s) s = mn_npy_save(name, MN_F32, t->shape, x, err);
        mn_free(x);
    }
    return s ? mn_fail(err, s, "%s", mn_context_error(c)->text) : MN_OK;
}

int main(int argc, char **argv) {
    mn_error err = {0};
    if (argc < 4) return fputs("wanted: MODEL OUT IN.npy ...\n", stderr), 2;
    mn_context *c = mn_context_create(&(mn_context_opt){.threads = 1}, &err);
    mn_model *m = c ? mn_model_load(c, argv[1], NULL, &err) : NULL;
    if (m) run(m, argc - 3, argv + 3, argv[2], &err);
    mn_context_destroy(c);
    if (err.status) fprintf(stderr, "%s\n", err.text);
    return err.status != MN_OK;
}
