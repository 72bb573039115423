/* mien optim: optimisers, learning-rate schedules, early stopping, averages of weights.
 * Update rules are PyTorch's, to the operation (tests compare with its numbers). */
#ifndef MIEN_OPTIM_H
#define MIEN_OPTIM_H

#include "autograd/autograd.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- optimisers ------------------------------------------------------------------------------------ */

typedef enum mn_optim_kind { MN_SGD = 0, MN_ADAM, MN_ADAMW, MN_RMSPROP } mn_optim_kind;

/* g = gradient (clipped, then + weight_decay*w except for AdamW)
 *   SGD      v = momentum*v + (1-dampening)*g (v = g at first);  w -= lr * (nesterov ? g + momentum*v : v)
 *   Adam     m = b1*m + (1-b1)*g;  s = b2*s + (1-b2)*g^2;  w -= lr/(1-b1^t) * m / (sqrt(s/(1-b2^t)) + eps)
 *   AdamW    w -= lr*weight_decay*w first, then as Adam (Loshchilov and Hutter 2019)
 *   RMSprop  s = alpha*s + (1-alpha)*g^2;  v = momentum*v + g/(sqrt(s)+eps);  w -= lr*v
 * t counts the updates of the parameter. Clipping is first by norm, then by value, of the raw gradients. */
typedef struct mn_optim_opt {
    mn_optim_kind kind;
    double lr;       /* 0: 0.001 for SGD (S1), Adam, AdamW; 0.01 for RMSprop */
    double momentum; /* SGD, RMSprop; as given (0 is none) */
    double dampening;
    bool nesterov;
    double weight_decay;
    double beta1, beta2; /* 0: 0.9, 0.999 */
    double alpha;        /* 0: 0.99 */
    double eps;          /* 0: 1e-8 */
    double clip_norm;    /* > 0: gradients scaled so that their joint 2-norm is at most this */
    double clip_value;   /* > 0: every gradient element cut to +- this */
} mn_optim_opt;

typedef struct mn_optim mn_optim;
/* For these MN_MODEL tensors (the array is copied). Owned by the context. NULL with a sentence for options out
 * of their range: lr, weight_decay, eps, clips >= 0; momentum, beta1, beta2, alpha in [0,1); nesterov wants
 * a momentum and no dampening. Parameters whose gradient was not written since the last step (frozen, unused)
 * are passed over, state and all. */
mn_optim *mn_optim_create(mn_context *c, mn_tensor **params, int n, mn_optim_opt opt);
/* One update of all parameters. No allocation after the first. MN_ERR_ARG when not one parameter has a new
 * gradient. With clip_norm, gradients that hold NaN or infinity change nothing (see mn_optim_grad_norm). */
mn_status mn_optim_step(mn_optim *o);
void mn_optim_set_lr(mn_optim *o, double lr);
double mn_optim_lr(const mn_optim *o);
/* For one parameter: a factor on lr, and its own weight decay (negative: the optimiser's). */
mn_status mn_optim_set_param(mn_optim *o, int i, double lr_factor, double weight_decay);
/* The joint 2-norm of the gradients at the last step, before clipping; needs clip_norm > 0, else 0. */
double mn_optim_grad_norm(const mn_optim *o);
/* For checkpoints: the number of steps taken, and every state tensor with a name: "velocity/0", ..., and
 * "updates", how often each parameter was updated. What is written into them counts from the next step on. */
int64_t mn_optim_steps(const mn_optim *o);
void mn_optim_set_steps(mn_optim *o, int64_t steps);
int mn_optim_state_count(const mn_optim *o);
mn_tensor *mn_optim_state(mn_optim *o, int i, const char **name);
/* "sgd", "adam", "adamw", "rmsprop"; false for another word. */
bool mn_optim_kind_parse(const char *text, mn_optim_kind *out);
const char *mn_optim_kind_name(mn_optim_kind k);

/* ---- schedules --------------------------------------------------------------------------------------- */

typedef enum mn_schedule_kind { MN_CONSTANT = 0, MN_STEP_DECAY, MN_COSINE, MN_ONE_CYCLE, MN_PLATEAU } mn_schedule_kind;
typedef struct mn_schedule {
    mn_schedule_kind kind;
    double warmup;    /* share of all steps with a linear rise from ~0 (cosine, constant, step) */
    double factor;    /* step: times this every `every` epochs; plateau: times this (0: 0.1) */
    double every;     /* step: epochs (0: 10) */
    double floor;     /* cosine: end at floor * lr */
    double rise;      /* one-cycle: share of the rising part (0: 0.3); starts at lr/25, ends at lr/25e4 */
    int patience;     /* plateau: epochs without improvement that are borne (0: 5) */
    double threshold; /* plateau: relative improvement that counts (0: 1e-4) */
    /* state of plateau; part of a checkpoint */
    double best, scale;
    int bad_epochs;
    bool started;
} mn_schedule;
/* "constant", "step,every=10,factor=0.5", "cosine,warmup=0.05,floor=0", "onecycle",
 * "plateau,patience=5,factor=0.1" */
mn_status mn_schedule_parse(const char *text, mn_schedule *out, mn_error *err);
/* The rate at step `step` (0-based) of `total`, with `per_epoch` steps an epoch. */
double mn_schedule_lr(const mn_schedule *s, double base_lr, int64_t step, int64_t total, int64_t per_epoch);
/* Tells plateau the epoch's validation loss (lower is better). Does nothing for the others. */
void mn_schedule_epoch(mn_schedule *s, double loss);

/* ---- early stopping, snapshots, averages ----------------------------------------------------------- */

/* Stops when the watched number has not fallen by more than min_delta for `patience` epochs. */
typedef struct mn_early_stop {
    int patience; /* 0: never stops, but still knows the best epoch */
    double min_delta;
    double best; /* state; zero-initialise */
    int64_t best_epoch;
    int bad_epochs;
    bool started;
} mn_early_stop;
/* Returns true when `value` is the best so far (take a snapshot); *stop is set when it is time to stop. */
bool mn_early_stop_update(mn_early_stop *e, int64_t epoch, double value, bool *stop);

/* A copy of a list of tensors (best weights). Owned by the context. */
typedef struct mn_snapshot mn_snapshot;
mn_snapshot *mn_snapshot_create(mn_context *c, mn_tensor **t, int n);
mn_status mn_snapshot_take(mn_snapshot *s);
mn_status mn_snapshot_restore(mn_snapshot *s);
mn_tensor *mn_snapshot_tensor(mn_snapshot *s, int i);

/* Exponential moving average of weights: avg = d*avg + (1-d)*w with d = min(decay, (t+1)/(t+10)), t = updates
 * so far, so that the beginning is forgotten quickly (TensorFlow's rule). Running statistics may be in the
 * list. */
typedef struct mn_ema mn_ema;
mn_ema *mn_ema_create(mn_context *c, mn_tensor **t, int n, double decay);
mn_status mn_ema_update(mn_ema *e);
/* Exchanges averages and weights: call it before evaluation, and again after. */
mn_status mn_ema_swap(mn_ema *e);
int64_t mn_ema_updates(const mn_ema *e);
void mn_ema_set_updates(mn_ema *e, int64_t updates);
mn_tensor *mn_ema_tensor(mn_ema *e, int i);

#ifdef __cplusplus
}
#endif
#endif
