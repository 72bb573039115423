/* Options for model files of other programs, which do not say how they want their pictures. */
#ifndef MIEN_FOREIGN_H
#define MIEN_FOREIGN_H
#include "apps/app.h"

/* Zero-initialise: nothing given. A child of a command's argp table; its input is this struct. */
typedef struct foreign {
    bool range;
    double lo, hi;
    const char *grey; /* "bt601", "mean" */
    const char *classes[MN_MAX_HEADS];
    int n_heads;
} foreign;
extern const struct argp foreign_argp;

/* Puts what was given in place of what the file says, or does not say. */
mn_status foreign_apply(const foreign *f, mn_model_info *info, mn_error *err);

#endif
