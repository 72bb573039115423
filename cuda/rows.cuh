/* Copying parts of rows, shared by concat and slice. */
#ifndef MIEN_CUDA_ROWS_CUH
#define MIEN_CUDA_ROWS_CUH
#include "cuda/kernel.cuh"

/* to[o*to_row + i] = from[o*from_row + i], added where `add`, for o < count / part and i < part: of each row a part.
 * Thread map: a thread an element; inside a part neighbours read and write neighbours. 1 read and 1 write. */
template <class T, class Index>
__global__ void copy_rows_kernel(int64_t count, Index part, const T *from, int64_t from_row, bool add, T *to,
                                 int64_t to_row) {
    GRID_STRIDE(k, count) {
        const Index o = (Index)k / part, i = (Index)k - o * part;
        const T v = from[(int64_t)o * from_row + i];
        T *const at = to + ((int64_t)o * to_row + i);
        *at = add ? *at + v : v;
    }
}

template <class T>
mn_status copy_rows(mn_context *c, int64_t rows, int64_t part, const T *from, int64_t from_row, bool add, T *to,
                    int64_t to_row) {
    const int64_t count = rows * part;
    if (fits_32(count))
        return LAUNCH(c, (copy_rows_kernel<T, uint32_t>), grid_for(count), THREADS, 0, count, (uint32_t)part, from,
                      from_row, add, to, to_row);
    return LAUNCH(c, (copy_rows_kernel<T, int64_t>), grid_for(count), THREADS, 0, count, part, from, from_row, add, to,
                  to_row);
}
#endif
