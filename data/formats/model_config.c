/* Keras's description of a model, written; and how its weights lie. config_read.c reads it. */
#include "data/formats/model_config.h"
#include "data/formats/model_info.h"
#include <stdlib.h>
#include <string.h>

/* ---- weights ---- */

mn_shape mn__keras_shape(const mn__weight *w) {
    const int64_t *d = w->shape.dim;
    int64_t multiplier = w->fan_in ? w->fan_out / w->fan_in : 1; /* of a depthwise kernel */
    switch (w->order) {
    case MN__HWIO:
        return MN_SHAPE(d[2], d[3], d[1], d[0]);
    case MN__HWCM:
        return MN_SHAPE(d[2], d[3], d[0] / multiplier, multiplier);
    case MN__IN_OUT:
    case MN__OUT_OUT:
        return MN_SHAPE(d[1], d[0]);
    default:
        return w->shape;
    }
}

int64_t mn__keras_place(const mn__weight *w, int64_t i, const int32_t *order) {
    const int64_t *d = w->shape.dim;
    if (w->order == MN__IN_OUT) {
        int64_t unit = i / d[1], feature = i % d[1];
        return (order ? order[feature] : feature) * d[0] + unit;
    }
    if (w->order == MN__OUT_OUT) return i % d[1] * d[0] + i / d[1];
    if (w->order == MN__FEATURE) return order ? order[i] : i;
    if (w->order == MN__AS_IS) return i;
    int64_t window = d[2] * d[3], rs = i % window, c = i / window % d[1], k = i / window / d[1];
    if (w->order == MN__HWIO) return (rs * d[1] + c) * d[0] + k;
    return rs * d[0] + k; /* output channel c*M + m lies at (c, m) */
}

/* ---- layers that a Keras file has more of ---- */

/* Functions that Keras 2 has no word for inside another layer stand behind it, as a layer of their own. */
static bool needs_own_layer(const mn__layer *l) {
    const mn_activation *a = mn__layer_activation(l);
    return a && *a == MN_ACT_LEAKY_RELU && l->class != &mn__class_activation;
}

/* Can the softmax of head x be the layer's own activation? Else a layer "<name>_softmax" follows. */
static bool own_softmax(const mn_model *m, mn_sym x) {
    const mn_activation *a = mn__layer_activation(m->layer[x]);
    return a && *a == MN_ACT_LINEAR && mn__layer_readers(m, x) == 1;
}

static bool needs_softmax_layer(const mn_model *m, const mn_model_info *info, mn_sym x) {
    return mn__ends_in_softmax(m, info, x) && !own_softmax(m, x);
}

int mn__keras_followers(const mn_model *m, const mn_model_info *info, mn_sym x, bool as_output) {
    return needs_own_layer(m->layer[x]) + (as_output && needs_softmax_layer(m, info, x));
}

#if MN_HAVE_JSON

/* ---- writing ---- */

typedef struct writer {
    const mn_model *m;
    const mn_model_info *info;
    json_t *layers;
    mn_error *err;
} writer;

static mn_status memory(mn_error *err) { return mn_fail(err, MN_ERR_MEMORY, "out of host memory for the model's JSON"); }

static mn_status append_layer(writer *w, const char *class_name, const char *name, json_t *config, json_t *sources) {
    json_t *nodes = sources && json_array_size(sources) ? json_pack("[o]", sources) : json_array();
    if (sources && !json_array_size(sources)) json_decref(sources);
    json_t *o = config && nodes ? json_pack("{s:s,s:s,s:o,s:o}", "class_name", class_name, "name", name, "config", config,
                                            "inbound_nodes", nodes)
                                : NULL;
    return o && !json_array_append_new(w->layers, o) ? MN_OK : memory(w->err);
}

static json_t *source(const char *name) { return json_pack("[s,i,i,{}]", name, 0, 0); }

static mn_status append_follower(writer *w, const mn__layer *l, const char *from, const char *suffix, const char *class_name,
                                 json_t *extra) {
    char name[MN__MAX_NAME + 16], before[MN__MAX_NAME + 16];
    snprintf(before, sizeof before, "%s%s", l->name, from);
    snprintf(name, sizeof name, "%s%s", l->name, suffix);
    if (mn__layer_named(w->m, name)) {
        json_decref(extra);
        return mn_fail(w->err, MN_ERR_UNSUPPORTED,
                       "%s \"%s\": the name \"%s\", which a Keras file needs for its activation, is "
                       "taken; hint: rename that layer",
                       l->class->name, l->name, name);
    }
    if (!extra || json_object_set_new(extra, "name", json_string(name))) return memory(w->err);
    return append_layer(w, class_name, name, extra, json_pack("[o]", source(before)));
}

static json_t *input_config(const mn__layer *l) {
    json_t *shape = json_pack("[n]");
    mn_shape s = l->shape;
    for (int i = 0; i < s.ndim; i++) json_array_append_new(shape, json_integer(s.dim[mn__file_dim(s.ndim, i)]));
    return json_pack("{s:o,s:s,s:b,s:b,s:s}", "batch_input_shape", shape, "dtype", "float32", "sparse", 0, "ragged", 0, "name",
                     l->name);
}

static json_t *layer_config(const writer *w, mn_sym x) {
    const mn__layer *l = w->m->layer[x];
    json_t *o = mn__json_fields(l, true);
    json_object_set_new(o, "name", json_string(l->name));
    json_object_set_new(o, "trainable", json_boolean(!l->frozen));
    json_object_set_new(o, "dtype", json_string("float32"));
    if (strstr(l->class->name, "2D") || l->class == &mn__class_flatten)
        json_object_set_new(o, "data_format", json_string("channels_last"));
    if (l->class == &mn__class_batch_normalization) json_object_set_new(o, "axis", json_integer(-1));
    if (needs_own_layer(l)) json_object_set_new(o, "activation", json_string("linear"));
    if (mn__ends_in_softmax(w->m, w->info, x) && own_softmax(w->m, x))
        json_object_set_new(o, "activation", json_string("softmax"));
    return o;
}

/* LeakyReLU and ELU have a number that Keras's Activation has no place for; a Clip from 0 is its ReLU with max_value. */
static const char *class_name_of(const mn__layer *l, json_t *config) {
    if (l->class == &mn__class_clip && ((const mn_clip_layer *)l->opt)->min_value == 0) {
        json_object_del(config, "min_value");
        return "ReLU";
    }
    if (l->class != &mn__class_activation) return l->class->name;
    const mn_activation_layer *o = l->opt;
    bool leaky = o->activation == MN_ACT_LEAKY_RELU, elu = o->activation == MN_ACT_ELU && o->alpha != 0 && o->alpha != 1;
    if (leaky) json_object_set_new(config, "alpha", json_real(o->alpha != 0 ? o->alpha : 0.01));
    if (!leaky && !elu) json_object_del(config, "alpha");
    if (leaky || elu) json_object_del(config, "activation");
    return leaky ? "LeakyReLU" : elu ? "ELU" : "Activation";
}

/* Keras's TimeDistributed stands around the layer and has its name. */
static json_t *each_step(const mn__layer *l, json_t *config) {
    const char *class_name = class_name_of(l, config);
    return json_pack("{s:s,s:b,s:s,s:{s:s,s:s,s:n,s:o}}", "name", l->name, "trainable", !l->frozen, "dtype", "float32", "layer",
                     "module", "keras.layers", "class_name", class_name, "registered_name", "config", config);
}

static mn_status write_layer(writer *w, mn_sym x) {
    const mn__layer *l = w->m->layer[x];
    if (l->class == &mn__class_input) return append_layer(w, l->class->name, l->name, input_config(l), NULL);
    json_t *sources = json_array(), *config = layer_config(w, x);
    char name[MN__MAX_NAME + 16];
    for (int k = 0; k < l->n_in; k++) {
        const mn__layer *from = w->m->layer[l->in[k]];
        snprintf(name, sizeof name, "%s%s", from->name, needs_own_layer(from) ? "_activation" : "");
        json_array_append_new(sources, source(name));
    }
    mn_status s = l->each_step ? append_layer(w, "TimeDistributed", l->name, each_step(l, config), sources)
                               : append_layer(w, class_name_of(l, config), l->name, config, sources);
    if (s == MN_OK && needs_own_layer(l))
        s = append_follower(w, l, "", "_activation", "LeakyReLU", json_pack("{s:f}", "alpha", 0.01));
    if (s == MN_OK && needs_softmax_layer(w->m, w->info, x))
        s = append_follower(w, l, needs_own_layer(l) ? "_activation" : "", "_softmax", "Activation",
                            json_pack("{s:s}", "activation", "softmax"));
    return s;
}

char *mn__config_write(const mn_model *m, const mn_model_info *info, mn_error *err) {
    writer w = {.m = m, .info = info, .layers = json_array(), .err = err};
    json_t *inputs = json_array(), *outputs = json_array();
    char name[MN__MAX_NAME + 16], *text = NULL;
    mn_sym *order;
    int n;
    mn_status s = mn__keras_layer_order(m, info, &order, &n, err);
    for (int i = 0; i < n && s == MN_OK; i++) s = write_layer(&w, order[i]);
    mn_free(order);
    for (int i = 0; i < m->n_inputs; i++) json_array_append_new(inputs, json_pack("[s,i,i]", mn_model_input_name(m, i), 0, 0));
    for (int i = 0; i < m->n_outputs; i++) {
        mn_sym x = m->output[i];
        const char *suffix = needs_softmax_layer(m, info, x) ? "_softmax" : needs_own_layer(m->layer[x]) ? "_activation" : "";
        snprintf(name, sizeof name, "%s%s", m->layer[x]->name, suffix);
        json_array_append_new(outputs, json_pack("[s,i,i]", name, 0, 0));
    }
    json_t *root = json_pack("{s:s,s:{s:s,s:b,s:o,s:o,s:o}}", "class_name", "Functional", "config", "name", m->name, "trainable",
                             1, "layers", w.layers, "input_layers", inputs, "output_layers", outputs);
    char *dump = s == MN_OK && root ? json_dumps(root, JSON_COMPACT) : NULL;
    if (dump) text = mn_strdup(dump);
    free(dump);
    json_decref(root);
    if (!text && s == MN_OK) memory(err);
    return text;
}
#endif
