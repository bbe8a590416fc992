/* npy.h - NumPy's .npy files, read and written.
 *
 * Reads format 1.0, 2.0 and 3.0, C and Fortran order, both byte orders, all our element
 * types, '<U' and '|S' texts as strings, and '|V2' (how NumPy stores ml_dtypes'
 * bfloat16) as bfloat16.  The arrays come out row-major in this machine's byte order.
 * Writes format 1.0; .npy has no bfloat16, so it is written as float32, which holds
 * every bfloat16 exactly.
 *
 * Depends on: base/.
 * Ownership: an array owns its elements until npy_release.
 * Threads: any. */
#ifndef MILLRACE_TOOLS_NPY_H
#define MILLRACE_TOOLS_NPY_H

#include "base/tensor.h"

#define NPY_FILE_SIZE_MAX ((size_t)16 << 30) /* bytes */
#define NPY_HEADER_SIZE_MAX ((size_t)64 << 10)

struct npy_array {
    struct tensor tensor; /* data points into `elements` */
    void *elements;       /* owned; 64-byte aligned */
    char *texts;          /* owned; what string elements point into, or NULL */
};

/* STATUS_INVALID names the file and what is wrong with it. */
MUST_CHECK enum status npy_read(const char *path, struct npy_array *array,
                                struct error *err);

/* The same for a file's bytes; nothing of `file` is kept. */
MUST_CHECK enum status npy_parse(struct span file, struct npy_array *array,
                                 struct error *err);

/* Accepts a zeroed array and leaves it zeroed. */
void npy_release(struct npy_array *array);

MUST_CHECK enum status npy_write(const char *path, const struct tensor *x,
                                 struct error *err);

#endif
