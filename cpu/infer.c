/* The table of compiled inference in this type and instruction set. */
#include "cpu/infer.h"

extern const struct mn__infer_kernels LOCAL(infer);
const struct mn__infer_kernels LOCAL(infer) = {
    .lanes = LANES,
    .way = {
        [MN__INFER_LOAD] = &LOCAL(infer_load),
        [MN__INFER_CONV] = &LOCAL(infer_conv),
        [MN__INFER_WINOGRAD] = &LOCAL(infer_winograd),
        [MN__INFER_DEPTHWISE] = &LOCAL(infer_depthwise),
        [MN__INFER_SEPARABLE] = &LOCAL(infer_separable),
        [MN__INFER_MAX_POOL] = &LOCAL(infer_max_pool),
        [MN__INFER_AVERAGE_POOL] = &LOCAL(infer_average_pool),
        [MN__INFER_MEAN] = &LOCAL(infer_mean),
        [MN__INFER_FLATTEN] = &LOCAL(infer_flatten),
        [MN__INFER_DENSE] = &LOCAL(infer_dense),
        [MN__INFER_AFFINE] = &LOCAL(infer_affine),
        [MN__INFER_ADD] = &LOCAL(infer_add),
        [MN__INFER_STORE] = &LOCAL(infer_store),
    }};
