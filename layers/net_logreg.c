/* logreg: multinomial logistic regression on the pixels, S2's "LRC": what a network has to beat. */
#include "layers/internal.h"

void mn__net_logreg(mn_model *m, mn_sym x, const mn_net_opt *o) {
    x = mn_layer_flatten(m, x, (mn_plain_layer){0});
    mn__net_heads(m, x, o);
}
