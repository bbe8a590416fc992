/* onnx_writer.h - ONNX files for tests, field by field, so that they can be wrong in any
 * way.  Field numbers are onnx.proto's. */
#ifndef MILLRACE_TESTS_UNIT_ENGINE_ONNX_WRITER_H
#define MILLRACE_TESTS_UNIT_ENGINE_ONNX_WRITER_H

#include <stdint.h>
#include <string.h>

#include "base/tensor.h"
#include "tests/unit/suite.h"

#define BYTES_MAX ((size_t)64 * 1024)

struct bytes {
    uint8_t data[BYTES_MAX];
    size_t size;
};

static inline void put_varint(struct bytes *to, uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
        ck_assert_uint_lt(to->size, BYTES_MAX);
        to->data[to->size++] = (uint8_t)(value | 0x80);
    }
    ck_assert_uint_lt(to->size, BYTES_MAX);
    to->data[to->size++] = (uint8_t)value;
}

static inline void put_int(struct bytes *to, unsigned field, int64_t value) {
    put_varint(to, field << 3);
    put_varint(to, (uint64_t)value);
}

static inline void put_span(struct bytes *to, unsigned field, const void *data,
                            size_t size) {
    put_varint(to, field << 3 | 2);
    put_varint(to, size);
    ck_assert_uint_le(size, BYTES_MAX - to->size);
    if (size > 0) {
        memcpy(to->data + to->size, data, size);
    }
    to->size += size;
}

static inline void put_text(struct bytes *to, unsigned field, const char *text) {
    put_span(to, field, text, strlen(text));
}

static inline void put_message(struct bytes *to, unsigned field,
                               const struct bytes *message) {
    put_span(to, field, message->data, message->size);
}

/* GraphProto: an input (field 11) or output (12); a negative dim is free and named. */
static inline void put_port(struct bytes *graph, unsigned field, const char *name,
                            int64_t dtype, const int64_t *dims, int rank) {
    static struct bytes shape, tensor, type, port;
    shape.size = tensor.size = type.size = port.size = 0;
    for (int i = 0; i < rank; i++) {
        struct bytes dim = {.size = 0};
        if (dims[i] < 0) {
            put_text(&dim, 2, "batch");
        } else {
            put_int(&dim, 1, dims[i]);
        }
        put_message(&shape, 1, &dim);
    }
    put_int(&tensor, 1, dtype);
    put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_text(&port, 1, name);
    put_message(&port, 2, &type);
    put_message(graph, field, &port);
}

/* NodeProto without attributes. */
static inline void put_node_fields(struct bytes *node, const char *op, const char *left,
                                   const char *right, const char *output) {
    const char *const inputs[] = {left, right};
    for (int i = 0; i < 2; i++) {
        if (inputs[i] != NULL) {
            put_text(node, 1, inputs[i]);
        }
    }
    put_text(node, 2, output);
    put_text(node, 4, op);
}

/* `right` may be NULL. */
static inline void put_node(struct bytes *graph, const char *op, const char *left,
                            const char *right, const char *output) {
    struct bytes node = {.size = 0};
    put_node_fields(&node, op, left, right, output);
    put_message(graph, 1, &node);
}

/* TensorProto but for its data. */
static inline void put_tensor_head(struct bytes *tensor, const char *name, int64_t dtype,
                                   const int64_t *dims, int rank) {
    for (int i = 0; i < rank; i++) {
        put_int(tensor, 1, dims[i]);
    }
    put_int(tensor, 2, dtype);
    put_text(tensor, 8, name);
}

static inline void put_weight(struct bytes *graph, const char *name, int64_t dtype,
                              const int64_t *dims, int rank, const void *raw,
                              size_t size) {
    struct bytes tensor = {.size = 0};
    put_tensor_head(&tensor, name, dtype, dims, rank);
    put_span(&tensor, 9, raw, size);
    put_message(graph, 5, &tensor);
}

/* ModelProto; the graph comes last, so that no shorter file is whole. */
static inline void put_model(struct bytes *model, int64_t opset,
                             const struct bytes *graph) {
    struct bytes set = {.size = 0};
    put_int(&set, 2, opset);
    put_int(model, 1, 8);
    put_message(model, 8, &set);
    put_message(model, 7, graph);
}

#endif
