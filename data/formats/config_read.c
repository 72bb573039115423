/* Keras's description of a model (model_config), read. A model inside the model becomes its layers, named OUTER.INNER. */
#include "data/formats/model_config.h"
#include <string.h>

#if MN_HAVE_JSON

enum { MOST_DEEP = 8 }; /* models within models */

/* Names that stand for what another layer computes. */
typedef struct alias {
    char *name;
    mn_sym at;
} alias;
typedef struct aliases {
    alias *list;
    int n;
} aliases;

/* The model, or one of the models inside it. */
typedef struct parser {
    mn_model *m;
    aliases *known;
    char within[MN__MAX_NAME + 2]; /* what stands before the names of its layers: "OUTER.", or nothing */
    int depth;
    json_t *layers, *outputs;
} parser;

static mn_status failed_memory(parser *p) { return mn__model_fail(p->m, MN_ERR_MEMORY, "out of host memory"); }

static const char *layer_name(json_t *layer) {
    const char *name = json_string_value(json_object_get(layer, "name"));
    return name ? name : json_string_value(json_object_get(json_object_get(layer, "config"), "name"));
}

/* ---- names ---- */

/* The name in the whole model; too long a one is cut at a length that no layer may have. */
typedef struct full_name {
    char text[MN__MAX_NAME + 2];
} full_name;
static full_name full(const parser *p, const char *name) {
    full_name f;
    snprintf(f.text, sizeof f.text, "%s%s", p->within, name);
    return f;
}

static mn_status add_alias(parser *p, const char *name, mn_sym at) {
    aliases *a = p->known;
    alias *grown = mn_realloc(a->list, (size_t)a->n * sizeof *grown, (size_t)(a->n + 1) * sizeof *grown);
    if (grown) a->list = grown;
    char *copy = grown ? mn_strdup(full(p, name).text) : NULL;
    if (!copy) return failed_memory(p);
    a->list[a->n++] = (alias){copy, at};
    return MN_OK;
}

/* What the name stands for; -1: nothing yet. */
static mn_sym symbol(const parser *p, const char *name) {
    full_name f = full(p, name);
    for (int i = 0; i < p->known->n; i++)
        if (!strcmp(p->known->list[i].name, f.text)) return p->known->list[i].at;
    for (int i = 0; i < p->m->n_layers; i++)
        if (!strcmp(p->m->layer[i]->name, f.text)) return i;
    return -1;
}

/* The names of tensors in a node: Keras 2's ["name",0,0,{}], Keras 3's {"keras_history": ["name",0,0]}. -1: something else, or
 * too many. */
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
    json_array_foreach(node, i, value) n =
        json_is_number(value) || json_is_string(value) ? -1 : collect(value, name, n, depth + 1);
    if (json_is_object(node)) {
        json_object_foreach(node, key, value) if (!strcmp(key, "args") || !strcmp(key, "config")) n =
            collect(value, name, n, depth + 1);
    }
    return n;
}

static bool is_output(const parser *p, const char *name) {
    const char *list[MN__MAX_LAYER_INPUTS];
    int n = collect(p->outputs, list, 0, 0);
    for (int i = 0; i < n; i++)
        if (!strcmp(list[i], name)) return true;
    return false;
}

/* ---- inputs ---- */

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

static mn_sym add_input(parser *p, const char *name, json_t *config) {
    json_t *shape = input_shape(p, name, config);
    if (!shape) return -1;
    mn_sym x = mn__json_layer(p->m, "InputLayer", name, shape, NULL, 0, &(mn__json_form){.keras = true});
    json_decref(shape);
    return x;
}

/* ---- layers ---- */

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
    if (!kind) return mn__json_layer(p->m, class_name, full(p, name).text, config, in, n, &form);
    char after[MN__MAX_NAME + 16];
    snprintf(after, sizeof after, "%s_activation", full(p, name).text);
    json_object_set_new(config, "activation", json_string("linear"));
    mn_sym x = mn__json_layer(p->m, class_name, full(p, name).text, config, in, n, &form), y = -1;
    if (x >= 0 && !json_is_object(options))
        mn__model_fail(p->m, MN_ERR_FORMAT, "%.60s \"%.60s\": an activation without config", class_name, name);
    else if (x >= 0 && (y = mn__json_layer(p->m, kind, after, options, &x, 1, &form)) >= 0 && add_alias(p, name, y))
        y = -1;
    json_decref(options);
    return y;
}

static bool is_model(const char *class_name) {
    return !strcmp(class_name, "Functional") || !strcmp(class_name, "Model") || !strcmp(class_name, "Sequential");
}

static mn_status begin_layers(parser *p, json_t *config) {
    p->layers = json_is_array(config) ? config : json_object_get(config, "layers");
    p->outputs = json_object_get(config, "output_layers");
    size_t n = json_array_size(p->layers);
    if (n >= 1 && n <= MN__MAX_LAYERS) return MN_OK;
    return mn__model_fail(p->m, MN_ERR_FORMAT, "the model has %zu layers; wanted 1 to %d", n, MN__MAX_LAYERS);
}

static mn_sym read_sequential(parser *p, mn_sym before);
static mn_status read_functional(parser *p);

/* A model as a layer: its layers, its inputs standing for the outer ones, its name for what it computes. */
static mn_sym add_model(parser *outer, const char *class_name, const char *name, json_t *config, const mn_sym *in, int n) {
    parser p = {.m = outer->m, .known = outer->known, .depth = outer->depth + 1};
    int length = snprintf(p.within, sizeof p.within, "%s%s.", outer->within, name);
    if (p.depth > MOST_DEEP || length < 0 || (size_t)length >= sizeof p.within)
        return mn__model_fail(p.m, MN_ERR_UNSUPPORTED,
                              "%.60s \"%.60s\": models within models, more than %d deep or with names of more than %d characters",
                              class_name, name, MOST_DEEP, MN__MAX_NAME),
               -1;
    if (begin_layers(&p, config)) return -1;
    mn_sym y = -1;
    if (!strcmp(class_name, "Sequential")) {
        if (n != 1) return mn__model_fail(p.m, MN_ERR_FORMAT, "Sequential \"%.60s\": has %d inputs; wanted 1", name, n), -1;
        y = read_sequential(&p, in[0]);
    } else {
        const char *input[MN__MAX_LAYER_INPUTS], *output[MN__MAX_LAYER_INPUTS];
        if (collect(json_object_get(config, "input_layers"), input, 0, 0) != n)
            return mn__model_fail(p.m, MN_ERR_FORMAT, "%.60s \"%.60s\": has other inputs than the %d it is given", class_name,
                                  name, n),
                   -1;
        if (collect(p.outputs, output, 0, 0) != 1)
            return mn__model_fail(p.m, MN_ERR_UNSUPPORTED,
                                  "%.60s \"%.60s\": a model inside the model with several outputs is not supported", class_name,
                                  name),
                   -1;
        for (int i = 0; i < n; i++)
            if (add_alias(&p, input[i], in[i])) return -1;
        if (!read_functional(&p) && (y = symbol(&p, output[0])) < 0)
            mn__model_fail(p.m, MN_ERR_FORMAT, "%.60s \"%.60s\": its output \"%.60s\" is no layer", class_name, name, output[0]);
    }
    return y < 0 || add_alias(outer, name, y) ? -1 : y;
}

static mn_sym add_any(parser *p, const char *class_name, const char *name, json_t *config, const mn_sym *in, int n) {
    return is_model(class_name) ? add_model(p, class_name, name, config, in, n) : add_layer(p, class_name, name, config, in, n);
}

/* The layer that mien itself put behind a head: left out again. */
static bool is_own_softmax(const parser *p, const char *name, const mn__layer *before) {
    size_t n = strlen(before->name);
    return !p->depth && !strncmp(name, before->name, n) && !strcmp(name + n, "_softmax") && is_output(p, name);
}

/* 1: added; 0: reads a layer that is not there yet; -1: failed. */
static int try_layer(parser *p, json_t *layer) {
    const char *class_name = json_string_value(json_object_get(layer, "class_name")), *name = layer_name(layer);
    json_t *config = json_object_get(layer, "config"), *nodes = json_object_get(layer, "inbound_nodes");
    if (!class_name || !name || !json_is_object(config))
        return mn__model_fail(p->m, MN_ERR_FORMAT, "a layer without class_name, name or config"), -1;
    if (!strcmp(class_name, "InputLayer") && p->depth)
        return symbol(p, name) >= 0
                   ? 1
                   : (mn__model_fail(p->m, MN_ERR_FORMAT, "InputLayer \"%.60s\" is no input of its model", name), -1);
    if (!strcmp(class_name, "InputLayer")) return add_input(p, name, config) < 0 ? -1 : 1;
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
    return add_any(p, class_name, name, config, in, n) < 0 ? -1 : 1;
}

/* Layers may stand in any order: those whose sources are there are added until nothing moves. */
static mn_status read_functional(parser *p) {
    size_t n = json_array_size(p->layers), left = n;
    bool *done = mn_alloc_zero(n + 1, sizeof *done);
    if (!done) return failed_memory(p);
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

/* The layer whose config has the shape of the input: the first, or the first of a model that stands first. */
static json_t *first_config(json_t *layer, int depth) {
    json_t *config = json_object_get(layer, "config"),
           *layers = json_is_array(config) ? config : json_object_get(config, "layers");
    return json_array_size(layers) && depth < MOST_DEEP ? first_config(json_array_get(layers, 0), depth + 1) : config;
}

/* Its last layer; `before`: what the first one reads, -1: an input that is made here. */
static mn_sym read_sequential(parser *p, mn_sym before) {
    for (size_t i = 0; i < json_array_size(p->layers) && !p->m->status; i++) {
        json_t *layer = json_array_get(p->layers, i), *config = json_object_get(layer, "config");
        const char *class_name = json_string_value(json_object_get(layer, "class_name")), *name = layer_name(layer);
        if (!class_name || !name || !(json_is_object(config) || (json_is_array(config) && is_model(class_name))))
            return mn__model_fail(p->m, MN_ERR_FORMAT, "layer %zu has no class_name, name or config", i), -1;
        bool input = !strcmp(class_name, "InputLayer");
        if (before < 0 && (before = add_input(p, input ? name : "input", first_config(layer, 0))) < 0) return -1;
        if (!input) before = add_any(p, class_name, name, config, &before, 1);
    }
    return p->m->status ? -1 : before;
}

/* ---- the whole ---- */

static mn_status mark_outputs(parser *p) {
    const char *list[MN__MAX_LAYER_INPUTS];
    int n = collect(p->outputs, list, 0, 0);
    if (n < 1) return mn__model_fail(p->m, MN_ERR_FORMAT, "output_layers is missing or not understood");
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
    if (!class_name || !is_model(class_name))
        return mn__model_fail(p->m, MN_ERR_UNSUPPORTED, "the model is a \"%.60s\"; wanted Functional, Model or Sequential",
                              class_name ? class_name : "(nothing)");
    if (begin_layers(p, config)) return p->m->status;
    if (!strcmp(class_name, "Sequential")) {
        mn_sym last = read_sequential(p, -1);
        return last < 0 ? p->m->status : mn_model_output(p->m, last);
    }
    mn_status s = read_functional(p);
    if (s == MN_OK) s = mark_outputs(p);
    return s ? s : order_inputs(p, json_object_get(config, "input_layers"));
}

mn_model *mn__config_read(mn_context *c, const char *text, mn_error *err) {
    json_t *root = mn__json_parse("model_config", text, strlen(text), err);
    if (!root) return NULL;
    json_t *config = json_object_get(root, "config");
    const char *name = json_string_value(json_object_get(config, "name"));
    aliases known = {0};
    parser p = {.m = mn_model_create(c, name && strlen(name) <= MN__MAX_NAME ? name : "model"), .known = &known};
    mn_status s = p.m ? read_root(&p, root) : c->error.status;
    for (int i = 0; i < known.n; i++) mn_free(known.list[i].name);
    mn_free(known.list);
    json_decref(root);
    if (s == MN_OK) return p.m;
    mn_fail(err, c->error.status, "%s", c->error.text);
    return NULL;
}
#endif
