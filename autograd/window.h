/* The geometry of everything that slides a window over an image: convolution and pooling. One alphabet here,
 * in the kernels and in docs/ops/: N batch, C in, K out channels, H W in, P Q out, R S window. */
#ifndef MIEN_AUTOGRAD_WINDOW_H
#define MIEN_AUTOGRAD_WINDOW_H
#include "autograd/internal.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct mn__window {
    int64_t N, C, H, W;       /* input */
    int64_t K, P, Q;          /* output; K = C for pooling */
    int64_t R, S;             /* window */
    int64_t groups;           /* group g joins channels g*C/groups.. with g*K/groups..; 1 for pooling */
    int64_t stride_h, stride_w, dilation_h, dilation_w;
    int64_t top, left;        /* padding before; what comes after shows in P and Q */
} mn__window;

/* Windows along one dimension; 0 or less when not one fits. */
static inline int64_t mn__window_count(int64_t size, int64_t window, int64_t stride, int64_t dilation, int64_t before,
                                       int64_t after) {
    int64_t room = size + before + after - dilation * (window - 1) - 1;
    return room < 0 ? 0 : room / stride + 1;
}

/* The geometry of a node that its shape rule has accepted (op_conv2d.c, op_max_pool2d.c). */
mn__window mn__conv2d_window(const mn_node *n);
mn__window mn__pool2d_window(const mn_node *n);
/* The shape rule that both poolings share (op_max_pool2d.c), and their defaults. */
mn_status mn__pool2d_shape(mn_node *n);
mn_pool2d_opt mn__pool2d_defaults(mn_pool2d_opt opt);
#ifdef __cplusplus
}
#endif
#endif
