/* What operations along one dimension have in common (sum_dim, concat, slice, ...), and sums of everything. */
#ifndef MIEN_AUTOGRAD_DIMS_H
#define MIEN_AUTOGRAD_DIMS_H
#include "autograd/internal.h"

/* A tensor seen as (outer, middle, inner), the middle being dimension `dim` (negative: from the end). */
typedef struct mn__split {
    int64_t outer, middle, inner;
} mn__split;
static inline mn__split mn__split_at(mn_shape s, int dim) {
    if (dim < 0) dim += s.ndim;
    mn__split p = {1, s.dim[dim], 1};
    for (int i = 0; i < dim; i++) p.outer *= s.dim[i];
    for (int i = dim + 1; i < s.ndim; i++) p.inner *= s.dim[i];
    return p;
}

/* Dimension number with negative ones counted from the end; -1 when there is no such dimension. */
static inline int mn__dim(mn_shape s, int dim) {
    int d = dim < 0 ? dim + s.ndim : dim;
    return d >= 0 && d < s.ndim ? d : -1;
}

/* Options of slice, as its kernels see them. */
typedef struct mn__slice_opt {
    int dim;
    int64_t start, length;
} mn__slice_opt;

/* A long sum is cut into blocks of this many elements; the sums of the blocks stand in the workspace. */
#define MN__SUM_BLOCK 8192
static inline size_t mn__sum_workspace(int64_t count) {
    return (size_t)(count / MN__SUM_BLOCK + 1) * sizeof(double);
}

/* The shape rule of sum_dim and mean_dim. */
mn_status mn__reduce_shape(mn_node *n);
#endif
