/* linear with few outputs, as the head of a network has them (7 emotions, 2 sexes): a tile of cuda/gemm.cuh would be mostly
 * empty, and four launches of next to nothing cost more than the work. One forward, one backward:
 *   y[n,k] = b[k] + sum_c x[n,c] w[k,c]
 *   dx[n,c] (+)= sum_k dy[n,k] w[k,c]      dw[k,c] (+)= sum_n dy[n,k] x[n,c]      db[k] (+)= sum_n dy[n,k]
 * x (N,C), w (K,C), b (K) or NULL, K <= LINEAR_FEW. y overwritten. x is read once forward and once backward. */
#include "cuda/linear.cuh"
#include "cuda/reduce.cuh"

constexpr int LINEAR_WARPS = 4, LINEAR_ROWS = 8;

/* A warp a row: lane l takes columns l, l + 32, ... for all outputs. */
template <class T>
__global__ void linear_few_forward(int64_t N, int64_t C, int K, const T *x, const T *w, const T *b, bool relu, T *y) {
    const int lane = threadIdx.x % 32;
    for (int64_t n = (int64_t)blockIdx.x * LINEAR_WARPS + threadIdx.x / 32; n < N; n += (int64_t)gridDim.x * LINEAR_WARPS) {
        T sum[LINEAR_FEW] = {};
        for (int64_t c = lane; c < C; c += 32) {
            const T v = x[n * C + c];
#pragma unroll
            for (int k = 0; k < LINEAR_FEW; k++)
                if (k < K) sum[k] += v * w[k * C + c];
        }
#pragma unroll
        for (int k = 0; k < LINEAR_FEW; k++) {
            const T all = warp_sum(sum[k]) + (b && k < K ? b[k] : T(0));
            if (k < K && lane == 0) y[n * K + k] = relu && !(all > 0) ? T(0) : all;
        }
    }
}

template <class T> mn_status linear_few(const linear_job<T> &j) {
    const int64_t blocks = (j.N + LINEAR_WARPS - 1) / LINEAR_WARPS;
    return LAUNCH(j.c, linear_few_forward<T>, (unsigned)(blocks < 65536 ? blocks : 65536), 32 * LINEAR_WARPS, 0, j.N, j.C,
                  (int)j.K, j.x, j.w, j.b, j.relu, j.y);
}

/* Block: 32 columns side by side, LINEAR_ROWS threads each, of which thread r takes rows r, r + LINEAR_ROWS, ... A row's dy is
 * read by all columns at once; the threads' sums of dw and db are added in order of r. Block 0 has db too. */
template <class T>
__global__ void __launch_bounds__(32 * LINEAR_ROWS)
    linear_few_backward(int64_t N, int64_t C, int K, const T *x, const T *w, const T *dy, bool add_x, T *dx, bool add_w, T *dw,
                        bool add_b, T *db) {
    __shared__ T part[LINEAR_ROWS][32];
    __shared__ double of_b[LINEAR_ROWS][LINEAR_FEW];
    const int lane = threadIdx.x, r = threadIdx.y;
    const int64_t c = (int64_t)blockIdx.x * 32 + lane;
    T weight[LINEAR_FEW], sum[LINEAR_FEW] = {};
    double sum_b = 0; /* lane k: of db[k] */
#pragma unroll
    for (int k = 0; k < LINEAR_FEW; k++) weight[k] = k < K && c < C ? w[k * C + c] : T(0);
    for (int64_t n = r; n < N; n += LINEAR_ROWS) {
        const T v = c < C ? x[n * C + c] : T(0);
        T back = 0;
#pragma unroll
        for (int k = 0; k < LINEAR_FEW; k++) {
            if (k >= K) continue;
            const T g = dy[n * K + k];
            sum[k] += g * v, back += g * weight[k];
        }
        if (lane < K) sum_b += (double)dy[n * K + lane];
        if (dx && c < C) dx[n * C + c] = (add_x ? dx[n * C + c] : T(0)) + back;
    }
#pragma unroll
    for (int k = 0; k < LINEAR_FEW; k++) {
        part[r][lane] = sum[k];
        __syncthreads();
        if (r == 0 && k < K && c < C && dw) {
            T all = part[0][lane];
            for (int i = 1; i < LINEAR_ROWS; i++) all += part[i][lane];
            dw[k * C + c] = (add_w ? dw[k * C + c] : T(0)) + all;
        }
        __syncthreads();
    }
    if (blockIdx.x > 0 || !db) return;
    if (lane < K) of_b[r][lane] = sum_b;
    __syncthreads();
    if (r > 0 || lane >= K) return;
    for (int i = 1; i < LINEAR_ROWS; i++) sum_b += of_b[i][lane];
    db[lane] = (T)((add_b ? (double)db[lane] : 0) + sum_b);
}

template <class T> mn_status linear_few_gradients(const linear_job<T> &j) {
    const unsigned blocks = (unsigned)((j.C + 31) / 32);
    return LAUNCH(j.c, linear_few_backward<T>, blocks ? blocks : 1, dim3(32, LINEAR_ROWS), 0, j.N, j.C, (int)j.K, j.x, j.w, j.dy,
                  j.add_dx, j.dx, j.add_dw, j.dw, j.add_db, j.db);
}

template mn_status linear_few(const linear_job<float> &);
template mn_status linear_few(const linear_job<double> &);
template mn_status linear_few_gradients(const linear_job<float> &);
template mn_status linear_few_gradients(const linear_job<double> &);
