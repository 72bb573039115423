/* A graph of ONNX messages, built node by node. */
#include "data/onnx/onnx.h"
#if MN_HAVE_PROTOBUF
#include <stdarg.h>
#include <string.h>

typedef struct mn__onnx_block {
    struct mn__onnx_block *next;
    _Alignas(16) char bytes[];
} block;

void mn__onnx_build_begin(mn__onnx_build *b, mn_error *err) {
    *b = (mn__onnx_build){.err = err};
    onnx__graph_proto__init(&b->graph);
}

void mn__onnx_build_end(mn__onnx_build *b) {
    for (block *p = b->blocks, *next; p; p = next) {
        next = p->next;
        mn_free(p);
    }
    *b = (mn__onnx_build){0};
}

void *mn__onnx_room(mn__onnx_build *b, size_t count, size_t size) {
    if (b->err->status) return NULL;
    block *p = mn_alloc_zero(1, sizeof *p + count * size);
    if (!p) return mn_fail(b->err, MN_ERR_MEMORY, "out of host memory for the ONNX graph"), NULL;
    p->next = b->blocks;
    b->blocks = p;
    return p->bytes;
}

char *mn__onnx_text(mn__onnx_build *b, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *text = mn__onnx_room(b, (size_t)n + 1, 1);
    if (text) vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

/* Room for one more pointer in a list of n that has room for *room. */
static bool grow(mn__onnx_build *b, void *list, size_t n, size_t *room) {
    void **old = *(void ***)list;
    if (n < *room) return true;
    void **p = mn__onnx_room(b, *room ? 2 * *room : 64, sizeof *p);
    if (!p) return false;
    if (n) memcpy(p, old, n * sizeof *p);
    *room = *room ? 2 * *room : 64;
    *(void ***)list = p;
    return true;
}

char *mn__onnx_node(mn__onnx_build *b, const char *op, const char *name, char *output, char *const *in) {
    enum { MAX_ATTRIBUTES = 8 };
    size_t n_in = 0;
    while (in[n_in]) n_in++;
    Onnx__NodeProto *n = mn__onnx_room(b, 1, sizeof *n);
    char **list = mn__onnx_room(b, n_in + 1, sizeof *list);
    Onnx__AttributeProto **attributes = mn__onnx_room(b, MAX_ATTRIBUTES, sizeof *attributes);
    char **outputs = mn__onnx_room(b, 1, sizeof *outputs);
    if (!outputs || !output || !grow(b, &b->graph.node, b->graph.n_node, &b->node_room)) return NULL;
    onnx__node_proto__init(n);
    n->op_type = mn__onnx_text(b, "%s", op);
    n->name = mn__onnx_text(b, "%s", name);
    memcpy(list, in, n_in * sizeof *list);
    outputs[0] = output;
    n->input = list, n->n_input = n_in, n->output = outputs, n->n_output = 1, n->attribute = attributes;
    b->graph.node[b->graph.n_node++] = b->last = n;
    return b->err->status ? NULL : output;
}

void mn__onnx_more_outputs(mn__onnx_build *b, char *const *output, int n) {
    char **list = mn__onnx_room(b, (size_t)n + 1, sizeof *list);
    if (!list) return;
    list[0] = b->last->output[0];
    memcpy(list + 1, output, (size_t)n * sizeof *list);
    b->last->output = list, b->last->n_output = (size_t)n + 1;
}

/* ---- attributes ---- */

static Onnx__AttributeProto *attribute(mn__onnx_build *b, const char *name, int type) {
    Onnx__AttributeProto *a = mn__onnx_room(b, 1, sizeof *a);
    char *copy = mn__onnx_text(b, "%s", name);
    if (!copy) return NULL;
    onnx__attribute_proto__init(a);
    a->name = copy, a->has_type = 1, a->type = type;
    b->last->attribute[b->last->n_attribute++] = a; /* of MAX_ATTRIBUTES: no node here has more than six */
    return a;
}

void mn__onnx_int(mn__onnx_build *b, const char *name, int64_t value) {
    Onnx__AttributeProto *a = attribute(b, name, 2);
    if (a) a->has_i = 1, a->i = value;
}

void mn__onnx_real(mn__onnx_build *b, const char *name, double value) {
    Onnx__AttributeProto *a = attribute(b, name, 1);
    if (a) a->has_f = 1, a->f = (float)value;
}

void mn__onnx_word(mn__onnx_build *b, const char *name, const char *value) {
    Onnx__AttributeProto *a = attribute(b, name, 3);
    char *copy = mn__onnx_text(b, "%s", value);
    if (copy) a->has_s = 1, a->s = (ProtobufCBinaryData){strlen(copy), (uint8_t *)copy};
}

void mn__onnx_words(mn__onnx_build *b, const char *name, const char *const *value, int n) {
    Onnx__AttributeProto *a = attribute(b, name, 8);
    ProtobufCBinaryData *list = mn__onnx_room(b, (size_t)n, sizeof *list);
    for (int i = 0; i < n && list; i++) {
        char *copy = mn__onnx_text(b, "%s", value[i]);
        if (copy) list[i] = (ProtobufCBinaryData){strlen(copy), (uint8_t *)copy};
    }
    if (list) a->strings = list, a->n_strings = (size_t)n;
}

void mn__onnx_ints(mn__onnx_build *b, const char *name, const int64_t *value, int n) {
    Onnx__AttributeProto *a = attribute(b, name, 7);
    int64_t *copy = mn__onnx_room(b, (size_t)n + 1, sizeof *copy);
    if (!copy) return;
    memcpy(copy, value, (size_t)n * sizeof *copy);
    a->ints = copy, a->n_ints = (size_t)n;
}

/* ---- constants ---- */

static Onnx__TensorProto *constant(mn__onnx_build *b, char *name, int type, const int64_t *dim, int ndim, size_t bytes) {
    Onnx__TensorProto *t = mn__onnx_room(b, 1, sizeof *t);
    int64_t *dims = mn__onnx_room(b, (size_t)ndim + 1, sizeof *dims);
    uint8_t *raw = mn__onnx_room(b, bytes + 1, 1);
    if (!raw || !name || !grow(b, &b->graph.initializer, b->graph.n_initializer, &b->tensor_room)) return NULL;
    onnx__tensor_proto__init(t);
    memcpy(dims, dim, (size_t)ndim * sizeof *dims);
    t->name = name, t->dims = dims, t->n_dims = (size_t)ndim;
    t->has_data_type = 1, t->data_type = type;
    t->has_raw_data = 1, t->raw_data = (ProtobufCBinaryData){bytes, raw};
    b->graph.initializer[b->graph.n_initializer++] = t;
    return t;
}

char *mn__onnx_shape(mn__onnx_build *b, char *name, const int64_t *value, int n) {
    int64_t count = n;
    Onnx__TensorProto *t = constant(b, name, MN__ONNX_INT64, &count, 1, (size_t)n * 8);
    for (int i = 0; t && i < 8 * n; i++) t->raw_data.data[i] = (uint8_t)((uint64_t)value[i / 8] >> 8 * (i % 8));
    return t ? name : NULL;
}

char *mn__onnx_floats(mn__onnx_build *b, char *name, mn_shape shape, float **numbers) {
    size_t bytes = (size_t)mn_shape_count(shape) * sizeof **numbers;
    Onnx__TensorProto *t = constant(b, name, MN__ONNX_FLOAT, shape.dim, shape.ndim, bytes);
    *numbers = t ? (float *)t->raw_data.data : NULL; /* a block is aligned; the machine is little-endian (write.c) */
    return t ? name : NULL;
}

char *mn__onnx_float(mn__onnx_build *b, char *name, double value) {
    float *p;
    if (!mn__onnx_floats(b, name, (mn_shape){0}, &p)) return NULL;
    *p = (float)value;
    mn__little_endian(p, 1, sizeof *p);
    return name;
}

Onnx__ValueInfoProto *mn__onnx_port(mn__onnx_build *b, char *name, mn_shape sample) {
    Onnx__ValueInfoProto *v = mn__onnx_room(b, 1, sizeof *v);
    Onnx__TypeProto *type = mn__onnx_room(b, 1, sizeof *type);
    Onnx__TypeProto__Tensor *tensor = mn__onnx_room(b, 1, sizeof *tensor);
    Onnx__TensorShapeProto *shape = mn__onnx_room(b, 1, sizeof *shape);
    size_t n = (size_t)sample.ndim + 1;
    Onnx__TensorShapeProto__Dimension **list = mn__onnx_room(b, n, sizeof *list), *dim = mn__onnx_room(b, n, sizeof *dim);
    if (!dim) return NULL;
    onnx__value_info_proto__init(v);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    onnx__tensor_shape_proto__init(shape);
    for (size_t i = 0; i < n; i++) {
        onnx__tensor_shape_proto__dimension__init(list[i] = &dim[i]);
        if (i) dim[i].has_dim_value = 1, dim[i].dim_value = sample.dim[i - 1];
    }
    list[0]->dim_param = mn__onnx_text(b, "N");
    shape->dim = list, shape->n_dim = n;
    tensor->has_elem_type = 1, tensor->elem_type = MN__ONNX_FLOAT, tensor->shape = shape;
    type->tensor_type = tensor;
    v->name = name, v->type = type;
    return v;
}
#endif
