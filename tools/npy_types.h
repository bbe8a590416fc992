/* npy_types.h - the element types of .npy files: '<f4', '|b1', '<U7'.
 *
 * Depends on: base/tensor.h.  Private to npy.c and npy_write.c.
 * Ownership: plain data.  Threads: pure. */
#ifndef MILLRACE_TOOLS_NPY_TYPES_H
#define MILLRACE_TOOLS_NPY_TYPES_H

#include "base/tensor.h"

struct npy_type {
    enum dtype dtype;
    size_t size;  /* bytes of an element in the file */
    bool swapped; /* the other byte order than this machine's */
    bool wide;    /* of DTYPE_STRING: UTF-32 ('U'), otherwise bytes ('S') */
};

MUST_CHECK enum status npy_type_parse(struct span text, struct npy_type *type,
                                      struct error *err);

/* The name under which a dtype is written, without '<' for single bytes; NULL for
 * strings, whose name holds their length, and for bfloat16. */
const char *npy_type_name(enum dtype dtype);

/* Bytes that one text of this type takes as UTF-8 at most. */
size_t npy_text_size_max(const struct npy_type *type);

/* One text of the file as UTF-8 into `to`, less the zeros that pad it; returns its
 * bytes.  What is not a code point becomes U+FFFD. */
size_t npy_text_decode(const struct npy_type *type, const uint8_t *from, char *to);

/* Code points of a UTF-8 text, and their UTF-32 (little-endian) into `to`.  A byte that
 * is not UTF-8 becomes U+FFFD. */
size_t npy_text_count(struct span text);
void npy_text_encode(struct span text, uint8_t *to);

#endif
