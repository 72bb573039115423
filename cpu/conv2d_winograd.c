/* 3x3 convolution by Winograd's minimal filtering F(4x4, 3x3): Lavin and Gray 2016, "Fast algorithms for convolutional
 * neural networks". docs/ops/conv2d.md derives it. An output tile of 4x4 pixels is a polynomial product in two
 * dimensions. Both factors are evaluated at the points 0, A, -A, B, -B and infinity, multiplied there, and the product
 * is interpolated: 36 multiplications instead of 144. For one pair of channels, * being the elementwise product:
 *
 *   y (4x4)  = At [ (G w G^T) * (Bt x Bt^T) ] At^T       x: the 6x6 pixels that the tile reads
 *   dx is such a convolution of dy, with w rotated by half a turn
 *   dw (3x3) = G^T [ (At^T dy At) * (Bt x Bt^T) ] G      summed over tiles and images
 *
 * The sum over channels (for dw: over tiles) is taken between the transforms, so that each of the 36 points is a
 * matrix product. Tiles go through in blocks that fit the second cache: transform, 36 products, transform back.
 * Everything is vectorised over channels: an image is first transposed to (pixels, channels).
 *
 * Images are shared out among the threads. About 2.25*2*N*K*P*Q*C flop for the products, forward. With these points the
 * rounding error is about twice that of the sum taken directly. */
#include "cpu/winograd_layer.h"

static bool fits(const mn__window *g) {
    return g->R == 3 && g->S == 3 && g->stride_h == 1 && g->stride_w == 1 && g->dilation_h == 1 && g->dilation_w == 1 &&
           g->groups == 1 && g->C >= 16 && g->K >= 16 && g->P >= 3 && g->Q >= 3;
}

/* ---- one convolution from `in` images to `out` images: forward, or backward to dx ---- */

static int64_t space_size(const layer *l) {
    return (l->in_h * l->in_w + 1) * l->in_lanes + l->out_h * l->out_w * l->out_lanes +
           POINTS * (l->step_in + l->step_out);
}
static space space_at(const layer *l, REAL *p) {
    space s = {.image_in = p};
    s.zeros = s.image_in + l->in_h * l->in_w * l->in_lanes;
    s.image_out = s.zeros + l->in_lanes;
    s.points_in = s.image_out + l->out_h * l->out_w * l->out_lanes;
    s.points_out = s.points_in + POINTS * l->step_in;
    return s;
}

/* out (+)= the convolution of `images` images. kernel: POINTS matrices (in, out) in panels; bias: out_lanes numbers. */
static void convolve(const layer *l, int64_t images, const REAL *in, const REAL *kernel, const REAL *bias, bool add,
                     REAL *out, REAL *scratch) {
    const space s = space_at(l, scratch);
    int64_t in_size = l->in_h * l->in_w, out_size = l->out_h * l->out_w, tiles = images * l->tiles;
    memset(s.zeros, 0, (size_t)l->in_lanes * sizeof(REAL));
    for (int64_t first = 0; first < tiles; first += l->block) {
        int64_t count = tiles - first < l->block ? tiles - first : l->block;
        for (int64_t i = 0; i < count; i++) {
            int64_t image = (first + i) / l->tiles, t = (first + i) % l->tiles;
            if (t == 0) channels_last(l->in, l->in_lanes, in_size, in + image * l->in * in_size, s.image_in);
            tile_in(l, &s, t, i);
        }
        for (int i = 0; i < POINTS; i++)
            LOCAL(gemm_panels)(count, l->out_lanes, l->in,
                               (gemm_factor){s.points_in + i * l->step_in, l->in_lanes, 1}, kernel + i * l->step_kernel,
                               false, s.points_out + i * l->step_out, l->out_lanes);
        for (int64_t i = 0; i < count; i++) {
            int64_t image = (first + i) / l->tiles, t = (first + i) % l->tiles;
            REAL *result = out + image * l->out * out_size;
            if (t == 0 && add) channels_last(l->out, l->out_lanes, out_size, result, s.image_out);
            tile_out(l, &s, t, i, bias, add);
            if (t == l->tiles - 1) transpose(out_size, l->out, s.image_out, l->out_lanes, result, out_size);
        }
    }
}

void LOCAL(winograd_kernel)(int64_t in, int64_t out, int64_t out_lanes, int64_t step, const REAL *w, bool rotated,
                            REAL *kernel, int threads) {
#pragma omp parallel for num_threads(threads) if (in * out > 1024)
    for (int64_t panel = 0; panel < out_lanes; panel += PANEL)
        for (int64_t i = 0; i < in * PANEL / LANES; i++) { /* c by c, so that each of the 36 matrices is written front to back */
            const int64_t c = i / (PANEL / LANES), k = panel + i % (PANEL / LANES) * LANES;
            REAL values[9][VEC_BYTES / sizeof(REAL)] = {0};
            for (int64_t lane = 0; lane < LANES && k + lane < out; lane++) {
                const REAL *from = rotated ? w + (c * out + k + lane) * 9 : w + ((k + lane) * in + c) * 9;
                for (int j = 0; j < 9; j++) values[j][lane] = from[rotated ? 8 - j : j];
            }
            vec square[9], u[POINTS];
            UNROLL for (int j = 0; j < 9; j++) square[j] = load(values[j]);
            kernel_square_to_points(square, u);
            REAL *to = kernel + (k / PANEL * in + c) * PANEL + k % PANEL;
            UNROLL for (int j = 0; j < POINTS; j++) store(to + j * step, u[j]);
        }
}

static int64_t kernel_size(const layer *l) { return POINTS * l->step_kernel; }

/* Scratch: kernel | bias | a space for each thread. */
static int64_t convolution_scratch(const layer *l, int threads) {
    return padded(kernel_size(l)) + l->out_lanes + threads * padded(space_size(l));
}

static void convolution(const mn__window *g, const layer *l, bool rotated, const REAL *in, const REAL *w, const REAL *b,
                        bool add, REAL *out, REAL *scratch, int threads) {
    REAL *kernel = scratch, *bias = kernel + padded(kernel_size(l)), *spaces = bias + l->out_lanes;
    LOCAL(winograd_kernel)(l->in, l->out, l->out_lanes, l->step_kernel, w, rotated, kernel, threads);
    memset(bias, 0, (size_t)l->out_lanes * sizeof *bias);
    if (b) memcpy(bias, b, (size_t)l->out * sizeof *bias);
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
    for (int t = 0; t < threads; t++) {
        int64_t from, to;
        chunk_of(g->N, threads, t, &from, &to);
        convolve(l, to - from, in + from * l->in * l->in_h * l->in_w, kernel, bias, add,
                 out + from * l->out * l->out_h * l->out_w, spaces + t * padded(space_size(l)));
    }
}

/* ---- the gradient of the kernel ---- */

/* Tiles that are worked on at a time: each block reads and writes all of the sum once. */
enum { GRADIENT_BLOCK = 64 };

/* Of a thread: its sum (POINTS, C, K) | image x | zeros | image dy | points of x | points of dy in panels. */
static int64_t sum_size(const layer *l) { return padded(POINTS * l->step_kernel); }
static layer gradient_layer(const mn__window *g) {
    layer l = forward_layer(g);
    set_steps(&l, GRADIENT_BLOCK);
    return l;
}
static int64_t gradient_space(const layer *l) { return sum_size(l) + padded(space_size(l)); }

/* sum[point] (C,K) = over the tiles of some images, points of x times points of dy. */
static void sum_points(const layer *l, int64_t images, const REAL *x, const REAL *dy, REAL *sum) {
    const space s = space_at(l, sum + sum_size(l));
    int64_t in_size = l->in_h * l->in_w, out_size = l->out_h * l->out_w, tiles = images * l->tiles;
    memset(s.zeros, 0, (size_t)l->in_lanes * sizeof(REAL));
    memset(sum, 0, (size_t)sum_size(l) * sizeof *sum);
    for (int64_t first = 0; first < tiles; first += GRADIENT_BLOCK) {
        int64_t count = tiles - first < GRADIENT_BLOCK ? tiles - first : GRADIENT_BLOCK;
        for (int64_t i = 0; i < count; i++) {
            int64_t image = (first + i) / l->tiles, t = (first + i) % l->tiles;
            if (t == 0) {
                channels_last(l->in, l->in_lanes, in_size, x + image * l->in * in_size, s.image_in);
                channels_last(l->out, l->out_lanes, out_size, dy + image * l->out * out_size, s.image_out);
            }
            tile_in(l, &s, t, i);
            gradient_tile(l, s.image_out, t, i, count, s.points_out);
        }
        for (int i = 0; i < POINTS; i++)
            LOCAL(gemm_panels)(l->in, l->out_lanes, count,
                               (gemm_factor){s.points_in + i * l->step_in, 1, l->in_lanes},
                               s.points_out + i * l->step_out, true, sum + i * l->step_kernel, l->out_lanes);
    }
}

void LOCAL(winograd_kernel_gradient)(const conv2d_job *j, const layer *l, const REAL *sums, int chunks, int64_t stride) {
#pragma omp parallel for num_threads(j->threads) if (l->in * l->out > 1024)
    for (int64_t c = 0; c < l->in; c++)
        for (int64_t k = 0; k < l->out; k += LANES) {
            vec u[POINTS], square[9];
            REAL values[9][VEC_BYTES / sizeof(REAL)];
            for (int i = 0; i < POINTS; i++) {
                const REAL *from = sums + i * l->step_kernel + c * l->out_lanes + k;
                u[i] = load(from);
                for (int t = 1; t < chunks; t++) u[i] += load(from + t * stride);
            }
            gradient_square_from_points(u, square);
            for (int i = 0; i < 9; i++) store(values[i], square[i]);
            for (int64_t lane = 0; lane < LANES && k + lane < l->out; lane++)
                for (int i = 0; i < 9; i++) {
                    REAL *to = j->dw + ((k + lane) * l->in + c) * 9 + i;
                    *to = (j->add_dw ? *to : 0) + values[i][lane];
                }
        }
}

static void weight_gradient(const conv2d_job *j, const layer *l) {
    const mn__window *g = &j->g;
    int64_t stride = gradient_space(l);
#pragma omp parallel for num_threads(j->threads) schedule(static, 1) if (j->threads > 1)
    for (int t = 0; t < j->threads; t++) {
        int64_t from, to;
        chunk_of(g->N, j->threads, t, &from, &to);
        sum_points(l, to - from, j->x + from * g->C * g->H * g->W, j->dy + from * g->K * g->P * g->Q,
                   j->scratch + t * stride);
    }
    LOCAL(winograd_kernel_gradient)(j, l, j->scratch, j->threads, stride);
}

/* ---- the path ---- */

static int64_t scratch(const conv2d_job *j) {
    layer to_y = forward_layer(&j->g), to_dx = backward_layer(&j->g), to_dw = gradient_layer(&j->g);
    int64_t need = j->y ? convolution_scratch(&to_y, j->threads) : 0;
    if (j->dx) need = convolution_scratch(&to_dx, j->threads);
    int64_t gradient = j->dw ? j->threads * gradient_space(&to_dw) : 0;
    return need > gradient ? need : gradient;
}

static void forward(const conv2d_job *j) {
    layer l = forward_layer(&j->g);
    convolution(&j->g, &l, false, j->x, j->w, j->b, false, j->y, j->scratch, j->threads);
}

static void backward(const conv2d_job *j) {
    layer to_dx = backward_layer(&j->g), to_dw = gradient_layer(&j->g);
    if (j->dx) convolution(&j->g, &to_dx, true, j->dy, j->w, NULL, j->add_dx, j->dx, j->scratch, j->threads);
    if (j->dw) weight_gradient(j, &to_dw);
}

const conv2d_path LOCAL(conv2d_winograd) = {fits, scratch, forward, backward, NULL};
