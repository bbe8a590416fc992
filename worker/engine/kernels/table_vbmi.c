/* table_vbmi.c - look-ups in a table of bytes, 64 at a time, for processors with AVX-512
 * VBMI; see bytes.c.  Empty on others. */
#include "engine/kernels/kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

void bytes_table_vbmi(const uint8_t *table, int64_t count, const uint8_t *x, uint8_t *y) {
    const __m512i a = _mm512_loadu_si512(table), b = _mm512_loadu_si512(table + 64);
    const __m512i c = _mm512_loadu_si512(table + 128);
    const __m512i d = _mm512_loadu_si512(table + 192);
    for (int64_t i = 0; i < count; i += 64) {
        const int64_t left = count - i;
        const __mmask64 mask = left < 64 ? (UINT64_C(1) << left) - 1 : UINT64_MAX;
        const __m512i at = _mm512_maskz_loadu_epi8(mask, x + i);
        const __m512i low = _mm512_permutex2var_epi8(a, at, b);
        const __m512i high = _mm512_permutex2var_epi8(c, at, d);
        const __m512i found = _mm512_mask_blend_epi8(_mm512_movepi8_mask(at), low, high);
        _mm512_mask_storeu_epi8(y + i, mask, found);
    }
}

#endif
