/* job_fill.c - see job.h: one tensor's elements on their way into a batch.
 *
 * A conversion turns the items of one block into elements of a dtype.  They are found in
 * a table by (branch of Tensor.data, dtype); an empty place is a pair that has none. */
#include <assert.h>
#include <stdarg.h>

#include "base/compiler.h"
#include "base/copy.h"
#include "base/size.h"
#include "codec/job.h"
#include "codec/number.h"
#include "codec/reader.h"
#include "codec/tensors.h"
#include "codec/utf8.h"

/* Writes `count` elements to `to` from the items at *at and moves *at behind them.
 * Returns how many were written; fewer than `count` where the next one does not fit. */
typedef size_t (*convert_fn)(const uint8_t **at, const uint8_t *end, size_t count,
                             void *to);

static inline size_t copy(const uint8_t **at, size_t count, size_t size, void *to) {
    copy_bytes(to, *at, count * size);
    *at += count * size;
    return count;
}

static size_t copy_floats(const uint8_t **at, const uint8_t *end, size_t count,
                          void *to) {
    (void)end; /* job_parse has counted the bytes */
    return copy(at, count, sizeof(float), to);
}

static size_t copy_doubles(const uint8_t **at, const uint8_t *end, size_t count,
                           void *to) {
    (void)end;
    return copy(at, count, sizeof(double), to);
}

static size_t copy_booleans(const uint8_t **at, const uint8_t *end, size_t count,
                            void *to) {
    (void)end;
    return copy(at, count, 1, to);
}

static size_t borrow_strings(const uint8_t **at, const uint8_t *end, size_t count,
                             void *to) {
    struct span *out = to;
    for (size_t i = 0; i < count; i++) {
        struct varint length = varint_read(*at, end);
        if (length.next == NULL || length.value >> 1 > (size_t)(end - length.next)) {
            return i;
        }
        out[i] = span_of(length.next, (size_t)(length.value >> 1));
        *at = out[i].data + out[i].size;
    }
    return count;
}

/* ---- the same over a block ------------------------------------------------------- */

#define FROM_REALS(item, dtype, type)                                        \
    static size_t item##s_to_##dtype(const uint8_t **at, const uint8_t *end, \
                                     size_t count, void *to) {               \
        type *out = to;                                                      \
        (void)end;                                                           \
        for (size_t i = 0; i < count; i++, *at += sizeof(item)) {            \
            item value;                                                      \
            memcpy(&value, *at, sizeof(value));                              \
            if (UNLIKELY(!real_to_##dtype((double)value, &out[i]))) {        \
                return i;                                                    \
            }                                                                \
        }                                                                    \
        return count;                                                        \
    }

/* An int is a long that is small: their encodings are one. */
#define FROM_VARINTS(dtype, type)                                                        \
    static size_t longs_to_##dtype(const uint8_t **at, const uint8_t *end, size_t count, \
                                   void *to) {                                           \
        const uint8_t *next = *at;                                                       \
        type *out = to;                                                                  \
        for (size_t i = 0; i < count; i++) {                                             \
            struct varint v = varint_read(next, end);                                    \
            if (UNLIKELY(v.next == NULL ||                                               \
                         !long_to_##dtype(varint_zigzag(v.value), &out[i]))) {           \
                return i;                                                                \
            }                                                                            \
            next = v.next;                                                               \
        }                                                                                \
        *at = next;                                                                      \
        return count;                                                                    \
    }

#define NUMERIC_DTYPES(each)                                                        \
    each(f16, uint16_t) each(bf16, uint16_t) each(i8, int8_t) each(i16, int16_t)    \
        each(i32, int32_t) each(i64, int64_t) each(u8, uint8_t) each(u16, uint16_t) \
            each(u32, uint32_t) each(u64, uint64_t)
#define FROM_FLOATS(dtype, type) FROM_REALS(float, dtype, type)
#define FROM_DOUBLES(dtype, type) FROM_REALS(double, dtype, type)
NUMERIC_DTYPES(FROM_FLOATS)
FROM_FLOATS(f64, double)
NUMERIC_DTYPES(FROM_DOUBLES)
FROM_DOUBLES(f32, float)
NUMERIC_DTYPES(FROM_VARINTS)
FROM_VARINTS(f32, float)
FROM_VARINTS(f64, double)

#define NUMERIC_ENTRIES(items)                                    \
    [DTYPE_F16] = items##_to_f16, [DTYPE_BF16] = items##_to_bf16, \
    [DTYPE_I8] = items##_to_i8, [DTYPE_I16] = items##_to_i16,     \
    [DTYPE_I32] = items##_to_i32, [DTYPE_I64] = items##_to_i64,   \
    [DTYPE_U8] = items##_to_u8, [DTYPE_U16] = items##_to_u16,     \
    [DTYPE_U32] = items##_to_u32, [DTYPE_U64] = items##_to_u64

static const convert_fn conversions[JOB_DATA_COUNT][DTYPE_PLAIN_COUNT] = {
    [JOB_DATA_FLOATS] =
        {NUMERIC_ENTRIES(floats), [DTYPE_F32] = copy_floats, [DTYPE_F64] = floats_to_f64},
    [JOB_DATA_DOUBLES] = {NUMERIC_ENTRIES(doubles), [DTYPE_F32] = doubles_to_f32,
                          [DTYPE_F64] = copy_doubles},
    [JOB_DATA_INTS] =
        {NUMERIC_ENTRIES(longs), [DTYPE_F32] = longs_to_f32, [DTYPE_F64] = longs_to_f64},
    [JOB_DATA_LONGS] =
        {NUMERIC_ENTRIES(longs), [DTYPE_F32] = longs_to_f32, [DTYPE_F64] = longs_to_f64},
    [JOB_DATA_BOOLEANS] = {[DTYPE_BOOL] = copy_booleans},
    [JOB_DATA_STRINGS] = {[DTYPE_STRING] = borrow_strings},
};

/* As the schema calls the branches. */
static const char *const kind_names[] = {
    [JOB_DATA_BYTES] = "bytes",     [JOB_DATA_FLOATS] = "floats",
    [JOB_DATA_DOUBLES] = "doubles", [JOB_DATA_INTS] = "ints",
    [JOB_DATA_LONGS] = "longs",     [JOB_DATA_BOOLEANS] = "booleans",
    [JOB_DATA_STRINGS] = "strings", [JOB_DATA_STAGED] = "elements",
};
_Static_assert(ARRAY_COUNT(kind_names) == JOB_DATA_STAGED + 1, "every kind has a name");

/* ---- filling --------------------------------------------------------------------- */

static enum status fill_bytes(const struct job_tensor *x, size_t count, void *to,
                              struct error *err) {
    size_t size;
    if (x->dtype == DTYPE_STRING) {
        return error_set(err, STATUS_POISON, "strings cannot come as bytes");
    }
    if (!size_mul(count, dtype_size(x->dtype), &size) || x->count != size) {
        return error_set(err, STATUS_POISON,
                         "%zu bytes, but %zu elements of %s are expected", x->count,
                         count, dtype_name(x->dtype));
    }
    for (size_t i = 0; x->dtype == DTYPE_BOOL && i < size; i++) {
        if (x->data.data[i] > 1) {
            return error_set(err, STATUS_POISON,
                             "element %zu is a bool that is neither 0 nor 1", i);
        }
    }
    copy_bytes(to, x->data.data, size);
    return STATUS_OK;
}

static enum status fill_blocks(const struct job_tensor *x, convert_fn convert, void *to,
                               struct error *err) {
    struct reader r;
    struct reader_block block;
    reader_init(&r, x->data, err);
    r.field = "data";
    for (size_t done = 0;; done += block.count) {
        size_t converted;
        if (!reader_block(&r, tensors_item_size(x->kind), x->count - done, &block)) {
            return STATUS_POISON;
        }
        if (block.count == 0) {
            return STATUS_OK;
        }
        converted = convert(&r.at, r.end, block.count,
                            (uint8_t *)to + done * dtype_size(x->dtype));
        if (converted < block.count) {
            return error_set(err, STATUS_POISON, "element %zu does not fit %s",
                             done + converted, dtype_name(x->dtype));
        }
    }
}

bool job_fill_converts(enum job_data kind, enum dtype dtype) {
    assert((unsigned)kind < JOB_DATA_COUNT);
    return (unsigned)dtype < DTYPE_PLAIN_COUNT && conversions[kind][dtype] != NULL;
}

static enum status fill_staged(const struct job_tensor *x, size_t count, void *to,
                               struct error *err) {
    if (x->count != count) {
        return error_set(err, STATUS_POISON, "%zu elements, but %zu are expected",
                         x->count, count);
    }
    copy_bytes(to, x->data.data, count * dtype_size(x->dtype));
    return STATUS_OK;
}

/* The commonest case, which has nothing to be said against it. */
static inline bool is_float_copy(const struct job_tensor *x, enum dtype dtype,
                                 size_t count) {
    if (x->dtype != DTYPE_F32 || dtype != DTYPE_F32 || !x->contiguous || count == 0) {
        return false;
    }
    if (x->kind == JOB_DATA_BYTES) {
        return x->count / sizeof(float) == count && x->count % sizeof(float) == 0;
    }
    return x->count == count &&
           (x->kind == JOB_DATA_FLOATS || x->kind == JOB_DATA_STAGED);
}

NEVER_INLINE static enum status fill_any(const struct job_tensor *tensor,
                                         enum dtype dtype, size_t count, void *to,
                                         struct error *err) {
    const uint8_t *at = tensor->data.data;
    convert_fn convert;
    size_t converted;
    if (tensor->dtype != dtype) {
        return error_set(err, STATUS_POISON, "the type is %s, but the model takes %s",
                         dtype_name(tensor->dtype), dtype_name(dtype));
    }
    if (tensor->kind == JOB_DATA_BYTES) {
        return fill_bytes(tensor, count, to, err);
    }
    if (tensor->kind == JOB_DATA_STAGED) {
        return fill_staged(tensor, count, to, err);
    }
    convert = conversions[tensor->kind][dtype];
    if (convert == NULL) {
        return error_set(err, STATUS_POISON, "%s cannot come as an array of %s",
                         dtype_name(dtype), kind_names[tensor->kind]);
    }
    if (tensor->count != count) {
        return error_set(err, STATUS_POISON, "%zu elements, but %zu are expected",
                         tensor->count, count);
    }
    if (!tensor->contiguous) {
        return fill_blocks(tensor, convert, to, err);
    }
    converted = convert(&at, at + tensor->data.size, count, to);
    if (UNLIKELY(converted < count)) {
        return error_set(err, STATUS_POISON, "element %zu does not fit %s", converted,
                         dtype_name(dtype));
    }
    return STATUS_OK;
}

enum status job_fill(const struct job_tensor *tensor, enum dtype dtype, size_t count,
                     void *to, struct error *err) {
    assert((unsigned)tensor->kind <= JOB_DATA_STAGED);
    if (LIKELY(is_float_copy(tensor, dtype, count))) {
        copy_bytes(to, tensor->data.data, count * sizeof(float));
        return STATUS_OK;
    }
    return fill_any(tensor, dtype, count, to, err);
}

/* ---- the shape ------------------------------------------------------------------- */

static enum status check_count(const struct job_tensor *x, const int64_t *dims, int rank,
                               struct error *err) {
    char shape[TENSOR_SHAPE_TEXT_MAX];
    size_t item_size = x->kind == JOB_DATA_BYTES ? dtype_size(x->dtype) : 1;
    size_t count, items;
    if (!tensor_dims_count(dims, rank, &count) || !size_mul(count, item_size, &items) ||
        items != x->count) {
        return error_set(err, STATUS_POISON, "%zu %s do not make the shape %s of %s",
                         x->count, kind_names[x->kind],
                         tensor_shape_text(dims, rank, shape, sizeof(shape)),
                         dtype_name(x->dtype));
    }
    return STATUS_OK;
}

enum status job_shape_check(const struct job_tensor *tensor, const int64_t *row_dims,
                            int rank, int64_t *out_dims, int *rows, struct error *err) {
    char given[TENSOR_SHAPE_TEXT_MAX], wanted[TENSOR_SHAPE_TEXT_MAX];
    const int64_t *dims = tensor->rank == 0 ? row_dims : tensor->dims;
    bool same = tensor->rank == 0 || tensor->rank == rank;
    *rows = -1;
    if (tensor->rank == rank + 1) {
        if (dims[0] < 1 || dims[0] > JOB_ROWS_MAX) {
            return error_set(
                err, STATUS_POISON, "the shape %s has %lld rows, but a job has 1 to %d",
                tensor_shape_text(tensor->dims, tensor->rank, given, sizeof(given)),
                (long long)dims[0], JOB_ROWS_MAX);
        }
        *rows = (int)dims[0];
        dims++;
        same = true;
    }
    for (int i = 0; i < rank && same; i++) {
        same = dims[i] >= 0 && (row_dims[i] < 0 || dims[i] == row_dims[i]);
        out_dims[i] = dims[i];
    }
    if (!same) {
        return error_set(
            err, STATUS_POISON, "the shape is %s, but the model takes %s a row",
            tensor_shape_text(tensor->dims, tensor->rank, given, sizeof(given)),
            tensor_shape_text(row_dims, rank, wanted, sizeof(wanted)));
    }
    return *rows < 0 ? check_count(tensor, out_dims, rank, err)
                     : check_count(tensor, tensor->dims, rank + 1, err);
}
