/* model_file.h - what an ONNX file says it needs, told without loading it as a model.
 *
 * So that a model that cannot be loaded can still be looked into.
 *
 * Depends on: engine/onnx_file.h, engine/op.h.
 * Ownership: struct model_file owns the unpacked file; names are borrowed from it until
 * model_file_close.
 * Threads: one. */
#ifndef MILLRACE_TOOLS_MODEL_FILE_H
#define MILLRACE_TOOLS_MODEL_FILE_H

#include "engine/onnx_file.h"

#define MODEL_FILE_OPERATORS_MAX 512
#define MODEL_FILE_GRAPHS_MAX 1024 /* the main graph and those in its nodes */

struct model_operator {
    const char *domain; /* "" for ONNX's own */
    const char *name;
    int64_t opset; /* of its domain; 0 if the file imports none */
    size_t count;  /* nodes, those in subgraphs too */
    bool supported;
};

struct model_file {
    struct onnx_file file;
    const char *producer; /* "tf2onnx 1.17.0"'s first word; "" if it says none */
    struct model_operator operators[MODEL_FILE_OPERATORS_MAX]; /* sorted by name */
    size_t operator_count;
};

/* STATUS_INVALID for a file that is no ONNX model. */
MUST_CHECK enum status model_file_open(const char *path, struct model_file *file,
                                       struct error *err);

/* Accepts a zeroed file and leaves it zeroed. */
void model_file_close(struct model_file *file);

#endif
