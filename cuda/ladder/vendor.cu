/* The vendor's product as a yardstick for the ladder: cuBLAS, where the machine has it. mien does not link it: it is opened
 * when the ladder is measured, from MIEN_CUBLAS or from where the system keeps libraries. */
#include "cuda/kernel.cuh"
#include "cuda/ladder/ladder.h"
#include "cuda/timer.cuh"
#include <dlfcn.h>

/* Of cublas_v2.h: a status of 0 is success, matrices stand by columns. */
struct vendor {
    void *library, *handle;
    int (*create)(void **);
    int (*destroy)(void *);
    int (*set_stream)(void *, cudaStream_t);
    int (*set_math)(void *, int);
    int (*multiply)(void *, int, int, int, int, int, const float *, const float *, int, const float *, int, const float *, float *, int);
};
enum { PLAIN = 0, TF32 = 3 }; /* CUBLAS_DEFAULT_MATH, CUBLAS_TF32_TENSOR_OP_MATH; CUBLAS_OP_N is 0, too */

static bool find_vendor(vendor *v) {
    const char *own = getenv("MIEN_CUBLAS");
    const char *const names[] = {own ? own : "libcublas.so", "libcublas.so.13", "libcublas.so.12", "libcublas.so.11"};
    for (const char *name : names)
        if (!v->library) v->library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!v->library) return false;
    const auto symbol = [v](auto *f, const char *name) { return (*(void **)f = dlsym(v->library, name)) != nullptr; };
    return symbol(&v->create, "cublasCreate_v2") && symbol(&v->destroy, "cublasDestroy_v2") &&
           symbol(&v->set_stream, "cublasSetStream_v2") && symbol(&v->set_math, "cublasSetMathMode") &&
           symbol(&v->multiply, "cublasSgemm_v2");
}

mn_status mn__ladder_vendor(mn_context *c, const mn__ladder *l, bool tf32, int times, double *seconds) {
    const cudaStream_t stream = mn__cuda_stream(c);
    const float one = 1, zero = 0;
    const int n = l->size;
    vendor v = {};
    *seconds = 0;
    int status = !find_vendor(&v) || v.create(&v.handle);
    if (!status) status = v.set_stream(v.handle, stream);
    if (!status) status = v.set_math(v.handle, tf32 ? TF32 : PLAIN);
    /* By columns it reads our matrices transposed: C^T = B^T A^T. The first product prepares. */
    const auto product = [&] {
        if (!status)
            status = v.multiply(v.handle, 0, 0, n, n, n, &one, (const float *)l->right->data, n, (const float *)l->left->data, n, &zero,
                                (float *)l->result->data, n);
        return cudaSuccess;
    };
    product();
    const cudaError_t e = gpu_timed(stream, [&] {
        for (int i = 0; i < times; i++) product();
        return cudaSuccess;
    }, seconds);
    *seconds /= times;
    if (status) *seconds = 0; /* not there, or not able to */
    if (v.handle) v.destroy(v.handle); /* the library stays: it has threads and handlers of its own */
    return mn__cuda_launched(c, "cuBLAS", e);
}
