/* batch_norm: y = (x - mean) * rstd * gamma + beta for each channel c, rstd = 1/sqrt(var + eps).
 *   training:  mean = 1/M sum x,  var = 1/M sum (x - mean)^2  over the M = N*H*W elements of the channel;
 *              running = (1-momentum)*running + momentum*batch  (variance times M/(M-1) unless
 *              biased_running)
 *   else:      mean and var are the running ones. Backward, with xhat = (x - mean) * rstd:
 *   dbeta (+)= sum dy,   dgamma (+)= sum dy * xhat
 *   dx (+)= gamma * rstd * (dy - dbeta'/M - xhat * dgamma'/M)   in training (' : of this pass alone)
 *   dx (+)= gamma * rstd * dy                                    else
 * x, y (N,C,H,W) or (N,C); gamma, beta, mean, var (C). y overwritten.
 *
 * Both ways in three launches:
 *   1. two sums for each channel, slice by slice: block (c, slice), or 32 channels side by side where x is
 * (N,C)
 *   2. a thread a channel adds the slices in order and computes what the third launch multiplies with
 *   3. a thread an element
 * Forward the two sums are those of d = x - x0 and of d^2, x0 the channel's first element: then
 * mean = x0 + sum d / M and var = sum d^2 / M - (sum d / M)^2 lose nothing where the mean is large beside the
 * deviation, as the sums of x and x^2 would, and x is read once. All sums are in double and in an order that
 * depends on the shape alone. x is read twice and y written forward; x and dy read twice and dx written
 * backward. Where a convolution has left statistics of x (cuda/strips.cuh), step 1 forward is spared, and x is read once.
 *
 * With `more` (N,C,H,W), the other end of a residual block, y is that + more, and dmore (+)= dy. With the option relu, y is
 * max(0, that), and dy counts where y > 0: asked of y where there is `more`, else recomputed from x, which is read anyway.
 * So ReLU costs no pass over memory in either direction, and the sum none but the reading of more and the writing of dmore. */
#include "autograd/batch_norm.h"
#include "autograd/ends_in_relu.h"
#include "cuda/reduce.cuh"

struct batch_norm_layout {
    int64_t N, C, pixels; /* element i of channel c in image n stands at (n*C + c)*pixels + i */
    int64_t elements;     /* N*pixels: of one channel */
    int64_t slice, slices;
};
static batch_norm_layout layout_of(const mn_node *n) {
    const mn_shape s = n->in[0]->shape;
    batch_norm_layout a = {s.dim[0], s.dim[1], s.ndim == 4 ? s.dim[2] * s.dim[3] : 1, 0, 0, 0};
    a.elements = a.N * a.pixels;
    a.slice = a.pixels > 1 ? 4096 : 512;
    if (a.slice < (a.elements + 255) / 256) a.slice = (a.elements + 255) / 256;
    a.slices = a.elements ? (a.elements + a.slice - 1) / a.slice : 1;
    return a;
}

/* What channel c does to x. */
template <class T> struct batch_norm_channel {
    T mean, factor, beta;
    __device__ __forceinline__ T of(T x) const { return (x - mean) * factor + beta; }
};
template <class T> struct batch_norm_channels {
    const T *gamma, *beta, *mean, *rstd;
    const T *more, *y; /* y: of the backward pass */
    bool relu;
    __device__ __forceinline__ batch_norm_channel<T> at(int64_t c) const {
        return {mean[c], gamma ? rstd[c] * gamma[c] : rstd[c], beta ? beta[c] : T(0)};
    }
    /* y[i] of x */
    __device__ __forceinline__ T of(const batch_norm_channel<T> &k, T x, int64_t i) const {
        const T v = more ? k.of(x) + more[i] : k.of(x);
        return relu && !(v > 0) ? T(0) : v;
    }
    /* What of dy[i] = g comes through the ReLU. */
    __device__ __forceinline__ T through(const batch_norm_channel<T> &k, T x, int64_t i, T g) const {
        return relu && !((more ? y[i] : k.of(x)) > 0) ? T(0) : g;
    }
};
template <class T> static batch_norm_channels<T> channels_of(const mn_node *n, const T *mean, const T *rstd) {
    return {in<T>(n, 1), in<T>(n, 2), mean, rstd, in<T>(n, 5), out<T>(n), options<mn__batch_norm_opt>(n)->relu};
}

/* ---- 1. two sums for each channel ---- */

struct batch_norm_pair {
    double a, b;
};
/* Of x: d and d^2, see above. */
template <class T> struct batch_norm_of_x {
    typedef double channel;
    const T *x;
    int64_t pixels;
    __device__ __forceinline__ channel at(int64_t c) const { return (double)x[c * pixels]; }
    __device__ __forceinline__ batch_norm_pair operator()(double x0, int64_t i) const {
        const double d = (double)x[i] - x0;
        return {d, d * d};
    }
};
/* Of the gradient: dy and dy * (x - mean). */
template <class T> struct batch_norm_of_dy {
    typedef batch_norm_channel<T> channel;
    const T *x, *dy;
    batch_norm_channels<T> channels;
    __device__ __forceinline__ channel at(int64_t c) const { return channels.at(c); }
    __device__ __forceinline__ batch_norm_pair operator()(const channel &k, int64_t i) const {
        const double g = (double)channels.through(k, x[i], i, dy[i]);
        return {g, g * ((double)x[i] - (double)k.mean)};
    }
};

/* Block (c, slice). Index: unsigned where the number of elements fits, for cheaper divisions. */
template <class Term, class Index>
__global__ void batch_norm_across(batch_norm_layout a, Term term, batch_norm_pair *sums) {
    const int64_t c = blockIdx.x, from = blockIdx.y * a.slice;
    const int64_t to = a.elements - from < a.slice ? a.elements : from + a.slice;
    typename Term::channel channel = {};
    if (a.elements) channel = term.at(c);
    double sum_a = 0, sum_b = 0;
    for (int64_t s = from + threadIdx.x; s < to; s += blockDim.x) {
        const Index n = (Index)s / (Index)a.pixels, i = (Index)s - n * (Index)a.pixels;
        const batch_norm_pair v = term(channel, ((int64_t)n * a.C + c) * a.pixels + i);
        sum_a += v.a, sum_b += v.b;
    }
    sum_a = block_sum(sum_a);
    sum_b = block_sum(sum_b);
    if (threadIdx.x == 0) sums[blockIdx.y * a.C + c] = {sum_a, sum_b};
}

/* x is (N,C): block (x, slice) has 32 channels side by side, DOWN_ROWS threads each. */
template <class Term> __global__ void batch_norm_down(batch_norm_layout a, Term term, batch_norm_pair *sums) {
    __shared__ double part_a[DOWN_ROWS][32], part_b[DOWN_ROWS][32];
    const int lane = threadIdx.x, r = threadIdx.y;
    const int64_t c = (int64_t)blockIdx.x * 32 + lane, from = blockIdx.y * a.slice;
    const int64_t to = a.N - from < a.slice ? a.N : from + a.slice;
    typename Term::channel channel = {};
    if (c < a.C && a.N) channel = term.at(c);
    double sum_a = 0, sum_b = 0;
    for (int64_t n = from + r; c < a.C && n < to; n += DOWN_ROWS) {
        const batch_norm_pair v = term(channel, n * a.C + c);
        sum_a += v.a, sum_b += v.b;
    }
    part_a[r][lane] = sum_a;
    part_b[r][lane] = sum_b;
    __syncthreads();
    if (r > 0 || c >= a.C) return;
    for (int k = 1; k < DOWN_ROWS; k++) sum_a += part_a[k][lane], sum_b += part_b[k][lane];
    sums[blockIdx.y * a.C + c] = {sum_a, sum_b};
}

template <class Term>
static mn_status sum_channels(mn_context *c, const batch_norm_layout &a, Term term, batch_norm_pair *sums) {
    if (a.pixels == 1)
        return LAUNCH(c, batch_norm_down<Term>, dim3((unsigned)((a.C + 31) / 32), (unsigned)a.slices),
                      dim3(32, DOWN_ROWS), 0, a, term, sums);
    return LAUNCH(
        c, (fits_32(a.elements) ? batch_norm_across<Term, uint32_t> : batch_norm_across<Term, int64_t>),
        dim3((unsigned)a.C, (unsigned)a.slices), a.elements <= 128 ? 32 : THREADS, 0, a, term, sums);
}

/* The sums of channel c over all slices, in order. */
__device__ __forceinline__ batch_norm_pair batch_norm_total(const batch_norm_layout &a,
                                                            const batch_norm_pair *sums, int64_t c) {
    batch_norm_pair t = {0, 0};
    for (int64_t k = 0; k < a.slices; k++) t.a += sums[k * a.C + c].a, t.b += sums[k * a.C + c].b;
    return t;
}

/* ---- forward ---- */

/* What becomes of mean m and variance of channel c: mean and rstd; the running statistics move where they are given.
 * momentum < 0: not. */
template <class T> struct batch_norm_learned {
    double eps, momentum, M;
    bool biased;
    T *running_mean, *running_var, *mean, *rstd;
    __device__ __forceinline__ void put(int64_t c, double m, double var) const {
        mean[c] = (T)m;
        rstd[c] = (T)(1 / sqrt(var + eps));
        if (!running_mean || momentum < 0) return;
        if (!biased) var *= M / (M - 1);
        running_mean[c] = (T)((1 - momentum) * (double)running_mean[c] + momentum * m);
        running_var[c] = (T)((1 - momentum) * (double)running_var[c] + momentum * var);
    }
};
/* From the sums of the batch. A thread a channel. */
template <class T>
__global__ void batch_norm_batch(batch_norm_layout a, const batch_norm_pair *sums, const T *x, batch_norm_learned<T> to) {
    GRID_STRIDE(c, a.C) {
        const batch_norm_pair t = batch_norm_total(a, sums, c);
        const double d = t.a / to.M, var = t.b / to.M - d * d;
        to.put(c, (double)x[c * a.pixels] + d, var < 0 ? 0 : var); /* below 0 by rounding; a NaN stays */
    }
}
/* From the strips that a convolution has left of its result (C,count,3): numbers, mean, squares. The squared distances from
 * the channel's mean are those within strips and those between them. Block c: channel c. */
template <class T> __global__ void batch_norm_strips(int64_t count, const T *strips, batch_norm_learned<T> to) {
    const int64_t c = blockIdx.x;
    const T *const own = strips + c * count * 3;
    double sum = 0, squares = 0;
    for (int64_t i = threadIdx.x; i < count; i += blockDim.x) sum += (double)own[3 * i] * (double)own[3 * i + 1];
    const double mean = block_sum(sum) / to.M;
    for (int64_t i = threadIdx.x; i < count; i += blockDim.x) {
        const double d = (double)own[3 * i + 1] - mean;
        squares += (double)own[3 * i + 2] + (double)own[3 * i] * d * d;
    }
    squares = block_sum(squares);
    if (threadIdx.x == 0) to.put(c, mean, squares / to.M);
}
/* The same from the running statistics. */
template <class T>
__global__ void batch_norm_running(int64_t C, const T *running_mean, const T *running_var, double eps,
                                   T *mean, T *rstd) {
    GRID_STRIDE(c, C) {
        mean[c] = running_mean[c];
        rstd[c] = (T)(1 / sqrt((double)running_var[c] + eps));
    }
}

template <class T, class Index>
__global__ void batch_norm_forward(int64_t count, batch_norm_layout a, const T *x, batch_norm_channels<T> channels, T *y) {
    GRID_STRIDE(k, count) {
        const Index c = (Index)k / (Index)a.pixels % (Index)a.C;
        y[k] = channels.of(channels.at(c), x[k], k);
    }
}

/* The workspace: the slices' sums, then three numbers a channel. */
static void *work_of(const mn_node *n, const batch_norm_layout &a, size_t bytes, void **channels) {
    const size_t sums = (size_t)(a.slices * a.C) * sizeof(batch_norm_pair);
    char *work = (char *)mn__workspace(n->ctx, sums + 3 * (size_t)a.C * bytes);
    *channels = work + sums;
    return work;
}

/* What the convolution that x comes from has left of it, or NULL. */
static const mn_tensor *strips_of(const mn_tensor *x) {
    return x->node && x->node->id == MN_OP_conv2d ? x->node->saved[0] : nullptr;
}

template <class T> static mn_status forward(mn_node *n) {
    const mn_batch_norm_opt *o = options<mn_batch_norm_opt>(n);
    const batch_norm_layout a = layout_of(n);
    const int64_t count = n->out->count;
    void *channels;
    batch_norm_pair *sums = (batch_norm_pair *)work_of(n, a, sizeof(T), &channels);
    if (!sums) return n->ctx->error.status;
    T *mean = n->saved[0] ? saved<T>(n, 0) : (T *)channels,
      *rstd = n->saved[1] ? saved<T>(n, 1) : (T *)channels + a.C;
    T *running_mean = (T *)in<T>(n, 3), *running_var = (T *)in<T>(n, 4);
    const mn_tensor *strips = strips_of(n->in[0]);
    const batch_norm_learned<T> learned = {o->eps, o->momentum, (double)a.elements, o->biased_running, running_mean, running_var,
                                           mean, rstd};
    mn_status s = MN_OK;
    if (o->training && strips) {
        s = LAUNCH(n->ctx, batch_norm_strips<T>, (unsigned)a.C, THREADS, 0, strips->shape.dim[1], (const T *)strips->data,
                   learned);
    } else if (o->training) {
        s = sum_channels(n->ctx, a, batch_norm_of_x<T>{in<T>(n, 0), a.pixels}, sums);
        if (!s) s = LAUNCH(n->ctx, batch_norm_batch<T>, grid_for(a.C), THREADS, 0, a, sums, in<T>(n, 0), learned);
    } else {
        s = LAUNCH(n->ctx, batch_norm_running<T>, grid_for(a.C), THREADS, 0, a.C, running_mean, running_var,
                   o->eps, mean, rstd);
    }
    if (s) return s;
    return LAUNCH(n->ctx, (fits_32(count) ? batch_norm_forward<T, uint32_t> : batch_norm_forward<T, int64_t>),
                  grid_for(count), THREADS, 0, count, a, in<T>(n, 0), channels_of(n, (const T *)mean, (const T *)rstd),
                  out<T>(n));
}

/* ---- backward ---- */

/* dx = factor * dy - slope * (x - mean) - shift */
template <class T> struct batch_norm_line { T factor, slope, shift; };
/* A thread a channel: its line, and the gradients of gamma and beta where they are wanted. sums: NULL outside
 * of training when nobody wants those. */
template <class T>
__global__ void batch_norm_lines(batch_norm_layout a, const batch_norm_pair *sums, bool training,
                                 const T *gamma, const T *rstd, bool add_gamma, T *dgamma, bool add_beta,
                                 T *dbeta, batch_norm_line<T> *line) {
    GRID_STRIDE(c, a.C) {
        const batch_norm_pair t = sums ? batch_norm_total(a, sums, c) : batch_norm_pair{0, 0};
        const double r = (double)rstd[c], factor = gamma ? r * (double)gamma[c] : r, M = (double)a.elements;
        line[c] = {(T)factor, training ? (T)(factor * r * r * t.b / M) : T(0),
                   training ? (T)(factor * t.a / M) : T(0)};
        if (dgamma) dgamma[c] = (add_gamma ? dgamma[c] : T(0)) + (T)(t.b * r);
        if (dbeta) dbeta[c] = (add_beta ? dbeta[c] : T(0)) + (T)t.a;
    }
}

template <class T, class Index>
__global__ void batch_norm_backward(int64_t count, batch_norm_layout a, const T *x, const T *dy, batch_norm_channels<T> channels,
                                    const batch_norm_line<T> *line, bool add, T *dx, bool add_more, T *dmore) {
    GRID_STRIDE(k, count) {
        const Index c = (Index)k / (Index)a.pixels % (Index)a.C;
        const batch_norm_line<T> l = line[c];
        const T through = channels.through(channels.at(c), x[k], k, dy[k]);
        const T g = l.factor * through - l.slope * (x[k] - channels.mean[c]) - l.shift;
        if (dx) dx[k] = add ? dx[k] + g : g;
        if (dmore) dmore[k] = add_more ? dmore[k] + through : through;
    }
}

template <class T> static mn_status backward(mn_node *n) {
    const bool training = options<mn_batch_norm_opt>(n)->training;
    const batch_norm_layout a = layout_of(n);
    const int64_t count = n->out->count;
    T *dx = in_grad<T>(n, 0), *dgamma = in_grad<T>(n, 1), *dbeta = in_grad<T>(n, 2), *dmore = in_grad<T>(n, 5);
    const T *rstd = saved<T>(n, 1);
    const batch_norm_channels<T> of_c = channels_of(n, (const T *)saved<T>(n, 0), rstd);
    void *channels;
    batch_norm_pair *sums = (batch_norm_pair *)work_of(n, a, sizeof(T), &channels);
    if (!sums) return n->ctx->error.status;
    batch_norm_line<T> *line = (batch_norm_line<T> *)channels;
    if (!(dgamma || dbeta || training)) sums = nullptr;
    mn_status s =
        sums ? sum_channels(n->ctx, a, batch_norm_of_dy<T>{in<T>(n, 0), out_grad<T>(n), of_c}, sums) : MN_OK;
    if (!s)
        s = LAUNCH(n->ctx, batch_norm_lines<T>, grid_for(a.C), THREADS, 0, a, sums, training, in<T>(n, 1),
                   rstd, mn__adds(n, 1), dgamma, mn__adds(n, 2), dbeta, line);
    if (s || !(dx || dmore)) return s;
    return LAUNCH(
        n->ctx, (fits_32(count) ? batch_norm_backward<T, uint32_t> : batch_norm_backward<T, int64_t>),
        grid_for(count), THREADS, 0, count, a, in<T>(n, 0), out_grad<T>(n), of_c, line, mn__adds(n, 0), dx,
        mn__adds(n, 5), dmore);
}
MN__EXPORT(batch_norm, forward, backward)
