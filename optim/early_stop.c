/* Early stopping (Prechelt 1998): no improvement for `patience` epochs. */
#include "optim/optim.h"

bool mn_early_stop_update(mn_early_stop *e, int64_t epoch, double value, bool *stop) {
    /* A comparison with NaN is false: such an epoch is never the best. */
    bool better = e->started ? value < e->best - e->min_delta : value == value;
    if (better) {
        e->started = true;
        e->best = value;
        e->best_epoch = epoch;
        e->bad_epochs = 0;
    } else {
        e->bad_epochs++;
    }
    *stop = e->patience > 0 && e->bad_epochs >= e->patience;
    return better;
}
