/* The order in which Keras lists a functional model's layers. It gives the weights of a file to layers by their
 * place in that list, so files must have it: the greatest distance to an output first; at equal distance, as
 * a depth-first walk from the outputs meets them. */
#include "data/formats/model_config.h"
#include <stdlib.h>

typedef struct place {
    mn_sym x;
    int depth, met;
} place;

static void at_least(int *depth, int value) {
    if (*depth < value) *depth = value;
}

/* Layers that the file has behind x for an activation count as well. -1: x leads to no output. */
static void measure(const mn_model *m, const mn_model_info *info, place *p) {
    for (int i = 0; i < m->n_outputs; i++) at_least(&p[m->output[i]].depth, mn__keras_followers(m, info, m->output[i], true));
    for (int r = m->n_layers - 1; r >= 0; r--)
        for (int k = 0; k < m->layer[r]->n_in && p[r].depth >= 0; k++) {
            mn_sym x = m->layer[r]->in[k];
            at_least(&p[x].depth, p[r].depth + 1 + mn__keras_followers(m, info, x, false));
        }
}

static void walk(const mn_model *m, mn_sym *stack, place *p) {
    int top = 0, met = 0;
    for (int i = m->n_outputs - 1; i >= 0; i--) stack[top++] = m->output[i];
    while (top) {
        mn_sym x = stack[--top];
        if (p[x].met >= 0) continue;
        p[x].met = met++;
        for (int k = m->layer[x]->n_in - 1; k >= 0; k--) stack[top++] = m->layer[x]->in[k];
    }
}

static int compare(const void *a, const void *b) {
    const place *p = a, *q = b;
    return p->depth != q->depth ? q->depth - p->depth : p->met - q->met;
}

mn_status mn__keras_layer_order(const mn_model *m, const mn_model_info *info, mn_sym **order, int *n, mn_error *err) {
    size_t edges = (size_t)m->n_outputs + 1;
    for (int i = 0; i < m->n_layers; i++) edges += (size_t)m->layer[i]->n_in;
    place *p = mn_alloc_zero((size_t)m->n_layers + 1, sizeof *p);
    mn_sym *stack = mn_alloc_zero(edges, sizeof *stack);
    *order = mn_alloc_zero((size_t)m->n_layers + 1, sizeof **order), *n = 0;
    mn_status s = p && stack && *order ? MN_OK : mn_fail(err, MN_ERR_MEMORY, "out of host memory for the order of layers");
    if (s == MN_OK) {
        for (int i = 0; i < m->n_layers; i++) p[i] = (place){i, -1, -1};
        measure(m, info, p);
        walk(m, stack, p);
        qsort(p, (size_t)m->n_layers, sizeof *p, compare);
        for (int i = 0; i < m->n_layers; i++)
            if (p[i].depth >= 0) (*order)[(*n)++] = p[i].x;
    } else {
        mn_free(*order);
        *order = NULL;
    }
    mn_free(p);
    mn_free(stack);
    return s;
}
