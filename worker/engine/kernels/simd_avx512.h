/* simd_avx512.h - the vector type of the AVX-512 kernels: 16 floats.
 *
 * The simd_*.h headers define the same names, so that one text of a kernel serves all
 * instruction sets; each is included by its own level_*.c and by nothing else.
 *
 *     vf_max(a, b), vf_min(a, b)    b where either is NaN
 *     vf_where_lt(a, b, x, y)       a < b ? x : y, so y where a or b is NaN
 *     vf_load_n, vf_store_n         the first n elements, 1 <= n <= VL; the rest is
 *                                   zeros, or left alone
 *     vf_scale(x, n)                x * 2^n for whole n
 *     vf_scale_normal(x, n)         the same where x and the result are normal numbers
 *     vf_split(x, e)                mantissa in [1, 2) and exponent of x > 0
 *     vf_transpose(t)               t[i] lane j becomes t[j] lane i
 *     vf_pick(x, lane)              lane i of the result is lane lane[i] of x
 *     vi                            VL whole numbers of 32 bits
 *     vi_add_where_lt(i, n, a, b)   a < b ? i + n : i
 *     vi_where_nan(x, n, i)         n where x is NaN, else i
 *     vi_store_codes(y, i)          VL bytes: i - 128, 0 <= i < 256
 *     vi_store_n, vi_store_bytes    the first n; the lowest byte of each
 *     vq_signed, vq_unsigned        four bytes a lane, made ready for vq_dot
 *     vq_dot(s, a, b)               s + the sum of the lane's four products; a without
 * sign vb_weave(a, b, n, high)       pieces of n bytes of a's and b's lower (higher)
 * halves of 16 bytes, in turn vb_pack(s, low)               the lowest bytes of s[0],
 * s[1], .. within 16 bytes; of whole numbers from low to low + 255 vi_store_parts(y, s)
 * fours of 16 bytes apart vb                            VB bytes vb_fill(four) the four
 * bytes of a number, again and again vb_strike_above(v, x, c, s)   v without the bits of
 * s where x > c (signed) vb_lowest_bit(v)              its place in the byte, 0 to 7; 255
 * where there is none vf_look_up(t, n, i)           t[i] for VL bytes i < 8 n; t may be
 * read up to 64 elements
 *
 * Depends on: immintrin.h.  Threads: pure. */
#ifndef MILLRACE_ENGINE_KERNELS_SIMD_AVX512_H
#define MILLRACE_ENGINE_KERNELS_SIMD_AVX512_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

#define VL 16
#define TILE_ROWS 14 /* rows by two vectors of sums fill 28 of the 32 registers */
#define POOL_COLS 6  /* columns of a pooled tile: 2 x 6 pixels by two vectors */

typedef __m512 vf;

ALWAYS_INLINE __mmask16 vf_mask(int64_t n) {
    return (__mmask16)((1U << n) - 1U);
}
ALWAYS_INLINE vf vf_set1(float x) {
    return _mm512_set1_ps(x);
}
ALWAYS_INLINE vf vf_load(const float *x) {
    return _mm512_loadu_ps(x);
}
ALWAYS_INLINE void vf_store(float *y, vf x) {
    _mm512_storeu_ps(y, x);
}
ALWAYS_INLINE vf vf_load_n(const float *x, int64_t n) {
    return _mm512_maskz_loadu_ps(vf_mask(n), x);
}
ALWAYS_INLINE void vf_store_n(float *y, vf x, int64_t n) {
    _mm512_mask_storeu_ps(y, vf_mask(n), x);
}
ALWAYS_INLINE vf vf_add(vf a, vf b) {
    return _mm512_add_ps(a, b);
}
ALWAYS_INLINE vf vf_sub(vf a, vf b) {
    return _mm512_sub_ps(a, b);
}
ALWAYS_INLINE vf vf_mul(vf a, vf b) {
    return _mm512_mul_ps(a, b);
}
ALWAYS_INLINE vf vf_div(vf a, vf b) {
    return _mm512_div_ps(a, b);
}
ALWAYS_INLINE vf vf_fma(vf a, vf b, vf c) {
    return _mm512_fmadd_ps(a, b, c);
}
ALWAYS_INLINE vf vf_max(vf a, vf b) {
    return _mm512_max_ps(a, b);
}
ALWAYS_INLINE vf vf_min(vf a, vf b) {
    return _mm512_min_ps(a, b);
}
ALWAYS_INLINE vf vf_sqrt(vf a) {
    return _mm512_sqrt_ps(a);
}
ALWAYS_INLINE vf vf_abs(vf a) {
    return _mm512_abs_ps(a);
}
ALWAYS_INLINE vf vf_copysign(vf size, vf sign) {
    const vf bit = _mm512_set1_ps(-0.0F);
    return _mm512_or_ps(_mm512_andnot_ps(bit, size), _mm512_and_ps(bit, sign));
}
ALWAYS_INLINE vf vf_where_lt(vf a, vf b, vf x, vf y) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}
ALWAYS_INLINE vf vf_round(vf a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
ALWAYS_INLINE vf vf_scale(vf x, vf n) {
    return _mm512_scalef_ps(x, n);
}
ALWAYS_INLINE vf vf_scale_normal(vf x, vf n) {
    return _mm512_scalef_ps(x, n);
}
ALWAYS_INLINE vf vf_split(vf x, vf *e) {
    *e = _mm512_getexp_ps(x);
    return _mm512_getmant_ps(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src);
}
ALWAYS_INLINE float vf_sum(vf a) {
    return _mm512_reduce_add_ps(a);
}
ALWAYS_INLINE float vf_highest(vf a) {
    return _mm512_reduce_max_ps(a);
}
/* Pairs of rows are woven by lanes of 1, 2, 4 and 8 floats. */
ALWAYS_INLINE void vf_transpose(vf t[VL]) {
    vf u[VL];
#pragma GCC unroll 8
    for (int i = 0; i < VL; i += 2) {
        u[i] = _mm512_unpacklo_ps(t[i], t[i + 1]);
        u[i + 1] = _mm512_unpackhi_ps(t[i], t[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < VL; i += 4) {
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            const __m512d a = _mm512_castps_pd(u[i + half]);
            const __m512d b = _mm512_castps_pd(u[i + 2 + half]);
            t[i + 2 * half] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            t[i + 2 * half + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    }
    /* t[4 g + c] holds columns c, c + 4, c + 8, c + 12 of rows 4 g .. 4 g + 3. */
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        u[c] = _mm512_shuffle_f32x4(t[c], t[4 + c], 0x88);
        u[4 + c] = _mm512_shuffle_f32x4(t[8 + c], t[12 + c], 0x88);
        u[8 + c] = _mm512_shuffle_f32x4(t[c], t[4 + c], 0xdd);
        u[12 + c] = _mm512_shuffle_f32x4(t[8 + c], t[12 + c], 0xdd);
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        t[c] = _mm512_shuffle_f32x4(u[c], u[4 + c], 0x88);
        t[4 + c] = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0x88);
        t[8 + c] = _mm512_shuffle_f32x4(u[c], u[4 + c], 0xdd);
        t[12 + c] = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0xdd);
    }
}

/* ---- whole numbers and bytes: for forest.inc ------------------------------------------
 */

typedef __m512i vi;
typedef __m512i vb;
#define VB 64

ALWAYS_INLINE vi vi_set1(int x) {
    return _mm512_set1_epi32(x);
}
ALWAYS_INLINE vi vi_load(const void *x) {
    return _mm512_loadu_si512((const __m512i *)x);
}
ALWAYS_INLINE void vi_store(int32_t *y, vi x) {
    _mm512_storeu_si512((__m512i *)(void *)y, x);
}
ALWAYS_INLINE vf vf_pick(vf x, vi lane) {
    return _mm512_permutexvar_ps(lane, x);
}
ALWAYS_INLINE void vi_store_n(int32_t *y, vi x, int64_t n) {
    _mm512_mask_storeu_ps((float *)(void *)y, vf_mask(n), _mm512_castsi512_ps(x));
}
ALWAYS_INLINE void vi_store_bytes(uint8_t *y, vi x) {
    _mm_storeu_si128((__m128i *)(void *)y, _mm512_cvtepi32_epi8(x));
}
ALWAYS_INLINE vi vi_add(vi a, vi b) {
    return _mm512_add_epi32(a, b);
}
ALWAYS_INLINE vi vi_sub(vi a, vi b) {
    return _mm512_sub_epi32(a, b);
}
ALWAYS_INLINE vi vi_mul(vi a, vi b) {
    return _mm512_mullo_epi32(a, b);
}
ALWAYS_INLINE vi vi_max(vi a, vi b) {
    return _mm512_max_epi32(a, b);
}
ALWAYS_INLINE vf vf_from_vi(vi x) {
    return _mm512_cvtepi32_ps(x);
}
ALWAYS_INLINE vi vi_from_vf(vf x) {
    return _mm512_cvtps_epi32(x);
}

/* ---- bytes by fours: for gemm_bytes.inc and depthwise_bytes.inc -----------------------
 */

#if defined(__AVX512VNNI__)
typedef vi vq;
ALWAYS_INLINE vq vq_signed(const void *x) {
    return vi_load(x);
}
ALWAYS_INLINE vq vq_unsigned(vi x) {
    return x;
}
ALWAYS_INLINE vi vq_dot(vi sums, vq a, vq b) {
    return _mm512_dpbusd_epi32(sums, a, b);
}
#else
typedef struct {
    vi even, odd; /* of each lane: bytes 0 and 2, 1 and 3, of 16 bits */
} vq;
ALWAYS_INLINE vq vq_signed(const void *x) {
    const vi bytes = vi_load(x);
    return (vq){_mm512_srai_epi16(_mm512_slli_epi16(bytes, 8), 8),
                _mm512_srai_epi16(bytes, 8)};
}
ALWAYS_INLINE vq vq_unsigned(vi x) {
    return (vq){_mm512_and_si512(x, _mm512_set1_epi16(255)), _mm512_srli_epi16(x, 8)};
}
ALWAYS_INLINE vi vq_dot(vi sums, vq a, vq b) {
    return _mm512_add_epi32(_mm512_add_epi32(sums, _mm512_madd_epi16(a.even, b.even)),
                            _mm512_madd_epi16(a.odd, b.odd));
}
#endif
ALWAYS_INLINE vi vb_weave(vi a, vi b, const int n, const bool high) {
    return n == 1 ? high ? _mm512_unpackhi_epi8(a, b) : _mm512_unpacklo_epi8(a, b)
           : high ? _mm512_unpackhi_epi16(a, b)
                  : _mm512_unpacklo_epi16(a, b);
}
ALWAYS_INLINE vi vb_pack(const vi s[4], int low) {
    const vi a = _mm512_packs_epi32(s[0], s[1]), b = _mm512_packs_epi32(s[2], s[3]);
    return low < 0 ? _mm512_packs_epi16(a, b) : _mm512_packus_epi16(a, b);
}
ALWAYS_INLINE void vi_store_parts(int32_t *y, vi s) {
    _mm_storeu_si128((__m128i *)(void *)y, _mm512_extracti32x4_epi32(s, 0));
    _mm_storeu_si128((__m128i *)(void *)(y + 16), _mm512_extracti32x4_epi32(s, 1));
    _mm_storeu_si128((__m128i *)(void *)(y + 32), _mm512_extracti32x4_epi32(s, 2));
    _mm_storeu_si128((__m128i *)(void *)(y + 48), _mm512_extracti32x4_epi32(s, 3));
}
ALWAYS_INLINE vf vf_gather(const float *x, vi index) {
    return _mm512_i32gather_ps(index, x, 4);
}
ALWAYS_INLINE vi vi_add_where_lt(vi i, int add, vf a, vf b) {
    return _mm512_mask_add_epi32(i, _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), i,
                                 _mm512_set1_epi32(add));
}
ALWAYS_INLINE vi vi_where_nan(vf x, int value, vi i) {
    return _mm512_mask_mov_epi32(i, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q),
                                 _mm512_set1_epi32(value));
}
ALWAYS_INLINE void vi_store_codes(int8_t *y, vi i) {
    const __m128i bytes = _mm512_cvtepi32_epi8(i);
    _mm_storeu_si128((__m128i *)(void *)y, _mm_xor_si128(bytes, _mm_set1_epi8(-128)));
}
ALWAYS_INLINE vb vb_fill(uint32_t four) {
    return _mm512_set1_epi32((int)four);
}
ALWAYS_INLINE vb vb_load(const void *x) {
    return _mm512_loadu_si512(x);
}
ALWAYS_INLINE void vb_store(void *y, vb x) {
    _mm512_storeu_si512(y, x);
}
ALWAYS_INLINE vb vb_or(vb a, vb b) {
    return _mm512_or_si512(a, b);
}
ALWAYS_INLINE vb vb_min(vb a, vb b) {
    return _mm512_min_epu8(a, b);
}
ALWAYS_INLINE vb vb_strike_above(vb v, vb x, vb code, vb strike) {
    return _mm512_andnot_si512(
        _mm512_maskz_mov_epi8(_mm512_cmpgt_epi8_mask(x, code), strike), v);
}
ALWAYS_INLINE vb vb_lowest_bit(vb v) {
    const vb low = _mm512_broadcast_i32x4(
        _mm_setr_epi8(-1, 0, 1, 0, 2, 0, 1, 0, 3, 0, 1, 0, 2, 0, 1, 0));
    const vb high = _mm512_or_si512(low, _mm512_set1_epi8(4));
    const vb nibble = _mm512_set1_epi8(15);
    return _mm512_min_epu8(
        _mm512_shuffle_epi8(low, _mm512_and_si512(v, nibble)),
        _mm512_shuffle_epi8(high, _mm512_and_si512(_mm512_srli_epi16(v, 4), nibble)));
}
ALWAYS_INLINE vf vf_look_up(const float *table, uint32_t eights, const uint8_t *index) {
    const vi i = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)index));
    vf low, high;
    if (eights > 8) {
        return vf_gather(table, i);
    }
    low = _mm512_permutex2var_ps(vf_load(table), i, vf_load(table + 16));
    if (eights <= 4) {
        return low;
    }
    high = _mm512_permutex2var_ps(vf_load(table + 32), i, vf_load(table + 48));
    return _mm512_mask_mov_ps(low, _mm512_cmpge_epi32_mask(i, _mm512_set1_epi32(32)),
                              high);
}

#endif
