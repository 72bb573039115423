/* Parts of a training run as JSON, which the record, the log and the checkpoint share. */
#ifndef MIEN_TRAIN_JSON_H
#define MIEN_TRAIN_JSON_H
#include "apps/report.h"
#include "apps/train.h"
#if MN_HAVE_JSON
#include <math.h>

static inline void set_real(json_t *j, const char *key, double v) { json_object_set_new(j, key, report_number(v)); }
static inline void set_int(json_t *j, const char *key, int64_t v) { json_object_set_new(j, key, json_integer(v)); }
static inline void set_text(json_t *j, const char *key, const char *v) {
    json_object_set_new(j, key, v ? json_string_nocheck(v) : json_null());
}
static inline double get_real(const json_t *j, const char *key) {
    const json_t *v = json_object_get(j, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}
static inline int64_t get_int(const json_t *j, const char *key) { return json_integer_value(json_object_get(j, key)); }
static inline bool get_bool(const json_t *j, const char *key) { return json_is_true(json_object_get(j, key)); }

/* Epoch i of the history, heads by name, and back. */
json_t *train_epoch_json(const train_run *r, int64_t i);
void train_epoch_from_json(const train_run *r, const json_t *j, epoch_record *e);
/* The data sets: what was said, how many pictures, their fingerprints and shares. */
json_t *train_data_json(const train_run *r);
#endif
#endif
