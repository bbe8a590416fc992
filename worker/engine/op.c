/* op.c - see op.h; the table itself is ops/table.c. */
#include "engine/op.h"

#include <assert.h>

#include "base/size.h"

static bool same_domain(const char *a, const char *b) {
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return strcmp(a, b) == 0;
}

static const struct op *newest(const struct op_list *list, const char *domain,
                               const char *name, int64_t opset) {
    const struct op *best = NULL;
    for (size_t i = 0; i < list->count; i++) {
        const struct op *op = &list->ops[i];
        /* The first letter tells most names apart: models have very many nodes. */
        if (op->name[0] == name[0] && strcmp(op->name, name) == 0 &&
            same_domain(op->domain, domain) && op->since <= opset &&
            (best == NULL || op->since > best->since)) {
            best = op;
        }
    }
    return best;
}

const struct op *op_find(const char *domain, const char *name, int64_t opset) {
    const struct op *best = NULL;
    size_t count;
    const struct op_list *const *table = op_table(&count);
    assert(name != NULL);
    for (size_t i = 0; i < count; i++) {
        const struct op *op = newest(table[i], domain, name, opset);
        if (op != NULL && (best == NULL || op->since > best->since)) {
            best = op;
        }
    }
    if (best != NULL && best->until != 0 && best->until < opset) {
        return NULL;
    }
    return best;
}

/* What is wrong with the number of inputs or outputs, or NULL. */
static const char *count_fault(const struct node *node) {
    const struct op *op = node->op;
    int outputs_max = op->outputs_max == 0 ? 1 : op->outputs_max;
    if (node->input_count < op->inputs_min) {
        return "too few inputs";
    }
    if (node->input_count > op->inputs_max) {
        return "too many inputs";
    }
    if (node->output_count < 1 || node->output_count > outputs_max) {
        return "wrong number of outputs";
    }
    /* Of any number of inputs none is optional; those with graphs see to it themselves.
     */
    bool all = op->inputs_max == OP_ANY_NUMBER && node->body_count == 0;
    for (int i = 0; i < (all ? node->input_count : op->inputs_min); i++) {
        if (node->inputs[i] == VALUE_NONE) {
            return "a required input is empty";
        }
    }
    return NULL;
}

static enum status check_types(const struct graph *graph, const struct node *node,
                               struct error *err) {
    const struct op *op = node->op;
    for (int i = 0; i < node->input_count; i++) {
        unsigned allowed =
            op->types[i < OP_TYPED_INPUTS_MAX ? i : OP_TYPED_INPUTS_MAX - 1];
        enum dtype dtype = graph_input_dtype(graph, node, i);
        if (dtype == DTYPE_NONE) {
            continue;
        }
        if (allowed == 0) {
            allowed = TYPE_BIT(graph_input_dtype(graph, node, 0));
        }
        if ((allowed & TYPE_BIT(dtype)) == 0) {
            return node_error(node, err, STATUS_UNSUPPORTED,
                              "input %d has type %s, which is not handled here", i,
                              dtype_name(dtype));
        }
    }
    return STATUS_OK;
}

enum status op_prepare(struct graph *graph, struct node *node, struct error *err) {
    struct load load = {.graph = graph, .node = node};
    const char *fault = count_fault(node);
    enum status status;
    if (fault != NULL) {
        return node_error(node, err, STATUS_INVALID, "%s (%d in, %d out)", fault,
                          node->input_count, node->output_count);
    }
    status = check_types(graph, node, err);
    if (status != STATUS_OK) {
        return status;
    }
    for (int i = 0; i < node->output_count; i++) {
        const struct value *first = graph_input(graph, node, 0);
        if (node->op->output_dtype != DTYPE_NONE || first == NULL) {
            graph_set_output(graph, node, i, node->op->output_dtype);
        } else {
            graph_set_output_like(graph, node, i, first);
        }
    }
    if (node->op->prepare != NULL) {
        status = node->op->prepare(&load, err);
    }
    return status == STATUS_OK ? attr_check_all_read(node, err) : status;
}

enum status op_shape(struct exec *exec, struct error *err) {
    const struct node *node = exec->node;
    enum status status;
    exec->alias_input = ALIAS_NONE;
    exec->take_input = TAKE_NONE;
    exec->alias_offset = 0;
    exec->scratch_size = 0;
    exec->extra_size = 0;
    status = node->op->shape(exec, err);
    if (status != STATUS_OK) {
        return status;
    }
    for (int i = 0; i < node->output_count; i++) {
        const struct tensor *y = exec->y[i];
        size_t count, size;
        char text[TENSOR_SHAPE_TEXT_MAX];
        if (y == NULL) {
            continue;
        }
        if (!tensor_dims_count(y->dims, y->rank, &count) ||
            !size_mul(count, dtype_size(y->dtype), &size) || size > OP_SIZE_MAX ||
            exec->extra_size > OP_SIZE_MAX || exec->scratch_size > OP_SIZE_MAX) {
            return node_error(node, err, STATUS_POISON, "output %d would be %s", i,
                              tensor_shape_text(y->dims, y->rank, text, sizeof(text)));
        }
    }
    return STATUS_OK;
}

enum status load_no_memory(const struct load *load, struct error *err) {
    return node_error(load->node, err, STATUS_NO_MEMORY,
                      "out of memory; the model may take %zu bytes",
                      load->graph->budget->max);
}

enum status exec_axis(const struct exec *exec, int64_t axis, int rank, int *out,
                      struct error *err) {
    if (axis < -rank || axis >= rank) {
        return node_error(exec->node, err, STATUS_POISON,
                          "axis %lld is outside a tensor of rank %d", (long long)axis,
                          rank);
    }
    *out = (int)(axis < 0 ? axis + rank : axis);
    return STATUS_OK;
}

enum status exec_ints(const struct exec *exec, int input, int64_t *values, int room,
                      int *count, struct error *err) {
    const struct tensor *x = exec->x[input];
    size_t n = tensor_count(x);
    if (x->rank > 1 || n > (size_t)room) {
        char text[TENSOR_SHAPE_TEXT_MAX];
        return node_error(exec->node, err, STATUS_POISON,
                          "input %d has shape %s, allowed is a list of at most %d", input,
                          tensor_shape_text(x->dims, x->rank, text, sizeof(text)), room);
    }
    for (size_t i = 0; i < n; i++) {
        values[i] = x->dtype == DTYPE_I64 ? ((const int64_t *)x->data)[i]
                                          : ((const int32_t *)x->data)[i];
    }
    *count = (int)n;
    return STATUS_OK;
}

void exec_same_shape(const struct exec *exec, int output, int input) {
    const struct tensor *x = exec->x[input];
    struct tensor *y = exec->y[output];
    if (y != NULL) {
        y->rank = x->rank;
        memcpy(y->dims, x->dims, sizeof(y->dims));
    }
}

enum status op_shape_same(struct exec *exec, struct error *err) {
    (void)err; /* cannot fail: the input's shape was checked */
    exec_same_shape(exec, 0, 0);
    return STATUS_OK;
}
