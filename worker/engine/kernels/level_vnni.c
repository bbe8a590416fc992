/* level_vnni.c - the loops over bytes for AVX-512 with VNNI; see kernels.h.  Empty on
 * other processors. */
#include "engine/kernels/kernels.h"

#if defined(__x86_64__)

#include "engine/kernels/simd_avx512.h"

#include "engine/kernels/gemm_bytes.inc"
#include "engine/kernels/depthwise_bytes.inc"

const struct kernels_bytes kernels_bytes_vnni = {
    .tile_rows = QUADS_ROWS,
    .gemm = gemm_bytes_strip,
    .pool = gemm_bytes_pool,
    .depthwise = depthwise_bytes,
};

#endif
