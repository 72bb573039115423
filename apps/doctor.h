/* What is wrong with a split: copies, people and blank pictures that make scores mean less than they say. */
#ifndef MIEN_DOCTOR_H
#define MIEN_DOCTOR_H

#include "apps/datasets.h"

typedef enum doctor_kind { DOCTOR_IDENTICAL = 0, DOCTOR_MIRRORED, DOCTOR_NEAR, DOCTOR_SUBJECT, DOCTOR_KINDS } doctor_kind;
extern const char *const doctor_kind_names[DOCTOR_KINDS]; /* "identical", "mirrored", "near", "subject" */

typedef struct doctor_opt {
    const char *subject; /* a regular expression: what it finds in a picture's name is the subject; its first (...)
                          * if it has one. "prefix": the name up to the first _ or -. NULL: the data's groups */
    int distance;        /* bits of 64 in which the hashes of near copies may differ */
    double likeness;     /* their least correlation */
    bool exact;          /* no near or mirrored copies, only identical pictures and subjects */
    int threads;
    const mn_dataset *decoded[3]; /* where a part's pictures are at hand: row i of it is data->index[part][i]; NULL: read them */
} doctor_opt;

/* Two pictures that should not stand apart. */
typedef struct doctor_pair {
    doctor_kind kind;
    int64_t a, b; /* rows; a < b */
    double likeness;
    bool across, conflict; /* in different parts; labelled differently */
} doctor_pair;

/* Counts are of pictures in use. "Across" ones have a partner in another part, "inside" ones in their own. */
typedef struct doctor {
    const data_rows *data;
    int8_t *part; /* of each row: mn_split, or -1: in none */
    mn_look *look;
    int64_t *subject;            /* a number for each row; rows of equal numbers are of one person or film */
    uint8_t *seen[DOCTOR_KINDS]; /* bit k: the row has a partner in part k */
    bool has_subjects;
    int64_t subjects, subjects_across;
    int64_t used, blank, first_blank, inside[DOCTOR_KINDS], across[DOCTOR_KINDS];
    int64_t leaked[3];                                       /* valid: with a partner in train; test: in train or valid */
    int64_t conflict_pairs[DOCTOR_KINDS], conflict_pictures; /* pictures: identical ones with different labels */
    doctor_pair *pair;                                       /* examples of all kinds, at most a million */
    int64_t n_pairs, capacity;
} doctor;

/* `data` is opened and split; it must outlive *d. Free with doctor_free, whatever came out. */
mn_status doctor_examine(doctor *d, const data_rows *data, const doctor_opt *opt, mn_error *err);
void doctor_free(doctor *d);
/* Has a validation or test picture its copy or its subject in another part? */
bool doctor_leaks(const doctor *d);

/* What a leak is worth: a logistic regression on 48x48 pixels (each picture less its mean, by its deviation), five folds, once
 * folded by picture and once by subject. hits of n, both ways. */
typedef struct doctor_inflation {
    int64_t n, by_picture, by_subject;
} doctor_inflation;
mn_status doctor_inflate(const doctor *d, int head, int threads, doctor_inflation *out, mn_error *err);

#endif
