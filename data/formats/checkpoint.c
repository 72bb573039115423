/* Checkpoints: a model file with a group "mien_checkpoint" beside the weights: what training needs to go on to
 * the bit. Numbers are stored in the type they are computed in. */
#include "data/formats/model_file.h"
#include <string.h>

#if MN_HAVE_HDF5 && MN_HAVE_JSON

/* The tensors of a checkpoint, in a fixed order, under "optim/0", "ema/3", "best/1". NULL: no more. */
typedef struct part {
    const char *name;
    int (*count)(const mn_checkpoint *k);
    mn_tensor *(*tensor)(const mn_checkpoint *k, int i);
} part;

static int optim_count(const mn_checkpoint *k) { return k->optim ? mn_optim_state_count(k->optim) : -1; }
static mn_tensor *optim_tensor(const mn_checkpoint *k, int i) { return mn_optim_state(k->optim, i, NULL); }
static mn_tensor *ema_tensor(const mn_checkpoint *k, int i) { return mn_ema_tensor(k->ema, i); }
static mn_tensor *best_tensor(const mn_checkpoint *k, int i) { return mn_snapshot_tensor(k->best, i); }
static int ema_count(const mn_checkpoint *k) {
    int n = 0;
    while (k->ema && mn_ema_tensor(k->ema, n)) n++;
    return k->ema ? n : -1;
}
static int best_count(const mn_checkpoint *k) {
    int n = 0;
    while (k->best && mn_snapshot_tensor(k->best, n)) n++;
    return k->best ? n : -1;
}
static const part parts[] = {
    {"optim", optim_count, optim_tensor}, {"ema", ema_count, ema_tensor}, {"best", best_count, best_tensor}};
enum { N_PARTS = sizeof parts / sizeof *parts };

static mn_status context_error(const mn_checkpoint *k, mn_error *err) {
    const mn_error *e = mn_context_error(mn_model_context(k->model));
    return mn_fail(err, e->status ? e->status : MN_ERR_ARG, "%s", e->status ? e->text : "a tensor of the checkpoint is missing");
}

/* ---- writing ---- */

static mn_status put_tensor(hid_t group, const char *name, const mn_tensor *t, mn_error *err) {
    void *data = mn_alloc((size_t)t->count * mn_dtype_size(t->dtype));
    if (!data) return mn_fail(err, MN_ERR_MEMORY, "out of host memory for the checkpoint");
    mn_status s = mn_get(t, data);
    if (s)
        mn_fail(err, s, "%s", mn_context_error(t->ctx)->text);
    else
        s = mn__h5_put_data(group, name, t->dtype, t->shape, data, err);
    mn_free(data);
    return s;
}

static mn_status put_part(hid_t at, const mn_checkpoint *k, const part *p, mn_error *err) {
    int n = p->count(k);
    if (n < 0) return MN_OK;
    hid_t group = mn__h5_group_create(at, p->name, err);
    mn_status s = group < 0 ? MN_ERR_MEMORY : mn__h5_put_int(group, "count", n, err);
    for (int i = 0; i < n && s == MN_OK; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        mn_tensor *t = p->tensor(k, i);
        s = t ? put_tensor(group, name, t, err) : context_error(k, err);
    }
    if (group >= 0) H5Gclose(group);
    return s;
}

static mn_status put_checkpoint(hid_t file, const mn_checkpoint *k, mn_error *err) {
    hid_t at = mn__h5_group_create(file, "mien_checkpoint", err);
    mn_status s = at < 0 ? MN_ERR_MEMORY : mn__h5_put_text(at, "state", k->state ? k->state : "{}", err);
    if (s == MN_OK && k->optim) s = mn__h5_put_int(at, "optim_steps", mn_optim_steps(k->optim), err);
    if (s == MN_OK && k->ema) s = mn__h5_put_int(at, "ema_updates", mn_ema_updates(k->ema), err);
    for (int i = 0; i < N_PARTS && s == MN_OK; i++) s = put_part(at, k, &parts[i], err);
    if (at >= 0) H5Gclose(at);
    return s;
}

mn_status mn_checkpoint_save(const mn_checkpoint *k, const char *path, mn_error *err) {
    mn_error own = {0}, *e = err ? err : &own;
    if (!k->model) return mn_fail(e, MN_ERR_ARG, "a checkpoint needs a model");
    mn__h5_begin();
    hid_t file = mn__h5_create(e);
    mn_status s = file < 0 ? MN_ERR_MEMORY : mn__model_put(file, k->model, k->info, e);
    if (s == MN_OK) s = put_checkpoint(file, k, e);
    if (s == MN_OK)
        s = mn__h5_store(file, path, e);
    else if (file >= 0)
        H5Fclose(file);
    mn__h5_end();
    return s;
}

/* ---- reading ---- */

static hid_t open_checkpoint(hid_t file, mn_error *err) {
    if (mn__h5_has_group(file, "mien_checkpoint")) return mn__h5_group_open(file, "mien_checkpoint", err);
    mn_fail(err, MN_ERR_FORMAT,
            "is a model but no checkpoint: training cannot be resumed from it; hint: --init starts from its "
            "weights");
    return -1;
}

mn_status mn_checkpoint_peek(const char *path, char **state, mn_error *err) {
    mn_error own = {0}, *e = err ? err : &own;
    size_t size;
    *state = NULL;
    mn__h5_begin();
    hid_t file = mn__h5_open(path, &size, e), at = file < 0 ? -1 : open_checkpoint(file, e);
    mn_status s = at < 0 ? e->status : mn__h5_get_text(at, "state", state, e);
    if (s && file >= 0) mn_error_prefix(e, "%s", path);
    if (at >= 0) H5Gclose(at);
    if (file >= 0) H5Fclose(file);
    mn__h5_end();
    return s;
}

static mn_status get_tensor(hid_t group, const char *name, mn_tensor *t, bool set, mn_error *err) {
    char a[64], b[64];
    mn_shape is;
    if (!set) {
        mn_status s = mn__h5_data_shape(group, name, &is, err);
        if (s == MN_OK && !mn_shape_equal(is, t->shape))
            s = mn_fail(err, MN_ERR_SHAPE, "tensor %s is %s in the file; wanted %s", name, mn_shape_text(is, a, sizeof a),
                        mn_shape_text(t->shape, b, sizeof b));
        return s;
    }
    void *data = mn_alloc((size_t)t->count * mn_dtype_size(t->dtype));
    if (!data) return mn_fail(err, MN_ERR_MEMORY, "out of host memory for the checkpoint");
    mn_status s = mn__h5_get_data(group, name, t->dtype, t->shape, data, err);
    if (s == MN_OK && (s = mn_set(t, data))) mn_fail(err, s, "%s", mn_context_error(t->ctx)->text);
    mn_free(data);
    return s;
}

static mn_status get_part(hid_t at, const mn_checkpoint *k, const part *p, bool set, mn_error *err) {
    int n = p->count(k);
    int64_t stored = 0;
    if (n < 0) return MN_OK;
    hid_t group = mn__h5_group_open(at, p->name, err);
    mn_status s = group < 0 ? MN_ERR_FORMAT : mn__h5_get_int(group, "count", &stored, err);
    if (s == MN_OK && stored != n) s = mn_fail(err, MN_ERR_FORMAT, "the file has %lld tensors; wanted %d", (long long)stored, n);
    for (int i = 0; i < n && s == MN_OK; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        mn_tensor *t = p->tensor(k, i);
        s = t ? get_tensor(group, name, t, set, err) : context_error(k, err);
    }
    if (group >= 0) H5Gclose(group);
    if (s) mn_error_prefix(err, "checkpoint, %s", p->name);
    return s;
}

static mn_status get_checkpoint(hid_t file, mn_checkpoint *k, mn_error *err) {
    hid_t at = open_checkpoint(file, err);
    if (at < 0) return MN_ERR_FORMAT;
    int64_t steps = 0, updates = 0;
    char *state = NULL;
    mn_status s = mn__h5_get_text(at, "state", &state, err);
    if (s == MN_OK && k->optim) s = mn__h5_get_int(at, "optim_steps", &steps, err);
    if (s == MN_OK && k->ema) s = mn__h5_get_int(at, "ema_updates", &updates, err);
    for (int set = 0; set < 2; set++) {
        for (int i = 0; i < N_PARTS && s == MN_OK; i++) s = get_part(at, k, &parts[i], set, err);
        if (set == 0 && s == MN_OK) s = mn__model_get_weights(file, k->model, err);
    }
    if (s == MN_OK && k->optim) mn_optim_set_steps(k->optim, steps);
    if (s == MN_OK && k->ema) mn_ema_set_updates(k->ema, updates);
    if (s == MN_OK && k->info) s = mn__model_get_info(file, k->model, k->info, err);
    H5Gclose(at);
    if (s == MN_OK)
        k->state = state;
    else
        mn_free(state);
    return s;
}

mn_status mn_checkpoint_load(mn_checkpoint *k, const char *path, mn_error *err) {
    mn_error own = {0}, *e = err ? err : &own;
    if (!k->model) return mn_fail(e, MN_ERR_ARG, "a checkpoint is loaded into a model; there is none");
    size_t size;
    k->state = NULL;
    mn__h5_begin();
    hid_t file = mn__h5_open(path, &size, e);
    mn_status s = file < 0 ? e->status : get_checkpoint(file, k, e);
    if (s && file >= 0) mn_error_prefix(e, "%s", path);
    if (file >= 0) H5Fclose(file);
    mn__h5_end();
    return s;
}

#else

mn_status mn_checkpoint_save(const mn_checkpoint *k, const char *path, mn_error *err) {
    (void)k, (void)path;
    return mn__model_files_missing(err);
}
mn_status mn_checkpoint_peek(const char *path, char **state, mn_error *err) {
    (void)path;
    *state = NULL;
    return mn__model_files_missing(err);
}
mn_status mn_checkpoint_load(mn_checkpoint *k, const char *path, mn_error *err) {
    (void)k, (void)path;
    return mn__model_files_missing(err);
}
#endif
