/* Maps and kernels as pictures. */
#ifndef MIEN_LOOK_DRAW_H
#define MIEN_LOOK_DRAW_H
#include "apps/look.h"

/* Where the map is largest, in shares of its width and height, the middle of a pixel being between its edges. */
void look_peak(const look_maps *m, double *x, double *y);

/* A sheet of all channels of a layer, white being its largest number, black its smallest; `caption` above. */
mn_status look_draw_maps(const look_maps *m, const char *caption, mn_image *out, mn_error *err);
/* A sheet of kernels w (K,C,R,S): three channels as colours about grey, one as blue (negative) to orange (positive), others as
 * the mean over the channels. Each kernel fills its own range. */
mn_status look_draw_kernels(const mn_tensor *w, const char *caption, mn_image *out, mn_error *err);

/* One answer. */
typedef struct look_row {
    char caption[120];
    look_maps cam, guided;
} look_row;
/* A row an answer: the picture, the picture under its Grad-CAM (orange: speaks for it), guided backpropagation (grey: nothing).
 */
mn_status look_draw_answers(const mn_image *picture, const look_row *row, int n, mn_image *out, mn_error *err);

#endif
