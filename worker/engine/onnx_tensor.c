/* onnx_tensor.c - see onnx_tensor.h. */
#include "engine/onnx_tensor.h"

#include <onnx.pb-c.h>

#include "base/compiler.h"
#include "base/small_float.h"
#include "base/size.h"
#include "engine/external.h"
#include "engine/graph.h"
#include "engine/onnx_external.h"
#include "engine/onnx_file.h"

_Static_assert((int)DTYPE_BF16 == (int)ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16 &&
                   (int)DTYPE_I2 == (int)ONNX__TENSOR_PROTO__DATA_TYPE__INT2,
               "dtypes have ONNX's numbers");

/* Which typed field of TensorProto holds a dtype. */
enum field {
    FIELD_NONE,
    FIELD_F32,
    FIELD_I32,
    FIELD_TEXT,
    FIELD_I64,
    FIELD_F64,
    FIELD_U64
};

static const enum field fields[DTYPE_COUNT] = {
    [DTYPE_F32] = FIELD_F32,      [DTYPE_U8] = FIELD_I32,
    [DTYPE_I8] = FIELD_I32,       [DTYPE_U16] = FIELD_I32,
    [DTYPE_I16] = FIELD_I32,      [DTYPE_I32] = FIELD_I32,
    [DTYPE_I64] = FIELD_I64,      [DTYPE_STRING] = FIELD_TEXT,
    [DTYPE_BOOL] = FIELD_I32,     [DTYPE_F16] = FIELD_I32,
    [DTYPE_F64] = FIELD_F64,      [DTYPE_U32] = FIELD_U64,
    [DTYPE_U64] = FIELD_U64,      [DTYPE_BF16] = FIELD_I32,
    [DTYPE_F8E4M3FN] = FIELD_I32, [DTYPE_F8E4M3FNUZ] = FIELD_I32,
    [DTYPE_F8E5M2] = FIELD_I32,   [DTYPE_F8E5M2FNUZ] = FIELD_I32,
    [DTYPE_U4] = FIELD_I32,       [DTYPE_I4] = FIELD_I32,
    [DTYPE_F4E2M1] = FIELD_I32,   [DTYPE_F8E8M0] = FIELD_I32,
    [DTYPE_U2] = FIELD_I32,       [DTYPE_I2] = FIELD_I32,
};

enum dtype onnx_dtype(int32_t number) {
    if (number <= 0 || number >= DTYPE_COUNT || fields[number] == FIELD_NONE) {
        return DTYPE_NONE;
    }
    return (enum dtype)number;
}

static enum status tensor_error(const Onnx__TensorProto *proto, struct error *err,
                                enum status status, const char *what) {
    const char *name = proto->name == NULL ? "" : proto->name;
    return error_set(err, status, "tensor '%.200s': %s", name, what);
}

static enum status read_dims(const Onnx__TensorProto *proto, struct tensor *out,
                             size_t *count, struct error *err) {
    size_t bytes;
    if (proto->n_dims > TENSOR_RANK_MAX) {
        return error_set(
            err, STATUS_UNSUPPORTED, "tensor '%.200s': rank %zu, at most %d are handled",
            proto->name == NULL ? "" : proto->name, proto->n_dims, TENSOR_RANK_MAX);
    }
    out->rank = (int)proto->n_dims;
    for (int i = 0; i < out->rank; i++) {
        out->dims[i] = proto->dims[i];
    }
    if (!tensor_dims_count(out->dims, out->rank, count) ||
        !size_mul(*count, dtype_size(out->dtype), &bytes)) {
        return tensor_error(proto, err, STATUS_INVALID, "bad dimensions");
    }
    return STATUS_OK;
}

static size_t field_count(const Onnx__TensorProto *proto, enum field field) {
    switch (field) {
    case FIELD_NONE:
        return 0;
    case FIELD_F32:
        return proto->n_float_data;
    case FIELD_I32:
        return proto->n_int32_data;
    case FIELD_TEXT:
        return proto->n_string_data;
    case FIELD_I64:
        return proto->n_int64_data;
    case FIELD_F64:
        return proto->n_double_data;
    case FIELD_U64:
        return proto->n_uint64_data;
    }
    return 0;
}

/* int32_data holds every smaller type, f16 and bf16 as their bits. */
static void copy_int32(const int32_t *from, size_t count, struct tensor *to) {
    uint8_t *bytes = to->data;
    size_t size = dtype_size(to->dtype);
    for (size_t i = 0; i < count; i++) {
        if (size == 1) {
            bytes[i] = to->dtype == DTYPE_BOOL ? (uint8_t)(from[i] != 0)
                                               : (uint8_t)(uint32_t)from[i];
        } else if (size == 2) {
            ((uint16_t *)to->data)[i] = (uint16_t)(uint32_t)from[i];
        } else {
            ((int32_t *)to->data)[i] = from[i];
        }
    }
}

static void copy_fields(const Onnx__TensorProto *proto, enum field field, size_t count,
                        struct tensor *to) {
    switch (field) {
    case FIELD_NONE:
    case FIELD_F32:
    case FIELD_I64:
    case FIELD_F64:
        break; /* they are used where they are */
    case FIELD_I32:
        copy_int32(proto->int32_data, count, to);
        break;
    case FIELD_TEXT:
        for (size_t i = 0; i < count; i++) {
            ((struct span *)to->data)[i] =
                span_of(proto->string_data[i].data, proto->string_data[i].len);
        }
        break;
    case FIELD_U64:
        for (size_t i = 0; i < count; i++) {
            if (to->dtype == DTYPE_U64) {
                ((uint64_t *)to->data)[i] = proto->uint64_data[i];
            } else {
                ((uint32_t *)to->data)[i] = (uint32_t)proto->uint64_data[i];
            }
        }
        break;
    }
}

/* raw_data is little-endian, as is every machine this runs on. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw data is used as it is");

/* Elements of 2 or 4 bits, the first in the lowest bits of the first byte; `bytes` are
 * `stride` apart. */
static void unpack(const uint8_t *bytes, size_t stride, size_t count, struct tensor *to) {
    unsigned bits = dtype_packed_bits(to->dtype);
    size_t per_byte = 8 / bits;
    bool is_signed = to->dtype == DTYPE_I4 || to->dtype == DTYPE_I2;
    for (size_t i = 0; i < count; i++) {
        unsigned byte = bytes[i / per_byte * stride];
        uint8_t value = (uint8_t)(byte >> (i % per_byte * bits) & ((1U << bits) - 1));
        ((uint8_t *)to->data)[i] =
            is_signed ? (uint8_t)small_signed(value, (int)bits) : value;
    }
}

/* Where converted data goes. */
struct sink {
    struct arena *arena;
    struct graph *graph; /* or NULL */
    bool is_weight;      /* the graph may free it */
};

/* Memory has run out, or what the model may take of it. */
static enum status no_memory(const Onnx__TensorProto *proto, const struct sink *sink,
                             struct error *err) {
    const char *name = proto->name == NULL ? "" : proto->name;
    return sink->graph == NULL
               ? tensor_error(proto, err, STATUS_NO_MEMORY, "out of memory")
               : error_set(err, STATUS_NO_MEMORY,
                           "tensor '%.200s': out of memory; the model may take %zu bytes",
                           name, sink->graph->budget->max);
}

/* Small tensors are many; large ones are freed once they are packed. */
#define BLOCK_SIZE_MIN 4096

static void *sink_memory(const struct sink *sink, size_t size) {
    if (sink->graph == NULL || size < BLOCK_SIZE_MIN) {
        return arena_alloc(sink->arena, size_max(size, 1), 1);
    }
    return sink->is_weight ? graph_data(sink->graph, size)
                           : graph_memory(sink->graph, size);
}

/* The raw data, which may have been cut out of the message. */
static struct span raw_data(const Onnx__TensorProto *proto, bool *is_cut) {
    struct onnx_cut cut;
    *is_cut = proto->raw_data.len == ONNX_CUT_SIZE;
    if (!*is_cut) {
        return span_of(proto->raw_data.data, proto->raw_data.len);
    }
    memcpy(&cut, proto->raw_data.data + 1, sizeof(cut));
    return span_of(cut.data, cut.size);
}

static void raw_done(const struct sink *sink, struct span raw) {
    struct onnx_cut cut = {.data = raw.data, .size = raw.size};
    if (sink->graph != NULL && sink->graph->file != NULL) {
        onnx_cut_done(sink->graph->file, &cut);
    }
}

/* The `size` bytes of a tensor whose data is in another file, in `to`, which is made once
 * the file has been found to have them. */
static enum status read_external(const Onnx__TensorProto *proto, const struct sink *sink,
                                 size_t size, void **to, struct error *err) {
    struct external *external = sink->graph == NULL ? NULL : sink->graph->external;
    struct onnx_place place;
    enum status status = onnx_external_place(proto, size, &place, err);
    if (status == STATUS_OK && external == NULL) {
        status = error_set(err, STATUS_UNSUPPORTED,
                           "its data is in another file, '%.200s', which is read only "
                           "with --external-data, or external_data = \"allow\" in a "
                           "worker's configuration",
                           place.path);
    }
    if (status == STATUS_OK) {
        status = external_find(external, place.path, place.offset, size, err);
    }
    if (status == STATUS_OK) {
        *to = sink_memory(sink, size);
        if (*to == NULL) {
            return no_memory(proto, sink, err);
        }
        status = external_read(external, place.offset, *to, size, err);
    }
    return status == STATUS_OK ? status
                               : error_prefix(err, "tensor '%.200s'",
                                              proto->name == NULL ? "" : proto->name);
}

static enum status read_packed(const Onnx__TensorProto *proto, const struct sink *sink,
                               size_t count, struct tensor *out, struct error *err) {
    size_t per_byte = 8 / dtype_packed_bits(out->dtype);
    size_t want = count / per_byte + (count % per_byte != 0);
    bool is_external = onnx_is_external(proto), is_cut;
    bool raw = is_external || proto->has_raw_data || proto->n_int32_data == 0;
    struct span bytes = raw_data(proto, &is_cut);
    size_t have = raw ? bytes.size : proto->n_int32_data;
    if (is_external) {
        void *data = NULL;
        enum status status = read_external(proto, sink, want, &data, err);
        if (status != STATUS_OK) {
            return status;
        }
        bytes = span_of(data, have = want);
    }
    if (have != want) {
        return error_set(err, STATUS_INVALID,
                         "tensor '%.200s': %zu bytes of data where its shape needs %zu",
                         proto->name == NULL ? "" : proto->name, have, want);
    }
    out->data = sink_memory(sink, count);
    if (out->data == NULL) {
        return no_memory(proto, sink, err);
    }
    if (raw) {
        unpack(bytes.data, 1, count, out);
    } else { /* little-endian: the low byte comes first */
        unpack((const uint8_t *)proto->int32_data, sizeof(int32_t), count, out);
    }
    return STATUS_OK;
}

static void make_bools(const struct tensor *x, size_t count) {
    uint8_t *values = x->data;
    for (size_t i = 0; x->dtype == DTYPE_BOOL && i < count; i++) {
        values[i] = values[i] != 0; /* a bool other than 0 or 1 breaks our loops */
    }
}

static enum status read_raw(const Onnx__TensorProto *proto, const struct sink *sink,
                            size_t size, struct tensor *out, struct error *err) {
    bool is_cut;
    struct span raw = raw_data(proto, &is_cut);
    if (raw.size != size) {
        return error_set(err, STATUS_INVALID,
                         "tensor '%.200s': %zu bytes of data where its shape needs %zu",
                         proto->name == NULL ? "" : proto->name, raw.size, size);
    }
    out->data = proto->raw_data.data;
    if (is_cut || size == 0 || (uintptr_t)raw.data % dtype_size(out->dtype) != 0) {
        out->data = sink_memory(sink, size);
        if (out->data == NULL) {
            return no_memory(proto, sink, err);
        }
        if (size > 0) {
            memcpy(out->data, raw.data, size);
        }
    }
    if (is_cut) {
        raw_done(sink, raw);
    }
    make_bools(out, size);
    return STATUS_OK;
}

/* Typed fields that hold the elements just as a tensor does; NULL for all others. */
static void *field_in_place(const Onnx__TensorProto *proto, enum field field) {
    if (field == FIELD_F32) {
        return proto->float_data;
    }
    if (field == FIELD_I64) {
        return proto->int64_data;
    }
    return field == FIELD_F64 ? proto->double_data : NULL;
}

static enum status convert(const struct Onnx__TensorProto *proto, const struct sink *sink,
                           struct tensor *out, struct error *err) {
    enum status status;
    enum field field;
    size_t count = 0;
    *out = (struct tensor){.dtype = onnx_dtype(proto->data_type)};
    if (out->dtype == DTYPE_NONE) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "tensor '%.200s': data type number %d is not supported",
                         proto->name == NULL ? "" : proto->name, proto->data_type);
    }
    status = read_dims(proto, out, &count, err);
    if (status != STATUS_OK) {
        return status;
    }
    if (dtype_packed_bits(out->dtype) != 0) {
        return read_packed(proto, sink, count, out, err);
    }
    if (onnx_is_external(proto) && out->dtype != DTYPE_STRING) {
        status =
            read_external(proto, sink, count * dtype_size(out->dtype), &out->data, err);
        if (status == STATUS_OK) {
            make_bools(out, count);
        }
        return status;
    }
    field = fields[out->dtype];
    if (out->dtype != DTYPE_STRING &&
        (proto->has_raw_data || field_count(proto, field) == 0)) {
        return read_raw(proto, sink, count * dtype_size(out->dtype), out, err);
    }
    if (field_count(proto, field) != count) {
        return error_set(
            err, STATUS_INVALID, "tensor '%.200s': %zu values where its shape needs %zu",
            proto->name == NULL ? "" : proto->name, field_count(proto, field), count);
    }
    out->data = count == 0 ? NULL : field_in_place(proto, field);
    if (out->data != NULL) {
        return STATUS_OK;
    }
    out->data = sink_memory(sink, count * dtype_size(out->dtype));
    if (out->data == NULL) {
        return no_memory(proto, sink, err);
    }
    copy_fields(proto, field, count, out);
    return STATUS_OK;
}

enum status onnx_tensor(const struct Onnx__TensorProto *proto, struct graph *graph,
                        struct tensor *out, struct error *err) {
    const struct sink sink = {.arena = &graph->arena, .graph = graph};
    return convert(proto, &sink, out, err);
}

enum status onnx_weight(const struct Onnx__TensorProto *proto, struct graph *graph,
                        struct tensor *out, struct error *err) {
    const struct sink sink = {.arena = &graph->arena, .graph = graph, .is_weight = true};
    return convert(proto, &sink, out, err);
}

/* Brings what still lies in the message into the arena. */
static bool settle(struct tensor *x, struct arena *arena) {
    size_t size = tensor_size(x);
    void *copy = arena_alloc(arena, size_max(size, 1), 1);
    if (copy == NULL) {
        return false;
    }
    if (size > 0) {
        memcpy(copy, x->data, size);
    }
    x->data = copy;
    for (size_t i = 0; x->dtype == DTYPE_STRING && i < tensor_count(x); i++) {
        struct span *text = &((struct span *)copy)[i];
        text->data = (const uint8_t *)arena_text(arena, text->data, text->size);
        if (text->data == NULL) {
            return false;
        }
    }
    return true;
}

enum status onnx_tensor_copy(const struct Onnx__TensorProto *proto, struct arena *arena,
                             struct tensor *out, struct error *err) {
    const struct sink sink = {.arena = arena};
    enum status status = convert(proto, &sink, out, err);
    if (status == STATUS_OK && !settle(out, arena)) {
        return no_memory(proto, &sink, err);
    }
    return status;
}

enum status onnx_tensor_read(struct span bytes, struct arena *arena, struct tensor *out,
                             const char **name, struct error *err) {
    struct onnx_file file = {0};
    const Onnx__TensorProto *proto;
    const char *own_name = "";
    enum status status = onnx_unpack(&file, bytes, &onnx__tensor_proto__descriptor, err);
    if (status != STATUS_OK) {
        goto done;
    }
    proto = (const Onnx__TensorProto *)file.message;
    status = onnx_tensor_copy(proto, arena, out, err);
    if (status != STATUS_OK) {
        goto done;
    }
    if (proto->name != NULL) {
        own_name = arena_text(arena, proto->name, strlen(proto->name));
    }
    if (own_name == NULL) {
        status = tensor_error(proto, err, STATUS_NO_MEMORY, "out of memory");
    }
    if (name != NULL) {
        *name = own_name;
    }
done:
    onnx_release(&file);
    return status;
}
