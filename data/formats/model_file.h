/* The inside of model files, which checkpoints share. Only for data/. */
#ifndef MIEN_DATA_MODEL_FILE_H
#define MIEN_DATA_MODEL_FILE_H
#include "data/formats/hdf5.h"

#define MN__FILE_VERSION 1 /* of mien's own attributes */

#if MN_HAVE_HDF5 && MN_HAVE_JSON
/* All of a model file, into an open HDF5 file. */
mn_status mn__model_put(hid_t file, mn_model *m, const mn_model_info *info, mn_error *err);
/* The model of an open HDF5 file of `size` bytes, built, with its weights; NULL and a sentence, and *info empty. */
mn_model *mn__model_read(mn_context *c, hid_t file, size_t size, mn_model_info *info, mn_error *err);
/* Weights of a built model from the file; every shape is checked before the first one is changed. */
mn_status mn__model_get_weights(hid_t file, mn_model *m, mn_error *err);
/* mien's own attributes, or what can be said without them. */
mn_status mn__model_get_info(hid_t file, const mn_model *m, mn_model_info *info, mn_error *err);
#endif
/* mn_model_save and mn_model_load for HDF5 files. */
mn_status mn__h5_save(mn_model *m, const mn_model_info *info, const char *path, mn_error *err);
mn_model *mn__h5_load(mn_context *c, const char *path, mn_model_info *info, mn_error *err);
/* Says which library this build lacks. */
mn_status mn__model_files_missing(mn_error *err);

#endif
