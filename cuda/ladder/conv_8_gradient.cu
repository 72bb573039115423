/* Convolution, step 8: backwards. The layer y = conv(x, w) has w (C,K,3,3): K channels in, C out. A pixel of its input
 * collects from all outputs that looked at it,
 *   dx[n,k,h,v] = sum_{c,r,s} dy[n,c,h+1-r,v+1-s] w[c,k,r,s]  =  sum_{c,r,s} dy[n,c,h+r-1,v+s-1] w[c,k,2-r,2-s]
 * which is a convolution of dy by weights turned by half a turn, with the two kinds of channels exchanged. So it is step
 * 7 again, without bias and ReLU, on weights that are written into their layout in another order. (With a stride:
 * cuda/conv2d_implicit.cu. The gradient of the weights is a product too, whose K runs over all pixels: slices, as in step 8
 * of the other ladder.) */
#include "cuda/ladder/conv_7_halo_reuse.cuh"

cudaError_t ladder_conv_8(cudaStream_t stream, const ladder_conv &v) {
    const channels_last l = channels_last_of(v);
    const cudaError_t e = to_channels_last<true>(stream, v, l);
    return e != cudaSuccess ? e : launch_halo_reuse(stream, v, l);
}
