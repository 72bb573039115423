/* The fast ways of max_pool2d (max_pool2d_vector.c), for one plane each; cpu/max_pool2d.c chooses. */
#ifndef MIEN_CPU_MAX_POOL2D_H
#define MIEN_CPU_MAX_POOL2D_H
#include "cpu/line.h"
#include "autograd/window.h"

/* Windows of 2x2 that neither overlap nor are padded. */
bool LOCAL(max_pool2d_is_2x2)(const mn__window *g);
void LOCAL(max_pool2d_forward_2x2)(const mn__window *g, const REAL *x, REAL *y, uint8_t *index);
void LOCAL(max_pool2d_backward_2x2)(const mn__window *g, const uint8_t *index, const REAL *dy, bool add, REAL *dx);
/* Any window of up to 256 elements with stride_w 1 or 2, of what `through` makes of x if that is not NULL; frame: scratch of
 * max_pool2d_frame numbers. */
int64_t LOCAL(max_pool2d_frame)(const mn__window *g);
void LOCAL(max_pool2d_forward_rows)(const mn__window *g, const REAL *x, const line *through, REAL *y, uint8_t *index,
                                    REAL *frame);
#endif
