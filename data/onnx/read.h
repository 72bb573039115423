/* Reading an ONNX graph. Only for data/onnx/.
 *
 * Every tensor of the graph is a value: a constant, or the output of a layer. ONNX counts the batch as a dimension like
 * others and moves dimensions freely; a layer's output has its batch first. So a value of the second kind says how the
 * file sees the layer's numbers: as which shape, in which order. Reshape, Squeeze and Transpose change that alone, and
 * only an operator that needs another order than the layer's makes a layer of it. */
#ifndef MIEN_DATA_ONNX_READ_H
#define MIEN_DATA_ONNX_READ_H
#include "data/onnx/onnx.h"

#if MN_HAVE_PROTOBUF
#define MN__ONNX_MAX_NODES 65536
#define MN__ONNX_MAX_RANK 8
#define MN__ONNX_BATCH (-9007199254740992.0) /* in shapes: the number of samples, which is free */

typedef struct mn__onnx_value {
    const char *name;
    int readers;                                                                           /* nodes that take it */
    enum { MN__ONNX_NOTHING = 0, MN__ONNX_CONSTANT, MN__ONNX_LAYER, MN__ONNX_ZEROS } kind; /* zeros: of any shape */
    /* constants */
    const Onnx__TensorProto *tensor; /* an initializer that is not read yet, or NULL: */
    double *number;
    bool whole; /* integers */
    int rank;
    int64_t dim[MN__ONNX_MAX_RANK];
    /* layers: dimension d of the tensor is dimension order[d] of (N, view[0], view[1], ...) */
    mn_sym x;
    mn_shape view; /* of the layer's numbers, without N */
    int order[MN_MAX_DIMS + 1];
    bool flat; /* seen as (N, all others in one), after `order` */
    int erf;   /* a part of the formula of Gelu (onnx_activation.c) */
} mn__onnx_value;

/* Numbers for a weight of a layer, kept until the model is built. */
typedef struct mn__onnx_pending {
    mn_sym x;
    int weight;
    double *number;
} mn__onnx_pending;

typedef struct mn__onnx_reader {
    mn_context *c;
    mn_model *m;
    const Onnx__GraphProto *graph;
    const Onnx__NodeProto *node; /* at work */
    int64_t opset, batch;        /* batch: what the file says, 0 when it is free */
    mn__onnx_value *value;
    uint32_t *slot; /* a hash table: number of the value + 1, or 0 */
    size_t n_values, room, slots;
    mn__onnx_pending *pending;
    size_t n_pending, pending_room;
    double **owned; /* arrays of constants */
    size_t n_owned, owned_room;
    size_t budget; /* bytes that constants may still take: a multiple of the file's size */
    mn_error *err;
} mn__onnx_reader;

/* ---- the reader (import.c) ---- */

/* The network that the graph describes, its weights not yet set (mn__onnx_fill). */
mn_model *mn__onnx_import(mn__onnx_reader *r);
mn_status mn__onnx_fill(mn__onnx_reader *r);
void mn__onnx_reader_end(mn__onnx_reader *r);
/* Fails with: Conv "name": <sentence>. */
mn_status mn__onnx_fail(mn__onnx_reader *r, mn_status status, const char *format, ...) MN_PRINTF(3, 4);
mn__onnx_value *mn__onnx_find(mn__onnx_reader *r, const char *name);
/* Input or output i of the node at work; NULL when it is not given. */
mn__onnx_value *mn__onnx_in(mn__onnx_reader *r, size_t i);
mn__onnx_value *mn__onnx_out(mn__onnx_reader *r, size_t i);
/* The same, failing unless it is a constant, or a layer's output. */
mn__onnx_value *mn__onnx_constant(mn__onnx_reader *r, size_t i);
mn__onnx_value *mn__onnx_activation(mn__onnx_reader *r, size_t i);
/* Is output 0 of the node at work one of the graph, and read by no node? */
bool mn__onnx_is_final(mn__onnx_reader *r);
/* A name for a layer that the node becomes: after its weight "conv1.weight" (or NULL), the node, or its output. */
const char *mn__onnx_layer_name(mn__onnx_reader *r, const mn__onnx_value *weight);
/* Output 0 becomes layer x's, seen as it is. */
mn_status mn__onnx_give(mn__onnx_reader *r, mn_sym x);
/* Output 0 becomes layer x's, seen as v's is; x has v's view. */
mn_status mn__onnx_give_like(mn__onnx_reader *r, mn_sym x, const mn__onnx_value *v);

/* ---- attributes (onnx_attribute.c) ---- */

const Onnx__AttributeProto *mn__onnx_attribute(const mn__onnx_reader *r, const char *name);
int64_t mn__onnx_get_int(const mn__onnx_reader *r, const char *name, int64_t otherwise);
double mn__onnx_get_real(const mn__onnx_reader *r, const char *name, double otherwise);
/* Is the text of that name `word`? A missing one is `otherwise`. */
bool mn__onnx_is_word(const mn__onnx_reader *r, const char *name, const char *word, const char *otherwise);
/* n numbers from 0 to 65536, or `otherwise` each. */
mn_status mn__onnx_get_ints(mn__onnx_reader *r, const char *name, int n, int otherwise, int *out);
/* A list of whole numbers: an attribute in old files, input i in new ones. *n is -1 when there is none. */
mn_status mn__onnx_list(mn__onnx_reader *r, const char *name, size_t i, int64_t *out, int *n);

/* ---- constants (constant.c) ---- */

mn_status mn__onnx_constant_set(mn__onnx_reader *r, mn__onnx_value *v, const Onnx__TensorProto *t);
int64_t mn__onnx_count(const mn__onnx_value *v);
/* The numbers of a constant, which the reader keeps; NULL after a failure. */
const double *mn__onnx_numbers(mn__onnx_reader *r, mn__onnx_value *v);
/* A copy for the caller, which frees it by mn_free or gives it to mn__onnx_set_weight. */
double *mn__onnx_numbers_copy(mn__onnx_reader *r, mn__onnx_value *v);
double *mn__onnx_new_numbers(mn__onnx_reader *r, int64_t count);
/* v becomes the constant of rank 0 or 1 that holds these n numbers; takes them. */
mn_status mn__onnx_constant_own(mn__onnx_reader *r, mn__onnx_value *v, bool whole, int rank, int64_t n, double *number);
/* Weight k of layer x will have these `count` numbers; takes them. */
mn_status mn__onnx_set_weight(mn__onnx_reader *r, mn_sym x, int k, double *number, int64_t count);
/* The operators among constants; MN_ERR_UNSUPPORTED without a sentence when it is none of them. */
bool mn__onnx_is_constant_node(mn__onnx_reader *r);
mn_status mn__onnx_fold(mn__onnx_reader *r);

/* ---- shapes and orders (onnx_view.c) ---- */

/* The tensor's dimensions as the file counts them; MN__ONNX_BATCH for the batch. Returns how many. */
int mn__onnx_dims(const mn__onnx_value *v, double *dim);
int mn__onnx_rank(const mn__onnx_value *v);
/* A negative axis counts from the end; -1 after a failure. */
int mn__onnx_axis(mn__onnx_reader *r, int64_t axis, int rank);
/* The layer whose output has the view as its shape (a Reshape is added where there is none). */
mn_sym mn__onnx_stored(mn__onnx_reader *r, mn__onnx_value *v);
/* The layer whose output is the tensor as the file counts it, with `ndim` dimensions without N (0: any). */
mn_sym mn__onnx_plain(mn__onnx_reader *r, mn__onnx_value *v, int ndim);
/* Brings values to one order; false: they are not alike, and all are made plain. */
mn_status mn__onnx_align(mn__onnx_reader *r, mn__onnx_value **v, size_t n);
mn_status mn__onnx_reshape(mn__onnx_reader *r);
mn_status mn__onnx_flatten(mn__onnx_reader *r);
mn_status mn__onnx_transpose(mn__onnx_reader *r);
mn_status mn__onnx_squeeze(mn__onnx_reader *r);
mn_status mn__onnx_unsqueeze(mn__onnx_reader *r);
/* Takes a dimension of 1 out of the view. */
void mn__onnx_remove_dim(mn__onnx_value *v, int d);
/* place[j]: where the layer has feature j of the tensor (N,F); NULL: at j. The caller frees it. */
mn_status mn__onnx_feature_places(mn__onnx_reader *r, const mn__onnx_value *v, int64_t **place);

/* ---- operators ---- */

typedef mn_status mn__onnx_op(mn__onnx_reader *r);
#define OP(name, function) mn__onnx_op function;
#include "data/onnx/ops.def"
#undef OP
/* The sum (+), difference (-) or product (*) of the inputs, none of them constant. */
mn_status mn__onnx_join(mn__onnx_reader *r, char op);
/* The next part of Gelu's formula, where a or b is one of its parts. */
mn_status mn__onnx_erf_part(mn__onnx_reader *r, mn__onnx_value *a, mn__onnx_value *b, char op);
#endif
#endif
