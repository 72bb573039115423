/* The inside of mn_model_export_c: a list of calls of the kernels in data/export_c/kernels.c. Only for data/.
 *
 * The network is walked in the order of its layers. Every layer becomes C text, in which "@3" is where buffer 3
 * lies; which buffers live together is read from that text, and then each gets its place in the arena. Numbers lie
 * as in a Keras file: images are (height, width, channels), and rows of features count them so. */
#ifndef MIEN_DATA_EXPORT_C_H
#define MIEN_DATA_EXPORT_C_H
#include "data/internal.h"
#include "data/formats/model_config.h"
#include "data/formats/model_info.h"

/* Text that grows; `failed` when there was no memory for it. */
typedef struct mn__growing {
    char *text;
    size_t used, capacity;
    bool failed;
} mn__growing;
void mn__grow(mn__growing *g, const char *format, ...) MN_PRINTF(2, 3);

typedef struct mn__numbers {
    float *at;
    int64_t n, capacity;
} mn__numbers;

typedef struct mn__export {
    const mn_model *m;
    const mn_model_info *info;
    const mn_export_c_opt *opt;
    mn_error *err;
    mn__orders orders;
    mn__growing calls;      /* one piece a layer, each begun by NEW_CALL */
    mn__growing first_call; /* what the first call prepares */
    int64_t points;         /* weights at Winograd's points, made by the first call */
    mn__numbers weights;    /* kernels: floats, or whole numbers -127..127 */
    mn__numbers numbers;    /* biases and scales */
    int *buffer;            /* of each layer's output */
    mn_sym *absorbed;       /* the layer that already does this one's work, or -1 */
    int64_t *size;          /* of each buffer, in numbers; buffer 0 is the input */
    int64_t *place;         /* of each buffer in the arena */
    int n_buffers;
    int64_t arena, calls_size;
} mn__export;

#define MN__NEW_CALL '\f'

/* The layers as calls; buffers and their places. */
mn_status mn__export_plan(mn__export *x);
mn_status mn__export_arena(mn__export *x);
/* The C file. */
mn_status mn__export_write(mn__export *x, const char *path, int64_t *bytes);

/* Adds a kernel: element (k, map[j]) of w, filters x length, as the kernels read it; `blocks`: in blocks of filters
 * (convolutions, dense), else place by place (depthwise). Then its biases (NULL: zeros), and scales if it is int8. */
typedef struct mn__packed {
    int64_t weights, numbers; /* where they begin */
} mn__packed;
mn_status mn__export_pack(mn__export *x, const double *w, const double *bias, int64_t filters, int64_t length, const int32_t *map,
                          bool blocks, mn__packed *at);
mn_status mn__export_number(mn__export *x, double value);
/* Rounds a row of a kernel to 127 steps either side of 0; returns the step. */
double mn__int8_step(const double *row, int64_t n);

/* ---- shared by the files that plan ------------------------------------------------------------------- */

#define MN__SAY(...) mn__grow(&x->calls, __VA_ARGS__)

/* "@3", or at a step of a sequence "@3 + t * 100". */
typedef struct mn__pointer {
    char text[64];
} mn__pointer;
mn__pointer mn__pointer_to(int buffer, int64_t per_step);
int mn__export_buffer(mn__export *x, int64_t size);

/* What follows a layer's sums: its own activation, or that of a layer behind it which nobody else reads. */
typedef struct mn__after {
    mn_activation function;
    double alpha;
    const char *low; /* the smallest result, as text: "0" where the function is ReLU */
} mn__after;

/* One layer, or one step of it: from here to there. */
typedef struct mn__call {
    const mn__layer *l;
    mn__pointer from, to;
    mn__after after;
    mn_shape in, out; /* without steps */
} mn__call;
mn_status mn__plan_conv2d(mn__export *x, const mn__call *c);
mn_status mn__plan_depthwise(mn__export *x, const mn__call *c);
mn_status mn__plan_separable(mn__export *x, const mn__call *c);
mn_status mn__plan_dense(mn__export *x, const mn__call *c);
mn_status mn__plan_lstm(mn__export *x, const mn__call *c);
mn_status mn__plan_conv_lstm(mn__export *x, const mn__call *c);
/* Packs weight `k` of the layer with bias `b` (-1: none), group by group. *at: the first group's place. */
mn_status mn__export_pack_layer(mn__export *x, const mn__layer *l, int k, int b, int groups, bool blocks, mn__packed *at);
mn_status mn__export_values(mn__export *x, const mn__weight *w, double **out); /* mn_free; NULL: there is no such weight */

#endif
