/* Activation: one function of every number; and the same for layers that have an activation of their own. */
#include "autograd/ends_in_relu.h"
#include "autograd/internal.h"
#include "layers/internal.h"

static const mn__field fields[] = {MN__FIELD(mn_activation_layer, ACTIVATION, activation, "activation", 0, 0, 0),
                                   MN__FIELD(mn_activation_layer, REAL, alpha, "alpha", 0, -1e6, 1e6),
                                   {0}};

mn_tensor *mn__activate(mn_tensor *x, mn_activation a, double alpha) {
    switch (a) {
    case MN_ACT_RELU:
        return mn_relu(x);
    case MN_ACT_LEAKY_RELU:
        return mn_leaky_relu(x, alpha != 0 ? alpha : 0.01);
    case MN_ACT_ELU:
        return mn_elu(x, alpha != 0 ? alpha : 1);
    case MN_ACT_SIGMOID:
        return mn_sigmoid(x);
    case MN_ACT_TANH:
        return mn_tanh(x);
    case MN_ACT_GELU:
        return mn_gelu(x);
    case MN_ACT_SILU:
        return mn_silu(x);
    case MN_ACT_SOFTPLUS:
        return mn_softplus(x);
    case MN_ACT_SOFTMAX:
        return mn_softmax(x);
    default:
        return x;
    }
}

mn_tensor *mn__conv2d_activated(mn_tensor *x, mn_tensor *w, mn_tensor *b, mn_conv2d_opt opt, mn_activation a) {
    return a == MN_ACT_RELU ? mn__conv2d_relu(x, w, b, opt) : mn__activate(mn_conv2d(x, w, b, opt), a, 0);
}
mn_tensor *mn__linear_activated(mn_tensor *x, mn_tensor *w, mn_tensor *b, mn_activation a) {
    return a == MN_ACT_RELU ? mn__linear_relu(x, w, b) : mn__activate(mn_linear(x, w, b), a, 0);
}

mn__layer *mn__only_reader(const mn__layer *x) {
    const mn_model *m = x->model;
    for (int i = 0; i < m->n_layers && !x->each_step; i++) {
        mn__layer *l = m->layer[i];
        for (int k = 0; k < l->n_in; k++)
            if (m->layer[l->in[k]] == x) return !l->each_step && mn__layer_readers(m, l->in[k]) == 1 ? l : NULL;
    }
    return NULL;
}

/* Does only a ReLU layer read x? */
static bool ends_in_relu(const mn__layer *x) {
    const mn__layer *l = mn__only_reader(x);
    return l && l->class == &mn__class_activation && ((const mn_activation_layer *)l->opt)->activation == MN_ACT_RELU;
}

bool mn__makes_relu(const mn__layer *x) {
    const mn__layer *norm = x->class == &mn__class_add ? mn__makes_sum(x) : x;
    return norm && norm->training && ends_in_relu(x);
}

mn__layer *mn__makes_sum(const mn__layer *add) {
    if (add->class != &mn__class_add || add->n_in != 2) return NULL;
    mn_sym last = add->in[add->in[1] > add->in[0]]; /* what it is added to has been computed by then */
    mn__layer *norm = add->model->layer[last];
    bool can = norm->class == &mn__class_batch_normalization && norm->training && mn__only_reader(norm) == add;
    return can ? norm : NULL;
}

/* Layers whose backward pass does not look at what they computed. */
static bool forgets(const mn__layer *x) {
    const mn_activation *own = mn__layer_activation(x);
    return x->class == &mn__class_batch_normalization || x->class == &mn__class_add ||
           (own && *own == MN_ACT_LINEAR && (x->class == &mn__class_conv2d || x->class == &mn__class_separable_conv2d));
}

static mn_status build(mn__layer *l) {
    l->shape = mn__in_shape(l, 0);
    return MN_OK;
}

static mn_tensor *forward(mn__layer *l, mn_tensor **in) {
    const mn_activation_layer *o = l->opt;
    mn__layer *x = l->model->layer[l->in[0]];
    if (!mn__makes_relu(x) || !forgets(x)) return mn__activate(in[0], o->activation, o->alpha);
    x->out = NULL; /* is, or will be, the result of this layer */
    return x->class == &mn__class_batch_normalization || x->class == &mn__class_add ? in[0] : mn__relu_over(in[0]);
}

const mn__layer_class mn__class_activation = {.name = "Activation",
                                              .stem = "activation",
                                              .min_inputs = 1,
                                              .max_inputs = 1,
                                              .elementwise = true,
                                              .opt_bytes = sizeof(mn_activation_layer),
                                              .fields = fields,
                                              .build = build,
                                              .forward = forward};

mn_sym mn_layer_activation(mn_model *m, mn_sym x, mn_activation_layer opt) {
    return mn__layer_add(m, &mn__class_activation, &x, 1, &opt);
}
