#ifndef MIEN_APPS_BENCH_LADDER_H
#define MIEN_APPS_BENCH_LADDER_H
/* Prints time and error of every step of cuda/ladder; the product is size x size (0: a size that suits the device), and
 * `seconds` what all of it may take, roughly. Returns an exit status. */
int bench_ladder(int size, double seconds);
#endif
