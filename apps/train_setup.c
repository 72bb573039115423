/* Building a training run: data, network (train_net.c), optimiser; and saying what was found. */
#include "apps/train.h"
#if MN_HAVE_JSON
#include "apps/app.h"
#include "apps/progress.h"
#include "apps/teach.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int train_patience(const train_options *o) {
    if (o->patience >= 0) return o->patience;
    return o->schedule.kind == MN_COSINE || o->schedule.kind == MN_ONE_CYCLE ? 0 : 10;
}

/* ---- data ---- */

static int find_head(const mn_dataset *d, const char *name, size_t length) {
    for (int h = 0; h < d->n_heads; h++)
        if (strlen(d->head[h].name) == length && !strncmp(d->head[h].name, name, length)) return h;
    return -1;
}

/* --labels: "auto" is all there are, "both" is emotion,gender, else names with commas. */
static mn_status choose_heads(train_run *r, mn_error *err) {
    const mn_dataset *d = r->data.all;
    const char *list = !strcmp(r->o.labels, "both") ? "emotion,gender" : r->o.labels;
    if (!strcmp(list, "auto")) {
        for (int h = 0; h < d->n_heads; h++) r->head[r->n_heads++] = h;
        return MN_OK;
    }
    for (const char *p = list; *p; p += strspn(p, ",")) {
        size_t length = strcspn(p, ",");
        int h = find_head(d, p, length);
        if (h < 0)
            return mn_fail(err, MN_ERR_ARG, "--labels %s: the data has no labels \"%.*s\"; it has \"%s\"%s%s%s", r->o.labels,
                           (int)length, p, d->head[0].name, d->n_heads > 1 ? " and \"" : "",
                           d->n_heads > 1 ? d->head[1].name : "", d->n_heads > 1 ? "\"" : "");
        for (int k = 0; k < r->n_heads; k++)
            if (r->head[k] == h) return mn_fail(err, MN_ERR_ARG, "--labels %s names \"%s\" twice", r->o.labels, d->head[h].name);
        r->head[r->n_heads++] = h;
        p += length;
    }
    return r->n_heads ? MN_OK : mn_fail(err, MN_ERR_ARG, "--labels names nothing");
}

static mn_status open_data(train_run *r, mn_error *err) {
    const train_options *o = &r->o;
    const char *spec[DATA_MAX_PARTS];
    int n = 0;
    for (int k = 0; k < o->n_data; k++) spec[n++] = o->data[k];
    if (o->val) spec[n++] = o->val;
    mn_status s = data_open_classes(&r->data, spec, n, o->classes, o->threads, err);
    if (s) return s;
    for (int k = 0; k < n; k++) {
        data_part *p = &r->data.part[k];
        p->valid = o->val ? 0 : o->valid;
        p->test = o->val && k == n - 1 ? 0 : o->test;
        p->near = o->near;
        p->use = !o->val ? USE_BOTH : k == n - 1 ? USE_VALID : USE_TRAIN;
    }
    if ((s = choose_heads(r, err)) || (s = data_split(&r->data, r->head, r->n_heads, o->seed, err))) return s;
    if (!o->quiet && (s = data_print(&r->data, r->head, r->n_heads, stdout, err))) return s;
    if (!r->data.count[MN_SPLIT_TRAIN])
        return mn_fail(err, MN_ERR_ARG, "no rows are left to train on: the data marks them all as validation or test rows");
    if (o->val && !r->data.count[MN_SPLIT_VALID])
        return mn_fail(err, MN_ERR_ARG, "--val %s: no rows to validate on: it holds test rows only", o->val);
    return MN_OK;
}

/* One thread prepares batches while the others compute; more only where there are processors to spare. */
static mn_loader *open_loader(train_run *r, const mn_dataset *d, bool training, mn_error *err) {
    mn_loader_opt opt = {.batch = r->o.batch,
                         .seed = r->o.seed,
                         .workers = r->o.workers,
                         .shuffle = training,
                         .balance = training ? r->o.sample : 0,
                         .augment = training ? &r->o.augment : NULL};
    for (int h = 0; h < r->n_heads; h++) opt.balance_heads |= 1u << r->head[h];
    return mn_loader_create(d, &r->info.preprocess, opt, err);
}

/* Mean and deviation of the training pixels, each channel's own, for numbers of 0..1. */
static mn_status measure(train_run *r, mn_error *err) {
    mn_preprocess *p = &r->info.preprocess;
    double sum[3] = {0}, squares[3] = {0}, n = 0;
    mn_image im = {0};
    for (int64_t i = 0; i < r->train_pixels->length; i++) {
        mn_status s = r->train_pixels->pixels(r->train_pixels, i, &im, err);
        if (s) return mn_image_free(&im), s;
        size_t count = (size_t)im.width * (size_t)im.height;
        for (size_t k = 0; k < count * (size_t)im.channels; k++) {
            double v = im.pixels[k] / 255.0;
            sum[k % (size_t)im.channels] += v, squares[k % (size_t)im.channels] += v * v;
        }
        n += (double)count;
    }
    mn_image_free(&im);
    for (int c = 0; c < p->channels; c++) {
        p->mean[c] = sum[c] / n;
        p->deviation[c] = fmax(sqrt(fmax(squares[c] / n - p->mean[c] * p->mean[c], 0)), 1e-3);
    }
    return MN_OK;
}

/* Training and validation rows are decoded once; test rows are not read. */
static mn_status open_loaders(train_run *r, mn_error *err) {
    progress bar = {0};
    mn_open_opt opt = {.threads = r->o.threads, .progress = progress_data, .user = &bar};
    mn_dataset **rows[2] = {&r->train_rows, &r->valid_rows}, **pixels[2] = {&r->train_pixels, &r->valid_pixels};
    for (int k = 0; k < 2; k++) {
        *rows[k] = mn_dataset_subset(r->data.all, r->data.index[k], r->data.count[k], err);
        if (!*rows[k]) return err->status;
        *pixels[k] = mn_dataset_cache(*rows[k], &r->info.preprocess, &opt, err);
        progress_end(&bar);
        if (!*pixels[k]) return err->status;
    }
    if (r->data.crop && cropper_missed(r->data.crop) && !r->o.quiet)
        printf("pipeline  no face was found in %lld pictures, which are used whole\n", (long long)cropper_missed(r->data.crop));
    mn_status s = train_check_split(r, err);
    if (!s && r->o.normalize == NORMALIZE_DATASET) s = measure(r, err);
    const mn_dataset *kept = r->train_kept ? r->train_kept : r->train_pixels;
    if (!s && r->o.n_teachers) s = teach_open(r, kept, err);
    if (s) return s;
    if (!(r->train = open_loader(r, r->taught ? r->taught : kept, true, err))) return err->status;
    r->per_epoch = mn_loader_batches(r->train);
    if (!r->data.count[MN_SPLIT_VALID]) return MN_OK;
    return (r->valid = open_loader(r, r->valid_pixels, false, err)) ? MN_OK : err->status;
}

/* ---- loss and optimiser ---- */

/* Weight of class k: n / (K n_k), so that every class weighs the same in the sum (King and Zeng 2001). */
static mn_status balance(train_run *r, int h, mn_error *err) {
    int K = r->info.head[h].n_classes;
    int64_t *count = app_alloc((size_t)K, sizeof *count), n = 0;
    double *weight = app_alloc((size_t)K, sizeof *weight);
    mn_status s = data_count(r->data.all, r->data.index[0], r->data.count[0], r->head[h], count, err);
    for (int k = 0; k < K; k++) n += count[k];
    for (int k = 0; k < K; k++) weight[k] = count[k] ? (double)n / ((double)K * (double)count[k]) : 1;
    if (!s) {
        r->class_weight[h] = mn_tensor_create(r->c, MN_MODEL, MN_F32, MN_SHAPE(K));
        s = r->class_weight[h] ? mn_set_f64(r->class_weight[h], weight) : mn_context_error(r->c)->status;
    }
    free(count);
    free(weight);
    return s;
}

static mn_status weigh_heads(train_run *r, mn_error *err) {
    for (int h = 0; h < r->n_heads; h++) r->head_weight[h] = 1;
    for (int k = 0; k < r->o.n_head_weights; k++) {
        int h = 0;
        while (h < r->n_heads && strcmp(r->info.head[h].name, r->o.weighted_head[k]) != 0) h++;
        if (h == r->n_heads) return mn_fail(err, MN_ERR_ARG, "--head-weight %s: no such head is trained", r->o.weighted_head[k]);
        r->head_weight[h] = r->o.head_weight[k];
    }
    mn_status s = MN_OK;
    for (int h = 0; h < r->n_heads && r->o.balanced && !s; h++) s = balance(r, h, err);
    return s;
}

static mn_status open_optim(train_run *r, mn_error *err) {
    int n, n_all;
    mn_tensor **w = mn_model_parameters(r->m, &n, &n_all);
    mn_status s = weigh_heads(r, err);
    if (s) return s;
    r->optim = mn_optim_create(r->c, w, n, r->o.optim);
    for (int i = 0; r->optim && i < n; i++) /* biases, gammas and betas do not decay */
        if (w[i]->shape.ndim < 2 && (s = mn_optim_set_param(r->optim, i, 1, 0))) return s;
    for (int k = 0; k < r->o.n_scaled; k++) {
        int found = 0;
        for (int i = 0; r->optim && i < n; i++) {
            if (!train_layer_matches(w[i], r->o.scaled[k])) continue;
            if ((s = mn_optim_set_param(r->optim, i, r->o.scale[k], w[i]->shape.ndim < 2 ? 0 : -1))) return s;
            found++;
        }
        if (!found) return mn_fail(err, MN_ERR_ARG, "--lr-scale \"%s\" matches no layer with weights", r->o.scaled[k]);
    }
    if (r->optim) r->best = mn_snapshot_create(r->c, w, n_all);
    if (r->best && r->o.ema > 0) r->ema = mn_ema_create(r->c, w, n_all, r->o.ema);
    r->sums = mn_tally_create(r->c, r->n_heads);
    if (!r->best || (r->o.ema > 0 && !r->ema) || !r->sums || mn_snapshot_take(r->best))
        return mn_fail(err, mn_context_error(r->c)->status, "%s", mn_context_error(r->c)->text);
    r->schedule = r->o.schedule;
    r->stop = (mn_early_stop){.patience = train_patience(&r->o)};
    return MN_OK;
}

/* ---- what it is ---- */

static void print_network(const train_run *r) {
    mn_model_stats k = mn_model_count(r->m);
    const mn_preprocess *p = &r->info.preprocess;
    char n[2][24];
    printf("network   %s: %d x %d x %d", mn_model_name(r->m), p->channels, p->height, p->width);
    for (int h = 0; h < r->n_heads; h++) printf("%s %s %d", h ? "," : " ->", r->info.head[h].name, r->info.head[h].n_classes);
    printf("; %s parameters", progress_number(n[0], sizeof n[0], k.parameters));
    if (k.trainable != k.parameters) printf(" (%s trained)", progress_number(n[1], sizeof n[1], k.trainable));
    printf(", %.1f M MAC\n", (double)k.macs / 1e6);
}

/* What the run will take, before it begins. Pictures stay on the host, the rest is the device's. */
static void print_memory(const train_run *r) {
    mn_model_stats k = mn_model_count(r->m);
    double mib = 1048576, weights = (double)k.parameters * 4 / mib;
    int states = r->o.optim.kind == MN_SGD       ? r->o.optim.momentum > 0
                 : r->o.optim.kind == MN_RMSPROP ? 1 + (r->o.optim.momentum > 0)
                                                 : 2;
    const mn_preprocess *p = &r->info.preprocess;
    double pictures = (double)(r->data.count[0] + r->data.count[1]) * p->channels * p->height * p->width / mib;
    double activations = 2 * (double)k.activation_bytes * r->o.batch / mib;
    double tensors = weights * (3 + states + (r->ema != NULL)) + activations;
    mn_device_info d = device_info(mn_context_device(r->c));
    printf("device    %s; %.0f MiB are free", d.name, (double)d.memory_free / mib);
    if (r->o.memory_limit) printf(", %.0f MiB may be used", (double)r->o.memory_limit / mib);
    printf("\nmemory    about %.0f MiB: weights %.1f, gradients and optimiser %.1f, copies %.1f,\n          "
           "activations %.1f; pictures %.1f%s\n",
           tensors + pictures, weights, weights * (1 + states), weights * (1 + (r->ema != NULL)), activations, pictures,
           d.device == MN_CPU ? "" : " on the host");
    double limit = (double)(r->o.memory_limit ? r->o.memory_limit : d.memory_free) / mib;
    if (limit > 0 && tensors > limit)
        fprintf(stderr, "mien: WARNING: that is more than the %.0f MiB there are; hint: a smaller --batch\n", limit);
}

static void print_recipe(const train_run *r) {
    const train_options *o = &r->o;
    char n[24];
    printf("training  %s, lr %g", mn_optim_kind_name(o->optim.kind), mn_optim_lr(r->optim));
    if (o->optim.momentum > 0) printf(", %smomentum %g", o->optim.nesterov ? "Nesterov " : "", o->optim.momentum);
    if (o->optim.weight_decay > 0) printf(", weight decay %g", o->optim.weight_decay);
    printf(", %s\n          augment %s", o->schedule_text, o->augment_text);
    if (o->balanced) printf(", balanced classes");
    if (o->sample > 0) printf(", balanced sampling %g", o->sample);
    if (o->smoothing > 0) printf(", label smoothing %g", o->smoothing);
    if (o->ema > 0) printf(", ema %g", o->ema);
    printf("\n          %d epochs of %s batches of %d, ", o->epochs, progress_number(n, sizeof n, r->per_epoch), o->batch);
    if (r->stop.patience && r->valid) printf("patience %d, ", r->stop.patience);
    printf("seed %llu, %d thread%s\n", (unsigned long long)o->seed, mn_context_threads(r->c),
           mn_context_threads(r->c) == 1 ? "" : "s");
    if (!r->valid) printf("          no validation rows: the last epoch is kept, nothing stops early\n");
    fflush(stdout);
}

mn_status train_open(train_run *r, const train_options *o, mn_error *err) {
    *r = (train_run){.o = *o};
    r->checkpoint = app_text("%s.ckpt", o->out);
    r->history = app_alloc((size_t)o->epochs, sizeof *r->history);
    mn_status s = app_check_writable(o->out, err);
    if (!s && o->log) s = app_check_writable(o->log, err);
    if (!s && o->plot) s = app_check_writable(o->plot, err);
    if (!s && o->card) s = app_check_writable(o->card, err);
    for (int k = 0; k < o->n_teachers && !s; k++) /* now, not after the pictures are decoded */
        if (access(o->teacher[k], R_OK)) s = mn_fail(err, MN_ERR_IO, "--teacher %s: cannot be read", o->teacher[k]);
    if (!s) s = open_data(r, err);
    if (s) return s;
    mn_context_opt opt = {.threads = o->threads, .seed = o->seed, .memory_limit = o->memory_limit, .precision = o->precision};
    if (!(r->c = device_open(o->device, &opt, err))) return err->status;
    if ((s = train_open_net(r, err)) || (s = open_loaders(r, err)) || (s = open_optim(r, err)))
        return mn_fail(err, s, "%s", mn_context_error(r->c)->text);
    evaluation_create(&r->scores, r->m, r->data.count[MN_SPLIT_VALID]);
    if ((s = head_map_create(&r->map, r->info.head, r->n_heads, r->data.all, err))) return s;
    if (o->quiet) return MN_OK;
    print_network(r);
    print_memory(r);
    print_recipe(r);
    return MN_OK;
}

void train_close(train_run *r) {
    mn_loader_destroy(r->train);
    mn_loader_destroy(r->valid);
    mn_dataset_destroy(r->taught);
    mn_dataset_destroy(r->train_kept);
    mn_dataset_destroy(r->train_pixels);
    mn_dataset_destroy(r->valid_pixels);
    mn_dataset_destroy(r->train_rows);
    mn_dataset_destroy(r->valid_rows);
    data_close(&r->data);
    evaluation_free(&r->scores);
    head_map_free(&r->map);
    json_decref(r->validation);
    json_decref(r->teachers);
    mn_model_info_free(&r->info);
    mn_context_destroy(r->c);
    free(r->history);
    free(r->checkpoint);
    *r = (train_run){0};
}
#endif
