/* lstm_cell: one step of an LSTM, from what goes into its gates to its next state. */
#include "autograd/internal.h"

static mn_status check_state(mn_node *n, mn_shape out) {
    char a[64], b[64], z[64];
    if (!n->in[1] || mn_shape_equal(n->in[1]->shape, out)) return MN_OK;
    return mn__op_fail(n, MN_ERR_SHAPE, "the gates are %s and the state %s; wanted the state %s, h and c",
                       mn_shape_text(n->in[0]->shape, z, sizeof z), mn_shape_text(n->in[1]->shape, a, sizeof a),
                       mn_shape_text(out, b, sizeof b));
}

static mn_status check_mask(mn_node *n, int64_t samples, int step) {
    if (!n->in[2]) return MN_OK;
    mn_shape m = n->in[2]->shape;
    char text[64];
    if (m.ndim != 2 || m.dim[0] != samples)
        return mn__op_fail(n, MN_ERR_SHAPE, "the mask is %s; wanted (%lld,T), one number a sample and step",
                           mn_shape_text(m, text, sizeof text), (long long)samples);
    if (step >= 0 && step < m.dim[1]) return MN_OK;
    return mn__op_fail(n, MN_ERR_ARG, "there is no step %d in the mask %s", step, mn_shape_text(m, text, sizeof text));
}

static mn_status shape(mn_node *n) {
    const mn_lstm_cell_opt *o = n->opt;
    mn_shape z = n->in[0]->shape, out = z;
    char text[64];
    if (z.ndim < 2 || z.dim[1] < 4 || z.dim[1] % 4)
        return mn__op_fail(n, MN_ERR_SHAPE, "the gates are %s; wanted (N,4U,...), U channels for each of i, f, c, o",
                           mn_shape_text(z, text, sizeof text));
    out.dim[1] = z.dim[1] / 2;
    if (check_state(n, out) || check_mask(n, z.dim[0], o->step)) return n->ctx->error.status;
    mn_status s = mn__save(n, 0, n->ctx->dtype, z); /* the gates */
    return s ? s : mn__out(n, out);
}

static mn_tensor *example_mask(mn_context *c) {
    static const double skip[] = {1, 1, 1, 0, 0, 1};
    mn_tensor *m = mn__example_input(c, 2, MN_SHAPE(3, 2), 1, 1);
    if (!m || mn_set_f64(m, skip)) return NULL;
    m->requires_grad = false;
    return m;
}

static mn_tensor *example(mn_context *c, int k) {
    if (k > 3) return NULL;
    bool image = k == 1, first = k == 2, masked = k == 3;
    mn_tensor *z = mn__example_input(c, 0, image ? MN_SHAPE(2, 8, 2, 3) : MN_SHAPE(3, 12), 0.1, 2);
    mn_tensor *state = mn__example_input(c, 1, image ? MN_SHAPE(2, 4, 2, 3) : MN_SHAPE(3, 6), 0.1, 1);
    return mn_lstm_cell(z, first ? NULL : state, masked ? example_mask(c) : NULL,
                        (mn_lstm_cell_opt){.hard_sigmoid = image, .relu = first, .step = masked});
}

const mn_op mn__op_lstm_cell = {.name = "lstm_cell", .inputs = 3, .optional = 6, .constant = 4, .shape = shape,
                                .example = example};

mn_tensor *mn_lstm_cell(mn_tensor *z, mn_tensor *state, mn_tensor *mask, mn_lstm_cell_opt opt) {
    return mn__apply(MN_OP_lstm_cell, (mn_tensor *[]){z, state, mask}, 3, &opt, sizeof opt);
}

mn_tensor *mn_sequence_mask(mn_context *c, int64_t n, int64_t steps, const int32_t *length) {
    if (!c || c->error.status) return NULL;
    mn_tensor *mask = mn_tensor_create(c, MN_STEP, c->dtype, MN_SHAPE(n, steps));
    double *v = mask ? mn_alloc((size_t)mask->count * sizeof *v + sizeof *v) : NULL;
    if (!mask) return NULL;
    if (!v) return MN__FAIL(c, MN_ERR_MEMORY, "out of host memory for a mask"), NULL;
    mn_status s = MN_OK;
    for (int64_t i = 0; i < n && s == MN_OK; i++) {
        if (length[i] < 0 || length[i] > steps)
            s = MN__FAIL(c, MN_ERR_ARG, "sequence_mask: sample %lld has %d steps; wanted 0 to %lld", (long long)i, length[i],
                         (long long)steps);
        for (int64_t t = 0; t < steps; t++) v[i * steps + t] = t < length[i];
    }
    if (s == MN_OK) s = mn_set_f64(mask, v);
    mn_free(v);
    return s == MN_OK ? mask : NULL;
}
