/* model_order.c - see model_order.h. */
#include "codec/model_order.h"

#include <ctype.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

struct field {
    const char *name;
    size_t offset, size; /* of struct model_order; with the final 0 */
    bool optional;
};

#define FIELD(field) \
    offsetof(struct model_order, field), sizeof(((struct model_order *)NULL)->field)

static const struct field fields[] = {
    {"model", FIELD(model), false},
    {"path", FIELD(path), false},
    {"version", FIELD(version), false},
    {"sha256", FIELD(sha256), true},
};

static enum status take(const json_t *root, const struct field *field,
                        struct model_order *order, struct error *err) {
    const json_t *value = json_object_get(root, field->name);
    size_t size;
    if (value == NULL && field->optional) {
        return STATUS_OK;
    }
    if (value == NULL || !json_is_string(value)) {
        return error_set(err, STATUS_POISON, "'%s' must be there, and a text",
                         field->name);
    }
    size = json_string_length(value);
    if (size == 0 || size >= field->size || strlen(json_string_value(value)) != size) {
        return error_set(err, STATUS_POISON,
                         "'%s' must have 1 to %zu bytes, none of them 0", field->name,
                         field->size - 1);
    }
    for (size_t i = 0; i < size; i++) {
        if (iscntrl((unsigned char)json_string_value(value)[i])) {
            return error_set(err, STATUS_POISON, "'%s' has a control character",
                             field->name);
        }
    }
    memcpy((char *)order + field->offset, json_string_value(value), size + 1);
    return STATUS_OK;
}

/* Is ".." one of the path's parts? */
static bool goes_up(const char *path) {
    while (*path != 0) {
        size_t size = strcspn(path, "/");
        if (size == 2 && path[0] == '.' && path[1] == '.') {
            return true;
        }
        path += size + (path[size] == '/');
    }
    return false;
}

static enum status check(const json_t *root, const struct model_order *order,
                         struct error *err) {
    size_t known = json_object_get(root, "sha256") != NULL ? 4 : 3;
    if (json_object_size(root) != known) {
        return error_set(err, STATUS_POISON,
                         "it has more than 'model', 'path', 'version' and 'sha256'");
    }
    if (order->path[0] == '/' || goes_up(order->path)) {
        return error_set(err, STATUS_POISON,
                         "'path' must be below control.folder: not absolute, no '..'");
    }
    if (order->sha256[0] != 0 &&
        strspn(order->sha256, "0123456789abcdefABCDEF") != sizeof(order->sha256) - 1) {
        return error_set(err, STATUS_POISON, "'sha256' must be 64 hexadecimal digits");
    }
    return STATUS_OK;
}

enum status model_order_parse(struct span value, struct model_order *order,
                              struct error *err) {
    json_error_t ignored; /* it repeats what the record holds */
    json_t *root;
    enum status status = STATUS_OK;
    *order = (struct model_order){.model = ""};
    if (value.size > MODEL_ORDER_SIZE_MAX) {
        return error_set(err, STATUS_POISON, "it has %zu bytes, over the limit of %d",
                         value.size, MODEL_ORDER_SIZE_MAX);
    }
    root = json_loadb(value.size == 0 ? "" : (const char *)value.data, value.size,
                      JSON_REJECT_DUPLICATES, &ignored);
    if (root == NULL || !json_is_object(root)) {
        json_decref(root);
        return error_set(err, STATUS_POISON,
                         "it is no JSON object of 'model', 'path' and 'version'");
    }
    for (size_t i = 0; i < ARRAY_COUNT(fields) && status == STATUS_OK; i++) {
        status = take(root, &fields[i], order, err);
    }
    if (status == STATUS_OK) {
        status = check(root, order, err);
    }
    json_decref(root);
    return status;
}
