/* Products of matrices in memory: the operands and the result of cuda/gemm.cuh, for rows of numbers.
 *   c[i,j] (+)= sum_k a[i,k] b[k,j] + bias[j]        each of a, b as it lies or transposed */
#include "cuda/gemm.cuh"

/* Line i, number k: at p[i*length + k] (ALONG_K: a row of A, a column of B transposed) or at p[k*length + i]. */
template <class T, bool ALONG> struct gemm_matrix {
    static constexpr bool ALONG_K = ALONG;
    typedef const T *line;
    typedef int64_t step;
    const T *p;
    int64_t length;
    __device__ __forceinline__ void select(int) {}
    __device__ __forceinline__ line line_of(int i) const { return p + (ALONG ? i * length : i); }
    __device__ __forceinline__ step step_of(int k) const { return ALONG ? k : k * length; }
    __device__ __forceinline__ T at(line l, step s) const { return l[s]; }
};

template <class T> struct gemm_rows {
    static constexpr bool MEASURED = false;
    static constexpr int AT_ONCE = 1;
    struct column {
        T *to, bias;
    };
    T *c;
    int64_t length;
    const T *bias;
    bool add, relu;
    __device__ __forceinline__ void select(int) {}
    __device__ __forceinline__ column column_of(int j) const { return {c + j, bias ? bias[j] : T(0)}; }
    __device__ __forceinline__ T put(int i, const column &q, T v) const {
        T *const to = q.to + i * length;
        const T sum = (add ? *to : q.bias) + v;
        return *to = relu && !(sum > 0) ? T(0) : sum;
    }
};

template <class T, bool TA, bool TB> static mn_status multiply(mn_context *c, const gemm_job<T> &g) {
    return gemm_any<T>(c, 1, g.m, g.n, g.k, gemm_matrix<T, !TA>{g.a, g.lda}, gemm_matrix<T, TB>{g.b, g.ldb},
                       gemm_rows<T>{g.c, g.ldc, g.bias, g.add, g.relu});
}

template <class T> mn_status gemm(mn_context *c, const gemm_job<T> &g) {
    if (g.ta) return g.tb ? multiply<T, true, true>(c, g) : multiply<T, true, false>(c, g);
    return g.tb ? multiply<T, false, true>(c, g) : multiply<T, false, false>(c, g);
}
template mn_status gemm(mn_context *, const gemm_job<float> &);
template mn_status gemm(mn_context *, const gemm_job<double> &);
