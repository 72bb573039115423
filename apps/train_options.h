/* Between train_argp.c, which knows the options, and train_options.c, which knows how they go together. */
#ifndef MIEN_TRAIN_OPTIONS_H
#define MIEN_TRAIN_OPTIONS_H
#include "apps/train.h"
#include <argp.h>
#if MN_HAVE_JSON

typedef struct train_parser {
    train_options o;
    bool changes; /* words beside --resume: few are allowed */
} train_parser;

/* Its input is a train_parser with the defaults set. */
extern const struct argp train_argp;
#endif
#endif
