/* The training loop. */
#include "apps/train.h"
#if MN_HAVE_JSON
#include "apps/app.h"
#include "apps/card.h"
#include "apps/progress.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The sentence of the context, where the library's tensors put it. */
static mn_status failed(const train_run *r, mn_error *err) {
    const mn_error *e = mn_context_error(r->c);
    return mn_fail(err, e->status ? e->status : MN_ERR_ARG, "%s", e->text);
}

/* ---- a step ---- */

/* The loss of head h, which goes to the epoch's sums as well: each sample trains the heads that it has a label for. */
static mn_tensor *head_loss(train_run *r, int h) {
    mn_tensor *target = mn_feed_tensor(r->feed, r->soft[h] ? r->soft[h] : 1 + h);
    return mn_tally_cross_entropy(r->sums, h, mn_model_result(r->m, h), target, mn_feed_tensor(r->feed, 1 + h),
                                  r->class_weight[h], (mn_cross_entropy_opt){.label_smoothing = r->o.smoothing});
}

/* loss = sum over heads of weight * loss */
static mn_tensor *total_loss(train_run *r) {
    mn_tensor *loss = NULL;
    for (int h = 0; h < r->n_heads; h++) {
        mn_tensor *own = head_loss(r, h), *part = r->head_weight[h] == 1 ? own : mn_scale(own, r->head_weight[h]);
        loss = h ? mn_add(loss, part) : part;
    }
    return loss;
}

/* What is done with the batch in the feed: the function that mn_step_run records where it can. */
static mn_status learn(void *arg) {
    train_run *r = arg;
    mn_tensor *x = mn_feed_tensor(r->feed, 0);
    mn_status s = mn_model_forward(r->m, &x, true);
    if (!s) s = mn_backward(r->c, total_loss(r));
    if (!s) s = mn_optim_step(r->optim);
    return !s && r->ema ? mn_ema_update(r->ema) : s;
}

/* The first batch tells which heads have probabilities. */
static mn_status open_feed(train_run *r, const mn_batch *b) {
    const mn_preprocess *p = &r->info.preprocess;
    mn_feed_part part[1 + 2 * MN_MAX_HEADS] = {{MN_F32, MN_SHAPE(p->channels, p->height, p->width)}};
    int n = 1;
    for (int h = 0; h < r->n_heads; h++) part[n++] = (mn_feed_part){MN_I32, {0}};
    for (int h = 0; h < r->n_heads; h++) {
        r->soft[h] = b->soft[r->head[h]] ? n : 0;
        if (r->soft[h]) part[n++] = (mn_feed_part){MN_F32, MN_SHAPE(r->info.head[h].n_classes)};
    }
    r->feed = mn_feed_create(r->c, part, n, r->o.batch);
    return mn_context_error(r->c)->status;
}

static mn_status put_batch(train_run *r, const mn_batch *b) {
    const void *part[1 + 2 * MN_MAX_HEADS] = {b->x};
    for (int h = 0; h < r->n_heads; h++) {
        part[1 + h] = b->label[r->head[h]];
        if (r->soft[h]) part[r->soft[h]] = b->soft[r->head[h]];
    }
    return mn_feed_put(r->feed, b->n, part);
}

static double rate_of(const train_run *r, int64_t batch) {
    return mn_schedule_lr(&r->schedule, r->o.optim.lr, r->epoch * r->per_epoch + batch, r->o.epochs * r->per_epoch, r->per_epoch);
}

mn_status train_step(train_run *r, const mn_batch *b, mn_error *err) {
    /* random numbers depend on where the run stands, not on how it got here */
    mn_context_set_step(r->c, (uint64_t)(r->epoch * r->per_epoch + r->batch));
    mn_optim_set_lr(r->optim, rate_of(r, r->batch));
    if ((!r->feed && open_feed(r, b)) || put_batch(r, b) || mn_step_run(r->c, r->feed, learn, r)) return failed(r, err);
    r->tally.images += b->n;
    r->batch++;
    return MN_OK;
}

/* ---- the sums of an epoch: on the device, until they are wanted ---- */

static mn_status put_sums(train_run *r, mn_error *err) {
    mn_tally_sum sum[MN_MAX_HEADS];
    for (int h = 0; h < r->n_heads; h++)
        sum[h] = (mn_tally_sum){.loss = r->tally.loss[h], .hits = r->tally.hits[h], .batches = r->batch};
    return mn_tally_set(r->sums, sum) ? failed(r, err) : MN_OK;
}

static mn_status not_finite(const train_run *r, int64_t batch, mn_error *err) {
    double lr = rate_of(r, batch - 1);
    return mn_fail(err, MN_ERR_NUMERIC,
                   "the loss is not a finite number any more (epoch %lld, batch %lld, learning rate %g); "
                   "hint: a smaller --lr, such as %g, or --clip-norm 1",
                   (long long)r->epoch + 1, (long long)batch, lr, lr / 10);
}

static mn_status read_sums(train_run *r, mn_error *err) {
    mn_tally_sum sum[MN_MAX_HEADS];
    if (mn_tally_read(r->sums, sum)) return failed(r, err);
    for (int h = 0; h < r->n_heads; h++) {
        if (sum[h].not_finite) return not_finite(r, sum[h].not_finite, err);
        r->tally.loss[h] = sum[h].loss, r->tally.hits[h] = sum[h].hits;
    }
    return MN_OK;
}

/* ---- an epoch ---- */

/* Weighted sum over heads of the mean loss of labelled samples. */
static double tally_loss(const train_run *r) {
    double loss = 0;
    for (int h = 0; h < r->n_heads; h++)
        if (r->tally.hits[h].of) loss += r->head_weight[h] * r->tally.loss[h] / (double)r->tally.hits[h].of;
    return loss;
}

static train_end run_batches(train_run *r, const volatile int *stop, mn_error *err) {
    char what[48];
    progress bar;
    snprintf(what, sizeof what, "epoch %*lld/%d",
             r->o.epochs > 99  ? 3
             : r->o.epochs > 9 ? 2
                               : 1,
             (long long)r->epoch + 1, r->o.epochs);
    progress_begin(&bar, what, r->per_epoch);
    bar.first = r->batch;
    mn_status s = mn_loader_begin(r->train, r->epoch, r->batch);
    if (!s) s = put_sums(r, err);
    mn_batch b;
    int more = 0;
    int64_t done = 0;
    while (!s && !*stop && (more = mn_loader_next(r->train, &b, err)) > 0) {
        s = train_step(r, &b, err);
        done += b.n;
        bool look = mn_context_device(r->c) == MN_CPU || progress_due(&bar); /* a GPU would have to be waited for */
        if (!s && look) s = read_sums(r, err);
        progress_update(&bar, r->batch, done, tally_loss(r));
    }
    if (!s) s = read_sums(r, err);
    progress_end(&bar);
    if (s || more < 0) return TRAIN_FAILED;
    return *stop ? TRAIN_STOPPED : TRAIN_DONE;
}

/* Loss and scores on the validation rows, with the averaged weights if there are any. */
static mn_status validate(train_run *r, epoch_record *e, const volatile int *stop, mn_error *err) {
    e->valid_loss = NAN;
    for (int h = 0; h < r->n_heads; h++) e->valid_accuracy[h] = e->valid_f1[h] = NAN;
    if (!r->valid) return MN_OK;
    mn_status s = evaluation_run(&r->scores, r->m, r->valid, &r->map, "validation", stop, err);
    if (s) return s;
    e->valid_loss = 0;
    for (int h = 0; h < r->n_heads; h++) {
        metrics m;
        evaluation_metrics(&r->scores, h, &m);
        if (m.n) e->valid_loss += r->head_weight[h] * m.loss;
        e->valid_accuracy[h] = m.accuracy;
        e->valid_f1[h] = m.macro_f1;
        metrics_free(&m);
    }
    return MN_OK;
}

/* "epoch  3/50  loss 1.4231  valid 1.4012  emotion 45.2 %  12 s *", cut at 79 columns */
static void print_epoch(const train_run *r, const epoch_record *e, bool best) {
    char line[256], clock[24];
    int width = r->o.epochs > 99 ? 3 : r->o.epochs > 9 ? 2 : 1;
    int used =
        snprintf(line, sizeof line, "epoch %*lld/%d  loss %.4f", width, (long long)r->epoch + 1, r->o.epochs, e->train_loss);
    if (r->valid) used += snprintf(line + used, sizeof line - (size_t)used, "  valid %.4f", e->valid_loss);
    for (int h = 0; h < r->n_heads && used < 60; h++) {
        double a = r->valid ? e->valid_accuracy[h] : e->train_accuracy[h];
        if (!isnan(a)) used += snprintf(line + used, sizeof line - (size_t)used, "  %.8s %.1f %%", r->info.head[h].name, 100 * a);
    }
    snprintf(line + used, sizeof line - (size_t)used, "  %s%s", progress_time(clock, sizeof clock, e->seconds), best ? " *" : "");
    printf("%.79s\n", line);
    fflush(stdout);
}

/* Scores the epoch, keeps its weights if it is the best, writes log and checkpoint. */
static train_end end_epoch(train_run *r, double begun, const volatile int *stop, mn_error *err) {
    epoch_record *e = &r->history[r->epoch];
    *e = (epoch_record){.lr = mn_optim_lr(r->optim), .train_loss = tally_loss(r)};
    for (int h = 0; h < r->n_heads; h++)
        e->train_accuracy[h] = r->tally.hits[h].of ? (double)r->tally.hits[h].right / (double)r->tally.hits[h].of : NAN;
    double trained = r->seconds + app_seconds() - begun;
    e->images_per_second = trained > 0 ? (double)r->tally.images / trained : 0;
    if (r->ema && mn_ema_swap(r->ema)) return failed(r, err), TRAIN_FAILED;
    mn_status s = validate(r, e, stop, err);
    bool best = !s && mn_early_stop_update(&r->stop, r->epoch, r->valid ? e->valid_loss : -(double)r->epoch, &r->ended);
    if (best && mn_snapshot_take(r->best)) s = failed(r, err);
    if (r->ema && mn_ema_swap(r->ema)) s = failed(r, err);
    if (s) return *stop ? mn_error_clear(err), TRAIN_STOPPED : TRAIN_FAILED;
    mn_schedule_epoch(&r->schedule, r->valid ? e->valid_loss : e->train_loss);
    e->seconds = r->seconds + app_seconds() - begun;
    if (!r->o.quiet) print_epoch(r, e, best);
    r->epoch++, r->batch = 0, r->tally = (train_tally){0}, r->seconds = 0;
    return TRAIN_DONE;
}

/* A checkpoint that cannot be written does not end a run: the disk may have room again before its end. */
static void checkpoint(train_run *r) {
    mn_error err = {0};
    if (train_checkpoint_save(r, &err)) fprintf(stderr, "mien: warning: no checkpoint: %s; training goes on\n", err.text);
}

train_end train_loop(train_run *r, const volatile int *stop, mn_error *err) {
    while (r->epoch < r->o.epochs && !r->ended) {
        double begun = app_seconds();
        train_unfreeze(r);
        train_end end = run_batches(r, stop, err);
        if (end == TRAIN_DONE) end = end_epoch(r, begun, stop, err);
        if (end == TRAIN_STOPPED) {
            r->seconds += app_seconds() - begun;
            return train_checkpoint_save(r, err) ? TRAIN_FAILED : TRAIN_STOPPED;
        }
        if (end != TRAIN_DONE) return end;
        checkpoint(r);
        train_log(r);
        train_plot(r);
    }
    if (r->ended && !r->o.quiet) printf("stopped   no better validation loss for %d epochs\n", r->stop.patience);
    return mn_snapshot_restore(r->best) ? failed(r, err), TRAIN_FAILED : TRAIN_DONE;
}

/* ---- the end ---- */

/* Where else the model can go when its own place is full or gone. */
static mn_status save_elsewhere(train_run *r, char **where) {
    const char *slash = strrchr(r->o.out, '/'), *folder = getenv("TMPDIR");
    mn_error err = {0};
    *where = app_text("%s/%d-%s", folder && *folder ? folder : "/tmp", (int)getpid(), slash ? slash + 1 : r->o.out);
    return mn_model_save(r->m, &r->info, *where, &err);
}

mn_status train_save(train_run *r, mn_error *err) {
    mn_free(r->info.training);
    mn_free(r->info.card);
    r->info.training = train_record(r);
    mn_model_stats stats = mn_model_count(r->m);
    char *card = card_write(mn_model_name(r->m), &stats, &r->info);
    r->info.card = mn_strdup(card);
    free(card);
    mn_status s = mn_model_save(r->m, &r->info, r->o.out, err);
    if (!s) {
        printf("wrote     %s\n", r->o.out);
        return MN_OK;
    }
    char *where;
    if (save_elsewhere(r, &where) == MN_OK)
        fprintf(stderr, "mien: the model is in %s instead\n", where);
    else if (access(r->checkpoint, R_OK) == 0)
        fprintf(stderr, "mien: the weights are in %s\n", r->checkpoint);
    free(where);
    return s;
}
#endif
