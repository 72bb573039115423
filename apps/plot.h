/* Pictures of results as SVG text: curves of a run, confusion matrices. Colours are Okabe and Ito's (2008),
 * which people with any kind of colour vision tell apart; nothing is said by colour alone. */
#ifndef MIEN_PLOT_H
#define MIEN_PLOT_H

#include "apps/metrics.h"
#include <stdbool.h>
#include <stddef.h>

#define PLOT_MAX_SERIES 8

typedef struct plot_series {
    const char *name; /* written at the end of the line */
    const double *y;  /* one number an epoch; NaN leaves a gap */
    int colour;       /* 0..6 */
    bool dashed;      /* training dashed, validation solid */
} plot_series;

typedef struct plot_panel {
    const char *title;
    bool percent; /* y is 0..1, the axis says per cent */
    plot_series series[PLOT_MAX_SERIES];
    int n_series;
} plot_panel;

/* Panels side by side over epochs 1..n; best_epoch (from 1; 0: none) is marked. The SVG, to be freed; its
 * length in *size. */
char *plot_curves(const char *title, const plot_panel *panel, int n_panels, int n, int best_epoch, size_t *size);

typedef struct plot_matrix {
    const char *name; /* of the head */
    const metrics *m;
    char **class_name;
} plot_matrix;

/* Confusion matrices below each other: rows are labels and sum to 100 %, columns are predictions. */
char *plot_confusion(const char *title, const plot_matrix *matrix, int n, size_t *size);

/* One head's calibration. */
typedef struct plot_calibration_head {
    const char *name;
    const metrics *m;
    const metrics_bin *bin; /* METRICS_BINS */
    const double *risk;     /* as calibrate_risk gives it; NULL for no rows */
    int64_t points;
    double risk_area, answered, answered_error; /* share answered above the threshold, and its error; answered 1: no threshold */
} plot_calibration_head;

/* Two panels a head: how often an answer is right by how sure it is, and the error among the surest pictures. */
char *plot_calibration(const char *title, const plot_calibration_head *head, int n, size_t *size);

#endif
