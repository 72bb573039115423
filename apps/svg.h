/* What the plots are drawn with: a white page, text, lines. */
#ifndef MIEN_SVG_H
#define MIEN_SVG_H

#include <stddef.h>
#include <stdio.h>

extern const char *const svg_palette[7]; /* Okabe and Ito's colours (2008) */
#define SVG_INK "#222222"
#define SVG_QUIET "#666666"
#define SVG_GRID "#dddddd"

typedef enum svg_anchor { SVG_START, SVG_MIDDLE, SVG_END } svg_anchor;

/* A page in memory, closed by svg_close, which returns the text (to be freed); its length is then in *size.
 */
FILE *svg_open(char **text, size_t *size, int width, int height, const char *title);
char *svg_close(FILE *f, char **text);
void svg_text(FILE *f, double x, double y, int size, svg_anchor a, const char *colour, const char *text);
void svg_line(FILE *f, double x1, double y1, double x2, double y2, const char *colour, double width);
/* The step of 1, 2 or 5 times a power of ten that cuts `range` into at most `parts`. */
double svg_step(double range, int parts);

#endif
