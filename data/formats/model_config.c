/* Keras's description of a model, written and read. */
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

/* ---- reading ---- */

typedef struct parser {
    mn_model *m;
    bool sequential;
    json_t *layers, *outputs;
    mn_sym behind[MN__MAX_LAYERS]; /* of a layer whose activation became a layer behind it: that one; else 0 */
} parser;

static const char *layer_name(json_t *layer) {
    const char *name = json_string_value(json_object_get(layer, "name"));
    return name ? name : json_string_value(json_object_get(json_object_get(layer, "config"), "name"));
}

/* The layer's symbol by its Keras name; a head's own "_softmax" layer stands for the head. */
static mn_sym symbol(const parser *p, const char *name) {
    for (int i = 0; i < p->m->n_layers; i++)
        if (!strcmp(p->m->layer[i]->name, name)) return p->behind[i] ? p->behind[i] : i;
    return -1;
}

/* The class of an activation that Keras wrote into a layer as a layer of its own, whose numbers mien's layers have no place for,
 * or by the word "leaky_relu", which means a slope of 0.2 there and 0.01 here. NULL: it is a word like any other. */
static const char *own_activation(const char *class_name, json_t *config, json_t **options) {
    static const char *const with[] = {"Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Dense"};
    json_t *activation = json_object_get(config, "activation");
    const char *word = json_string_value(activation), *kind = json_string_value(json_object_get(activation, "class_name"));
    bool takes = false;
    for (int i = 0; i < 4; i++) takes |= !strcmp(class_name, with[i]);
    *options = NULL;
    if (takes && word && !strcmp(word, "leaky_relu")) return *options = json_pack("{s:f}", "negative_slope", 0.2), "LeakyReLU";
    if (takes && kind && (kind = mn__json_activation_class(kind)))
        *options = json_deep_copy(json_object_get(activation, "config"));
    return takes ? kind : NULL;
}

/* A layer, and behind it an Activation that stands for it where Keras has both in one. */
static mn_sym add_layer(parser *p, const char *class_name, const char *name, json_t *config, const mn_sym *in, int n) {
    const mn__json_form form = {.keras = true};
    json_t *options;
    const char *kind = own_activation(class_name, config, &options);
    if (!kind) return mn__json_layer(p->m, class_name, name, config, in, n, &form);
    char after[MN__MAX_NAME + 16];
    snprintf(after, sizeof after, "%.*s_activation", MN__MAX_NAME, name);
    json_object_set_new(config, "activation", json_string("linear"));
    mn_sym x = mn__json_layer(p->m, class_name, name, config, in, n, &form), y = -1;
    if (x >= 0 && !json_is_object(options))
        mn__model_fail(p->m, MN_ERR_FORMAT, "%.60s \"%.60s\": an activation without config", class_name, name);
    else if (x >= 0)
        y = p->behind[x] = mn__json_layer(p->m, kind, after, options, &x, 1, &form);
    json_decref(options);
    return y;
}

/* The names of tensors in a node: Keras 2's ["name",0,0,{}], Keras 3's {"keras_history": ["name",0,0]}. */
static int collect(json_t *node, const char **name, int n, int depth) {
    if (depth > 8 || n < 0) return -1;
    json_t *first = json_array_get(node, 0), *value;
    if (json_is_string(first)) {
        if (n == MN__MAX_LAYER_INPUTS) return -1;
        name[n] = json_string_value(first);
        return n + 1;
    }
    json_t *history = json_object_get(node, "keras_history");
    if (history) return collect(history, name, n, depth + 1);
    size_t i;
    const char *key;
    if (json_is_array(node)) json_array_foreach(node, i, value) n = collect(value, name, n, depth + 1);
    if (json_is_object(node)) {
        json_object_foreach(node, key, value) if (!strcmp(key, "args") || !strcmp(key, "config")) n =
            collect(value, name, n, depth + 1);
    }
    return n;
}

/* "batch_input_shape": [null, H, W, C], as the object {"shape": [H, W, C]}. */
static json_t *input_shape(parser *p, const char *name, json_t *config) {
    json_t *batch = json_object_get(config, "batch_input_shape"), *shape, *value;
    if (!batch) batch = json_object_get(config, "batch_shape");
    size_t i, n = json_array_size(batch);
    bool ok = n >= 2 && n <= MN_MAX_DIMS;
    shape = json_array();
    json_array_foreach(batch, i, value) {
        if (i == 0) continue;
        ok = ok && json_is_integer(value) && json_integer_value(value) > 0;
        json_array_append(shape, value);
    }
    if (ok) return json_pack("{s:o}", "shape", shape);
    json_decref(shape);
    mn__model_fail(p->m, MN_ERR_UNSUPPORTED,
                   "InputLayer \"%.60s\": the shape of the input is not fixed; wanted "
                   "[null, height, width, channels] with numbers",
                   name);
    return NULL;
}

static mn_status add_input(parser *p, const char *name, json_t *config) {
    json_t *shape = input_shape(p, name, config);
    if (!shape) return p->m->status;
    mn__json_layer(p->m, "InputLayer", name, shape, NULL, 0, &(mn__json_form){.keras = true});
    json_decref(shape);
    return p->m->status;
}

static bool is_output(const parser *p, const char *name) {
    const char *list[MN__MAX_LAYER_INPUTS];
    int n = collect(p->outputs, list, 0, 0);
    for (int i = 0; i < n; i++)
        if (!strcmp(list[i], name)) return true;
    return false;
}

/* The layer that mien itself put behind a head: left out again. */
static bool is_own_softmax(const parser *p, const char *name, const mn__layer *before) {
    size_t n = strlen(before->name);
    return !strncmp(name, before->name, n) && !strcmp(name + n, "_softmax") && is_output(p, name);
}

/* 1: added; 0: reads a layer that is not there yet; -1: failed. */
static int try_layer(parser *p, json_t *layer) {
    const char *class_name = json_string_value(json_object_get(layer, "class_name")), *name = layer_name(layer);
    json_t *config = json_object_get(layer, "config"), *nodes = json_object_get(layer, "inbound_nodes");
    if (!class_name || !name || !json_is_object(config))
        return mn__model_fail(p->m, MN_ERR_FORMAT, "a layer without class_name, name or config"), -1;
    if (!strcmp(class_name, "InputLayer")) return add_input(p, name, config) ? -1 : 1;
    if (json_array_size(nodes) > 1)
        return mn__model_fail(p->m, MN_ERR_UNSUPPORTED, "%.60s \"%.60s\": is applied %zu times; shared layers are not supported",
                              class_name, name, json_array_size(nodes)),
               -1;
    const char *from[MN__MAX_LAYER_INPUTS];
    mn_sym in[MN__MAX_LAYER_INPUTS];
    int n = collect(nodes, from, 0, 0);
    if (n < 0)
        return mn__model_fail(p->m, MN_ERR_FORMAT, "%.60s \"%.60s\": inbound_nodes are not understood", class_name, name), -1;
    for (int i = 0; i < n; i++) {
        in[i] = symbol(p, from[i]);
        if (in[i] < 0) return 0;
    }
    if (n == 1 && !strcmp(class_name, "Activation") && is_own_softmax(p, name, p->m->layer[in[0]])) {
        p->m->layer[in[0]]->softmax = true;
        return 1;
    }
    return add_layer(p, class_name, name, config, in, n) < 0 ? -1 : 1;
}

/* Layers may stand in any order: those whose sources are there are added until nothing moves. */
static mn_status read_functional(parser *p) {
    size_t n = json_array_size(p->layers), left = n;
    bool *done = mn_alloc_zero(n + 1, sizeof *done);
    if (!done) return mn__model_fail(p->m, MN_ERR_MEMORY, "out of host memory");
    json_t *stuck = NULL;
    for (size_t before = n + 1; left < before && left && !p->m->status;) {
        before = left;
        for (size_t i = 0; i < n && !p->m->status; i++) {
            if (done[i]) continue;
            int r = try_layer(p, json_array_get(p->layers, i));
            if (r == 1) done[i] = true, left--;
            if (r == 0) stuck = json_array_get(p->layers, i);
        }
    }
    mn_free(done);
    if (left && !p->m->status)
        return mn__model_fail(p->m, MN_ERR_FORMAT, "the layer \"%.60s\" reads itself or a layer that is not there",
                              layer_name(stuck));
    return p->m->status;
}

static mn_status read_sequential(parser *p) {
    for (size_t i = 0; i < json_array_size(p->layers) && !p->m->status; i++) {
        json_t *layer = json_array_get(p->layers, i), *config = json_object_get(layer, "config");
        const char *class_name = json_string_value(json_object_get(layer, "class_name")), *name = layer_name(layer);
        if (!class_name || !name || !json_is_object(config))
            return mn__model_fail(p->m, MN_ERR_FORMAT, "layer %zu has no class_name, name or config", i);
        bool input = !strcmp(class_name, "InputLayer");
        if (i == 0 && add_input(p, input ? name : "input", config)) return p->m->status;
        if (input) continue;
        mn_sym before = p->m->n_layers - 1;
        add_layer(p, class_name, name, config, &before, 1);
    }
    return p->m->status ? p->m->status : mn_model_output(p->m, p->m->n_layers - 1);
}

static mn_status mark_outputs(parser *p) {
    const char *list[MN__MAX_LAYER_INPUTS];
    int n = collect(p->outputs, list, 0, 0);
    if (n < 1) return mn__model_fail(p->m, MN_ERR_FORMAT, "output_layers is missing");
    for (int i = 0; i < n && !p->m->status; i++) {
        mn_sym x = symbol(p, list[i]);
        size_t length = strlen(list[i]);
        for (int k = 0; k < p->m->n_layers && x < 0 && length > 8; k++)
            if (is_own_softmax(p, list[i], p->m->layer[k])) x = k;
        if (x < 0) return mn__model_fail(p->m, MN_ERR_FORMAT, "output_layers names \"%.60s\", which is no layer", list[i]);
        mn_model_output(p->m, x);
    }
    return p->m->status;
}

/* The order of the inputs is that of input_layers. */
static mn_status order_inputs(parser *p, json_t *inputs) {
    mn_model *m = p->m;
    const char *list[MN__MAX_LAYER_INPUTS];
    int n = inputs ? collect(inputs, list, 0, 0) : 0;
    if (!inputs) return MN_OK;
    if (n != m->n_inputs) return mn__model_fail(m, MN_ERR_FORMAT, "input_layers and the InputLayers do not agree");
    mn_sym order[MN__MAX_LAYER_INPUTS];
    for (int i = 0; i < n; i++) {
        order[i] = symbol(p, list[i]);
        if (order[i] < 0 || m->layer[order[i]]->class != &mn__class_input)
            return mn__model_fail(m, MN_ERR_FORMAT, "input_layers names \"%.60s\", which is no InputLayer", list[i]);
        for (int k = 0; k < i; k++)
            if (order[k] == order[i]) return mn__model_fail(m, MN_ERR_FORMAT, "input_layers names \"%.60s\" twice", list[i]);
    }
    memcpy(m->input, order, (size_t)n * sizeof *order);
    return MN_OK;
}

static mn_status read_root(parser *p, json_t *root) {
    const char *class_name = json_string_value(json_object_get(root, "class_name"));
    json_t *config = json_object_get(root, "config");
    p->sequential = class_name && !strcmp(class_name, "Sequential");
    if (!class_name || (!p->sequential && strcmp(class_name, "Functional") && strcmp(class_name, "Model")))
        return mn__model_fail(p->m, MN_ERR_UNSUPPORTED, "the model is a \"%.60s\"; wanted Functional, Model or Sequential",
                              class_name ? class_name : "(nothing)");
    p->layers = json_is_array(config) ? config : json_object_get(config, "layers");
    if (!json_is_array(p->layers) || !json_array_size(p->layers) || json_array_size(p->layers) > MN__MAX_LAYERS)
        return mn__model_fail(p->m, MN_ERR_FORMAT, "the model has %zu layers; wanted 1 to %d", json_array_size(p->layers),
                              MN__MAX_LAYERS);
    if (p->sequential) return read_sequential(p);
    p->outputs = json_object_get(config, "output_layers");
    mn_status s = read_functional(p);
    if (s == MN_OK) s = mark_outputs(p);
    return s ? s : order_inputs(p, json_object_get(config, "input_layers"));
}

mn_model *mn__config_read(mn_context *c, const char *text, mn_error *err) {
    json_t *root = mn__json_parse("model_config", text, strlen(text), err);
    if (!root) return NULL;
    json_t *config = json_object_get(root, "config");
    const char *name = json_string_value(json_object_get(config, "name"));
    parser p = {.m = mn_model_create(c, name && strlen(name) <= MN__MAX_NAME ? name : "model")};
    mn_status s = p.m ? read_root(&p, root) : c->error.status;
    json_decref(root);
    if (s == MN_OK) return p.m;
    mn_fail(err, c->error.status, "%s", c->error.text);
    return NULL;
}
#endif
