/* rows_npy.c - .npy files: a row for each step of the first dimension.
 *
 * A row is a record of one field, `x`: a number, or the list of the row's elements. */
#include <stdio.h>

#include "base/size.h"
#include "base/small_float.h"
#include "codec/half.h"
#include "codec/writer.h"
#include "tools/npy_types.h"
#include "tools/rows_impl.h"

/* ---- reading ------------------------------------------------------------------------
 */

/* The Avro type that holds every element; NULL for none. */
static const char *type_of(enum dtype dtype) {
    static const char *const types[DTYPE_PLAIN_COUNT] = {
        [DTYPE_F32] = "float",    [DTYPE_F64] = "double", [DTYPE_F16] = "float",
        [DTYPE_BF16] = "float",   [DTYPE_U8] = "int",     [DTYPE_I8] = "int",
        [DTYPE_U16] = "int",      [DTYPE_I16] = "int",    [DTYPE_I32] = "int",
        [DTYPE_I64] = "long",     [DTYPE_U32] = "long",   [DTYPE_BOOL] = "boolean",
        [DTYPE_STRING] = "string"};
    return dtype < DTYPE_PLAIN_COUNT ? types[dtype] : NULL;
}

static enum status check(const struct npy_layout *layout, struct error *err) {
    if (layout->tensor.rank == 0) {
        return error_set(err, STATUS_INVALID, "it is a single value, without rows");
    }
    if (type_of(layout->tensor.dtype) == NULL) {
        return error_set(err, STATUS_UNSUPPORTED, "Avro has no type for its %s",
                         dtype_name(layout->tensor.dtype));
    }
    return STATUS_OK;
}

static enum status open_npy(struct rows_reader *reader, struct error *err) {
    struct rows_buffer head = {.data = NULL};
    struct npy_layout *layout = &reader->layout;
    char json[160];
    enum status status = rows_pread(reader, 0, NPY_HEADER_SIZE_MAX + 16, &head, err);
    if (status == STATUS_OK) {
        status =
            npy_layout_read(span_of(head.data, head.size), reader->size, layout, err);
    }
    rows_buffer_release(&head);
    if (status == STATUS_OK) {
        status = check(layout, err);
    }
    if (status != STATUS_OK) {
        return error_prefix(err, "%s", reader->path);
    }
    reader->row_size = layout->size;
    for (int i = 1; i < layout->tensor.rank; i++) { /* checked by npy_layout_read */
        reader->row_size *= (size_t)layout->tensor.dims[i];
    }
    if (reader->row_size == 0 || reader->row_size > ROWS_LINE_SIZE_MAX) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s: a row takes %zu bytes; 1 to %zu are possible", reader->path,
                         reader->row_size, ROWS_LINE_SIZE_MAX);
    }
    reader->offset = layout->offset;
    (void)snprintf(json, sizeof(json),
                   "{\"type\":\"record\",\"name\":\"Row\",\"fields\":[{\"name\":\"x\","
                   "\"type\":%s\"%s\"%s}]}",
                   layout->tensor.rank > 1 ? "{\"type\":\"array\",\"items\":" : "",
                   type_of(layout->tensor.dtype), layout->tensor.rank > 1 ? "}" : "");
    return avro_schema_parse(span_text(json), NULL, &reader->schema, err);
}

static enum status bind_npy(struct rows_reader *reader, struct error *err) {
    (void)reader, (void)err;
    return STATUS_OK;
}

/* Where Fortran's order has the elements that a row has at `index`. */
static size_t fortran_column(const struct tensor *x, size_t items, size_t index) {
    size_t column = 0, stride = items;
    for (int axis = x->rank - 1; axis > 0; axis--) {
        size_t dim = (size_t)x->dims[axis];
        stride /= dim;
        column += index % dim * stride;
        index /= dim;
    }
    return column;
}

/* Fortran's order has the first elements of all rows, then their second ones: so a row is
 * gathered.  Offsets are those that rows would have which stand together. */
static enum status gather_npy(struct rows_reader *reader, struct rows_chunk *chunk,
                              struct error *err) {
    const struct npy_layout *layout = &reader->layout;
    const size_t width = layout->size, items = reader->row_size / width;
    const size_t count = (size_t)layout->tensor.dims[0];
    const size_t first = (size_t)(reader->offset - layout->offset) / reader->row_size;
    const size_t rows =
        first >= count
            ? 0
            : size_min(size_max(ROWS_CHUNK_SIZE / reader->row_size, 1), count - first);
    if (rows_buffer_reserve(&chunk->raw, rows * reader->row_size, err) != STATUS_OK) {
        return err->status;
    }
    for (size_t i = 0; i < items && rows > 0; i++) {
        size_t column = fortran_column(&layout->tensor, items, i);
        chunk->scratch.size = 0;
        if (rows_pread(reader, layout->offset + (column * count + first) * width,
                       rows * width, &chunk->scratch, err) != STATUS_OK) {
            return err->status;
        }
        if (chunk->scratch.size < rows * width) {
            return error_set(err, STATUS_INVALID, "%s: it has been cut", reader->path);
        }
        for (size_t r = 0; r < rows; r++) {
            memcpy(chunk->raw.data + (r * items + i) * width,
                   chunk->scratch.data + r * width, width);
        }
    }
    chunk->raw.size = rows * reader->row_size;
    reader->offset += chunk->raw.size;
    chunk->end = reader->offset;
    return STATUS_OK;
}

static enum status read_npy(struct rows_reader *reader, struct rows_chunk *chunk,
                            struct error *err) {
    size_t rows = size_max(ROWS_CHUNK_SIZE / 4 / reader->row_size, 1);
    chunk->begin = reader->offset;
    chunk->raw.size = 0;
    if (reader->layout.fortran && reader->layout.tensor.rank > 1) {
        return gather_npy(reader, chunk, err);
    }
    if (rows_pread(reader, reader->offset, rows * reader->row_size, &chunk->raw, err) !=
        STATUS_OK) {
        return err->status;
    }
    chunk->raw.size -= chunk->raw.size % reader->row_size; /* if it has been cut since */
    reader->offset += chunk->raw.size;
    chunk->end = reader->offset;
    return STATUS_OK;
}

/* An element of the file in this machine's order. */
static const uint8_t *straight(const struct npy_layout *layout, const uint8_t *from,
                               uint8_t *copy) {
    if (!layout->swapped) {
        return from;
    }
    for (size_t i = 0; i < layout->size; i++) {
        copy[i] = from[layout->size - 1 - i];
    }
    return copy;
}

#define TAKE(type)                         \
    do {                                   \
        type item;                         \
        memcpy(&item, from, sizeof(item)); \
        return writer_long(to, item);      \
    } while (0)

static uint8_t *put_float(uint8_t *to, double value) {
    float narrow = (float)value;
    return writer_raw(to, &narrow, sizeof(narrow));
}

static uint8_t *encode(enum dtype dtype, const uint8_t *from, uint8_t *to) {
    uint16_t half;
    switch (dtype) {
    case DTYPE_F32:
        return writer_raw(to, from, sizeof(float));
    case DTYPE_F64:
        return writer_raw(to, from, sizeof(double));
    case DTYPE_F16:
        memcpy(&half, from, sizeof(half));
        return put_float(to, (double)small_to_f32(&small_f16, half));
    case DTYPE_BF16:
        memcpy(&half, from, sizeof(half));
        return put_float(to, (double)small_to_f32(&small_bf16, half));
    case DTYPE_BOOL:
        *to = *from != 0;
        return to + 1;
    case DTYPE_U8:
        TAKE(uint8_t);
    case DTYPE_I8:
        TAKE(int8_t);
    case DTYPE_U16:
        TAKE(uint16_t);
    case DTYPE_I16:
        TAKE(int16_t);
    case DTYPE_I32:
        TAKE(int32_t);
    case DTYPE_I64:
        TAKE(int64_t);
    case DTYPE_U32:
        TAKE(uint32_t);
    case DTYPE_NONE:
    case DTYPE_STRING:
    case DTYPE_U64:
    CASE_DTYPE_UNUSUAL:
        break;
    }
    return to; /* check has refused it */
}

/* Writes one element; there is room. */
static uint8_t *encode_at(const struct npy_layout *layout, const uint8_t *from,
                          uint8_t *to) {
    uint8_t copy[16];
    struct npy_type type = {.dtype = DTYPE_STRING,
                            .size = layout->size,
                            .swapped = layout->swapped,
                            .wide = layout->wide};
    if (layout->tensor.dtype != DTYPE_STRING) {
        return encode(layout->tensor.dtype, straight(layout, from, copy), to);
    }
    /* The length's own size follows from the length: behind the longest one, then moved.
     */
    char *text = (char *)to + WRITER_LONG_SIZE_MAX;
    size_t size = npy_text_decode(&type, from, text);
    to = writer_size(to, size);
    memmove(to, text, size);
    return to + size;
}

static enum status decode_npy(const struct rows_reader *reader, struct rows_chunk *chunk,
                              struct error *err) {
    const struct npy_layout *layout = &reader->layout;
    size_t items = reader->row_size / layout->size;
    size_t room =
        2 * WRITER_LONG_SIZE_MAX + items * (layout->size + WRITER_LONG_SIZE_MAX);
    enum status status = STATUS_OK;
    for (size_t at = 0; at < chunk->raw.size && status == STATUS_OK;
         at += reader->row_size) {
        size_t record = chunk->records.size;
        const uint8_t *from = chunk->raw.data + at;
        uint8_t *to;
        if (rows_buffer_reserve(&chunk->records, room, err) != STATUS_OK) {
            return err->status;
        }
        to = chunk->records.data + record;
        if (layout->tensor.rank > 1) {
            to = writer_size(to, items);
        }
        for (size_t i = 0; i < items; i++) {
            to = encode_at(layout, from + i * layout->size, to);
        }
        if (layout->tensor.rank > 1) {
            *to++ = 0;
        }
        chunk->records.size = (size_t)(to - chunk->records.data);
        status = rows_place_add(chunk, record, span_of(from, 0), NULL, err);
    }
    return status;
}

/* ---- writing ------------------------------------------------------------------------
 */

static enum status npy_header_of(const struct rows_writer *writer, int64_t rows,
                                 struct rows_buffer *to, struct error *err) {
    char header[NPY_WRITTEN_HEADER_SIZE];
    struct tensor x = writer->opts.row;
    if (npy_type_name(x.dtype) == NULL || x.rank == TENSOR_RANK_MAX) {
        return error_set(err, STATUS_UNSUPPORTED, "a .npy file of %s is not written here",
                         dtype_name(x.dtype));
    }
    memmove(&x.dims[1], x.dims, sizeof(x.dims[0]) * (size_t)x.rank);
    x.dims[0] = rows;
    x.rank++;
    npy_header(&x, header);
    return rows_buffer_add(to, header, sizeof(header), err);
}

/* One element of the record's only field, as the file has it. */
static bool put_element(struct reader *r, const struct avro_node *type, enum dtype dtype,
                        uint8_t *to) {
    int64_t whole = 0;
    double real = 0.0;
    float narrow = 0.0f;
    bool truth = false;
    uint16_t half;
    if (type->kind == AVRO_KIND_FLOAT) {
        if (!reader_float(r, &narrow)) {
            return false;
        }
        if (dtype == DTYPE_F16) {
            half = half_f16((double)narrow);
            memcpy(to, &half, sizeof(half));
        } else {
            memcpy(to, &narrow, sizeof(narrow));
        }
        return true;
    }
    if (type->kind == AVRO_KIND_DOUBLE) {
        if (!reader_double(r, &real)) {
            return false;
        }
        memcpy(to, &real, sizeof(real));
        return true;
    }
    if (type->kind == AVRO_KIND_BOOLEAN) {
        if (!reader_boolean(r, &truth)) {
            return false;
        }
        *to = truth;
        return true;
    }
    if (!reader_long(r, &whole)) {
        return false;
    }
    memcpy(to, &whole, dtype_size(dtype)); /* little-endian, and it fits: it came so */
    return true;
}

static enum status npy_row(const struct rows_writer *writer, struct span raw,
                           struct span record, struct rows_buffer *body,
                           struct error *err) {
    const struct avro_node *type = writer->record->fields[0].type;
    const struct tensor *row = &writer->opts.row;
    size_t expected = tensor_count(row), count = 0;
    struct reader r;
    (void)raw;
    reader_init(&r, record, err);
    r.field = writer->record->fields[0].name;
    if (rows_buffer_reserve(body, tensor_size(row) + sizeof(int64_t), err) != STATUS_OK) {
        return err->status;
    }
    uint8_t *to = body->data + body->size;
    if (type->kind != AVRO_KIND_ARRAY) {
        if (!put_element(&r, type, row->dtype, to)) {
            return err->status;
        }
        body->size += tensor_size(row);
        return STATUS_OK;
    }
    for (;;) {
        struct reader_block block;
        if (!reader_block(&r, 1, expected - count, &block)) {
            return err->status;
        }
        if (block.count == 0) {
            break;
        }
        for (size_t i = 0; i < block.count; i++) {
            if (!put_element(&r, type->item, row->dtype, to)) {
                return err->status;
            }
            to += dtype_size(row->dtype);
        }
        count += block.count;
    }
    if (count != expected) {
        return error_set(err, STATUS_POISON, "output '%s' has %zu elements, not %zu",
                         writer->record->fields[0].name, count, expected);
    }
    body->size += tensor_size(row);
    return STATUS_OK;
}

static const char *const extensions[] = {"npy", NULL};
const struct rows_ops rows_npy_ops = {
    .name = "npy",
    .extensions = extensions,
    .open = open_npy,
    .bind = bind_npy,
    .read = read_npy,
    .decode = decode_npy,
    .header = npy_header_of,
    .row = npy_row,
};
