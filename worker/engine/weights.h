/* weights.h - frees the memory of constants that nothing reads any more.
 *
 * Most weights are packed for a kernel, and the node never looks at the original again;
 * others were folded into new ones.  An operator's pack() says which of its inputs run()
 * does not read (load->consumed); when no node, output or view is left that reads what
 * lies in a block of graph_data, the block goes, and the constant's data is NULL.
 *
 * Graphs with bodies are left as they are: bodies share constants with what is around.
 *
 * Depends on: engine/graph.h.
 * Ownership: owns its tables until weights_end.
 * Threads: one. */
#ifndef MILLRACE_ENGINE_WEIGHTS_H
#define MILLRACE_ENGINE_WEIGHTS_H

#include "engine/graph.h"

struct weights_block {
    const uint8_t *data;
    size_t size; /* 0 once it is freed */
    int users;   /* constants in it that are read */
};

struct weights {
    struct graph *graph;
    struct weights_block *blocks; /* sorted by address */
    size_t block_count;
    int *readers; /* of each value: nodes and outputs that read its data */
};

/* Looks at the graph as it is before packing, and frees what is not read at all.  False
 * where memory runs out. */
MUST_CHECK bool weights_begin(struct weights *weights, struct graph *graph);

/* `node` will not read the data of the inputs whose bits are set in `consumed`. */
void weights_consumed(struct weights *weights, const struct node *node,
                      unsigned consumed);

/* The memory of the constant behind input `input`, to be packed in place: from now on
 * graph_memory of at least `size` bytes.  NULL where it is smaller, or something else
 * reads it too; otherwise the caller reports the input as consumed. */
void *weights_take(struct weights *weights, const struct node *node, int input,
                   size_t size);

/* Accepts a zeroed one. */
void weights_end(struct weights *weights);

#endif
