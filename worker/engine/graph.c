/* graph.c - see graph.h. */
#include "engine/graph.h"

#include <assert.h>
#include <stdarg.h>

#include "base/size.h"
#include "engine/model_impl.h"
#include "engine/onnx_file.h"
#include "engine/op.h"
#include "engine/pages.h"

enum { BLOCK_ALIGN = 64 };
/* A larger block is a matrix that a batch reads once, from front to back.  Huge pages win
 * it 1 to 3 %, but a virtual machine that gives free ones back to its host may wait a
 * second for so many. */
#define READ_ONCE_SIZE_MIN ((size_t)48 << 20)

struct graph_block {
    struct graph_block *next, *previous;
    size_t size;  /* of data */
    bool is_data; /* of constants */
    unsigned char pad[BLOCK_ALIGN - 3 * sizeof(void *) - sizeof(bool)];
    unsigned char data[];
};
_Static_assert(sizeof(struct graph_block) == BLOCK_ALIGN, "data is aligned as the block");

static void release_bodies(struct model *body) {
    while (body != NULL) {
        struct model *next = body->next_body;
        model_close(body);
        body = next;
    }
}

void graph_release(struct graph *graph) {
    struct graph_block *block = graph->blocks;
    release_bodies(graph->bodies);
    while (block != NULL) {
        struct graph_block *next = block->next;
        free(block);
        block = next;
    }
    if (graph->file != NULL) {
        onnx_release(graph->file);
        free(graph->file);
    }
    free(graph->values);
    free(graph->nodes);
    arena_release(&graph->arena);
    *graph = (struct graph){0};
}

static void *add_block(struct graph *graph, size_t size, bool is_data) {
    struct graph_block *block;
    size_t total;
    if (!size_add(size, 2 * (size_t)BLOCK_ALIGN, &total) ||
        !budget_take(graph->budget, size)) {
        return NULL;
    }
    total = size_align(total - BLOCK_ALIGN, BLOCK_ALIGN);
    block = total < READ_ONCE_SIZE_MIN ? pages_alloc(total)
                                       : aligned_alloc(BLOCK_ALIGN, total);
    if (block == NULL) {
        budget_give(graph->budget, size);
        return NULL;
    }
    block->next = graph->blocks;
    block->previous = NULL;
    block->size = size;
    block->is_data = is_data;
    if (block->next != NULL) {
        block->next->previous = block;
    }
    graph->blocks = block;
    graph->block_size += size;
    return block->data;
}

void *graph_memory(struct graph *graph, size_t size) {
    return add_block(graph, size, false);
}

void *graph_data(struct graph *graph, size_t size) {
    return add_block(graph, size, true);
}

static struct graph_block *block_at(const void *data) {
    return (struct graph_block *)((uintptr_t)data - offsetof(struct graph_block, data));
}

size_t graph_data_size(const void *data) {
    return block_at(data)->size;
}

void graph_data_keep(void *data) {
    struct graph_block *block = block_at(data);
    assert(block->is_data);
    block->is_data = false;
}

void graph_data_free(struct graph *graph, void *data) {
    struct graph_block *block = block_at(data);
    assert(block->is_data);
    if (block->previous == NULL) {
        graph->blocks = block->next;
    } else {
        block->previous->next = block->next;
    }
    if (block->next != NULL) {
        block->next->previous = block->previous;
    }
    graph->block_size -= block->size;
    budget_give(graph->budget, block->size);
    free(block);
}

void *graph_data_next(const struct graph *graph, const void *data) {
    struct graph_block *block = data == NULL ? graph->blocks : block_at(data)->next;
    while (block != NULL && !block->is_data) {
        block = block->next;
    }
    return block == NULL ? NULL : block->data;
}

/* Room for one more item in an array that doubles. */
static bool make_room(void **items, int count, int *room, int limit, size_t size) {
    int wanted = *room == 0 ? 64 : *room * 2;
    void *grown;
    size_t bytes;
    if (count < *room) {
        return true;
    }
    if (count >= limit || !size_mul((size_t)wanted, size, &bytes)) {
        return false;
    }
    grown = realloc(*items, bytes);
    if (grown == NULL) {
        return false;
    }
    *items = grown;
    *room = wanted;
    return true;
}

int graph_add_value(struct graph *graph, const char *name) {
    void *items = graph->values;
    if (!make_room(&items, graph->value_count, &graph->value_room, GRAPH_VALUES_MAX,
                   sizeof(*graph->values))) {
        return -1;
    }
    graph->values = items;
    graph->values[graph->value_count] =
        (struct value){.name = name, .producer = NODE_NONE, .input = -1};
    return graph->value_count++;
}

int graph_add_node(struct graph *graph) {
    void *items = graph->nodes;
    if (!make_room(&items, graph->node_count, &graph->node_room, GRAPH_NODES_MAX,
                   sizeof(*graph->nodes))) {
        return -1;
    }
    graph->nodes = items;
    graph->nodes[graph->node_count] = (struct node){.name = "", .type = ""};
    return graph->node_count++;
}

bool graph_node_room(struct graph *graph, struct node *node, int input_count,
                     int output_count) {
    int total = input_count + output_count;
    int *all = arena_alloc(&graph->arena, (size_t)total, sizeof(*all));
    if (all == NULL) {
        return false;
    }
    for (int i = 0; i < total; i++) {
        all[i] = VALUE_NONE;
    }
    node->inputs = all;
    node->outputs = all + input_count;
    node->input_count = node->explicit_count = input_count;
    node->output_count = output_count;
    return true;
}

const struct value *graph_input(const struct graph *graph, const struct node *node,
                                int index) {
    if (index >= node->input_count || node->inputs[index] == VALUE_NONE) {
        return NULL;
    }
    return &graph->values[node->inputs[index]];
}

const struct tensor *graph_constant(const struct graph *graph, const struct node *node,
                                    int index) {
    const struct value *value = graph_input(graph, node, index);
    return value == NULL ? NULL : value->constant;
}

enum dtype graph_input_dtype(const struct graph *graph, const struct node *node,
                             int index) {
    const struct value *value = graph_input(graph, node, index);
    return value == NULL ? DTYPE_NONE : value->dtype;
}

void graph_set_output(struct graph *graph, const struct node *node, int index,
                      enum dtype dtype) {
    if (index < node->output_count && node->outputs[index] != VALUE_NONE) {
        graph->values[node->outputs[index]].dtype = dtype;
    }
}

void graph_set_output_like(struct graph *graph, const struct node *node, int index,
                           const struct value *from) {
    graph_set_output(graph, node, index, from->dtype);
    if (index < node->output_count && node->outputs[index] != VALUE_NONE) {
        struct value *to = &graph->values[node->outputs[index]];
        memcpy(to->inner, from->inner, sizeof(to->inner));
    }
}

bool graph_add_input(struct graph *graph, int value) {
    if (graph->input_count == graph->input_room) {
        int room = graph->input_room * 2 + 8;
        int *grown = arena_alloc(&graph->arena, (size_t)room, sizeof(*grown));
        if (grown == NULL) {
            return false;
        }
        if (graph->input_count > 0) {
            memcpy(grown, graph->inputs, (size_t)graph->input_count * sizeof(*grown));
        }
        graph->inputs = grown;
        graph->input_room = room;
    }
    graph->values[value].input = graph->input_count;
    graph->inputs[graph->input_count++] = value;
    return true;
}

void graph_recount(struct graph *graph) {
    for (int v = 0; v < graph->value_count; v++) {
        graph->values[v].use_count = graph->values[v].is_output ? 1 : 0;
        graph->values[v].producer = NODE_NONE;
    }
    for (int n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        if (node->dead) {
            continue;
        }
        for (int i = 0; i < node->input_count; i++) {
            if (node->inputs[i] != VALUE_NONE) {
                graph->values[node->inputs[i]].use_count++;
            }
        }
        for (int i = 0; i < node->output_count; i++) {
            if (node->outputs[i] != VALUE_NONE) {
                graph->values[node->outputs[i]].producer = n;
            }
        }
    }
}

struct node *graph_sole_producer(struct graph *graph, const struct node *node,
                                 int index) {
    const struct value *value = graph_input(graph, node, index);
    if (value == NULL || value->producer == NODE_NONE || value->use_count != 1 ||
        value->is_output) {
        return NULL;
    }
    return &graph->nodes[value->producer];
}

struct node *graph_sole_reader(struct graph *graph, const struct node *node,
                               const char *type) {
    int output = node->outputs[0];
    if (output == VALUE_NONE || graph->values[output].use_count != 1 ||
        graph->values[output].is_output) {
        return NULL;
    }
    for (int n = (int)(node - graph->nodes) + 1; n < graph->node_count; n++) {
        struct node *reader = &graph->nodes[n];
        if (reader->dead) {
            continue;
        }
        for (int i = 0; i < reader->input_count; i++) {
            if (reader->inputs[i] == output) {
                bool same = strcmp(reader->type, type) == 0 && reader->op->domain == NULL;
                return same ? reader : NULL;
            }
        }
    }
    return NULL;
}

void graph_replace_uses(struct graph *graph, int from, int to) {
    for (int n = 0; n < graph->node_count; n++) {
        struct node *node = &graph->nodes[n];
        for (int i = 0; i < node->input_count; i++) {
            if (node->inputs[i] == from) {
                node->inputs[i] = to;
            }
        }
    }
    graph_recount(graph);
}

static bool has_reader(const struct graph *graph, const struct node *node) {
    for (int i = 0; i < node->output_count; i++) {
        int output = node->outputs[i];
        if (output != VALUE_NONE && graph->values[output].use_count > 0) {
            return true;
        }
    }
    return false;
}

/* Readers stand behind their producers, so one pass from the end finds all. */
static void mark_unread(struct graph *graph) {
    graph_recount(graph);
    for (int n = graph->node_count - 1; n >= 0; n--) {
        struct node *node = &graph->nodes[n];
        if (node->dead || has_reader(graph, node)) {
            continue;
        }
        node->dead = true;
        for (int i = 0; i < node->input_count; i++) {
            if (node->inputs[i] != VALUE_NONE) {
                graph->values[node->inputs[i]].use_count--;
            }
        }
    }
}

void graph_sweep(struct graph *graph) {
    int kept = 0;
    mark_unread(graph);
    for (int n = 0; n < graph->node_count; n++) {
        if (!graph->nodes[n].dead) {
            graph->nodes[kept++] = graph->nodes[n];
        }
    }
    graph->node_count = kept;
    graph_recount(graph);
}

enum status node_error(const struct node *node, struct error *err, enum status status,
                       const char *fmt, ...) {
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args); /* cut is intended */
    va_end(args);
    return error_set(err, status, "%s '%.200s': %.700s", node->type, node->name, text);
}

void graph_check(const struct graph *graph) {
    for (int n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        assert(node->op != NULL);
        assert(!node->dead);
        for (int i = 0; i < node->input_count; i++) {
            const struct value *value = graph_input(graph, node, i);
            assert(value == NULL || value->producer < n);
            assert(value == NULL || value->producer != NODE_NONE || value->input >= 0 ||
                   value->constant != NULL);
        }
        for (int i = 0; i < node->output_count; i++) {
            assert(node->outputs[i] == VALUE_NONE ||
                   graph->values[node->outputs[i]].producer == n);
        }
    }
    for (int i = 0; i < graph->output_count; i++) {
        assert(graph->values[graph->outputs[i]].is_output);
    }
}
