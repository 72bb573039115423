/* conv2d where a group has one input channel: grey images (C = 1) and depthwise convolution (groups = C). R*S products
 * an output are too few for tiles; these kernels are as fast as the memory. With M = K/groups outputs a channel,
 * output channel k reads channel c = k/M of x:
 *   y[n,k,p,q]  = b[k] + sum_{r,s} x[n, c, p*stride-top+r*dilation, ...] w[k,r,s]
 *   dx[n,c,h,w] (+)= sum over the M outputs k of c, and the (r,s) with p*stride = h+top-r*dilation, ... of dy[n,k,p,q] w[k,r,s]
 *   dw[k,r,s]   (+)= sum_{n,p,q} dy[n,k,p,q] x[n, c, ...]
 * y overwritten. 2*N*K*P*Q*R*S flop each. */
#include "cuda/conv2d.cuh"
#include "cuda/conv2d_pool.cuh"
#include "cuda/reduce.cuh"

struct direct_geometry {
    int C, K, M, H, W, P, Q, R, S;
    int stride_h, stride_w, dilation_h, dilation_w, top, left;
    divisor pq, q, hw, w, parts, by_h, by_w; /* parts: of OUTS outputs a channel; by_h, by_w: the strides */
};
static direct_geometry geometry_of(const mn__window &g, int64_t parts) {
    return {(int)g.C, (int)g.K, (int)(g.K / g.C), (int)g.H, (int)g.W, (int)g.P, (int)g.Q, (int)g.R, (int)g.S,
            (int)g.stride_h, (int)g.stride_w, (int)g.dilation_h, (int)g.dilation_w, (int)g.top, (int)g.left,
            divide_by(g.P * g.Q), divide_by(g.Q), divide_by(g.H * g.W), divide_by(g.W), divide_by(parts),
            divide_by(g.stride_h), divide_by(g.stride_w)};
}

/* sum[o] = pixel (p,q) of output k + o, o < count, from one channel of an image: its window is read once for all of them. */
template <class T, int OUTS>
__device__ __forceinline__ void direct_sums(const direct_geometry &g, const T *from, const T *w, const T *b, int64_t k, int count,
                                            int p, int q, T (&sum)[OUTS]) {
    const int taps = g.R * g.S, h0 = p * g.stride_h - g.top, w0 = q * g.stride_w - g.left;
#pragma unroll
    for (int o = 0; o < OUTS; o++) sum[o] = b && o < count ? b[k + o] : T(0);
    for (int r = 0; r < g.R; r++)
        for (int s = 0; s < g.S; s++) {
            const int h = h0 + r * g.dilation_h, v = w0 + s * g.dilation_w;
            const bool inside = (unsigned)h < (unsigned)g.H && (unsigned)v < (unsigned)g.W;
            const T value = inside ? from[h * g.W + v] : T(0);
            const T *const weight = w + k * taps + r * g.S + s;
#pragma unroll
            for (int o = 0; o < OUTS; o++)
                if (o < count) sum[o] += value * weight[o * taps];
        }
}

/* Thread map: a thread a pixel (p,q) of OUTS outputs of one channel, k = c*M + part*OUTS + o. blockIdx.y counts (n, c), or
 * several of them. (R*S + OUTS) reads from the caches, OUTS writes. */
template <class T, int OUTS>
__global__ void conv2d_direct_forward_kernel(direct_geometry g, int64_t planes, const T *x, const T *w, const T *b, bool relu,
                                             T *y) {
    const int work = g.P * g.Q * (int)g.parts.d;
    for (int64_t plane = blockIdx.y; plane < planes; plane += gridDim.y) {
        const T *const from = x + plane * g.H * g.W;
        const int64_t n = plane / g.C, c = plane % g.C;
        for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < work; i += (int)(gridDim.x * blockDim.x)) {
            int pixel = i;
            const int part = g.pq.take(pixel), first = part * OUTS, count = g.M - first < OUTS ? g.M - first : OUTS;
            int q = pixel;
            const int p = g.q.take(q);
            const int64_t k = c * g.M + first;
            T sum[OUTS];
            direct_sums<T, OUTS>(g, from, w, b, k, count, p, q, sum);
#pragma unroll
            for (int o = 0; o < OUTS; o++)
                if (o < count) y[(n * g.K + k + o) * g.P * g.Q + pixel] = relu && !(sum[o] > 0) ? T(0) : sum[o];
        }
    }
}

/* The largest of each 2x2 window of that (cuda/conv2d_pool.cuh). Thread map: the same, but a thread a window, whose pixels it
 * computes one after another; g.pq and g.q count windows. */
template <class T, int OUTS>
__global__ void conv2d_direct_pooled_kernel(direct_geometry g, int64_t planes, const T *x, const T *w, const T *b, bool relu, T *y,
                                            uint8_t *index) {
    const int windows = g.P / 2 * (g.Q / 2), work = windows * (int)g.parts.d;
    for (int64_t plane = blockIdx.y; plane < planes; plane += gridDim.y) {
        const int64_t n = plane / g.C, c = plane % g.C;
        for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < work; i += (int)(gridDim.x * blockDim.x)) {
            int window = i;
            const int part = g.pq.take(window), first = part * OUTS, count = g.M - first < OUTS ? g.M - first : OUTS;
            int q = window;
            const int p = g.q.take(q);
            const int64_t k = c * g.M + first;
            window_best<T> best[OUTS];
            for (int place = 0; place < 4; place++) {
                T sum[OUTS];
                direct_sums<T, OUTS>(g, x + plane * g.H * g.W, w, b, k, count, 2 * p + place / 2, 2 * q + place % 2, sum);
#pragma unroll
                for (int o = 0; o < OUTS; o++) best[o].see(place, relu && !(sum[o] > 0) ? T(0) : sum[o]);
            }
#pragma unroll
            for (int o = 0; o < OUTS; o++) {
                if (o >= count) continue;
                const int64_t at = (n * g.K + k + o) * windows + window;
                y[at] = best[o].value;
                if (index) index[at] = (uint8_t)best[o].place;
            }
        }
    }
}

template <class T> mn_status conv2d_direct_forward(const conv2d_job<T> &j) {
    const mn__window &g = j.g;
    constexpr int OUTS = 8;
    const bool several = g.K > g.C;
    const int64_t M = g.K / g.C, parts = several ? (M + OUTS - 1) / OUTS : 1, planes = g.N * g.C;
    const dim3 grid(grid_for(g.P * g.Q * parts), (unsigned)(planes < 32768 ? planes : 32768));
    if (!fits_32(g.P * g.Q * parts))
        return mn_fail(&j.c->error, MN_ERR_SHAPE, "CUDA: conv2d: an image of %lldx%lld pixels is too large", (long long)g.H,
                       (long long)g.W);
    direct_geometry m = geometry_of(g, parts);
    if (!j.pooled)
        return LAUNCH(j.c, (several ? conv2d_direct_forward_kernel<T, OUTS> : conv2d_direct_forward_kernel<T, 1>), grid, THREADS, 0,
                      m, planes, j.x, j.w, j.b, j.relu, j.y);
    m.pq = divide_by(g.P / 2 * (g.Q / 2)), m.q = divide_by(g.Q / 2);
    return LAUNCH(j.c, (several ? conv2d_direct_pooled_kernel<T, OUTS> : conv2d_direct_pooled_kernel<T, 1>),
                  dim3(grid_for(g.P / 2 * (g.Q / 2) * parts), grid.y), THREADS, 0, m, planes, j.x, j.w, j.b, j.relu, j.y, j.index);
}

/* Thread map: a thread a pixel (h,w) of x; the windows that see it are those where a division comes out even. */
template <class T>
__global__ void conv2d_direct_data_gradient(direct_geometry g, int64_t planes, const T *w, const T *dy, bool add, T *dx) {
    for (int64_t plane = blockIdx.y; plane < planes; plane += gridDim.y) {
        const int64_t n = plane / g.C, c = plane % g.C;
        const T *const from = dy + (n * g.K + c * g.M) * g.P * g.Q, *const weight = w + c * g.M * g.R * g.S;
        for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < g.H * g.W; i += (int)(gridDim.x * blockDim.x)) {
            int v = i;
            const int h = g.w.take(v);
            T sum = 0;
            for (int r = 0; r < g.R; r++) {
                const int ph = h + g.top - r * g.dilation_h, p = ph < 0 ? 0 : g.by_h.of(ph);
                if (ph < 0 || p * g.stride_h != ph || p >= g.P) continue;
                for (int s = 0; s < g.S; s++) {
                    const int qw = v + g.left - s * g.dilation_w, q = qw < 0 ? 0 : g.by_w.of(qw);
                    if (qw < 0 || q * g.stride_w != qw || q >= g.Q) continue;
                    for (int m = 0; m < g.M; m++)
                        sum += from[(m * g.P + p) * g.Q + q] * weight[(m * g.R + r) * g.S + s];
                }
            }
            T *const to = dx + plane * g.H * g.W + i;
            *to = add ? *to + sum : sum;
        }
    }
}

/* Thread map: block (k, t, slice) sums dw[k] for TAPS taps from t*TAPS on, over some of the pixels (n,p,q) of the batch;
 * a thread takes every 256th of them (every 32nd where they are few), with its sums in registers, and dy is read once for all taps. The slices' sums go
 * to the workspace, (slices,K,R*S), and are added in order. */
constexpr int TAPS = 9;
template <class T>
__global__ void conv2d_direct_weight_gradient(direct_geometry g, int pixels, int slice, const T *x, const T *dy, double *part) {
    const int k = (int)blockIdx.x, c = k / g.M, taps = g.R * g.S, tap0 = (int)blockIdx.y * TAPS;
    const int from = (int)blockIdx.z * slice, end = pixels - from < slice ? pixels : from + slice;
    int dh[TAPS], dv[TAPS];
    T sum[TAPS] = {};
#pragma unroll
    for (int t = 0; t < TAPS; t++) {
        dh[t] = (tap0 + t) / g.S * g.dilation_h - g.top;
        dv[t] = (tap0 + t) % g.S * g.dilation_w - g.left;
    }
    for (int i = from + (int)threadIdx.x; i < end; i += (int)blockDim.x) {
        int pixel = i;
        const int64_t n = g.pq.take(pixel);
        int q = pixel;
        const int p = g.q.take(q);
        const T *const image = x + (n * g.C + c) * g.H * g.W;
        const T slope = dy[(n * g.K + k) * g.P * g.Q + pixel];
#pragma unroll
        for (int t = 0; t < TAPS; t++) {
            const int h = p * g.stride_h + dh[t], v = q * g.stride_w + dv[t];
            if (tap0 + t < taps && (unsigned)h < (unsigned)g.H && (unsigned)v < (unsigned)g.W) sum[t] += slope * image[h * g.W + v];
        }
    }
    /* Each warp adds its threads' sums, then a thread a tap adds the warps': one barrier for all taps. */
    __shared__ double of_warp[TAPS][THREADS / 32];
#pragma unroll
    for (int t = 0; t < TAPS; t++) {
        const double all = warp_sum((double)sum[t]);
        if (threadIdx.x % 32 == 0) of_warp[t][threadIdx.x / 32] = all;
    }
    __syncthreads();
    const int t = (int)threadIdx.x;
    if (t >= TAPS || tap0 + t >= taps) return;
    double all = 0;
    for (int w = 0; w < (int)blockDim.x / 32; w++) all += of_warp[t][w];
    part[((int64_t)blockIdx.z * g.K + k) * taps + tap0 + t] = all;
}

template <class T> static mn_status weight_gradient(const conv2d_job<T> &j) {
    const mn__window &g = j.g;
    const int64_t pixels = g.N * g.P * g.Q, taps = g.R * g.S, outputs = g.K * taps;
    const int64_t blocks = g.K * ((taps + TAPS - 1) / TAPS);
    int64_t slices = (4 * mn__cuda_processors(j.c) + blocks - 1) / blocks;
    if (slices > pixels / 2048) slices = pixels / 2048 ? pixels / 2048 : 1;
    const int64_t slice = (pixels + slices - 1) / slices;
    double *part = (double *)mn__workspace(j.c, (size_t)(outputs * slices) * sizeof *part);
    if (!part) return j.c->error.status;
    mn_status s = LAUNCH(j.c, conv2d_direct_weight_gradient<T>,
                         dim3((unsigned)g.K, (unsigned)((taps + TAPS - 1) / TAPS), (unsigned)slices),
                         slice <= 256 ? 32 : THREADS, 0, geometry_of(g, 1), (int)pixels, (int)slice, j.x, j.dy, part);
    return s ? s : reduce_launch(j.c, DOWN, reduce_partial{part, outputs}, outputs, slices, slices, 1,
                                 reduce_target<T>{j.dw, 1, j.add_dw});
}

template <class T> mn_status conv2d_direct_backward(const conv2d_job<T> &j) {
    const mn__window &g = j.g;
    const int64_t planes = g.N * g.C;
    mn_status s = MN_OK;
    if (j.dx)
        s = LAUNCH(j.c, conv2d_direct_data_gradient<T>,
                   dim3(grid_for(g.H * g.W), (unsigned)(planes < 32768 ? planes : 32768)), THREADS, 0, geometry_of(g, 1),
                   planes, j.w, j.dy, j.add_dx, j.dx);
    return s || !j.dw ? s : weight_gradient(j);
}

template mn_status conv2d_direct_forward(const conv2d_job<float> &);
template mn_status conv2d_direct_forward(const conv2d_job<double> &);
template mn_status conv2d_direct_backward(const conv2d_job<float> &);
template mn_status conv2d_direct_backward(const conv2d_job<double> &);
