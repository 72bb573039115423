/* Compiled inference: what layers/compile.c plans and cpu/infer_*.c compute. docs/inference.md tells the story.
 *
 * Between two steps an image is a *map*: channels last, (row, column, lane), with borders of zeros as wide as its
 * readers' windows reach beyond it. So a step is vectorised over channels, never transposes and never asks whether
 * a pixel lies inside. */
#ifndef MIEN_LAYERS_INFER_H
#define MIEN_LAYERS_INFER_H
#include "autograd/window.h"
#include "layers/layers.h"

/* One image. The channels of a pixel take `lanes` numbers: so many that a pixel is whole vectors, or that whole
 * pixels fill a vector. What stands in lanes beyond C means nothing. */
typedef struct mn__map {
    int64_t H, W, C, lanes;
    int64_t top, bottom, left, right; /* zeros around it */
    int64_t row, size;                /* numbers from one row to the next; of an image, and to the next image */
} mn__map;
static inline int64_t mn__map_at(const mn__map *m, int64_t h, int64_t w) {
    return (h + m->top) * m->row + (w + m->left) * m->lanes;
}

typedef enum mn__infer_kind {
    MN__INFER_LOAD,      /* (C,H,W) of the input tensor to a map */
    MN__INFER_CONV,      /* any convolution without groups */
    MN__INFER_WINOGRAD,  /* 3x3 with stride 1 */
    MN__INFER_DEPTHWISE, /* a kernel a channel */
    MN__INFER_SEPARABLE, /* depthwise, then 1x1, a row at a time */
    MN__INFER_MAX_POOL,
    MN__INFER_AVERAGE_POOL,
    MN__INFER_MEAN,    /* of each channel: a map of one pixel */
    MN__INFER_FLATTEN, /* a map to one pixel of C*H*W channels, in the order (C,H,W) */
    MN__INFER_DENSE,   /* one pixel to one pixel */
    MN__INFER_AFFINE,  /* scale and offset of each channel, any activation */
    MN__INFER_ADD,
    MN__INFER_STORE, /* a map to (C,H,W) of an output tensor */
    MN__INFER_KINDS
} mn__infer_kind;

typedef struct mn__infer_step {
    mn__infer_kind kind;
    mn__window g;                 /* convolutions and poolings; N is not used */
    const mn__map *x, *plus, *y;  /* plus: added to the result before the activation; or NULL */
    const void *w, *b;            /* the layer's kernel, and bias or NULL */
    const void *depthwise;        /* the first kernel of a separable convolution */
    const double *scale, *offset; /* MN__INFER_AFFINE, or NULL; read by `pack` alone */
    mn_activation activation;     /* linear or ReLU but for MN__INFER_AFFINE */
    double alpha;
    void *packed; /* weights as this step wants them */
} mn__infer_step;

/* Part `part` of `parts` of a step on some images. plus and y are of the same images as x. */
typedef struct mn__infer_job {
    const mn__infer_step *s;
    const void *x, *plus;
    void *y, *scratch;
    int64_t images;
    int part, parts;
} mn__infer_job;

/* How a kind of step is computed. Counts are numbers of the context's type; a missing function means 0 or nothing. */
typedef struct mn__infer_way {
    int64_t (*packed)(const mn__infer_step *s);
    void (*pack)(const mn__infer_step *s, int threads);
    int64_t (*scratch)(const mn__infer_step *s, int64_t images); /* of each part, 64-byte aligned */
    void (*run)(const mn__infer_job *j);
} mn__infer_way;

/* What a device brings for compiled inference, in one type: cpu/infer.c. */
typedef struct mn__infer_kernels {
    int lanes; /* numbers in a vector */
    const mn__infer_way *way[MN__INFER_KINDS];
} mn__infer_kernels;
#endif
