/* level_avx512.c - the kernels for AVX-512, with and without VNNI; see kernels.h.  Empty
 * on other processors. */
#include "engine/kernels/kernels.h"

#if defined(__x86_64__)

#include <math.h>
#include <string.h>

#include "engine/kernels/simd_avx512.h"

#define KERNELS kernels_avx512
#define LEVEL CPU_AVX512

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

/* The same kernels but for those of level_vnni.c. */
#undef KERNELS
#undef LEVEL
#undef LEVEL_BYTES
#define KERNELS kernels_vnni
#define LEVEL CPU_VNNI
#define LEVEL_BYTES (&kernels_bytes_vnni)
#include "engine/kernels/level.inc"

#undef KERNELS
#undef LEVEL
#undef LEVEL_BYTES
#define KERNELS kernels_amx
#define LEVEL CPU_AMX
#define LEVEL_BYTES (&kernels_bytes_amx)
#include "engine/kernels/level.inc"

#endif
