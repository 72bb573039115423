/* ONNX's LSTM: x (T,N,F), W (1,4U,F), R (1,4U,U), B (1,8U), the gates in the order i, o, f, c; Y (T,1,N,U), Y_h (1,N,U). */
#include "data/onnx/read.h"
#if MN_HAVE_PROTOBUF
#include <string.h>

typedef mn__onnx_value value;
typedef mn__onnx_reader reader;

static bool word_at(const Onnx__AttributeProto *a, size_t i, const char *word) {
    return i < a->n_strings && a->strings[i].len == strlen(word) && !memcmp(a->strings[i].data, word, a->strings[i].len);
}

static mn_status read_functions(reader *r, mn_lstm_layer *o) {
    const Onnx__AttributeProto *a = mn__onnx_attribute(r, "activations"), *alpha = mn__onnx_attribute(r, "activation_alpha"),
                               *beta = mn__onnx_attribute(r, "activation_beta");
    if (!a || !a->n_strings) return MN_OK;
    bool hard = word_at(a, 0, "HardSigmoid"), relu = word_at(a, 1, "Relu") && word_at(a, 2, "Relu");
    bool slope =
        (!alpha || !alpha->n_floats || alpha->floats[0] == 0.2f) && (!beta || !beta->n_floats || beta->floats[0] == 0.5f);
    if (a->n_strings != 3 || !(hard ? slope : word_at(a, 0, "Sigmoid")) ||
        !(relu || (word_at(a, 1, "Tanh") && word_at(a, 2, "Tanh"))))
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "other activations than Sigmoid or HardSigmoid, with Tanh or Relu");
    o->recurrent_activation = hard ? MN_GATE_HARD_SIGMOID : MN_GATE_SIGMOID;
    o->activation = relu ? MN_CELL_RELU : MN_CELL_TANH;
    return MN_OK;
}

/* What the layer has no word for. */
static mn_status check_plain(reader *r, const value *w, const value *recurrent, const value *bias, int64_t units,
                             int64_t features) {
    if (!mn__onnx_is_word(r, "direction", "forward", "forward"))
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "the direction is not \"forward\"");
    if (mn__onnx_get_real(r, "clip", 0) != 0 || mn__onnx_get_int(r, "input_forget", 0) || mn__onnx_in(r, 7))
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "clip, input_forget and peepholes are not supported");
    if (mn__onnx_in(r, 4)) return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "sequences of different length are not supported");
    bool fits = units >= 1 && units <= MN__MAX_UNITS / 4 && w->rank == 3 && recurrent->rank == 3 && w->dim[0] == 1 &&
                recurrent->dim[0] == 1 && w->dim[1] == 4 * units && w->dim[2] == features && recurrent->dim[1] == 4 * units &&
                recurrent->dim[2] == units && (!bias || (bias->rank == 2 && bias->dim[0] == 1 && bias->dim[1] == 8 * units));
    return fits ? MN_OK
                : mn__onnx_fail(r, MN_ERR_SHAPE, "the weights do not fit hidden_size %lld and %lld features", (long long)units,
                                (long long)features);
}

/* The state at the beginning: nothing, or zeros. */
static mn_status check_state(reader *r, size_t i) {
    value *v = mn__onnx_in(r, i);
    if (!v || v->kind == MN__ONNX_ZEROS) return MN_OK;
    const double *p = v->kind == MN__ONNX_CONSTANT ? mn__onnx_numbers(r, v) : NULL;
    for (int64_t k = 0; p && k < mn__onnx_count(v); k++)
        if (p[k] != 0) p = NULL;
    return p ? MN_OK : mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "begins in another state than zeros");
}

/* Blocks of `block` numbers, one a gate, from ONNX's order to ours; a second bias is added. */
static mn_status set_gates(reader *r, mn_sym x, int k, value *v, int64_t block) {
    static const int place[4] = {0, 2, 3, 1}; /* of i, f, c, o among i, o, f, c */
    const double *from = mn__onnx_numbers(r, v);
    double *to = from ? mn__onnx_new_numbers(r, 4 * block) : NULL;
    bool twice = mn__onnx_count(v) == 8 * block;
    for (int64_t g = 0; to && g < 4; g++)
        for (int64_t i = 0; i < block; i++) {
            const double *p = from + place[g] * block + i;
            to[g * block + i] = *p + (twice ? p[4 * block] : 0);
        }
    return mn__onnx_set_weight(r, x, k, to, 4 * block);
}

/* Output i, seen as (T,1,N,U) or (1,N,U) (layout 1: (N,T,1,U), (N,1,U)); y is (T,U) or (U). */
static void give_output(reader *r, size_t i, mn_sym x, bool samples_first) {
    value *y = mn__onnx_out(r, i);
    if (!y) return;
    mn_shape s = r->m->layer[x]->shape;
    static const int all[2][4] = {{1, 2, 0, 3}, {0, 1, 2, 3}}, last[2][3] = {{1, 0, 2}, {0, 1, 2}};
    y->kind = MN__ONNX_LAYER, y->x = x, y->flat = false, y->erf = 0;
    for (int d = 0; d <= MN_MAX_DIMS; d++) y->order[d] = d;
    if (i == 0) {
        y->view = MN_SHAPE(s.dim[0], 1, s.dim[1]);
        memcpy(y->order, all[samples_first], sizeof all[0]);
    } else {
        y->view = MN_SHAPE(1, s.dim[s.ndim - 1]);
        memcpy(y->order, last[samples_first], sizeof last[0]);
    }
}

/* (N,T,F) of the layers' kind. */
static mn_sym input(reader *r, value *in, bool samples_first) {
    value v = *in;
    if (v.flat || v.view.ndim != 2)
        return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "reads a tensor of %d dimensions; wanted 3", mn__onnx_rank(in)), -1;
    if (!samples_first) {
        int first = v.order[0];
        v.order[0] = v.order[1], v.order[1] = first;
    }
    return mn__onnx_plain(r, &v, 2);
}

mn_status mn__onnx_lstm(reader *r) {
    value *in = mn__onnx_activation(r, 0), *w = in ? mn__onnx_constant(r, 1) : NULL,
          *recurrent = w ? mn__onnx_constant(r, 2) : NULL, *bias = NULL;
    bool samples_first = mn__onnx_get_int(r, "layout", 0) != 0;
    if (!recurrent || (mn__onnx_in(r, 3) && !(bias = mn__onnx_constant(r, 3)))) return r->err->status;
    mn_sym x = input(r, in, samples_first);
    if (x < 0) return r->err->status;
    int64_t features = r->m->layer[x]->shape.dim[1],
            units = mn__onnx_get_int(r, "hidden_size", recurrent->rank == 3 ? recurrent->dim[2] : 0);
    if (check_plain(r, w, recurrent, bias, units, features) || check_state(r, 5) || check_state(r, 6)) return r->err->status;
    value *all = mn__onnx_out(r, 0), *last = mn__onnx_out(r, 1), *cell = mn__onnx_out(r, 2);
    bool use_all = all && all->readers, use_last = last && last->readers;
    if (cell && cell->readers) return mn__onnx_fail(r, MN_ERR_UNSUPPORTED, "the cell at the end (output 2) is not supported");
    mn_lstm_layer o = {
        .name = mn__onnx_layer_name(r, w), .units = (int)units, .no_bias = !bias, .return_sequences = use_all || !use_last};
    if (read_functions(r, &o)) return r->err->status;
    mn_sym y = mn_layer_lstm(r->m, x, o), end = y;
    if (y < 0) return mn__onnx_fail(r, MN_ERR_SHAPE, "%s", r->c->error.text);
    if (o.return_sequences && use_last) {
        int steps = (int)r->m->layer[y]->shape.dim[0];
        end = mn_layer_slice(r->m, y, (mn_slice_layer){.axis = 1, .start = steps - 1, .length = 1});
        if (end < 0) return mn__onnx_fail(r, MN_ERR_SHAPE, "%s", r->c->error.text);
    }
    if (o.return_sequences) give_output(r, 0, y, samples_first);
    if (use_last) give_output(r, 1, end, samples_first);
    if (set_gates(r, y, 0, w, units * features) || set_gates(r, y, 1, recurrent, units * units)) return r->err->status;
    return bias ? set_gates(r, y, 2, bias, units) : MN_OK;
}
#endif
