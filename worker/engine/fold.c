/* fold.c - see fold.h. */
#include "engine/fold.h"

#include "base/size.h"
#include "engine/load.h"
#include "engine/plan.h"

bool fold_possible(const struct graph *graph, const struct node *node) {
    for (int i = 0; i < node->input_count; i++) {
        if (node->inputs[i] != VALUE_NONE &&
            graph->values[node->inputs[i]].constant == NULL) {
            return false;
        }
    }
    return (node->op->flags & (OP_NOT_CONSTANT | OP_DYNAMIC)) == 0;
}

/* An exec for `node` over constants; outputs have no data yet. */
static bool bind(struct graph *graph, const struct node *node, struct exec *exec) {
    struct arena *arena = &graph->arena;
    const struct tensor **x =
        arena_alloc(arena, (size_t)node->input_count + 1, sizeof(*x));
    struct tensor **y = arena_alloc(arena, (size_t)node->output_count + 1, sizeof(*y));
    void *memo = arena_alloc(arena, 1, node->op->memo_size + PLAN_ALIGN);
    if (x == NULL || y == NULL || memo == NULL) {
        return false;
    }
    for (int i = 0; i < node->input_count; i++) {
        x[i] = graph_constant(graph, node, i);
    }
    for (int i = 0; i < node->output_count; i++) {
        if (node->outputs[i] == VALUE_NONE) {
            continue;
        }
        y[i] = arena_alloc(arena, 1, sizeof(**y));
        if (y[i] == NULL) {
            return false;
        }
        y[i]->dtype = graph->values[node->outputs[i]].dtype;
    }
    *exec = (struct exec){
        .node = node,
        .x = x,
        .y = y,
        .memo = (void *)(size_align((uintptr_t)memo, PLAN_ALIGN)),
        .alias_input = ALIAS_NONE,
        .take_input = TAKE_NONE,
        .memory = graph->budget,
    };
    return true;
}

/* Converting constants is worth it at any size; growing them out of little only within
 * limits, of which *grown is what is used. */
static bool worth_folding(const struct exec *exec, size_t size, size_t *grown) {
    for (int i = 0; i < exec->node->input_count; i++) {
        if (exec->x[i] != NULL && size <= 4 * tensor_size(exec->x[i])) {
            return true;
        }
    }
    if (size > LOAD_FOLD_SIZE_MAX || *grown > LOAD_FOLD_TOTAL_MAX - size) {
        return false;
    }
    *grown += size;
    return true;
}

/* Memory for the outputs; *too_large instead where folding would not pay. */
static enum status fold_memory(struct graph *graph, struct exec *exec, bool *too_large,
                               struct error *err) {
    const struct node *node = exec->node;
    for (int i = 0; i < node->output_count; i++) {
        struct tensor *y = exec->y[i];
        if (y == NULL) {
            continue;
        }
        if (!worth_folding(exec, tensor_size(y), &graph->grown_size)) {
            *too_large = true;
            return STATUS_OK;
        }
        y->data = graph_data(graph, tensor_size(y));
        if (y->data == NULL) {
            return node_error(node, err, STATUS_NO_MEMORY,
                              "out of memory; the model may take %zu bytes",
                              graph->budget->max);
        }
    }
    return STATUS_OK;
}

static enum status compute(struct graph *graph, struct exec *exec, bool *too_large,
                           struct error *err) {
    enum status status;
    if (exec->alias_input != ALIAS_NONE) {
        uint8_t *from = exec->x[exec->alias_input]->data;
        exec->y[0]->data = from + exec->alias_offset;
        return STATUS_OK;
    }
    if (exec->scratch_size > LOAD_FOLD_SIZE_MAX ||
        exec->extra_size > LOAD_FOLD_SIZE_MAX) {
        *too_large = true;
        return STATUS_OK;
    }
    status = fold_memory(graph, exec, too_large, err);
    if (status != STATUS_OK || *too_large) {
        return status;
    }
    exec->extra = graph_memory(graph, exec->extra_size);
    if (exec->extra == NULL) {
        return node_error(exec->node, err, STATUS_NO_MEMORY, "out of memory");
    }
    exec->scratch =
        aligned_alloc(PLAN_ALIGN, size_align(exec->scratch_size + 1, PLAN_ALIGN));
    if (exec->scratch == NULL) {
        return node_error(exec->node, err, STATUS_NO_MEMORY, "out of memory");
    }
    status = exec->node->op->run(exec, err);
    free(exec->scratch);
    return status;
}

enum status fold_node(struct graph *graph, struct node *node, struct error *err) {
    struct exec exec;
    struct node *origin = NULL;
    bool too_large = false;
    enum status status;
    if (!bind(graph, node, &exec)) {
        return node_error(node, err, STATUS_NO_MEMORY, "out of memory");
    }
    status = op_shape(&exec, err);
    if (status == STATUS_OK) {
        status = compute(graph, &exec, &too_large, err);
    }
    if (status != STATUS_OK || too_large) {
        return load_status(status, err);
    }
    if ((node->op->flags & OP_REMEMBERED) != 0) {
        origin = arena_alloc(&graph->arena, 1, sizeof(*origin));
        if (origin == NULL) {
            return node_error(node, err, STATUS_NO_MEMORY, "out of memory");
        }
        *origin = *node;
    }
    for (int i = 0; i < node->output_count; i++) {
        if (node->outputs[i] != VALUE_NONE) {
            graph->values[node->outputs[i]].constant = exec.y[i];
            graph->values[node->outputs[i]].origin = origin;
        }
    }
    node->dead = true;
    return STATUS_OK;
}
