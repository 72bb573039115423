/* The order of weights in an ONNX file, where it differs from ours: the LSTM's. */
#include "data/onnx/onnx.h"
#if MN_HAVE_PROTOBUF
#include <string.h>

mn_shape mn__onnx_weight_shape(const mn__layer *l, int k) {
    mn_shape s = l->weight[k].shape;
    if (l->class != &mn__class_lstm) return s;
    return s.ndim == 1 ? MN_SHAPE(1, 2 * s.dim[0]) : MN_SHAPE(1, s.dim[0], s.dim[1]);
}

void mn__onnx_weight_order(const mn__layer *l, int k, float *ours, float *theirs, bool to_onnx) {
    static const int place[4] = {0, 2, 3, 1}; /* of i, f, c, o among i, o, f, c */
    size_t count = (size_t)mn_shape_count(l->weight[k].shape), block = count / 4;
    if (l->class != &mn__class_lstm) {
        memcpy(to_onnx ? theirs : ours, to_onnx ? ours : theirs, count * sizeof *ours);
        return;
    }
    bool bias = l->weight[k].shape.ndim == 1;
    for (size_t gate = 0; gate < 4; gate++)
        for (size_t i = 0; i < block; i++) {
            float *a = ours + gate * block + i, *b = theirs + (size_t)place[gate] * block + i;
            if (to_onnx)
                *b = *a;
            else
                *a = *b + (bias ? b[count] : 0);
        }
    if (to_onnx && bias) memset(theirs + count, 0, count * sizeof *theirs);
}
#endif
