/* onnx_external.h - where a tensor's data lies that is not in the model's file.
 *
 * Depends on: protobuf-c, base/.
 * Ownership: the path is borrowed from the message.
 * Threads: any. */
#ifndef MILLRACE_ENGINE_ONNX_EXTERNAL_H
#define MILLRACE_ENGINE_ONNX_EXTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct Onnx__TensorProto;

struct onnx_place {
    const char *path; /* relative to the model's folder, as the file says it */
    uint64_t offset;
};

bool onnx_is_external(const struct Onnx__TensorProto *proto);

/* Reads the entries of `proto`, whose data takes `size` bytes. */
MUST_CHECK enum status onnx_external_place(const struct Onnx__TensorProto *proto,
                                           uint64_t size, struct onnx_place *place,
                                           struct error *err);

#endif
