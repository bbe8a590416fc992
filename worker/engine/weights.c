/* weights.c - see weights.h. */
#include "engine/weights.h"

#include <assert.h>
#include <stdlib.h>

static int compare_addresses(const void *a, const void *b) {
    const struct weights_block *left = a, *right = b;
    return left->data < right->data ? -1 : left->data > right->data;
}

/* The block that the constant lies in, or NULL. */
static struct weights_block *block_of(const struct weights *weights,
                                      const struct tensor *constant) {
    uintptr_t data = (uintptr_t)constant->data;
    size_t low = 0, high = weights->block_count;
    struct weights_block *block;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((uintptr_t)weights->blocks[middle].data <= data) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) {
        return NULL;
    }
    block = &weights->blocks[low - 1];
    return data - (uintptr_t)block->data < block->size ? block : NULL;
}

static void list_blocks(struct weights *weights) {
    size_t count = 0;
    for (void *data = graph_data_next(weights->graph, NULL); data != NULL;
         data = graph_data_next(weights->graph, data)) {
        assert(count < weights->block_count);
        weights->blocks[count++] =
            (struct weights_block){.data = data, .size = graph_data_size(data)};
    }
    qsort(weights->blocks, count, sizeof(*weights->blocks), compare_addresses);
}

static void free_block(struct weights *weights, struct weights_block *block) {
    graph_data_free(weights->graph, (void *)(uintptr_t)block->data);
    block->size = 0;
}

/* Constants are read-only to all but those who make and free them. */
static void forget(const struct tensor *constant) {
    ((struct tensor *)(uintptr_t)constant)->data = NULL;
}

/* Counts the constants in each block, and frees the blocks without any. */
static void free_unread(struct weights *weights) {
    const struct graph *graph = weights->graph;
    for (int v = 0; v < graph->value_count; v++) {
        const struct value *value = &graph->values[v];
        struct weights_block *block =
            value->constant == NULL ? NULL : block_of(weights, value->constant);
        weights->readers[v] = value->use_count;
        if (block != NULL && value->use_count > 0) {
            block->users++;
        } else if (block != NULL) {
            forget(value->constant);
        }
    }
    for (size_t i = 0; i < weights->block_count; i++) {
        if (weights->blocks[i].users == 0) {
            free_block(weights, &weights->blocks[i]);
        }
    }
}

bool weights_begin(struct weights *weights, struct graph *graph) {
    *weights = (struct weights){.graph = graph};
    if (graph->bodies != NULL) {
        return true;
    }
    for (void *data = graph_data_next(graph, NULL); data != NULL;
         data = graph_data_next(graph, data)) {
        weights->block_count++;
    }
    weights->blocks = calloc(weights->block_count + 1, sizeof(*weights->blocks));
    weights->readers = calloc((size_t)graph->value_count + 1, sizeof(*weights->readers));
    if (weights->blocks == NULL || weights->readers == NULL) {
        weights_end(weights);
        return false;
    }
    list_blocks(weights);
    free_unread(weights);
    return true;
}

void weights_consumed(struct weights *weights, const struct node *node,
                      unsigned consumed) {
    for (int i = 0; weights->blocks != NULL && i < node->input_count && i < 32; i++) {
        int v = node->inputs[i];
        const struct tensor *constant =
            v == VALUE_NONE ? NULL : weights->graph->values[v].constant;
        struct weights_block *block;
        if ((consumed >> i & 1) == 0 || constant == NULL || --weights->readers[v] > 0) {
            continue;
        }
        block = block_of(weights, constant);
        if (block == NULL) {
            continue;
        }
        forget(constant);
        if (--block->users == 0) {
            free_block(weights, block);
        }
    }
}

void *weights_take(struct weights *weights, const struct node *node, int input,
                   size_t size) {
    const int v = node->inputs[input];
    const struct tensor *constant =
        weights->blocks == NULL ? NULL : weights->graph->values[v].constant;
    struct weights_block *block = constant == NULL ? NULL : block_of(weights, constant);
    void *data;
    if (block == NULL || block->data != constant->data || block->size < size ||
        block->users != 1 || weights->readers[v] != 1) {
        return NULL;
    }
    data = constant->data;
    graph_data_keep(data);
    forget(constant);
    block->size = 0;
    return data;
}

void weights_end(struct weights *weights) {
    free(weights->blocks);
    free(weights->readers);
    *weights = (struct weights){0};
}
