/* level_avx2.c - the kernels for AVX2; see kernels.h.  Empty on other processors. */
#include "engine/kernels/kernels.h"

#if defined(__x86_64__)

#include <math.h>
#include <string.h>

#include "engine/kernels/simd_avx2.h"

#define KERNELS kernels_avx2
#define LEVEL CPU_AVX2

#include "engine/kernels/math.inc"
#include "engine/kernels/vmath.inc"
#include "engine/kernels/cells.inc"
#include "engine/kernels/loops.inc"
#include "engine/kernels/quantize.inc"
#include "engine/kernels/bytes.inc"
#include "engine/kernels/transpose.inc"
#include "engine/kernels/gemm.inc"
#include "engine/kernels/gemm_bytes.inc"
#include "engine/kernels/depthwise_bytes.inc"
#include "engine/kernels/conv.inc"
#include "engine/kernels/conv_dot.inc"
#include "engine/kernels/conv_grouped.inc"
#include "engine/kernels/winograd.inc"
#include "engine/kernels/forest.inc"
#include "engine/kernels/level_bytes.inc"

#define LEVEL_BYTES (&kernels_bytes)
#include "engine/kernels/level.inc"

#endif
