/* RMSprop (Tieleman and Hinton 2012, lecture 6e), with momentum where asked for. */
#include "optim/internal.h"

static int states(const mn_optim_opt *o) { return o->momentum > 0 ? 2 : 1; }

extern const mn__optim_rule mn__optim_rmsprop;
const mn__optim_rule mn__optim_rmsprop = {"rmsprop", 0.01, {"square_average", "velocity"}, states, NULL};
