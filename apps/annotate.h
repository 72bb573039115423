/* Draws what was found into a picture: a box, the labels, a bar a class. */
#ifndef MIEN_ANNOTATE_H
#define MIEN_ANNOTATE_H
#include "apps/findings.h"

/* paper: red for man, blue for woman, as in the figures of both papers; safe: orange and blue that people
 * with any colour vision tell apart. The word always stands beside it. */
typedef enum annotate_palette { PALETTE_PAPER = 0, PALETTE_SAFE, PALETTE_PLAIN } annotate_palette;

/* `im` is RGB. */
void annotate(mn_image *im, const predictor *p, const findings_face *face, int n, annotate_palette palette);

#endif
