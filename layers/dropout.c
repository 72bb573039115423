/* Dropout: in training, each number is 0 with probability `rate`, the others grow by 1/(1-rate). */
#include "layers/internal.h"

static const mn__field fields[] = {MN__FIELD(mn_dropout_layer, REAL, rate, "rate", 0, 0, 0.9999), {0}};

static mn_status build(mn__layer *l) {
    l->shape = mn__in_shape(l, 0);
    return MN_OK;
}

static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    double rate = ((const mn_dropout_layer *)l->opt)->rate;
    return l->training && rate > 0 ? mn_dropout(in[0], (mn_dropout_opt){.p = rate, .training = true}) : in[0];
}

const mn__layer_class mn__class_dropout = {.name = "Dropout",
                                           .stem = "dropout",
                                           .min_inputs = 1,
                                           .max_inputs = 1,
                                           .elementwise = true,
                                           .opt_bytes = sizeof(mn_dropout_layer),
                                           .fields = fields,
                                           .build = build,
                                           .forward = forward};

mn_sym mn_layer_dropout(mn_model *m, mn_sym x, mn_dropout_layer opt) { return mn__layer_add(m, &mn__class_dropout, &x, 1, &opt); }

int mn_model_set_dropout(mn_model *m, double rate) {
    int n = 0;
    mn__place_changed(m->ctx);
    for (int i = 0; i < m->n_layers; i++) {
        if (m->layer[i]->class != &mn__class_dropout) continue;
        ((mn_dropout_layer *)m->layer[i]->opt)->rate = rate;
        n++;
    }
    return n;
}
