/* blas.c - see blas.h. */
#include "engine/kernels/blas.h"

#include <cblas.h>
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/cpu.h"

typedef void dgemm_fn(enum CBLAS_ORDER, enum CBLAS_TRANSPOSE, enum CBLAS_TRANSPOSE,
                      blasint, blasint, blasint, double, const double *, blasint,
                      const double *, blasint, double, double *, blasint);
typedef void set_num_threads_fn(int);
typedef char *get_corename_fn(void);

static struct {
    bool loaded; /* all functions below are there */
    dgemm_fn *dgemm;
    set_num_threads_fn *set_num_threads;
    get_corename_fn *get_corename;
} blas;

static pthread_once_t blas_once = PTHREAD_ONCE_INIT;

/* ISO C has no conversion from dlsym's object pointer to a function's; POSIX promises
 * that they have the same bytes. */
static bool find(void *library, const char *name, void *function, size_t size) {
    void *symbol = dlsym(library, name);
    if (symbol == NULL || size != sizeof(symbol)) {
        return false;
    }
    memcpy(function, &symbol, size);
    return true;
}

static void load(void) {
    /* One thread, said before the library would start its own. */
    (void)setenv("OPENBLAS_NUM_THREADS", "1", 0); /* failing, it is only slower */
    if (cpu_level() >= CPU_AVX512) {
        (void)setenv("OPENBLAS_CORETYPE", "SkylakeX", 0); /* likewise */
    }
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        return;
    }
    blas.loaded = find(library, "cblas_dgemm", &blas.dgemm, sizeof(blas.dgemm)) &&
                  find(library, "openblas_set_num_threads", &blas.set_num_threads,
                       sizeof(blas.set_num_threads)) &&
                  find(library, "openblas_get_corename", &blas.get_corename,
                       sizeof(blas.get_corename));
    if (blas.loaded) {
        blas.set_num_threads(1);
    }
}

bool blas_load(void) {
    return pthread_once(&blas_once, load) == 0 && blas.loaded;
}

const char *blas_core_name(void) {
    return blas_load() ? blas.get_corename() : "none";
}

static bool fits(int64_t value) {
    return value >= 0 && value <= INT_MAX;
}

static bool usable(int64_t m, int64_t n, int64_t k, int64_t lda, int64_t ldb,
                   int64_t ldc) {
    return fits(m) && fits(n) && fits(k) && fits(lda) && fits(ldb) && fits(ldc) &&
           blas_load();
}

static enum CBLAS_TRANSPOSE transposed(bool trans) {
    return trans ? CblasTrans : CblasNoTrans;
}

bool blas_gemm_f64(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k,
                   double alpha, const double *a, int64_t lda, const double *b,
                   int64_t ldb, double beta, double *c, int64_t ldc) {
    if (!usable(m, n, k, lda, ldb, ldc)) {
        return false;
    }
    blas.dgemm(CblasRowMajor, transposed(trans_a), transposed(trans_b), (blasint)m,
               (blasint)n, (blasint)k, alpha, a, (blasint)lda, b, (blasint)ldb, beta, c,
               (blasint)ldc);
    return true;
}
