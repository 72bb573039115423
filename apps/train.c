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

/* The loss of head h: each sample trains the heads that it has a label for. */
static mn_tensor *head_loss(train_run *r, const mn_batch *b, int h) {
    int at = r->head[h];
    mn_tensor *target = b->soft[at] ? mn_input(r->c, MN_SHAPE(b->n, r->info.head[h].n_classes), b->soft[at])
                                    : mn_labels(r->c, b->n, b->label[at]);
    return mn_cross_entropy(mn_model_result(r->m, h), target, r->class_weight[h],
                            (mn_cross_entropy_opt){.label_smoothing = r->o.smoothing});
}

/* loss = sum over heads of weight * loss */
static mn_tensor *total_loss(train_run *r, const mn_batch *b, mn_tensor **of_head) {
    mn_tensor *loss = NULL;
    for (int h = 0; h < r->n_heads; h++) {
        of_head[h] = head_loss(r, b, h);
        mn_tensor *part = r->head_weight[h] == 1 ? of_head[h] : mn_scale(of_head[h], r->head_weight[h]);
        loss = h ? mn_add(loss, part) : part;
    }
    return loss;
}

static mn_status add_to_tally(train_run *r, const mn_batch *b, mn_tensor **of_head) {
    for (int h = 0; h < r->n_heads; h++) {
        const int32_t *label = b->label[r->head[h]];
        int K = r->info.head[h].n_classes;
        mn_status s = mn_get(mn_model_result(r->m, h), r->logits);
        if (s) return s;
        int64_t labelled = 0;
        for (int64_t i = 0; i < b->n; i++) {
            if (label[i] < 0) continue;
            labelled++;
            r->tally.hits[h].right += metrics_argmax(r->logits + i * K, K) == label[i];
        }
        r->tally.hits[h].of += labelled;
        r->tally.loss[h] += mn_item(of_head[h], 0) * (double)labelled;
    }
    r->tally.images += b->n;
    return MN_OK;
}

static mn_status not_finite(const train_run *r, mn_error *err) {
    double lr = mn_optim_lr(r->optim);
    return mn_fail(err, MN_ERR_NUMERIC,
                   "the loss is not a finite number any more (epoch %lld, batch %lld, learning rate %g); "
                   "hint: a smaller --lr, such as %g, or --clip-norm 1",
                   (long long)r->epoch + 1, (long long)r->batch + 1, lr, lr / 10);
}

mn_status train_step(train_run *r, const mn_batch *b, mn_error *err) {
    int64_t step = r->epoch * r->per_epoch + r->batch;
    const mn_preprocess *p = &r->info.preprocess;
    mn_context_set_step(r->c, (uint64_t)step); /* random numbers depend on where the run stands, not on how it got here */
    mn_step_begin(r->c);
    mn_optim_set_lr(r->optim, mn_schedule_lr(&r->schedule, r->o.optim.lr, step, r->o.epochs * r->per_epoch, r->per_epoch));
    mn_tensor *x = mn_input(r->c, MN_SHAPE(b->n, p->channels, p->height, p->width), b->x), *of_head[MN_MAX_HEADS];
    if (mn_model_forward(r->m, &x, true)) return failed(r, err);
    mn_tensor *loss = total_loss(r, b, of_head);
    if (!loss) return failed(r, err);
    if (!isfinite(mn_item(loss, 0))) return not_finite(r, err);
    if (mn_backward(r->c, loss) || mn_optim_step(r->optim)) return failed(r, err);
    if (r->ema && mn_ema_update(r->ema)) return failed(r, err);
    if (add_to_tally(r, b, of_head)) return failed(r, err);
    r->batch++;
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
    mn_batch b;
    int more = 0;
    int64_t done = 0;
    while (!s && !*stop && (more = mn_loader_next(r->train, &b, err)) > 0) {
        s = train_step(r, &b, err);
        done += b.n;
        progress_update(&bar, r->batch, done, tally_loss(r));
    }
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
