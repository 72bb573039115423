/* What the emulator costs: the best of 5, in nanoseconds or microseconds. `make emu-cost`. */
#include "tests/emu/kernels.cuh"
#include "tests/emu/emu_test.h"
#include <chrono>

static double seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
template <class F> static double best(F run) {
    double least = 1e9;
    run();
    for (int i = 0; i < 5; i++) {
        double start = seconds();
        run();
        least = fmin(least, seconds() - start);
    }
    return least;
}

__global__ void barriers(int n) {
    for (int i = 0; i < n; i++) __syncthreads();
}
__global__ void shuffles(int n, float *y) {
    float v = (float)threadIdx.x;
    for (int i = 0; i < n; i++) v = __shfl_xor_sync(0xffffffffu, v, 1);
    y[threadIdx.x] = v;
}

int main() {
    Array<float> a(64 * 64), b(64 * 64), c(64 * 64), x(2 * 3 * 24 * 21), w(10 * 27), bias(10),
        y(2 * 10 * 24 * 21), v(10000), part(4);
    Array<unsigned> ticket(1, false);
    OK(cudaMemset(ticket.d, 0, 4));
    const int n = 1000;
    for (int t : {32, 256, 1024}) {
        double barrier = best([&] {
            OK(MN_LAUNCH(barriers, dim3(1), dim3(t), 0, 0, n));
            OK(cudaDeviceSynchronize());
        });
        double shuffle = best([&] {
            OK(MN_LAUNCH(shuffles, dim3(1), dim3(t), 0, 0, n, c.d));
            OK(cudaDeviceSynchronize());
        });
        printf("  %4d threads: __syncthreads %6.1f ns a thread, shuffle %6.1f ns a thread\n", t,
               barrier * 1e9 / n / t, shuffle * 1e9 / n / t);
    }
    auto report = [](const char *name, double s) { printf("  %-44s %9.2f us\n", name, s * 1e6); };
    report("launch of one thread", best([&] {
                                       for (int i = 0; i < n; i++)
                                           OK(MN_LAUNCH(barriers, dim3(1), dim3(1), 0, 0, 0));
                                   }) / n);
    report("gemm 64^3, 32x32 tiles, 1024 threads", best([&] {
               OK(MN_LAUNCH((gemm_tiled<float>), dim3(2, 2), dim3(32, 32), 0, 0, 64, 64, 64, a.d, b.d, c.d));
           }));
    report("gemm 64^3, 128 threads of 8x4", best([&] {
               OK(MN_LAUNCH(gemm_registers, dim3(1, 1), dim3(128), GEMM_REGISTERS_SHARED, 0, 64, 64, 64, a.d,
                            b.d, c.d));
           }));
    report("gemm 64^3, mma tf32 and cp.async",
           best([&] { OK(MN_LAUNCH(gemm_tf32, dim3(1, 2), dim3(128), 0, 0, 64, 64, 64, a.d, b.d, c.d)); }));
    report(
        "conv 3x3, 2x3x24x21 to 10, 16 blocks of 256", best([&] {
            OK(MN_LAUNCH((conv3x3<8>), dim3(4, 2, 2), dim3(256), 0, 0, 3, 24, 21, 10, x.d, w.d, bias.d, y.d));
        }));
    report("sum of 10000, 4 blocks of 256", best([&] {
               OK(MN_LAUNCH((sum_all<float>), dim3(4), dim3(256), 0, 0, 10000, v.d, part.d, ticket.d, c.d));
           }));
    OK(cudaDeviceSynchronize());
    return failures != 0;
}
