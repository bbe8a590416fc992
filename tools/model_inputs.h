/* model_inputs.h - a model's inputs with their free dimensions settled and filled.
 *
 * Depends on: engine/model.h, tools/cli.h.
 * Ownership: struct model_inputs owns what it allocated until model_inputs_release.
 * Threads: any. */
#ifndef MILLRACE_TOOLS_MODEL_INPUTS_H
#define MILLRACE_TOOLS_MODEL_INPUTS_H

#include "engine/model.h"
#include "tools/cli.h"

struct model_inputs {
    struct tensor tensors[MODEL_INPUTS_MAX]; /* in the model's order */
    void *memory[MODEL_INPUTS_MAX];          /* owned; NULL until filled */
    int count;
};

/* Dims of every input: `dims` holds "NAME=K" entries, where NAME is the symbol of a
 * free dimension or INPUT:AXIS; a free first dimension that none of them names, and
 * others of its symbol, become `batch`.  STATUS_INVALID names a dimension that stays
 * free, an entry that fits nothing, or a fixed first dimension that is not `batch`. */
MUST_CHECK enum status model_inputs_shape(const struct model *model, int64_t batch,
                                          const struct cli_list *dims,
                                          struct model_inputs *inputs, struct error *err);

/* Allocates and fills them: floats from 0 to 1, integers from 0 to integers_max, the
 * same for the same seed. */
MUST_CHECK enum status model_inputs_random(struct model_inputs *inputs,
                                           int64_t integers_max, uint64_t seed,
                                           struct error *err);

/* Accepts zeroed inputs and leaves them zeroed. */
void model_inputs_release(struct model_inputs *inputs);

#endif
