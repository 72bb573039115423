/* Results as tables on the terminal and as JSON. */
#ifndef MIEN_REPORT_H
#define MIEN_REPORT_H

#include "apps/metrics.h"
#include "data/data.h"
#include <stdio.h>
#if MN_HAVE_JSON
#include <jansson.h>
#endif

/* Scores, a line a class, the confusion matrix: at most 80 columns. */
void report_print(FILE *out, const mn_head *head, const metrics *m);
/* "57.3 % right (95 %: 55.5 to 59.1)", or "-" for nothing; returns buf. */
const char *report_accuracy(char *buf, size_t size, const metrics *m);

/* A field of a CSV file, in quotes where it needs them. */
void report_csv_field(FILE *f, const char *text);

#if MN_HAVE_JSON
/* {"n":, "accuracy":, "accuracy_95": [lo, hi], "loss":, ..., "classes": [{...}], "confusion": [[...]]};
 * what is not defined is null. */
json_t *report_json(const mn_head *head, const metrics *m);
json_t *report_number(double v); /* null for NaN and infinity */
/* Writes indented JSON, atomically, and frees it. */
mn_status report_save(json_t *j, const char *path, mn_error *err);
#endif

#endif
