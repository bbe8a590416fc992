/* onnx_import.h - an unpacked ONNX model into values and nodes.
 *
 * Checks what the format leaves open: every value is made once and before it is read,
 * names are there, attributes hold what their type says, counts are within limits.
 * Operators are resolved; those we lack are listed in one message.
 *
 * Depends on: engine/graph.h, engine/model.h, engine/onnx_file.h.
 * Ownership: the graph takes the file; see graph.h.
 * Threads: one. */
#ifndef MILLRACE_ENGINE_ONNX_IMPORT_H
#define MILLRACE_ENGINE_ONNX_IMPORT_H

#include "engine/graph.h"
#include "engine/model.h"
#include "engine/onnx_file.h"

/* What the model declares of its inputs and outputs; in the graph's arena. */
struct onnx_ports {
    struct model_port *inputs, *outputs;
};

/* Fills the empty `model` from file->message, a ModelProto. */
MUST_CHECK enum status onnx_import(const struct onnx_file *file, struct model *model,
                                   struct error *err);

#endif
