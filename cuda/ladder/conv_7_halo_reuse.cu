/* Convolution, step 7: the halo again, and what follows. Step 6 copies each pixel nine times into shared memory, once a
 * tap. Here a tile of 8x8 pixels brings its 10x10 pixels of 16 channels once, and the nine taps multiply it as it lies:
 * tap (r,s) of pixel (p,q) is row (p+r)*10 + q+s of the halo, and ldmatrix takes any eight rows. Only the weights of the
 * next tap are on their way meanwhile. Bias and ReLU are applied to the sums before they are stored: two passes over y
 * that a network would make otherwise. */
#include "cuda/ladder/conv_7_halo_reuse.cuh"

cudaError_t ladder_conv_7(cudaStream_t stream, const ladder_conv &v) {
    const channels_last l = channels_last_of(v);
    const cudaError_t e = to_channels_last<false>(stream, v, l);
    return e != cudaSuccess ? e : launch_halo_reuse(stream, v, l);
}
