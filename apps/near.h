/* Near copies that a cut must not separate: the same photograph scaled, paler, mirrored, saved anew. */
#ifndef MIEN_NEAR_H
#define MIEN_NEAR_H
#include "data/data.h"

/* How `mien doctor` and `mien train` know near copies: hashes that differ in at most so many of 64 bits, thumbnails that
 * correlate at least so much. */
#define NEAR_DISTANCE 8
#define NEAR_LIKENESS 0.98

/* d, whose near copies (and theirs, and so on) share one group; *joined: pictures that now share a group with others than before.
 * Looks at every picture but those that the files call test. d must outlive it; destroy it with mn_dataset_destroy. */
mn_dataset *near_grouped(const mn_dataset *d, int threads, int64_t *joined, mn_error *err);

#endif
