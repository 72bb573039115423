/* Compiled depthwise convolution, a row of the result at a time: y[q][c] = b[c] + sum_{r,s} w[r,s][c] * x[q'][c].
 * With stride 1 a row is one long vector of pixels and channels: the element (r,s) of the kernel lies a fixed distance
 * away for all of it. Where a pixel is shorter than a vector, the weights are repeated to fill one. 2*P*Q*C*R*S flop. */
#include "cpu/infer.h"

/* packed: bias, then w[r][s], each as long as a pixel or a vector. */
static int64_t period(const mn__infer_step *s) { return s->x->lanes < LANES ? LANES : s->x->lanes; }
int64_t LOCAL(depthwise_packed)(const mn__infer_step *s) { return (s->g.R * s->g.S + 1) * period(s); }

void LOCAL(depthwise_pack)(const mn__infer_step *s, const REAL *kernel, const REAL *bias, REAL *to) {
    int64_t window = s->g.R * s->g.S;
    for (int64_t i = 0; i < period(s); i++) {
        int64_t c = i % s->x->lanes;
        to[i] = bias && c < s->g.C ? bias[c] : 0;
        for (int64_t k = 0; k < window; k++) to[(k + 1) * period(s) + i] = c < s->g.C ? kernel[c * window + k] : 0;
    }
}

/* Vectors of channels at x[0], x[step], ... into y likewise, `count` of them. R and S are constants where inlined. */
INLINE void slide(int R, int S, int64_t count, int64_t step, int64_t y_step, int64_t down, int64_t right, const REAL *w,
                  int64_t w_step, bool relu, const REAL *x, REAL *y) {
    enum { MOST = 9 };
    vec bias = load(w), f[MOST];
    bool known = R * S <= MOST;
    UNROLL for (int i = 0; i < MOST; i++) f[i] = known && i < R * S ? load(w + (i + 1) * w_step) : bias;
    for (int64_t i = 0; i < count; i++, x += step, y += y_step) {
        vec sum = bias;
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int s = 0; s < S; s++)
            sum += (known ? f[(r * S + s) % MOST] : load(w + (r * S + s + 1) * w_step)) * load(x + r * down + s * right);
        store(y, relu ? relu_lanes(sum) : sum);
    }
}

/* The same for a pixel that is shorter than a vector, one by one: with a stride no vector holds two pixels. */
static void short_pixels(const mn__infer_step *s, const REAL *w, const REAL *x, bool relu, REAL *y) {
    const mn__window *g = &s->g;
    int64_t lanes = s->x->lanes;
    for (int64_t q = 0; q < g->Q; q++)
        for (int64_t c = 0; c < s->x->C; c++) {
            REAL sum = w[c];
            for (int64_t r = 0; r < g->R; r++)
                for (int64_t t = 0; t < g->S; t++)
                    sum += w[(r * g->S + t + 1) * LANES + c] *
                           x[r * g->dilation_h * s->x->row + (q * g->stride_w + t * g->dilation_w) * lanes + c];
            y[q * lanes + c] = relu && !(sum > 0) ? 0 : sum;
        }
}

void LOCAL(depthwise_row)(const mn__infer_step *s, const REAL *w, const REAL *x, bool relu, REAL *y) {
    const mn__window *g = &s->g;
    int64_t lanes = s->x->lanes, down = g->dilation_h * s->x->row, right = g->dilation_w * lanes, last = period(s);
    if (lanes < LANES && g->stride_w > 1) {
        short_pixels(s, w, x, relu, y);
        return;
    }
    int64_t step = lanes < LANES ? LANES : lanes * g->stride_w, y_step = lanes < LANES ? LANES : lanes;
    int64_t count = lanes < LANES ? (g->Q * lanes + LANES - 1) / LANES : g->Q;
    for (int64_t c = 0; c < last; c += LANES)
        if (g->R == 3 && g->S == 3) slide(3, 3, count, step, y_step, down, right, w + c, last, relu, x + c, y + c);
        else slide((int)g->R, (int)g->S, count, step, y_step, down, right, w + c, last, relu, x + c, y + c);
}

static void pack(const mn__infer_step *s, int threads) {
    (void)threads;
    LOCAL(depthwise_pack)(s, s->w, s->b, s->packed);
}

/* A row is made beside y where whole vectors could run on into its border. */
static int64_t scratch(const mn__infer_step *s, int64_t images) {
    (void)images;
    return padded(s->g.Q * s->y->lanes + LANES);
}

static void run(const mn__infer_job *j) {
    const mn__infer_step *s = j->s;
    const mn__window *g = &s->g;
    int64_t from, to;
    REAL *row = j->scratch;
    clear_borders(j);
    chunk_of(j->images * g->P, j->parts, j->part, &from, &to);
    for (int64_t i = from; i < to; i++) {
        int64_t n = i / g->P, p = i % g->P;
        LOCAL(depthwise_row)(s, s->packed, job_x(j, n) + mn__map_at(s->x, p * g->stride_h - g->top, -g->left),
                             s->activation == MN_ACT_RELU, row);
        memcpy(job_y(j, n) + mn__map_at(s->y, p, 0), row, (size_t)(g->Q * s->y->lanes) * sizeof *row);
    }
}

const mn__infer_way LOCAL(infer_depthwise) = {LOCAL(depthwise_packed), pack, scratch, run};
