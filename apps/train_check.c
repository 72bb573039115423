/* Would the scores of this run mean what they say? The split is examined before a step is taken. Training and
 * validation pictures are compared as mien doctor does; of test rows only the groups are read (people, hashes
 * of content), never a picture. */
#include "apps/train.h"
#if MN_HAVE_JSON
#include "apps/app.h"
#include "apps/doctor.h"
#include "apps/near.h"
#include "apps/progress.h"
#include <stdlib.h>
#include <string.h>

/* A cut of our own may separate a few near copies, whose training half is left out. More than this share of
 * the validation rows is no accident. */
static const double most_dropped = 0.1;

/* ---- test rows, by their groups ---- */

/* People are counted within one part of the data; a hash of content is the same everywhere. */
typedef struct row_key {
    uint64_t group;
    int part; /* -1: a hash */
    int64_t row;
    mn_split to;
} row_key;

static int by_key(const void *pa, const void *pb) {
    const row_key *a = pa, *b = pb;
    if (a->part != b->part) return a->part < b->part ? -1 : 1;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

static int part_of(const data_rows *d, int64_t row) {
    int k = 0;
    while (k + 1 < d->n_parts && row >= d->part[k + 1].first) k++;
    return k;
}

static mn_status collect(const data_rows *d, row_key *out, mn_error *err) {
    int64_t n = 0;
    for (int k = 0; k < 3; k++)
        for (int64_t i = 0; i < d->count[k]; i++) {
            int64_t row = d->index[k][i];
            mn_sample_info info;
            mn_status s = d->all->info(d->all, row, &info, err);
            if (s) return s;
            out[n++] = (row_key){info.group, info.subject ? part_of(d, row) : -1, row, (mn_split)k};
        }
    qsort(out, (size_t)n, sizeof *out, by_key);
    return MN_OK;
}

/* Counts test rows with a copy or their subject elsewhere, and validation rows of --val that are test rows.
 */
static mn_status check_test(train_run *r, mn_error *err) {
    const data_rows *d = &r->data;
    int64_t n = d->count[0] + d->count[1] + d->count[2], chosen = 0;
    row_key *key = app_alloc((size_t)n, sizeof *key);
    mn_status s = collect(d, key, err);
    for (int64_t a = 0, b; a < n && !s; a = b) {
        int64_t in[3] = {0};
        for (b = a; b < n && key[b].part == key[a].part && key[b].group == key[a].group; b++) in[key[b].to]++;
        if (!in[MN_SPLIT_TEST]) continue;
        if (key[a].part < 0)
            r->leaks.test_copies += in[MN_SPLIT_TRAIN] ? in[MN_SPLIT_TEST] : 0;
        else if (in[MN_SPLIT_TRAIN] + in[MN_SPLIT_VALID])
            r->leaks.test_subjects += in[MN_SPLIT_TEST];
        for (int64_t i = a; i < b; i++) chosen += key[i].to == MN_SPLIT_VALID && d->part[part_of(d, key[i].row)].use == USE_VALID;
    }
    free(key);
    if (s || !chosen) return s;
    return mn_fail(err, MN_ERR_ARG,
                   "--val %s: %lld of its pictures are test rows of the data: choosing on them is choosing on the test, "
                   "and then "
                   "there is no test; hint: leave --val out, and validation rows are carved out of the training rows",
                   r->o.val, (long long)chosen);
}

/* ---- training against validation rows ---- */

static bool has_partner(const doctor *d, int64_t row, mn_split in, bool subjects) {
    for (int k = 0; k < DOCTOR_KINDS; k++)
        if ((k != DOCTOR_SUBJECT || subjects) && d->seen[k][row] & 1 << in) return true;
    return false;
}

/* Did the files themselves (or --val) make these validation rows? Then no row of theirs is ours to leave out.
 */
static mn_status stated(const train_run *r, bool *out, mn_error *err) {
    *out = r->o.val != NULL;
    for (int64_t i = 0; i < r->data.count[MN_SPLIT_VALID] && !*out; i++) {
        mn_sample_info info;
        mn_status s = r->data.all->info(r->data.all, r->data.index[MN_SPLIT_VALID][i], &info, err);
        if (s) return s;
        *out = info.split == MN_SPLIT_VALID;
    }
    return MN_OK;
}

static const char *id_of(const train_run *r, int64_t row) {
    mn_sample_info info;
    return r->data.all->info(r->data.all, row, &info, NULL) ? "?" : info.id;
}

/* The end of a long name says more than its beginning. */
static const char *tail(const char *text) { return strlen(text) > 40 ? text + strlen(text) - 40 : text; }

static mn_status refuse(const train_run *r, const doctor *d, mn_error *err) {
    char like[160] = "";
    for (int64_t i = 0; i < d->n_pairs && !like[0]; i++)
        if (d->pair[i].across)
            snprintf(like, sizeof like, ", like %s and %s (%s)", tail(id_of(r, d->pair[i].a)), tail(id_of(r, d->pair[i].b)),
                     doctor_kind_names[d->pair[i].kind]);
    if (r->leaks.valid)
        return mn_fail(err, MN_ERR_ARG,
                       "the split leaks: %lld of %lld validation pictures have a copy or their subject among "
                       "the training rows%s; "
                       "hint: `mien doctor` lists them; list: with a column group keeps people together; "
                       "--allow-leak trains nevertheless and "
                       "says so in the model file",
                       (long long)r->leaks.valid, (long long)r->data.count[MN_SPLIT_VALID], like);
    return mn_fail(err, MN_ERR_ARG,
                   "the split leaks: %lld of %lld test pictures show people who are also in training or "
                   "validation pictures; hint: "
                   "the files' split should keep people together; --allow-leak trains nevertheless and says "
                   "so in the model file",
                   (long long)r->leaks.test_subjects, (long long)r->data.count[MN_SPLIT_TEST]);
}

/* Leaves the training rows that `drop` marks out of the run. */
static mn_status drop_rows(train_run *r, const bool *drop, mn_error *err) {
    int64_t *row = r->data.index[MN_SPLIT_TRAIN], n = r->data.count[MN_SPLIT_TRAIN], kept = 0;
    int64_t *at = app_alloc((size_t)n, sizeof *at);
    for (int64_t i = 0; i < n; i++)
        if (!drop[i]) at[kept] = i, row[kept++] = row[i];
    r->data.count[MN_SPLIT_TRAIN] = kept;
    r->train_kept = mn_dataset_subset(r->train_pixels, at, kept, err);
    free(at);
    return r->train_kept ? MN_OK : err->status;
}

static mn_status judge(train_run *r, const doctor *d, mn_error *err) {
    const data_rows *rows = &r->data;
    int64_t by_subject = 0;
    bool theirs, *drop = app_alloc((size_t)rows->count[MN_SPLIT_TRAIN], sizeof *drop);
    r->leaks.valid = d->leaked[MN_SPLIT_VALID];
    for (int64_t i = 0; i < rows->count[MN_SPLIT_VALID]; i++)
        by_subject += d->seen[DOCTOR_SUBJECT][rows->index[MN_SPLIT_VALID][i]] & 1 << MN_SPLIT_TRAIN;
    for (int64_t i = 0; i < rows->count[MN_SPLIT_TRAIN]; i++)
        r->leaks.dropped += drop[i] = has_partner(d, rows->index[MN_SPLIT_TRAIN][i], MN_SPLIT_VALID, false);
    mn_status s = stated(r, &theirs, err);
    bool few = !theirs && !by_subject && (double)r->leaks.valid <= most_dropped * (double)rows->count[MN_SPLIT_VALID];
    if (!s && !few && r->leaks.valid && !r->o.allow_leak) s = refuse(r, d, err);
    if (!s && r->leaks.test_subjects && !r->o.allow_leak) s = refuse(r, d, err);
    r->leaks.allowed = r->o.allow_leak && (r->leaks.test_subjects || (r->leaks.valid && !few));
    if (!few || s) r->leaks.dropped = 0;
    if (r->leaks.dropped) s = drop_rows(r, drop, err);
    free(drop);
    return s;
}

static void print(const train_run *r) {
    const train_leaks *k = &r->leaks;
    char n[3][24];
    if (k->allowed)
        printf("LEAK      allowed: %s validation pictures have a copy or their subject in training, %s "
               "test\n          pictures show people of the "
               "other rows; the scores say more than is true\n",
               progress_number(n[0], sizeof n[0], k->valid), progress_number(n[1], sizeof n[1], k->test_subjects));
    else if (k->dropped)
        printf("split     %s training pictures that copy validation pictures are left out\n",
               progress_number(n[0], sizeof n[0], k->dropped));
    if (k->test_copies)
        printf("split     %s test rows copy other rows, as the files have it: mien eval scores with and\n    "
               "      without them\n",
               progress_number(n[2], sizeof n[2], k->test_copies));
}

mn_status train_check_split(train_run *r, mn_error *err) {
    mn_status s = check_test(r, err);
    if (s) return s;
    data_rows seen = r->data; /* test rows are not looked at */
    seen.count[MN_SPLIT_TEST] = 0;
    doctor_opt opt = {.distance = NEAR_DISTANCE, .likeness = NEAR_LIKENESS, .threads = r->o.threads};
    /* Near copies are known from near strangers among faces; handwritten ones all look alike. */
    for (int k = 0; k < r->data.n_parts; k++) opt.exact = opt.exact || !strncmp(r->data.part[k].spec, "idx:", 4);
    /* Under an ellipse all pictures share their corners, and would look more alike than they are. */
    if (!r->info.preprocess.ellipse) opt.decoded[0] = r->train_pixels, opt.decoded[1] = r->valid_pixels;
    doctor d;
    s = doctor_examine(&d, &seen, &opt, err);
    if (!s) s = judge(r, &d, err);
    doctor_free(&d);
    if (!s && !r->o.quiet) print(r);
    return s;
}
/* A network by name that reads clips would squeeze pictures of single faces into strips. */
mn_status train_check_clips(const train_run *r, mn_error *err) {
    mn_layer_look first = mn_model_look(r->m, 1);
    bool named = !r->o.init && r->o.net && mn_net_describe(r->o.net);
    if (!named || strncmp(first.kind, "Reshape", 7) != 0 || first.shape.ndim != 4) return MN_OK;
    mn_image im = {0};
    mn_status s = r->data.all->pixels(r->data.all, 0, &im, err);
    if (!s && im.height != (int)first.shape.dim[0] * im.width)
        s = mn_fail(
            err, MN_ERR_SHAPE,
            "%s reads clips of %d frames, and the first picture of %s is %d x %d; wanted strips of square frames below each "
            "other; hint: --data rendered-clips:700, --data clips:FOLDER, and --size HxW where there are more or fewer frames",
            r->o.net, (int)first.shape.dim[0], r->data.all->name, im.width, im.height);
    mn_image_free(&im);
    return s;
}

#endif
