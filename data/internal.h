/* What the files of data/ share with each other. Not for users of the library. */
#ifndef MIEN_DATA_INTERNAL_H
#define MIEN_DATA_INTERNAL_H
#include "data/data.h"
#include <stdio.h>

/* ---- files, hashes, threads (util.c) -------------------------------------------------------------- */

/* The whole of a regular file of at most `limit` bytes; *bytes is 0-terminated, free with mn_free. */
mn_status mn__read_file(const char *path, size_t limit, uint8_t **bytes, size_t *size, mn_error *err);
/* A file that appears under its name only when it is whole: write to mn__replace_begin's stream, then
 * commit (flush, fsync, rename) or, after a failure, abort (the temporary file is removed). */
typedef struct mn__replace {
    FILE *f;
    char *temporary;
    const char *path;
} mn__replace;
mn_status mn__replace_begin(mn__replace *r, const char *path, mn_error *err);
mn_status mn__replace_commit(mn__replace *r, mn_error *err);
void mn__replace_abort(mn__replace *r);

/* Turns `count` numbers of `size` bytes from or into the order of files, little-endian: nothing on most machines. */
void mn__little_endian(void *numbers, size_t count, size_t size);

/* `count` numbers of `size` bytes in the order of files; false when the disk does not take them. */
bool mn__write_numbers(FILE *f, const void *data, size_t count, size_t size);
/* IEEE 754 binary16. */
float mn__half(uint16_t h);
mn_status mn__npy_decode(const uint8_t *bytes, size_t size, mn_array *out, mn_error *err);
mn_status mn__safetensors_decode(const uint8_t *bytes, size_t size, mn_array **array, int *n, mn_error *err);

/* A 64-bit hash of bytes, the same on every machine; not meant to withstand an adversary. */
uint64_t mn__hash64(const void *bytes, size_t n);
/* A bijection that scatters its argument's bits (SplitMix64's finaliser). */
uint64_t mn__mix64(uint64_t x);

/* task(arg, worker, i) for every i of 0..n-1, by opt->threads threads; the caller is worker 0 and reports
 * progress as `what`. On failure the error of the lowest failing i is given, whatever the timing. */
typedef mn_status (*mn__task)(void *arg, int worker, int64_t i, mn_error *err);
int mn__threads(const mn_open_opt *opt); /* how many there will be, 1..MN__MAX_THREADS */
#define MN__MAX_THREADS 64
mn_status mn__parallel(int64_t n, const mn_open_opt *opt, const char *what, mn__task task, void *arg, mn_error *err);
/* Says something once through opt->progress, if there is one. */
void mn__note(const mn_open_opt *opt, int64_t done, int64_t total, const char *format, ...) MN_PRINTF(4, 5);

/* ---- balanced sampling (sampling.c) ------------------------------------------------------------------- */

typedef struct mn__sampler mn__sampler;
/* heads: bit h counts head h; 0: all. power: above 0 to 1. */
mn__sampler *mn__sampler_create(const mn_dataset *d, unsigned heads, double power, mn_error *err);
/* The rows of an epoch, d->length of them, kind by kind: shuffle them. A function of *r alone. */
void mn__sampler_draw(mn__sampler *s, mn_rng *r, int64_t *out);
void mn__sampler_destroy(mn__sampler *s);

/* ---- images --------------------------------------------------------------------------------------- */

#define MN__MAX_SIDE 32768
#define MN__MAX_PIXELS 100000000 /* 100 megapixels */
/* Is this size allowed for a picture read from a file? Says why not. */
mn_status mn__picture_size(int64_t width, int64_t height, mn_error *err);
mn_status mn__png_decode(mn_image *im, const uint8_t *bytes, size_t size, mn_error *err);
mn_status mn__jpeg_decode(mn_image *im, const uint8_t *bytes, size_t size, mn_error *err);
/* 1..8 from a JPEG's APP1 segment; 1 when it says nothing. */
int mn__exif_orientation(const uint8_t *app1, size_t size);
/* Turns and mirrors a stored picture upright. */
mn_status mn__image_orient(mn_image *im, int orientation, mn_error *err);
/* Fails unless `im` holds a picture; `who` names the caller. */
mn_status mn__image_check(const mn_image *im, const char *who, mn_error *err);

/* Can mn_preprocess_floats take this picture as it is? Of clips, those of fewer frames as well. */
bool mn__preprocess_fits(const mn_preprocess *p, const mn_image *im);

/* ---- data sets ------------------------------------------------------------------------------------- */

/* Fails unless 0 <= i < d->length. */
mn_status mn__bounds(const mn_dataset *d, int64_t i, mn_error *err);
/* "train", "valid", "test" and their usual other names, in any case. */
bool mn__split_named(const char *word, mn_split *split);

/* ---- the table behind the data sets that come from files (samples.c) -------------------------------- */

typedef struct mn__sample {
    int32_t label[MN_MAX_HEADS];
    mn_split split;
    uint64_t group;
    size_t path, id, trait[MN_MAX_TRAITS]; /* offsets into text; trait 0: not known */
    float cut[5];                          /* x, y, width, height, degrees: what of the file is the picture; width 0: all of it */
} mn__sample;

/* Either a list of picture files, or pictures of one size in one block of memory. */
typedef struct mn__samples {
    mn_dataset set; /* first, so that the one pointer is the other */
    mn__sample *sample;
    int64_t capacity;
    char *text; /* paths and ids, each 0-terminated */
    size_t text_used, text_capacity;
    uint8_t *pixels; /* NULL: the samples are files */
    int width, height, channels;
    float *soft;   /* (samples, classes) of the first head, for training rows; NULL: none */
    bool subjects; /* groups are people (or films); set it when they are, small group numbers need not say so */
} mn__samples;

/* An empty set, its functions in place. NULL when out of memory. */
mn__samples *mn__samples_create(const char *kind, const char *path, mn_error *err);
/* Adds a head. `class_name` may be NULL: then the classes are "0", "1", ... */
mn_status mn__samples_head(mn__samples *s, const char *name, int n_classes, const char *const *class_name, mn_error *err);
/* Appends a sample without labels. Its id is "directory/file" without the first `skip` bytes. */
mn_status mn__samples_file(mn__samples *s, const char *directory, const char *file, size_t skip, mn_error *err);
/* Gives the last sample a value of trait k; `value` is copied. */
mn_status mn__samples_trait(mn__samples *s, int k, const char *value, mn_error *err);
/* Gives every sample of a set of files the hash of its file as group. Reads all of them. */
mn_status mn__samples_hash_files(mn__samples *s, const mn_open_opt *opt, mn_error *err);
/* Turns the set into n pictures of one size, undefined, with ids "<prefix> <first + i>". */
mn_status mn__samples_array(mn__samples *s, int64_t n, int width, int height, int channels, mn_error *err);
mn_status mn__samples_row_id(mn__samples *s, int64_t i, const char *prefix, int64_t number, mn_error *err);
/* Gives the training rows of a FER2013 set soft labels: text is "FER+.csv" or "FER+.csv,mix=0.5" (votes.c). */
mn_status mn__fer2013_votes(mn__samples *s, const char *text, mn_error *err);
/* Destroys it and returns NULL. */
mn_dataset *mn__samples_fail(mn__samples *s);

/* Labels given as words: the distinct ones become the classes, sorted (as numbers if all are numbers). */
typedef struct mn__words {
    char **word;
    int n, capacity;
} mn__words;
/* The number of `word`, added if it is new; -1 when there is no memory or there are too many. */
int mn__words_add(mn__words *w, const char *word, size_t length, mn_error *err);
/* Sorts; rank[i] is the new place of word i. */
void mn__words_sort(mn__words *w, int *rank);
void mn__words_free(mn__words *w);
/* "emotion" when all are names of expressions, "gender" for genders, else "label". */
const char *mn__head_name(const mn__words *w);

/* ---- names in folders (folder.c) ---------------------------------------------------------------------- */

/* The names in a folder that do not begin with a dot, sorted. */
typedef struct mn__names {
    char **name;
    int64_t n, capacity;
} mn__names;
mn_status mn__names_list(const char *dir, mn__names *out, mn_error *err);
void mn__names_free(mn__names *l);
bool mn__is_picture_name(const char *name);                       /* .png, .jpg, .jpeg in any case */
char *mn__join(const char *dir, const char *name, mn_error *err); /* "dir/name"; NULL: no memory */

/* Calls each(arg, folder, name) for every file below `dir`, folders in the order of their names, 8 deep at most. */
typedef mn_status (*mn__visit)(void *arg, const char *folder, const char *name, mn_error *err);
mn_status mn__walk(const char *dir, mn__visit each, void *arg, mn_error *err);
bool mn__is_folder(const char *path);

/* Counts what a data set leaves out, and remembers the first, to say so at the end. */
typedef struct mn__left_out {
    int64_t n;
    char first[100];
} mn__left_out;
void mn__leave_out(mn__left_out *l, const char *name);
/* "left out 3 files <why>, the first ..." through opt->progress; nothing when there are none. */
void mn__note_left_out(const mn__left_out *l, const char *why, int64_t done, const mn_open_opt *opt);
/* For sets that come as TIFF or BMP: is this such a picture, which mien does not read? */
bool mn__is_foreign_picture(const char *name);
/* A group for a person who has a name instead of a number; set `subjects`. */
uint64_t mn__person(const char *name, size_t length);
/* Traits: "25-32" and so on from years; the bands of UTKFace's trait. `out` holds 32. */
void mn__age_band(int age, char out[32]);

/* The number of an expression by any of its usual names ("anger", "happiness", ...) in mn_expression_names followed by
 * contempt (7); -1: none. */
int mn__expression_named(const char *word);
extern const char *const mn__expression_names8[8];

/* CK+ as its authors distribute it. *is: the folder holds that, whether it can be read or not. */
mn_dataset *mn__ckplus_tree(const char *dir, bool *is, const mn_open_opt *opt, mn_error *err);

/* Clips as strips of frames (clips.c); opened by SPEC only. */
mn_dataset *mn__clips_open(const char *text, const mn_open_opt *opt, mn_error *err);
mn_dataset *mn__rendered_clips_open(const char *text, const mn_open_opt *opt, mn_error *err);

/* ---- idx (idx.c) --------------------------------------------------------------------------------------- */

/* The bytes of an idx file of `rank` (1 or 3) sizes, packed with gzip or not. *out: free with mn_free. */
mn_status mn__idx_decode(const uint8_t *bytes, size_t size, int rank, uint32_t dim[3], uint8_t **out, mn_error *err);

/* ---- comma-separated values (csv.c) ------------------------------------------------------------------ */

/* One record: fields point into `line`, which is changed (quotes removed, zeros put in). */
#define MN__CSV_FIELDS 64
typedef struct mn__csv_record {
    int n;
    char *field[MN__CSV_FIELDS];
} mn__csv_record;
/* Splits the line that starts at *at (RFC 4180; CRLF or LF; spaces around fields dropped) and moves *at
 * behind it. A quoted field may not hold a line break. Returns a sentence on failure, else NULL. */
const char *mn__csv_split(char **at, char *end, mn__csv_record *r);
/* A file with a header: calls each(arg, record, column, line) for every row that is not blank, column[k] being where name[k]
 * stands, -1 for a name that ends in '?' and is not there. `separator`: a comma (RFC 4180) or a tab (no quotes). Failures name
 * file and line. */
typedef mn_status (*mn__row)(void *arg, const mn__csv_record *r, const int *column, long line, mn_error *err);
#define MN__TABLE_COLUMNS 16
mn_status mn__table_read(const char *path, char separator, const char *const *name, int n, mn__row each, void *arg,
                         mn_error *err);
/* Case-insensitive search for a column; -1: none. */
int mn__csv_find(const mn__csv_record *header, const char *name);

#endif
