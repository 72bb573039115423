/* Field tables to and from JSON. */
#include "layers/json.h"
#if MN_HAVE_JSON
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A field that is being read: where from, where to, and whom to name. */
typedef struct reader {
    mn_model *m;
    const mn__json_form *form;
    char who[MN__MAX_NAME + 64]; /* Conv2D "conv1" */
    int ndim;                    /* dimensions of the first input, without N */
} reader;

static mn_status wrong(const reader *r, const mn__field *f, const json_t *v, const char *wanted) {
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    mn__model_fail(r->m, MN_ERR_FORMAT, "%s: \"%s\" is %.60s%s; wanted %s", r->who, f->key, text ? text : "?",
                   text && strlen(text) > 60 ? "..." : "", wanted);
    free(text);
    return r->m->status;
}

/* ---- words ---- */

/* "classes" is the only head's number of classes, "classes:gender" that of one head. */
static bool word_value(const reader *r, const char *word, int *out) {
    const mn_net_opt *o = r->form->opt;
    if (!o) return false;
    if (!strcmp(word, "height"))
        *out = o->height;
    else if (!strcmp(word, "width"))
        *out = o->width;
    else if (!strcmp(word, "channels"))
        *out = o->channels;
    else if (!strcmp(word, "classes") && o->n_heads == 1)
        *out = o->heads[0].classes;
    else {
        for (int i = 0; i < o->n_heads && !strncmp(word, "classes:", 8); i++)
            if (!strcmp(word + 8, o->heads[i].name)) {
                *out = o->heads[i].classes;
                return true;
            }
        return false;
    }
    return true;
}

static mn_status unknown_word(const reader *r, const mn__field *f, const char *word) {
    const mn_net_opt *o = r->form->opt;
    if (o && !strcmp(word, "classes"))
        return mn__model_fail(r->m, MN_ERR_FORMAT,
                              "%s: \"%s\" is \"classes\", but %d heads are asked for; hint: "
                              "{\"class\": \"Heads\"} in place of this layer, or \"classes:%s\"",
                              r->who, f->key, o->n_heads, o->heads[0].name);
    return mn__model_fail(r->m, MN_ERR_FORMAT, "%s: \"%s\" is the word \"%.60s\"; wanted a number%s", r->who, f->key, word,
                          o ? ", or one of classes, classes:HEAD, channels, height, width" : "");
}

static mn_status read_int(const reader *r, const mn__field *f, const json_t *v, int *out) {
    if (json_is_string(v)) return word_value(r, json_string_value(v), out) ? MN_OK : unknown_word(r, f, json_string_value(v));
    if (!json_is_integer(v)) return wrong(r, f, v, "a whole number");
    json_int_t n = json_integer_value(v);
    if (n < -2147483647 || n > 2147483647 || (n == 0 && f->fallback != 0 && f->lo > 0))
        return wrong(r, f, v, "a whole number in its range");
    *out = (int)n;
    return MN_OK;
}

static mn_status read_pair(const reader *r, const mn__field *f, const json_t *v, int *out) {
    if (!json_is_array(v)) {
        mn_status s = read_int(r, f, v, &out[0]);
        out[1] = out[0];
        return s;
    }
    if (json_array_size(v) != 2) return wrong(r, f, v, "one number, or two: [vertical, horizontal]");
    mn_status s = read_int(r, f, json_array_get(v, 0), &out[0]);
    return s ? s : read_int(r, f, json_array_get(v, 1), &out[1]);
}

static mn_status read_sides(const reader *r, const mn__field *f, const json_t *v, int *out) {
    for (int i = 0; i < 2; i++) {
        const json_t *side = json_is_array(v) && json_array_size(v) == 2 ? json_array_get(v, (size_t)i) : v;
        if (side == v && json_is_array(v)) return wrong(r, f, v, "1, [1,2] or [[top,bottom],[left,right]]");
        mn_status s = read_pair(r, f, side, &out[2 * i]);
        if (s) return s;
    }
    return MN_OK;
}

static mn_status read_real(const reader *r, const mn__field *f, const json_t *v, double *out) {
    if (!json_is_number(v) || !isfinite(json_number_value(v))) return wrong(r, f, v, "a number");
    *out = json_number_value(v);
    if (*out == 0 && f->fallback != 0 && f->lo <= 0) *out = 1e-300; /* a 0 that is meant: 0 itself is the default */
    return MN_OK;
}

static mn_status read_activation(const reader *r, const mn__field *f, const json_t *v, mn_activation *out) {
    if (json_is_string(v) && mn__activation_parse(json_string_value(v), out)) return MN_OK;
    return wrong(r, f, v, "linear, relu, leaky_relu, elu, sigmoid, tanh, gelu, silu, softplus or softmax");
}

static mn_status read_cell(const reader *r, const mn__field *f, const json_t *v, mn_cell_activation *out) {
    for (int i = 0; json_is_string(v) && mn__cell_name((mn_cell_activation)i); i++)
        if (!strcmp(json_string_value(v), mn__cell_name((mn_cell_activation)i))) return *out = (mn_cell_activation)i, MN_OK;
    return wrong(r, f, v, "tanh or relu");
}

static mn_status read_gate(const reader *r, const mn__field *f, const json_t *v, mn_gate_activation *out) {
    for (int i = 0; json_is_string(v) && mn__gate_name((mn_gate_activation)i); i++)
        if (!strcmp(json_string_value(v), mn__gate_name((mn_gate_activation)i))) return *out = (mn_gate_activation)i, MN_OK;
    return wrong(r, f, v, "sigmoid or hard_sigmoid");
}

static mn_status read_init(const reader *r, const mn__field *f, const json_t *v, mn_init *out) {
    static const struct {
        const char *name;
        mn_init init;
    } other[] = {{"HeNormal", MN_INIT_HE_NORMAL},
                 {"HeUniform", MN_INIT_HE_UNIFORM},
                 {"GlorotNormal", MN_INIT_XAVIER_NORMAL},
                 {"GlorotUniform", MN_INIT_XAVIER_UNIFORM},
                 {"Orthogonal", MN_INIT_ORTHOGONAL},
                 {"Zeros", MN_INIT_ZEROS},
                 {"Ones", MN_INIT_ONES},
                 {"xavier_normal", MN_INIT_XAVIER_NORMAL},
                 {"xavier_uniform", MN_INIT_XAVIER_UNIFORM}};
    const char *name = json_string_value(json_is_object(v) ? json_object_get(v, "class_name") : v);
    for (int i = MN_INIT_DEFAULT; name && mn__init_name((mn_init)i); i++)
        if (!strcmp(name, mn__init_name((mn_init)i))) return *out = (mn_init)i, MN_OK;
    for (size_t i = 0; name && i < sizeof other / sizeof *other; i++)
        if (!strcmp(name, other[i].name)) return *out = other[i].init, MN_OK;
    if (r->form->keras) return MN_OK; /* the weights come from the file */
    return wrong(r, f, v, "he_normal, he_uniform, glorot_normal, glorot_uniform, orthogonal, zeros or ones");
}

/* (H,W,C) and (T,H,W,C) in files, (C,H,W) and (T,C,H,W) here; fewer dimensions are as they are. */
static mn_status read_shape(const reader *r, const mn__field *f, const json_t *v, mn_shape *out) {
    size_t n = json_array_size(v);
    if (!json_is_array(v) || n < 1 || n >= MN_MAX_DIMS) return wrong(r, f, v, "[height, width, channels] or [features]");
    mn_shape s = {.ndim = (int)n};
    for (size_t i = 0; i < n; i++) {
        int d = 0;
        mn_status status = read_int(r, f, json_array_get(v, i), &d);
        if (status) return status;
        s.dim[mn__file_dim((int)n, (int)i)] = d;
    }
    *out = s;
    return MN_OK;
}

static mn_status read_axis(const reader *r, const mn__field *f, const json_t *v, int *out) {
    if (!json_is_integer(v)) return wrong(r, f, v, "a whole number");
    json_int_t n = json_integer_value(v), last = r->ndim;
    if (n < 0) n += last + 1;
    if (n < 1 || n > last) return wrong(r, f, v, "-1, or a dimension of (N,H,W,C) from 1");
    *out = r->ndim == 3 ? (n == 3 ? 1 : (int)n + 1) : (int)n;
    return MN_OK;
}

static mn_status read_field(const reader *r, const mn__field *f, const json_t *v, char *p) {
    if (json_is_null(v)) return MN_OK; /* Keras's "not given" */
    switch (f->kind) {
    case MN__INT:
        return read_int(r, f, v, (int *)p);
    case MN__PAIR:
        return read_pair(r, f, v, (int *)p);
    case MN__SIDES:
        return read_sides(r, f, v, (int *)p);
    case MN__REAL:
        return read_real(r, f, v, (double *)p);
    case MN__YES:
    case MN__NOT:
        if (!json_is_boolean(v)) return wrong(r, f, v, "true or false");
        *(bool *)p = f->kind == MN__YES ? json_is_true(v) : json_is_false(v);
        return MN_OK;
    case MN__PADDING:
        if (!json_is_string(v) || (strcmp(json_string_value(v), "same") && strcmp(json_string_value(v), "valid")))
            return wrong(r, f, v, "\"valid\" or \"same\"");
        *(mn_padding *)p = strcmp(json_string_value(v), "same") ? MN_VALID : MN_SAME;
        return MN_OK;
    case MN__ACTIVATION:
        return read_activation(r, f, v, (mn_activation *)p);
    case MN__CELL:
        return read_cell(r, f, v, (mn_cell_activation *)p);
    case MN__GATE:
        return read_gate(r, f, v, (mn_gate_activation *)p);
    case MN__INIT:
        return read_init(r, f, v, (mn_init *)p);
    case MN__SHAPE:
        return read_shape(r, f, v, (mn_shape *)p);
    case MN__AXIS:
        return read_axis(r, f, v, (int *)p);
    default:
        return MN_OK;
    }
}

/* ---- keys that are no fields ---- */

static mn_status unknown_key(const reader *r, const mn__layer_class *k, const char *key) {
    char known[400] = "";
    size_t n = 0;
    for (const mn__field *f = k->fields; f && f->kind && n < sizeof known; f++)
        n += (size_t)snprintf(known + n, sizeof known - n, ", %s", f->key);
    return mn__model_fail(r->m, MN_ERR_FORMAT, "%s: there is no field \"%.60s\"; known: class, name, inputs%s", r->who, key,
                          known);
}

/* Settings of Keras's recurrent layers that mien has nothing for. */
static mn_status check_recurrent(const reader *r, json_t *config) {
    static const char *const flags[] = {"go_backwards", "stateful", "return_state", "time_major"};
    static const char *const numbers[] = {"dropout", "recurrent_dropout"};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (json_is_true(json_object_get(config, flags[i])))
            return mn__model_fail(r->m, MN_ERR_UNSUPPORTED, "%s: %s is not supported", r->who, flags[i]);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (json_number_value(json_object_get(config, numbers[i])) != 0)
            return mn__model_fail(r->m, MN_ERR_UNSUPPORTED, "%s: %s is not supported; hint: a Dropout layer before it", r->who,
                                  numbers[i]);
    return MN_OK;
}

/* Keras settings that would change what the layer computes. */
static mn_status check_keras(const reader *r, const mn__layer_class *k, json_t *config) {
    const char *format = json_string_value(json_object_get(config, "data_format"));
    if (format && strcmp(format, "channels_last"))
        return mn__model_fail(r->m, MN_ERR_UNSUPPORTED, "%s: data_format is \"%.40s\"; wanted \"channels_last\"", r->who, format);
    if (json_is_true(json_object_get(config, "keepdims")))
        return mn__model_fail(r->m, MN_ERR_UNSUPPORTED, "%s: keepdims is not supported", r->who);
    json_t *axis = json_object_get(config, "axis");
    if (k == &mn__class_lstm || k == &mn__class_conv_lstm2d) return check_recurrent(r, config);
    if (k != &mn__class_batch_normalization || !axis) return MN_OK;
    if (json_is_array(axis) && json_array_size(axis) == 1) axis = json_array_get(axis, 0);
    json_int_t n = json_is_integer(axis) ? json_integer_value(axis) : 0;
    if (n == -1 || n == r->ndim) return MN_OK;
    return mn__model_fail(r->m, MN_ERR_UNSUPPORTED, "%s: axis is not the last one, the channels", r->who);
}

static mn_status check_keys(const reader *r, const mn__layer_class *k, json_t *config) {
    const char *key;
    json_t *value;
    if (r->form->keras) return check_keras(r, k, config);
    json_object_foreach(config, key, value) {
        bool known = !strcmp(key, "class") || !strcmp(key, "name") || !strcmp(key, "inputs") || !strcmp(key, "comment") ||
                     !strcmp(key, "time_distributed");
        for (const mn__field *f = k->fields; f && f->kind; f++) known |= !strcmp(key, f->key);
        if (!known) return unknown_key(r, k, key);
    }
    return MN_OK;
}

/* ---- classes that are an Activation or a Clip here ---- */

static double number_or(json_t *v, double otherwise) { return json_is_number(v) ? json_number_value(v) : otherwise; }

/* 1: ReLU with max_value is a Clip; 0: it has none; -1: failed. */
static int read_clipped_relu(const reader *r, json_t *config, mn_clip_layer *o) {
    json_t *max = json_object_get(config, "max_value");
    if (number_or(json_object_get(config, "threshold"), 0) != 0)
        return mn__model_fail(r->m, MN_ERR_UNSUPPORTED, "%s: threshold is not supported", r->who), -1;
    if (!max || json_is_null(max)) return 0;
    o->max_value = number_or(max, 0);
    if (o->max_value <= 0 || number_or(json_object_get(config, "negative_slope"), 0) != 0)
        return mn__model_fail(r->m, MN_ERR_UNSUPPORTED, "%s: max_value beside negative_slope, or not above 0, is not supported",
                              r->who),
               -1;
    return 1;
}

static void read_alias(const char *class_name, json_t *config, mn_activation_layer *o) {
    json_t *alpha = json_object_get(config, "alpha"), *slope = json_object_get(config, "negative_slope");
    if (!alpha || json_is_null(alpha)) alpha = slope;
    bool given = alpha && json_is_number(alpha);
    o->alpha = given ? json_number_value(alpha) : 0;
    if (!strcmp(class_name, "Softmax"))
        o->activation = MN_ACT_SOFTMAX;
    else if (!strcmp(class_name, "ELU"))
        o->activation = MN_ACT_ELU;
    else if (!strcmp(class_name, "LeakyReLU")) {
        o->activation = given && o->alpha == 0 ? MN_ACT_RELU : MN_ACT_LEAKY_RELU;
        if (!given) o->alpha = 0.3;
    } else
        o->activation = o->alpha != 0 ? MN_ACT_LEAKY_RELU : MN_ACT_RELU;
}

static mn_sym alias_layer(const reader *r, const char *class_name, const char *name, json_t *config, const mn_sym *in, int n_in) {
    mn_clip_layer clip = {.name = name};
    mn_activation_layer o = {.name = name};
    int clipped = strcmp(class_name, "ReLU") ? 0 : read_clipped_relu(r, config, &clip);
    if (clipped < 0) return -1;
    if (clipped) return mn__layer_add(r->m, &mn__class_clip, in, n_in, &clip);
    read_alias(class_name, config, &o);
    return mn__layer_add(r->m, &mn__class_activation, in, n_in, &o);
}

/* The word "leaky_relu" means a slope of 0.2 in Keras, of 0.01 here, where only Activation has a number for it. */
static mn_status check_leaky_word(const reader *r, const mn__layer_class *k, json_t *config) {
    const char *word = json_string_value(json_object_get(config, "activation"));
    if (!r->form->keras || !word || strcmp(word, "leaky_relu")) return MN_OK;
    if (k == &mn__class_activation)
        return json_object_get(config, "alpha") || !json_object_set_new(config, "alpha", json_real(0.2))
                   ? MN_OK
                   : mn__model_fail(r->m, MN_ERR_MEMORY, "out of host memory");
    return mn__model_fail(r->m, MN_ERR_UNSUPPORTED,
                          "%s: leaky_relu, with Keras's slope of 0.2, is not supported inside another layer; "
                          "hint: a LeakyReLU layer behind it",
                          r->who);
}

const char *mn__json_activation_class(const char *name) {
    static const char *const word[] = {"ReLU", "LeakyReLU", "ELU", "Softmax"};
    for (int i = 0; i < 4; i++)
        if (!strcmp(name, word[i])) return word[i];
    return NULL;
}

/* ---- a layer ---- */

static void list_classes(char *buf, size_t size) {
    size_t n = 0;
    for (int i = 0; mn__layer_classes[i] && n < size; i++)
        n += (size_t)snprintf(buf + n, size - n, "%s%s", i ? ", " : "", mn__layer_classes[i]->name);
}

static mn_sym json_layer(mn_model *m, const char *class_name, const char *name, json_t *config, const mn_sym *in, int n_in,
                         const mn__json_form *form) {
    if (m->status) return -1;
    reader r = {.m = m,
                .form = form,
                .ndim = n_in > 0 && in[0] >= 0 && in[0] < m->n_layers ? m->layer[in[0]]->shape.ndim - m->each_step : 0};
    if (name)
        snprintf(r.who, sizeof r.who, "%.60s \"%s\"", class_name, name);
    else
        snprintf(r.who, sizeof r.who, "%.60s (layer %d)", class_name, m->n_layers);
    if (mn__json_activation_class(class_name)) return alias_layer(&r, class_name, name, config, in, n_in);
    const mn__layer_class *k = mn__layer_class_find(class_name);
    if (!k) {
        char known[500];
        list_classes(known, sizeof known);
        return mn__model_fail(m, MN_ERR_UNSUPPORTED, "%s: there is no layer class \"%.60s\"; known: %s", r.who, class_name,
                              known),
               -1;
    }
    _Alignas(16) char opt[256] = {0};
    if (k->opt_bytes > sizeof opt) return mn__model_fail(m, MN_ERR_UNSUPPORTED, "%s has too many options", r.who), -1;
    if (check_keys(&r, k, config) || check_leaky_word(&r, k, config)) return -1;
    for (const mn__field *f = k->fields; f && f->kind; f++) {
        json_t *v = json_object_get(config, f->key);
        if (v && read_field(&r, f, v, opt + f->at)) return -1;
    }
    if (k == &mn__class_input) {
        const mn__field *shape = k->fields;
        return mn_model_input(m, name, *(mn_shape *)(opt + shape->at));
    }
    memcpy(opt, &name, sizeof name);
    return mn__layer_add(m, k, in, n_in, opt);
}

/* "time_distributed": true in a network file; in a Keras config a TimeDistributed around the layer, of its name. */
mn_sym mn__json_layer(mn_model *m, const char *class_name, const char *name, json_t *config, const mn_sym *in, int n_in,
                      const mn__json_form *form) {
    bool wrapped = form->keras && !strcmp(class_name, "TimeDistributed");
    json_t *inner = json_object_get(config, "layer"), *flag = form->keras ? NULL : json_object_get(config, "time_distributed");
    if (wrapped) {
        class_name = json_string_value(json_object_get(inner, "class_name"));
        config = json_object_get(inner, "config");
        if (!class_name || !json_is_object(config) || !strcmp(class_name, "TimeDistributed"))
            return mn__model_fail(m, MN_ERR_FORMAT, "TimeDistributed \"%.60s\": \"layer\" is not understood", name ? name : "?"),
                   -1;
        if (n_in == 1 && in[0] >= 0 && in[0] < m->n_layers &&
            m->layer[in[0]]->shape.ndim == 3) /* (C,H,W); Keras's steps are its rows */
            return mn__model_fail(
                       m, MN_ERR_UNSUPPORTED,
                       "TimeDistributed \"%.60s\": its input is one picture; a picture's rows as steps are not supported",
                       name ? name : "?"),
                   -1;
    }
    if (flag && !json_is_boolean(flag))
        return mn__model_fail(m, MN_ERR_FORMAT, "%.60s: \"time_distributed\" wants true or false", class_name), -1;
    bool sequence = n_in == 1 && in[0] >= 0 && in[0] < m->n_layers && m->layer[in[0]]->shape.ndim == 2;
    bool dense_steps = form->keras && sequence && !strcmp(class_name, "Dense"); /* which Keras applies to the last dimension */
    mn_model_time_distributed(m, wrapped || dense_steps || json_is_true(flag));
    mn_sym x = json_layer(m, class_name, name, config, in, n_in, form);
    mn_model_time_distributed(m, false);
    return x;
}

/* ---- writing ---- */

static json_t *pair_json(const int *v) { return v[0] == v[1] ? json_integer(v[0]) : json_pack("[i,i]", v[0], v[1]); }

static json_t *shape_json(mn_shape s) {
    json_t *a = json_array();
    for (int i = 0; i < s.ndim; i++) json_array_append_new(a, json_integer(s.dim[mn__file_dim(s.ndim, i)]));
    return a;
}

static bool is_default(const mn__field *f, const char *p) {
    const int *v = (const int *)p;
    switch (f->kind) {
    case MN__AXIS:
    case MN__INT:
        return v[0] == (int)f->fallback;
    case MN__PAIR:
        return v[0] == (int)f->fallback && v[1] == (int)f->fallback;
    case MN__SIDES:
        return !v[0] && !v[1] && !v[2] && !v[3];
    case MN__REAL:
        return *(const double *)p == f->fallback;
    case MN__YES:
    case MN__NOT:
        return !*(const bool *)p;
    case MN__CELL:
        return *(const mn_cell_activation *)p == MN_CELL_TANH;
    case MN__GATE:
        return *(const mn_gate_activation *)p == MN_GATE_SIGMOID;
    case MN__PADDING:
        return *(const mn_padding *)p == MN_VALID;
    case MN__ACTIVATION:
        return *(const mn_activation *)p == MN_ACT_LINEAR;
    case MN__INIT:
        return *(const mn_init *)p == MN_INIT_DEFAULT;
    default:
        return false;
    }
}

static json_t *field_json(const mn__layer *l, const mn__field *f, const char *p, bool keras) {
    const int *v = (const int *)p;
    switch (f->kind) {
    case MN__INT:
        return json_integer(v[0]);
    case MN__PAIR:
        return keras ? json_pack("[i,i]", v[0], v[1]) : pair_json(v);
    case MN__SIDES:
        return json_pack("[[i,i],[i,i]]", v[0], v[1], v[2], v[3]);
    case MN__REAL:
        return json_real(*(const double *)p);
    case MN__YES:
        return json_boolean(*(const bool *)p);
    case MN__NOT:
        return json_boolean(!*(const bool *)p);
    case MN__CELL:
        return json_string(mn__cell_name(*(const mn_cell_activation *)p));
    case MN__GATE:
        return json_string(mn__gate_name(*(const mn_gate_activation *)p));
    case MN__PADDING:
        return json_string(*(const mn_padding *)p == MN_SAME ? "same" : "valid");
    case MN__ACTIVATION: {
        mn_activation a = *(const mn_activation *)p;
        return json_string(keras && a == MN_ACT_SILU ? "swish" : mn__activation_name(a));
    }
    case MN__INIT: {
        mn_init i = *(const mn_init *)p;
        return json_string(mn__init_name(keras && i == MN_INIT_DEFAULT ? MN_INIT_XAVIER_UNIFORM : i));
    }
    case MN__SHAPE:
        return shape_json(*(const mn_shape *)p);
    case MN__AXIS:
        return json_integer(mn__in_shape(l, 0).ndim == 3 ? (v[0] == 1 ? -1 : v[0] - 1) : v[0]);
    default:
        return NULL;
    }
}

json_t *mn__json_fields(const mn__layer *l, bool keras) {
    json_t *o = json_object();
    for (const mn__field *f = l->class->fields; o && f && f->kind; f++) {
        const char *p = (const char *)l->opt + f->at;
        if (!keras && is_default(f, p)) continue;
        if (json_object_set_new(o, f->key, field_json(l, f, p, keras))) {
            json_decref(o);
            return NULL;
        }
    }
    return o;
}

json_t *mn__json_parse(const char *what, const char *text, size_t length, mn_error *err) {
    json_error_t e;
    enum { LIMIT = 16 << 20 };
    if (length > LIMIT) return mn_fail(err, MN_ERR_FORMAT, "%s has %zu bytes; wanted at most %d", what, length, LIMIT), NULL;
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &e);
    if (!root) {
        bool memory = json_error_code(&e) == json_error_out_of_memory;
        return mn_fail(err, memory ? MN_ERR_MEMORY : MN_ERR_FORMAT, "%s, line %d, column %d: %s", what, e.line, e.column, e.text),
               NULL;
    }
    if (json_is_object(root)) return root;
    json_decref(root);
    return mn_fail(err, MN_ERR_FORMAT, "%s: wanted an object { ... }", what), NULL;
}
#endif
