/* The one header that a .cu file includes. Everything that differs between nvcc and the emulator is in here
 * and in cuda/emu/: launching a kernel, dynamic shared memory, tensor cores, asynchronous copies, number
 * formats. */
#ifndef MN_CUDA_H
#define MN_CUDA_H
#ifdef __CUDACC__
#include <cuda_runtime.h>
#include <cstdint>
#include <cstring>

template <class... P, class... A>
static inline cudaError_t mn_launch(const char *, void (*k)(P...), dim3 grid, dim3 block, size_t smem,
                                    cudaStream_t s, A &&...a) {
    cudaLaunchConfig_t c = {};
    c.gridDim = grid, c.blockDim = block, c.dynamicSmemBytes = smem, c.stream = s;
    return cudaLaunchKernelEx(&c, k, P(a)...);
}
static inline int emu_faults() { return 0; }
static inline void emu_forget_faults() {}
static inline void emu_forbid(void *, size_t) {}
static inline void emu_allow(void *, size_t) {}
#define MN_EMU_SITE int = 0
#define MN_SM80 (__CUDA_ARCH__ >= 800)
#else
#include "cuda/emu/emu.h"
#define MN_EMU_SITE EMU_SITE
#endif

/* Starts a kernel and returns the launch's cudaError_t:
 *     MN_LAUNCH((gemm<float, 8>), grid, block, shared_bytes, stream, M, N, K, a, b, c)
 * Arguments are converted to the kernel's parameter types and copied. More than 48 KiB of dynamic shared
 * memory want cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes) before. */
#define MN_LAUNCH(kernel, ...) mn_launch(#kernel, kernel, __VA_ARGS__)

/* The dynamic shared memory of this launch; 16-byte aligned. The only way to it: one name for all kernels. */
template <class T> __device__ __forceinline__ T *mn_dynamic_shared() {
#ifdef __CUDACC__
    extern __shared__ __align__(16) unsigned char mn_smem[];
    return reinterpret_cast<T *>(mn_smem);
#else
    return (T *)emu_dynamic_shared();
#endif
}

/* ---- number formats ----------------------------------------------------------------------------- */
/* bf16 is the upper half of a float; rounded to nearest even. A NaN stays one. */
__host__ __device__ __forceinline__ uint16_t mn_float_to_bf16(float x) {
    uint32_t u;
    memcpy(&u, &x, 4);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40u);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}
__host__ __device__ __forceinline__ float mn_bf16_to_float(uint16_t h) {
    uint32_t u = (uint32_t)h << 16;
    float x;
    memcpy(&x, &u, 4);
    return x;
}
/* Two bf16 in a register as mma wants them: the smaller index in the lower half. */
__host__ __device__ __forceinline__ uint32_t mn_pack_bf16(float lo, float hi) {
    return (uint32_t)mn_float_to_bf16(hi) << 16 | mn_float_to_bf16(lo);
}
/* tf32 keeps 10 bits of the mantissa. The tensor core drops the other 13; this rounds them (ties away from
 * zero, like cvt.rna.tf32.f32), which halves the error and removes its bias. Inf and NaN stay. */
__host__ __device__ __forceinline__ uint32_t mn_to_tf32(float x) {
    uint32_t u;
    memcpy(&u, &x, 4);
    return (u & 0x7f800000u) == 0x7f800000u ? u : (u + 0x1000u) & 0xffffe000u;
}

/* ---- tensor cores (sm_80 and newer; the whole warp takes part) ---------------------------------- */
/* Every asm below is volatile: without it a compiler may move an instruction that the whole warp must reach into a
 * branch that only some threads take, if its result is used there alone. */
/* d = a * b + c. a is 16x8, b is 8x8, c and d are 16x8. With g = lane / 4 and t = lane % 4 a lane holds
 *   a[0] (g, t)  a[1] (g+8, t)  a[2] (g, t+4)  a[3] (g+8, t+4)      b[0] (t, g)  b[1] (t+4, g)
 *   c[0] (g, 2t)  c[1] (g, 2t+1)  c[2] (g+8, 2t)  c[3] (g+8, 2t+1)     (PTX ISA, "mma.m16n8k8")
 * a and b are tf32, products are exact, sums in f32. d may be c. */
__device__ __forceinline__ void mn_mma_tf32(float d[4], const uint32_t a[4], const uint32_t b[2],
                                            const float c[4], MN_EMU_SITE) {
#ifndef __CUDACC__
    emu_mma_operands in = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}, {c[0], c[1], c[2], c[3]}};
    emu_needs_sm(80, "mma.sync with tf32", at);
    emu_warp(~0u, "mma.m16n8k8.tf32", emu_work_mma_tf32, &in, d, 0, at);
#elif MN_SM80
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
                 "{%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%10,%11,%12,%13};"
                 : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]),
                   "f"(c[3]));
#else
    __trap();
#endif
}
/* d = a * b + c. a is 16x16, b is 16x8, two bf16 to a register, the smaller k in the lower half:
 *   a[0] (g, 2t..)  a[1] (g+8, 2t..)  a[2] (g, 2t+8..)  a[3] (g+8, 2t+8..)      b[0] (2t.., g)  b[1] (2t+8.., g)
 * c and d as above. (PTX ISA, "mma.m16n8k16") */
__device__ __forceinline__ void mn_mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2],
                                            const float c[4], MN_EMU_SITE) {
#ifndef __CUDACC__
    emu_mma_operands in = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}, {c[0], c[1], c[2], c[3]}};
    emu_needs_sm(80, "mma.sync with bf16", at);
    emu_warp(~0u, "mma.m16n8k16.bf16", emu_work_mma_bf16, &in, d, 0, at);
#elif MN_SM80
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%10,%11,%12,%13};"
                 : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]),
                   "f"(c[3]));
#else
    __trap();
#endif
}
/* Four 8x8 matrices of 16-bit values from shared memory: lane l gives the address of row l % 8 of matrix l /
 * 8 (16 bytes, aligned), and gets of matrix i the values (row l / 4, columns 2 * (l % 4) and + 1) in r[i]. A
 * row of 8 halves is also a row of 4 floats: so tf32 fragments are loaded. sm_75 and newer. */
__device__ __forceinline__ void mn_ldmatrix4(uint32_t r[4], const void *row, MN_EMU_SITE) {
#ifdef __CUDACC__
    uint32_t p = (uint32_t)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3},[%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(p)
                 : "memory");
#else
    emu_read_row(row, at);
    emu_warp(~0u, "ldmatrix.x4", emu_work_ldmatrix, const_cast<void *>(row), r, 4, at);
#endif
}
/* The same, each matrix transposed: r[i] holds (row 2 * (l % 4) and + 1, column l / 4). For 16-bit values
 * only. */
__device__ __forceinline__ void mn_ldmatrix4_trans(uint32_t r[4], const void *row, MN_EMU_SITE) {
#ifdef __CUDACC__
    uint32_t p = (uint32_t)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3},[%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(p)
                 : "memory");
#else
    emu_read_row(row, at);
    emu_warp(~0u, "ldmatrix.x4.trans", emu_work_ldmatrix, const_cast<void *>(row), r, 4 + 8, at);
#endif
}

/* ---- asynchronous copies ------------------------------------------------------------------------ */
/* Starts a copy of BYTES (4, 8 or 16, both addresses aligned to them) from global to shared memory. The bytes
 * past `valid` (0..BYTES) become zero and are not read: padding without a branch; at valid = 0 `src` may be
 * any aligned device address. The target may be read after mn_cp_async_wait by this thread, after a barrier
 * by others. 16 bytes bypass the L1 cache. On sm_75 it is an ordinary copy. */
template <int BYTES>
__device__ __forceinline__ void mn_cp_async(void *dst, const void *src, int valid = BYTES, MN_EMU_SITE) {
    static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "cp.async copies 4, 8 or 16 bytes");
#ifndef __CUDACC__
    emu_cp_async(dst, src, BYTES, valid, at);
#elif MN_SM80
    uint32_t p = (uint32_t)__cvta_generic_to_shared(dst);
    if (BYTES == 16)
        asm volatile("cp.async.cg.shared.global [%0],[%1],16,%2;" ::"r"(p), "l"(src), "r"(valid) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0],[%1],%2,%3;" ::"r"(p), "l"(src), "n"(BYTES), "r"(valid)
                     : "memory");
#else
    for (int i = 0; i < BYTES / 4; i++) {
        uint32_t word = 0;
        if (valid >= i * 4 + 4)
            word = ((const uint32_t *)src)[i];
        else
            for (int j = 0; i * 4 + j < valid; j++)
                word |= (uint32_t)((const unsigned char *)src)[i * 4 + j] << 8 * j;
        ((uint32_t *)dst)[i] = word;
    }
#endif
}
/* Closes the group of the copies this thread started since the last commit. */
__device__ __forceinline__ void mn_cp_async_commit() {
#ifndef __CUDACC__
    emu_cp_async_commit();
#elif MN_SM80
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
/* Waits until at most N of this thread's groups are still under way. */
template <int N> __device__ __forceinline__ void mn_cp_async_wait() {
#ifndef __CUDACC__
    emu_cp_async_wait(N);
#elif MN_SM80
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#endif
}
#endif
