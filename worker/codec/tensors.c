/* tensors.c - see tensors.h. */
#include "codec/tensors.h"

#include <assert.h>

#include "base/size.h"
#include "codec/writer.h"

/* Name, dtype, shape, branch and data take a byte each at least. */
#define TENSOR_SIZE_MIN 5
/* Key and value of a header likewise. */
#define HEADER_SIZE_MIN 2

/* The symbols of the schema's enum DType, in its order. */
static const enum dtype symbols[] = {
    DTYPE_F32, DTYPE_F64, DTYPE_F16, DTYPE_BF16, DTYPE_I8,  DTYPE_I16,  DTYPE_I32,
    DTYPE_I64, DTYPE_U8,  DTYPE_U16, DTYPE_U32,  DTYPE_U64, DTYPE_BOOL, DTYPE_STRING,
};

/* ---- walking over an array's items, checking each ------------------------------- */

static bool skip_floats(struct reader *r, size_t count) {
    struct span items;
    return reader_items(r, count, sizeof(float), &items);
}

static bool skip_doubles(struct reader *r, size_t count) {
    struct span items;
    return reader_items(r, count, sizeof(double), &items);
}

/* Zigzag keeps the order of magnitudes: an int's varint has a value of 32 bits. */
static inline bool skip_varints(struct reader *r, size_t count, uint64_t value_max) {
    const uint8_t *at = r->at;
    for (size_t i = 0; i < count; i++) {
        struct varint v = varint_read(at, r->end);
        if (UNLIKELY(v.next == NULL)) {
            r->at = at;
            reader_report_varint(r);
            return false;
        }
        if (UNLIKELY(v.value > value_max)) {
            return reader_fail(r, at, "does not fit an int");
        }
        at = v.next;
    }
    r->at = at;
    return true;
}

static bool skip_ints(struct reader *r, size_t count) {
    return skip_varints(r, count, UINT32_MAX);
}

static bool skip_longs(struct reader *r, size_t count) {
    return skip_varints(r, count, UINT64_MAX);
}

static bool skip_booleans(struct reader *r, size_t count) {
    struct span items;
    if (!reader_items(r, count, 1, &items)) {
        return false;
    }
    for (size_t i = 0; i < items.size; i++) {
        if (items.data[i] > 1) {
            return reader_fail(r, items.data + i, "a boolean is neither 0 nor 1");
        }
    }
    return true;
}

static bool skip_strings(struct reader *r, size_t count) {
    struct span text;
    for (size_t i = 0; i < count; i++) {
        if (!reader_text(r, 0, SIZE_MAX, &text)) {
            return false;
        }
    }
    return true;
}

/* The branches of Tensor.data that are arrays. */
struct kind {
    size_t item_size; /* encoded bytes of an item, at least */
    bool (*skip)(struct reader *r, size_t count);
};

static const struct kind kinds[] = {
    [JOB_DATA_BYTES] = {1, NULL},
    [JOB_DATA_FLOATS] = {sizeof(float), skip_floats},
    [JOB_DATA_DOUBLES] = {sizeof(double), skip_doubles},
    [JOB_DATA_INTS] = {1, skip_ints},
    [JOB_DATA_LONGS] = {1, skip_longs},
    [JOB_DATA_BOOLEANS] = {1, skip_booleans},
    [JOB_DATA_STRINGS] = {1, skip_strings},
};
_Static_assert(ARRAY_COUNT(kinds) == JOB_DATA_COUNT, "every branch is listed");

size_t tensors_item_size(enum job_data kind) {
    assert((unsigned)kind < JOB_DATA_COUNT);
    return kinds[kind].item_size;
}

/* ---- reading --------------------------------------------------------------------- */

bool tensors_read_array(struct reader *r, enum job_data which, struct job_tensor *x) {
    const struct kind *kind = &kinds[which];
    const uint8_t *begin = r->at;
    struct span items = span_of(r->at, 0);
    struct reader_block block;
    int block_count = 0;
    assert(which > JOB_DATA_BYTES);
    assert(which < JOB_DATA_COUNT);
    x->kind = which;
    for (x->count = 0;; x->count += block.count) {
        if (!reader_block(r, kind->item_size, SIZE_MAX, &block)) {
            return false;
        }
        if (block.count == 0) {
            break;
        }
        items.data = r->at;
        if (!kind->skip(r, block.count) || !reader_block_end(r, &block)) {
            return false;
        }
        items.size = (size_t)(r->at - items.data);
        block_count = block_count == 0 ? 1 : 2;
    }
    x->contiguous = block_count < 2;
    x->data = x->contiguous ? items : span_of(begin, (size_t)(r->at - begin));
    return true;
}

static bool read_name(struct reader *r, struct job_tensor *x) {
    return reader_text(r, 0, JOB_NAME_SIZE_MAX, &x->name);
}

static bool read_dtype(struct reader *r, struct job_tensor *x) {
    int symbol = 0;
    if (!reader_enum(r, (int)ARRAY_COUNT(symbols), &symbol)) {
        return false;
    }
    x->dtype = symbols[symbol];
    return true;
}

static bool read_shape(struct reader *r, struct job_tensor *x) {
    const uint8_t *begin = r->at;
    struct reader_block block;
    size_t count;
    x->rank = 0;
    for (;;) {
        if (!reader_block(r, 1, (size_t)(TENSOR_RANK_MAX - x->rank), &block)) {
            return false;
        }
        if (block.count == 0) {
            break;
        }
        for (size_t i = 0; i < block.count; i++) {
            const uint8_t *at = r->at;
            int64_t dim = 0;
            if (!reader_long(r, &dim)) {
                return false;
            }
            if (dim < 0) {
                return reader_fail(r, at, "a negative dimension");
            }
            x->dims[x->rank++] = dim;
        }
        if (!reader_block_end(r, &block)) {
            return false;
        }
    }
    if (!tensor_dims_count(x->dims, x->rank, &count)) {
        return reader_fail(r, begin, "more elements than can be counted");
    }
    return true;
}

static bool read_data(struct reader *r, struct job_tensor *x) {
    int branch = 0;
    if (!reader_branch(r, JOB_DATA_COUNT, &branch)) {
        return false;
    }
    x->kind = (enum job_data)branch;
    if (x->kind == JOB_DATA_BYTES) {
        x->contiguous = true;
        if (!reader_bytes(r, 0, SIZE_MAX, &x->data)) {
            return false;
        }
        x->count = x->data.size;
        return true;
    }
    return tensors_read_array(r, x->kind, x);
}

/* The fields of a Tensor, in the schema's order. */
struct step {
    const char *field;
    bool (*read)(struct reader *r, struct job_tensor *x);
};

static const struct step steps[] = {
    {"name", read_name},
    {"dtype", read_dtype},
    {"shape", read_shape},
    {"data", read_data},
};

static bool name_is_new(struct reader *r, const uint8_t *at,
                        const struct job_tensor *tensors, size_t index) {
    for (size_t i = 0; i < index; i++) {
        if (span_equal(tensors[i].name, tensors[index].name)) {
            r->field = "name";
            return reader_fail(r, at, "the same as that of %s[%zu]", r->list, i);
        }
    }
    return true;
}

static bool read_tensor(struct reader *r, struct job_tensor *tensors, size_t index) {
    const uint8_t *at = r->at;
    r->item = index;
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        r->field = steps[i].field;
        if (!steps[i].read(r, &tensors[index])) {
            return false;
        }
    }
    return name_is_new(r, at, tensors, index);
}

bool tensors_read(struct reader *r, const char *list, struct job_tensor *tensors,
                  int *count) {
    struct reader_block block;
    size_t total = 0;
    for (;;) {
        if (!reader_block(r, TENSOR_SIZE_MIN, JOB_INPUTS_MAX - total, &block)) {
            return false;
        }
        if (block.count == 0) {
            break;
        }
        r->list = list;
        for (size_t i = 0; i < block.count; i++) {
            if (!read_tensor(r, tensors, total++)) {
                return false;
            }
        }
        r->list = NULL;
        r->field = list;
        if (!reader_block_end(r, &block)) {
            return false;
        }
    }
    *count = (int)total;
    return true;
}

bool tensors_read_headers(struct reader *r, struct span *headers, const char *name,
                          struct span *named) {
    const uint8_t *begin = r->at;
    struct span key, value;
    struct reader_block block;
    size_t size;
    *named = span_of("", 0);
    for (size_t total = 0;; total += block.count) {
        if (!reader_block(r, HEADER_SIZE_MIN, JOB_HEADERS_MAX - total, &block)) {
            return false;
        }
        if (block.count == 0) {
            break;
        }
        for (size_t i = 0; i < block.count; i++) {
            if (!reader_text(r, 0, JOB_HEADERS_SIZE_MAX, &key) ||
                !reader_text(r, 0, JOB_HEADERS_SIZE_MAX, &value)) {
                return false;
            }
            *named = span_is(key, name) ? value : *named;
        }
        if (!reader_block_end(r, &block)) {
            return false;
        }
    }
    size = (size_t)(r->at - begin);
    if (size > JOB_HEADERS_SIZE_MAX) {
        return reader_fail(r, begin, "%zu bytes, more than the limit of %d", size,
                           JOB_HEADERS_SIZE_MAX);
    }
    *headers = span_of(begin, size);
    return true;
}

bool tensors_read_optional(struct reader *r, size_t size_max, struct span *text) {
    int branch = 0;
    *text = span_of(NULL, 0);
    if (!reader_branch(r, 2, &branch)) {
        return false;
    }
    return branch == 0 || reader_text(r, 0, size_max, text);
}

/* ---- writing --------------------------------------------------------------------- */

static uint8_t *write_raw(uint8_t *to, const struct tensor *x, size_t count) {
    return writer_bulk(to, x->data, count * dtype_size(x->dtype));
}

/* A reader of the result refuses a boolean other than 0 and 1. */
static uint8_t *write_booleans(uint8_t *to, const struct tensor *x, size_t count) {
    const uint8_t *items = x->data;
    for (size_t i = 0; i < count; i++) {
        to[i] = items[i] != 0;
    }
    return to + count;
}

static uint8_t *write_strings(uint8_t *to, const struct tensor *x, size_t count) {
    const struct span *items = x->data;
    for (size_t i = 0; i < count; i++) {
        to = writer_bytes(to, items[i]);
    }
    return to;
}

#define WRITE_INTEGERS(name, type)                                            \
    static uint8_t *name(uint8_t *to, const struct tensor *x, size_t count) { \
        const type *items = x->data;                                          \
        for (size_t i = 0; i < count; i++) {                                  \
            to = writer_long(to, items[i]);                                   \
        }                                                                     \
        return to;                                                            \
    }
WRITE_INTEGERS(write_i8, int8_t)
WRITE_INTEGERS(write_i16, int16_t)
WRITE_INTEGERS(write_i32, int32_t)
WRITE_INTEGERS(write_i64, int64_t)
WRITE_INTEGERS(write_u8, uint8_t)
WRITE_INTEGERS(write_u16, uint16_t)
WRITE_INTEGERS(write_u32, uint32_t)

/* How each dtype is written: the branch that its schema's doc names. */
struct form {
    uint8_t symbol; /* index into symbols */
    enum job_data kind;
    size_t item_size_max; /* encoded bytes, contents of strings aside */
    uint8_t *(*write)(uint8_t *to, const struct tensor *x, size_t count);
};

static const struct form forms[] = {
    [DTYPE_F32] = {0, JOB_DATA_FLOATS, 4, write_raw},
    [DTYPE_F64] = {1, JOB_DATA_DOUBLES, 8, write_raw},
    [DTYPE_F16] = {2, JOB_DATA_BYTES, 2, write_raw},
    [DTYPE_BF16] = {3, JOB_DATA_BYTES, 2, write_raw},
    [DTYPE_I8] = {4, JOB_DATA_INTS, 2, write_i8},
    [DTYPE_I16] = {5, JOB_DATA_INTS, 3, write_i16},
    [DTYPE_I32] = {6, JOB_DATA_INTS, WRITER_INT_SIZE_MAX, write_i32},
    [DTYPE_I64] = {7, JOB_DATA_LONGS, WRITER_LONG_SIZE_MAX, write_i64},
    [DTYPE_U8] = {8, JOB_DATA_INTS, 2, write_u8},
    [DTYPE_U16] = {9, JOB_DATA_INTS, 3, write_u16},
    [DTYPE_U32] = {10, JOB_DATA_LONGS, WRITER_INT_SIZE_MAX, write_u32},
    [DTYPE_U64] = {11, JOB_DATA_BYTES, 8, write_raw},
    [DTYPE_BOOL] = {12, JOB_DATA_BOOLEANS, 1, write_booleans},
    [DTYPE_STRING] = {13, JOB_DATA_STRINGS, WRITER_LONG_SIZE_MAX, write_strings},
};
_Static_assert(ARRAY_COUNT(forms) == DTYPE_PLAIN_COUNT, "the last dtype is listed");

size_t tensors_size_max(struct span name, const struct tensor *x) {
    size_t count = tensor_count(x);
    /* dtype, branch and the arrays' ends, one byte each; the shape's count and the data's
     * count or length. */
    size_t size = 4 + 2 * WRITER_LONG_SIZE_MAX + writer_bytes_size_max(name);
    size += (size_t)x->rank * WRITER_LONG_SIZE_MAX;
    size += count * forms[x->dtype].item_size_max;
    if (x->dtype == DTYPE_STRING) {
        const struct span *items = x->data;
        for (size_t i = 0; i < count; i++) {
            size += items[i].size;
        }
    }
    return size;
}

uint8_t *tensors_write(uint8_t *to, struct span name, const struct tensor *x) {
    const struct form *form = &forms[x->dtype];
    size_t count = tensor_count(x);
    assert(form->write != NULL);
    to = writer_bytes(to, name);
    *to++ = (uint8_t)(form->symbol << 1);
    if (x->rank > 0) {
        to = writer_size(to, (size_t)x->rank);
        for (int i = 0; i < x->rank; i++) {
            to = writer_long(to, x->dims[i]);
        }
    }
    *to++ = 0; /* end of the shape */
    *to++ = (uint8_t)(form->kind << 1);
    if (form->kind == JOB_DATA_BYTES) {
        return form->write(writer_size(to, count * form->item_size_max), x, count);
    }
    if (count > 0) {
        to = form->write(writer_size(to, count), x, count);
    }
    *to++ = 0; /* end of the array */
    return to;
}
