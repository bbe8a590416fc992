/* gemm_i16.h - products of whole numbers of 16 bits, summed in 32: bytes less their
 * zero points fit, and their sums are exact up to k = 33,000 and wrap around beyond.
 *
 *     C[m,n] = A[m,k] B[k,n]
 *
 * A's numbers stand in pairs along k, and B is packed in pairs of rows: where k is odd,
 * A has a column more, of any numbers, and B's last row goes with none.
 *
 * Depends on: nothing.
 * Ownership: all memory is the caller's; nothing here allocates.
 * Threads: any. */
#ifndef MILLRACE_ENGINE_KERNELS_GEMM_I16_H
#define MILLRACE_ENGINE_KERNELS_GEMM_I16_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of B packed; SIZE_MAX where that overflows. */
size_t gemm_i16_pack_size(int64_t k, int64_t n);

/* Packs the rows 2 * pair and the one behind it, which is NULL behind the last. */
void gemm_i16_pack(int64_t k, int64_t n, int64_t pair, const int16_t *even,
                   const int16_t *odd, int16_t *packed);

/* No number may be -32768. */
void gemm_i16(int64_t m, int64_t n, int64_t k, const int16_t *a, int64_t lda,
              const int16_t *packed, int32_t *c, int64_t ldc);

#endif
