/* Drawing into RGB pictures: rectangles and a small font of strokes, at any size. Parts outside are cut off.
 */
#ifndef MIEN_DRAW_H
#define MIEN_DRAW_H
#include "data/data.h"

typedef struct draw_colour {
    uint8_t r, g, b;
} draw_colour;

void draw_fill(mn_image *im, double x, double y, double w, double h, draw_colour c, double opacity);
/* The frame lies inside the rectangle. */
void draw_frame(mn_image *im, double x, double y, double w, double h, double thickness, draw_colour c);
/* ASCII; other characters become "?". (x, y) is the upper left corner of a capital, `height` its height in
 * pixels; descenders reach a third of it below. Returns the width. */
double draw_text(mn_image *im, double x, double y, double height, draw_colour c, const char *text);
double draw_text_width(double height, const char *text);
/* Black or white, whichever is easier to read on c. */
draw_colour draw_readable_on(draw_colour c);

#endif
