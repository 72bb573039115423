/* Shared by the emulator's tests: checked calls, buffers with a host copy, comparison with a double
 * reference. */
#ifndef MN_TESTS_EMU_EMU_TEST_H
#define MN_TESTS_EMU_EMU_TEST_H
#include "cuda/mn_cuda.h"
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

static int failures;

/* Any condition; any call of the runtime that must succeed. */
#define CHECK(condition)                                                                                                         \
    do {                                                                                                                         \
        if (!(condition)) failures++, printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                           \
    } while (0)
#define OK(call)                                                                                                                 \
    do {                                                                                                                         \
        cudaError_t e_ = (call);                                                                                                 \
        if (e_ != cudaSuccess) failures++, printf("%s:%d: %s\n", __FILE__, __LINE__, cudaGetErrorName(e_));                      \
    } while (0)

/* Numbers in [-1, 1), the same on every machine. */
static inline float test_random() {
    static uint32_t state = 1;
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / (float)(1 << 23) - 1.f;
}

/* n elements on the device and a copy on the host; random or unwritten. */
template <class T> struct Array {
    T *d = nullptr;
    std::vector<T> h;
    explicit Array(size_t n, bool fill = true) : h(n) {
        OK(cudaMalloc(&d, n * sizeof(T)));
        if (!fill) return;
        for (T &v : h) v = (T)test_random();
        put();
    }
    Array(const Array &) = delete;
    ~Array() { OK(cudaFree(d)); }
    void put() { OK(cudaMemcpy(d, h.data(), h.size() * sizeof(T), cudaMemcpyHostToDevice)); }
    void get() { OK(cudaMemcpy(h.data(), d, h.size() * sizeof(T), cudaMemcpyDeviceToHost)); }
};

/* Reads y back and compares; NaN fails. */
template <class T> static void compare(const char *name, Array<T> &y, const std::vector<double> &want, double tolerance) {
    double worst = 0;
    y.get();
    for (size_t i = 0; i < want.size(); i++) {
        double e = fabs((double)y.h[i] - want[i]);
        if (!(e <= worst)) worst = e;
    }
    bool good = worst <= tolerance;
    if (!good) failures++;
    printf("  %-44s largest error %8.1e, allowed %8.1e  %s\n", name, worst, tolerance, good ? "ok" : "WRONG");
}
#endif
