/* onnx_value.h - test data: tensors, and sequences and optionals of them.
 *
 * Depends on: engine/model.h, engine/onnx_tensor.h.
 * Ownership: all that is read lies in the arena.
 * Threads: one at a time for an arena. */
#ifndef MILLRACE_ENGINE_ONNX_VALUE_H
#define MILLRACE_ENGINE_ONNX_VALUE_H

#include "base/arena.h"
#include "engine/model.h"

/* Reads a serialised TensorProto, SequenceProto or OptionalProto (ONNX's input_0.pb),
 * whichever `port` declares. */
MUST_CHECK enum status onnx_value_read(struct span bytes, const struct model_port *port,
                                       struct arena *arena, struct tensor *out,
                                       struct error *err);

#endif
