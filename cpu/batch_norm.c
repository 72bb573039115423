/* batch_norm: y = (x - mean) * rstd * gamma + beta for each channel c, rstd = 1/sqrt(var + eps).
 *   training:  mean = 1/M sum x,  var = 1/M sum (x - mean)^2  over the M = N*H*W elements of the channel;
 *              running = (1-momentum)*running + momentum*batch  (variance times M/(M-1) unless biased_running)
 *   else:      mean and var are the running ones.
 * Backward, with xhat = (x - mean) * rstd:
 *   dbeta (+)= sum dy,   dgamma (+)= sum dy * xhat
 *   dx (+)= gamma * rstd * (dy - dbeta'/M - xhat * dgamma'/M)   in training (' : of this pass alone)
 *   dx (+)= gamma * rstd * dy                                    else
 * With `more` (N,C,H,W), y is that + more, and dmore (+)= dy. With the option relu, y is max(0, that), and dy counts where
 * y > 0: asked of y where there is `more`, else recomputed from x, which is read anyway.
 * x, y (N,C,H,W) or (N,C); gamma, beta, mean, var (C). y overwritten. One thread a channel, plane by plane: x is read
 * twice forward (statistics, result), x and dy twice backward (sums, dx). */
#include "cpu/line.h"

typedef struct layout {
    int64_t N, C, pixels; /* element i of channel c in image n stands at (n*C + c)*pixels + i */
} layout;
static layout layout_of(const mn_node *n) {
    mn_shape s = n->in[0]->shape;
    return (layout){s.dim[0], s.dim[1], s.ndim == 4 ? s.dim[2] * s.dim[3] : 1};
}

/* Mean and variance of channel c. A plane is summed twice while it is in the first cache, then joined to what came
 * before (Chan, Golub, LeVeque 1979): exact where sum x^2 - (sum x)^2 would cancel. */
static void statistics(layout a, const REAL *x, int64_t c, double *mean, double *var) {
    double m = 0, squares = 0, count = 0;
    for (int64_t n = 0; n < a.N; n++) {
        const REAL *p = x + (n * a.C + c) * a.pixels;
        REAL sum = 0, spread = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < a.pixels; i++) sum += p[i];
        const REAL here = sum / (REAL)a.pixels;
#pragma omp simd reduction(+ : spread)
        for (int64_t i = 0; i < a.pixels; i++) spread += (p[i] - here) * (p[i] - here);
        double more = (double)a.pixels, total = count + more, d = (double)here - m;
        m += d * more / total;
        squares += (double)spread + d * d * count * more / total;
        count = total;
    }
    *mean = m;
    *var = count > 0 ? squares / count : 0;
}

static const mn_batch_norm_opt *options(const mn_node *n) { return &((const mn__batch_norm_opt *)n->opt)->of; }

static void move_running(const mn_node *n, layout a, int64_t c, double mean, double var) {
    const mn_batch_norm_opt *o = options(n);
    double M = (double)(a.N * a.pixels), f = o->momentum;
    if (!n->in[3] || f < 0 || a.N == 0) return;
    REAL *running_mean = n->in[3]->data, *running_var = n->in[4]->data;
    if (!o->biased_running) var *= M / (M - 1);
    running_mean[c] = (REAL)((1 - f) * (double)running_mean[c] + f * mean);
    running_var[c] = (REAL)((1 - f) * (double)running_var[c] + f * var);
}

static void write_plane(int64_t count, line l, const REAL *x, const REAL *more, REAL *y) {
    if (!more) {
        follow_line(count, l, x, y);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        REAL z = (x[i] - l.mean) * l.factor + l.beta + more[i];
        y[i] = z > 0 || !l.relu ? z : 0;
    }
}

/* Mean and rstd of channel c, which are saved where there is a backward pass. */
static line channel_line(const mn_node *n, layout a, int64_t c) {
    const mn_batch_norm_opt *o = options(n);
    REAL *saved_mean = n->saved[0] ? n->saved[0]->data : NULL, *saved_rstd = n->saved[1] ? n->saved[1]->data : NULL;
    double mean, var;
    if (n->settling) return line_of(n, c);
    if (o->training) {
        statistics(a, in(n, 0), c, &mean, &var);
        move_running(n, a, c, mean, var);
    } else {
        mean = (double)in(n, 3)[c], var = (double)in(n, 4)[c];
    }
    const REAL rstd = (REAL)(1 / sqrt(var + o->eps));
    if (saved_mean) saved_mean[c] = (REAL)mean, saved_rstd[c] = rstd;
    return line_with(n, c, (REAL)mean, rstd);
}

mn_status FWD(batch_norm)(mn_node *n);
mn_status FWD(batch_norm)(mn_node *n) {
    const layout a = layout_of(n);
    const REAL *x = in(n, 0), *more = in(n, 5);
    REAL *y = out(n);
#pragma omp parallel for num_threads(n->ctx->threads) if (n->out->count > MN__PARALLEL_MIN)
    for (int64_t c = 0; c < a.C; c++) {
        const line l = channel_line(n, a, c);
        for (int64_t i = 0; i < a.N && !n->pending; i++) {
            int64_t at = (i * a.C + c) * a.pixels;
            write_plane(a.pixels, l, x + at, more ? more + at : NULL, y + at);
        }
    }
    return MN_OK;
}

/* Where dy comes through: everywhere, where (x - mean) * factor + beta > 0, where y > 0. */
typedef enum gate { OPEN, BY_X, BY_Y } gate;
INLINE REAL through(gate g, line l, REAL x, REAL y, REAL dy) {
    return g == OPEN || (g == BY_Y ? y : (x - l.mean) * l.factor + l.beta) > 0 ? dy : 0;
}

/* sum dy and sum dy * (x - mean) over channel c. */
INLINE void sums(gate way, layout a, const REAL *x, const REAL *y, const REAL *dy, int64_t c, line l, double *sum, double *product) {
    *sum = *product = 0;
    for (int64_t n = 0; n < a.N; n++) {
        int64_t at = (n * a.C + c) * a.pixels;
        REAL s = 0, p = 0;
#pragma omp simd reduction(+ : s, p)
        for (int64_t i = at; i < at + a.pixels; i++) {
            REAL g = through(way, l, x[i], y[i], dy[i]);
            s += g, p += g * (x[i] - l.mean);
        }
        *sum += (double)s;
        *product += (double)p;
    }
}

/* dx (+)= factor * dy - slope * (x - mean) - shift over a plane. dx may lie where dy lies. */
INLINE void gradient(gate way, int64_t count, line l, REAL slope, REAL shift, const REAL *x, const REAL *y, const REAL *dy,
                     bool add, REAL *dx) {
    if (add)
#pragma omp simd
        for (int64_t k = 0; k < count; k++)
            dx[k] += l.factor * through(way, l, x[k], y[k], dy[k]) - slope * (x[k] - l.mean) - shift;
    else
#pragma omp simd
        for (int64_t k = 0; k < count; k++)
            dx[k] = l.factor * through(way, l, x[k], y[k], dy[k]) - slope * (x[k] - l.mean) - shift;
}

/* The same with dmore (+)= dy, which dx may be written over. Either may be NULL, and both may be the same. */
INLINE void both_gradients(gate way, int64_t count, line l, REAL slope, REAL shift, const REAL *x, const REAL *y, const REAL *dy,
                           bool add, REAL *dx, bool add_more, REAL *dmore) {
#pragma omp simd
    for (int64_t k = 0; k < count; k++) {
        const REAL g = through(way, l, x[k], y[k], dy[k]);
        if (dx) dx[k] = (add ? dx[k] : 0) + (l.factor * g - slope * (x[k] - l.mean) - shift);
        if (dmore) dmore[k] = (add_more ? dmore[k] : 0) + g;
    }
}

/* `way` is a constant in each place where this is called: three loops without a question in them. */
INLINE void channel_backward(gate way, const mn_node *n, layout a, int64_t c) {
    const mn_batch_norm_opt *o = options(n);
    const REAL *x = in(n, 0), *y = out(n), *dy = out_grad(n), *rstds = n->saved[1]->data;
    REAL *dx = in_grad(n, 0), *dgamma = in_grad(n, 1), *dbeta = in_grad(n, 2), *dmore = in_grad(n, 5);
    const line l = line_of(n, c);
    const REAL rstd = rstds[c];
    double sum = 0, product = 0, M = (double)(a.N * a.pixels);
    if (dgamma || dbeta || o->training) sums(way, a, x, y, dy, c, l, &sum, &product);
    const REAL shift = o->training ? (REAL)((double)l.factor * sum / M) : 0;
    const REAL slope = o->training ? (REAL)((double)l.factor * (double)rstd * (double)rstd * product / M) : 0;
    for (int64_t i = 0; i < a.N; i++) {
        int64_t at = (i * a.C + c) * a.pixels;
        if (dmore)
            both_gradients(way, a.pixels, l, slope, shift, x + at, y + at, dy + at, mn__adds(n, 0), dx ? dx + at : NULL,
                           mn__adds(n, 5), dmore + at);
        else if (dx)
            gradient(way, a.pixels, l, slope, shift, x + at, y + at, dy + at, mn__adds(n, 0), dx + at);
    }
    if (dgamma) dgamma[c] = (mn__adds(n, 1) ? dgamma[c] : 0) + (REAL)(product * (double)rstd);
    if (dbeta) dbeta[c] = (mn__adds(n, 2) ? dbeta[c] : 0) + (REAL)sum;
}

mn_status BWD(batch_norm)(mn_node *n);
mn_status BWD(batch_norm)(mn_node *n) {
    const layout a = layout_of(n);
    const gate way = !((const mn__batch_norm_opt *)n->opt)->relu ? OPEN : n->in[5] ? BY_Y : BY_X;
#pragma omp parallel for num_threads(n->ctx->threads) if (n->out->count > MN__PARALLEL_MIN)
    for (int64_t c = 0; c < a.C; c++) {
        if (way == OPEN) channel_backward(OPEN, n, a, c);
        else if (way == BY_X) channel_backward(BY_X, n, a, c);
        else channel_backward(BY_Y, n, a, c);
    }
    return MN_OK;
}
