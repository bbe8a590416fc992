/* avx512.h - AVX-512 for processors without it, by SIMDe, so that level_avx512.c can be
 * tested there: `make avx512`.
 *
 * What SIMDe 0.7.4 lacks is written out here, element by element, as Intel's Intrinsics
 * Guide says; sums of a vector are taken in the order of gcc's.
 *
 * Depends on: libsimde-dev.  Threads: pure. */
#ifndef MILLRACE_TESTS_SIMDE_AVX512_H
#define MILLRACE_TESTS_SIMDE_AVX512_H

#pragma GCC system_header

#include <immintrin.h>

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>
#include <simde/x86/fma.h>

#include <math.h>
#include <string.h>

#ifdef __AVX512F__
#error "this processor's own AVX-512 is meant to be left out"
#endif

#ifndef _MM_FROUND_TO_NEAREST_INT
#define _MM_FROUND_TO_NEAREST_INT SIMDE_MM_FROUND_TO_NEAREST_INT
#define _MM_FROUND_NO_EXC SIMDE_MM_FROUND_NO_EXC
#endif
#define _MM_MANT_NORM_1_2 0
#define _MM_MANT_SIGN_src 0

static inline __m512 simde_shim_loadu(unsigned mask, const float *x) {
    float all[16] = {0};
    __m512 v;
    for (int i = 0; i < 16; i++) {
        if ((mask >> i & 1) != 0) {
            all[i] = x[i];
        }
    }
    memcpy(&v, all, sizeof(v));
    return v;
}
#undef _mm512_maskz_loadu_ps
#define _mm512_maskz_loadu_ps(mask, x) simde_shim_loadu(mask, x)

static inline void simde_shim_storeu(float *y, unsigned mask, __m512 v) {
    float all[16];
    memcpy(all, &v, sizeof(v));
    for (int i = 0; i < 16; i++) {
        if ((mask >> i & 1) != 0) {
            y[i] = all[i];
        }
    }
}
#undef _mm512_mask_storeu_ps
#define _mm512_mask_storeu_ps(y, mask, v) simde_shim_storeu(y, mask, v)

/* x = mantissa * 2^exponent, the mantissa in [1, 2). */
static inline __m512 simde_shim_split(__m512 x, int exponent) {
    float all[16];
    memcpy(all, &x, sizeof(x));
    for (int i = 0; i < 16; i++) {
        int e;
        float half = frexpf(all[i], &e);
        all[i] = exponent ? (float)(e - 1) : half * 2;
    }
    memcpy(&x, all, sizeof(x));
    return x;
}
#define _mm512_getexp_ps(x) simde_shim_split(x, 1)
#define _mm512_getmant_ps(x, interval, sign) simde_shim_split(x, 0)

/* SIMDe's goes by way of 2^n, which is infinite where the product is not. */
static inline __m512 simde_shim_scale(__m512 x, __m512 n) {
    float a[16], b[16];
    memcpy(a, &x, sizeof(x));
    memcpy(b, &n, sizeof(n));
    for (int i = 0; i < 16; i++) {
        float power = b[i] > 1000 ? 1000 : b[i] < -1000 ? -1000 : b[i];
        a[i] = power != power ? power : ldexpf(a[i], (int)floorf(power));
    }
    memcpy(&x, a, sizeof(x));
    return x;
}
#undef _mm512_scalef_ps
#define _mm512_scalef_ps(x, n) simde_shim_scale(x, n)

static inline float simde_shim_reduce(__m512 x, int highest) {
    float a[16];
    memcpy(a, &x, sizeof(x));
    for (int half = 8; half >= 1; half /= 2) {
        for (int i = 0; i < half; i++) {
            float low = a[i], high = a[i + half];
            a[i] = !highest ? low + high : high > low ? high : low;
        }
    }
    return a[0];
}
/* Lanes of four floats: two of `a`, then two of `b`. */
static inline __m512 simde_shim_shuffle(__m512 a, __m512 b, int choice) {
    float from[2][16], to[16];
    memcpy(from[0], &a, sizeof(a));
    memcpy(from[1], &b, sizeof(b));
    for (int lane = 0; lane < 4; lane++) {
        memcpy(to + 4 * lane, from[lane / 2] + 4 * (choice >> 2 * lane & 3),
               4 * sizeof(float));
    }
    memcpy(&a, to, sizeof(a));
    return a;
}
#undef _mm512_shuffle_f32x4
#define _mm512_shuffle_f32x4(a, b, choice) simde_shim_shuffle(a, b, choice)

#define _mm512_reduce_add_ps(x) simde_shim_reduce(x, 0)
#define _mm512_reduce_max_ps(x) simde_shim_reduce(x, 1)

static inline __m512 simde_shim_gather(__m512i index, const float *x) {
    int32_t at[16];
    float all[16];
    __m512 v;
    memcpy(at, &index, sizeof(index));
    for (int i = 0; i < 16; i++) {
        all[i] = x[at[i]];
    }
    memcpy(&v, all, sizeof(v));
    return v;
}
#undef _mm512_i32gather_ps
#define _mm512_i32gather_ps(index, x, scale) simde_shim_gather(index, x)

/* The lowest byte of each number. */
static inline __m128i simde_shim_bytes(__m512i x) {
    uint32_t all[16];
    uint8_t low[16];
    __m128i v;
    memcpy(all, &x, sizeof(x));
    for (int i = 0; i < 16; i++) {
        low[i] = (uint8_t)all[i];
    }
    memcpy(&v, low, sizeof(v));
    return v;
}
#undef _mm512_cvtepi32_epi8
#define _mm512_cvtepi32_epi8(x) simde_shim_bytes(x)

static inline __m512i simde_shim_widen(__m128i x) {
    uint8_t from[16];
    uint32_t all[16];
    __m512i v;
    memcpy(from, &x, sizeof(x));
    for (int i = 0; i < 16; i++) {
        all[i] = from[i];
    }
    memcpy(&v, all, sizeof(v));
    return v;
}
#undef _mm512_cvtepu8_epi32
#define _mm512_cvtepu8_epi32(x) simde_shim_widen(x)

static inline __m512i simde_shim_pairs(__m512i a, __m512i b) {
    int16_t x[32], y[32];
    int32_t sums[16];
    memcpy(x, &a, sizeof(x));
    memcpy(y, &b, sizeof(y));
    for (int i = 0; i < 16; i++) {
        sums[i] = x[2 * i] * y[2 * i] + x[2 * i + 1] * y[2 * i + 1];
    }
    memcpy(&a, sums, sizeof(a));
    return a;
}
#undef _mm512_madd_epi16 /* an alias of four arguments */
#define _mm512_madd_epi16(a, b) simde_shim_pairs(a, b)

static inline __m512 simde_shim_floats(__m512i x) {
    int32_t from[16];
    float all[16];
    __m512 v;
    memcpy(from, &x, sizeof(x));
    for (int i = 0; i < 16; i++) {
        all[i] = (float)from[i];
    }
    memcpy(&v, all, sizeof(v));
    return v;
}
#define _mm512_cvtepi32_ps(x) simde_shim_floats(x)

/* To the nearest, as _mm_cvtps_epi32 does for a quarter. */
static inline __m512i simde_shim_nearest(__m512 x) {
    __m128 quarters[4];
    __m128i all[4];
    __m512i v;
    memcpy(quarters, &x, sizeof(x));
    for (int i = 0; i < 4; i++) {
        all[i] = _mm_cvtps_epi32(quarters[i]);
    }
    memcpy(&v, all, sizeof(v));
    return v;
}
#define _mm512_cvtps_epi32(x) simde_shim_nearest(x)

#endif
