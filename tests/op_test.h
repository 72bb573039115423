/* Shared by the tests of operations. One body runs for every device and type that there is:
 *
 *   static void body(op_env *e) { mn_tensor *x = op_input(e, 0, MN_SHAPE(2, 3), -1, 1); ... }
 *   START_TEST(test_forward) { for_each_backend(body); } END_TEST
 *
 * References are computed in double by loops that share no index code with the kernels. */
#ifndef MIEN_OP_TEST_H
#define MIEN_OP_TEST_H
#include "autograd/autograd.h"
#include "tests/tests.h"

typedef struct op_env {
    mn_context *c;
    double tolerance; /* 1e-12 in f64, 2e-5 in f32: relative to max(1, |want|) */
} op_env;

/* Runs the body in f32 and f64 on every device; a device that is not there is reported as skipped. */
void for_each_backend(void (*body)(op_env *));
/* An MN_MODEL tensor, uniform in [lo, hi], a function of `number`; requires a gradient. */
mn_tensor *op_input(op_env *e, int number, mn_shape shape, double lo, double hi);
/* The elements as doubles (malloc'ed: free it). */
double *op_values(const mn_tensor *t);
/* A size that makes the CPU use all its threads; on CUDA a smaller one, as its emulator checks every access. */
int64_t op_size(op_env *e, int64_t cpu, int64_t cuda);
/* Fails unless t's elements equal want[0..count-1] and its shape is `shape`. */
void op_expect(op_env *e, const mn_tensor *t, mn_shape shape, const double *want);
/* Fails unless the last operation failed with a sentence that holds `part`; clears the error. */
void op_expect_error(op_env *e, const mn_tensor *result, mn_status status, const char *part);
/* A fresh f64 CPU context with the given seed. */
mn_context *op_context(mn_dtype dtype, uint64_t seed);
#endif
