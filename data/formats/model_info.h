/* mn_model_info as JSON text. Only for data/. */
#ifndef MIEN_DATA_MODEL_INFO_H
#define MIEN_DATA_MODEL_INFO_H
#include "data/internal.h"
#include "layers/json.h"

/* What can be said of a file of foreign origin. */
mn_status mn__info_default(const mn_model *m, mn_model_info *info, mn_error *err);
/* Does output x end in a softmax in files? A head of several classes does, unless it is plain. */
bool mn__ends_in_softmax(const mn_model *m, const mn_model_info *info, mn_sym x);
#if MN_HAVE_JSON
char *mn__info_write(const mn_model_info *info, mn_error *err);
/* Checked against the model. *info is empty before, and after a failure. */
mn_status mn__info_read(const char *text, const mn_model *m, mn_model_info *info, mn_error *err);
#endif

#endif
