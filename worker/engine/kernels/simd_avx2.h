/* simd_avx2.h - the vector type of the AVX2 kernels: 8 floats.  See simd_avx512.h for
 * the meaning of the names.
 *
 * Depends on: immintrin.h.  Threads: pure. */
#ifndef MILLRACE_ENGINE_KERNELS_SIMD_AVX2_H
#define MILLRACE_ENGINE_KERNELS_SIMD_AVX2_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

#define VL 8
#define TILE_ROWS 6 /* rows by two vectors of sums fill 12 of the 16 registers */
#define POOL_COLS 2 /* columns of a pooled tile: 2 x 2 pixels by two vectors */

typedef __m256 vf;

ALWAYS_INLINE __m256i vf_mask(int64_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}
ALWAYS_INLINE vf vf_set1(float x) {
    return _mm256_set1_ps(x);
}
ALWAYS_INLINE vf vf_load(const float *x) {
    return _mm256_loadu_ps(x);
}
ALWAYS_INLINE void vf_store(float *y, vf x) {
    _mm256_storeu_ps(y, x);
}
ALWAYS_INLINE vf vf_load_n(const float *x, int64_t n) {
    return _mm256_maskload_ps(x, vf_mask(n));
}
/* By halves, not by a mask: AMD's processors take dozens of steps for a masked store. */
ALWAYS_INLINE void vf_store_n(float *y, vf x, int64_t n) {
    if (n >= VL) {
        _mm256_storeu_ps(y, x);
        return;
    }
    __m128 part = _mm256_castps256_ps128(x);
    if ((n & 4) != 0) {
        _mm_storeu_ps(y, part);
        part = _mm256_extractf128_ps(x, 1);
        y += 4;
    }
    if ((n & 2) != 0) {
        _mm_storel_pi((__m64 *)y, part);
        part = _mm_movehl_ps(part, part);
        y += 2;
    }
    if ((n & 1) != 0) {
        _mm_store_ss(y, part);
    }
}
ALWAYS_INLINE vf vf_add(vf a, vf b) {
    return _mm256_add_ps(a, b);
}
ALWAYS_INLINE vf vf_sub(vf a, vf b) {
    return _mm256_sub_ps(a, b);
}
ALWAYS_INLINE vf vf_mul(vf a, vf b) {
    return _mm256_mul_ps(a, b);
}
ALWAYS_INLINE vf vf_div(vf a, vf b) {
    return _mm256_div_ps(a, b);
}
ALWAYS_INLINE vf vf_fma(vf a, vf b, vf c) {
    return _mm256_fmadd_ps(a, b, c);
}
ALWAYS_INLINE vf vf_max(vf a, vf b) {
    return _mm256_max_ps(a, b);
}
ALWAYS_INLINE vf vf_min(vf a, vf b) {
    return _mm256_min_ps(a, b);
}
ALWAYS_INLINE vf vf_sqrt(vf a) {
    return _mm256_sqrt_ps(a);
}
ALWAYS_INLINE vf vf_abs(vf a) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), a);
}
ALWAYS_INLINE vf vf_copysign(vf size, vf sign) {
    const vf bit = _mm256_set1_ps(-0.0F);
    return _mm256_or_ps(_mm256_andnot_ps(bit, size), _mm256_and_ps(bit, sign));
}
ALWAYS_INLINE vf vf_where_lt(vf a, vf b, vf x, vf y) {
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
ALWAYS_INLINE vf vf_round(vf a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* 2^n for whole n in -126 .. 127. */
ALWAYS_INLINE vf vf_power_of_two(__m256i n) {
    __m256i bits = _mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23);
    return _mm256_castsi256_ps(bits);
}
ALWAYS_INLINE vf vf_scale_normal(vf x, vf n) {
    __m256i shift = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), shift));
}
/* In two steps, because 2^n itself may be beyond a float where the product is not. */
ALWAYS_INLINE vf vf_scale(vf x, vf n) {
    __m256i whole = _mm256_cvtps_epi32(n);
    __m256i half = _mm256_srai_epi32(whole, 1);
    vf low = vf_power_of_two(half);
    return vf_mul(vf_mul(x, low), vf_power_of_two(_mm256_sub_epi32(whole, half)));
}
ALWAYS_INLINE vf vf_split(vf x, vf *e) {
    const vf tiny = _mm256_set1_ps(0x1p-126F);
    vf normal = vf_where_lt(x, tiny, vf_mul(x, _mm256_set1_ps(0x1p24F)), x);
    vf shift = vf_where_lt(x, tiny, _mm256_set1_ps(-151.0F), _mm256_set1_ps(-127.0F));
    __m256i bits = _mm256_castps_si256(normal);
    *e = vf_add(_mm256_cvtepi32_ps(_mm256_srli_epi32(bits, 23)), shift);
    bits = _mm256_and_si256(bits, _mm256_set1_epi32(0x007fffff));
    return _mm256_castsi256_ps(_mm256_or_si256(bits, _mm256_set1_epi32(0x3f800000)));
}
ALWAYS_INLINE float vf_sum(vf a) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
ALWAYS_INLINE float vf_highest(vf a) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
/* Pairs of rows are woven by lanes of 1, 2 and 4 floats. */
ALWAYS_INLINE void vf_transpose(vf t[VL]) {
    vf u[VL];
#pragma GCC unroll 4
    for (int i = 0; i < VL; i += 2) {
        u[i] = _mm256_unpacklo_ps(t[i], t[i + 1]);
        u[i + 1] = _mm256_unpackhi_ps(t[i], t[i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < VL; i += 4) {
        t[i] = _mm256_shuffle_ps(u[i], u[i + 2], 0x44);
        t[i + 1] = _mm256_shuffle_ps(u[i], u[i + 2], 0xee);
        t[i + 2] = _mm256_shuffle_ps(u[i + 1], u[i + 3], 0x44);
        t[i + 3] = _mm256_shuffle_ps(u[i + 1], u[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        const vf low = t[c], high = t[4 + c];
        t[c] = _mm256_permute2f128_ps(low, high, 0x20);
        t[4 + c] = _mm256_permute2f128_ps(low, high, 0x31);
    }
}

/* ---- whole numbers and bytes: for forest.inc ------------------------------------------
 */

typedef __m256i vi;
typedef __m256i vb;
#define VB 32

ALWAYS_INLINE vi vi_set1(int x) {
    return _mm256_set1_epi32(x);
}
ALWAYS_INLINE vi vi_load(const void *x) {
    return _mm256_loadu_si256((const __m256i *)x);
}
ALWAYS_INLINE void vi_store(int32_t *y, vi x) {
    _mm256_storeu_si256((__m256i *)(void *)y, x);
}
ALWAYS_INLINE vf vf_pick(vf x, vi lane) {
    return _mm256_permutevar8x32_ps(x, lane);
}
ALWAYS_INLINE void vi_store_n(int32_t *y, vi x, int64_t n) {
    vf_store_n((float *)(void *)y, _mm256_castsi256_ps(x), n);
}
/* The lowest byte of each lane comes first in its half; then the halves meet. */
ALWAYS_INLINE __m128i vi_bytes(vi x) {
    const vi pick =
        _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0,
                         4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const vi bytes = _mm256_shuffle_epi8(x, pick);
    return _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes),
                              _mm256_extracti128_si256(bytes, 1));
}
ALWAYS_INLINE void vi_store_bytes(uint8_t *y, vi x) {
    _mm_storel_epi64((__m128i *)(void *)y, vi_bytes(x));
}
ALWAYS_INLINE vi vi_add(vi a, vi b) {
    return _mm256_add_epi32(a, b);
}
ALWAYS_INLINE vi vi_sub(vi a, vi b) {
    return _mm256_sub_epi32(a, b);
}
ALWAYS_INLINE vi vi_mul(vi a, vi b) {
    return _mm256_mullo_epi32(a, b);
}
ALWAYS_INLINE vi vi_max(vi a, vi b) {
    return _mm256_max_epi32(a, b);
}
ALWAYS_INLINE vf vf_from_vi(vi x) {
    return _mm256_cvtepi32_ps(x);
}
ALWAYS_INLINE vi vi_from_vf(vf x) {
    return _mm256_cvtps_epi32(x);
}

/* ---- bytes by fours: for gemm_bytes.inc and depthwise_bytes.inc -----------------------
 */

typedef struct {
    vi even, odd; /* of each lane: bytes 0 and 2, 1 and 3, of 16 bits */
} vq;
ALWAYS_INLINE vq vq_signed(const void *x) {
    const vi bytes = vi_load(x);
    return (vq){_mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8),
                _mm256_srai_epi16(bytes, 8)};
}
ALWAYS_INLINE vq vq_unsigned(vi x) {
    return (vq){_mm256_and_si256(x, _mm256_set1_epi16(255)), _mm256_srli_epi16(x, 8)};
}
ALWAYS_INLINE vi vq_dot(vi sums, vq a, vq b) {
    return _mm256_add_epi32(_mm256_add_epi32(sums, _mm256_madd_epi16(a.even, b.even)),
                            _mm256_madd_epi16(a.odd, b.odd));
}
ALWAYS_INLINE vi vb_weave(vi a, vi b, const int n, const bool high) {
    return n == 1 ? high ? _mm256_unpackhi_epi8(a, b) : _mm256_unpacklo_epi8(a, b)
           : high ? _mm256_unpackhi_epi16(a, b)
                  : _mm256_unpacklo_epi16(a, b);
}
ALWAYS_INLINE vi vb_pack(const vi s[4], int low) {
    const vi a = _mm256_packs_epi32(s[0], s[1]), b = _mm256_packs_epi32(s[2], s[3]);
    return low < 0 ? _mm256_packs_epi16(a, b) : _mm256_packus_epi16(a, b);
}
ALWAYS_INLINE void vi_store_parts(int32_t *y, vi s) {
    _mm_storeu_si128((__m128i *)(void *)y, _mm256_castsi256_si128(s));
    _mm_storeu_si128((__m128i *)(void *)(y + 16), _mm256_extracti128_si256(s, 1));
}
ALWAYS_INLINE vf vf_gather(const float *x, vi index) {
    return _mm256_i32gather_ps(x, index, 4);
}
ALWAYS_INLINE vi vi_add_where_lt(vi i, int add, vf a, vf b) {
    const vi less = _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_LT_OQ));
    return _mm256_add_epi32(i, _mm256_and_si256(less, _mm256_set1_epi32(add)));
}
ALWAYS_INLINE vi vi_where_nan(vf x, int value, vi i) {
    const vi nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(i, _mm256_set1_epi32(value), nan);
}
ALWAYS_INLINE void vi_store_codes(int8_t *y, vi i) {
    _mm_storel_epi64((__m128i *)(void *)y,
                     _mm_xor_si128(vi_bytes(i), _mm_set1_epi8(-128)));
}
ALWAYS_INLINE vb vb_fill(uint32_t four) {
    return _mm256_set1_epi32((int)four);
}
ALWAYS_INLINE vb vb_load(const void *x) {
    return _mm256_loadu_si256(x);
}
ALWAYS_INLINE void vb_store(void *y, vb x) {
    _mm256_storeu_si256(y, x);
}
ALWAYS_INLINE vb vb_or(vb a, vb b) {
    return _mm256_or_si256(a, b);
}
ALWAYS_INLINE vb vb_min(vb a, vb b) {
    return _mm256_min_epu8(a, b);
}
ALWAYS_INLINE vb vb_strike_above(vb v, vb x, vb code, vb strike) {
    return _mm256_andnot_si256(_mm256_and_si256(_mm256_cmpgt_epi8(x, code), strike), v);
}
/* By halves of a byte, looked up. */
ALWAYS_INLINE vb vb_lowest_bit(vb v) {
    const vb low = _mm256_setr_epi8(-1, 0, 1, 0, 2, 0, 1, 0, 3, 0, 1, 0, 2, 0, 1, 0, -1,
                                    0, 1, 0, 2, 0, 1, 0, 3, 0, 1, 0, 2, 0, 1, 0);
    const vb high = _mm256_or_si256(low, _mm256_set1_epi8(4));
    const vb nibble = _mm256_set1_epi8(15);
    return _mm256_min_epu8(
        _mm256_shuffle_epi8(low, _mm256_and_si256(v, nibble)),
        _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble)));
}
/* A gather takes as long as looking eight at a time in up to 48. */
ALWAYS_INLINE vf vf_look_up(const float *table, uint32_t eights, const uint8_t *index) {
    const vi i = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)index));
    vf found;
    if (eights > 6) {
        return vf_gather(table, i);
    }
    found = _mm256_permutevar8x32_ps(vf_load(table), i);
    for (uint32_t e = 1; e < eights; e++) {
        const vf more = _mm256_permutevar8x32_ps(vf_load(table + e * 8), i);
        const vi here =
            _mm256_cmpeq_epi32(_mm256_srli_epi32(i, 3), _mm256_set1_epi32((int)e));
        found = _mm256_blendv_ps(found, more, _mm256_castsi256_ps(here));
    }
    return found;
}

#endif
