/* A model as an ONNX file: graph, metadata, bytes. The layers are in layers.c. */
#include "data/onnx/write.h"
#if MN_HAVE_PROTOBUF
#include "data/formats/model_info.h"
#include <stdlib.h>
#include <string.h>

/* Written for the operators of opset 13 and read by everything that is newer. */
enum { IR_VERSION = 7, OPSET = 13 };

/* ---- heads ---- */

/* In the file a head of several classes gives probabilities. */
/* ---- the graph ---- */

static mn_status put_weights(mn__onnx_writer *w, const mn__layer *l) {
    for (int k = 0; k < l->n_weights; k++) {
        const mn__weight *v = &l->weight[k];
        float *theirs;
        if (v->absent) continue;
        char *name = mn__onnx_text(&w->b, "%s/%s", l->name, v->name);
        if (!mn__onnx_floats(&w->b, name, mn__onnx_weight_shape(l, k), &theirs)) return w->b.err->status;
        double *values = mn_alloc((size_t)v->t->count * (sizeof(double) + sizeof(float)));
        if (!values) return mn_fail(w->b.err, MN_ERR_MEMORY, "out of host memory for the weight \"%s\"", v->t->name);
        float *ours = (float *)(values + v->t->count);
        mn_status s = mn_get_f64(v->t, values);
        for (int64_t i = 0; i < v->t->count && s == MN_OK; i++) ours[i] = (float)values[i];
        if (s == MN_OK) mn__onnx_weight_order(l, k, ours, theirs, true);
        mn_free(values);
        if (s) return mn_fail(w->b.err, s, "%s", v->t->ctx->error.text);
        mn__little_endian(theirs, (size_t)mn_shape_count(mn__onnx_weight_shape(l, k)), sizeof *theirs);
    }
    return MN_OK;
}

static mn_status put_layer(mn__onnx_writer *w, mn_sym x) {
    mn__layer *l = w->m->layer[x];
    if (l->class == &mn__class_input) {
        w->out[x] = mn__onnx_text(&w->b, "%s", l->name);
        return w->b.err->status;
    }
    bool folded = l->each_step || l->class == &mn__class_conv_lstm2d;
    char *in[MN__MAX_LAYER_INPUTS + 1];
    mn_status s = put_weights(w, l);
    for (int k = 0; k < l->n_in && s == MN_OK; k++) in[k] = folded ? mn__onnx_folded(w, l->in[k]) : mn__onnx_tensor(w, l->in[k]);
    if (s == MN_OK) s = w->b.err->status;
    if (s == MN_OK) s = mn__onnx_layer(w, l, in);
    if (s) return s;
    bool head = mn__ends_in_softmax(w->m, w->info, x) && !l->each_step;
    char *name = mn__onnx_text(&w->b, "%s%s", l->name, head ? ":logits" : l->each_step ? ":steps" : "");
    if (!name) return w->b.err->status;
    w->b.last->output[0] = name;
    *(l->each_step ? &w->folded[x] : &w->out[x]) = name;
    if (!head) return MN_OK;
    name = mn__onnx_text(&w->b, "%s:softmax", l->name);
    if (!mn__onnx_node(&w->b, "Softmax", name ? name : "", mn__onnx_text(&w->b, "%s", l->name), (char *[]){w->out[x], NULL}))
        return w->b.err->status;
    mn__onnx_int(&w->b, "axis", -1);
    return w->b.err->status;
}

static mn_status put_values(mn__onnx_writer *w) {
    mn_model *m = w->m;
    Onnx__GraphProto *g = &w->b.graph;
    g->input = mn__onnx_room(&w->b, (size_t)m->n_inputs + 1, sizeof *g->input);
    g->output = mn__onnx_room(&w->b, (size_t)m->n_outputs + 1, sizeof *g->output);
    g->name = mn__onnx_text(&w->b, "%s", m->name);
    for (int i = 0; i < m->n_inputs && g->output; i++)
        if ((g->input[i] = mn__onnx_port(&w->b, (char *)mn_model_input_name(m, i), mn_model_input_shape(m, i)))) g->n_input++;
    for (int i = 0; i < m->n_outputs && g->output; i++)
        if ((g->output[i] = mn__onnx_port(&w->b, (char *)mn_model_output_name(m, i), mn_model_output_shape(m, i)))) g->n_output++;
    return w->b.err->status;
}

static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Layers may be called anything, also what the file calls a layer's weight or inner step. */
static mn_status check_names(mn__onnx_writer *w) {
    Onnx__GraphProto *g = &w->b.graph;
    size_t n = g->n_initializer + g->n_input, at = 0;
    for (size_t i = 0; i < g->n_node; i++) n += g->node[i]->n_output;
    char **name = mn__onnx_room(&w->b, n + 1, sizeof *name);
    if (!name) return w->b.err->status;
    for (size_t i = 0; i < g->n_initializer; i++) name[at++] = g->initializer[i]->name;
    for (size_t i = 0; i < g->n_input; i++) name[at++] = g->input[i]->name;
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; k < g->node[i]->n_output; k++) name[at++] = g->node[i]->output[k];
    qsort(name, n, sizeof *name, compare);
    for (size_t i = 1; i < n; i++)
        if (!strcmp(name[i - 1], name[i]))
            return mn_fail(w->b.err, MN_ERR_UNSUPPORTED,
                           "the name \"%.100s\" would stand for two tensors of the ONNX file; hint: "
                           "rename that layer",
                           name[i]);
    return MN_OK;
}

static mn_status put_graph(mn__onnx_writer *w) {
    mn_status s = MN_OK;
    for (mn_sym x = 0; x < w->m->n_layers && s == MN_OK; x++) s = put_layer(w, x);
    for (int i = 0; i < w->m->n_outputs && s == MN_OK; i++) s = mn__onnx_tensor(w, w->m->output[i]) ? MN_OK : w->b.err->status;
    if (s == MN_OK) s = put_values(w);
    return s ? s : check_names(w);
}

/* ---- metadata and bytes ---- */

typedef struct entries {
    mn__onnx_build *b;
    Onnx__ModelProto *model;
} entries;

static void put_entry(entries *e, const char *key, const char *value) {
    Onnx__StringStringEntryProto *p = value ? mn__onnx_room(e->b, 1, sizeof *p) : NULL;
    if (!p) return;
    onnx__string_string_entry_proto__init(p);
    p->key = (char *)key;
    p->value = mn__onnx_text(e->b, "%s", value);
    if (p->value) e->model->metadata_props[e->model->n_metadata_props++] = p;
}

static void put_metadata(entries *e, mn_model *m, const mn_model_info *info, uint64_t hash) {
    char text[32];
    e->model->metadata_props = mn__onnx_room(e->b, 8, sizeof *e->model->metadata_props);
    snprintf(text, sizeof text, "%d", MN__ONNX_VERSION);
    put_entry(e, "mien_version", text);
#if MN_HAVE_JSON
    char *network = mn_model_to_json(m, e->b->err), *about = info && network ? mn__info_write(info, e->b->err) : NULL;
    put_entry(e, "mien_network", network);
    put_entry(e, "mien_info", about);
    mn_free(network);
    mn_free(about);
#else
    (void)m;
#endif
    put_entry(e, "mien_training", info ? info->training : NULL);
    put_entry(e, "mien_card", info ? info->card : NULL);
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    put_entry(e, "mien_graph", text);
}

/* Messages that stand one behind the other in a file are one message: the graph, whose hash is among the metadata, is
 * packed by itself. */
static mn_status write_bytes(mn__onnx_writer *w, const char *path) {
    mn__onnx_build *b = &w->b;
    size_t size = onnx__graph_proto__get_packed_size(&b->graph), head = 0;
    uint8_t *bytes = size <= INT32_MAX ? mn__onnx_room(b, size + 16, 1) : NULL;
    if (size > INT32_MAX)
        return mn_fail(b->err, MN_ERR_UNSUPPORTED, "the model has %zu bytes; an ONNX file holds at most 2 GB", size);
    if (!bytes) return b->err->status;
    bytes[head++] = 7 << 3 | 2; /* field 7 of a ModelProto, a message of this length: */
    for (size_t n = size;; n >>= 7) {
        bytes[head++] = (uint8_t)(n < 128 ? n : n | 128);
        if (n < 128) break;
    }
    onnx__graph_proto__pack(&b->graph, bytes + head);
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT, *opsets[] = {&opset};
    opset.domain = (char *)"", opset.has_version = 1, opset.version = OPSET;
    model.has_ir_version = 1, model.ir_version = IR_VERSION;
    model.producer_name = (char *)"mien";
    model.opset_import = opsets, model.n_opset_import = 1;
    put_metadata(&(entries){b, &model}, w->m, w->info, mn__hash64(bytes + head, size));
    size_t rest = onnx__model_proto__get_packed_size(&model);
    uint8_t *about = mn__onnx_room(b, rest + 1, 1);
    if (!about) return b->err->status;
    onnx__model_proto__pack(&model, about);
    mn__replace r;
    mn_status s = mn__replace_begin(&r, path, b->err);
    if (s) return s;
    if (fwrite(about, 1, rest, r.f) == rest && fwrite(bytes, 1, head + size, r.f) == head + size)
        return mn__replace_commit(&r, b->err);
    mn__replace_abort(&r);
    return mn_fail(b->err, MN_ERR_IO, "%s: cannot be written; hint: is the disk full?", path);
}

mn_status mn__onnx_save(mn_model *m, const mn_model_info *info, const char *path, mn_error *err) {
    if (m->status || !m->built) return mn_fail(err, MN_ERR_ARG, "the model \"%s\" is not built: it cannot be saved", m->name);
    if (m->folded)
        return mn_fail(err, MN_ERR_ARG,
                       "the model \"%s\" has its batch normalisation folded away: it cannot be saved as it was; "
                       "hint: save before folding",
                       m->name);
    mn__onnx_writer w = {.m = m, .info = info};
    mn__onnx_build_begin(&w.b, err);
    w.out = mn__onnx_room(&w.b, (size_t)m->n_layers + 1, sizeof *w.out);
    w.folded = mn__onnx_room(&w.b, (size_t)m->n_layers + 1, sizeof *w.folded);
    mn_status s = w.folded ? put_graph(&w) : err->status;
    if (s == MN_OK) s = write_bytes(&w, path);
    mn__onnx_build_end(&w.b);
    return s;
}

#else
mn_status mn__onnx_save(mn_model *m, const mn_model_info *info, const char *path, mn_error *err) {
    (void)m, (void)info, (void)path;
    return mn__onnx_missing(err);
}
#endif

mn_status mn__onnx_missing(mn_error *err) {
    return mn_fail(err, MN_ERR_UNSUPPORTED,
                   "this mien was built without protobuf-c: it has no ONNX files; hint: install "
                   "libprotobuf-c-dev and protobuf-c-compiler and build again");
}
