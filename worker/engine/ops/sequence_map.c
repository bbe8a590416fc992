/* sequence_map.c - SequenceMap: a body run on each element of a sequence. */
#include "base/size.h"
#include "engine/body.h"
#include "engine/ops/ops.h"
#include "engine/plan.h"

struct map {
    struct model *body;
    int index;
};

static enum status prepare(struct load *load, struct error *err) {
    struct map *state = load_state(load, struct map);
    int count = load->node->explicit_count;
    struct value *elements =
        arena_alloc(&load->graph->arena, (size_t)count + 1, sizeof(*elements));
    const struct value **inputs =
        arena_alloc(&load->graph->arena, (size_t)count + 1, sizeof(*inputs));
    enum status status;
    if (state == NULL || elements == NULL || inputs == NULL) {
        return load_no_memory(load, err);
    }
    for (int i = 0; i < count; i++) {
        const struct value *given = graph_input(load->graph, load->node, i);
        if (given == NULL) {
            return node_error(load->node, err, STATUS_INVALID, "input %d is empty", i);
        }
        elements[i] = *given;
        if (given->dtype == DTYPE_SEQUENCE) {
            elements[i] = (struct value){.dtype = given->inner[0]};
        }
        inputs[i] = &elements[i];
    }
    status = body_load(load, "body", inputs, count, &state->body, &state->index, err);
    if (status != STATUS_OK) {
        return status;
    }
    if (state->body->graph.output_count != load->node->output_count) {
        return node_error(load->node, err, STATUS_INVALID,
                          "its body has %d outputs, the node %d",
                          state->body->graph.output_count, load->node->output_count);
    }
    for (int i = 0; i < load->node->output_count; i++) {
        const struct value *made =
            &state->body->graph.values[state->body->graph.outputs[i]];
        const struct value type = {.dtype = DTYPE_SEQUENCE, .inner = {made->dtype}};
        if (made->dtype == DTYPE_STRING || made->dtype >= DTYPE_SEQUENCE) {
            return node_error(load->node, err, STATUS_UNSUPPORTED,
                              "its body makes %s, only numbers are handled",
                              dtype_name(made->dtype));
        }
        graph_set_output_like(load->graph, load->node, i, &type);
    }
    return STATUS_OK;
}

/* The hold of an output has the elements' tensors and, apart, their data, whose places
 * are offsets until all are there: it moves as it grows. */
static enum status add_element(struct exec *exec, int output, int64_t i,
                               const struct tensor *x, size_t *used, struct error *err) {
    struct body_memo *memo = exec->memo;
    struct hold *tensors = &memo->holds[2 * output], *data = tensors + 1;
    size_t size = tensor_size(x);
    enum status status = hold_grow(exec, data, *used + size + PLAN_ALIGN, err);
    if (status != STATUS_OK) {
        return status;
    }
    ((struct tensor *)tensors->data)[i] = *x;
    ((struct tensor *)tensors->data)[i].data = NULL;
    if (size > 0) {
        memcpy((uint8_t *)data->data + *used, x->data, size);
    }
    *used += size_align(size, PLAN_ALIGN);
    return STATUS_OK;
}

static void point_elements(struct body_memo *memo, int output, int64_t length) {
    struct tensor *tensors = memo->holds[2 * output].data;
    uint8_t *at = memo->holds[2 * output + 1].data;
    for (int64_t i = 0; i < length; i++) {
        tensors[i].data = at;
        at += size_align(tensor_size(&tensors[i]), PLAN_ALIGN);
    }
    memo->results[output] = (struct tensor){
        .dtype = DTYPE_SEQUENCE, .rank = 1, .dims = {length}, .data = tensors};
}

static enum status map_one(struct exec *exec, int64_t i, size_t *used,
                           struct error *err) {
    const struct map *state = exec->node->state;
    struct body_memo *memo = exec->memo;
    int count = exec->node->explicit_count;
    enum status status;
    for (int k = 0; k < count; k++) {
        const struct tensor *x = exec->x[k];
        memo->inputs[k] =
            x->dtype == DTYPE_SEQUENCE ? ((const struct tensor *)x->data)[i] : *x;
    }
    status = body_run(exec, state->body, state->index, memo->inputs, count, err);
    for (int k = 0; status == STATUS_OK && k < exec->node->output_count; k++) {
        status = add_element(exec, k, i, session_output(exec->bodies[state->index], k),
                             &used[k], err);
    }
    return status;
}

static enum status shape(struct exec *exec, struct error *err) {
    struct body_memo *memo = exec->memo;
    int outputs = exec->node->output_count;
    int64_t length = exec->x[0]->dims[0];
    size_t used[MODEL_OUTPUTS_MAX] = {0};
    enum status status = body_memo_make(exec, 2 * outputs, err);
    for (int k = 1; status == STATUS_OK && k < exec->node->explicit_count; k++) {
        if (exec->x[k]->dtype == DTYPE_SEQUENCE && exec->x[k]->dims[0] != length) {
            return node_error(exec->node, err, STATUS_POISON,
                              "sequences have %lld and %lld elements", (long long)length,
                              (long long)exec->x[k]->dims[0]);
        }
    }
    for (int k = 0; status == STATUS_OK && k < outputs; k++) {
        status = hold_grow(exec, &memo->holds[2 * k],
                           (size_t)length * sizeof(struct tensor), err);
    }
    for (int64_t i = 0; status == STATUS_OK && i < length; i++) {
        status = map_one(exec, i, used, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    for (int k = 0; k < outputs; k++) {
        point_elements(memo, k, length);
    }
    body_memo_shape(exec);
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "SequenceMap",
        .since = 17,
        .inputs_min = 1,
        .inputs_max = NODE_INPUTS_MAX,
        .outputs_max = MODEL_OUTPUTS_MAX,
        .flags = OP_DYNAMIC,
        .types = {TYPES_SEQUENCE, TYPES_VALUE, TYPES_VALUE, TYPES_VALUE, TYPES_VALUE,
                  TYPES_VALUE},
        .memo_size = sizeof(struct body_memo),
        .prepare = prepare,
        .shape = shape,
        .run = body_memo_run,
        .release = body_memo_release,
    },
};

const struct op_list ops_sequence_map = OP_LIST(ops);
