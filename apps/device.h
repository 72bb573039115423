/* Where a command computes: --device and --memory-limit. */
#ifndef MIEN_DEVICE_H
#define MIEN_DEVICE_H

#include "apps/app.h"

/* As MN_CPU and MN_CUDA; auto is a GPU where one can be used, and otherwise the CPU, after saying so on stderr. */
typedef enum device_choice { DEVICE_CPU = MN_CPU, DEVICE_CUDA = MN_CUDA, DEVICE_AUTO } device_choice;

#define DEVICE_DOC "Where to compute (default cpu); auto: on a GPU if one can be used. See `mien devices`"
#define DEVICE_PRECISION_DOC "How the GPU's tensor cores round factors: precise (default; not at all), tf32x3, tf32 or bf16"
#define DEVICE_LIMIT_DOC "Tensors take at most so much memory; a run that needs more ends with a sentence"

/* For argp parsers: the values of --device (a word) and of --memory-limit (MiB; the result is in bytes). */
device_choice device_parse(const struct argp_state *s, const char *text);
size_t device_parse_limit(const struct argp_state *s, const char *text);
mn_precision device_parse_precision(const struct argp_state *s, const char *text);

/* A context on the device that was chosen; opt->device is filled in. NULL with a sentence. */
mn_context *device_open(device_choice choice, mn_context_opt *opt, mn_error *err);
/* The one that a context of this kind computes on. */
mn_device_info device_info(mn_device device);

#endif
