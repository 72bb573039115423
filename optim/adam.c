/* Adam (Kingma and Ba 2015) and AdamW, whose weight decay does not go through the moments (Loshchilov and
 * Hutter 2019). */
#include "optim/internal.h"

static int states(const mn_optim_opt *o) {
    (void)o;
    return 2;
}

extern const mn__optim_rule mn__optim_adam, mn__optim_adamw;
const mn__optim_rule mn__optim_adam = {"adam", 0.001, {"first_moment", "second_moment"}, states, NULL};
const mn__optim_rule mn__optim_adamw = {"adamw", 0.001, {"first_moment", "second_moment"}, states, NULL};
