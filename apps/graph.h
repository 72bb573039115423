/* A network as a picture: boxes from top to bottom, branches side by side. */
#ifndef MIEN_GRAPH_H
#define MIEN_GRAPH_H
#include "layers/layers.h"

/* The SVG, to be freed; its length in *size. */
char *graph_svg(const mn_model *m, size_t *size);

#endif
