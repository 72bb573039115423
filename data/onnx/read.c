/* An ONNX file as a model: bytes, versions, metadata, and mien's own description of the layers where it still holds. */
#include "data/onnx/read.h"

#if MN_HAVE_PROTOBUF
#include "data/formats/model_info.h"
#include "layers/json.h"
#include <stdlib.h>
#include <string.h>

enum { MIN_OPSET = 7, MAX_OPSET = 26 };

/* ---- messages ---- */

/* Memory for the messages is bounded by the file's size: an empty message of two bytes takes a hundred. */
typedef struct room {
    size_t left;
    bool spent, out; /* the bound was met; there was no memory */
} room;

static void *take(void *data, size_t size) {
    room *m = data;
    if (size > m->left) return m->spent = true, NULL;
    m->left -= size;
    void *p = mn_alloc(size);
    if (!p) m->out = true;
    return p;
}

static void give(void *data, void *p) {
    (void)data;
    mn_free(p);
}

static mn_status unpack(const uint8_t *bytes, size_t size, ProtobufCAllocator *allocator, Onnx__ModelProto **out, mn_error *err) {
    enum { SOME = 16 << 20, TIMES = 8 };
    room *m = allocator->allocator_data;
    m->left = SOME + TIMES * size;
    *out = onnx__model_proto__unpack(allocator, size, bytes);
    if (*out && (*out)->graph) return MN_OK;
    if (m->out) return mn_fail(err, MN_ERR_MEMORY, "out of host memory for the ONNX file");
    return mn_fail(err, MN_ERR_FORMAT, "is not an ONNX file, or a damaged one%s",
                   m->spent ? " (it wants many times its size of memory)"
                   : *out   ? " (it has no graph)"
                            : "");
}

/* A number of at most ten bytes, seven bits each. */
static bool varint(const uint8_t **p, const uint8_t *end, uint64_t *out) {
    *out = 0;
    for (int shift = 0; shift < 70 && *p < end; shift += 7) {
        uint8_t byte = *(*p)++;
        if (shift < 64) *out |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return true;
    }
    return false;
}

/* The hash of the bytes of the graph, field 7 of the file's message; 0 unless there is exactly one. */
static uint64_t graph_hash(const uint8_t *p, size_t size) {
    const uint8_t *end = p + size;
    uint64_t hash = 0, tag, n;
    while (p < end) {
        if (!varint(&p, end, &tag)) return 0;
        switch (tag & 7) {
        case 0:
            if (!varint(&p, end, &n)) return 0;
            break;
        case 2:
            if (!varint(&p, end, &n) || n > (uint64_t)(end - p)) return 0;
            if (tag >> 3 == 7) {
                if (hash) return 0;
                hash = mn__hash64(p, (size_t)n);
            }
            p += n;
            break;
        default:
            return 0; /* no such field in what mien writes */
        }
    }
    return hash;
}

/* ---- metadata ---- */

static const char *entry(const Onnx__ModelProto *model, const char *key) {
    for (size_t i = 0; i < model->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *e = model->metadata_props[i];
        if (e->key && e->value && !strcmp(e->key, key)) return e->value;
    }
    return NULL;
}

static mn_status check_versions(const Onnx__ModelProto *model, int64_t *opset, mn_error *err) {
    const char *own = entry(model, "mien_version");
    char *end;
    long version = own ? strtol(own, &end, 10) : MN__ONNX_VERSION;
    if (own && (end == own || *end)) return mn_fail(err, MN_ERR_FORMAT, "mien_version is \"%.20s\"; wanted a number", own);
    if (version < 1 || version > MN__ONNX_VERSION)
        return mn_fail(err, MN_ERR_UNSUPPORTED, "the file has version %ld, this mien knows versions 1 to %d; hint: a newer mien",
                       version, MN__ONNX_VERSION);
    *opset = 0;
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *o = model->opset_import[i];
        if (!o->domain || !*o->domain || !strcmp(o->domain, "ai.onnx")) *opset = o->version;
    }
    if (*opset >= MIN_OPSET && *opset <= MAX_OPSET) return MN_OK;
    return mn_fail(err, MN_ERR_UNSUPPORTED, "the file uses operators of opset %lld; this mien knows %d to %d", (long long)*opset,
                   MIN_OPSET, MAX_OPSET);
}

static mn_status copy_entry(const Onnx__ModelProto *model, const char *key, char **out, mn_error *err) {
    const char *text = entry(model, key);
    if (text && !(*out = mn_strdup(text))) return mn_fail(err, MN_ERR_MEMORY, "out of host memory for %s", key);
    return MN_OK;
}

static mn_status read_info(const Onnx__ModelProto *model, const mn_model *m, mn_model_info *info, mn_error *err) {
    mn_status s;
#if MN_HAVE_JSON
    const char *text = entry(model, "mien_info");
    s = text ? mn__info_read(text, m, info, err) : mn__info_default(m, info, err);
#else
    s = mn__info_default(m, info, err);
#endif
    if (s == MN_OK) s = copy_entry(model, "mien_training", &info->training, err);
    if (s == MN_OK) s = copy_entry(model, "mien_card", &info->card, err);
    if (s) mn_model_info_free(info);
    return s;
}

/* ---- mien's own files ---- */

#if MN_HAVE_JSON
static const Onnx__TensorProto *tensor_named(const Onnx__GraphProto *g, const char *name) {
    for (size_t i = 0; i < g->n_initializer; i++)
        if (g->initializer[i]->name && !strcmp(g->initializer[i]->name, name)) return g->initializer[i];
    return NULL;
}

/* The tensor of weight k of layer l, if it is what mien wrote. */
static const Onnx__TensorProto *weight_tensor(const Onnx__GraphProto *g, const mn__layer *l, int k) {
    char name[2 * MN__MAX_NAME];
    snprintf(name, sizeof name, "%s/%s", l->name, l->weight[k].name);
    const Onnx__TensorProto *t = tensor_named(g, name);
    mn_shape s = mn__onnx_weight_shape(l, k);
    if (!t || t->data_type != MN__ONNX_FLOAT || t->n_dims != (size_t)s.ndim || !t->has_raw_data ||
        t->raw_data.len != (size_t)mn_shape_count(s) * sizeof(float))
        return NULL;
    for (int i = 0; i < s.ndim; i++)
        if (t->dims[i] != s.dim[i]) return NULL;
    return t;
}

static mn_status set_own_weight(const mn__layer *l, int k, const Onnx__TensorProto *t, mn_error *err) {
    int64_t count = l->weight[k].t->count, theirs = mn_shape_count(mn__onnx_weight_shape(l, k));
    double *values = mn_alloc((size_t)count * (sizeof *values + sizeof(float)) + (size_t)theirs * sizeof(float));
    if (!values) return mn_fail(err, MN_ERR_MEMORY, "out of host memory for the weight \"%s\"", l->weight[k].t->name);
    float *ours = (float *)(values + count), *file = ours + count;
    memcpy(file, t->raw_data.data, (size_t)theirs * sizeof *file);
    mn__little_endian(file, (size_t)theirs, sizeof *file);
    mn__onnx_weight_order(l, k, ours, file, false);
    for (int64_t i = 0; i < count; i++) values[i] = ours[i];
    mn_status s = mn_set_f64(l->weight[k].t, values);
    mn_free(values);
    return s ? mn_fail(err, s, "%s", l->weight[k].t->ctx->error.text) : MN_OK;
}

/* The layers as mien wrote them; NULL without a sentence when the file is not, or no more, as mien wrote it. */
static mn_model *own_model(mn_context *c, const Onnx__ModelProto *model, uint64_t hash, mn_error *err) {
    const char *network = entry(model, "mien_network"), *mark = entry(model, "mien_graph");
    char text[32];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    if (!network || !mark || strcmp(mark, text) || model->graph->n_initializer > MN__ONNX_MAX_NODES / 2) return NULL;
    mn_model *m = mn__model_parse(c, network, strlen(network), NULL);
    if (c->error.status == MN_ERR_MEMORY) return mn_fail(err, MN_ERR_MEMORY, "%s", c->error.text), NULL;
    bool fits = m != NULL;
    for (int i = 0; fits && i < m->n_layers; i++)
        for (int k = 0; k < m->layer[i]->n_weights && fits; k++)
            fits = m->layer[i]->weight[k].absent || weight_tensor(model->graph, m->layer[i], k);
    if (!fits) {
        mn_error_clear(&c->error);
        return NULL;
    }
    if (mn_model_build(m)) return mn_fail(err, c->error.status, "%s", c->error.text), NULL;
    for (int i = 0; i < m->n_layers; i++)
        for (int k = 0; k < m->layer[i]->n_weights; k++)
            if (!m->layer[i]->weight[k].absent &&
                set_own_weight(m->layer[i], k, weight_tensor(model->graph, m->layer[i], k), err))
                return NULL;
    return m;
}
#else
static mn_model *own_model(mn_context *c, const Onnx__ModelProto *model, uint64_t hash, mn_error *err) {
    (void)c, (void)model, (void)hash, (void)err;
    return NULL;
}
#endif

/* ---- foreign files ---- */

static mn_model *foreign_model(mn_context *c, const Onnx__ModelProto *model, int64_t opset, size_t size, mn_error *err) {
    enum { SOME = 16 << 20, TIMES = 16 };
    mn__onnx_reader r = {.c = c, .graph = model->graph, .opset = opset, .budget = SOME + TIMES * size, .err = err};
    mn_model *m = mn__onnx_import(&r);
    if (m && mn_model_build(m)) mn_fail(err, c->error.status, "%s", c->error.text), m = NULL;
    if (m && mn__onnx_fill(&r)) m = NULL;
    mn__onnx_reader_end(&r);
    return m;
}

mn_model *mn__onnx_decode(mn_context *c, const uint8_t *bytes, size_t size, bool own_layers, mn_model_info *info, mn_error *err) {
    *info = (mn_model_info){0};
    room memory = {0};
    ProtobufCAllocator allocator = {take, give, &memory};
    Onnx__ModelProto *model = NULL;
    int64_t opset = 0;
    mn_model *m = NULL;
    if (unpack(bytes, size, &allocator, &model, err) == MN_OK && check_versions(model, &opset, err) == MN_OK) {
        if (own_layers) m = own_model(c, model, graph_hash(bytes, size), err);
        if (!m && !err->status) m = foreign_model(c, model, opset, size, err);
        if (m && read_info(model, m, info, err)) m = NULL;
    }
    if (model) onnx__model_proto__free_unpacked(model, &allocator);
    return m;
}

#else
mn_model *mn__onnx_decode(mn_context *c, const uint8_t *bytes, size_t size, bool own_layers, mn_model_info *info, mn_error *err) {
    (void)c, (void)bytes, (void)size, (void)own_layers, (void)info;
    mn__onnx_missing(err);
    return NULL;
}
#endif
