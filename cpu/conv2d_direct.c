/* 3x3 convolution with stride 1 between few channels, where Winograd's transforms would cost more than they save and
 * im2col would be most of the work: the first layer of a network, above all. The padded planes of an image stand side by
 * side as long rows (conv2d_frame.h). Then cols, the matrix that im2col writes, need not be written: its row (c,r,s) is
 * the plane of channel c from place r*down + s*right on, and the matrix product reads it there.
 *   y'[k][i]    = sum_{c,r,s} w[k,c,r,s] * x'[c][i + r*down + s*right]
 *   dw[k,c,r,s] = sum_i dy'[k][i] * x'[c][i + r*down + s*right]
 * Images are shared out among the threads; 2*N*K*P*W'*C*9 flop a pass. */
#include "cpu/depthwise_3x3.h"

/* Output channels at a time: ROWS*2 vectors of sums; in the gradient of w, ROWS*3 of them. CHUNK: numbers of a plane whose
 * neighbours in all channels of x and ROWS of dy stay in the first cache. */
#if defined(__AVX512F__)
enum { ROWS = 8 };
#else
enum { ROWS = 4 };
#endif
enum { CHUNK = 512 };

static bool fits(const mn__window *g) {
    return g->R == 3 && g->S == 3 && g->stride_h == 1 && g->stride_w == 1 && g->groups == 1 && (g->C < 16 || g->K < 16);
}

/* result[row][0 .. count) = sum over p of w[p][row] * planes[offset[p] + 0 .. count), for ROWS rows `step` apart. */
static void multiply(int64_t count, int64_t depth, const REAL *w, const REAL *planes, const int64_t *offset, REAL *result,
                     int64_t step) {
    for (int64_t i = 0; i < count; i += 2 * LANES) {
        vec sum[ROWS][2] = {0};
        for (int64_t p = 0; p < depth; p++) {
            const REAL *x = planes + offset[p] + i;
            vec x0 = load(x), x1 = load(x + LANES);
            UNROLL for (int row = 0; row < ROWS; row++) {
                vec f = broadcast(w[p * ROWS + row]);
                sum[row][0] += f * x0;
                sum[row][1] += f * x1;
            }
        }
        UNROLL for (int row = 0; row < ROWS; row++) {
            store(result + row * step + i, sum[row][0]);
            store(result + row * step + i + LANES, sum[row][1]);
        }
    }
}

/* sums[row][s] += over i, lane by lane, of dy'[row][i] * x'[i + s*right], for ROWS channels of dy' `step` apart. */
INLINE void correlate(bool near, int64_t count, const REAL *x, int64_t right, const REAL *dy, int64_t step, REAL *sums) {
    vec sum[ROWS][3], here = load(x);
    UNROLL for (int row = 0; row < ROWS; row++)
        UNROLL for (int s = 0; s < 3; s++) sum[row][s] = load(sums + (row * 3 + s) * LANES);
    for (int64_t i = 0; i < count; i += LANES) {
        vec v[3];
        if (near) neighbours(x + i, &here, v);
        else UNROLL for (int s = 0; s < 3; s++) v[s] = load(x + i + s * right);
        UNROLL for (int row = 0; row < ROWS; row++) {
            vec g = load(dy + row * step + i);
            UNROLL for (int s = 0; s < 3; s++) sum[row][s] += g * v[s];
        }
    }
    UNROLL for (int row = 0; row < ROWS; row++)
        UNROLL for (int s = 0; s < 3; s++) store(sums + (row * 3 + s) * LANES, sum[row][s]);
}

/* ---- a convolution from `in` to `out` channels: forward, or backward to dx ---- */

typedef struct layer {
    int64_t in, out;
    frame f;
    int64_t plane;        /* numbers of a padded plane, or of a plane of results */
    int64_t depth;        /* in*9: (c,r,s) as one index */
} layer;
static layer layer_of(const mn__window *g, bool backward) {
    layer l = {.in = backward ? g->K : g->C, .out = backward ? g->C : g->K, .f = frame_of(g, backward)};
    l.plane = frame_size(&l.f);
    l.depth = l.in * 9;
    return l;
}

/* Shared: w as [block of ROWS][p][row], then the offsets. Of a thread: the planes of an image, ROWS planes of results. */
static int64_t weights_size(const layer *l) { return padded(round_up(l->out, ROWS) * l->depth); }
static int64_t offsets_size(const layer *l) { return padded(l->depth * (int64_t)(sizeof(int64_t) / sizeof(REAL))); }
static int64_t planes_size(const layer *l) { return (l->in + ROWS) * l->plane; }
static int64_t convolution_scratch(const layer *l, int threads) {
    return weights_size(l) + offsets_size(l) + threads * planes_size(l);
}

static void fill_offsets(const mn__window *g, const layer *l, int64_t *offset) {
    for (int64_t p = 0; p < l->depth; p++)
        offset[p] = p / 9 * l->plane + p % 9 / 3 * g->dilation_h * l->f.columns + p % 3 * g->dilation_w;
}

static void order_weights(const mn__window *g, const layer *l, const REAL *w, bool backward, REAL *to) {
    memset(to, 0, (size_t)weights_size(l) * sizeof *to);
    for (int64_t k = 0; k < l->out; k++)
        for (int64_t p = 0; p < l->depth; p++) {
            int64_t from = backward ? (p / 9 * g->C + k) * 9 + 8 - p % 9 : k * l->depth + p;
            to[(k / ROWS * l->depth + p) * ROWS + k % ROWS] = w[from];
        }
}

static void convolution(const conv2d_job *j, bool backward) {
    const mn__window *g = &j->g;
    const layer l = layer_of(g, backward);
    REAL *w = j->scratch, *planes = w + weights_size(&l) + offsets_size(&l);
    int64_t *offset = (int64_t *)(void *)(w + weights_size(&l)), in_size = l.in * l.f.height * l.f.width;
    int64_t out_size = l.f.height_out * l.f.width_out, count = l.f.height_out * l.f.columns;
    order_weights(g, &l, j->w, backward, w);
    fill_offsets(g, &l, offset);
#pragma omp parallel for num_threads(j->threads) schedule(static, 1) if (j->threads > 1)
    for (int t = 0; t < j->threads; t++) {
        REAL *mine = planes + t * planes_size(&l), *result = mine + l.in * l.plane;
        int64_t from, to;
        chunk_of(g->N, j->threads, t, &from, &to);
        for (int64_t n = from; n < to; n++) {
            const REAL *image = (backward ? j->dy : j->x) + n * in_size;
            REAL *y = (backward ? j->dx : j->y) + n * l.out * out_size;
            for (int64_t c = 0; c < l.in; c++) {
                line room;
                const line *through = line_or_none(backward ? NULL : j->norm, c, &room);
                copy_in(&l.f, image + c * l.f.height * l.f.width, through, mine + c * l.plane);
            }
            for (int64_t k = 0; k < l.out; k += ROWS) {
                multiply(count, l.depth, w + k * l.depth, mine, offset, result, l.plane);
                for (int64_t row = 0; row < ROWS && k + row < l.out; row++)
                    copy_out(&l.f, result + row * l.plane, !backward && j->b ? j->b[k + row] : 0, backward && j->add_dx,
                             y + (k + row) * out_size);
            }
        }
    }
}

/* ---- the gradient of w ---- */

/* Of a thread: sums of LANES numbers for every element of w, [block of ROWS][c][r][row][s]; planes of x, ROWS planes of dy. */
static int64_t sums_size(const mn__window *g) { return round_up(g->K, ROWS) * g->C * 9 * LANES; }
static int64_t gradient_scratch(const mn__window *g, const layer *l) {
    return padded(sums_size(g)) + (g->C + ROWS) * l->plane;
}

/* The sums of ROWS output channels, of a chunk of pixels after the other. */
static void gradient_rows(const mn__window *g, const layer *l, const REAL *planes, const REAL *dy, REAL *sums) {
    int64_t count = g->P * l->f.columns, down = g->dilation_h * l->f.columns;
    for (int64_t i = 0; i < count; i += CHUNK) {
        int64_t size = count - i < CHUNK ? count - i : CHUNK;
        for (int64_t cr = 0; cr < g->C * 3; cr++) {
            const REAL *x = planes + cr / 3 * l->plane + cr % 3 * down + i;
            REAL *to = sums + cr * ROWS * 3 * LANES;
            if (g->dilation_w == 1) correlate(true, size, x, 1, dy + i, l->plane, to);
            else correlate(false, size, x, g->dilation_w, dy + i, l->plane, to);
        }
    }
}

static void gradient_image(const mn__window *g, const layer *l, const mn_node *norm, const REAL *x, const REAL *dy, REAL *sums,
                           REAL *planes) {
    /* dy' has rows of the length of x', with zeros where y' means nothing. */
    const frame of_dy = {g->P, g->Q, 0, 0, l->f.rows, l->f.columns, 0, 0};
    REAL *gradient = planes + g->C * l->plane;
    for (int64_t c = 0; c < g->C; c++) {
        line room;
        copy_in(&l->f, x + c * g->H * g->W, line_or_none(norm, c, &room), planes + c * l->plane);
    }
    for (int64_t k = 0; k < g->K; k += ROWS) {
        for (int row = 0; row < ROWS; row++) {
            if (k + row < g->K) copy_in(&of_dy, dy + (k + row) * g->P * g->Q, NULL, gradient + row * l->plane);
            else memset(gradient + row * l->plane, 0, (size_t)l->plane * sizeof(REAL));
        }
        gradient_rows(g, l, planes, gradient, sums + k * g->C * 9 * LANES);
    }
}

static void weight_gradient(const conv2d_job *j) {
    const mn__window *g = &j->g;
    const layer l = layer_of(g, false);
    int64_t stride = gradient_scratch(g, &l);
#pragma omp parallel for num_threads(j->threads) schedule(static, 1) if (j->threads > 1)
    for (int t = 0; t < j->threads; t++) {
        REAL *sums = j->scratch + t * stride;
        int64_t from, to;
        chunk_of(g->N, j->threads, t, &from, &to);
        memset(sums, 0, (size_t)sums_size(g) * sizeof *sums);
        for (int64_t n = from; n < to; n++)
            gradient_image(g, &l, j->norm, j->x + n * g->C * g->H * g->W, j->dy + n * g->K * g->P * g->Q, sums,
                           sums + padded(sums_size(g)));
    }
    for (int64_t i = 0; i < g->K * g->C * 9; i++) {
        int64_t k = i / (g->C * 9), cr = i / 3 % (g->C * 3);
        int64_t place = (k - k % ROWS) * g->C * 9 + (cr * ROWS + k % ROWS) * 3 + i % 3;
        REAL total = j->add_dw ? j->dw[i] : 0;
        for (int t = 0; t < j->threads; t++) total += sum_lanes(load(j->scratch + t * stride + place * LANES));
        j->dw[i] = total;
    }
}

/* ---- the path ---- */

static int64_t scratch(const conv2d_job *j) {
    layer to_y = layer_of(&j->g, false), to_dx = layer_of(&j->g, true);
    int64_t need = j->y ? convolution_scratch(&to_y, j->threads) : 0;
    if (j->dx) need = convolution_scratch(&to_dx, j->threads);
    int64_t gradient = j->dw ? j->threads * gradient_scratch(&j->g, &to_y) : 0;
    return need > gradient ? need : gradient;
}

static void forward(const conv2d_job *j) { convolution(j, false); }

static void backward(const conv2d_job *j) {
    if (j->dx) convolution(j, true);
    if (j->dw) weight_gradient(j);
}

const conv2d_path LOCAL(conv2d_direct) = {fits, scratch, forward, backward, fits};
