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

/* What a header says: where the elements stand, for those who read them row by row. */
struct npy_layout {
    struct tensor tensor; /* dtype and shape; no data */
    size_t size;          /* bytes of an element in the file */
    size_t offset;        /* of the first */
    bool swapped;         /* the other byte order than this machine's */
    bool fortran;
    bool wide; /* of strings: UTF-32, otherwise bytes */
};

/* `head` is the file's begin, NPY_HEADER_SIZE_MAX bytes if it has as many; `file_size` is
 * held against the shape.  STATUS_INVALID as above. */
MUST_CHECK enum status npy_layout_read(struct span head, uint64_t file_size,
                                       struct npy_layout *layout, struct error *err);

/* Accepts a zeroed array and leaves it zeroed. */
void npy_release(struct npy_array *array);

/* The header of a file of numbers of this dtype and shape. */
#define NPY_WRITTEN_HEADER_SIZE 256
void npy_header(const struct tensor *x, char header[NPY_WRITTEN_HEADER_SIZE]);

MUST_CHECK enum status npy_write(const char *path, const struct tensor *x,
                                 struct error *err);

#endif
