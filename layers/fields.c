/* Field tables: defaults, ranges, and the words for activations, initialisers and paddings. */
#include "layers/internal.h"
#include <string.h>

static const char *const activations[] = {"linear", "relu", "leaky_relu", "elu",      "sigmoid",
                                          "tanh",   "gelu", "silu",       "softplus", "softmax"};
enum { N_ACTIVATIONS = sizeof activations / sizeof *activations };
const char *mn__activation_name(mn_activation a) { return (unsigned)a < N_ACTIVATIONS ? activations[a] : NULL; }

bool mn__activation_parse(const char *text, mn_activation *out) {
    if (!strcmp(text, "swish")) text = "silu";
    for (int i = 0; i < N_ACTIVATIONS; i++)
        if (!strcmp(text, activations[i])) {
            *out = (mn_activation)i;
            return true;
        }
    return false;
}

const char *mn__cell_name(mn_cell_activation a) { return a == MN_CELL_TANH ? "tanh" : a == MN_CELL_RELU ? "relu" : NULL; }
const char *mn__gate_name(mn_gate_activation a) {
    return a == MN_GATE_SIGMOID ? "sigmoid" : a == MN_GATE_HARD_SIGMOID ? "hard_sigmoid" : NULL;
}

static const char *const inits[] = {"default",        "he_normal",  "he_uniform", "glorot_normal",
                                    "glorot_uniform", "orthogonal", "zeros",      "ones"};
const char *mn__init_name(mn_init i) { return (unsigned)i < sizeof inits / sizeof *inits ? inits[i] : NULL; }

mn_activation *mn__layer_activation(const mn__layer *l) {
    for (const mn__field *f = l->class->fields; f && f->kind; f++)
        if (f->kind == MN__ACTIVATION) return (mn_activation *)((char *)l->opt + f->at);
    return NULL;
}

static mn_status out_of_range(const mn__layer *l, const mn__field *f, double value) {
    if (value == 0 && f->lo > 0)
        return mn__layer_fail(l, MN_ERR_ARG, "%s is missing; wanted %.15g to %.15g", f->key, f->lo, f->hi);
    return mn__layer_fail(l, MN_ERR_ARG, "%s is %.15g; wanted %.15g to %.15g", f->key, value, f->lo, f->hi);
}

static mn_status check_ints(const mn__layer *l, const mn__field *f, int *v, int n) {
    for (int i = 0; i < n; i++) {
        if (v[i] == 0) v[i] = (int)f->fallback;
        if (v[i] < f->lo || v[i] > f->hi) return out_of_range(l, f, v[i]);
    }
    return MN_OK;
}

static mn_status check_field(const mn__layer *l, const mn__field *f, char *p) {
    switch (f->kind) {
    case MN__AXIS:
    case MN__INT:
        return check_ints(l, f, (int *)p, 1);
    case MN__PAIR:
        return check_ints(l, f, (int *)p, 2);
    case MN__SIDES:
        return check_ints(l, f, (int *)p, 4);
    case MN__REAL: {
        double *v = (double *)p;
        if (*v == 0) *v = f->fallback;
        return *v >= f->lo && *v <= f->hi ? MN_OK : out_of_range(l, f, *v);
    }
    case MN__PADDING:
        if (*(mn_padding *)p == MN_VALID || *(mn_padding *)p == MN_SAME) return MN_OK;
        return mn__layer_fail(l, MN_ERR_ARG, "%s is %d; wanted MN_VALID or MN_SAME", f->key, (int)*(mn_padding *)p);
    case MN__ACTIVATION:
        if (mn__activation_name(*(mn_activation *)p)) return MN_OK;
        return mn__layer_fail(l, MN_ERR_ARG, "%s is %d, which is no mn_activation", f->key, (int)*(mn_activation *)p);
    case MN__CELL:
        if (mn__cell_name(*(mn_cell_activation *)p)) return MN_OK;
        return mn__layer_fail(l, MN_ERR_ARG, "%s is %d; wanted MN_CELL_TANH or MN_CELL_RELU", f->key, *(int *)p);
    case MN__GATE:
        if (mn__gate_name(*(mn_gate_activation *)p)) return MN_OK;
        return mn__layer_fail(l, MN_ERR_ARG, "%s is %d; wanted MN_GATE_SIGMOID or MN_GATE_HARD_SIGMOID", f->key, *(int *)p);
    case MN__INIT:
        if (mn__init_name(*(mn_init *)p)) return MN_OK;
        return mn__layer_fail(l, MN_ERR_ARG, "%s is %d, which is no mn_init", f->key, (int)*(mn_init *)p);
    default:
        return MN_OK;
    }
}

mn_status mn__fields_check(mn__layer *l) {
    mn_status s = MN_OK;
    for (const mn__field *f = l->class->fields; f && f->kind && s == MN_OK; f++) s = check_field(l, f, (char *)l->opt + f->at);
    return s;
}
