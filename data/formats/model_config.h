/* Keras's description of a model (model_config) and the order of its weights. Only for data/. */
#ifndef MIEN_DATA_MODEL_CONFIG_H
#define MIEN_DATA_MODEL_CONFIG_H
#include "data/internal.h"
#include "layers/json.h"

/* order[x][i]: the number in Keras of feature i of layer x's output, (F) or (T,F); NULL: the same number. */
typedef struct mn__orders {
    int32_t **order;
    int n;
    int64_t total;
    mn_error *err;
} mn__orders;
mn_status mn__orders_create(mn__orders *o, const mn_model *m, mn_error *err);
void mn__orders_free(mn__orders *o);

/* The shape of a weight in a Keras file, and the place there of element i. `order`: of the layer's input. */
mn_shape mn__keras_shape(const mn__weight *w);
int64_t mn__keras_place(const mn__weight *w, int64_t i, const int32_t *order);

/* The layers that lead to an output, in the order in which a Keras file has them. mn_free(*order). */
mn_status mn__keras_layer_order(const mn_model *m, const mn_model_info *info, mn_sym **order, int *n, mn_error *err);
/* How many layers a Keras file has behind layer x for its activation: on the way to another layer, or as an output. */
int mn__keras_followers(const mn_model *m, const mn_model_info *info, mn_sym x, bool as_output);

#if MN_HAVE_JSON
/* The model as Keras's JSON text; outputs that are heads of several classes get their softmax. mn_free it. */
char *mn__config_write(const mn_model *m, const mn_model_info *info, mn_error *err);
/* A model, not yet built, from such a text: Functional, Model or Sequential. */
mn_model *mn__config_read(mn_context *c, const char *text, mn_error *err);
#endif

#endif
