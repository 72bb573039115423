/* mien layers: parameters plus a forward made of autograd's operations, and the graph that joins them.
 *
 * A layer has no backward to write. A model is a list of layers in the order they were added, each naming
 * the layers it takes its inputs from; because the graph is data, a model prints, saves, loads, draws and
 * folds itself. Layer and field names are Keras's, so that a file, a JSON network and C read alike.
 *
 *   mn_model *m = mn_model_create(c, "small");
 *   mn_sym x = mn_model_input(m, "input", MN_SHAPE(1, 48, 48));       without the batch: (C,H,W)
 *   x = mn_layer_conv2d(m, x, (mn_conv2d_layer){.filters = 32, .kernel_size = {3, 3}, .padding = MN_SAME,
 *                                               .activation = MN_ACT_RELU});
 *   x = mn_layer_max_pooling2d(m, x, (mn_pooling2d_layer){.pool_size = {2, 2}});
 *   x = mn_layer_flatten(m, x, (mn_plain_layer){0});
 *   x = mn_layer_dense(m, x, (mn_dense_layer){.name = "emotion", .units = 7});
 *   mn_model_output(m, x);                                            a head: logits; its name is the layer's
 *   if (mn_model_build(m)) ...                                        one check for all of the above
 *
 * Everything belongs to the context and goes with it. Symbols of a failed call are negative and run through
 * to mn_model_build, which returns the first error; the sentence is in the context. */
#ifndef MIEN_LAYERS_H
#define MIEN_LAYERS_H

#include "autograd/autograd.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mn_model mn_model;
typedef int mn_sym; /* the output of a layer, inside one model; negative: failed */

/* ---- building ------------------------------------------------------------------------------------- */

mn_model *mn_model_create(mn_context *c, const char *name);
/* An input; `shape` is one sample's, without N: (C,H,W) or (features). */
mn_sym mn_model_input(mn_model *m, const char *name, mn_shape shape);
/* Marks an output. Classification heads end in logits: the loss and predict apply the softmax, so a softmax that
 * the layer itself ends in is left out here (files written for Keras get it back). */
mn_status mn_model_output(mn_model *m, mn_sym x);
/* Allocates and initialises the parameters, from the context's seed. The first error of building. */
mn_status mn_model_build(mn_model *m);

typedef enum mn_padding { MN_VALID = 0, MN_SAME } mn_padding; /* same: TensorFlow's, ceil(size/stride) */
typedef enum mn_activation {
    MN_ACT_LINEAR = 0,
    MN_ACT_RELU,
    MN_ACT_LEAKY_RELU,
    MN_ACT_ELU,
    MN_ACT_SIGMOID,
    MN_ACT_TANH,
    MN_ACT_GELU,
    MN_ACT_SILU,
    MN_ACT_SOFTPLUS,
    MN_ACT_SOFTMAX
} mn_activation;
typedef enum mn_init {
    MN_INIT_DEFAULT = 0, /* He normal before ReLU-like activations, else Xavier (Glorot) uniform */
    MN_INIT_HE_NORMAL,
    MN_INIT_HE_UNIFORM,
    MN_INIT_XAVIER_NORMAL,
    MN_INIT_XAVIER_UNIFORM,
    MN_INIT_ORTHOGONAL,
    MN_INIT_ZEROS,
    MN_INIT_ONES
} mn_init;
/* Fills a weight: fan_in and fan_out as He et al. 2015 and Glorot and Bengio 2010 count them (for (K,C,R,S):
 * C*R*S and K*R*S); orthogonal: Saxe et al. 2014, rows of the (dim0, rest) matrix. */
mn_status mn_init_fill(mn_tensor *w, mn_init how, int64_t fan_in, int64_t fan_out, double gain, uint64_t stream);

/* Zero fields mean the default, which is Keras's unless said. `name` NULL: made from the class, "conv2d_1". */
typedef struct mn_conv2d_layer {
    const char *name;
    int filters, kernel_size[2];              /* required */
    int strides[2], dilation_rate[2], groups; /* 1 */
    mn_padding padding;
    bool no_bias; /* use_bias = false */
    mn_activation activation;
    mn_init kernel_initializer;
} mn_conv2d_layer;
mn_sym mn_layer_conv2d(mn_model *m, mn_sym x, mn_conv2d_layer opt);

/* Each channel its own depth_multiplier kernels. */
typedef struct mn_depthwise_conv2d_layer {
    const char *name;
    int kernel_size[2], strides[2], dilation_rate[2], depth_multiplier;
    mn_padding padding;
    bool no_bias;
    mn_activation activation;
    mn_init depthwise_initializer;
} mn_depthwise_conv2d_layer;
mn_sym mn_layer_depthwise_conv2d(mn_model *m, mn_sym x, mn_depthwise_conv2d_layer opt);

/* Depthwise, then 1x1 (Chollet 2017). */
typedef struct mn_separable_conv2d_layer {
    const char *name;
    int filters, kernel_size[2], strides[2], dilation_rate[2], depth_multiplier;
    mn_padding padding;
    bool no_bias;
    mn_activation activation;
    mn_init depthwise_initializer, pointwise_initializer;
} mn_separable_conv2d_layer;
mn_sym mn_layer_separable_conv2d(mn_model *m, mn_sym x, mn_separable_conv2d_layer opt);

typedef struct mn_dense_layer {
    const char *name;
    int units;
    bool no_bias;
    mn_activation activation;
    mn_init kernel_initializer;
} mn_dense_layer;
mn_sym mn_layer_dense(mn_model *m, mn_sym x, mn_dense_layer opt);

typedef struct mn_batch_normalization_layer {
    const char *name;
    double momentum; /* Keras's: running = momentum*running + (1-momentum)*batch; 0 means 0.99 */
    double epsilon;  /* 0 means 1e-3, Keras's */
    bool no_center, no_scale;
} mn_batch_normalization_layer;
mn_sym mn_layer_batch_normalization(mn_model *m, mn_sym x, mn_batch_normalization_layer opt);

typedef struct mn_pooling2d_layer {
    const char *name;
    int pool_size[2]; /* 2 */
    int strides[2];   /* pool_size */
    mn_padding padding;
} mn_pooling2d_layer;
mn_sym mn_layer_max_pooling2d(mn_model *m, mn_sym x, mn_pooling2d_layer opt);
mn_sym mn_layer_average_pooling2d(mn_model *m, mn_sym x, mn_pooling2d_layer opt);

/* Layers whose only option is a name. */
typedef struct mn_plain_layer {
    const char *name;
} mn_plain_layer;
mn_sym mn_layer_global_average_pooling2d(mn_model *m, mn_sym x, mn_plain_layer opt);
mn_sym mn_layer_flatten(mn_model *m, mn_sym x, mn_plain_layer opt);
mn_sym mn_layer_add(mn_model *m, const mn_sym *x, int n, mn_plain_layer opt);

typedef struct mn_concatenate_layer {
    const char *name;
    int axis; /* of (N,C,H,W): 1, the channels, when 0 */
} mn_concatenate_layer;
mn_sym mn_layer_concatenate(mn_model *m, const mn_sym *x, int n, mn_concatenate_layer opt);

typedef struct mn_dropout_layer {
    const char *name;
    double rate;
} mn_dropout_layer;
mn_sym mn_layer_dropout(mn_model *m, mn_sym x, mn_dropout_layer opt);

typedef struct mn_activation_layer {
    const char *name;
    mn_activation activation;
    double alpha; /* leaky_relu 0.01 (PyTorch's; Keras's layer says 0.3 in its file), elu 1 */
} mn_activation_layer;
mn_sym mn_layer_activation(mn_model *m, mn_sym x, mn_activation_layer opt);

typedef struct mn_reshape_layer {
    const char *name;
    mn_shape target_shape; /* without N; one -1 allowed */
} mn_reshape_layer;
mn_sym mn_layer_reshape(mn_model *m, mn_sym x, mn_reshape_layer opt);

typedef struct mn_zero_padding2d_layer {
    const char *name;
    int padding[4]; /* top, bottom, left, right */
} mn_zero_padding2d_layer;
mn_sym mn_layer_zero_padding2d(mn_model *m, mn_sym x, mn_zero_padding2d_layer opt);

/* ---- sequences: (N,T,...), the steps in order -------------------------------------------------------- */

/* Layers added while it is on are applied to every step of their input by itself (Keras's TimeDistributed): a Conv2D
 * reads (T,C,H,W) and gives (T,K,P,Q). The steps are folded into the batch, so batch normalisation sees N*T samples. */
void mn_model_time_distributed(mn_model *m, bool on);

typedef enum mn_cell_activation { MN_CELL_TANH = 0, MN_CELL_RELU } mn_cell_activation;
/* hard: max(0, min(1, 0.2x + 0.5)), Keras 2's (Keras 3's has the slope 1/6 and is another function). Keras 2's ConvLSTM2D
 * has it by default, Keras 3's and mien's the sigmoid. */
typedef enum mn_gate_activation { MN_GATE_SIGMOID = 0, MN_GATE_HARD_SIGMOID } mn_gate_activation;

/* (T,features) to (units), the last h, or (T,units) with return_sequences. docs/ops/lstm.md. */
typedef struct mn_lstm_layer {
    const char *name;
    int units; /* required */
    mn_cell_activation activation;
    mn_gate_activation recurrent_activation;
    bool no_bias, no_unit_forget_bias; /* the forget gate's bias begins as 1 (Jozefowicz et al. 2015), or as 0 */
    bool return_sequences;
    mn_init kernel_initializer, recurrent_initializer; /* Xavier uniform, orthogonal */
} mn_lstm_layer;
mn_sym mn_layer_lstm(mn_model *m, mn_sym x, mn_lstm_layer opt);

/* (T,C,H,W) to (filters,P,Q) or (T,filters,P,Q): an LSTM whose matrix products are convolutions (Shi et al. 2015). Strides,
 * padding and dilation are those of the input's; the state's has stride 1 and padding "same". */
typedef struct mn_conv_lstm2d_layer {
    const char *name;
    int filters, kernel_size[2];      /* required */
    int strides[2], dilation_rate[2]; /* 1 */
    mn_padding padding;
    mn_cell_activation activation;
    mn_gate_activation recurrent_activation;
    bool no_bias, no_unit_forget_bias;
    bool return_sequences;
    mn_init kernel_initializer, recurrent_initializer;
} mn_conv_lstm2d_layer;
mn_sym mn_layer_conv_lstm2d(mn_model *m, mn_sym x, mn_conv_lstm2d_layer opt);

/* The same, with a mask (T) for sequences of different length: at a step whose number is 0 the sample's state stays, and
 * return_sequences repeats its h. Feed it with mn_sequence_mask. */
mn_sym mn_layer_lstm_masked(mn_model *m, mn_sym x, mn_sym mask, mn_lstm_layer opt);
mn_sym mn_layer_conv_lstm2d_masked(mn_model *m, mn_sym x, mn_sym mask, mn_conv_lstm2d_layer opt);
/* Such a mask from the sequence itself: (T,...) to (T), 0 at the steps whose numbers are all 0 (Keras's Masking). */
mn_sym mn_layer_step_mask(mn_model *m, mn_sym x, mn_plain_layer opt);

/* y = x*scale + offset */
typedef struct mn_rescaling_layer {
    const char *name;
    double scale, offset;
} mn_rescaling_layer;
mn_sym mn_layer_rescaling(mn_model *m, mn_sym x, mn_rescaling_layer opt);

/* The product; a dimension of 1 is stretched: (C,1,1) weighs the channels of (C,H,W). */
mn_sym mn_layer_multiply(mn_model *m, const mn_sym *x, int n, mn_plain_layer opt);

/* y = x*gamma + beta for each channel of (C,H,W) or feature, both learned. */
typedef struct mn_scale_layer {
    const char *name;
    bool no_center, no_scale;
} mn_scale_layer;
mn_sym mn_layer_scale(mn_model *m, mn_sym x, mn_scale_layer opt);

/* y = min(max(x, min_value), max_value): ReLU6 when nothing is said. */
typedef struct mn_clip_layer {
    const char *name;
    double min_value, max_value; /* 0, 6 */
} mn_clip_layer;
mn_sym mn_layer_clip(mn_model *m, mn_sym x, mn_clip_layer opt);

/* One value around (C,H,W). */
typedef struct mn_padding2d_layer {
    const char *name;
    int padding[4]; /* top, bottom, left, right */
    double value;
} mn_padding2d_layer;
mn_sym mn_layer_padding2d(mn_model *m, mn_sym x, mn_padding2d_layer opt);

/* Every number becomes a block of copies: nearest neighbour. */
typedef struct mn_up_sampling2d_layer {
    const char *name;
    int size[2]; /* 2 */
} mn_up_sampling2d_layer;
mn_sym mn_layer_up_sampling2d(mn_model *m, mn_sym x, mn_up_sampling2d_layer opt);

/* The part start .. start+length-1 of one dimension. */
typedef struct mn_slice_layer {
    const char *name;
    int axis; /* of (N,C,H,W): 1, the channels, when 0 */
    int start, length;
} mn_slice_layer;
mn_sym mn_layer_slice(mn_model *m, mn_sym x, mn_slice_layer opt);

/* ---- networks by name or file ------------------------------------------------------------------------ */

typedef struct mn_net_head {
    const char *name; /* "emotion" */
    int classes;
} mn_net_head;
typedef struct mn_net_opt {
    int channels, height, width; /* 0: the network's own: 1 channel, 48x48 (mini-xception 64x64) */
    int steps;                   /* frames of a clip, for networks that read (T,C,H,W); 0: the network's own */
    bool strip;                  /* those read (1,T*H,W) and begin with a Reshape: grey frames below each other, as data sets give
                                    clips. `height` is the strip's; steps 0: as many as there are squares in it */
    const mn_net_head *heads;    /* NULL: one head "emotion" of 7 */
    int n_heads;
} mn_net_opt;
/* seed1, seed2, mini-xception, vgg, resnet-small, logreg, tiny, base, lstm-rows, convlstm: mn_net_names, ended by NULL. Built. */
extern const char *const mn_net_names[];
const char *mn_net_describe(const char *name); /* one line, or NULL */
mn_model *mn_net_create(mn_context *c, const char *name, const mn_net_opt *opt);
/* A network from JSON text (docs/networks.md), with the words "classes", "channels", ... filled from opt. */
mn_model *mn_model_from_json(mn_context *c, const char *text, size_t length, const mn_net_opt *opt);
/* The network as such JSON text, with every number written out. Free it with mn_free. */
char *mn_model_to_json(const mn_model *m, mn_error *err);
/* A name of mn_net_names, or the path of a .json file. */
mn_model *mn_net_open(mn_context *c, const char *name_or_file, const mn_net_opt *opt);

/* ---- running ----------------------------------------------------------------------------------------- */

/* Runs all layers on in[0..n_inputs-1] (N first). Call mn_step_begin before. `training` switches dropout and
 * batch norm; combine with mn_no_grad_begin for inference. */
mn_status mn_model_forward(mn_model *m, mn_tensor **in, bool training);
/* The output of the last forward: by number, or by name (NULL when there is none of that name). */
mn_tensor *mn_model_result(mn_model *m, int i);
mn_tensor *mn_model_result_named(mn_model *m, const char *name);
/* The activation of any layer in the last forward: what it computed, for looking inside. NULL in training where its
 * only reader is a ReLU layer, the sum at the end of a residual block, which takes its place in memory, or on a GPU a max
 * pooling, which is computed with it. */
mn_tensor *mn_model_activation(mn_model *m, const char *layer);

/* How many rows of logits (N,K) have their largest value at the label; rows labelled -1 count in neither. */
typedef struct mn_accuracy {
    int64_t right, of;
} mn_accuracy;
mn_status mn_count_correct(const mn_tensor *logits, const int32_t *label, mn_accuracy *add_to);

/* The same for many batches, with their losses, added up where they are computed: nothing waits until the sums are read. */
typedef struct mn_tally mn_tally;
typedef struct mn_tally_sum {
    double loss; /* the sum over batches of mean loss times labelled rows */
    mn_accuracy hits;
    int64_t batches, not_finite; /* not_finite: the first batch, from 1, whose loss was NaN or infinite; 0: none */
} mn_tally_sum;
/* `n` entries, one a head, all zero. Owned by the context. */
mn_tally *mn_tally_create(mn_context *c, int n);
/* Adds a batch to entry i: loss (), logits (N,K), labels int32 (N). */
mn_status mn_tally_add(mn_tally *t, int i, const mn_tensor *loss, const mn_tensor *logits, const mn_tensor *labels);
/* mn_cross_entropy(logits, target, class_weight, opt), added to entry i: on CUDA in the same launch. labels: as above; NULL:
 * the target. */
mn_tensor *mn_tally_cross_entropy(mn_tally *t, int i, mn_tensor *logits, mn_tensor *target, const mn_tensor *labels,
                                  mn_tensor *class_weight, mn_cross_entropy_opt opt);
/* All entries; waits for the device. */
mn_status mn_tally_read(mn_tally *t, mn_tally_sum *out);
/* Sets all entries; NULL: to zero. */
mn_status mn_tally_set(mn_tally *t, const mn_tally_sum *sum);

/* ---- looking ------------------------------------------------------------------------------------------ */

mn_context *mn_model_context(const mn_model *m);
const char *mn_model_name(const mn_model *m);
int mn_model_inputs(const mn_model *m);
mn_shape mn_model_input_shape(const mn_model *m, int i); /* without N */
const char *mn_model_input_name(const mn_model *m, int i);
int mn_model_outputs(const mn_model *m);
mn_shape mn_model_output_shape(const mn_model *m, int i); /* without N */
const char *mn_model_output_name(const mn_model *m, int i);
int mn_model_layers(const mn_model *m);

/* All parameters: trained ones and, after them, those that training moves otherwise (running statistics:
 * requires_grad is false). Names are "layer/kernel", "layer/bias", "layer/gamma", "layer/moving_mean", ... */
mn_tensor **mn_model_parameters(mn_model *m, int *n_trained, int *n_all);
mn_tensor *mn_model_parameter(mn_model *m, const char *name);

typedef struct mn_model_stats {
    int64_t parameters, trainable, macs; /* of one sample; a multiply-add counts once */
    int64_t activation_bytes;            /* of one sample, all layers' outputs */
    int layers;
} mn_model_stats;
mn_model_stats mn_model_count(const mn_model *m);
/* The table: layer, class, output shape, parameters, MACs; `width` columns (0: 80). */
mn_status mn_model_summary(const mn_model *m, FILE *out, int width);
/* The graph as Graphviz. */
mn_status mn_model_dot(const mn_model *m, FILE *out);

/* One layer, as a drawing shows it. `name` and `in` are the model's. */
typedef struct mn_layer_look {
    const char *name;
    char kind[64];   /* "Conv2D, relu" */
    mn_shape shape;  /* of the output, without N */
    int64_t parameters;
    const mn_sym *in; /* the layers that it reads: smaller numbers than its own */
    int n_in;
    bool is_output;
} mn_layer_look;
mn_layer_look mn_model_look(const mn_model *m, int layer);

/* ---- changing ----------------------------------------------------------------------------------------- */

/* Stops (or resumes) the training of every layer whose name matches the shell pattern ("conv*", "*").
 * A frozen batch normalisation uses its running statistics. Returns how many layers matched. */
int mn_model_freeze(mn_model *m, const char *pattern, bool frozen);
/* Gives every Dropout layer this rate, 0 to below 1; the same shapes, the same weights. Returns how many there are. */
int mn_model_set_dropout(mn_model *m, double rate);
/* For inference: every batch normalisation that follows a convolution or dense layer directly (and is that
 * layer's only reader) is folded into its weights. Returns how many were folded, negative on failure. The
 * outputs stay the same up to rounding; the model cannot be trained or saved as it was afterwards. */
int mn_model_fold_batch_norm(mn_model *m);
/* For inference: folds batch normalisation and plans the whole forward pass anew, in a layout and with memory of its own
 * (docs/inference.md). mn_model_forward then runs the plan between mn_no_grad_begin and mn_no_grad_end, without training;
 * it gives the outputs alone: mn_model_activation of inner layers is NULL. Weights are copied into the plan: call it
 * again after changing them with mn_set (what an optimiser changes is noticed). Returns 1, or 0 where the model has a
 * layer that cannot be compiled (LSTMs, groups, softmax inside) or the device cannot: it runs on the tape as before;
 * negative on failure. */
int mn_model_compile(mn_model *m);
/* Copies every parameter of `from` whose name and shape exist in `to`; returns how many were copied. */
int mn_model_copy_matching(mn_model *to, const mn_model *from);

#ifdef __cplusplus
}
#endif
#endif
