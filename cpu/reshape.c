/* reshape moves nothing forward. Backward it moves nothing either, unless the input already has a gradient
 * (or is a leaf): then dx[i] (+)= dy[i]. */
#include "cpu/kernel.h"

mn_status FWD(reshape)(mn_node *n);
mn_status FWD(reshape)(mn_node *n) {
    (void)n;
    return MN_OK;
}

mn_status BWD(reshape)(mn_node *n);
mn_status BWD(reshape)(mn_node *n) {
    const REAL *dy = out_grad(n);
    REAL *dx = in_grad(n, 0);
    if (!mn__adds(n, 0)) memcpy(dx, dy, (size_t)n->out->count * sizeof *dx);
    else
        for (int64_t i = 0; i < n->out->count; i++) dx[i] += dy[i];
    return MN_OK;
}
