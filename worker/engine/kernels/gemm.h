/* gemm.h - matrix products, float32 with packed constant weights first of all.
 *
 *     C[m,n] = act(alpha * (A[m,k] B[k,n] + C if accumulate) + bias[n])
 *
 * Matrices are row-major; ld* is the distance between rows in elements.  B is packed
 * once, at load; gemm_run then streams it.  Each element of C is one chain of
 * multiply-adds in the order of k, whatever m is and wherever its row lies, so a row
 * alone and the same row in any batch give the same bits.
 *
 * Dimensions may be 0: k = 0 gives act(bias).  C must not overlap A or B.  Data needs
 * the alignment of its type only, except packed weights: 64 bytes (GEMM_ALIGN).
 *
 * Depends on: engine/kernels/act.h.
 * Ownership: all memory is the caller's; nothing here allocates.  (gemm_f64 goes to
 * OpenBLAS, which keeps a buffer of its own.)
 * Threads: any; packed weights are read-only once packed. */
#ifndef MILLRACE_ENGINE_KERNELS_GEMM_H
#define MILLRACE_ENGINE_KERNELS_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/kernels/act.h"

#define GEMM_ALIGN 64 /* bytes, for packed weights and scratch */

/* What happens to a product before it is stored; zeroed but for alpha = 1 it stores
 * the product. */
struct gemm_tail {
    float alpha;       /* factor of the product; usually 1 */
    bool accumulate;   /* add to what C holds */
    const float *bias; /* [n], added to each row, or NULL */
    struct act act;    /* applied last */
};

/* Bytes for packed weights of B [k,n]; SIZE_MAX where that overflows. */
size_t gemm_pack_size(int64_t k, int64_t n);

/* Packs B [k,n] with row distance ldb; if `trans`, `b` holds it as [n,k] instead.
 * `packed` has gemm_pack_size bytes, aligned to GEMM_ALIGN.  The format depends on k
 * and n only. */
void gemm_pack(int64_t k, int64_t n, const float *b, int64_t ldb, bool trans,
               float *packed);

/* Packs [n,k] where it lies: `b` has gemm_pack_size bytes, `scratch` gemm_panel_count
 * floats. */
size_t gemm_panel_count(int64_t k);
void gemm_pack_in_place(int64_t k, int64_t n, float *b, float *scratch);

/* As the formula above says; `tail` may be NULL for a plain product. */
void gemm_run(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
              const float *packed, const struct gemm_tail *tail, float *c, int64_t ldc);

/* Both operands vary: C = alpha op(A) op(B) + beta C, op transposing where asked: with
 * trans_a, `a` holds [k,m]; with trans_b, `b` holds [n,k].  beta = 0 overwrites even
 * NaN.  `scratch` has gemm_f32_scratch_size bytes, aligned to GEMM_ALIGN; it may be
 * NULL where that is 0. */
size_t gemm_f32_scratch_size(bool trans_b, int64_t m, int64_t n, int64_t k);
void gemm_f32(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, float alpha,
              const float *a, int64_t lda, const float *b, int64_t ldb, float beta,
              float *c, int64_t ldc, float *scratch);

/* One column, C [m] = alpha A B, with the bits that it has between other columns: for a
 * constant A, whose columns may be the rows of a batch.  gemm_f32 sums one column in
 * another order, which is faster. */
void gemm_f32_column(int64_t m, int64_t k, float alpha, const float *a, int64_t lda,
                     const float *b, float *c);

/* gemm_f32 in double, without scratch. */
void gemm_f64(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, double alpha,
              const double *a, int64_t lda, const double *b, int64_t ldb, double beta,
              double *c, int64_t ldc);

/* C = A B in integers, which wrap around as ONNX Runtime's do.  Unsigned types of the
 * same width use the same functions. */
void gemm_i32(int64_t m, int64_t n, int64_t k, const int32_t *a, int64_t lda,
              const int32_t *b, int64_t ldb, int32_t *c, int64_t ldc);
void gemm_i64(int64_t m, int64_t n, int64_t k, const int64_t *a, int64_t lda,
              const int64_t *b, int64_t ldb, int64_t *c, int64_t ldc);

#endif
