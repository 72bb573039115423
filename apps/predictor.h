/* One or more model files as one function: crops of faces in, probabilities of every head of every model out.
 */
#ifndef MIEN_PREDICTOR_H
#define MIEN_PREDICTOR_H
#include "apps/device.h"

#define PREDICTOR_MAX_MODELS 8

/* A head of one of the models: classes values[offset .. offset+classes-1] of a face. */
typedef struct predictor_head {
    const char *name;
    char **class_name;
    int classes, offset, model;
    mn_calibration calibration; /* the model's; unsure 0: always an answer */
} predictor_head;

typedef struct predictor_model {
    const char *path;
    mn_model *model;
    mn_model_info info;
    float *planes; /* (capacity, C, H, W): the crops that wait */
} predictor_model;

typedef struct predictor {
    mn_context *ctx;
    predictor_model model[PREDICTOR_MAX_MODELS];
    int models;
    predictor_head head[PREDICTOR_MAX_MODELS * MN_MAX_HEADS];
    int heads, values; /* values: floats a face */
    int capacity, waiting;
    bool flip; /* average over the crop and its mirror image */
    mn_image mirror;
} predictor;

/* Opens the files (batch normalisation folded), for at most `capacity` faces at a time. Paths must outlive
 * it. */
mn_status predictor_open(predictor *p, const char *const *path, int n, int capacity, device_choice device, int threads, bool flip,
                         mn_error *err);
void predictor_close(predictor *p);
/* Puts a crop through each model's own preprocessing; capacity crops fit. */
mn_status predictor_add(predictor *p, const mn_image *crop, mn_error *err);
/* Runs every model once on what was added: out has `values` floats a face. Nothing waits afterwards. */
mn_status predictor_run(predictor *p, float *out, mn_error *err);
/* The class with the highest probability. */
int predictor_best(const predictor_head *h, const float *values);
/* Is even that too improbable to be an answer? */
bool predictor_unsure(const predictor_head *h, const float *values);

#endif
