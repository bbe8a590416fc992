/* blas.h - OpenBLAS, loaded when first wanted, with the right kernels.
 *
 * Debian's OpenBLAS 0.3.21 does not know processors newer than itself: on AMD Zen 5 it
 * takes its Haswell kernels and loses half the speed.  OPENBLAS_CORETYPE overrides its
 * guess, but is read when the library is loaded.  So nothing links to it: blas_load
 * looks at the processor, sets the variable where the operator has not, opens the
 * library and limits it to one thread, because we run batches side by side.
 *
 * Our own kernels compute float32; the library is for double, and without it double
 * products are computed by plain loops.
 *
 * Depends on: base/cpu.h.
 * Ownership: the library stays loaded until the process ends.
 * Threads: call blas_load before there are any (it sets an environment variable);
 * the products are then callable from all. */
#ifndef MILLRACE_ENGINE_KERNELS_BLAS_H
#define MILLRACE_ENGINE_KERNELS_BLAS_H

#include <stdbool.h>
#include <stdint.h>

/* Loads the library; true if it is there.  Calls after the first only answer. */
bool blas_load(void);

/* The kernels OpenBLAS chose ("SkylakeX"), or "none" where it is not loaded. */
const char *blas_core_name(void);

/* C = alpha op(A) op(B) + beta C, row-major.  False, with C untouched, where the
 * library is not loaded or a dimension is beyond its int. */
bool blas_gemm_f64(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k,
                   double alpha, const double *a, int64_t lda, const double *b,
                   int64_t ldb, double beta, double *c, int64_t ldc);

#endif
