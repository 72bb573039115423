/* After the last epoch: what the validation rows say about the kept weights. They choose a temperature and a
 * threshold for each head; a logistic regression stands beside the scores; the model card is written. */
#include "apps/train.h"
#if MN_HAVE_JSON
#include "apps/app.h"
#include "apps/baseline.h"
#include "apps/calibrate.h"
#include "apps/card.h"
#include "apps/score.h"
#include <stdlib.h>
#include <string.h>

enum { FEW = 30 }; /* labelled validation rows below which nothing is fitted to them */

static int64_t labelled(const evaluation *e, int h) {
    int64_t n = 0;
    for (int64_t i = 0; i < e->n; i++) n += e->label[h][i] >= 0;
    return n;
}

/* Temperature and threshold of head h; its probabilities are changed accordingly. */
static void calibrate(train_run *r, int h) {
    evaluation *e = &r->scores;
    mn_calibration *c = &r->info.calibration[h];
    int K = e->classes[h];
    *c = (mn_calibration){0};
    if (labelled(e, h) < FEW || K < 2) return;
    metrics before, after;
    metrics_compute(&before, e->p[h], e->label[h], e->n, K);
    c->temperature = calibrate_temperature(e->p[h], e->label[h], e->n, K);
    calibrate_apply(e->p[h], e->n, K, c->temperature);
    c->unsure = calibrate_threshold(e->p[h], e->label[h], e->n, K, r->o.unsure);
    metrics_compute(&after, e->p[h], e->label[h], e->n, K);
    printf("%s %s: temperature %.2f, calibration error %.3f -> %.3f; \"unsure\" below %.0f %%\n", h ? "         " : "calibrated",
           r->info.head[h].name, c->temperature, before.ece, after.ece, 100 * c->unsure);
    metrics_free(&before);
    metrics_free(&after);
}

static mn_status baseline(train_run *r, int h, score *s, mn_error *err) {
    const mn_dataset *train = r->train_kept ? r->train_kept : r->train_pixels;
    int K = r->scores.classes[h];
    if (r->o.no_baseline || !baseline_is_cheap(train) || !s->m.n) return MN_OK;
    int32_t *same = app_alloc((size_t)K, sizeof *same);
    float *p = app_alloc((size_t)r->scores.n * (size_t)K, sizeof *p);
    for (int k = 0; k < K; k++) same[k] = k;
    mn_status st = baseline_run(train, r->valid_pixels, r->head[h], same, K, r->o.threads, p, err);
    if (!st) {
        score_set_baseline(s, p, r->scores.label[h], r->scores.n);
        printf("%s %s: logistic regression %.1f %%, the network %.1f %% of the validation rows\n", h ? "         " : "baseline ",
               r->info.head[h].name, 100 * s->baseline.accuracy, 100 * s->m.accuracy);
    }
    free(same);
    free(p);
    return st;
}

mn_status train_finish(train_run *r, mn_error *err) {
    if (!r->valid) return MN_OK;
    mn_status s = evaluation_run(&r->scores, r->m, r->valid, &r->map, "validation", NULL, err);
    score_rows rows;
    if (s || (s = score_rows_create(&rows, r->valid_rows, err))) return s;
    r->validation = json_object();
    for (int h = 0; h < r->n_heads && !s; h++) calibrate(r, h);
    for (int h = 0; h < r->n_heads && !s; h++) {
        score now;
        score_compute(&now, &rows, r->info.head[h].name, r->scores.p[h], r->scores.label[h], r->scores.classes[h],
                      r->info.calibration[h]);
        s = baseline(r, h, &now, err);
        if (!s && now.m.n) json_object_set_new_nocheck(r->validation, r->info.head[h].name, score_json(&r->info.head[h], &now));
        score_free(&now);
    }
    score_rows_free(&rows);
    return s;
}

mn_status train_write_card(train_run *r, mn_error *err) {
    char *own = r->o.card ? NULL : card_path(r->o.out);
    const char *path = r->o.card ? r->o.card : own;
    mn_status s = app_save(path, r->info.card, strlen(r->info.card), err);
    if (!s) printf("card      %s\n", path);
    free(own);
    return s;
}
#endif
