/* onnx_tensor.h - ONNX's TensorProto, from weights and from test data.
 *
 * Depends on: base/arena.h, base/tensor.h, engine/onnx_file.h.
 * Ownership: the tensor's data lies in the message where it can be used as it is,
 * otherwise in the arena or, large raw data of a graph's, in a block of its own.
 * Threads: one at a time for an arena. */
#ifndef MILLRACE_ENGINE_ONNX_TENSOR_H
#define MILLRACE_ENGINE_ONNX_TENSOR_H

#include "base/arena.h"
#include "base/tensor.h"

struct Onnx__TensorProto;

/* The dtype of ONNX's number, or DTYPE_NONE where we have none for it. */
enum dtype onnx_dtype(int32_t number);

struct graph;

/* Converts.  `proto` must outlive the tensor.  STATUS_INVALID where data and dims do
 * not agree, STATUS_UNSUPPORTED for dtypes, ranks and external data we do not take. */
MUST_CHECK enum status onnx_tensor(const struct Onnx__TensorProto *proto,
                                   struct graph *graph, struct tensor *out,
                                   struct error *err);

/* As onnx_tensor, for a constant of the graph, whose data may be freed by graph_data_free
 * once nothing reads it. */
MUST_CHECK enum status onnx_weight(const struct Onnx__TensorProto *proto,
                                   struct graph *graph, struct tensor *out,
                                   struct error *err);

/* As onnx_tensor, with all of *out in the arena. */
MUST_CHECK enum status onnx_tensor_copy(const struct Onnx__TensorProto *proto,
                                        struct arena *arena, struct tensor *out,
                                        struct error *err);

/* Reads a serialised TensorProto (ONNX's input_0.pb); all of *out and *name is in the
 * arena.  `name` may be NULL. */
MUST_CHECK enum status onnx_tensor_read(struct span bytes, struct arena *arena,
                                        struct tensor *out, const char **name,
                                        struct error *err);

#endif
