/* A depthwise 3x3 convolution and a 1x1 one over its channels in one operation. */
#ifndef MIEN_AUTOGRAD_SEPARABLE_CONV2D_H
#define MIEN_AUTOGRAD_SEPARABLE_CONV2D_H
#include "autograd/window.h"

/* mn_conv2d(mn_conv2d(x, depth, NULL, {.groups = C, .padding}), point, NULL, {0}): x (N,C,H,W), depth (C,1,3,3),
 * point (K,C,1,1). padding: top, bottom, left, right. One operation where the device has it and the shape suits it, else
 * those two: what is between them then need not be kept. */
mn_tensor *mn__separable_conv2d(mn_tensor *x, mn_tensor *depth, mn_tensor *point, const int padding[4]);
/* The geometry of a node that its shape rule has accepted; K: channels of the result. */
mn__window mn__separable_conv2d_window(const mn_node *n);
#endif
