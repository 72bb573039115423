/* The data of a run: several data sets as one, cut into training, validation and test rows. */
#ifndef MIEN_DATASETS_H
#define MIEN_DATASETS_H

#include "apps/crop.h"
#include "data/data.h"
#include <stdio.h>

#define DATA_MAX_PARTS 16

typedef enum data_use { USE_BOTH = 0, USE_TRAIN, USE_VALID } data_use;

/* One --data SPEC (or --val SPEC). */
typedef struct data_part {
    char *spec;
    int64_t first, length; /* rows of the whole */
    uint64_t fingerprint;  /* equal for equal data, wherever it lies */
    double valid, test;    /* shares to carve where the files say nothing; set them before data_split, like: */
    bool near;             /* near copies stay on one side of what is carved (near.h), and `use` */
    bool prepared;         /* its pictures were cut out by mien prepare, as `pipeline` says */
    mn_preprocess pipeline;
    data_use use; /* USE_TRAIN: its validation rows are left out; USE_VALID: all but test rows validate */
} data_part;

/* Zero-initialise; data_close frees. Each part is cut on its own, so that a part meets the same cut when it
 * comes back alone or in other company. */
typedef struct data_rows {
    mn_dataset *all;
    mn_dataset *photographs; /* what `all` cuts faces out of, after data_crop; else NULL */
    cropper *crop;
    int n_parts;
    data_part part[DATA_MAX_PARTS];
    int64_t *index[3], count[3]; /* by mn_split, after data_split */
    int64_t unlabelled;          /* rows left out: no label for any of the heads asked for */
    int64_t joined;              /* rows that stay with near copies of another group */
    int threads;
    int64_t copies; /* training rows left out: copies of another part's validation or test rows */
} data_rows;

mn_status data_open(data_rows *d, const char *const *spec, int n, int threads, mn_error *err);
/* The same, each part seen through a list of expressions (mn_dataset_classes); NULL: as it is. */
mn_status data_open_classes(data_rows *d, const char *const *spec, int n, const char *classes, int threads, mn_error *err);
/* head[0..n_heads-1]: numbers of the heads that count; rows without a label for any of them are left out. */
mn_status data_split(data_rows *d, const int *head, int n_heads, uint64_t seed, mn_error *err);
/* Cuts one part by the shares in *p, which may differ from d's own: its rows of to[0 .. d->all->length-1] get their split,
 * MN_SPLIT_NONE where the part's use leaves them out. */
mn_status data_split_part(data_rows *d, const data_part *p, uint64_t seed, mn_split *to, mn_error *err);
/* Where p->detect: from now on the pictures of `all` are faces cut out of what they were, as the pipeline says; not of
 * parts that mien prepare made, which must have been made by the same pipeline. Call it before subsets are made. */
mn_status data_crop(data_rows *d, const mn_preprocess *p, mn_error *err);
/* The pipeline that the prepared parts agree on goes to *p (its crop steps); fails when they differ. *any: there are some. */
mn_status data_pipeline(const data_rows *d, mn_preprocess *p, bool *any, mn_error *err);
void data_close(data_rows *d);

/* Labels of each class of head `h` among rows index[0..n-1]; count has one number a class. */
mn_status data_count(const mn_dataset *d, const int64_t *index, int64_t n, int h, int64_t *count, mn_error *err);
/* Prints what there is: data sets, rows of each class in each part. */
mn_status data_print(const data_rows *d, const int *head, int n_heads, FILE *out, mn_error *err);

#endif
