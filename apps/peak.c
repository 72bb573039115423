/* Ten independent chains of multiply-adds fill the pipelines of every processor there is. */
#include "apps/peak.h"
#include "apps/app.h"
#include "autograd/profile.h"
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define CHAINS 10
#define ROUNDS 100000

/* acc = acc*a + b, CHAINS accumulators of LANES numbers; a and b keep acc bounded. Returns a number that
 * depends on all, so that nothing is left out. */
#define FMA_LOOP(NAME, TARGET, LANES)                                                                                            \
    typedef float NAME##_vector __attribute__((vector_size(LANES * 4)));                                                         \
    TARGET static float NAME(float seed) {                                                                                       \
        NAME##_vector acc[CHAINS], a, b, sum = {0};                                                                              \
        for (int i = 0; i < LANES; i++) a[i] = 0.999f, b[i] = seed;                                                              \
        for (int k = 0; k < CHAINS; k++) acc[k] = b * (float)k;                                                                  \
        for (int r = 0; r < ROUNDS; r++) _Pragma("GCC unroll 10") for (int k = 0; k < CHAINS; k++) acc[k] = acc[k] * a + b;      \
        for (int k = 0; k < CHAINS; k++) sum += acc[k];                                                                          \
        return sum[0];                                                                                                           \
    }

#if defined(__x86_64__)
#define TARGET_512 __attribute__((target("avx512f,prefer-vector-width=512"), optimize("fp-contract=fast")))
#define TARGET_256 __attribute__((target("avx2,fma"), optimize("fp-contract=fast")))
FMA_LOOP(loop_512, TARGET_512, 16)
FMA_LOOP(loop_256, TARGET_256, 8)
#endif
#define TARGET_128 __attribute__((optimize("fp-contract=fast")))
FMA_LOOP(loop_128, TARGET_128, 4)

typedef struct fma_loop {
    float (*run)(float);
    int lanes;
} fma_loop;

static fma_loop widest(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return (fma_loop){loop_512, 16};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return (fma_loop){loop_256, 8};
#endif
    return (fma_loop){loop_128, 4};
}

double peak_gflops(int threads) {
    fma_loop f = widest();
    double best = 0, flop = 2.0 * CHAINS * ROUNDS * f.lanes * threads;
    volatile float sink = 0;
    for (int repeat = 0; repeat < 8; repeat++) {
        float sum = 0;
        double t0 = app_seconds();
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(+ : sum)
        for (int t = 0; t < threads; t++) sum += f.run(1e-3f * (float)(t + 1));
        double rate = flop / (app_seconds() - t0) / 1e9;
        if (rate > best) best = rate;
        sink = sink + sum;
    }
    return best;
}

double peak_bandwidth(void) {
    size_t size = (size_t)48 << 20;
    char *a = app_alloc(size, 1), *b = app_alloc(size, 1);
    double best = 0;
    memset(a, 1, size), memset(b, 2, size);
    for (int repeat = 0; repeat < 5; repeat++) {
        double t0 = mn__profile_clock();
        memcpy(repeat % 2 ? a : b, repeat % 2 ? b : a, size);
        double rate = 2 * (double)size / (mn__profile_clock() - t0) / 1e9;
        if (rate > best) best = rate;
    }
    free(a);
    free(b);
    return best;
}

double peak_memory(void) {
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) == 0 ? (double)u.ru_maxrss * 1024 : 0;
}
