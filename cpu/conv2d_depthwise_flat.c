/* Depthwise convolution with stride 1, fast: with a plane as one long row (conv2d_frame.h) it is
 *   y'[i] = sum_{r,s} w[r,s] * x'[i + r*down + s*right]
 * dx is the same of dy with the kernel rotated; for dw the rows of dy' end in zeros, and the sum over i is exact.
 * Planes of some 60x60 stay in the first cache. 2*N*C*P*W'*R*S flop; cpu/conv2d_depthwise.c is the plain reference. */
#include "cpu/depthwise_3x3.h"

static bool fits(const mn__window *g) {
    return g->groups == g->C && g->K == g->C && g->groups > 1 && g->stride_h == 1 && g->stride_w == 1 && g->R <= 7 &&
           g->S <= 7;
}

/* `slide` for a 3x3 kernel without dilation. */
static void slide_3x3(int64_t count, int64_t down, const REAL *x, const REAL *w, REAL *y) {
    vec here[3], f[9];
    UNROLL for (int i = 0; i < 9; i++) f[i] = broadcast(w[i]);
    UNROLL for (int r = 0; r < 3; r++) here[r] = load(x + r * down);
    for (int64_t i = 0; i < count; i += LANES) {
        vec sum = {0};
        UNROLL for (int r = 0; r < 3; r++) {
            vec v[3];
            neighbours(x + i + r * down, &here[r], v);
            UNROLL for (int s = 0; s < 3; s++) sum += f[r * 3 + s] * v[s];
        }
        store(y + i, sum);
    }
}

/* `correlate` for it. */
static void correlate_3x3(int64_t count, int64_t down, const REAL *x, const REAL *dy, REAL *dw) {
    REAL sums[9 * LANES] = {0};
    correlate_windows(count, down, x, dy, sums);
    for (int i = 0; i < 9; i++) dw[i] += sum_lanes(load(sums + i * LANES));
}

/* y'[i] = sum of w[r,s] x'[i + r*down + s*right] for 0 <= i < count. R and S are constants where this is inlined. */
INLINE void slide(int R, int S, int64_t count, int64_t down, int64_t right, const REAL *x, const REAL *w, REAL *y) {
    for (int64_t i = 0; i < count; i += LANES) {
        vec sum = {0};
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int s = 0; s < S; s++)
            sum += broadcast(w[r * S + s]) * load(x + i + r * down + s * right);
        store(y + i, sum);
    }
}

/* dw[r,s] += sum over i of dy'[i] x'[i + r*down + s*right]. */
INLINE void correlate(int R, int S, int64_t count, int64_t down, int64_t right, const REAL *x, const REAL *dy, REAL *dw) {
    vec sum[49] = {0};
    for (int64_t i = 0; i < count; i += LANES) {
        vec g = load(dy + i);
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int s = 0; s < S; s++)
            sum[r * S + s] += g * load(x + i + r * down + s * right);
    }
    for (int i = 0; i < R * S; i++) dw[i] += sum_lanes(sum[i]);
}

/* y (+)= the convolution of one plane with w (R,S); padded, result: scratch. */
static void convolve_plane(const mn__window *g, const frame *f, const REAL *padded_plane, const REAL *w, REAL bias,
                           bool add, REAL *y, REAL *result) {
    int64_t count = f->height_out * f->columns, down = g->dilation_h * f->columns, right = g->dilation_w;
    if (g->R == 3 && g->S == 3 && right == 1) slide_3x3(count, down, padded_plane, w, result);
    else slide((int)g->R, (int)g->S, count, down, right, padded_plane, w, result);
    copy_out(f, result, bias, add, y);
}

/* Of a thread: two padded planes, large enough for either direction. */
static int64_t plane_size(const mn__window *g) {
    frame forward = frame_of(g, false), backward = frame_of(g, true);
    int64_t a = frame_size(&forward), b = frame_size(&backward);
    return a > b ? a : b;
}
static int64_t scratch(const conv2d_job *j) { return 2 * j->threads * plane_size(&j->g); }

/* Planes (n,c) in `threads` runs; each thread has its own scratch. */
static void forward(const conv2d_job *j) {
    const mn__window *g = &j->g;
    const frame f = frame_of(g, false);
#pragma omp parallel for num_threads(j->threads) schedule(static, 1) if (j->threads > 1)
    for (int t = 0; t < j->threads; t++) {
        REAL *plane = j->scratch + 2 * t * plane_size(g), *result = plane + plane_size(g);
        int64_t from, to;
        chunk_of(g->N * g->C, j->threads, t, &from, &to);
        for (int64_t i = from; i < to; i++) {
            int64_t c = i % g->C;
            line room;
            copy_in(&f, j->x + i * g->H * g->W, line_or_none(j->norm, c, &room), plane);
            convolve_plane(g, &f, plane, j->w + c * g->R * g->S, j->b ? j->b[c] : 0, false, j->y + i * g->P * g->Q,
                           result);
        }
    }
}

static void input_gradient(const conv2d_job *j, int64_t i, const REAL *rotated, REAL *plane, REAL *result) {
    const mn__window *g = &j->g;
    const frame f = frame_of(g, true);
    copy_in(&f, j->dy + i * g->P * g->Q, NULL, plane);
    convolve_plane(g, &f, plane, rotated, 0, j->add_dx, j->dx + i * g->H * g->W, result);
}

/* dy' has rows as long as those of x', with zeros where y' means nothing: where y is as large as x, the plane that
 * input_gradient made of dy is one already. */
static void weight_gradient(const conv2d_job *j, int64_t i, REAL *dw, REAL *plane, REAL *other) {
    const mn__window *g = &j->g;
    const frame f = frame_of(g, false), back = frame_of(g, true);
    const frame of_dy = {g->P, g->Q, 0, 0, f.rows, f.columns, 0, 0};
    const REAL *dy = plane + back.top * back.columns + back.left;
    if (!j->dx || g->P != g->H || g->Q != g->W) copy_in(&of_dy, j->dy + i * g->P * g->Q, NULL, plane), dy = plane;
    line room;
    copy_in(&f, j->x + i * g->H * g->W, line_or_none(j->norm, i % g->C, &room), other);
    int64_t count = g->P * f.columns, down = g->dilation_h * f.columns, right = g->dilation_w;
    if (g->R == 3 && g->S == 3 && right == 1) correlate_3x3(count, down, other, dy, dw);
    else correlate((int)g->R, (int)g->S, count, down, right, other, dy, dw);
}

/* A thread takes some channels of all images: the sum into dw has one order whatever the threads. */
static void backward(const conv2d_job *j) {
    const mn__window *g = &j->g;
    int64_t window = g->R * g->S;
#pragma omp parallel for num_threads(j->threads) schedule(static, 1) if (j->threads > 1)
    for (int t = 0; t < j->threads; t++) {
        REAL *plane = j->scratch + 2 * t * plane_size(g), *result = plane + plane_size(g), rotated[49];
        int64_t from, to;
        chunk_of(g->C, j->threads, t, &from, &to);
        if (j->dw && !j->add_dw) memset(j->dw + from * window, 0, (size_t)((to - from) * window) * sizeof(REAL));
        for (int64_t n = 0; n < g->N; n++)
            for (int64_t c = from; c < to; c++) {
                for (int64_t i = 0; i < window; i++) rotated[i] = j->w[c * window + window - 1 - i];
                if (j->dx) input_gradient(j, n * g->C + c, rotated, plane, result);
                if (j->dw) weight_gradient(j, n * g->C + c, j->dw + c * window, plane, result);
            }
    }
}

const conv2d_path LOCAL(conv2d_depthwise_flat) = {fits, scratch, forward, backward, fits};
