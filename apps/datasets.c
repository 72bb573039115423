/* Opening, cutting and describing the data of a run. */
#include "apps/datasets.h"
#include "apps/app.h"
#include "apps/near.h"
#include "apps/progress.h"
#include <stdlib.h>
#include <string.h>

static const char *const split_name[3] = {"train", "valid", "test"};

/* Labels, groups and splits of all rows and the pixels of a few (never of test rows). */
static mn_status fingerprint(const mn_dataset *d, uint64_t *out, mn_error *err) {
    uint64_t h = app_hash(APP_HASH, &d->length, sizeof d->length);
    mn_image im = {0};
    mn_status s = MN_OK;
    for (int64_t i = 0; i < d->length && !s; i++) {
        mn_sample_info info;
        if ((s = d->info(d, i, &info, err))) break;
        h = app_hash(h, info.label, (size_t)d->n_heads * sizeof *info.label);
        h = app_hash(h, &info.group, sizeof info.group);
        int32_t split = info.split;
        h = app_hash(h, &split, sizeof split);
        if (i % (d->length / 8 + 1) != 0 || split == MN_SPLIT_TEST) continue;
        if (!(s = d->pixels(d, i, &im, err)))
            h = app_hash(h, im.pixels, (size_t)im.width * (size_t)im.height * (size_t)im.channels);
    }
    mn_image_free(&im);
    *out = h;
    return s;
}

mn_status data_open(data_rows *d, const char *const *spec, int n, int threads, mn_error *err) {
    return data_open_classes(d, spec, n, NULL, threads, err);
}

mn_status data_open_classes(data_rows *d, const char *const *spec, int n, const char *classes, int threads, mn_error *err) {
    *d = (data_rows){.threads = threads};
    mn_dataset *part[DATA_MAX_PARTS] = {0};
    progress bar = {0};
    mn_open_opt opt = {.threads = threads, .progress = progress_data, .user = &bar};
    mn_status s = MN_OK;
    int64_t first = 0;
    for (int k = 0; k < n && !s; k++) {
        part[k] = mn_dataset_open(spec[k], &opt, err);
        if (part[k] && classes) part[k] = mn_dataset_classes(part[k], classes, err);
        progress_end(&bar);
        if (!part[k]) {
            s = err->status;
            break;
        }
        d->part[k] = (data_part){.spec = app_text("%s", spec[k]), .first = first, .length = part[k]->length};
        d->n_parts++;
        first += part[k]->length;
        const char *dir = strchr(spec[k], ':') + 1;
        s = crop_pipeline_of(dir, &d->part[k].pipeline, &d->part[k].prepared, err);
        if (part[k]->length == 0) s = mn_fail(err, MN_ERR_FORMAT, "data \"%s\" holds no pictures", spec[k]);
        if (!s) s = fingerprint(part[k], &d->part[k].fingerprint, err);
    }
    if (!s) {
        d->all = n == 1 ? part[0] : mn_dataset_concat(part, n, err);
        if (d->all) return MN_OK;
        s = err->status;
    } else {
        for (int k = 0; k < n; k++) mn_dataset_destroy(part[k]);
    }
    data_close(d);
    return s;
}

/* ---- cutting faces out of photographs ---- */

static mn_status cropped_info(const mn_dataset *set, int64_t i, mn_sample_info *info, mn_error *err) {
    const mn_dataset *of = ((const data_rows *)set->impl)->photographs;
    return of->info(of, i, info, err);
}

static mn_status cropped_pixels(const mn_dataset *set, int64_t i, mn_image *im, mn_error *err) {
    const data_rows *d = set->impl;
    int k = 0;
    while (k + 1 < d->n_parts && i >= d->part[k + 1].first) k++;
    if (d->part[k].prepared) return d->photographs->pixels(d->photographs, i, im, err);
    mn_image whole = {0};
    crop_report report;
    mn_status s = d->photographs->pixels(d->photographs, i, &whole, err);
    if (!s) s = cropper_cut(d->crop, &whole, im, &report, err);
    mn_image_free(&whole);
    return s;
}

static void cropped_destroy(mn_dataset *set) { free(set); }

static bool same_cut(const mn_preprocess *a, const mn_preprocess *b) {
    return a->detect == b->detect && a->margin == b->margin && a->align == b->align;
}

mn_status data_pipeline(const data_rows *d, mn_preprocess *p, bool *any, mn_error *err) {
    *any = false;
    for (int k = 0; k < d->n_parts; k++) {
        const mn_preprocess *q = &d->part[k].pipeline;
        if (!d->part[k].prepared) continue;
        if (*any && !same_cut(p, q))
            return mn_fail(err, MN_ERR_ARG, "%s was prepared with another margin or alignment than the data before it",
                           d->part[k].spec);
        p->detect = q->detect, p->margin = q->margin, p->align = q->align, p->equalize = q->equalize, p->ellipse = q->ellipse;
        *any = true;
    }
    return MN_OK;
}

mn_status data_crop(data_rows *d, const mn_preprocess *p, mn_error *err) {
    char want[80], have[80];
    bool photographs = false;
    for (int k = 0; k < d->n_parts; k++) {
        photographs |= !d->part[k].prepared;
        if (d->part[k].prepared && !same_cut(&d->part[k].pipeline, p))
            return mn_fail(err, MN_ERR_ARG, "%s was prepared by \"%s\", the model wants \"%s\"; hint: mien prepare --model",
                           d->part[k].spec, mn_pipeline_text(&d->part[k].pipeline, have, sizeof have),
                           mn_pipeline_text(p, want, sizeof want));
    }
    if (!p->detect || !photographs) return MN_OK;
    if (!(d->crop = cropper_open(p, NULL, NULL, err))) return err->status;
    mn_dataset *set = app_alloc(1, sizeof *set);
    *set = *d->all; /* name and heads */
    set->info = cropped_info, set->pixels = cropped_pixels, set->destroy = cropped_destroy, set->impl = d;
    d->photographs = d->all, d->all = set;
    return MN_OK;
}

void data_close(data_rows *d) {
    mn_dataset_destroy(d->all);
    mn_dataset_destroy(d->photographs);
    cropper_close(d->crop);
    for (int k = 0; k < d->n_parts; k++) free(d->part[k].spec);
    for (int k = 0; k < 3; k++) free(d->index[k]);
    *d = (data_rows){0};
}

/* A validation set whose files name validation rows uses those, else all but its test rows. */
static mn_split used_as(data_use use, mn_split said, bool has_valid) {
    if (use == USE_TRAIN && said == MN_SPLIT_VALID) return MN_SPLIT_NONE;
    if (use != USE_VALID || said == MN_SPLIT_VALID) return said;
    return said == MN_SPLIT_TRAIN && !has_valid ? MN_SPLIT_VALID : MN_SPLIT_NONE;
}

mn_status data_split_part(data_rows *d, const data_part *p, uint64_t seed, mn_split *to, mn_error *err) {
    int64_t *rows = app_alloc((size_t)p->length, sizeof *rows), joined = 0;
    for (int64_t i = 0; i < p->length; i++) rows[i] = p->first + i;
    mn_dataset *view = mn_dataset_subset(d->all, rows, p->length, err), *grouped = NULL;
    free(rows);
    if (!view) return err->status;
    /* All handwritten digits would be near copies of each other. */
    bool near = p->near && strncmp(p->spec, "idx:", 4) != 0;
    mn_split_lists lists = {0};
    mn_status s = near && !(grouped = near_grouped(view, d->threads, &joined, err)) ? err->status : MN_OK;
    if (!s) s = mn_dataset_split(grouped ? grouped : view, p->valid, p->test, seed, &lists, err);
    mn_dataset_destroy(grouped);
    mn_dataset_destroy(view);
    if (s) return s;
    d->joined += joined;
    for (int k = 0; k < 3; k++)
        for (int64_t i = 0; i < lists.count[k]; i++)
            to[p->first + lists.index[k][i]] = used_as(p->use, (mn_split)k, lists.count[MN_SPLIT_VALID] > 0);
    mn_split_lists_free(&lists);
    return MN_OK;
}

typedef struct copy {
    uint64_t group;
    int64_t row;
    int part;
    mn_split to;
} copy;

static int by_group(const void *pa, const void *pb) {
    const copy *a = pa, *b = pb;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

static bool held_out_elsewhere(const copy *c, int64_t n, int part) {
    for (int64_t i = 0; i < n; i++)
        if (c[i].part != part && c[i].to != MN_SPLIT_TRAIN) return true;
    return false;
}

/* Training rows whose copy is a validation or test row of another part do not train; within a part its own files'
 * borders are kept as they are. Small group numbers
 * are people counted within one data set; only hashes of content mean the same in another. */
static mn_status drop_copies(data_rows *d, mn_split *to, mn_error *err) {
    copy *c = app_alloc((size_t)d->all->length, sizeof *c);
    int64_t n = 0;
    int part = 0;
    mn_status s = MN_OK;
    for (int64_t i = 0; i < d->all->length && !s; i++) {
        mn_sample_info info;
        s = d->all->info(d->all, i, &info, err);
        while (i >= d->part[part].first + d->part[part].length) part++;
        if (!s && info.group > UINT32_MAX && to[i] != MN_SPLIT_NONE) c[n++] = (copy){info.group, i, part, to[i]};
    }
    qsort(c, (size_t)n, sizeof *c, by_group);
    for (int64_t a = 0, b; a < n && !s; a = b) {
        for (b = a; b < n && c[b].group == c[a].group; b++) {}
        for (int64_t i = a; i < b; i++)
            if (c[i].to == MN_SPLIT_TRAIN && held_out_elsewhere(c + a, b - a, c[i].part))
                to[c[i].row] = MN_SPLIT_NONE, d->copies++;
    }
    free(c);
    return s;
}

static mn_status drop_unlabelled(data_rows *d, const int *head, int n_heads, mn_split *to, mn_error *err) {
    for (int64_t i = 0; i < d->all->length; i++) {
        mn_sample_info info;
        mn_status s = d->all->info(d->all, i, &info, err);
        if (s) return s;
        bool labelled = false;
        for (int h = 0; h < n_heads; h++) labelled = labelled || info.label[head[h]] >= 0 || info.soft[head[h]];
        if (!labelled) to[i] = MN_SPLIT_NONE, d->unlabelled++;
    }
    return MN_OK;
}

mn_status data_split(data_rows *d, const int *head, int n_heads, uint64_t seed, mn_error *err) {
    int64_t n = d->all->length;
    mn_split *to = app_alloc((size_t)n, sizeof *to);
    mn_status s = MN_OK;
    for (int k = 0; k < d->n_parts && !s; k++) s = data_split_part(d, &d->part[k], seed, to, err);
    if (!s) s = drop_unlabelled(d, head, n_heads, to, err);
    if (!s && d->n_parts > 1) s = drop_copies(d, to, err);
    for (int k = 0; k < 3 && !s; k++) {
        d->index[k] = app_alloc((size_t)n, sizeof(int64_t));
        for (int64_t i = 0; i < n; i++)
            if (to[i] == (mn_split)k) d->index[k][d->count[k]++] = i;
    }
    free(to);
    return s;
}

mn_status data_count(const mn_dataset *d, const int64_t *index, int64_t n, int h, int64_t *count, mn_error *err) {
    memset(count, 0, (size_t)d->head[h].n_classes * sizeof *count);
    for (int64_t i = 0; i < n; i++) {
        mn_sample_info info;
        mn_status s = d->info(d, index[i], &info, err);
        if (s) return s;
        if (info.label[h] >= 0) count[info.label[h]]++;
    }
    return MN_OK;
}

static void print_row(FILE *out, const char *indent, const char *name, const int64_t count[3]) {
    char n[3][24];
    for (int k = 0; k < 3; k++) progress_number(n[k], sizeof n[k], count[k]);
    fprintf(out, "%s%-*.24s %9s %9s %9s\n", indent, 26 - (int)strlen(indent), name, n[0], n[1], n[2]);
}

static mn_status print_head(const data_rows *d, int h, FILE *out, mn_error *err) {
    enum { MOST = 20 }; /* classes that are listed */
    const mn_head *head = &d->all->head[h];
    int64_t *count[3] = {0}, sum[3] = {0};
    mn_status s = MN_OK;
    for (int k = 0; k < 3; k++) {
        count[k] = app_alloc((size_t)head->n_classes, sizeof(int64_t));
        if (!s) s = data_count(d->all, d->index[k], d->count[k], h, count[k], err);
        for (int c = 0; c < head->n_classes; c++) sum[k] += count[k][c];
    }
    if (!s) {
        print_row(out, "", head->name, sum);
        for (int c = 0; c < head->n_classes && c < MOST; c++)
            print_row(out, "  ", head->class_name[c], (int64_t[]){count[0][c], count[1][c], count[2][c]});
        if (head->n_classes > MOST) fprintf(out, "  and %d more classes\n", head->n_classes - MOST);
    }
    for (int k = 0; k < 3; k++) free(count[k]);
    return s;
}

mn_status data_print(const data_rows *d, const int *head, int n_heads, FILE *out, mn_error *err) {
    char n[24];
    for (int k = 0; k < d->n_parts; k++)
        fprintf(out, "data      %s: %s pictures\n", d->part[k].spec, progress_number(n, sizeof n, d->part[k].length));
    if (d->unlabelled) fprintf(out, "          %s without a label are left out\n", progress_number(n, sizeof n, d->unlabelled));
    if (d->joined) fprintf(out, "          %s stay with their near copies\n", progress_number(n, sizeof n, d->joined));
    if (d->copies)
        fprintf(out, "          %s training rows are copies of held-out ones and are left out\n",
                progress_number(n, sizeof n, d->copies));
    fprintf(out, "%-26s %9s %9s %9s\n", "", split_name[0], split_name[1], split_name[2]);
    if (n_heads > 1) print_row(out, "", "pictures", d->count);
    for (int h = 0; h < n_heads; h++) {
        mn_status s = print_head(d, head[h], out, err);
        if (s) return s;
    }
    return MN_OK;
}
