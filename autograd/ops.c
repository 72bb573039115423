/* The tables: every operation by number, and its kernels by device, instruction set and type. They are
 * made from all.def; nothing here changes when an operation is added. */
#include "autograd/internal.h"
#include <stdlib.h>
#include <string.h>

#define OP(name) extern const mn_op mn__op_##name;
#include "autograd/all.def"
#undef OP

static const mn_op *const ops[MN_OP_COUNT] = {
#define OP(name) [MN_OP_##name] = &mn__op_##name,
#include "autograd/all.def"
#undef OP
};

const mn_op *mn__op(mn_op_id id) { return ops[id]; }
int mn_op_count(void) { return MN_OP_COUNT; }
const char *mn_op_name(int op) { return op >= 0 && op < MN_OP_COUNT ? ops[op]->name : NULL; }

/* ---- kernels: mn__<op>_<fwd|bwd>_<device>_<type>[_<instruction set>] ---- */

#define DECLARE(name, suffix)                                                                            \
    mn_status mn__##name##_fwd_cpu_##suffix(mn_node *n);                                                 \
    mn_status mn__##name##_bwd_cpu_##suffix(mn_node *n);
#define ROW(name, f32, f64)                                                                              \
    [MN_OP_##name] = {{mn__##name##_fwd_cpu_##f32, mn__##name##_fwd_cpu_##f64},                          \
                      {mn__##name##_bwd_cpu_##f32, mn__##name##_bwd_cpu_##f64}},

/* The kernels of optim/ in one type and instruction set. */
extern const struct mn__update_kernels mn__updates_cpu_f32_plain, mn__updates_cpu_f64_plain;
/* The steps of compiled inference: cpu/infer.c. */
extern const struct mn__infer_kernels mn__infer_cpu_f32_plain, mn__infer_cpu_f64_plain;

/* Sums of losses: cpu/tally.c. Short loops: one instruction set will do. */
mn_status mn__tally_cpu_f32_plain(const struct mn__tally_batch *b);
mn_status mn__tally_cpu_f64_plain(const struct mn__tally_batch *b);
#define TALLY {mn__tally_cpu_f32_plain, mn__tally_cpu_f64_plain}

#define OP(name) DECLARE(name, f32_plain) DECLARE(name, f64_plain)
#include "autograd/all.def"
#undef OP
static const mn__kernels plain = {"plain", {
#define OP(name) ROW(name, f32_plain, f64_plain)
#include "autograd/all.def"
#undef OP
}, {&mn__updates_cpu_f32_plain, &mn__updates_cpu_f64_plain}, {&mn__infer_cpu_f32_plain, &mn__infer_cpu_f64_plain}, TALLY};

#if defined(__x86_64__)
extern const struct mn__update_kernels mn__updates_cpu_f32_avx2, mn__updates_cpu_f32_avx512;
extern const struct mn__infer_kernels mn__infer_cpu_f32_avx2, mn__infer_cpu_f32_avx512;
#define OP(name) DECLARE(name, f32_avx2) DECLARE(name, f32_avx512)
#include "autograd/all.def"
#undef OP
static const mn__kernels avx2 = {"avx2", {
#define OP(name) ROW(name, f32_avx2, f64_plain)
#include "autograd/all.def"
#undef OP
}, {&mn__updates_cpu_f32_avx2, &mn__updates_cpu_f64_plain}, {&mn__infer_cpu_f32_avx2, &mn__infer_cpu_f64_plain}, TALLY};
static const mn__kernels avx512 = {"avx512", {
#define OP(name) ROW(name, f32_avx512, f64_plain)
#include "autograd/all.def"
#undef OP
}, {&mn__updates_cpu_f32_avx512, &mn__updates_cpu_f64_plain}, {&mn__infer_cpu_f32_avx512, &mn__infer_cpu_f64_plain}, TALLY};

static const mn__kernels *best_cpu(const char *wanted) {
    __builtin_cpu_init();
    bool has2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    bool has512 = has2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                  __builtin_cpu_supports("avx512cd");
    if (wanted && !strcmp(wanted, "plain")) return &plain;
    if (has512 && !(wanted && !strcmp(wanted, "avx2"))) return &avx512;
    return has2 ? &avx2 : &plain;
}
#else
static const mn__kernels *best_cpu(const char *wanted) {
    (void)wanted;
    return &plain;
}
#endif

#ifdef MN_HAVE_CUDA
/* Weak: a kernel that no file of cuda/ defines is NULL here, and using it gives a sentence (tape.c). */
#define WEAK __attribute__((weak))
#define OP(name)                                                                                         \
    WEAK mn_status mn__##name##_fwd_cuda_f32(mn_node *n);                                                \
    WEAK mn_status mn__##name##_fwd_cuda_f64(mn_node *n);                                                \
    WEAK mn_status mn__##name##_bwd_cuda_f32(mn_node *n);                                                \
    WEAK mn_status mn__##name##_bwd_cuda_f64(mn_node *n);
#include "autograd/all.def"
#undef OP
WEAK extern const struct mn__update_kernels mn__updates_cuda_f32, mn__updates_cuda_f64;
WEAK mn_status mn__tally_cuda_f32(const struct mn__tally_batch *b);
WEAK mn_status mn__tally_cuda_f64(const struct mn__tally_batch *b);
static const mn__kernels cuda = {"cuda", {
#define OP(name)                                                                                         \
    [MN_OP_##name] = {{mn__##name##_fwd_cuda_f32, mn__##name##_fwd_cuda_f64},                            \
                      {mn__##name##_bwd_cuda_f32, mn__##name##_bwd_cuda_f64}},
#include "autograd/all.def"
#undef OP
}, {&mn__updates_cuda_f32, &mn__updates_cuda_f64}, {NULL, NULL}, {mn__tally_cuda_f32, mn__tally_cuda_f64}};
#endif

const mn__kernels *mn__kernels_for(mn_device device) {
#ifdef MN_HAVE_CUDA
    if (device == MN_CUDA) return &cuda;
#endif
    (void)device;
    return best_cpu(getenv("MIEN_CPU"));
}
