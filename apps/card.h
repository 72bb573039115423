/* The model card: what a model is, what it was made of, how well it does and for whom, what it is not for. A
 * function of what is in the model file, so that it can be written anew whenever something is added there. */
#ifndef MIEN_CARD_H
#define MIEN_CARD_H

#include "data/data.h"

/* Markdown, to be freed. `name`: of the network; info: heads, calibration, training record, tests. */
char *card_write(const char *name, const mn_model_stats *stats, const mn_model_info *info);
/* "faces.h5" -> "faces.card.md"; to be freed. */
char *card_path(const char *model);

#endif
