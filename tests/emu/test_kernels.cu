/* Ordinary kernels against references in double, odd shapes included. */
#include "tests/emu/kernels.cuh"
#include "tests/emu/emu_test.h"

static void test_gemm(int M, int N, int K, cudaStream_t st) {
    char name[80];
    Array<float> a(M * K), b(K * N), c1(M * N, false), c2(M * N, false), c3(M * N, false);
    Array<double> ad(M * K), bd(K * N), cd(M * N, false);
    std::vector<double> want(M * N), want_d(M * N);
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++)
            for (int k = 0; k < K; k++) {
                want[i * N + j] += (double)a.h[i * K + k] * b.h[k * N + j];
                want_d[i * N + j] += ad.h[i * K + k] * bd.h[k * N + j];
            }
    dim3 tiles32((N + 31) / 32, (M + 31) / 32), tiles64((N + 63) / 64, (M + 63) / 64),
        tiles((N + 63) / 64, (M + 31) / 32);
    OK(MN_LAUNCH((gemm_tiled<float>), tiles32, dim3(32, 32), 0, st, M, N, K, a.d, b.d, c1.d));
    OK(MN_LAUNCH((gemm_tiled<double>), tiles32, dim3(32, 32), 0, st, M, N, K, ad.d, bd.d, cd.d));
    OK(MN_LAUNCH(gemm_registers, tiles64, dim3(128), GEMM_REGISTERS_SHARED, st, M, N, K, a.d, b.d, c2.d));
    OK(cudaStreamSynchronize(st));
    snprintf(name, sizeof name, "gemm_tiled<float> %d x %d x %d", M, N, K);
    compare(name, c1, want, 1e-5);
    compare("gemm_tiled<double>", cd, want_d, 1e-13);
    compare("gemm_registers", c2, want, 1e-5);
    if (N % 4 || K % 4) return;
    OK(MN_LAUNCH(gemm_tf32, tiles, dim3(128), 0, st, M, N, K, a.d, b.d, c3.d));
    OK(cudaStreamSynchronize(st));
    compare("gemm_tf32", c3, want, 2e-3 * sqrt((double)K));
}

static void test_mma_bf16(cudaStream_t st) {
    Array<uint16_t> a(256), b(128);
    Array<float> c(128, false);
    std::vector<double> want(128);
    for (uint16_t &v : a.h) v = mn_float_to_bf16(test_random());
    for (uint16_t &v : b.h) v = mn_float_to_bf16(test_random());
    a.put(), b.put();
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 8; j++)
            for (int k = 0; k < 16; k++)
                want[i * 8 + j] +=
                    (double)mn_bf16_to_float(a.h[i * 16 + k]) * mn_bf16_to_float(b.h[k * 8 + j]);
    OK(MN_LAUNCH(mma_bf16_one, dim3(1), dim3(32), 0, st, a.d, b.d, c.d));
    OK(cudaStreamSynchronize(st));
    compare("mma bf16, ldmatrix, ldmatrix.trans", c, want, 1e-5);
}

static void test_formats() {
    CHECK(mn_float_to_bf16(1.f) == 0x3f80 && mn_float_to_bf16(-2.5f) == 0xc020);
    CHECK(mn_float_to_bf16(1.00390625f) == 0x3f80 &&
          mn_float_to_bf16(1.01171875f) == 0x3f82); /* ties to even */
    CHECK(std::isnan(mn_bf16_to_float(mn_float_to_bf16(NAN))) &&
          std::isinf(mn_bf16_to_float(mn_float_to_bf16(3.4e38f))));
    CHECK(mn_to_tf32(1.f + 1.f / 2048) == mn_to_tf32(1.f + 1.f / 1024) &&
          mn_to_tf32(1.f + 1.f / 4096) == mn_to_tf32(1.f));
    CHECK(mn_pack_bf16(1.f, 2.f) == 0x40003f80u);
}

static void test_conv(int N, int C, int H, int W, int K, cudaStream_t st) {
    char name[80];
    Array<float> x(N * C * H * W), w(K * C * 9), b(K), y(N * K * H * W, false);
    std::vector<double> want(y.h.size());
    for (int n = 0; n < N; n++)
        for (int k = 0; k < K; k++)
            for (int p = 0; p < H; p++)
                for (int q = 0; q < W; q++) {
                    double s = b.h[k];
                    for (int c = 0; c < C; c++)
                        for (int r = 0; r < 3; r++)
                            for (int u = 0; u < 3; u++) {
                                int h = p + r - 1, v = q + u - 1;
                                if (h < 0 || h >= H || v < 0 || v >= W) continue;
                                s += (double)x.h[((n * C + c) * H + h) * W + v] *
                                     w.h[((k * C + c) * 3 + r) * 3 + u];
                            }
                    want[((n * K + k) * H + p) * W + q] = s > 0 ? s : 0;
                }
    dim3 grid((W + 15) / 16 * ((H + 15) / 16), (K + 7) / 8, N);
    OK(MN_LAUNCH((conv3x3<8>), grid, dim3(256), 0, st, C, H, W, K, x.d, w.d, b.d, y.d));
    OK(cudaStreamSynchronize(st));
    snprintf(name, sizeof name, "conv3x3 %d x %d x %d x %d to %d channels", N, C, H, W, K);
    compare(name, y, want, 1e-5);
}

static void test_transpose(int R, int C, cudaStream_t st) {
    char name[80];
    Array<float> x(R * C), y0(R * C, false), y1(R * C, false);
    std::vector<double> want(R * C);
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++) want[c * R + r] = x.h[r * C + c];
    dim3 grid((C + 31) / 32, (R + 31) / 32);
    OK(MN_LAUNCH((transpose<0>), grid, dim3(32, 8), 0, st, R, C, x.d, y0.d));
    OK(MN_LAUNCH((transpose<1>), grid, dim3(32, 8), 0, st, R, C, x.d, y1.d));
    OK(cudaStreamSynchronize(st));
    snprintf(name, sizeof name, "transpose %d x %d", R, C);
    compare(name, y0, want, 0);
    compare("transpose, padded tile", y1, want, 0);
}

static void test_sum(int n, cudaStream_t st) {
    char name[80];
    Array<float> x(n), part(4, false), y(1, false), again(1, false);
    Array<double> xd(n), part_d(4, false), yd(1, false);
    Array<unsigned> ticket(1, false);
    double want = 0, want_d = 0;
    for (float v : x.h) want += v;
    for (double v : xd.h) want_d += v;
    OK(cudaMemsetAsync(ticket.d, 0, 4, st));
    OK(MN_LAUNCH((sum_all<float>), dim3(4), dim3(256), 0, st, n, x.d, part.d, ticket.d, y.d));
    OK(MN_LAUNCH((sum_all<float>), dim3(4), dim3(256), 0, st, n, x.d, part.d, ticket.d, again.d));
    OK(MN_LAUNCH((sum_all<double>), dim3(4), dim3(256), 0, st, n, xd.d, part_d.d, ticket.d, yd.d));
    OK(cudaStreamSynchronize(st));
    snprintf(name, sizeof name, "sum of %d by ticket", n);
    compare(name, y, {want}, 1e-4 + 1e-7 * n);
    compare("sum in double", yd, {want_d}, 1e-12 * n);
    again.get();
    CHECK(again.h[0] == y.h[0]);
}

static void test_small(cudaStream_t st) {
    Array<float> x(5 * 37), y(5 * 37, false);
    std::vector<double> want(x.h.size()), scan(64), counts(16), expect(96);
    for (int r = 0; r < 5; r++) {
        double sum = 0;
        for (int c = 0; c < 37; c++) sum += exp((double)x.h[r * 37 + c]);
        for (int c = 0; c < 37; c++) want[r * 37 + c] = exp((double)x.h[r * 37 + c]) / sum;
    }
    OK(MN_LAUNCH(softmax_rows, dim3(2), dim3(96), 0, st, 5, 37, x.d, y.d));
    OK(cudaStreamSynchronize(st));
    compare("softmax, a warp for each row", y, want, 1e-6);

    Array<int> v(64), s(64, false);
    for (int i = 0; i < 64; i++) {
        v.h[i] = i * i % 7;
        scan[i] = v.h[i] + (i % 16 ? scan[i - 1] : 0);
    }
    v.put();
    OK(MN_LAUNCH(scan16, dim3(1), dim3(64), 0, st, v.d, s.d));
    OK(cudaStreamSynchronize(st));
    compare("scan in half-warps", s, scan, 0);

    Array<int> values(1000);
    Array<unsigned> count(16, false), flags(96, false);
    for (int i = 0; i < 1000; i++) values.h[i] = i * i % 16, counts[i * i % 16]++;
    values.put();
    OK(cudaMemsetAsync(count.d, 0, 64, st));
    OK(MN_LAUNCH(histogram, dim3(3), dim3(96), 0, st, 1000, values.d, count.d));
    OK(cudaStreamSynchronize(st));
    compare("histogram with atomics", count, counts, 0);

    OK(MN_LAUNCH(votes, dim3(1), dim3(8, 4, 3), 0, st, flags.d));
    OK(cudaStreamSynchronize(st));
    for (int t = 0; t < 96; t++)
        expect[t] = 0xaaaaaaaau / 2 + (t / 32 == 1) * 2 + (t / 32 < 2) * 4 + 32 * 8 + 512 + 1024 +
                    (t / 32 * 32 + 5) * 2048 + (16 + 31 + 4) * 1048576;
    compare("votes, shuffle, bits, block of 8 x 4 x 3", flags, expect, 0);
}

int main() {
    cudaStream_t st;
    OK(cudaStreamCreate(&st));
    test_formats();
    test_gemm(64, 64, 64, st);
    test_gemm(33, 40, 24, st);
    test_gemm(1, 8, 100, st);
    test_gemm(67, 65, 31, st);
    test_mma_bf16(st);
    test_conv(2, 3, 24, 21, 10, st);
    test_conv(1, 1, 1, 1, 1, st);
    test_transpose(32, 32, st);
    test_transpose(45, 70, st);
    test_sum(10000, st);
    test_sum(1, st);
    test_small(st);
    OK(cudaStreamDestroy(st));
    OK(cudaDeviceSynchronize());
    printf(failures ? "%d FAILED\n" : "all kernels agree with their references\n", failures);
    return failures != 0;
}
