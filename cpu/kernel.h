/* What every file of cpu/ begins with. A file is compiled once per variant (type and instruction set):
 *   REAL           float or double
 *   FWD(op)        the name of the forward kernel: mn__<op>_fwd_cpu_<variant>
 *   BWD(op)        the name of the backward kernel
 *   LOCAL(name)    any other name that is shared between files of the same variant
 *   R(c)           a constant of type REAL
 * exp, log, ... are the functions of REAL's type (<tgmath.h>). */
#ifndef MIEN_CPU_KERNEL_H
#define MIEN_CPU_KERNEL_H
#include "autograd/internal.h"
#include <string.h>
#include <tgmath.h>
#undef I /* <complex.h> comes with <tgmath.h>; one-letter names are ours */

#define MN__JOIN(a, b, c) a##b##c
#define MN__NAME(a, b, c) MN__JOIN(a, b, c)
#define FWD(op) MN__NAME(mn__##op, _fwd_cpu_, MN_VARIANT)
#define BWD(op) MN__NAME(mn__##op, _bwd_cpu_, MN_VARIANT)
#define LOCAL(name) MN__NAME(mn__##name, _cpu_, MN_VARIANT)
#define R(c) ((REAL)(c))

/* The data of a node, typed. x and y of forward; dy and the gradients of backward. */
static inline const REAL *in(const mn_node *n, int i) { return n->in[i] ? n->in[i]->data : NULL; }
static inline REAL *out(const mn_node *n) { return n->out->data; }
static inline const REAL *out_grad(const mn_node *n) { return n->out->grad->data; }
static inline REAL *in_grad(const mn_node *n, int i) { return mn__wants(n, i) ? n->in[i]->grad->data : NULL; }

/* Loops shorter than this stay on one thread: starting the others costs more than they save. */
#define MN__PARALLEL_MIN 32768

/* C (m,n) = op(A) op(B) + beta*C, row-major, row lengths lda, ldb, ldc; op transposes when its flag is set:
 * A is (m,k), or (k,m) when ta; B is (k,n), or (n,k) when tb. beta is 0 (C is overwritten, may hold NaN) or
 * 1. On the calling thread alone. 2*m*n*k flop. */
void LOCAL(gemm)(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const REAL *a, int64_t lda, const REAL *b,
                 int64_t ldb, REAL beta, REAL *c, int64_t ldc);
/* The same, split over `threads` along the longer side of C. */
void LOCAL(gemm_parallel)(int threads, bool ta, bool tb, int64_t m, int64_t n, int64_t k, const REAL *a, int64_t lda,
                          const REAL *b, int64_t ldb, REAL beta, REAL *c, int64_t ldc);
#endif
