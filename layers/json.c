/* Networks as JSON text (docs/networks.md), and networks by name or file. */
#include "layers/json.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#if MN_HAVE_JSON

/* ---- reading ---- */

static mn_sym symbol_named(const mn_model *m, const char *name) {
    for (int i = 0; i < m->n_layers; i++)
        if (!strcmp(m->layer[i]->name, name)) return i;
    return -1;
}

/* "inputs": a name, or a list of names of layers above; left out: the layer above. Returns how many, or -1. */
static int read_inputs(mn_model *m, int number, json_t *layer, mn_sym *in) {
    json_t *v = json_object_get(layer, "inputs");
    if (!v) {
        in[0] = m->n_layers - 1;
        return m->n_layers ? 1 : 0;
    }
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    if (n < 1 || n > MN__MAX_LAYER_INPUTS)
        return mn__model_fail(m, MN_ERR_FORMAT, "layer %d: \"inputs\" has %zu names; wanted 1 to %d", number, n,
                              MN__MAX_LAYER_INPUTS),
               -1;
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_is_array(v) ? json_array_get(v, i) : v);
        if (!name) return mn__model_fail(m, MN_ERR_FORMAT, "layer %d: \"inputs\" wants names of layers", number), -1;
        in[i] = symbol_named(m, name);
        if (in[i] < 0)
            return mn__model_fail(m, MN_ERR_FORMAT,
                                  "layer %d: \"inputs\" names \"%.60s\", and no layer above it is called so; "
                                  "hint: a layer reads only layers that stand before it",
                                  number, name),
                   -1;
    }
    return (int)n;
}

static mn_status read_layer(mn_model *m, int number, json_t *layer, const mn__json_form *form) {
    const char *class_name = json_string_value(json_object_get(layer, "class"));
    json_t *given = json_object_get(layer, "name");
    const char *name = json_string_value(given);
    mn_sym in[MN__MAX_LAYER_INPUTS];
    if (!class_name)
        return mn__model_fail(m, MN_ERR_FORMAT, "layer %d has no \"class\"; wanted {\"class\": \"Conv2D\", ...}", number);
    if (given && !name) return mn__model_fail(m, MN_ERR_FORMAT, "layer %d (%.60s): \"name\" wants a text", number, class_name);
    bool is_input = !strcmp(class_name, "InputLayer");
    int n_in = is_input ? 0 : read_inputs(m, number, layer, in);
    if (n_in < 0) return m->status;
    if (!strcmp(class_name, "Heads")) {
        if (!n_in) return mn__model_fail(m, MN_ERR_FORMAT, "layer %d (Heads) has no input", number);
        mn__net_heads(m, in[0], form->opt);
        return m->status;
    }
    const char *units = json_string_value(json_object_get(layer, "units"));
    if (!name && units && !strcmp(units, "classes") && form->opt->n_heads == 1) name = form->opt->heads[0].name;
    mn__json_layer(m, class_name, name, layer, in, n_in, form);
    return m->status;
}

static mn_status read_outputs(mn_model *m, json_t *list) {
    if (!list && m->n_outputs == 0) return mn_model_output(m, m->n_layers - 1);
    if (list && !json_is_array(list)) return mn__model_fail(m, MN_ERR_FORMAT, "\"outputs\" wants a list of names of layers");
    for (size_t i = 0; list && i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        mn_sym x = name ? symbol_named(m, name) : -1;
        if (x < 0)
            return mn__model_fail(m, MN_ERR_FORMAT, "\"outputs\" names \"%.60s\", and no layer is called so", name ? name : "?");
        bool already = false;
        for (int k = 0; k < m->n_outputs; k++) already |= m->output[k] == x;
        if (!already && mn_model_output(m, x)) return m->status;
    }
    return m->status;
}

/* The caller asked for these heads: the network must have them, in this order. */
static mn_status check_heads(mn_model *m, const mn_net_opt *asked) {
    if (!asked || !asked->heads) return MN_OK;
    if (m->n_outputs != asked->n_heads)
        return mn__model_fail(m, MN_ERR_FORMAT,
                              "the network has %d output%s, but %d head%s asked for; hint: end it with "
                              "{\"class\": \"Heads\"}",
                              m->n_outputs, m->n_outputs == 1 ? "" : "s", asked->n_heads, asked->n_heads == 1 ? " is" : "s are");
    for (int i = 0; i < m->n_outputs; i++) {
        mn_shape s = mn_model_output_shape(m, i);
        char text[64];
        if (s.ndim != 1 || s.dim[0] != asked->heads[i].classes)
            return mn__model_fail(m, MN_ERR_FORMAT,
                                  "output \"%s\" is %s, but head \"%s\" has %d classes; hint: write "
                                  "\"units\": \"classes\"",
                                  mn_model_output_name(m, i), mn_shape_text(s, text, sizeof text), asked->heads[i].name,
                                  asked->heads[i].classes);
    }
    return MN_OK;
}

/* Numbers in "input" and numbers that the caller asked for must agree. */
static mn_status check_asked(mn_model *m, const mn_net_opt *asked) {
    mn_shape s = m->layer[0]->shape;
    if (!asked || s.ndim != 3) return MN_OK;
    const struct {
        const char *what;
        int asked;
        int64_t is;
    } part[] = {{"channels", asked->channels, s.dim[0]}, {"height", asked->height, s.dim[1]}, {"width", asked->width, s.dim[2]}};
    for (int i = 0; i < 3; i++)
        if (part[i].asked && part[i].asked != part[i].is)
            return mn__model_fail(m, MN_ERR_FORMAT,
                                  "\"input\" says %lld %s, but %d are asked for; hint: write the word \"%s\" "
                                  "there",
                                  (long long)part[i].is, part[i].what, part[i].asked, part[i].what);
    return MN_OK;
}

static mn_status read_network(mn_model *m, json_t *root, const mn_net_opt *asked, const mn__json_form *form) {
    const char *key;
    json_t *value, *input = json_object_get(root, "input"), *layers = json_object_get(root, "layers");
    json_object_foreach(root, key, value) if (
        strcmp(key, "name") && strcmp(key, "input") && strcmp(key, "layers") && strcmp(key, "outputs") &&
        strcmp(key, "comment")) return mn__model_fail(m, MN_ERR_FORMAT,
                                                      "there is no key \"%.60s\"; known: name, input, layers, outputs, comment",
                                                      key);
    if (!json_is_array(layers) || json_array_size(layers) == 0)
        return mn__model_fail(m, MN_ERR_FORMAT, "\"layers\" is missing; wanted a list of layers");
    if (json_array_size(layers) > MN__MAX_LAYERS)
        return mn__model_fail(m, MN_ERR_FORMAT, "\"layers\" has %zu layers; wanted at most %d", json_array_size(layers),
                              MN__MAX_LAYERS);
    json_t *first = json_array_get(layers, 0);
    bool own = json_is_object(first) && json_string_value(json_object_get(first, "class")) &&
               !strcmp(json_string_value(json_object_get(first, "class")), "InputLayer");
    if (!own) {
        json_t *config =
            input ? json_pack("{s:O}", "shape", input) : json_pack("{s:[s,s,s]}", "shape", "height", "width", "channels");
        if (!config) return mn__model_fail(m, MN_ERR_MEMORY, "out of host memory");
        mn__json_layer(m, "InputLayer", "input", config, NULL, 0, form);
        json_decref(config);
    }
    for (size_t i = 0; i < json_array_size(layers) && !m->status; i++) read_layer(m, (int)i, json_array_get(layers, i), form);
    if (m->status == MN_OK) check_asked(m, asked);
    if (m->status == MN_OK) read_outputs(m, json_object_get(root, "outputs"));
    return m->status ? m->status : check_heads(m, asked);
}

mn_model *mn__model_parse(mn_context *c, const char *text, size_t length, const mn_net_opt *opt) {
    if (!c || c->error.status) return NULL;
    mn_net_opt o;
    if (mn__net_complete(c, opt, 1, 48, 48, &o)) return NULL;
    json_t *root = mn__json_parse("the network's JSON", text, length, &c->error);
    if (!root) return NULL;
    json_t *given = json_object_get(root, "name");
    const char *name = json_string_value(given);
    mn_model *m = NULL;
    if (given && (!name || !*name || strlen(name) > MN__MAX_NAME))
        MN__FAIL(c, MN_ERR_FORMAT, "the network's \"name\" wants a text of 1 to %d characters", MN__MAX_NAME);
    else
        m = mn_model_create(c, name);
    mn_status s = m ? read_network(m, root, opt, &(mn__json_form){.opt = &o}) : c->error.status;
    json_decref(root);
    return s == MN_OK ? m : NULL;
}

mn_model *mn_model_from_json(mn_context *c, const char *text, size_t length, const mn_net_opt *opt) {
    mn_model *m = mn__model_parse(c, text, length, opt);
    return m && mn_model_build(m) == MN_OK ? m : NULL;
}

/* ---- writing ---- */

static json_t *layer_json(const mn_model *m, int number) {
    const mn__layer *l = m->layer[number];
    json_t *o = json_pack("{s:s,s:s}", "class", l->class->name, "name", l->name), *fields = mn__json_fields(l, false);
    bool ok = o && fields && !(l->each_step && json_object_set_new(o, "time_distributed", json_true()));
    if (ok && !(l->n_in == 0 || (l->n_in == 1 && l->in[0] == number - 1))) {
        json_t *in = json_array();
        for (int i = 0; i < l->n_in; i++) ok &= !json_array_append_new(in, json_string(m->layer[l->in[i]]->name));
        ok &= !json_object_set_new(o, "inputs", in);
    }
    ok = ok && !json_object_update(o, fields);
    json_decref(fields);
    if (ok) return o;
    json_decref(o);
    return NULL;
}

char *mn_model_to_json(const mn_model *m, mn_error *err) {
    json_t *root = json_pack("{s:s,s:[],s:[]}", "name", m->name, "layers", "outputs");
    json_t *layers = json_object_get(root, "layers"), *outputs = json_object_get(root, "outputs");
    bool ok = root != NULL;
    for (int i = 0; i < m->n_layers && ok; i++) ok = !json_array_append_new(layers, layer_json(m, i));
    for (int i = 0; i < m->n_outputs && ok; i++) ok = !json_array_append_new(outputs, json_string(mn_model_output_name(m, i)));
    size_t size = ok ? json_dumpb(root, NULL, 0, JSON_INDENT(1)) : 0;
    char *text = size ? mn_alloc(size + 1) : NULL;
    if (text) {
        json_dumpb(root, text, size, JSON_INDENT(1));
        text[size] = 0;
    }
    json_decref(root);
    if (!text) mn_fail(err, MN_ERR_MEMORY, "out of host memory for the network's JSON");
    return text;
}

#else

static const char missing[] = "this mien was built without JSON; hint: install libjansson-dev and build again";

mn_model *mn_model_from_json(mn_context *c, const char *text, size_t length, const mn_net_opt *opt) {
    (void)text, (void)length, (void)opt;
    if (c) MN__FAIL(c, MN_ERR_UNSUPPORTED, "%s", missing);
    return NULL;
}
char *mn_model_to_json(const mn_model *m, mn_error *err) {
    (void)m;
    mn_fail(err, MN_ERR_UNSUPPORTED, "%s", missing);
    return NULL;
}

#endif

/* ---- by name or file ---- */

static bool is_file(const char *name) {
    size_t n = strlen(name);
    return strchr(name, '/') || (n > 5 && !strcmp(name + n - 5, ".json"));
}

mn_model *mn_net_open(mn_context *c, const char *name, const mn_net_opt *opt) {
    enum { LIMIT = 1 << 20 };
    if (!c || c->error.status) return NULL;
    if (!is_file(name)) return mn_net_create(c, name, opt);
    FILE *f = fopen(name, "rb");
    char *text = f ? mn_alloc(LIMIT + 1) : NULL;
    if (!text) {
        if (f)
            fclose(f), MN__FAIL(c, MN_ERR_MEMORY, "out of host memory for the network file \"%s\"", name);
        else
            MN__FAIL(c, MN_ERR_IO, "the network file \"%s\" cannot be opened: %s", name, strerror(errno));
        return NULL;
    }
    size_t n = fread(text, 1, LIMIT + 1, f);
    bool bad = ferror(f);
    fclose(f);
    mn_model *m = NULL;
    if (bad)
        MN__FAIL(c, MN_ERR_IO, "the network file \"%s\" cannot be read", name);
    else if (n > LIMIT)
        MN__FAIL(c, MN_ERR_FORMAT, "the network file \"%s\" is larger than 1 MB", name);
    else if (!(m = mn_model_from_json(c, text, n, opt)))
        mn_error_prefix(&c->error, "%s", name);
    mn_free(text);
    return m;
}
