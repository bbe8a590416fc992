/* gemm_bytes.h - products of bytes, summed exactly in 32 bits, which wrap around.
 *
 *     sums[m,n] = A[m,k] B[k,n] + add[n] - row_sums[m] * b_zero[n]
 *
 * A's bytes are without sign, B's with.  What is otherwise becomes so by GEMM_BYTES_FLIP
 * of every byte and 128 more, or less, in its zero point; with zero points the product is
 *
 *     (A - a_zero)(B - b_zero) = A B - a_zero * (sums of B's columns) + k a_zero b_zero
 *                                    - b_zero * (sums of A's rows)
 *
 * of which the two terms in the middle are one number for each column: `add`, together
 * with what else is added to it.
 *
 * Depends on: nothing.
 * Ownership: all memory is the caller's; nothing here allocates.
 * Threads: any; packed weights are read-only once packed. */
#ifndef MILLRACE_ENGINE_KERNELS_GEMM_BYTES_H
#define MILLRACE_ENGINE_KERNELS_GEMM_BYTES_H

#include <stddef.h>
#include <stdint.h>

#define GEMM_BYTES_FLIP 0x80
/* Arrays of a number for each column may be read so far past n. */
#define GEMM_BYTES_SLACK 32

enum gemm_bytes_form {
    GEMM_BYTES_SUMS,   /* int32 */
    GEMM_BYTES_FLOATS, /* float: sums * scale + bias */
    GEMM_BYTES_BYTES,  /* saturate(round(sums * scale) + zero), halves to even; `low`
                          where that is NaN */
};

/* What becomes of the sums; arrays are [n] and GEMM_BYTES_SLACK. */
struct gemm_bytes_tail {
    enum gemm_bytes_form form;
    const int32_t *add;
    const int32_t *b_zero;   /* or NULL where all are 0 */
    const int32_t *row_sums; /* [m], only with b_zero */
    const float *scale;      /* of floats and bytes */
    const float *bias;       /* of floats, or NULL */
    int32_t low, zero;       /* of bytes: -128 or 0, and the zero point */
};

/* Bytes of B packed; SIZE_MAX where that overflows.  64-byte aligned. */
size_t gemm_bytes_pack_size(int64_t k, int64_t n);

/* Packs B, whose element [p,j] is b[p * row + j * col] ^ flip. */
void gemm_bytes_pack(int64_t k, int64_t n, const uint8_t *b, int64_t row, int64_t col,
                     uint8_t flip, void *packed);

/* The same column by column: all zeros first, then column `j`, b[0 .. k). */
void gemm_bytes_pack_begin(int64_t k, int64_t n, void *packed);
void gemm_bytes_pack_column(int64_t k, int64_t n, int64_t j, const uint8_t *b,
                            uint8_t flip, void *packed);

/* The sums of B's columns, [n], in what was packed. */
const int32_t *gemm_bytes_columns(const void *packed);

/* The distance between rows of A that suits the kernel: at least k rounded up to 4. */
int64_t gemm_bytes_row_size(int64_t k);

/* A's rows, each byte ^ flip, at such a distance; what is behind k is 0. */
void gemm_bytes_copy(int64_t m, int64_t k, const uint8_t *x, int64_t ldx, uint8_t flip,
                     uint8_t *a);

/* y[i] = x[i] ^ flip. */
void gemm_bytes_flip(int64_t count, const uint8_t *x, uint8_t flip, uint8_t *y);

void gemm_bytes_row_sums(int64_t m, int64_t k, const uint8_t *a, int64_t lda,
                         int32_t *sums);

/* Rows of A that lie in pieces: `count` of `quads` times four bytes, `step` bytes from
 * one to the next, and lda from one row's first to the next row's.  Rows may overlap. */
struct gemm_bytes_pieces {
    const uint8_t *a;
    int64_t lda, count, quads, step;
};

/* The product of rows in pieces, whose bytes all together are k of B. */
void gemm_bytes_pieces(int64_t m, int64_t n, const struct gemm_bytes_pieces *a,
                       const void *packed, const struct gemm_bytes_tail *tail, void *c,
                       int64_t ldc);

/* Sums of two rows of pixels, [2 * count, step] each, of which the largest of each 2x2
 * becomes a byte of y, [count, n]: `tail` is of the form of bytes, and has positive
 * scales. What is added to the sums is in them; they may be read up to n rounded up to
 * GEMM_BYTES_SLACK, which is at most `step`. */
void gemm_bytes_pool_2x2(int64_t count, int64_t n, const int32_t *top,
                         const int32_t *bottom, int64_t step,
                         const struct gemm_bytes_tail *tail, uint8_t *y);

/* C, of the form's type, has ldc elements between rows.  Each row of A may be read up to
 * k rounded up to 4. */
void gemm_bytes(int64_t m, int64_t n, int64_t k, const uint8_t *a, int64_t lda,
                const void *packed, const struct gemm_bytes_tail *tail, void *c,
                int64_t ldc);

#endif
