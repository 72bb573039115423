/* Recurrent layers: the walk along the steps. There is no backward here: every step is a few operations on the tape, and
 * the tape's walk back over all of them is back-propagation through time. */
#include "layers/recurrent.h"

enum { CONCAT_AT_ONCE = 32 }; /* tensors that mn_concat takes */

/* x with the shape (first, second, rest of x from dimension `from`); `second` 0: without it. */
static mn_tensor *regroup(mn_tensor *x, int64_t first, int64_t second, int from) {
    if (!x) return NULL;
    mn_shape s = {.dim = {first, second}};
    s.ndim = second ? 2 : 1;
    for (int d = from; d < x->shape.ndim; d++) s.dim[s.ndim++] = x->shape.dim[d];
    return mn_reshape(x, s);
}

mn_tensor *mn__fold_steps(mn_tensor *x) { return x ? regroup(x, x->shape.dim[0] * x->shape.dim[1], 0, 2) : NULL; }
mn_tensor *mn__unfold_steps(mn_tensor *x, int64_t steps) { return x ? regroup(x, x->shape.dim[0] / steps, steps, 1) : NULL; }

/* (N,T,...) from T tensors (N,1,...), in groups. */
static mn_tensor *join(mn_tensor **h, int64_t n) {
    while (n > 1) {
        int64_t groups = 0;
        for (int64_t at = 0; at < n; at += CONCAT_AT_ONCE) {
            int64_t size = n - at < CONCAT_AT_ONCE ? n - at : CONCAT_AT_ONCE;
            h[groups++] = size > 1 ? mn_concat(h + at, (int)size, 1) : h[at];
        }
        n = groups;
    }
    return h[0];
}

mn_tensor *mn__recur(mn__layer *l, mn_tensor *z, mn_tensor *mask, const mn__recurrence *r) {
    mn_tensor *state = NULL, *h = NULL, *all[MN__MAX_STEPS];
    if (!z) return NULL;
    int64_t N = z->shape.dim[0], steps = z->shape.dim[1];
    for (int64_t t = 0; t < steps; t++) {
        mn_tensor *into = regroup(mn_slice(z, 1, t, 1), N, 0, 2);
        if (h) into = mn_add(into, r->of_state(l, h));
        state = mn_lstm_cell(into, state, mask,
                             (mn_lstm_cell_opt){.hard_sigmoid = r->gate == MN_GATE_HARD_SIGMOID,
                                                .relu = r->activation == MN_CELL_RELU,
                                                .step = (int)t});
        h = mn_slice(state, 1, 0, r->units);
        if (!h) return NULL;
        if (r->return_sequences) all[t] = regroup(h, N, 1, 1);
    }
    return r->return_sequences ? join(all, steps) : h;
}

mn_status mn__want_steps(const mn__layer *l, int64_t steps) {
    char text[64];
    if (steps < 1 || steps > MN__MAX_STEPS)
        return mn__layer_fail(l, MN_ERR_SHAPE, "the sequence has %lld steps; wanted 1 to %d", (long long)steps, MN__MAX_STEPS);
    if (l->n_in < 2 || mn_shape_equal(mn__in_shape(l, 1), MN_SHAPE(steps))) return MN_OK;
    return mn__layer_fail(l, MN_ERR_SHAPE, "the mask is %s; wanted (%lld), a number for each step",
                          mn_shape_text(mn__in_shape(l, 1), text, sizeof text), (long long)steps);
}

mn_shape mn__with_steps(mn_shape s, int64_t steps, bool all) {
    if (!all) return s;
    mn_shape y = {.ndim = s.ndim + 1, .dim = {steps}};
    for (int d = 0; d < s.ndim; d++) y.dim[d + 1] = s.dim[d];
    return y;
}
