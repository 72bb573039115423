/* Shared inside the library: what a layer class is, its field table, the inside of a model. */
#ifndef MIEN_LAYERS_INTERNAL_H
#define MIEN_LAYERS_INTERNAL_H
#include "layers/layers.h"
#include "tensor/internal.h"

/* Bounds that no honest network meets, so that a hostile file fails with a sentence. */
#define MN__MAX_LAYERS 4096
#define MN__MAX_LAYER_INPUTS 32
#define MN__MAX_UNITS 1048576
#define MN__MAX_STEPS 1024 /* of a sequence */
#define MN__MAX_NAME 200
#define MN__MAX_SAMPLE ((int64_t)1 << 28) /* elements of one sample's activation */
#define MN__MAX_PARAMETERS ((int64_t)1 << 29)

/* ---- field tables --------------------------------------------------------------------------------- */

/* A field of an option struct and its name in files. From the table come the defaults, the checks, and
 * reading and writing as JSON and as a Keras config (layers/fields.c, layers/fields_json.c). */
typedef enum mn__field_kind {
    MN__END = 0,
    MN__INT,        /* int; in JSON also a word of mn_net_opt: "classes", "channels", ... */
    MN__PAIR,       /* int[2], {vertical, horizontal}: 3 or [3,3] */
    MN__SIDES,      /* int[4], top, bottom, left, right: 1 or [1,2] or [[1,2],[3,4]] */
    MN__REAL,       /* double */
    MN__YES,        /* bool */
    MN__NOT,        /* bool, the opposite of the key: no_bias is "use_bias": false */
    MN__PADDING,    /* "valid", "same" */
    MN__ACTIVATION, /* "relu", ... */
    MN__CELL,       /* "tanh", "relu" */
    MN__GATE,       /* "sigmoid", "hard_sigmoid" */
    MN__INIT,       /* "he_normal", ... or Keras's {"class_name": ..., "config": ...} */
    MN__SHAPE,      /* mn_shape without N; in files (H,W,C) or (T,H,W,C), here (C,H,W) or (T,C,H,W) */
    MN__AXIS        /* a dimension of (N,C,H,W); in files one of (N,H,W,C) */
} mn__field_kind;

typedef struct mn__field {
    const char *key; /* in files */
    mn__field_kind kind;
    size_t at;       /* offset in the option struct */
    double fallback; /* what 0 means; 0 with lo > 0: the field is required */
    double lo, hi;   /* what is allowed */
} mn__field;
#define MN__FIELD(type, kind, member, key, fallback, lo, hi)                                                                     \
    { key, MN__##kind, offsetof(type, member), fallback, lo, hi }

/* ---- classes and layers ----------------------------------------------------------------------------- */

/* How a weight lies in a Keras file. */
typedef enum mn__file_order {
    MN__AS_IS = 0,
    MN__HWIO,    /* ours (K,C,R,S), file (R,S,C,K) */
    MN__HWCM,    /* ours (C*M,1,R,S), file (R,S,C,M) */
    MN__IN_OUT,  /* ours (out,in), file (in,out) */
    MN__OUT_OUT, /* the same, `in` being the layer's own output */
    MN__FEATURE  /* one number a feature of the input, in the input's order */
} mn__file_order;

typedef struct mn__weight {
    const char *name; /* Keras's: "kernel" */
    mn_shape shape;
    mn_init init;
    int64_t fan_in, fan_out;
    mn__file_order order;
    bool absent;                /* the place of a weight that this layer does without: t is NULL */
    bool statistic;             /* moved by the forward pass, not by the optimiser */
    int64_t ones_from, ones_to; /* these elements begin as 1 */
    bool rows;                  /* dimension 0 is the output channel: batch norm can be folded into it */
    mn_tensor *t;               /* after mn_model_build */
} mn__weight;
#define MN__MAX_WEIGHTS 6

typedef struct mn__layer {
    const struct mn__layer_class *class;
    mn_model *model;
    const char *name;
    void *opt; /* a copy of the caller's options, defaults filled in; starts with the name */
    mn_sym *in;
    int n_in;
    mn_shape shape; /* of the output, without N */
    int64_t macs;   /* of one sample */
    int pad[4];     /* what padding "same" comes to: top, bottom, left, right */
    mn__weight weight[MN__MAX_WEIGHTS];
    int n_weights;
    bool frozen, folded;
    bool softmax;   /* an output that ends in softmax in its file; here it gives logits */
    bool each_step; /* applied to every step of a sequence: class sees (...), `shape` and the inputs are (T,...) */
    bool training;  /* of the running forward pass, less frozen */
    mn_tensor *out; /* of the last forward pass */
} mn__layer;

typedef struct mn__layer_class {
    const char *name; /* "Conv2D" */
    const char *stem; /* "conv2d": of generated names, and of the file */
    int min_inputs, max_inputs;
    size_t opt_bytes;
    const mn__field *fields; /* ended by {0}; NULL: none */
    bool elementwise;        /* every feature of the output is made of the same one of the input */
    bool view;               /* the output is the input's memory */
    /* Checks the inputs' shapes; sets shape and macs; declares the weights (mn__weight_add). */
    mn_status (*build)(mn__layer *l);
    mn_tensor *(*forward)(mn__layer *l, mn_tensor **in);
} mn__layer_class;

#define LAYER(NAME, stem) extern const mn__layer_class mn__class_##stem;
#include "layers/layers.def"
#undef LAYER
extern const mn__layer_class *const mn__layer_classes[]; /* ended by NULL */
const mn__layer_class *mn__layer_class_find(const char *name);

struct mn_model {
    mn_context *ctx;
    const char *name;
    mn__layer **layer; /* in order: a layer reads only earlier ones */
    int n_layers, capacity;
    mn_sym *input, *output;
    int n_inputs, n_outputs;
    bool each_step;   /* of the layers that are added */
    mn_status status; /* the first failure of building */
    bool built, folded;
    mn_tensor **param;
    int n_trained, n_param;
    struct mn__plan *plan; /* of a compiled model (layers/compile.h), or NULL */
    uint64_t step;         /* of the last forward pass */
    bool ran;
};

/* What every mn_layer_ function ends in. `opt` is copied. */
mn_sym mn__layer_add(mn_model *m, const mn__layer_class *k, const mn_sym *in, int n_in, const void *opt);
/* Fails with: Conv2D "conv1": <sentence>. Returns the status. */
mn_status mn__layer_fail(const mn__layer *l, mn_status status, const char *format, ...) MN_PRINTF(3, 4);
/* Fails while building, with the sentence as it is. */
mn_status mn__model_fail(mn_model *m, mn_status status, const char *format, ...) MN_PRINTF(3, 4);
mn_status mn__weight_add(mn__layer *l, mn__weight w);
mn__layer *mn__layer_named(const mn_model *m, const char *name); /* NULL: there is none */
int mn__layer_readers(const mn_model *m, mn_sym x);              /* layers and outputs that take x */
/* A batch norm without training is y = scale*x + offset: both for each of its n channels; buffer: 2n numbers. */
mn_status mn__norm_factors(const mn__layer *norm, int64_t n, double *scale, double *offset, double *buffer);
/* Lists the model's parameters anew: trained ones, then statistics. */
mn_status mn__model_list_parameters(mn_model *m);

/* For build functions: the shape of input i (of one step of it, where the layer runs on each step); a sentence
 * unless it is (C,H,W) / (features). */
mn_shape mn__in_shape(const mn__layer *l, int i);
/* What stands at dimension i of a shape in a file, (...,H,W,C): the number of the dimension here, (...,C,H,W). */
static inline int mn__file_dim(int ndim, int i) {
    int first = ndim - 3;
    return first < 0 || i < first ? i : first + (i - first + 1) % 3;
}
/* (N*T,...) of (N,T,...), and back. */
mn_tensor *mn__fold_steps(mn_tensor *x);
mn_tensor *mn__unfold_steps(mn_tensor *x, int64_t steps);
mn_status mn__want_image(const mn__layer *l);
mn_status mn__want_features(const mn__layer *l);
/* The output size of a sliding window over (...,H,W), and what padding comes to (l->pad). */
mn_status mn__window_size(mn__layer *l, const int size[2], const int stride[2], const int dilation[2], mn_padding padding,
                          int64_t *p, int64_t *q);
/* He before activations of the ReLU kind, else Xavier, where nothing else was asked for. */
mn_init mn__init_for(mn_init asked, mn_activation next);
mn_tensor *mn__activate(mn_tensor *x, mn_activation a, double alpha);
/* A convolution, a linear layer and the activation after it: ReLU costs no memory of its own. */
mn_tensor *mn__conv2d_activated(mn_tensor *x, mn_tensor *w, mn_tensor *b, mn_conv2d_opt opt, mn_activation a);
mn_tensor *mn__linear_activated(mn_tensor *x, mn_tensor *w, mn_tensor *b, mn_activation a);
/* The layer that reads x, if there is only one and neither works step by step; else NULL. */
mn__layer *mn__only_reader(const mn__layer *x);
/* The batch norm that, in training, computes this sum of two as well: the later of its inputs. NULL: none. */
mn__layer *mn__makes_sum(const mn__layer *add);
/* Does x (a batch norm, or a sum that one computes) compute the ReLU layer after it as well? Other layers: could it, in
 * training, be overwritten by that? Nobody then looks at what x computes. */
bool mn__makes_relu(const mn__layer *x);

/* Does this convolution, in training, compute the max pooling after it as well? On a GPU (autograd/ends_in_relu.h). */
bool mn__makes_pool(const mn__layer *conv);

/* Fills defaults in and checks the ranges. */
mn_status mn__fields_check(mn__layer *l);
const char *mn__activation_name(mn_activation a);
bool mn__activation_parse(const char *text, mn_activation *out);
const char *mn__cell_name(mn_cell_activation a);
const char *mn__gate_name(mn_gate_activation a);
const char *mn__init_name(mn_init i);
/* The layer's "activation" field, or NULL. */
mn_activation *mn__layer_activation(const mn__layer *l);

/* ---- named networks ------------------------------------------------------------------------------- */

/* Builds a network on input x; layers/nets.def lists them. Options are complete (no zeros). */
typedef void mn__net_fn(mn_model *m, mn_sym x, const mn_net_opt *o);
#define NET(name, stem, side, steps, text) mn__net_fn mn__net_##stem;
#include "layers/nets.def"
#undef NET
/* Fills o from opt, zeros replaced by the given input and the head "emotion" of 7; checks it. */
mn_status mn__net_complete(mn_context *c, const mn_net_opt *opt, int channels, int height, int width, mn_net_opt *o);
/* One dense layer of logits a head, named after it, all reading x. */
void mn__net_heads(mn_model *m, mn_sym x, const mn_net_opt *o);

#endif
