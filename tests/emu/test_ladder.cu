/* Every step of the ladder (docs/ladder.md) against loops in double, over odd shapes. The factors are rounded where the
 * step rounds them, so that all steps must agree to the rounding of f32 sums. `test_ladder product 5` runs one step
 * alone, at 128x128x128, `test_ladder convolution 5` at 1x64x16x16 to 64 channels: for EMU_COUNT=1. */
#include "tests/emu/emu_test.h"
#include "cuda/ladder/conv_1_naive.cu"
#include "cuda/ladder/conv_2_coalesced.cu"
#include "cuda/ladder/conv_3_halo.cu"
#include "cuda/ladder/conv_4_im2col.cu"
#include "cuda/ladder/conv_5_implicit.cu"
#include "cuda/ladder/conv_6_tensor_core.cu"
#include "cuda/ladder/conv_7_halo_reuse.cu"
#include "cuda/ladder/conv_8_gradient.cu"
#include "cuda/ladder/gemm_1_naive.cu"
#include "cuda/ladder/gemm_2_coalesced.cu"
#include "cuda/ladder/gemm_3_shared.cu"
#include "cuda/ladder/gemm_4_registers.cu"
#include "cuda/ladder/gemm_5_double_buffer.cu"
#include "cuda/ladder/gemm_6_tensor_core.cu"
#include "cuda/ladder/gemm_7_pipeline.cu"
#include "cuda/ladder/gemm_8_split_k.cu"

static ladder_gemm_step *const gemm_steps[] = {ladder_gemm_1, ladder_gemm_2, ladder_gemm_3, ladder_gemm_4,
                                               ladder_gemm_5, ladder_gemm_6, ladder_gemm_7, ladder_gemm_8};
static ladder_conv_step *const conv_steps[] = {ladder_conv_1, ladder_conv_2, ladder_conv_3, ladder_conv_4,
                                               ladder_conv_5, ladder_conv_6, ladder_conv_7, ladder_conv_8};

/* x to 11 significant bits in the steps that use tensor cores. */
static double factor(int step, float x) {
    int e;
    const double m = frexp((double)x, &e);
    return step < 6 ? (double)x : ldexp(round(ldexp(m, 11)), e - 11);
}

static void gemm_case(int step, int M, int N, int K) {
    Array<float> a((size_t)M * K), b((size_t)K * N), bias(N), c((size_t)M * N, false);
    ladder_gemm g = {M, N, K, a.d, b.d, bias.d, true, c.d, nullptr};
    Array<float> scratch(ladder_gemm_scratch(g), false);
    g.scratch = scratch.d;
    OK(gemm_steps[step - 1](nullptr, g));
    std::vector<double> want((size_t)M * N);
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            double sum = step == 8 ? (double)bias.h[j] : 0;
            for (int k = 0; k < K; k++) sum += factor(step, a.h[(size_t)i * K + k]) * factor(step, b.h[(size_t)k * N + j]);
            want[(size_t)i * N + j] = step == 8 && sum < 0 ? 0 : sum;
        }
    char name[80];
    snprintf(name, sizeof name, "product, step %d, %dx%dx%d", step, M, N, K);
    compare(name, c, want, 1e-5 * sqrt((double)K));
}

static void conv_case(int step, int N, int C, int H, int W, int K) {
    Array<float> x((size_t)N * C * H * W), w((size_t)K * C * 9), bias(K), y((size_t)N * K * H * W, false);
    ladder_conv v = {N, C, H, W, K, x.d, w.d, step == 7 ? bias.d : nullptr, step == 7, y.d, nullptr};
    Array<float> scratch(ladder_conv_scratch(v), false);
    v.scratch = scratch.d;
    OK(conv_steps[step - 1](nullptr, v));
    std::vector<double> want(y.h.size());
    for (size_t e = 0; e < want.size(); e++) {
        const int q = (int)e % W, p = (int)e / W % H, k = (int)e / W / H % K, n = (int)e / W / H / K;
        double sum = step == 7 ? (double)bias.h[k] : 0;
        for (int c = 0; c < C; c++)
            for (int r = 0; r < 3; r++)
                for (int s = 0; s < 3; s++) { /* step 8: the outputs (p-r+1, q-s+1) that read this pixel by tap (r,s) */
                    const int h = step == 8 ? p + 1 - r : p + r - 1, u = step == 8 ? q + 1 - s : q + s - 1;
                    if (h < 0 || h >= H || u < 0 || u >= W) continue;
                    const size_t weight = step == 8 ? ((size_t)c * K + k) * 9 : ((size_t)k * C + c) * 9;
                    sum += factor(step, x.h[(((size_t)n * C + c) * H + h) * W + u]) * factor(step, w.h[weight + r * 3 + s]);
                }
        want[e] = step == 7 && sum < 0 ? 0 : sum;
    }
    char name[80];
    snprintf(name, sizeof name, "convolution, step %d, %dx%dx%dx%d to %d", step, N, C, H, W, K);
    compare(name, y, want, 1e-5 * sqrt(9. * C));
}

int main(int argc, char **argv) {
    if (argc > 1) {
        const int step = argc == 3 ? atoi(argv[2]) : 0;
        const bool product = argv[1][0] == 'p';
        if (step < 1 || step > 8) return printf("usage: test_ladder [product|convolution 1..8]\n"), 2;
        if (product) gemm_case(step, 128, 128, 128);
        else conv_case(step, 1, 64, 16, 16, 64);
        return failures != 0;
    }
    for (int step = 1; step <= 8; step++) {
        gemm_case(step, 1, 1, 1);
        gemm_case(step, 37, 70, 45);
        gemm_case(step, 68, 132, 52); /* 16 bytes at a time */
        gemm_case(step, 3, 5, 301);
    }
    for (int step = 1; step <= 8; step++) {
        conv_case(step, 1, 1, 1, 1, 1);
        conv_case(step, 2, 3, 10, 9, 5);
        conv_case(step, 1, 17, 18, 7, 66);
        conv_case(step, 3, 20, 5, 17, 9);
    }
    if (failures) printf("%d failures\n", failures);
    return failures != 0;
}
