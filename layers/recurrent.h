/* What LSTM and ConvLSTM2D have in common: the walk along the steps. */
#ifndef MIEN_LAYERS_RECURRENT_H
#define MIEN_LAYERS_RECURRENT_H
#include "layers/internal.h"

/* Options of both, as the walk sees them. */
typedef struct mn__recurrence {
    mn_cell_activation activation;
    mn_gate_activation gate;
    bool return_sequences;
    int64_t units; /* channels of h */
    /* What the state adds to the gates: a matrix product or a convolution of h (N,U,...). */
    mn_tensor *(*of_state)(mn__layer *l, mn_tensor *h);
} mn__recurrence;

/* z (N,T,4U,...): what the inputs of all steps add to the gates. Returns the last h (N,U,...), or all (N,T,U,...). */
mn_tensor *mn__recur(mn__layer *l, mn_tensor *z, mn_tensor *mask, const mn__recurrence *r);
/* Checks the number of steps, and the mask where there is one. */
mn_status mn__want_steps(const mn__layer *l, int64_t steps);
/* (T,...) where all steps are returned. */
mn_shape mn__with_steps(mn_shape s, int64_t steps, bool all);
#endif
