/* Writing a model as an ONNX graph. Only for data/onnx/write.c and data/onnx/layers.c. */
#ifndef MIEN_DATA_ONNX_WRITE_H
#define MIEN_DATA_ONNX_WRITE_H
#include "data/onnx/onnx.h"

#if MN_HAVE_PROTOBUF
typedef struct mn__onnx_writer {
    mn__onnx_build b;
    mn_model *m;
    const mn_model_info *info;
    char **out;    /* of each layer: the tensor of its output */
    char **folded; /* the same with the steps folded into the batch, or NULL */
} mn__onnx_writer;

/* The names of layer x's output, with and without the steps folded; nodes are added where there is none yet. */
char *mn__onnx_tensor(mn__onnx_writer *w, mn_sym x);
char *mn__onnx_folded(mn__onnx_writer *w, mn_sym x);
/* The nodes of a layer that reads `in`, which has room for one more name (where the layer runs on each step, and for
 * ConvLSTM2D, the steps are folded); the output of the last of them is the layer's. */
mn_status mn__onnx_layer(mn__onnx_writer *w, const mn__layer *l, char **in);
#endif
#endif
