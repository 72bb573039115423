/* Sums on the GPU, the same ones every time: no float is ever added atomically, so the order of additions
 * depends on nothing but the shape. All sums are formed in double, as on the CPU (cpu/reduce.h).
 *
 * y[j] = scale * sum_s term(j, s), for j < outputs and s < terms; added to y where `add`. A Term is a struct with
 *   __device__ double operator()(int64_t j, int64_t s) const
 * so one loop serves sums of elements, of losses and of gradients. Two maps of threads onto terms:
 *   ACROSS  a block an output, its threads along s: for terms that lie side by side in memory
 *   DOWN    a thread column an output, 32 outputs side by side a block: for outputs that lie side by side
 * Long sums are cut into slices, a block each (blockIdx.y). Their sums go to the workspace, and a second launch of
 * the same kernel adds them up, with the slices' sums as its terms. */
#ifndef MIEN_CUDA_REDUCE_CUH
#define MIEN_CUDA_REDUCE_CUH
#include "cuda/kernel.cuh"

enum reduce_map { ACROSS, DOWN };
constexpr int DOWN_ROWS = 8;

/* The sum over a warp, in every lane: five exchanges, at distance 16, 8, 4, 2, 1. */
template <class V> __device__ __forceinline__ V warp_sum(V v) {
    for (int d = 16; d > 0; d /= 2) v += __shfl_xor_sync(~0u, v, d);
    return v;
}
template <class V> __device__ __forceinline__ V warp_max(V v) {
    for (int d = 16; d > 0; d /= 2) {
        const V other = __shfl_xor_sync(~0u, v, d);
        v = other > v ? other : v;
    }
    return v;
}

/* The sum over a block of whole warps, in every thread: first each warp, then the warps' sums. All threads of the
 * block take part. May be called again at once. */
static __device__ __forceinline__ double block_sum(double v) {
    __shared__ double part[32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    v = warp_sum(v);
    if (warps == 1) return v;
    __syncthreads(); /* of the call before, part may still be read */
    if (lane == 0) part[warp] = v;
    __syncthreads();
    return warp_sum(lane < warps ? part[lane] : 0.0);
}

/* Where a sum goes. The sums of slice k stand at y + k * outputs. */
template <class V> struct reduce_target {
    V *y;
    double scale;
    bool add;
    __device__ __forceinline__ void store(int64_t i, double sum) const {
        y[i] = (V)((add ? (double)y[i] : 0) + scale * sum);
    }
};

/* Block (x, y) adds the terms of slice y for the outputs x, x + gridDim.x, ...; thread t those at t, t + blockDim.x, ... */
template <class Term, class V>
__global__ void reduce_across(Term term, int64_t outputs, int64_t terms, int64_t slice, reduce_target<V> target) {
    const int64_t from = blockIdx.y * slice, to = terms - from < slice ? terms : from + slice;
    for (int64_t j = blockIdx.x; j < outputs; j += gridDim.x) {
        double sum = 0;
        for (int64_t s = from + threadIdx.x; s < to; s += blockDim.x) sum += term(j, s);
        sum = block_sum(sum);
        if (threadIdx.x == 0) target.store(blockIdx.y * outputs + j, sum);
    }
}

/* Block (x, y): 32 outputs side by side, DOWN_ROWS threads each. Thread (i, r) adds the terms r, r + DOWN_ROWS, ... of
 * slice y, then the first row adds up the rows in order. */
template <class Term, class V>
__global__ void reduce_down(Term term, int64_t outputs, int64_t terms, int64_t slice, reduce_target<V> target) {
    __shared__ double part[DOWN_ROWS][32];
    const int i = threadIdx.x, r = threadIdx.y;
    const int64_t from = blockIdx.y * slice, to = terms - from < slice ? terms : from + slice;
    const int64_t j = (int64_t)blockIdx.x * 32 + i;
    double sum = 0;
    for (int64_t s = from + r; j < outputs && s < to; s += DOWN_ROWS) sum += term(j, s);
    part[r][i] = sum;
    __syncthreads();
    if (r > 0 || j >= outputs) return;
    for (int k = 1; k < DOWN_ROWS; k++) sum += part[k][i];
    target.store(blockIdx.y * outputs + j, sum);
}

template <class Term, class V>
mn_status reduce_launch(mn_context *c, reduce_map map, Term term, int64_t outputs, int64_t terms, int64_t slice,
                        int64_t slices, reduce_target<V> target) {
    if (map == DOWN)
        return LAUNCH(c, (reduce_down<Term, V>), dim3((unsigned)((outputs + 31) / 32), (unsigned)slices),
                      dim3(32, DOWN_ROWS), 0, term, outputs, terms, slice, target);
    const int threads = terms <= 128 ? 32 : THREADS; /* a short sum is a warp's work */
    return LAUNCH(c, (reduce_across<Term, V>), dim3((unsigned)(outputs < 65536 ? outputs : 65536), (unsigned)slices),
                  threads, 0, term, outputs, terms, slice, target);
}

/* The terms of the second launch: what the slices gave. */
struct reduce_partial {
    const double *sum;
    int64_t outputs;
    __device__ __forceinline__ double operator()(int64_t j, int64_t s) const { return sum[s * outputs + j]; }
};

/* See above. Uses the workspace when the sum is long and there are few outputs. */
template <class T, class Term>
mn_status reduce(mn_context *c, reduce_map map, Term term, int64_t outputs, int64_t terms, double scale, bool add, T *y) {
    if (outputs == 0) return MN_OK;
    const reduce_target<T> target = {y, scale, add};
    int64_t slice = map == ACROSS ? 8192 : 512, slices = 1;
    if (outputs < (map == ACROSS ? 512 : 16384)) {
        if (slice < (terms + 4095) / 4096) slice = (terms + 4095) / 4096;
        slices = (terms + slice - 1) / slice;
    }
    if (slices <= 1) return reduce_launch(c, map, term, outputs, terms, terms, 1, target);
    double *sums = (double *)mn__workspace(c, (size_t)(outputs * slices) * sizeof *sums);
    if (!sums) return c->error.status;
    mn_status s = reduce_launch(c, map, term, outputs, terms, slice, slices, reduce_target<double>{sums, 1, false});
    if (s) return s;
    return reduce_launch(c, map, reduce_partial{sums, outputs}, outputs, slices, slices, 1, target);
}

/* Term: the elements of x (O,M,I), summed over M; output j stands for (o, i). */
template <class T> struct axis_term {
    const T *x;
    int64_t M, I;
    __device__ __forceinline__ double operator()(int64_t j, int64_t s) const {
        return (double)(I == 1 ? x[j * M + s] : x[(j / I * M + s) * I + j % I]);
    }
};
/* y[o,i] = scale * sum_m x[o,m,i], added to y where `add`. */
template <class T>
mn_status sum_axis(mn_context *c, int64_t O, int64_t M, int64_t I, const T *x, double scale, bool add, T *y) {
    return reduce(c, I == 1 ? ACROSS : DOWN, axis_term<T>{x, M, I}, O * I, M, scale, add, y);
}

/* y[o,m,i] = scale * x[o,i], added to y where `add`: the other way round. A thread an element of y. */
template <class T>
__global__ void spread_kernel(int64_t count, int64_t M, int64_t I, const T *x, T scale, bool add, T *y) {
    GRID_STRIDE(k, count) {
        const T v = scale * x[k / (M * I) * I + k % I];
        y[k] = add ? y[k] + v : v;
    }
}
template <class T>
mn_status spread_axis(mn_context *c, int64_t O, int64_t M, int64_t I, const T *x, double scale, bool add, T *y) {
    const int64_t count = O * M * I;
    return LAUNCH(c, spread_kernel<T>, grid_for(count), THREADS, 0, count, M, I, x, (T)scale, add, y);
}
#endif
