/* The steps of the ladder under one name, with a clock. */
#include "cuda/ladder/ladder.cuh"
#include "cuda/kernel.cuh"
#include "cuda/ladder/ladder.h"
#include "cuda/timer.cuh"

static ladder_gemm_step *const gemm_steps[MN__LADDER_STEPS] = {ladder_gemm_1, ladder_gemm_2, ladder_gemm_3, ladder_gemm_4,
                                                               ladder_gemm_5, ladder_gemm_6, ladder_gemm_7, ladder_gemm_8};
static ladder_conv_step *const conv_steps[MN__LADDER_STEPS] = {ladder_conv_1, ladder_conv_2, ladder_conv_3, ladder_conv_4,
                                                               ladder_conv_5, ladder_conv_6, ladder_conv_7, ladder_conv_8};

const char *mn__ladder_idea(bool convolution, int step) {
    static const char *const ideas[2][MN__LADDER_STEPS] = {
        {"a thread an output", "coalesced", "tiles in shared memory", "8x8 sums in registers", "double buffer, no bank conflicts",
         "tensor cores (tf32)", "cp.async, swizzled", "slices of K, fused epilogue"},
        {"a thread an output", "coalesced, weights shared", "halo in shared memory", "im2col and product 4",
         "product without the matrix", "channels last, tensor cores (tf32)", "halo reused, fused epilogue", "the gradient of x"}};
    return ideas[convolution][step - 1];
}
bool mn__ladder_rounds(int step) { return step >= 6; }

static ladder_gemm product_of(const mn__ladder *l) {
    ladder_gemm g = {};
    g.M = g.N = g.K = l->size;
    if (!l->left) return g;
    g.a = (const float *)l->left->data, g.b = (const float *)l->right->data;
    g.c = (float *)l->result->data, g.scratch = (float *)l->scratch->data;
    return g;
}
static ladder_conv convolution_of(const mn__ladder *l) {
    ladder_conv v = {};
    v.N = l->images, v.C = v.K = l->channels, v.H = v.W = l->size;
    if (!l->left) return v;
    v.x = (const float *)l->left->data, v.w = (const float *)l->right->data;
    v.y = (float *)l->result->data, v.scratch = (float *)l->scratch->data;
    return v;
}

int64_t mn__ladder_scratch(const mn__ladder *l) {
    return (int64_t)(l->convolution ? ladder_conv_scratch(convolution_of(l)) : ladder_gemm_scratch(product_of(l)));
}
double mn__ladder_bytes(const mn__ladder *l) {
    const double n = l->size, c = l->channels;
    return l->convolution ? 4 * (2 * l->images * c * n * n + 9 * c * c) : 4 * 3 * n * n;
}
double mn__ladder_flop(const mn__ladder *l) {
    const double n = l->size, c = l->channels;
    return l->convolution ? 18 * l->images * c * c * n * n : 2 * n * n * n;
}

mn_status mn__ladder_run(mn_context *c, const mn__ladder *l, int step, int times, double *seconds) {
    const cudaStream_t stream = mn__cuda_stream(c);
    const cudaError_t e = gpu_timed(stream, [&] {
        cudaError_t launched = cudaSuccess;
        for (int i = 0; i < times && launched == cudaSuccess; i++)
            launched = l->convolution ? conv_steps[step - 1](stream, convolution_of(l)) : gemm_steps[step - 1](stream, product_of(l));
        return launched;
    }, seconds);
    *seconds /= times;
    return mn__cuda_launched(c, mn__ladder_idea(l->convolution, step), e);
}
