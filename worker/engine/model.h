/* model.h - an ONNX model, loaded, checked and ready to be run by sessions.
 *
 * Loading does all that can fail: it parses within limits, resolves every operator,
 * infers types, folds constants, fuses and prepacks weights.  A model that needs an
 * operator we lack is refused with the full list.
 *
 * Depends on: base/tensor.h, base/.
 * Ownership: the model owns its weights and graph; names and ports it hands out are
 * borrowed until model_close.
 * Threads: immutable after model_open; any number of sessions share it. */
#ifndef MILLRACE_ENGINE_MODEL_H
#define MILLRACE_ENGINE_MODEL_H

#include "base/tensor.h"

#define MODEL_INPUTS_MAX 64
#define MODEL_OUTPUTS_MAX 64
#define MODEL_FILE_SIZE_MAX ((size_t)2 << 30) /* bytes, protobuf's own limit */
/* A file of the largest size, its weights packed for Winograd's method. */
#define MODEL_MEMORY_DEFAULT_MAX ((size_t)16 << 30)

struct model;

/* One input or output as the model declares it. */
struct model_port {
    const char *name;
    struct tensor type;  /* dtype, rank, dims (-1 where free); data is NULL */
    enum dtype inner[2]; /* of a sequence's or optional's elements, and of theirs */
    const char *symbols[TENSOR_RANK_MAX]; /* names of free dimensions, or NULL */
};

struct model_info {
    const char *path;
    int64_t opset;          /* of the default domain */
    size_t parameter_count; /* elements in all initialisers */
    size_t weight_size;     /* bytes held: the graph and its weights, packed or not */
    size_t memory_max;      /* bytes that weight_size was allowed */
    size_t node_count;      /* nodes left after folding and fusing */
};

/* What a file may ask for.  Zeros stand for the defaults. */
struct model_options {
    size_t memory_max;  /* bytes for weights, folded and packed ones included */
    bool external_data; /* weights may lie in files below the model's folder */
};

/* Loads the file at `path`.  On failure *model is NULL and *err names the file, the
 * node and the value: STATUS_INVALID for a damaged file, STATUS_UNSUPPORTED for
 * operators or types we lack (all of them listed), STATUS_NO_MEMORY. */
MUST_CHECK enum status model_open(const char *path, struct model **model,
                                  struct error *err);
MUST_CHECK enum status model_open_with(const char *path,
                                       const struct model_options *options,
                                       struct model **model, struct error *err);
void model_close(struct model *model);

void model_info(const struct model *model, struct model_info *info);
int model_input_count(const struct model *model);
int model_output_count(const struct model *model);
const struct model_port *model_input(const struct model *model, int index);
const struct model_port *model_output(const struct model *model, int index);

/* The input's (output's) index, or -1.  An empty name finds the only one. */
int model_input_find(const struct model *model, struct span name);
int model_output_find(const struct model *model, struct span name);

#endif
