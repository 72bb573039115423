/* What batch norm makes of its input, channel by channel: y = (x - mean) * factor + beta, and max(0, that) where ReLU follows.
 * Kernels that read a pending batch norm (autograd/batch_norm.h) compute it as they read x. */
#ifndef MIEN_CPU_LINE_H
#define MIEN_CPU_LINE_H
#include "autograd/batch_norm.h"
#include "cpu/vector.h"

typedef struct line {
    REAL mean, factor, beta;
    bool relu;
} line;

/* Of channel c of the node, whose statistics are these. */
static inline line line_with(const mn_node *norm, int64_t c, REAL mean, REAL rstd) {
    const REAL *gamma = in(norm, 1), *beta = in(norm, 2);
    return (line){mean, rstd * (gamma ? gamma[c] : 1), beta ? beta[c] : 0, ((const mn__batch_norm_opt *)norm->opt)->relu};
}
/* The same in training, when they have been computed. */
static inline line line_of(const mn_node *norm, int64_t c) {
    const REAL *mean = norm->saved[0]->data, *rstd = norm->saved[1]->data;
    return line_with(norm, c, mean[c], rstd[c]);
}

/* Of a channel where x may be pending: NULL where it is not. `room` keeps it. */
static inline const line *line_or_none(const mn_node *norm, int64_t c, line *room) {
    if (!norm) return NULL;
    *room = line_of(norm, c);
    return room;
}

/* y[i] = the line at x[i]. relu is a constant where this is inlined. */
INLINE void write_line(bool relu, int64_t count, line l, const REAL *x, REAL *y) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++) {
        REAL z = (x[i] - l.mean) * l.factor + l.beta;
        y[i] = !relu || z > 0 ? z : 0;
    }
}
static inline void follow_line(int64_t count, line l, const REAL *x, REAL *y) {
    if (l.relu) write_line(true, count, l, x, y);
    else write_line(false, count, l, x, y);
}
#endif
