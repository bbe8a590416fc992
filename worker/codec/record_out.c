/* record_out.c - see record_out.h: the fields, written; record_schema.c has their types.
 */
#include <assert.h>

#include "base/size.h"
#include "base/small_float.h"
#include "codec/record_schema.h"
#include "codec/writer.h"

static const char *const form_names[] = {
    [RECORD_TENSOR] = "tensor",   [RECORD_LABEL] = "label", [RECORD_SCORE] = "score",
    [RECORD_ELEMENT] = "element", [RECORD_TOP] = "top",
};
_Static_assert(ARRAY_COUNT(form_names) == RECORD_FORM_COUNT, "every form has a name");

const char *record_form_name(enum record_form form) {
    assert((unsigned)form < RECORD_FORM_COUNT);
    return form_names[form];
}

enum record_form record_form_parse(const char *name) {
    int form = 0;
    while (form < RECORD_FORM_COUNT && strcmp(form_names[form], name) != 0) {
        form++;
    }
    return (enum record_form)form;
}

/* ---- elements -----------------------------------------------------------------------
 */

/* An element as a number; 0 for a text. */
static double real_at(const struct tensor *x, size_t index) {
    switch (x->dtype) {
    case DTYPE_F32:
        return (double)((const float *)x->data)[index];
    case DTYPE_F64:
        return ((const double *)x->data)[index];
    case DTYPE_F16:
    case DTYPE_BF16:
        return (double)small_to_f32(small_float_of(x->dtype),
                                    ((const uint16_t *)x->data)[index]);
    case DTYPE_I8:
        return ((const int8_t *)x->data)[index];
    case DTYPE_I16:
        return ((const int16_t *)x->data)[index];
    case DTYPE_I32:
        return ((const int32_t *)x->data)[index];
    case DTYPE_I64:
        return (double)((const int64_t *)x->data)[index];
    case DTYPE_U8:
    case DTYPE_BOOL:
        return ((const uint8_t *)x->data)[index];
    case DTYPE_U16:
        return ((const uint16_t *)x->data)[index];
    case DTYPE_U32:
        return ((const uint32_t *)x->data)[index];
    case DTYPE_NONE:
    case DTYPE_STRING:
    case DTYPE_U64:
    CASE_DTYPE_UNUSUAL:
        break;
    }
    return 0;
}

/* The same of an integer type, exactly. */
static int64_t integer_at(const struct tensor *x, size_t index) {
    return x->dtype == DTYPE_I64 ? ((const int64_t *)x->data)[index]
                                 : (int64_t)real_at(x, index);
}

static uint8_t *write_element(uint8_t *to, const struct tensor *x, size_t index) {
    float narrow;
    double wide;
    switch (record_type_of(x->dtype)) {
    case AVRO_KIND_FLOAT:
        narrow = (float)real_at(x, index);
        return writer_raw(to, &narrow, sizeof(narrow));
    case AVRO_KIND_DOUBLE:
        wide = real_at(x, index);
        return writer_raw(to, &wide, sizeof(wide));
    case AVRO_KIND_INT:
    case AVRO_KIND_LONG:
        return writer_long(to, integer_at(x, index));
    case AVRO_KIND_BOOLEAN:
        *to = integer_at(x, index) != 0;
        return to + 1;
    case AVRO_KIND_STRING:
        return writer_bytes(to, ((const struct span *)x->data)[index]);
    case AVRO_KIND_NULL:
    case AVRO_KIND_BYTES:
    case AVRO_KIND_RECORD:
    case AVRO_KIND_ENUM:
    case AVRO_KIND_FIXED:
    case AVRO_KIND_ARRAY:
    case AVRO_KIND_MAP:
    case AVRO_KIND_UNION:
    case AVRO_KIND_COUNT:
        break;
    }
    assert(!"record_out_create has refused the type");
    return to;
}

/* The largest element that is not taken yet; a NaN is never the larger one. */
static size_t largest(const struct tensor *x, size_t count, uint64_t *order,
                      size_t taken) {
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        bool seen = false;
        for (size_t k = 0; k < taken && !seen; k++) {
            seen = order[k] == i;
        }
        if (!seen && (best == SIZE_MAX || real_at(x, i) > real_at(x, best))) {
            best = i;
        }
    }
    return best;
}

/* ---- fields -------------------------------------------------------------------------
 */

static enum status fail(const struct out_field *field, struct error *err, size_t index,
                        const char *what, size_t count) {
    return error_set(err, STATUS_POISON, "output field '%s': index %zu, but %s %zu",
                     field->name, index, what, count);
}

static enum status write_label(const struct out_field *field, int64_t index, uint8_t **to,
                               struct error *err) {
    if (field->labels == NULL) {
        *to = writer_long(*to, index);
        return STATUS_OK;
    }
    if (index < 0 || (uint64_t)index >= vocabulary_count(field->labels)) {
        return fail(field, err, (size_t)index, "labels are",
                    vocabulary_count(field->labels));
    }
    *to = writer_bytes(*to, vocabulary_word(field->labels, (size_t)index));
    return STATUS_OK;
}

static enum status encode_tensor(const struct out_field *field, const struct tensor *x,
                                 size_t count, uint8_t **to, struct error *err) {
    (void)err;
    if (field->single) {
        assert(count == 1); /* its shape is fixed */
        *to = write_element(*to, x, 0);
        return STATUS_OK;
    }
    if (count > 0) {
        *to = writer_size(*to, count);
        if (x->dtype == DTYPE_F32 || x->dtype == DTYPE_F64) {
            *to = writer_bulk(*to, x->data, count * dtype_size(x->dtype));
        } else {
            for (size_t i = 0; i < count; i++) {
                *to = write_element(*to, x, i);
            }
        }
    }
    *(*to)++ = 0;
    return STATUS_OK;
}

static enum status encode_label(const struct out_field *field, const struct tensor *x,
                                size_t count, uint8_t **to, struct error *err) {
    if (count == 0) {
        return fail(field, err, 0, "elements are", count);
    }
    if (x->dtype == DTYPE_STRING) {
        *to = write_element(*to, x, 0);
        return STATUS_OK;
    }
    return write_label(
        field, field->single ? integer_at(x, 0) : (int64_t)largest(x, count, NULL, 0), to,
        err);
}

static enum status encode_score(const struct out_field *field, const struct tensor *x,
                                size_t count, uint8_t **to, struct error *err) {
    if (count == 0) {
        return fail(field, err, 0, "elements are", count);
    }
    *to = write_element(*to, x, largest(x, count, NULL, 0));
    return STATUS_OK;
}

static enum status encode_element(const struct out_field *field, const struct tensor *x,
                                  size_t count, uint8_t **to, struct error *err) {
    if (field->element >= count) {
        return fail(field, err, field->element, "elements are", count);
    }
    *to = write_element(*to, x, field->element);
    return STATUS_OK;
}

static enum status encode_top(const struct out_field *field, const struct tensor *x,
                              size_t count, uint8_t **to, struct error *err) {
    uint64_t order[RECORD_OUT_TOP_MAX];
    size_t top = size_min((size_t)field->top, count);
    if (top > 0) {
        *to = writer_size(*to, top);
    }
    for (size_t k = 0; k < top; k++) {
        order[k] = largest(x, count, order, k);
        if (write_label(field, (int64_t)order[k], to, err) != STATUS_OK) {
            return err->status;
        }
        *to = write_element(*to, x, order[k]);
    }
    *(*to)++ = 0;
    return STATUS_OK;
}

static enum status (*const encoders[])(const struct out_field *field,
                                       const struct tensor *x, size_t count, uint8_t **to,
                                       struct error *err) = {
    [RECORD_TENSOR] = encode_tensor, [RECORD_LABEL] = encode_label,
    [RECORD_SCORE] = encode_score,   [RECORD_ELEMENT] = encode_element,
    [RECORD_TOP] = encode_top,
};
_Static_assert(ARRAY_COUNT(encoders) == RECORD_FORM_COUNT, "every form is written");

/* ---- records ------------------------------------------------------------------------
 */

size_t record_out_size_max(const struct record_out *out, struct span record,
                           const struct result_output *rows) {
    size_t size = out->copies ? record.size : 0;
    for (int i = 0; i < out->field_count; i++) {
        const struct out_field *field = &out->fields[i];
        const struct tensor *x = &rows[field->output].row;
        size_t count = tensor_count(x);
        size_t items = field->form == RECORD_TENSOR ? count : (size_t)field->top + 1;
        size += (items + 2) * WRITER_LONG_SIZE_MAX + items * field->label_size_max;
        for (size_t k = 0; x->dtype == DTYPE_STRING && k < count; k++) {
            size += ((const struct span *)x->data)[k].size;
        }
    }
    return size;
}

enum status record_out_encode(const struct record_out *out, struct span record,
                              const struct result_output *rows, uint8_t *to,
                              uint8_t **end, struct error *err) {
    if (out->copies) {
        to = writer_bulk(to, record.data, record.size);
    }
    for (int i = 0; i < out->field_count; i++) {
        const struct out_field *field = &out->fields[i];
        const struct tensor *x = &rows[field->output].row;
        if (encoders[field->form](field, x, tensor_count(x), &to, err) != STATUS_OK) {
            return err->status;
        }
    }
    *end = to;
    return STATUS_OK;
}
