/* tensor.c - see tensor.h. */
#include "base/tensor.h"

#include <assert.h>

#include "base/size.h"

struct dtype_entry {
    const char *name;
    size_t size; /* bytes of one element */
    unsigned packed_bits;
};

static const struct dtype_entry dtypes[] = {
    [DTYPE_NONE] = {"none", 0, 0},
    [DTYPE_F32] = {"float32", 4, 0},
    [DTYPE_U8] = {"uint8", 1, 0},
    [DTYPE_I8] = {"int8", 1, 0},
    [DTYPE_U16] = {"uint16", 2, 0},
    [DTYPE_I16] = {"int16", 2, 0},
    [DTYPE_I32] = {"int32", 4, 0},
    [DTYPE_I64] = {"int64", 8, 0},
    [DTYPE_STRING] = {"string", sizeof(struct span), 0},
    [DTYPE_BOOL] = {"bool", 1, 0},
    [DTYPE_F16] = {"float16", 2, 0},
    [DTYPE_F64] = {"float64", 8, 0},
    [DTYPE_U32] = {"uint32", 4, 0},
    [DTYPE_U64] = {"uint64", 8, 0},
    [DTYPE_BF16] = {"bfloat16", 2, 0},
    [DTYPE_F8E4M3FN] = {"float8e4m3fn", 1, 0},
    [DTYPE_F8E4M3FNUZ] = {"float8e4m3fnuz", 1, 0},
    [DTYPE_F8E5M2] = {"float8e5m2", 1, 0},
    [DTYPE_F8E5M2FNUZ] = {"float8e5m2fnuz", 1, 0},
    [DTYPE_U4] = {"uint4", 1, 4},
    [DTYPE_I4] = {"int4", 1, 4},
    [DTYPE_F4E2M1] = {"float4e2m1", 1, 4},
    [DTYPE_F8E8M0] = {"float8e8m0", 1, 0},
    [DTYPE_U2] = {"uint2", 1, 2},
    [DTYPE_I2] = {"int2", 1, 2},
    [DTYPE_SEQUENCE] = {"sequence", sizeof(struct tensor), 0},
    [DTYPE_OPTIONAL] = {"optional", sizeof(struct tensor), 0},
};
_Static_assert(ARRAY_COUNT(dtypes) == DTYPE_COUNT, "the last dtype is listed");

size_t dtype_size(enum dtype dtype) {
    assert((unsigned)dtype < DTYPE_COUNT);
    return dtypes[dtype].size;
}

unsigned dtype_packed_bits(enum dtype dtype) {
    assert((unsigned)dtype < DTYPE_COUNT);
    return dtypes[dtype].packed_bits;
}

const char *dtype_name(enum dtype dtype) {
    assert((unsigned)dtype < DTYPE_COUNT);
    return dtypes[dtype].name == NULL ? "none" : dtypes[dtype].name;
}

enum dtype dtype_parse(struct span name) {
    for (int i = DTYPE_NONE + 1; i < DTYPE_PLAIN_COUNT; i++) {
        if (dtypes[i].name != NULL && span_is(name, dtypes[i].name)) {
            return (enum dtype)i;
        }
    }
    return DTYPE_NONE;
}

bool tensor_dims_count(const int64_t *dims, int rank, size_t *count) {
    size_t product = 1;
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        empty = empty || dims[i] == 0;
        if (dims[i] < 0 ||
            (dims[i] > 0 && !size_mul(product, (size_t)dims[i], &product))) {
            return false;
        }
    }
    if (product > (size_t)(empty ? TENSOR_EMPTY_MAX : INT64_MAX)) {
        return false;
    }
    *count = empty ? 0 : product;
    return true;
}

size_t tensor_count(const struct tensor *x) {
    size_t count = 0;
    bool known = tensor_dims_count(x->dims, x->rank, &count);
    assert(known);
    return known ? count : 0;
}

size_t tensor_size(const struct tensor *x) {
    return tensor_count(x) * dtype_size(x->dtype);
}

const char *tensor_shape_text(const int64_t *dims, int rank, char *text, size_t size) {
    size_t used = 0;
    assert(size > 2);
    text[used++] = '[';
    for (int i = 0; i < rank && used + 23 < size; i++) {
        const char *comma = i == 0 ? "" : ",";
        int n = dims[i] < 0 ? snprintf(text + used, size - used, "%s?", comma)
                            : snprintf(text + used, size - used, "%s%lld", comma,
                                       (long long)dims[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    text[used++] = ']';
    text[used] = 0;
    return text;
}
