/* tensor.h - element types and a tensor's shape and place.
 *
 * Depends on: base/status.h, base/size.h.
 * Ownership: a struct tensor never owns its data; the comment where one is kept
 * says who does.
 * Threads: plain data. */
#ifndef MILLRACE_BASE_TENSOR_H
#define MILLRACE_BASE_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"

/* The numbers of ONNX's TensorProto.DataType (onnx.proto3). */
enum dtype {
    DTYPE_NONE = 0,
    DTYPE_F32 = 1,
    DTYPE_U8 = 2,
    DTYPE_I8 = 3,
    DTYPE_U16 = 4,
    DTYPE_I16 = 5,
    DTYPE_I32 = 6,
    DTYPE_I64 = 7,
    DTYPE_STRING = 8,
    DTYPE_BOOL = 9,
    DTYPE_F16 = 10,
    DTYPE_F64 = 11,
    DTYPE_U32 = 12,
    DTYPE_U64 = 13,
    DTYPE_BF16 = 16,
    DTYPE_PLAIN_COUNT = 17, /* jobs, results and .npy files hold those up to here */
    DTYPE_F8E4M3FN = 17,
    DTYPE_F8E4M3FNUZ = 18,
    DTYPE_F8E5M2 = 19,
    DTYPE_F8E5M2FNUZ = 20,
    DTYPE_U4 = 21, /* this and the next five: one element in a byte */
    DTYPE_I4 = 22,
    DTYPE_F4E2M1 = 23,
    DTYPE_F8E8M0 = 24,
    DTYPE_U2 = 25,
    DTYPE_I2 = 26,
    /* Ours, not ONNX's: elements are `struct tensor`, of any shapes. */
    DTYPE_SEQUENCE = 27,
    DTYPE_OPTIONAL = 28, /* rank 1, of none or one element */
    DTYPE_COUNT = 29
};

/* Labels of the dtypes a switch over numbers has no use for. */
#define CASE_DTYPE_UNUSUAL \
    case DTYPE_F8E4M3FN:   \
    case DTYPE_F8E4M3FNUZ: \
    case DTYPE_F8E5M2:     \
    case DTYPE_F8E5M2FNUZ: \
    case DTYPE_U4:         \
    case DTYPE_I4:         \
    case DTYPE_F4E2M1:     \
    case DTYPE_F8E8M0:     \
    case DTYPE_U2:         \
    case DTYPE_I2:         \
    case DTYPE_SEQUENCE:   \
    case DTYPE_OPTIONAL:   \
    case DTYPE_COUNT

#define TENSOR_RANK_MAX 8
#define TENSOR_EMPTY_MAX (INT64_C(1) << 28)

/* Row-major and dense.  A scalar has rank 0 and one element; a dimension may be 0. */
struct tensor {
    enum dtype dtype;
    int rank;                      /* 0 .. TENSOR_RANK_MAX */
    int64_t dims[TENSOR_RANK_MAX]; /* each >= 0; a negative one is a free dimension */
    void *data;                    /* borrowed; strings are `struct span` elements */
};

/* Bytes of one element; sizeof(struct span) for strings, 0 for DTYPE_NONE. */
size_t dtype_size(enum dtype dtype);

/* Bits of an element in ONNX's files where it is less than a byte; 0 for all others. */
unsigned dtype_packed_bits(enum dtype dtype);

/* NumPy's name ("float32"), which the Avro schemas use too; "none" for DTYPE_NONE. */
const char *dtype_name(enum dtype dtype);

/* The plain dtype of a NumPy name, or DTYPE_NONE. */
enum dtype dtype_parse(struct span name);

/* Elements of `rank` dimensions; false for a negative dimension, or where the product of
 * those that are not 0 is over INT64_MAX: so strides fit, too, even of no elements.  With
 * none it is TENSOR_EMPTY_MAX: there are loops along all dimensions but the empty one. */
MUST_CHECK bool tensor_dims_count(const int64_t *dims, int rank, size_t *count);

/* Elements and bytes of a tensor whose dimensions are known and were checked. */
size_t tensor_count(const struct tensor *x);
size_t tensor_size(const struct tensor *x);

/* Writes "[32,28,28,1]", free dimensions as "?", into `text` of `size` bytes;
 * returns text. */
#define TENSOR_SHAPE_TEXT_MAX (TENSOR_RANK_MAX * 21 + 3)
const char *tensor_shape_text(const int64_t *dims, int rank, char *text, size_t size);

#endif
