/* Winograd's convolution (conv2d_winograd.c) between many channels, where the points of the kernel, 36*C*K numbers, are larger
 * than the caches. Threads that take images of their own would each read all of them from memory, for every block of tiles
 * again, and sum a gradient of that size each. Here the threads work on one large block of images together: each brings some
 * of the images to points, multiplies some of the 36 points, brings some of the images back. A point's matrix is read once a
 * block, by one thread; the gradient's points are summed once. */
#include "cpu/winograd_layer.h"

/* C*K from which on this is faster; tiles of a block. */
enum { WIDE = 60000, BLOCK = 128 };

static bool fits(const mn__window *g) { return g->C * g->K >= WIDE && LOCAL(conv2d_winograd).fits(g); }

/* Images of a block, as many for each thread. */
static int64_t images_of(const conv2d_job *j, const layer *l) {
    int64_t each = BLOCK / l->tiles / j->threads, images = (each > 1 ? each : 1) * j->threads;
    return images < j->g.N ? images : j->g.N;
}
static layer with_block(const conv2d_job *j, layer l) {
    set_steps(&l, images_of(j, &l) * l.tiles);
    return l;
}

/* Scratch: the kernel's points, or their gradient | bias | zeros | points of a block | of each thread, an image of either
 * side. */
static int64_t images_size(const layer *l) {
    return padded(l->in_h * l->in_w * l->in_lanes + l->out_h * l->out_w * l->out_lanes);
}
static int64_t scratch_size(const layer *l, int threads) {
    return padded(POINTS * l->step_kernel) + l->out_lanes + l->in_lanes + padded(POINTS * (l->step_in + l->step_out)) +
           threads * images_size(l);
}
static space space_of(const layer *l, REAL *scratch, int thread) {
    space s = {.zeros = scratch + padded(POINTS * l->step_kernel) + l->out_lanes};
    s.points_in = s.zeros + l->in_lanes;
    s.points_out = s.points_in + POINTS * l->step_in;
    s.image_in = s.points_in + padded(POINTS * (l->step_in + l->step_out)) + thread * images_size(l);
    s.image_out = s.image_in + l->in_h * l->in_w * l->in_lanes;
    return s;
}

/* Images [from, to) of a block to points. */
static void images_to_points(const layer *l, const space *s, int64_t from, int64_t to, const REAL *in) {
    int64_t size = l->in_h * l->in_w;
    for (int64_t i = from; i < to; i++) {
        channels_last(l->in, l->in_lanes, size, in + i * l->in * size, s->image_in);
        for (int64_t t = 0; t < l->tiles; t++) tile_in(l, s, t, i * l->tiles + t);
    }
}
static void images_from_points(const layer *l, const space *s, int64_t from, int64_t to, const REAL *bias, bool add, REAL *out) {
    int64_t size = l->out_h * l->out_w;
    for (int64_t i = from; i < to; i++) {
        REAL *result = out + i * l->out * size;
        if (add) channels_last(l->out, l->out_lanes, size, result, s->image_out);
        for (int64_t t = 0; t < l->tiles; t++) tile_out(l, s, t, i * l->tiles + t, bias, add);
        transpose(size, l->out, s->image_out, l->out_lanes, result, size);
    }
}

/* out (+)= the convolution of `images` images, in three steps with all threads. */
static void convolve_block(const layer *l, int64_t images, const REAL *in, bool add, REAL *out, REAL *scratch, int threads) {
    const REAL *kernel = scratch, *bias = kernel + padded(POINTS * l->step_kernel);
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
    for (int t = 0; t < threads; t++) {
        const space s = space_of(l, scratch, t);
        images_to_points(l, &s, images * t / threads, images * (t + 1) / threads, in);
    }
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int i = 0; i < POINTS; i++) {
        const space s = space_of(l, scratch, 0);
        LOCAL(gemm_panels)(images * l->tiles, l->out_lanes, l->in, (gemm_factor){s.points_in + i * l->step_in, l->in_lanes, 1},
                           kernel + i * l->step_kernel, false, s.points_out + i * l->step_out, l->out_lanes);
    }
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
    for (int t = 0; t < threads; t++) {
        const space s = space_of(l, scratch, t);
        images_from_points(l, &s, images * t / threads, images * (t + 1) / threads, bias, add, out);
    }
}

static void convolution(const conv2d_job *j, layer l, bool rotated, const REAL *in, const REAL *b, bool add, REAL *out) {
    REAL *kernel = j->scratch, *bias = kernel + padded(POINTS * l.step_kernel);
    LOCAL(winograd_kernel)(l.in, l.out, l.out_lanes, l.step_kernel, j->w, rotated, kernel, j->threads);
    memset(bias, 0, (size_t)(l.out_lanes + l.in_lanes) * sizeof *bias);
    if (b) memcpy(bias, b, (size_t)l.out * sizeof *bias);
    for (int64_t n = 0, images = images_of(j, &l); n < j->g.N; n += images)
        convolve_block(&l, j->g.N - n < images ? j->g.N - n : images, in + n * l.in * l.in_h * l.in_w, add,
                       out + n * l.out * l.out_h * l.out_w, j->scratch, j->threads);
}

/* sum[point] (C,K) (+)= points of x times points of dy, over the tiles of some images. */
static void gradient_block(const layer *l, int64_t images, const REAL *x, const REAL *dy, bool add, REAL *sum, int threads) {
    int64_t size = l->out_h * l->out_w, count = images * l->tiles;
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
    for (int t = 0; t < threads; t++) {
        const space s = space_of(l, sum, t);
        int64_t from = images * t / threads, to = images * (t + 1) / threads;
        images_to_points(l, &s, from, to, x);
        for (int64_t i = from; i < to; i++) {
            channels_last(l->out, l->out_lanes, size, dy + i * l->out * size, s.image_out);
            for (int64_t k = 0; k < l->tiles; k++) gradient_tile(l, s.image_out, k, i * l->tiles + k, count, s.points_out);
        }
    }
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int i = 0; i < POINTS; i++) {
        const space s = space_of(l, sum, 0);
        LOCAL(gemm_panels)(l->in, l->out_lanes, count, (gemm_factor){s.points_in + i * l->step_in, 1, l->in_lanes},
                           s.points_out + i * l->step_out, add, sum + i * l->step_kernel, l->out_lanes);
    }
}

static void weight_gradient(const conv2d_job *j, layer l) {
    const mn__window *g = &j->g;
    REAL *sum = j->scratch;
    memset(space_of(&l, sum, 0).zeros, 0, (size_t)l.in_lanes * sizeof *sum);
    if (g->N == 0) memset(sum, 0, (size_t)(POINTS * l.step_kernel) * sizeof *sum);
    for (int64_t n = 0, images = images_of(j, &l); n < g->N; n += images)
        gradient_block(&l, g->N - n < images ? g->N - n : images, j->x + n * g->C * g->H * g->W, j->dy + n * g->K * g->P * g->Q,
                       n > 0, sum, j->threads);
    LOCAL(winograd_kernel_gradient)(j, &l, sum, 1, 0);
}

static int64_t scratch(const conv2d_job *j) {
    layer to_y = with_block(j, forward_layer(&j->g)), to_dx = with_block(j, backward_layer(&j->g));
    int64_t forward = scratch_size(&to_y, j->threads), backward = scratch_size(&to_dx, j->threads);
    return j->dx && backward > forward ? backward : forward;
}

static void forward(const conv2d_job *j) {
    convolution(j, with_block(j, forward_layer(&j->g)), false, j->x, j->b, false, j->y);
}

static void backward(const conv2d_job *j) {
    if (j->dx) convolution(j, with_block(j, backward_layer(&j->g)), true, j->dy, NULL, j->add_dx, j->dx);
    if (j->dw) weight_gradient(j, with_block(j, forward_layer(&j->g)));
}

const conv2d_path LOCAL(conv2d_winograd_wide) = {fits, scratch, forward, backward, NULL};
