/* mien bench --ladder: every step of cuda/ladder (docs/ladder.md), its time and its error. */
#include "apps/app.h"
#include "apps/bench_ladder.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef MN_HAVE_CUDA
#include "cuda/ladder/ladder.h"

/* Some outputs, in double, from the factors as they are. */
enum { SAMPLES = 64 };
static double product_at(const mn__ladder *l, const double *a, const double *b, int64_t at) {
    int64_t n = l->size;
    double sum = 0;
    for (int64_t k = 0; k < n; k++) sum += a[at / n * n + k] * b[k * n + at % n];
    return sum;
}
static double convolution_at(const mn__ladder *l, const double *x, const double *w, bool backwards, int64_t at) {
    int64_t n = l->size, c = l->channels, q = at % n, p = at / n % n, k = at / n / n % c, image = at / n / n / c;
    double sum = 0;
    for (int64_t i = 0; i < 9 * c; i++) {
        int64_t ch = i / 9, r = i % 9 / 3, s = i % 3, h = backwards ? p + 1 - r : p + r - 1,
                v = backwards ? q + 1 - s : q + s - 1;
        if (h < 0 || h >= n || v < 0 || v >= n) continue;
        sum += x[((image * c + ch) * n + h) * n + v] * w[((backwards ? ch * c + k : k * c + ch) * 3 + r) * 3 + s];
    }
    return sum;
}

/* The largest error of SAMPLES outputs, relative to the root of the mean square of the right ones. */
static mn_status error_of(const mn__ladder *l, int step, const double *left, const double *right, double *error) {
    double *got = app_alloc((size_t)l->result->count, sizeof *got), worst = 0, squares = 0;
    mn_status s = mn_get_f64(l->result, got);
    mn_rng r = mn_rng_create(9, (uint64_t)step);
    for (int i = 0; i < SAMPLES && !s; i++) {
        int64_t at = (int64_t)mn_rng_below(&r, (uint64_t)l->result->count);
        double want = l->convolution ? convolution_at(l, left, right, step == 8, at) : product_at(l, left, right, at);
        double off = fabs(got[at] - want);
        if (!(off <= worst)) worst = off;
        squares += want * want;
    }
    *error = worst / sqrt(squares / SAMPLES);
    free(got);
    return s;
}

static mn_status run_steps(mn_context *c, const mn__ladder *l, double budget) {
    double *left = app_alloc((size_t)l->left->count, sizeof *left), *right = app_alloc((size_t)l->right->count, sizeof *right);
    mn_status s = mn_get_f64(l->left, left);
    if (!s) s = mn_get_f64(l->right, right);
    printf("step                                         ms     GFLOP/s   largest error\n");
    for (int step = 1; step <= MN__LADDER_STEPS && !s; step++) {
        double once = 0, seconds = 0, error = 0;
        s = mn__ladder_run(c, l, step, 1, &once);
        int times = once > 0 ? (int)fmin(1000, budget / once) : 1000;
        if (!s) s = mn__ladder_run(c, l, step, times < 1 ? 1 : times, &seconds);
        if (!s) s = error_of(l, step, left, right, &error);
        if (!s)
            printf("%d %-34s %10.4f  %10.1f        %.1e%s\n", step, mn__ladder_idea(l->convolution, step), 1e3 * seconds,
                   mn__ladder_flop(l) / seconds / 1e9, error, mn__ladder_rounds(step) ? "  (tf32)" : "");
    }
    free(left), free(right);
    return s;
}

static mn_status one_ladder(mn_context *c, mn__ladder l, double budget) {
    int64_t n = l.size, ch = l.channels;
    mn_shape image = MN_SHAPE(l.images, ch, n, n), square = MN_SHAPE(n, n);
    mn_tensor *a = mn_parameter(c, NULL, l.convolution ? image : square);
    mn_tensor *b = a ? mn_parameter(c, NULL, l.convolution ? MN_SHAPE(ch, ch, 3, 3) : square) : NULL;
    l.result = b ? mn_parameter(c, NULL, l.convolution ? image : square) : NULL;
    l.scratch = l.result ? mn_parameter(c, NULL, MN_SHAPE(mn__ladder_scratch(&l))) : NULL;
    if (!l.scratch || mn_fill_uniform(a, 1, -1, 1) || mn_fill_uniform(b, 2, -1, 1)) return mn_context_error(c)->status;
    l.left = a, l.right = b;
    if (l.convolution)
        printf("\nconvolution 3x3, %d images of %d channels of %dx%d to %d channels\n", l.images, l.channels, l.size, l.size,
               l.channels);
    else
        printf("\nproduct, %dx%d times %dx%d\n", l.size, l.size, l.size, l.size);
    return run_steps(c, &l, budget);
}

int bench_ladder(int size, double seconds) {
    mn_error err = {0};
    char name[128];
    mn_context *c = mn_context_create(&(mn_context_opt){.device = MN_CUDA, .seed = 1}, &err);
    if (!c) return app_fail(&err);
    bool emulated = strncmp(mn__ladder_device(name, sizeof name), "CPU emulation", 13) == 0;
    printf("%s%s\n", name, emulated ? ": its times say nothing about a GPU" : "");
    int n = size ? size : emulated ? 64 : 2048;
    double budget = seconds / 2 / MN__LADDER_STEPS;
    mn_status s = one_ladder(c, (mn__ladder){.size = n}, budget);
    mn__ladder v = {
        .convolution = true, .size = emulated ? 12 : 48, .images = emulated ? 2 : 128, .channels = emulated ? 20 : 64};
    if (!s) s = one_ladder(c, v, budget);
    if (s) mn_fail(&err, s, "%s", mn_context_error(c)->text);
    mn_context_destroy(c);
    return s ? app_fail(&err) : APP_OK;
}
#else
int bench_ladder(int size, double seconds) {
    (void)size, (void)seconds;
    mn_error err = {0};
    mn_fail(&err, MN_ERR_DEVICE,
            "--ladder measures GPU kernels, and this mien was built without CUDA; hint: build with "
            "make CUDA=1 (CUDA=emulate runs the kernels on the CPU)");
    return app_fail(&err);
}
#endif
