/* The inside of ONNX files (docs/onnx.md). Only for data/onnx/ and their tests. */
#ifndef MIEN_DATA_ONNX_H
#define MIEN_DATA_ONNX_H
#include "data/internal.h"
#include "layers/internal.h"

#define MN__ONNX_VERSION 1 /* of mien's own entries among the metadata */

/* Writes m as an ONNX file; heads of several classes end in a softmax, as in Keras files. */
mn_status mn__onnx_save(mn_model *m, const mn_model_info *info, const char *path, mn_error *err);
/* A new, built model. `own_layers`: where mien wrote the file and its graph is unchanged, the layers come from mien's
 * description of them; else, and always without it, from the graph. */
mn_model *mn__onnx_decode(mn_context *c, const uint8_t *bytes, size_t size, bool own_layers, mn_model_info *info, mn_error *err);
/* Says which package this build lacks. */
mn_status mn__onnx_missing(mn_error *err);

#if MN_HAVE_PROTOBUF
#include "onnx.pb-c.h"

enum {
    MN__ONNX_FLOAT = 1,
    MN__ONNX_UINT8 = 2,
    MN__ONNX_INT8 = 3,
    MN__ONNX_INT32 = 6,
    MN__ONNX_INT64 = 7,
    MN__ONNX_BOOL = 9,
    MN__ONNX_FLOAT16 = 10,
    MN__ONNX_DOUBLE = 11
};

/* ---- weights (onnx_weight.c) -------------------------------------------------------------------------
 * Kernels of convolutions and dense layers lie in ONNX as they do here. An LSTM's differ: its gates stand in the order
 * i, o, f, c (here i, f, c, o), a dimension for directions comes first, and the bias is two, of which the second is 0. */
mn_shape mn__onnx_weight_shape(const mn__layer *l, int k);
/* `ours` holds the weight's numbers, `theirs` those of mn__onnx_weight_shape. */
void mn__onnx_weight_order(const mn__layer *l, int k, float *ours, float *theirs, bool to_onnx);

/* ---- building a graph (onnx_build.c) ------------------------------------------------------------------
 * Everything lies in blocks that mn__onnx_build_end frees together. After a failure, which err holds, calls do nothing
 * and give NULL. */
typedef struct mn__onnx_build {
    Onnx__GraphProto graph;
    Onnx__NodeProto *last; /* the node made last */
    size_t node_room, tensor_room;
    struct mn__onnx_block *blocks;
    mn_error *err;
} mn__onnx_build;

void mn__onnx_build_begin(mn__onnx_build *b, mn_error *err);
void mn__onnx_build_end(mn__onnx_build *b);
void *mn__onnx_room(mn__onnx_build *b, size_t count, size_t size); /* zeroed */
char *mn__onnx_text(mn__onnx_build *b, const char *format, ...) MN_PRINTF(2, 3);
/* A node of one output, which is returned. `in` is ended by NULL. */
char *mn__onnx_node(mn__onnx_build *b, const char *op, const char *name, char *output, char *const *in);
/* Attributes of the last node. */
void mn__onnx_int(mn__onnx_build *b, const char *name, int64_t value);
void mn__onnx_ints(mn__onnx_build *b, const char *name, const int64_t *value, int n);
void mn__onnx_real(mn__onnx_build *b, const char *name, double value);
void mn__onnx_word(mn__onnx_build *b, const char *name, const char *value);
void mn__onnx_words(mn__onnx_build *b, const char *name, const char *const *value, int n);
/* The last node gets another output beside the first. */
void mn__onnx_more_outputs(mn__onnx_build *b, char *const *output, int n);
/* Constants; their names are returned. The numbers of mn__onnx_floats are to be filled in by the caller. */
char *mn__onnx_shape(mn__onnx_build *b, char *name, const int64_t *value, int n);
char *mn__onnx_floats(mn__onnx_build *b, char *name, mn_shape shape, float **numbers);
char *mn__onnx_float(mn__onnx_build *b, char *name, double value);
Onnx__ValueInfoProto *mn__onnx_port(mn__onnx_build *b, char *name, mn_shape sample);
#endif
#endif
