/* result_json.c - see result_json.h. */
#include "tools/result_json.h"

#include <math.h>

#include "base/size.h"
#include "tools/element.h"

enum status result_tensor(const struct job_tensor *output, struct arena *arena,
                          struct tensor *y, struct error *err) {
    size_t count = 0;
    *y = (struct tensor){.dtype = output->dtype, .rank = output->rank};
    memcpy(y->dims, output->dims, sizeof(y->dims));
    /* An element takes at least a byte of the message: this bounds what is allocated. */
    if (!tensor_dims_count(y->dims, y->rank, &count) || count > output->data.size) {
        return error_set(err, STATUS_POISON, "its shape and its elements do not agree");
    }
    y->data = arena_alloc(arena, size_max(count, 1), dtype_size(y->dtype));
    if (y->data == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for %zu elements", count);
    }
    return job_fill(output, y->dtype, count, y->data, err);
}

static json_t *text_json(struct span text) {
    json_t *made = json_stringn((const char *)text.data, text.size);
    return made != NULL ? made : json_null(); /* not UTF-8 */
}

static json_t *element_json(const struct tensor *y, size_t index) {
    switch (y->dtype) {
    case DTYPE_STRING:
        return text_json(((const struct span *)y->data)[index]);
    case DTYPE_BOOL:
        return json_boolean(((const uint8_t *)y->data)[index] != 0);
    case DTYPE_I64:
        return json_integer(((const int64_t *)y->data)[index]);
    case DTYPE_F32:
    case DTYPE_F64:
    case DTYPE_F16:
    case DTYPE_BF16:
    case DTYPE_U64: {
        double value = element_real(y, index);
        return isfinite(value) ? json_real(value) : json_null();
    }
    case DTYPE_U8:
    case DTYPE_I8:
    case DTYPE_U16:
    case DTYPE_I16:
    case DTYPE_U32:
    case DTYPE_I32:
        return json_integer((json_int_t)element_real(y, index));
    case DTYPE_NONE:
    CASE_DTYPE_UNUSUAL:
        break;
    }
    return json_null();
}

static json_t *tensor_json(const struct tensor *y) {
    json_t *shape = json_array();
    json_t *data = json_array();
    for (int i = 0; i < y->rank; i++) {
        json_array_append_new(shape, json_integer(y->dims[i]));
    }
    for (size_t i = 0, count = tensor_count(y); i < count; i++) {
        json_array_append_new(data, element_json(y, i));
    }
    return json_pack("{s:s, s:o, s:o}", "dtype", dtype_name(y->dtype), "shape", shape,
                     "data", data);
}

/* Hexadecimal digits, or null. */
static json_t *hex_json(struct span bytes) {
    char text[2 * RESULT_SHA256_SIZE + 1];
    if (bytes.data == NULL) {
        return json_null();
    }
    for (size_t i = 0; i < bytes.size; i++) {
        (void)snprintf(text + 2 * i, sizeof(text) - 2 * i, "%02x", bytes.data[i]);
    }
    return json_string(text);
}

json_t *result_json(const struct result *result, int64_t timestamp_ms,
                    const struct job_tensor *outputs, const struct tensor *tensors,
                    int output_count) {
    json_t *values = json_object();
    for (int i = 0; i < output_count; i++) {
        json_object_setn_new(values, (const char *)outputs[i].name.data,
                             outputs[i].name.size, tensor_json(&tensors[i]));
    }
    json_t *version =
        result->version.data != NULL ? text_json(result->version) : json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:I, s:I, s:i, s:I, s:I, s:o}", "id",
                     text_json(result->id), "model", text_json(result->model), "version",
                     version, "model_sha256", hex_json(result->model_sha256),
                     "timestamp_ms", (json_int_t)timestamp_ms, "job_timestamp_ms",
                     (json_int_t)result->job_timestamp_ms, "batch_size",
                     (int)result->batch_size, "wait_us", (json_int_t)result->wait_us,
                     "compute_us", (json_int_t)result->compute_us, "outputs", values);
}
