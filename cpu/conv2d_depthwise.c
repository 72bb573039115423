/* Depthwise convolution (groups = C = K): every channel has its own kernel, so nothing is summed over channels and
 * a matrix product would be one row high. Instead every weight w[c,r,s] adds a shifted copy of the image:
 *   y[p,q] += w[r,s] * x[p*stride-top+r*dilation, q*stride-left+s*dilation]
 * a row of the output at a time, which stays in the first cache. Both gradients are the same loop read the other
 * way round. One thread a channel of an image; 2*N*C*P*Q*R*S flop; a row of y is written R*S times, from cache. */
#include "cpu/conv2d.h"

static bool fits(const mn__window *g) { return g->groups == g->C && g->K == g->C && g->groups > 1; }

/* Columns q of the output whose element s of the kernel lies inside a row of W elements: [*from, *to). */
static void columns(const mn__window *g, int64_t s, int64_t *from, int64_t *to) {
    int64_t offset = s * g->dilation_w - g->left, stride = g->stride_w;
    *from = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
    *to = offset >= g->W ? 0 : (g->W - 1 - offset) / stride + 1;
    if (*to > g->Q) *to = g->Q;
}

/* One channel of one image: y (P,Q) = bias + x (H,W) * w (R,S). */
static void forward_plane(const mn__window *g, const REAL *x, const REAL *w, REAL bias, REAL *y) {
    for (int64_t p = 0; p < g->P; p++, y += g->Q) {
        for (int64_t q = 0; q < g->Q; q++) y[q] = bias;
        for (int64_t r = 0; r < g->R; r++) {
            int64_t h = p * g->stride_h - g->top + r * g->dilation_h;
            if (h < 0 || h >= g->H) continue;
            for (int64_t s = 0; s < g->S; s++) {
                const REAL *row = x + h * g->W + s * g->dilation_w - g->left, weight = w[r * g->S + s];
                int64_t from, to;
                columns(g, s, &from, &to);
                if (g->stride_w == 1)
                    for (int64_t q = from; q < to; q++) y[q] += weight * row[q];
                else
                    for (int64_t q = from; q < to; q++) y[q] += weight * row[q * g->stride_w];
            }
        }
    }
}

/* dx (H,W) += dy (P,Q) spread by w. */
static void input_gradient(const mn__window *g, const REAL *dy, const REAL *w, REAL *dx) {
    for (int64_t p = 0; p < g->P; p++, dy += g->Q)
        for (int64_t r = 0; r < g->R; r++) {
            int64_t h = p * g->stride_h - g->top + r * g->dilation_h;
            if (h < 0 || h >= g->H) continue;
            for (int64_t s = 0; s < g->S; s++) {
                REAL *row = dx + h * g->W + s * g->dilation_w - g->left;
                const REAL weight = w[r * g->S + s];
                int64_t from, to;
                columns(g, s, &from, &to);
                if (g->stride_w == 1)
                    for (int64_t q = from; q < to; q++) row[q] += weight * dy[q];
                else
                    for (int64_t q = from; q < to; q++) row[q * g->stride_w] += weight * dy[q];
            }
        }
}

/* dw (R,S) += the product of dy with x as seen by each element of the kernel. */
static void weight_gradient(const mn__window *g, const REAL *x, const REAL *dy, REAL *dw) {
    for (int64_t p = 0; p < g->P; p++, dy += g->Q)
        for (int64_t r = 0; r < g->R; r++) {
            int64_t h = p * g->stride_h - g->top + r * g->dilation_h;
            if (h < 0 || h >= g->H) continue;
            for (int64_t s = 0; s < g->S; s++) {
                const REAL *row = x + h * g->W + s * g->dilation_w - g->left;
                int64_t from, to;
                columns(g, s, &from, &to);
                REAL sum = 0;
                if (g->stride_w == 1) {
#pragma omp simd reduction(+ : sum)
                    for (int64_t q = from; q < to; q++) sum += row[q] * dy[q];
                } else {
                    for (int64_t q = from; q < to; q++) sum += row[q * g->stride_w] * dy[q];
                }
                dw[r * g->S + s] += sum;
            }
        }
}

static int64_t scratch(const conv2d_job *j) {
    (void)j;
    return 0;
}

static void forward(const conv2d_job *j) {
    const mn__window *g = &j->g;
    int64_t work = g->N * g->C * g->P * g->Q * g->R * g->S;
#pragma omp parallel for num_threads(j->threads) if (work > MN__PARALLEL_MIN)
    for (int64_t i = 0; i < g->N * g->C; i++) {
        int64_t c = i % g->C;
        forward_plane(g, j->x + i * g->H * g->W, j->w + c * g->R * g->S, j->b ? j->b[c] : 0, j->y + i * g->P * g->Q);
    }
}

static void backward(const conv2d_job *j) {
    const mn__window *g = &j->g;
    int64_t window = g->R * g->S, image = g->H * g->W, result = g->P * g->Q;
    /* A thread takes a channel of all images: the sum into dw has one order whatever the threads. */
#pragma omp parallel for num_threads(j->threads) if (g->N * g->C * result * window > MN__PARALLEL_MIN)
    for (int64_t c = 0; c < g->C; c++) {
        if (j->dw && !j->add_dw) memset(j->dw + c * window, 0, (size_t)window * sizeof(REAL));
        for (int64_t n = 0; n < g->N; n++) {
            int64_t i = n * g->C + c;
            const REAL *dy = j->dy + i * result;
            if (j->dw) weight_gradient(g, j->x + i * image, dy, j->dw + c * window);
            if (!j->dx) continue;
            if (!j->add_dx) memset(j->dx + i * image, 0, (size_t)image * sizeof(REAL));
            input_gradient(g, dy, j->w + c * window, j->dx + i * image);
        }
    }
}

const conv2d_path LOCAL(conv2d_depthwise) = {fits, scratch, forward, backward, NULL};
