/* Timing single pictures. See latency.h. */
#include "apps/latency.h"
#include "apps/app.h"
#include <stdlib.h>
#include <string.h>

enum { TIMES = 60, WARM = 5 };

static void processor_name(char *out, size_t size) {
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    snprintf(out, size, "unknown processor");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strncmp(line, "model name", 10) ? NULL : strchr(line, ':');
        if (!colon) continue;
        snprintf(out, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    if (f) fclose(f);
}

static int by_time(const void *pa, const void *pb) {
    double a = *(const double *)pa, b = *(const double *)pb;
    return (a > b) - (a < b);
}

static mn_status once(mn_model *m, const float *x) {
    mn_context *c = mn_model_context(m);
    mn_shape in = mn_model_input_shape(m, 0), batch = {.ndim = in.ndim + 1, .dim = {1}};
    memcpy(batch.dim + 1, in.dim, (size_t)in.ndim * sizeof *in.dim);
    mn_status s = mn_step_begin(c);
    if (s) return s;
    mn_tensor *t = mn_input(c, batch, x);
    mn_no_grad_begin(c);
    s = mn_model_forward(m, &t, false);
    mn_no_grad_end(c);
    float *out = app_alloc((size_t)mn_shape_count(mn_model_output_shape(m, 0)), sizeof *out);
    if (!s) s = mn_get(mn_model_result(m, 0), out); /* waits for a device that computes on its own */
    free(out);
    return s;
}

mn_status latency_measure(mn_model *m, latency *out, mn_error *err) {
    int64_t n = mn_shape_count(mn_model_input_shape(m, 0));
    float *x = app_alloc((size_t)n, sizeof *x);
    double time[TIMES];
    mn_rng r = mn_rng_create(1, 0);
    mn_status s = MN_OK;
    for (int64_t i = 0; i < n; i++) x[i] = (float)mn_rng_uniform(&r, 0, 1);
    for (int k = -WARM; k < TIMES && !s; k++) {
        double begun = app_seconds();
        s = once(m, x);
        if (k >= 0) time[k] = 1e3 * (app_seconds() - begun);
    }
    free(x);
    if (s) return mn_fail(err, s, "%s", mn_context_error(mn_model_context(m))->text);
    qsort(time, TIMES, sizeof *time, by_time);
    *out = (latency){.p50 = time[TIMES / 2], .p99 = time[TIMES - 1], .threads = mn_context_threads(mn_model_context(m))};
    processor_name(out->device, sizeof out->device);
    return MN_OK;
}
