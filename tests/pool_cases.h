/* The shapes on which the poolings are tested. */
#ifndef MIEN_POOL_CASES_H
#define MIEN_POOL_CASES_H
#include "tests/op_test.h"
#include "autograd/internal.h"

typedef struct pool_case {
    int64_t N, C, H, W;
    mn_pool2d_opt o;
} pool_case;

static const pool_case pool_cases[] = {
    {1, 1, 1, 1, {.kernel = {1, 1}}},
    {2, 3, 8, 6, {.kernel = {2, 2}}},
    {3, 5, 48, 48, {.kernel = {2, 2}}},
    {2, 3, 12, 70, {.kernel = {2, 2}}},
    {2, 3, 9, 7, {.kernel = {2, 2}}}, /* a row and a column left over */
    {1, 2, 1, 2, {.kernel = {1, 2}}},
    {2, 3, 11, 13, {.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1, 1, 1}}},
    {2, 7, 60, 60, {.kernel = {3, 3}, .stride = {2, 2}, .padding = {0, 1, 0, 1}}}, /* Keras's "same" */
    {2, 2, 30, 31, {.kernel = {3, 3}, .stride = {2, 2}}},
    {3, 2, 7, 5, {.kernel = {3, 2}, .stride = {1, 3}, .padding = {0, 1, 1, 0}}},
    {2, 2, 13, 17, {.kernel = {2, 3}, .stride = {5, 4}}}, /* stride larger than the window */
    {1, 2, 5, 6, {.kernel = {5, 6}}},
    {1, 1, 23, 19, {.kernel = {17, 16}, .stride = {3, 1}, .padding = {8, 3, 0, 8}}}, /* more than 256 elements */
    {2, 2, 6, 6, {.kernel = {2, 2}, .stride = {1, 1}, .padding = {1, 0, 0, 1}, .count_padding = true}},
};
#define N_POOL_CASES ((int)(sizeof pool_cases / sizeof *pool_cases))

typedef struct pool_window { /* the elements of one window that lie inside the image, in row order */
    int64_t index[400];
    int count;
} pool_window;

/* Asks of every element of the plane whether it lies in window (p,q). */
static inline void pool_window_of(const pool_case *k, int64_t p, int64_t q, pool_window *out) {
    int64_t sh = k->o.stride[0] ? k->o.stride[0] : k->o.kernel[0], sw = k->o.stride[1] ? k->o.stride[1] : k->o.kernel[1];
    out->count = 0;
    for (int64_t h = 0; h < k->H; h++)
        for (int64_t w = 0; w < k->W; w++) {
            int64_t r = h + k->o.padding[0] - p * sh, s = w + k->o.padding[2] - q * sw;
            if (r >= 0 && r < k->o.kernel[0] && s >= 0 && s < k->o.kernel[1]) out->index[out->count++] = h * k->W + w;
        }
}

static inline int64_t pool_out(int64_t size, int window, int stride, int before, int after) {
    int64_t count = 0;
    for (int64_t at = -before; at + window <= size + after; at += stride ? stride : window) count++;
    return count;
}

/* Forward, backward and a second, adding backward of one case; `share` says how window value and gradient depend on
 * its elements: fills f[i], the part of element i, and returns the value. */
typedef double (*pool_rule)(const pool_case *k, const double *x, const pool_window *w, double *f);
static inline void pool_check(op_env *e, const pool_case *k, mn_tensor *x, mn_tensor *(*op)(mn_tensor *, mn_pool2d_opt),
                              pool_rule rule) {
    int64_t P = pool_out(k->H, k->o.kernel[0], k->o.stride[0], k->o.padding[0], k->o.padding[1]);
    int64_t Q = pool_out(k->W, k->o.kernel[1], k->o.stride[1], k->o.padding[2], k->o.padding[3]);
    mn_shape ys = MN_SHAPE(k->N, k->C, P, Q);
    mn_tensor *dy = op_input(e, 1, ys, -1, 1), *y = op(x, k->o);
    double *X = op_values(x), *DY = op_values(dy), *Y = calloc((size_t)dy->count, sizeof *Y);
    double *DX = calloc((size_t)x->count, sizeof *DX), f[400];
    for (int64_t plane = 0, o = 0; plane < k->N * k->C; plane++)
        for (int64_t p = 0; p < P; p++)
            for (int64_t q = 0; q < Q; q++, o++) {
                pool_window w;
                pool_window_of(k, p, q, &w);
                Y[o] = rule(k, X + plane * k->H * k->W, &w, f);
                for (int i = 0; i < w.count; i++) DX[plane * k->H * k->W + w.index[i]] += f[i] * DY[o];
            }
    op_expect(e, y, ys, Y);
    mn_no_grad_begin(e->c); /* nothing is saved for a backward pass */
    op_expect(e, op(x, k->o), ys, Y);
    mn_no_grad_end(e->c);
    for (int pass = 0; pass < 2; pass++) {
        ASSERT_OK(mn__backward_from(e->c, y, dy, pass), mn_context_error(e->c));
        op_expect(e, x->grad, x->shape, DX);
        for (int64_t i = 0; i < x->count; i++) DX[i] *= 2;
    }
    free(X), free(DY), free(Y), free(DX);
    mn_step_begin(e->c);
}

/* The sentences that both poolings share. */
static inline void pool_errors(op_env *e, mn_tensor *(*op)(mn_tensor *, mn_pool2d_opt)) {
    mn_tensor *x = op_input(e, 0, MN_SHAPE(2, 3, 4, 5), -1, 1), *flat = op_input(e, 1, MN_SHAPE(2, 3), -1, 1);
    op_expect_error(e, op(flat, (mn_pool2d_opt){.kernel = {2, 2}}), MN_ERR_SHAPE, "input is (2,3), wanted (N,C,H,W)");
    op_expect_error(e, op(x, (mn_pool2d_opt){0}), MN_ERR_ARG, "kernel is {0,0}");
    op_expect_error(e, op(x, (mn_pool2d_opt){.kernel = {2, 2}, .stride = {-1, 0}}), MN_ERR_ARG, "stride is {-1,2}");
    op_expect_error(e, op(x, (mn_pool2d_opt){.kernel = {2, 3}, .padding = {0, 0, 2, 0}}), MN_ERR_ARG, "half the window");
    op_expect_error(e, op(x, (mn_pool2d_opt){.kernel = {2, 3}, .padding = {0, -1, 0, 0}}), MN_ERR_ARG, "half the window");
    op_expect_error(e, op(x, (mn_pool2d_opt){.kernel = {5, 5}}), MN_ERR_SHAPE, "does not fit into input (2,3,4,5)");
    ck_assert_ptr_null(op(NULL, (mn_pool2d_opt){.kernel = {2, 2}}));
}
#endif
