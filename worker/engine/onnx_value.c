/* onnx_value.c - see onnx_value.h. */
#include "engine/onnx_value.h"

#include <onnx_data.pb-c.h>

#include "base/size.h"
#include "engine/onnx_file.h"
#include "engine/onnx_tensor.h"

/* An array of `count` tensors that `out` is to hold. */
static enum status make_list(enum dtype dtype, size_t count, struct arena *arena,
                             struct tensor *out, struct error *err) {
    *out = (struct tensor){.dtype = dtype, .rank = 1, .dims = {(int64_t)count}};
    out->data = arena_alloc(arena, size_max(count, 1), sizeof(struct tensor));
    return out->data != NULL ? STATUS_OK
                             : error_set(err, STATUS_NO_MEMORY, "out of memory");
}

static enum status read_sequence(const Onnx__SequenceProto *proto, struct arena *arena,
                                 struct tensor *out, struct error *err) {
    enum status status =
        make_list(DTYPE_SEQUENCE, proto->n_tensor_values, arena, out, err);
    for (size_t i = 0; status == STATUS_OK && i < proto->n_tensor_values; i++) {
        status = onnx_tensor_copy(proto->tensor_values[i], arena,
                                  (struct tensor *)out->data + i, err);
    }
    return status;
}

static enum status read_optional(const Onnx__OptionalProto *proto, struct arena *arena,
                                 struct tensor *out, struct error *err) {
    bool full = proto->tensor_value != NULL || proto->sequence_value != NULL;
    enum status status = make_list(DTYPE_OPTIONAL, full ? 1 : 0, arena, out, err);
    if (status != STATUS_OK || !full) {
        return status;
    }
    return proto->tensor_value != NULL
               ? onnx_tensor_copy(proto->tensor_value, arena, out->data, err)
               : read_sequence(proto->sequence_value, arena, out->data, err);
}

enum status onnx_value_read(struct span bytes, const struct model_port *port,
                            struct arena *arena, struct tensor *out, struct error *err) {
    bool sequence = port->type.dtype == DTYPE_SEQUENCE;
    struct onnx_file file = {0};
    enum status status;
    if (!sequence && port->type.dtype != DTYPE_OPTIONAL) {
        return onnx_tensor_read(bytes, arena, out, NULL, err);
    }
    status = onnx_unpack(&file, bytes,
                         sequence ? &onnx__sequence_proto__descriptor
                                  : &onnx__optional_proto__descriptor,
                         err);
    if (status == STATUS_OK && sequence) {
        status =
            read_sequence((const Onnx__SequenceProto *)file.message, arena, out, err);
    } else if (status == STATUS_OK) {
        status =
            read_optional((const Onnx__OptionalProto *)file.message, arena, out, err);
    }
    onnx_release(&file);
    return status;
}
