/* Inside a network: what a layer computes for one picture, and what in the picture speaks for an answer. */
#ifndef MIEN_LOOK_H
#define MIEN_LOOK_H
#include "data/data.h"

/* Pictures of numbers: v[(c*height + y)*width + x]. Free with look_free. */
typedef struct look_maps {
    int channels, height, width;
    double *v;
} look_maps;
void look_free(look_maps *m);

/* The last layer whose output is maps (C,H,W) of more than one pixel; NULL: there is none. */
const char *look_last_maps(const mn_model *m);
/* The first kernels that read the picture, (K,C,R,S); NULL: there are none. */
mn_tensor *look_first_kernels(mn_model *m);

/* Runs the model on one picture, x (C,H,W); p gets the probabilities of head `head`, softmax(logits / temperature) (0: 1).
 * Freezes the model's weights. */
mn_status look_answer(mn_model *m, const float *x, int head, double temperature, double *p, mn_error *err);
/* What a layer computed in the last run: maps, or other shapes as one row. */
mn_status look_activation(mn_model *m, const char *layer, look_maps *out, mn_error *err);

/* Grad-CAM (Selvaraju et al. 2017) of class k of a head: relu(sum_c a_c A_c), A the layer's maps and a_c the mean over the map of
 * d logit_k / d A_c. One map of the layer's size, not scaled: numbers are shares of the logit, per pixel of the map. */
mn_status look_gradcam(mn_model *m, const float *x, int head, int k, const char *layer, look_maps *out, mn_error *err);
/* Guided backpropagation (Springenberg et al. 2015) of that logit: a map for each channel of the input. */
mn_status look_guided(mn_model *m, const float *x, int head, int k, look_maps *out, mn_error *err);

#endif
