/* What the ways of computing a linear layer share. cuda/linear.cu chooses one by shape. */
#ifndef MIEN_CUDA_LINEAR_CUH
#define MIEN_CUDA_LINEAR_CUH
#include "cuda/kernel.cuh"

constexpr int LINEAR_FEW = 16;         /* outputs: what a thread keeps in registers */
constexpr int64_t LINEAR_BATCH = 512; /* rows that one block goes through in no time */

/* One layer, forward or backward. dx, dw, db are NULL where no gradient is wanted. */
template <class T> struct linear_job {
    mn_context *c;
    int64_t N, C, K;
    const T *x, *w, *b;
    bool relu; /* forward: y is max(0, that) */
    T *y;
    const T *dy = nullptr;
    bool add_dx = false, add_dw = false, add_db = false;
    T *dx = nullptr, *dw = nullptr, *db = nullptr;
};
template <class T> mn_status linear_few(const linear_job<T> &j);
template <class T> mn_status linear_few_gradients(const linear_job<T> &j);
#endif
