/* What MaxPooling2D and AveragePooling2D have in common: everything but the operation. */
#ifndef MIEN_LAYERS_POOLING_H
#define MIEN_LAYERS_POOLING_H
#include "layers/internal.h"

extern const mn__field mn__pooling_fields[];
/* (C,H,W) -> (C,P,Q) by window, stride and padding; a stride of 0 becomes the window's side. */
mn_status mn__pooling_build(mn__layer *l);
mn_pool2d_opt mn__pooling_opt(const mn__layer *l);

#endif
