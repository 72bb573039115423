/* The rows of a profile: autograd/profile.h. */
#include "autograd/profile.h"
#include <stddef.h>
#include <time.h>

static _Thread_local mn_profile *current;

void mn_profile_begin(mn_profile *p) {
    p->rows = 0;
    current = p;
}
void mn_profile_end(void) { current = NULL; }
mn_profile *mn__profile(void) { return current; }

double mn__profile_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void mn__profile_add(mn_profile *p, mn_profile_row more) {
    mn_profile_row *r = p->row, *end = p->row + p->rows;
    while (r < end && !(r->layer == more.layer && r->op == more.op && r->backward == more.backward)) r++;
    if (r == p->row + MN_PROFILE_ROWS) return;
    if (r == end) *r = (mn_profile_row){.layer = more.layer, .op = more.op, .backward = more.backward}, p->rows++;
    r->seconds += more.seconds, r->flop += more.flop, r->bytes += more.bytes;
    r->calls++;
}
