/* Stochastic gradient descent, with momentum (Polyak 1964) and Nesterov's (Sutskever et al. 2013). */
#include "optim/internal.h"

static int states(const mn_optim_opt *o) { return o->momentum > 0 ? 1 : 0; }

static mn_status check(const mn_optim_opt *o, mn_error *err) {
    if (o->nesterov && (o->momentum == 0 || o->dampening != 0))
        return mn_fail(err, MN_ERR_ARG,
                       "sgd: nesterov with momentum %g and dampening %g; wanted a momentum above 0 and "
                       "no dampening",
                       o->momentum, o->dampening);
    return MN_OK;
}

extern const mn__optim_rule mn__optim_sgd;
const mn__optim_rule mn__optim_sgd = {"sgd", 0.001, {"velocity"}, states, check};
