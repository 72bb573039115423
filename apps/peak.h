/* What this processor could do at most. */
#ifndef MIEN_PEAK_H
#define MIEN_PEAK_H

/* Single-precision multiply-adds from registers alone, on `threads` threads, in GFLOP/s; takes about 0.1 s.
 */
double peak_gflops(int threads);
/* Bytes read and written a second by one thread that copies between arrays too large for the caches, in GB/s; 0.1 s. */
double peak_bandwidth(void);
/* The most memory that this process has had, in bytes. */
double peak_memory(void);

#endif
