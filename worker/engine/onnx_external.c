/* onnx_external.c - see onnx_external.h. */
#include "engine/onnx_external.h"

#include <onnx.pb-c.h>
#include <string.h>

bool onnx_is_external(const struct Onnx__TensorProto *proto) {
    return proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
}

/* Digits alone; false past 2^63, which no file reaches. */
static bool read_number(const char *text, uint64_t *number) {
    *number = 0;
    for (const char *at = text; *at != 0; at++) {
        if (*at < '0' || *at > '9' || *number > (INT64_MAX - 9) / 10) {
            return false;
        }
        *number = *number * 10 + (uint64_t)(*at - '0');
    }
    return *text != 0;
}

static enum status bad_entry(const char *key, const char *value, struct error *err) {
    return error_set(err, STATUS_INVALID, "external data with %s '%.100s'", key,
                     value == NULL ? "" : value);
}

enum status onnx_external_place(const struct Onnx__TensorProto *proto, uint64_t size,
                                struct onnx_place *place, struct error *err) {
    *place = (struct onnx_place){.path = NULL};
    for (size_t i = 0; i < proto->n_external_data; i++) {
        const char *key = proto->external_data[i]->key;
        const char *value = proto->external_data[i]->value;
        uint64_t length;
        if (key == NULL || value == NULL) {
            return bad_entry("an entry without key or value", value, err);
        }
        if (strcmp(key, "location") == 0) {
            place->path = value;
        } else if (strcmp(key, "offset") == 0 && !read_number(value, &place->offset)) {
            return bad_entry(key, value, err);
        } else if (strcmp(key, "length") == 0) {
            if (!read_number(value, &length)) {
                return bad_entry(key, value, err);
            }
            if (length != size) {
                return error_set(err, STATUS_INVALID,
                                 "external data of %llu bytes where its shape needs %llu",
                                 (unsigned long long)length, (unsigned long long)size);
            }
        } /* others, as "checksum", change nothing */
    }
    return place->path != NULL && place->path[0] != 0
               ? STATUS_OK
               : bad_entry("location", place->path, err);
}
