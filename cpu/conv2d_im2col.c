/* Convolution as a matrix product: im2col writes every window of an image as a column, and then
 *   y (K, PQ)   = w (K, CRS) cols (CRS, PQ)      forward
 *   dw (K, CRS) = dy (K, PQ) cols^T              summed over images
 *   dcols       = w^T dy,   dx = col2im(dcols)   where windows overlap their gradients add
 * a few images at a time, so that cols stays in the cache; images are shared out among the threads. Where images are small
 * several lie side by side in cols, whose products then have enough columns. A 1x1 kernel with stride 1 needs no cols: the
 * image is that matrix already.
 * Chellapilla, Puri, Simard 2006, "High performance convolutional neural networks for document processing". */
#include "cpu/conv2d.h"
#include "cpu/vector.h"

/* The windows whose row (or column) r of the kernel lies inside an image of `size`: [*from, *to). */
static void inside(int64_t size, int64_t windows, int64_t stride, int64_t offset, int64_t *from, int64_t *to) {
    *from = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
    *to = offset >= size ? 0 : (size - 1 - offset) / stride + 1;
    if (*to > windows) *to = windows;
    if (*from > *to) *from = *to;
}

/* to[i] = from[i*stride], i < n. In whole vectors: some numbers after the last are read, if they lie before `end`, and written. */
static void take(const REAL *from, int64_t stride, int64_t n, const REAL *end, REAL *to) {
    int64_t i = 0;
    for (; stride == 1 && i < n && from + i + LANES <= end; i += LANES) store(to + i, load(from + i));
    for (; stride == 2 && i < n && from + 2 * (i + LANES) <= end; i += LANES)
        store(to + i, even_lanes(load(from + 2 * i), load(from + 2 * i + LANES)));
    for (; i < n; i++) to[i] = from[i * stride];
}

/* v with zeros from lane n on */
static vec first_lanes(vec v, int64_t n) {
    lane_index lane;
    for (int i = 0; i < LANES; i++) lane[i] = i;
    return n < LANES ? choose(lane < (lane_index){0} + (int)n, v, (vec){0}) : v;
}

/* to[i*stride] += from[i], i < n. In whole vectors: zeros are added to some numbers after the last, if they lie before `end`. */
static void give(const REAL *from, int64_t n, REAL *to, int64_t stride, const REAL *end) {
    int64_t i = 0;
    for (; stride == 1 && i < n && to + i + LANES <= end; i += LANES)
        store(to + i, load(to + i) + first_lanes(load(from + i), n - i));
    for (; stride == 2 && i < n && to + 2 * (i + LANES) <= end; i += LANES) {
        vec v = first_lanes(load(from + i), n - i), none = {0};
        REAL *low = to + 2 * i, *high = low + LANES;
        store(low, load(low) + zip_low(v, none));
        store(high, load(high) + zip_high(v, none));
    }
    for (; i < n; i++) to[i * stride] += from[i];
}

/* cols[(c*R+r)*S+s][(i,p,q)] = x[i][c][p*stride-top+r*dilation][q*stride-left+s*dilation], 0 outside of x.
 * x: n images of g->C maps (H,W), of which `channels` are read; cols (channels*R*S, n*P*Q), overwritten from front to back, so
 * that what `take` writes too much is written again. After its end there is room for a vector. 1 read, 1 write an element. */
static void im2col(const mn__window *g, int64_t channels, int64_t n, const REAL *x, const REAL *end, REAL *cols) {
    for (int64_t c = 0; c < channels; c++)
        for (int64_t r = 0; r < g->R; r++)
            for (int64_t s = 0; s < g->S; s++)
                for (int64_t i = 0; i < n; i++) {
                    const REAL *map = x + (i * g->C + c) * g->H * g->W;
                    int64_t top = r * g->dilation_h - g->top, left = s * g->dilation_w - g->left, q0, q1;
                    inside(g->W, g->Q, g->stride_w, left, &q0, &q1);
                    for (int64_t p = 0; p < g->P; p++, cols += g->Q) {
                        int64_t h = p * g->stride_h + top;
                        bool row_inside = h >= 0 && h < g->H;
                        int64_t from = row_inside ? q0 : g->Q, to = row_inside ? q1 : g->Q;
                        for (int64_t q = 0; q < from; q++) cols[q] = 0;
                        if (row_inside)
                            take(map + h * g->W + left + from * g->stride_w, g->stride_w, to - from, end, cols + from);
                        for (int64_t q = to; q < g->Q; q++) cols[q] = 0;
                    }
                }
}

/* The transpose of im2col: adds every element of cols to the element of dx that it was read from. */
static void col2im(const mn__window *g, int64_t channels, int64_t n, const REAL *cols, REAL *dx) {
    for (int64_t c = 0; c < channels; c++)
        for (int64_t r = 0; r < g->R; r++)
            for (int64_t s = 0; s < g->S; s++)
                for (int64_t i = 0; i < n; i++) {
                    REAL *map = dx + (i * g->C + c) * g->H * g->W;
                    const REAL *end = map + g->H * g->W; /* what follows may be another thread's */
                    int64_t top = r * g->dilation_h - g->top, left = s * g->dilation_w - g->left, q0, q1;
                    inside(g->W, g->Q, g->stride_w, left, &q0, &q1);
                    for (int64_t p = 0; p < g->P; p++, cols += g->Q) {
                        int64_t h = p * g->stride_h + top;
                        if (h < 0 || h >= g->H) continue;
                        give(cols + q0, q1 - q0, map + h * g->W + left + q0 * g->stride_w, g->stride_w, end);
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

/* How many images lie side by side: products are fast from some hundred columns on. */
static int64_t together(const conv2d_job *j) {
    enum { COLUMNS = 300 };
    int64_t images = j->g.N / image_threads(j), n = is_pointwise(&j->g) ? 1 : COLUMNS / (j->g.P * j->g.Q);
    return n < 1 ? 1 : n < images ? n : images;
}

/* Sizes of the matrices: cols, with room for a vector after it, and w of one group; y of all channels. */
static int64_t cols_size(const conv2d_job *j) {
    const mn__window *g = &j->g;
    return is_pointwise(g) ? 0 : padded(g->C / g->groups * g->R * g->S * g->P * g->Q * together(j) + LANES);
}
static int64_t output_size(const conv2d_job *j) {
    return together(j) > 1 ? padded(j->g.K * j->g.P * j->g.Q * together(j)) : 0;
}
static int64_t weight_size(const mn__window *g) { return padded(g->K * (g->C / g->groups) * g->R * g->S); }

/* Of a thread: cols, y or dy of images side by side, its part of dw. */
static int64_t thread_scratch(const conv2d_job *j) {
    return cols_size(j) + output_size(j) + (j->dw ? weight_size(&j->g) : 0);
}
static int64_t scratch(const conv2d_job *j) { return image_threads(j) * thread_scratch(j); }

/* y (n,K,PQ) of n images; `side` (K,n*PQ) is what the product writes when n > 1. */
static void forward_images(const conv2d_job *j, int64_t n, const REAL *x, REAL *y, REAL *cols, REAL *side, int threads) {
    const mn__window *g = &j->g;
    int64_t C = g->C / g->groups, K = g->K / g->groups, depth = C * g->R * g->S, pixels = g->P * g->Q, columns = n * pixels;
    REAL *to = n > 1 ? side : y;
    if (j->b)
        for (int64_t k = 0; k < g->K; k++)
            for (int64_t i = 0; i < columns; i++) to[k * columns + i] = j->b[k];
    for (int64_t group = 0; group < g->groups; group++) {
        const REAL *part = x + group * C * g->H * g->W;
        if (!is_pointwise(g)) im2col(g, C, n, part, j->x + g->N * g->C * g->H * g->W, cols), part = cols;
        LOCAL(gemm_parallel)(threads, false, false, K, columns, depth, j->w + group * K * depth, depth, part, columns,
                             j->b ? 1 : 0, to + group * K * columns, columns);
    }
    for (int64_t i = 0; i < n && n > 1; i++)
        for (int64_t k = 0; k < g->K; k++)
            memcpy(y + (i * g->K + k) * pixels, side + k * columns + i * pixels, (size_t)pixels * sizeof *y);
}

static void forward(const conv2d_job *j) {
    const mn__window *g = &j->g;
    int chunks = image_threads(j), threads = j->threads / chunks;
    int64_t most = together(j);
#pragma omp parallel for num_threads(chunks) schedule(static, 1) if (chunks > 1)
    for (int t = 0; t < chunks; t++) {
        REAL *cols = j->scratch + t * thread_scratch(j);
        int64_t from, to;
        chunk_of(g->N, chunks, t, &from, &to);
        for (int64_t n = from; n < to; n += most)
            forward_images(j, n + most < to ? most : to - n, j->x + n * g->C * g->H * g->W, j->y + n * g->K * g->P * g->Q, cols,
                           cols + cols_size(j), threads);
    }
}

/* side (K,n*PQ) = dy (n,K,PQ) */
static void put_side_by_side(const mn__window *g, int64_t n, const REAL *dy, REAL *side) {
    int64_t pixels = g->P * g->Q;
    for (int64_t k = 0; k < g->K; k++)
        for (int64_t i = 0; i < n; i++, side += pixels) memcpy(side, dy + (i * g->K + k) * pixels, (size_t)pixels * sizeof *dy);
}

/* dw (K,CRS) += dy cols^T of n images; dy (K,n*PQ). */
static void weight_gradient(const conv2d_job *j, int64_t n, const REAL *x, const REAL *dy, REAL *dw, REAL *cols, int threads) {
    const mn__window *g = &j->g;
    int64_t C = g->C / g->groups, K = g->K / g->groups, depth = C * g->R * g->S, pixels = g->P * g->Q, columns = n * pixels;
    for (int64_t group = 0; group < g->groups; group++) {
        const REAL *part = x + group * C * g->H * g->W;
        if (!is_pointwise(g)) im2col(g, C, n, part, j->x + g->N * g->C * g->H * g->W, cols), part = cols;
        LOCAL(gemm_parallel)(threads, false, true, K, depth, columns, dy + group * K * columns, columns, part, columns, 1,
                             dw + group * K * depth, depth);
    }
}

/* dx (n,C,HW) (+)= col2im(w^T dy); dy (K,n*PQ). */
static void input_gradient(const conv2d_job *j, int64_t n, const REAL *dy, REAL *dx, REAL *cols, int threads) {
    const mn__window *g = &j->g;
    int64_t C = g->C / g->groups, K = g->K / g->groups, depth = C * g->R * g->S, pixels = g->P * g->Q, columns = n * pixels;
    bool direct = is_pointwise(g);
    if (!direct && !j->add_dx) memset(dx, 0, (size_t)(n * g->C * g->H * g->W) * sizeof *dx);
    for (int64_t group = 0; group < g->groups; group++) {
        REAL *part = dx + group * C * g->H * g->W;
        LOCAL(gemm_parallel)(threads, true, false, depth, columns, K, j->w + group * K * depth, depth,
                             dy + group * K * columns, columns, direct && j->add_dx ? 1 : 0, direct ? part : cols, columns);
        if (!direct) col2im(g, C, n, cols, part);
    }
}

static void backward(const conv2d_job *j) {
    const mn__window *g = &j->g;
    int chunks = image_threads(j), threads = j->threads / chunks;
    int64_t weights = weight_size(g), stride = thread_scratch(j), most = together(j);
#pragma omp parallel for num_threads(chunks) schedule(static, 1) if (chunks > 1)
    for (int t = 0; t < chunks; t++) {
        REAL *dw = j->scratch + t * stride, *cols = dw + (j->dw ? weights : 0), *side = cols + cols_size(j);
        int64_t from, to;
        chunk_of(g->N, chunks, t, &from, &to);
        if (j->dw) memset(dw, 0, (size_t)weights * sizeof *dw);
        for (int64_t n = from, count; n < to; n += count) {
            count = n + most < to ? most : to - n;
            const REAL *x = j->x + n * g->C * g->H * g->W, *dy = j->dy + n * g->K * g->P * g->Q;
            if (count > 1) put_side_by_side(g, count, dy, side), dy = side;
            if (j->dw) weight_gradient(j, count, x, dy, dw, cols, threads);
            if (j->dx) input_gradient(j, count, dy, j->dx + n * g->C * g->H * g->W, cols, threads);
        }
    }
    if (j->dw)
        sum_parts(j->dw, j->add_dw, j->scratch, stride, chunks, g->K * (g->C / g->groups) * g->R * g->S, j->threads);
}

const conv2d_path LOCAL(conv2d_im2col) = {fits, scratch, forward, backward, NULL};
