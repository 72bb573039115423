/* Layers as JSON: what the network files of layers/ and the Keras configs of data/ have in common. */
#ifndef MIEN_LAYERS_JSON_H
#define MIEN_LAYERS_JSON_H
#include "layers/internal.h"

#if MN_HAVE_JSON
#include <jansson.h>

/* How a layer's object is to be understood. */
typedef struct mn__json_form {
    bool keras;            /* a Keras config: unknown keys are passed over; else a network file: they are errors */
    const mn_net_opt *opt; /* the numbers of the words "classes", "height", ...; NULL: no words */
} mn__json_form;

/* Adds the layer that `config` describes. Keras's ReLU, LeakyReLU, ELU and Softmax become Activation. `name`
 * may be NULL. -1 with a sentence in the context's error that names layer and key. */
mn_sym mn__json_layer(mn_model *m, const char *class_name, const char *name, json_t *config, const mn_sym *in, int n_in,
                      const mn__json_form *form);
/* The name of a Keras class that becomes Activation, as a constant; NULL: it is another. */
const char *mn__json_activation_class(const char *name);
/* The layer's fields as an object: those that are not the default, or all of them as Keras names them. NULL:
 * out of memory. */
json_t *mn__json_fields(const mn__layer *l, bool keras);
/* mn_model_from_json without the building: nothing is allocated for weights yet. */
mn_model *mn__model_parse(mn_context *c, const char *text, size_t length, const mn_net_opt *opt);
/* Parses text of at most `limit` bytes that holds one object. */
json_t *mn__json_parse(const char *what, const char *text, size_t length, mn_error *err);
#endif

#endif
