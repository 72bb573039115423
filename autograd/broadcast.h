/* How the operations of binary.def walk over tensors of different shapes: shared by the kernels of all devices. */
#ifndef MIEN_AUTOGRAD_BROADCAST_H
#define MIEN_AUTOGRAD_BROADCAST_H
#include "autograd/internal.h"

/* The output's dimensions of more than one element, the last one first, neighbours merged where both inputs
 * allow it. step: how far one index moves in a, b and y; 0 where the input is stretched. */
typedef struct mn__walk {
    int ndim;
    int64_t size[MN_MAX_DIMS], step[3][MN_MAX_DIMS];
} mn__walk;

static inline mn__walk mn__walk_of(const mn_node *n) {
    mn__walk w = {0, {0}, {{0}}};
    mn_shape s[3] = {n->in[0]->shape, n->in[1]->shape, n->out->shape};
    int64_t run[3] = {1, 1, 1};
    for (int d = 1; d <= s[2].ndim; d++) {
        int64_t size = s[2].dim[s[2].ndim - d];
        if (size == 1) continue;
        int last = w.ndim - 1;
        bool merge = last >= 0;
        int64_t step[3];
        for (int t = 0; t < 3; t++) {
            bool moves = d <= s[t].ndim && s[t].dim[s[t].ndim - d] != 1;
            step[t] = moves ? run[t] : 0;
            if (moves) run[t] *= size;
            if (last >= 0) merge &= moves == (w.step[t][last] != 0);
        }
        if (merge) {
            w.size[last] *= size;
            continue;
        }
        w.size[w.ndim] = size;
        for (int t = 0; t < 3; t++) w.step[t][w.ndim] = step[t];
        w.ndim++;
    }
    if (w.ndim == 0) w.ndim = 1, w.size[0] = w.step[0][0] = w.step[1][0] = w.step[2][0] = 1;
    return w;
}
#endif
