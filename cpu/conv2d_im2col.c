/* Convolution as a matrix product: im2col writes every window of an image as a column, and then
 *   y (K, PQ)   = w (K, CRS) cols (CRS, PQ)      forward
 *   dw (K, CRS) = dy (K, PQ) cols^T              summed over images
 *   dcols       = w^T dy,   dx = col2im(dcols)   where windows overlap their gradients add
 * one image at a time, so that cols stays in the cache; images are shared out among the threads. A 1x1
 * kernel with stride 1 needs no cols: the image is that matrix already.
 * Chellapilla, Puri, Simard 2006, "High performance convolutional neural networks for document processing". */
#include "cpu/conv2d.h"

/* cols[(c*R+r)*S+s][p*Q+q] = x[c][p*stride-top+r*dilation][q*stride-left+s*dilation], 0 outside of x.
 * x (channels,H,W), cols (channels*R*S, P*Q), overwritten. Row by row; 1 read, 1 write an element. */
static void im2col(const mn__window *g, int64_t channels, const REAL *x, REAL *cols);
/* The transpose of im2col: adds every element of cols to the element of dx that it was read from. */
static void col2im(const mn__window *g, int64_t channels, const REAL *cols, REAL *dx);

/* The windows whose row (or column) r of the kernel lies inside an image of `size`: [*from, *to). */
static void inside(int64_t size, int64_t windows, int64_t stride, int64_t offset, int64_t *from, int64_t *to) {
    *from = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
    *to = offset >= size ? 0 : (size - 1 - offset) / stride + 1;
    if (*to > windows) *to = windows;
    if (*from > *to) *from = *to;
}

static void im2col(const mn__window *g, int64_t channels, const REAL *x, REAL *cols) {
    for (int64_t c = 0; c < channels; c++, x += g->H * g->W)
        for (int64_t r = 0; r < g->R; r++)
            for (int64_t s = 0; s < g->S; s++) {
                int64_t top = r * g->dilation_h - g->top, left = s * g->dilation_w - g->left, q0, q1;
                inside(g->W, g->Q, g->stride_w, left, &q0, &q1);
                for (int64_t p = 0; p < g->P; p++, cols += g->Q) {
                    int64_t h = p * g->stride_h + top;
                    bool row_inside = h >= 0 && h < g->H;
                    int64_t from = row_inside ? q0 : g->Q, to = row_inside ? q1 : g->Q;
                    const REAL *row = x + h * g->W + left;
                    for (int64_t q = 0; q < from; q++) cols[q] = 0;
                    if (g->stride_w == 1)
                        for (int64_t q = from; q < to; q++) cols[q] = row[q];
                    else
                        for (int64_t q = from; q < to; q++) cols[q] = row[q * g->stride_w];
                    for (int64_t q = to; q < g->Q; q++) cols[q] = 0;
                }
            }
}

static void col2im(const mn__window *g, int64_t channels, const REAL *cols, REAL *dx) {
    for (int64_t c = 0; c < channels; c++, dx += g->H * g->W)
        for (int64_t r = 0; r < g->R; r++)
            for (int64_t s = 0; s < g->S; s++) {
                int64_t top = r * g->dilation_h - g->top, left = s * g->dilation_w - g->left, q0, q1;
                inside(g->W, g->Q, g->stride_w, left, &q0, &q1);
                for (int64_t p = 0; p < g->P; p++, cols += g->Q) {
                    int64_t h = p * g->stride_h + top;
                    if (h < 0 || h >= g->H) continue;
                    REAL *row = dx + h * g->W + left;
                    if (g->stride_w == 1)
                        for (int64_t q = q0; q < q1; q++) row[q] += cols[q];
                    else
                        for (int64_t q = q0; q < q1; q++) row[q * g->stride_w] += cols[q];
                }
            }
}

static bool fits(const mn__window *g) {
    (void)g;
    return true;
}

static bool is_pointwise(const mn__window *g) {
    return g->R == 1 && g->S == 1 && g->stride_h == 1 && g->stride_w == 1 && g->P == g->H && g->Q == g->W && !g->top &&
           !g->left;
}

/* A thread works on whole images while there is one for each; else all threads on one image's products. */
static int image_threads(const conv2d_job *j) { return j->g.N >= j->threads ? j->threads : 1; }

/* Sizes of the matrices of one group. */
static int64_t cols_size(const mn__window *g) { return padded(g->C / g->groups * g->R * g->S * g->P * g->Q); }
static int64_t weight_size(const mn__window *g) { return padded(g->K * (g->C / g->groups) * g->R * g->S); }

/* Of a thread: cols, its part of dw. */
static int64_t thread_scratch(const conv2d_job *j) {
    return (is_pointwise(&j->g) ? 0 : cols_size(&j->g)) + (j->dw ? weight_size(&j->g) : 0);
}
static int64_t scratch(const conv2d_job *j) { return image_threads(j) * thread_scratch(j); }

/* y (K,PQ) of one image. */
static void forward_image(const conv2d_job *j, const REAL *x, REAL *y, REAL *cols, int threads) {
    const mn__window *g = &j->g;
    int64_t C = g->C / g->groups, K = g->K / g->groups, depth = C * g->R * g->S, pixels = g->P * g->Q;
    if (j->b)
        for (int64_t k = 0; k < g->K; k++)
            for (int64_t i = 0; i < pixels; i++) y[k * pixels + i] = j->b[k];
    for (int64_t group = 0; group < g->groups; group++) {
        const REAL *part = x + group * C * g->H * g->W;
        if (!is_pointwise(g)) im2col(g, C, part, cols), part = cols;
        LOCAL(gemm_parallel)(threads, false, false, K, pixels, depth, j->w + group * K * depth, depth, part, pixels,
                             j->b ? 1 : 0, y + group * K * pixels, pixels);
    }
}

static void forward(const conv2d_job *j) {
    const mn__window *g = &j->g;
    int chunks = image_threads(j), threads = j->threads / chunks;
#pragma omp parallel for num_threads(chunks) schedule(static, 1) if (chunks > 1)
    for (int t = 0; t < chunks; t++) {
        int64_t from, to;
        chunk_of(g->N, chunks, t, &from, &to);
        for (int64_t n = from; n < to; n++)
            forward_image(j, j->x + n * g->C * g->H * g->W, j->y + n * g->K * g->P * g->Q,
                          j->scratch + t * thread_scratch(j), threads);
    }
}

/* dw (K,CRS) += dy cols^T of one image. */
static void weight_gradient(const conv2d_job *j, const REAL *x, const REAL *dy, REAL *dw, REAL *cols, int threads) {
    const mn__window *g = &j->g;
    int64_t C = g->C / g->groups, K = g->K / g->groups, depth = C * g->R * g->S, pixels = g->P * g->Q;
    for (int64_t group = 0; group < g->groups; group++) {
        const REAL *part = x + group * C * g->H * g->W;
        if (!is_pointwise(g)) im2col(g, C, part, cols), part = cols;
        LOCAL(gemm_parallel)(threads, false, true, K, depth, pixels, dy + group * K * pixels, pixels, part, pixels, 1,
                             dw + group * K * depth, depth);
    }
}

/* dx (C,HW) (+)= col2im(w^T dy) of one image. */
static void input_gradient(const conv2d_job *j, const REAL *dy, REAL *dx, REAL *cols, int threads) {
    const mn__window *g = &j->g;
    int64_t C = g->C / g->groups, K = g->K / g->groups, depth = C * g->R * g->S, pixels = g->P * g->Q;
    bool direct = is_pointwise(g);
    if (!direct && !j->add_dx) memset(dx, 0, (size_t)(g->C * g->H * g->W) * sizeof *dx);
    for (int64_t group = 0; group < g->groups; group++) {
        REAL *part = dx + group * C * g->H * g->W;
        LOCAL(gemm_parallel)(threads, true, false, depth, pixels, K, j->w + group * K * depth, depth,
                             dy + group * K * pixels, pixels, direct && j->add_dx ? 1 : 0, direct ? part : cols, pixels);
        if (!direct) col2im(g, C, cols, part);
    }
}

static void backward(const conv2d_job *j) {
    const mn__window *g = &j->g;
    int chunks = image_threads(j), threads = j->threads / chunks;
    int64_t weights = weight_size(g), stride = thread_scratch(j);
#pragma omp parallel for num_threads(chunks) schedule(static, 1) if (chunks > 1)
    for (int t = 0; t < chunks; t++) {
        REAL *dw = j->scratch + t * stride, *cols = dw + (j->dw ? weights : 0);
        int64_t from, to;
        chunk_of(g->N, chunks, t, &from, &to);
        if (j->dw) memset(dw, 0, (size_t)weights * sizeof *dw);
        for (int64_t n = from; n < to; n++) {
            const REAL *x = j->x + n * g->C * g->H * g->W, *dy = j->dy + n * g->K * g->P * g->Q;
            if (j->dw) weight_gradient(j, x, dy, dw, cols, threads);
            if (j->dx) input_gradient(j, dy, j->dx + n * g->C * g->H * g->W, cols, threads);
        }
    }
    if (j->dw)
        sum_parts(j->dw, j->add_dw, j->scratch, stride, chunks, g->K * (g->C / g->groups) * g->R * g->S, j->threads);
}

const conv2d_path LOCAL(conv2d_im2col) = {fits, scratch, forward, backward};
