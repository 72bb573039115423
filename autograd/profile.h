/* Where the time goes: seconds for each operation of each layer, forward and backward. Everything that a thread runs
 * between mn_profile_begin and mn_profile_end is measured, on the tape and in compiled models (layers/layers.h). */
#ifndef MIEN_AUTOGRAD_PROFILE_H
#define MIEN_AUTOGRAD_PROFILE_H
#include <stdbool.h>
#include <stdint.h>

enum { MN_PROFILE_ROWS = 1024 }; /* what does not fit is left out */
typedef struct mn_profile_row {
    const char *layer, *op; /* layer: NULL outside of layers; both live as long as the context */
    bool backward;
    double seconds;     /* of processor time of the calling thread, so that neighbours do not count; on a GPU of its own clock */
    double flop, bytes; /* two a multiply-add of the definition; of inputs, weights and results, each counted once */
    int64_t calls;
} mn_profile_row;
typedef struct mn_profile {
    mn_profile_row row[MN_PROFILE_ROWS]; /* in the order of their first call */
    int rows;
} mn_profile;

/* Measures into *p, which is emptied first, until mn_profile_end. Of the calling thread alone. */
void mn_profile_begin(mn_profile *p);
void mn_profile_end(void);

/* For the library: what this thread measures into, or NULL; the clock; adds to the row of that layer,
 * op and direction. */
mn_profile *mn__profile(void);
double mn__profile_clock(void);
void mn__profile_add(mn_profile *p, mn_profile_row more);
#endif
