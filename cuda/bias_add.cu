/* bias_add: y[n,c,i] = x[n,c,i] + b[c]; dx (+)= dy, db[c] (+)= sum_{n,i} dy[n,c,i].
 * x, y (N,C,I), i standing for all dimensions after the second; b (C). y overwritten.
 * Thread map: a thread an element; for db a block a channel, or a column of threads where I is 1
 * (cuda/reduce.cuh). 2 reads, 1 write an element forward; backward twice 1 read, and 1 write. */
#include "cuda/reduce.cuh"

/* Index: unsigned where the number of elements fits, for cheaper divisions. */
template <class T, class Index>
__global__ void bias_add_forward(int64_t count, Index C, Index I, const T *x, const T *b, T *y) {
    GRID_STRIDE(k, count) y[k] = x[k] + b[(Index)k / I % C];
}

template <class T> static mn_status forward(mn_node *n) {
    const int64_t count = n->out->count, N = n->out->shape.dim[0], C = n->out->shape.dim[1], I = count / (N * C);
    if (fits_32(count))
        return LAUNCH(n->ctx, (bias_add_forward<T, uint32_t>), grid_for(count), THREADS, 0, count, (uint32_t)C, (uint32_t)I,
                      in<T>(n, 0), in<T>(n, 1), out<T>(n));
    return LAUNCH(n->ctx, (bias_add_forward<T, int64_t>), grid_for(count), THREADS, 0, count, C, I, in<T>(n, 0),
                  in<T>(n, 1), out<T>(n));
}

/* Term s = (n, i) of channel c. */
template <class T> struct bias_term {
    const T *dy;
    int64_t C, I;
    __device__ __forceinline__ double operator()(int64_t c, int64_t s) const {
        return (double)(I == 1 ? dy[s * C + c] : dy[(s / I * C + c) * I + s % I]);
    }
};

template <class T> static mn_status backward(mn_node *n) {
    const int64_t count = n->out->count, N = n->out->shape.dim[0], C = n->out->shape.dim[1];
    const int64_t I = count ? count / (N * C) : 1;
    const T *dy = out_grad<T>(n);
    mn_status s = MN_OK;
    if (mn__wants(n, 0)) s = pass_on(n->ctx, count, dy, mn__adds(n, 0), in_grad<T>(n, 0));
    if (s || !mn__wants(n, 1)) return s;
    return reduce(n->ctx, I == 1 ? DOWN : ACROSS, bias_term<T>{dy, C, I}, C, count ? N * I : 0, 1, mn__adds(n, 1),
                  in_grad<T>(n, 1));
}
MN__EXPORT(bias_add, forward, backward)
