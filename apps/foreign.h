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

/* "[HEAD:]A,B,..", what --class-names takes (or with =), as a head; it is called `name` where the text names none, NULL: the
 * text must. Free it with mn_head_free. */
mn_status foreign_head(const char *text, const char *name, mn_head *out, mn_error *err);
/* Puts what was given in place of what the file says, or does not say. */
mn_status foreign_apply(const foreign *f, mn_model_info *info, mn_error *err);

#endif
