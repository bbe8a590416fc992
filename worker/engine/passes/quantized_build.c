/* quantized_build.c - what the pass `quantized` makes, and the constants it reads. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/load.h"
#include "engine/op.h"
#include "engine/passes/quantized.h"

static const struct fact nothing = {
    .alias = VALUE_NONE,
    .bytes = VALUE_NONE,
    .form = {VALUE_NONE, VALUE_NONE},
    .functions = {{VALUE_NONE, VALUE_NONE}, {VALUE_NONE, VALUE_NONE}},
    .made = {VALUE_NONE, VALUE_NONE},
};

enum status quantized_no_memory(const struct quantized *q) {
    return error_set(q->err, STATUS_NO_MEMORY, "out of memory");
}

/* ---- values and nodes -------------------------------------------------------------- */

bool quantized_grow(struct quantized *q) {
    const int count = q->graph->value_count * 2 + 64;
    struct fact *grown;
    if (q->graph->value_count <= q->fact_count) {
        return true;
    }
    grown = realloc(q->facts, (size_t)count * sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    for (int i = q->fact_count; i < count; i++) {
        grown[i] = nothing;
    }
    q->facts = grown;
    q->fact_count = count;
    return true;
}

enum status quantized_value(struct quantized *q, const struct node *like, int *made) {
    *made = graph_add_value(q->graph, like == NULL ? "" : like->name);
    return *made >= 0 && quantized_grow(q) ? STATUS_OK : quantized_no_memory(q);
}

enum status quantized_constant(struct quantized *q, const struct tensor *x,
                               const void *data, int *made) {
    struct tensor *kept = arena_alloc(&q->graph->arena, 1, sizeof(*kept));
    enum status status =
        kept == NULL ? quantized_no_memory(q) : quantized_value(q, NULL, made);
    if (status != STATUS_OK) {
        return status;
    }
    *kept = *x;
    kept->data = graph_data(q->graph, tensor_size(x) + 1);
    if (kept->data == NULL) {
        return quantized_no_memory(q);
    }
    memcpy(kept->data, data, tensor_size(x));
    q->graph->values[*made].dtype = x->dtype;
    q->graph->values[*made].constant = kept;
    return STATUS_OK;
}

enum status quantized_zero(struct quantized *q, enum dtype dtype, int *made) {
    const struct tensor scalar = {.dtype = dtype};
    int *zero = &q->zeros[dtype == DTYPE_I8];
    enum status status = STATUS_OK;
    if (*zero == VALUE_NONE) {
        status = quantized_constant(q, &scalar, "", zero);
    }
    *made = *zero;
    return status;
}

/* All bytes in the order of their bits, as `dtype`. */
enum status quantized_all_bytes(struct quantized *q, enum dtype dtype, int *made) {
    const struct tensor line = {.dtype = dtype, .rank = 1, .dims = {QUANTIZED_BYTES}};
    int *iota = &q->iotas[dtype == DTYPE_I8];
    uint8_t bytes[QUANTIZED_BYTES];
    enum status status = STATUS_OK;
    for (int i = 0; i < QUANTIZED_BYTES; i++) {
        bytes[i] = (uint8_t)i;
    }
    if (*iota == VALUE_NONE) {
        status = quantized_constant(q, &line, bytes, iota);
    }
    *made = *iota;
    return status;
}

enum status quantized_push(struct quantized *q, const struct node *node) {
    if (q->node_count == q->node_room) {
        const int room = q->node_room * 2 + 64;
        struct node *grown = realloc(q->nodes, (size_t)room * sizeof(*grown));
        if (grown == NULL) {
            return quantized_no_memory(q);
        }
        q->nodes = grown;
        q->node_room = room;
    }
    q->nodes[q->node_count++] = *node;
    return STATUS_OK;
}

static enum status prepare_and_push(struct quantized *q, struct node *node) {
    enum status status = load_node(q->graph, node, q->err);
    return status == STATUS_OK ? quantized_push(q, node) : status;
}

/* A node of `type`, not prepared yet. */
enum status quantized_make(struct quantized *q, const char *name, const char *domain,
                           const char *type, const int *inputs, int input_count,
                           int output, struct node *node) {
    *node = (struct node){.type = type, .name = name, .opset = OP_OPSET_MAX};
    node->op = op_find(domain, type, OP_OPSET_MAX);
    assert(node->op != NULL);
    if (!graph_node_room(q->graph, node, input_count, 1)) {
        return quantized_no_memory(q);
    }
    memcpy(node->inputs, inputs, (size_t)input_count * sizeof(*inputs));
    node->outputs[0] = output;
    return STATUS_OK;
}

enum status quantized_emit(struct quantized *q, const struct node *like,
                           const char *domain, const char *type, const int *inputs,
                           int input_count, const struct attr_list *attrs, int output) {
    struct node node;
    enum status status =
        quantized_make(q, like->name, domain, type, inputs, input_count, output, &node);
    if (status != STATUS_OK) {
        return status;
    }
    if (attrs != NULL) {
        node.attrs = (struct attr_list){.items = attrs->items, .count = attrs->count};
    }
    return prepare_and_push(q, &node);
}

enum status quantized_emit_like(struct quantized *q, const struct node *like,
                                const int *inputs, const int *outputs) {
    struct node node = *like;
    if (!graph_node_room(q->graph, &node, like->input_count, like->output_count)) {
        return quantized_no_memory(q);
    }
    memcpy(node.inputs, inputs, (size_t)node.input_count * sizeof(*inputs));
    memcpy(node.outputs, outputs, (size_t)node.output_count * sizeof(*outputs));
    node.attrs.read = 0;
    node.state = NULL;
    return prepare_and_push(q, &node);
}

/* ---- forms ------------------------------------------------------------------------- */

static bool is_bytes(enum dtype dtype) {
    return dtype == DTYPE_U8 || dtype == DTYPE_I8;
}

float quantized_scale(const struct quantized *q, int scale) {
    return *(const float *)q->graph->values[scale].constant->data;
}

bool quantized_is_blocked(struct node *node) {
    const struct attr *block = attr_find(node, "block_size");
    return block != NULL && (block->kind != ATTR_INT || block->as.i != 0);
}

/* All of a constant's scales are such that bytes keep their order. */
bool quantized_scales_fit(const struct tensor *scale) {
    for (size_t i = 0; i < tensor_count(scale); i++) {
        const float value = ((const float *)scale->data)[i];
        if (!(value > 0) || isinf(value)) {
            return false;
        }
    }
    return tensor_count(scale) > 0;
}

/* The zero point of input 2, made where there is none. */
enum status quantized_zero_of(struct quantized *q, const struct node *node,
                              enum dtype dtype, int *zero) {
    *zero = node->input_count > 2 ? node->inputs[2] : VALUE_NONE;
    return *zero == VALUE_NONE ? quantized_zero(q, dtype, zero) : STATUS_OK;
}

bool quantized_form(struct quantized *q, const struct node *node, struct form *form) {
    struct node own = *node; /* reading attributes marks them */
    const bool makes = strcmp(node->type, "QuantizeLinear") == 0;
    const enum dtype bytes =
        q->graph->values[makes ? node->outputs[0] : node->inputs[0]].dtype;
    const enum dtype floats =
        q->graph->values[makes ? node->inputs[0] : node->outputs[0]].dtype;
    const struct tensor *scale = graph_constant(q->graph, node, 1), *zero;
    if (!is_bytes(bytes) || floats != DTYPE_F32 || scale == NULL ||
        scale->dtype != DTYPE_F32 || tensor_count(scale) != 1 ||
        !quantized_scales_fit(scale) || quantized_is_blocked(&own) ||
        quantized_zero_of(q, node, bytes, &form->zero) != STATUS_OK) {
        return false;
    }
    form->scale = node->inputs[1];
    zero = q->graph->values[form->zero].constant;
    return zero != NULL && zero->dtype == bytes && tensor_count(zero) == 1;
}
