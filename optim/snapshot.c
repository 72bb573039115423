/* Snapshots: copies of a list of tensors, taken when the weights are at their best. */
#include "optim/internal.h"

struct mn_snapshot {
    int n;
    mn_tensor **t, **copy;
};

mn_snapshot *mn_snapshot_create(mn_context *c, mn_tensor **t, int n) {
    if (c->error.status || mn__check_list(c, "snapshot", t, n)) return NULL;
    mn_snapshot *s = mn__host(c, MN_MODEL, sizeof *s);
    if (!s) return NULL;
    s->n = n;
    s->t = mn__host(c, MN_MODEL, (size_t)n * sizeof *s->t);
    s->copy = mn__host(c, MN_MODEL, (size_t)n * sizeof *s->copy);
    if (!s->t || !s->copy) return NULL;
    for (int i = 0; i < n; i++) {
        s->t[i] = t[i];
        s->copy[i] = mn_tensor_create(c, MN_MODEL, c->dtype, t[i]->shape);
        if (!s->copy[i]) return NULL;
    }
    return mn_snapshot_take(s) == MN_OK ? s : NULL;
}

mn_status mn_snapshot_take(mn_snapshot *s) {
    mn_status status = s ? MN_OK : MN_ERR_ARG;
    for (int i = 0; s && i < s->n && status == MN_OK; i++) status = mn_copy(s->copy[i], s->t[i]);
    return status;
}

mn_status mn_snapshot_restore(mn_snapshot *s) {
    mn_status status = s ? MN_OK : MN_ERR_ARG;
    for (int i = 0; s && i < s->n && status == MN_OK; i++) status = mn_copy(s->t[i], s->copy[i]);
    return status;
}

mn_tensor *mn_snapshot_tensor(mn_snapshot *s, int i) { return i >= 0 && i < s->n ? s->copy[i] : NULL; }
