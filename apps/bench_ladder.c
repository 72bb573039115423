/* mien bench --ladder: every step of cuda/ladder (docs/ladder.md), its time and its error. */
#include "apps/app.h"
#include "apps/bench_ladder.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef MN_HAVE_CUDA
#include "cuda/ladder/ladder.h"
#include "cuda/peak.h"

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

/* The least time that the GPU's peaks allow: of arithmetic, or of reading and writing everything once. */
static double roof(const mn__ladder *l, const mn__gpu_peak *p, bool rounds) {
    return fmax(mn__ladder_flop(l) / (rounds ? p->tf32 : p->f32), mn__ladder_bytes(l) / p->copy);
}

static void print_row(const mn__ladder *l, const mn__gpu_peak *p, const char *name, bool rounds, double seconds, double error) {
    char share[16] = "-", off[16] = "";
    if (!p->emulated) snprintf(share, sizeof share, "%.1f %%", 100 * roof(l, p, rounds) / seconds);
    if (error >= 0) snprintf(off, sizeof off, "%.1e", error);
    printf("%-36s %10.4f  %10.1f  %8s  %14s%s\n", name, 1e3 * seconds, mn__ladder_flop(l) / seconds / 1e9, share, off,
           rounds ? "  (tf32)" : "");
}

/* Runs `run` once, then for as long as `budget` allows. */
static int times_for(double once, double budget) {
    int times = once > 0 ? (int)fmin(1000, budget / once) : 1000;
    return times < 1 ? 1 : times;
}

static mn_status run_vendor(mn_context *c, const mn__ladder *l, const mn__gpu_peak *p, double budget) {
    mn_status s = MN_OK;
    for (int tf32 = 0; tf32 < (p->tf32 > 0 ? 2 : 1) && !s; tf32++) {
        double once = 0, seconds = 0;
        s = mn__ladder_vendor(c, l, tf32, 1, &once);
        if (!s && once > 0) s = mn__ladder_vendor(c, l, tf32, times_for(once, budget), &seconds);
        if (!s && seconds > 0) print_row(l, p, "  cuBLAS", tf32, seconds, -1);
        if (!s && !(once > 0)) return puts("  cuBLAS is not on this machine (MIEN_CUBLAS names its file)"), MN_OK;
    }
    return s;
}

static mn_status run_steps(mn_context *c, const mn__ladder *l, const mn__gpu_peak *p, double budget) {
    double *left = app_alloc((size_t)l->left->count, sizeof *left), *right = app_alloc((size_t)l->right->count, sizeof *right);
    mn_status s = mn_get_f64(l->left, left);
    if (!s) s = mn_get_f64(l->right, right);
    printf("step                                         ms     GFLOP/s   of roof   largest error\n");
    for (int step = 1; step <= MN__LADDER_STEPS && !s; step++) {
        double once = 0, seconds = 0, error = 0;
        char name[64];
        snprintf(name, sizeof name, "%d %s", step, mn__ladder_idea(l->convolution, step));
        if (mn__ladder_rounds(step) && p->tf32 <= 0) {
            printf("%s: needs a GPU of compute capability 8.0\n", name);
            continue;
        }
        s = mn__ladder_run(c, l, step, 1, &once);
        if (!s) s = mn__ladder_run(c, l, step, times_for(once, budget), &seconds);
        if (!s) s = error_of(l, step, left, right, &error);
        if (!s) print_row(l, p, name, mn__ladder_rounds(step), seconds, error);
    }
    if (!s && !l->convolution) s = run_vendor(c, l, p, budget);
    free(left), free(right);
    return s;
}

static mn_status one_ladder(mn_context *c, mn__ladder l, const mn__gpu_peak *p, double budget) {
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
    return run_steps(c, &l, p, budget);
}

int bench_ladder(int size, double seconds) {
    mn_error err = {0};
    char name[128];
    mn_context *c = mn_context_create(&(mn_context_opt){.device = MN_CUDA, .seed = 1}, &err);
    if (!c) return app_fail(&err);
    mn__gpu_peak p;
    mn_status s = mn__gpu_peak_measure(c, &p);
    bool emulated = p.emulated;
    printf("%s%s\n", mn__gpu_name(name, sizeof name), emulated ? ": its times say nothing about a GPU" : "");
    if (!s)
        printf("peaks     %.1f TFLOP/s f32, %.1f tf32, %.1f bf16 (mma.sync); a copy %.0f GB/s\n"
               "          an empty kernel %.2f us launched, %.2f us as a node of a graph\n",
               p.f32 / 1e12, p.tf32 / 1e12, p.bf16 / 1e12, p.copy / 1e9, 1e6 * p.launch, 1e6 * p.node);
    int n = size ? size : emulated ? 64 : 2048;
    double budget = seconds / 2 / MN__LADDER_STEPS;
    if (!s) s = one_ladder(c, (mn__ladder){.size = n}, &p, budget);
    mn__ladder v = {
        .convolution = true, .size = emulated ? 12 : 48, .images = emulated ? 2 : 128, .channels = emulated ? 20 : 64};
    if (!s) s = one_ladder(c, v, &p, budget);
    if (s) mn_fail(&err, s, "%s", mn_context_error(c)->text);
    mn_context_destroy(c);
    return s ? app_fail(&err) : APP_OK;
}

mn_status bench_gpu_peak(mn_context *c, double *gflops, double *gbytes) {
    mn__gpu_peak p;
    mn_status s = mn__gpu_peak_measure(c, &p);
    mn_precision how = p.tf32 > 0 ? mn_context_precision(c) : MN_PRECISE;
    double rate = how == MN_BF16 ? p.bf16 : how == MN_TF32 ? p.tf32 : how == MN_TF32X3 ? p.tf32 / 3 : p.f32;
    *gflops = rate / 1e9, *gbytes = p.copy / 1e9;
    return s;
}
#else
mn_status bench_gpu_peak(mn_context *c, double *gflops, double *gbytes) {
    (void)c;
    *gflops = *gbytes = 0;
    return MN_OK;
}
int bench_ladder(int size, double seconds) {
    (void)size, (void)seconds;
    mn_error err = {0};
    mn_fail(&err, MN_ERR_DEVICE,
            "--ladder measures GPU kernels, and this mien was built without CUDA; hint: build with "
            "make CUDA=1 (CUDA=emulate runs the kernels on the CPU)");
    return app_fail(&err);
}
#endif
