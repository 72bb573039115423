/* GEMM, step 7: a pipeline. cp.async copies from global to shared memory without passing through registers, in the
 * background: two slabs are on their way while a third is multiplied, and there is one barrier a slab. Both slabs are
 * swizzled (cuda/ladder/pipeline.cuh), so that neither the copies nor the fragments wait for a bank, and ldmatrix reads
 * the four registers of a fragment in one instruction. cp.async fills with zeros what lies outside. */
#include "cuda/ladder/gemm_7_pipeline.cuh"

cudaError_t ladder_gemm_7(cudaStream_t stream, const ladder_gemm &g) { return launch_pipeline(stream, g, 1, ladder_up(g.K, 16), g.c); }
