/* mien autograd: operations on tensors that record themselves on a tape, and the walk back along it.
 *
 * Define by run: an operation computes at once and, when one of its inputs requires a gradient, leaves a
 * node on its context's tape. mn_backward walks the tape from its end to its beginning.
 *
 *   mn_step_begin(c);                            forget the last step: its tensors, its tape
 *   mn_tensor *loss = ...;                       forward
 *   if (mn_backward(loss)) ...                   one check: an operation that failed, or that was given
 *                                                NULL, returned NULL; the first reason is in the context
 *
 * What mn_backward writes
 *   - Gradients of leaves (parameters, inputs with requires_grad) are OVERWRITTEN: no zeroing is needed.
 *     mn_backward_accumulate ADDS to what was written since the last mn_backward instead. A leaf that the
 *     loss does not depend on keeps its old gradient and its old grad_pass; optimisers pass over it.
 *   - Within one pass a tensor that is used twice receives the sum of both contributions.
 *   - Gradients of intermediate tensors live only until they have been used, unless retain_grad was set
 *     before the backward pass. */
#ifndef MIEN_AUTOGRAD_H
#define MIEN_AUTOGRAD_H

#include "tensor/tensor.h"
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the tape ------------------------------------------------------------------------------------- */

/* Ends the step: every MN_STEP tensor of the context is gone, its memory is reused, the tape is empty. */
mn_status mn_step_begin(mn_context *c);
/* d loss / d everything it depends on; loss has one element. Overwrites (see above). A NULL loss returns
 * the status of the context: the reason why the forward pass gave NULL. */
mn_status mn_backward(mn_context *c, mn_tensor *loss);
mn_status mn_backward_accumulate(mn_context *c, mn_tensor *loss);
/* The same from any tensor y, given dy = d loss / d y of y's shape (a vector-Jacobian product). */
mn_status mn_backward_from(mn_context *c, mn_tensor *y, const mn_tensor *dy);
/* Number of the last backward pass, from 1; compare with a leaf's grad_pass. */
uint64_t mn_backward_pass(const mn_context *c);
/* Between these nothing is recorded and nothing is saved for backward. May be nested. */
void mn_no_grad_begin(mn_context *c);
void mn_no_grad_end(mn_context *c);

/* One step of a training run: mn_step_begin, then step(arg), which computes a loss and calls mn_backward, mn_optim_step and
 * the like. Where the device can (CUDA), a step that found all its memory in place is recorded, by its third run, and from
 * then on launched as a whole: step is not called any more, and the result is the same, bit for bit. So step(arg)
 *   - does the same work each time: operations, mn_fill, mn_copy, mn_backward, mn_optim_step, mn_ema_update, mn_tally_add.
 *     What may change without a word: the numbers in tensors, the learning rate, the context's step;
 *   - reads its batch from `feed` (NULL: none). Batches of another size and the feed's two places are recorded apart;
 *   - neither waits for the device (mn_get, mn_item, mn_set, mn_input with numbers) nor makes MN_MODEL tensors after its
 *     first run. What it leaves for the host it writes into MN_MODEL tensors: its MN_STEP tensors are gone afterwards.
 * Elsewhere, with MIEN_SYNC=1 or with MIEN_GRAPH=0, step is called each time. */
typedef mn_status (*mn_step_fn)(void *arg);
mn_status mn_step_run(mn_context *c, mn_feed *feed, mn_step_fn step, void *arg);
/* Says that step(arg) will do something else from now on, for changes that are not seen: another requires_grad, another
 * option. mn_model_freeze and mn_model_set_dropout say it themselves. */
void mn_step_changed(mn_context *c);
/* Draws the tape of this step as a Graphviz graph: dot -Tsvg. */
mn_status mn_tape_dot(mn_context *c, FILE *out);
/* Nodes on the tape. */
int mn_tape_length(const mn_context *c);

/* ---- elementwise, one tensor: the list is autograd/unary.def ------------------------------------- */

#define UNARY0(name, ...) mn_tensor *mn_##name(mn_tensor *x);
#define UNARY1(name, ...) mn_tensor *mn_##name(mn_tensor *x, double a);
#define UNARY2(name, ...) mn_tensor *mn_##name(mn_tensor *x, double a, double b);
#include "autograd/unary.def"
#undef UNARY0
#undef UNARY1
#undef UNARY2

/* ---- elementwise, two tensors: the list is autograd/binary.def ------------------------------------
 * With broadcasting: shapes are aligned at their last dimension, and a dimension of 1 is stretched (NumPy's
 * rule). The gradient of a stretched input is the sum over what it was stretched along. */

#define BINARY(name, ...) mn_tensor *mn_##name(mn_tensor *a, mn_tensor *b);
#include "autograd/binary.def"
#undef BINARY

/* ---- structured operations -------------------------------------------------------------------------
 * Each returns a new MN_STEP tensor, or NULL with the reason in the context. NULL inputs give NULL, so
 * that a chain of calls needs one check at its end. Pages with the mathematics: docs/ops/. */

/* The same data under another shape; at most one dimension may be -1 (what is left). No copy. */
mn_tensor *mn_reshape(mn_tensor *x, mn_shape shape);
/* (N, ...) -> (N, rest). No copy. */
mn_tensor *mn_flatten(mn_tensor *x);

typedef struct mn_matmul_opt {
    bool transpose_a, transpose_b;
} mn_matmul_opt;
/* y (M,N) = a (M,K) b (K,N); with transpose_a a is (K,M), with transpose_b b is (N,K). */
mn_tensor *mn_matmul(mn_tensor *a, mn_tensor *b, mn_matmul_opt opt);

/* y[n,c,...] = x[n,c,...] + b[c]: x (N,C,...), b (C). */
mn_tensor *mn_bias_add(mn_tensor *x, mn_tensor *b);

/* Over all elements: one number, shape (). Over dimension `dim` (negative: from the end): that dimension
 * is removed, or kept as 1 with keep_dim. Sums are formed in a fixed order. */
mn_tensor *mn_sum(mn_tensor *x);
mn_tensor *mn_mean(mn_tensor *x);
typedef struct mn_reduce_opt {
    int dim;
    bool keep_dim;
} mn_reduce_opt;
mn_tensor *mn_sum_dim(mn_tensor *x, mn_reduce_opt opt);
mn_tensor *mn_mean_dim(mn_tensor *x, mn_reduce_opt opt);

/* y (N,out) = x (N,in) w^T + b: w (out,in), b (out) or NULL. PyTorch's linear. */
mn_tensor *mn_linear(mn_tensor *x, mn_tensor *w, mn_tensor *b);

/* y[n,k,p,q] = b[k] + sum_{c,r,s} x[n, c, p*stride-top+r*dilation, q*stride-left+s*dilation] w[k,c,r,s]
 * x (N,C,H,W), w (K,C/groups,R,S), b (K) or NULL, y (N,K,P,Q); outside of x is 0.
 * P = (H + top + bottom - dilation*(R-1) - 1) / stride + 1, rounded down; Q likewise.
 * Fields are {vertical, horizontal}; 0 means the default, 1 (stride, dilation, groups) or 0 (padding). */
typedef struct mn_conv2d_opt {
    int stride[2], dilation[2], groups;
    int padding[4]; /* top, bottom, left, right */
} mn_conv2d_opt;
mn_tensor *mn_conv2d(mn_tensor *x, mn_tensor *w, mn_tensor *b, mn_conv2d_opt opt);
/* The padding that TensorFlow's "same" takes for one dimension: the output has ceil(size/stride). */
void mn_same_padding(int64_t size, int kernel, int stride, int dilation, int *before, int *after);

/* Max and average over windows; x (N,C,H,W). stride 0: the window's size (PyTorch's default). Windows may
 * overlap. Padding is never the maximum; the average divides by the elements inside x, or by the whole
 * window with count_padding (PyTorch's default is count_padding, Keras's is not). Of equal maxima the
 * first in row order gets the gradient. At most half a window of padding on each side. */
typedef struct mn_pool2d_opt {
    int kernel[2], stride[2];
    int padding[4]; /* top, bottom, left, right */
    bool count_padding;
} mn_pool2d_opt;
mn_tensor *mn_max_pool2d(mn_tensor *x, mn_pool2d_opt opt);
mn_tensor *mn_avg_pool2d(mn_tensor *x, mn_pool2d_opt opt);
/* (N,C,H,W) -> (N,C): the mean over H and W. */
mn_tensor *mn_global_avg_pool2d(mn_tensor *x);

/* y = (x - mean) / sqrt(var + eps) * gamma + beta, per channel c of x (N,C) or (N,C,H,W).
 * training: mean and (biased) variance of the batch; the running ones move by
 *   running = (1-momentum)*running + momentum*batch    PyTorch's convention, default 0.1, with the unbiased
 *   variance; Keras's momentum m is 1-momentum and its variance is biased: set biased_running.
 * else: the running ones. gamma, beta may be NULL (1 and 0). running_* are not differentiated; they may be
 * NULL in training. eps 0 means 1e-5. Ioffe and Szegedy 2015. */
typedef struct mn_batch_norm_opt {
    bool training;
    double momentum; /* 0 means 0.1; negative: do not move the running statistics */
    double eps;
    bool biased_running;
} mn_batch_norm_opt;
mn_tensor *mn_batch_norm(mn_tensor *x, mn_tensor *gamma, mn_tensor *beta, mn_tensor *running_mean,
                         mn_tensor *running_var, mn_batch_norm_opt opt);

/* y = x * mask / (1-p) with P(mask=0) = p; the identity unless `training` or with p = 0. 0 <= p < 1.
 * The mask is a function of (seed, step, number of the operation in the step, element): the same on every
 * device, nothing is stored. Srivastava et al. 2014. */
typedef struct mn_dropout_opt {
    double p;
    bool training;
    uint64_t stream; /* 0: the operation's number in the step */
} mn_dropout_opt;
mn_tensor *mn_dropout(mn_tensor *x, mn_dropout_opt opt);

/* Along dimension dim (negative: from the end). All inputs agree in the other dimensions. 1..32 inputs. */
mn_tensor *mn_concat(mn_tensor **x, int n, int dim);
/* Elements start .. start+length-1 of dimension dim. */
mn_tensor *mn_slice(mn_tensor *x, int dim, int64_t start, int64_t length);
/* Zeros (or `value`) around the last two dimensions of x (..., H, W). */
typedef struct mn_pad2d_opt {
    int padding[4]; /* top, bottom, left, right; >= 0 */
    double value;
} mn_pad2d_opt;
mn_tensor *mn_pad2d(mn_tensor *x, mn_pad2d_opt opt);

/* One step of an LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000). z (N,4U,...): what
 * goes into the gates i, f, c, o, in Keras's order, U channels each. state (N,2U,...): h, then c; NULL: zeros.
 *   c' = gate(f) c + gate(i) tanh(c~)      h' = gate(o) tanh(c')       the result, (N,2U,...): h', then c'
 * hard_sigmoid: gate(x) = max(0, min(1, 0.2x + 0.5)), Keras 2's, else the sigmoid; relu: relu in tanh's place.
 * mask (N,T) or NULL, not differentiated: where mask[n,step] is 0, sample n keeps its state. */
typedef struct mn_lstm_cell_opt {
    bool hard_sigmoid, relu;
    int step;
} mn_lstm_cell_opt;
mn_tensor *mn_lstm_cell(mn_tensor *z, mn_tensor *state, mn_tensor *mask, mn_lstm_cell_opt opt);
/* The mask (n,steps) of sequences of different length: 1 for the first length[i] steps of sample i, then 0. */
mn_tensor *mn_sequence_mask(mn_context *c, int64_t n, int64_t steps, const int32_t *length);

/* Over the last dimension, shifted by its maximum so that nothing overflows. */
mn_tensor *mn_softmax(mn_tensor *x);
mn_tensor *mn_log_softmax(mn_tensor *x);

/* Mean softmax cross-entropy of logits x (N,K), fused: the loss and softmax in one pass, dx = softmax - target.
 * target: int32 (N), class or -1 for a sample without a label; or probabilities (N,K), rows that are all
 * zero having no label. The mean is over labelled samples, weighted by their class weight as in PyTorch;
 * 0 when no sample has a label. A soft target weighs sum_k target_k weight_k (PyTorch: always 1), so that a
 * label and its one-hot row give the same loss.
 * label_smoothing e: target' = (1-e)*target + e/K. class_weight (K) or NULL, not differentiated. */
typedef struct mn_cross_entropy_opt {
    double label_smoothing;
} mn_cross_entropy_opt;
mn_tensor *mn_cross_entropy(mn_tensor *x, mn_tensor *target, mn_tensor *class_weight, mn_cross_entropy_opt opt);
/* ---- losses between two tensors of one shape: the list is autograd/loss.def -------------------------
 * The mean over all elements, one number, shape (). The target is not differentiated; for the distance
 * between two computed tensors write mn_mean(mn_square(mn_sub(a, b))).
 *   mn_mse(x, t)                    (x-t)^2
 *   mn_huber(x, t, delta)           d^2/2 for |d| <= delta, else delta*(|d|-delta/2), d = x-t. Huber 1964.
 *   mn_binary_cross_entropy(x, t)   max(x,0) - x*t + log(1+exp(-|x|)): x are logits, t in [0,1] */
#define LOSS0(name, ...) mn_tensor *mn_##name(mn_tensor *x, mn_tensor *target);
#define LOSS1(name, ...) mn_tensor *mn_##name(mn_tensor *x, mn_tensor *target, double a);
#include "autograd/loss.def"
#undef LOSS0
#undef LOSS1

/* ---- checking gradients ---------------------------------------------------------------------------- */

/* A function of tensors under test: returns y. Called many times, each after mn_step_begin. */
typedef mn_tensor *(*mn_gradcheck_fn)(mn_tensor **in, int n_in, void *arg);
typedef struct mn_gradcheck_result {
    int64_t elements; /* compared */
    double worst;     /* largest relative difference, and where it is: */
    int input;
    int64_t element;
    double analytic, numeric;
} mn_gradcheck_result;
/* Compares the gradients of sum(w*y), w fixed and random, with five-point differences, for every element
 * of every input that requires a gradient; also checks the overwrite and accumulate rules. The context is
 * f64, the inputs are MN_MODEL. MN_ERR_NUMERIC with a sentence when `tolerance` (0: 1e-6) is exceeded. */
mn_status mn_gradcheck(mn_context *c, mn_gradcheck_fn f, mn_tensor **in, int n_in, void *arg, double tolerance,
                       mn_gradcheck_result *result);
/* The built-in check cases of operation `op` (0 .. mn_op_count()-1). Runs case k; sets *more to false and
 * returns MN_OK when there is no such case. */
int mn_op_count(void);
const char *mn_op_name(int op);
mn_status mn_gradcheck_op(mn_context *c, int op, int k, bool *more, mn_gradcheck_result *result);

#ifdef __cplusplus
}
#endif
#endif
