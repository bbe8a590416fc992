/* contrib_build.c - nodes, attributes and values for what replaces an operator. */
#include "engine/contrib_impl.h"
#include "engine/op.h"

enum status contrib_no_memory(struct expansion *x) {
    return node_error(x->node, x->err, STATUS_NO_MEMORY, "out of memory");
}

/* The domain of an operator: ONNX's own, or ours. */
static const char *domain_of(const char *type) {
    static const char *const ours[] = {"KeyMask", "MatMulIntegerToFloat", "QGemm"};
    for (size_t i = 0; i < ARRAY_COUNT(ours); i++) {
        if (strcmp(type, ours[i]) == 0) {
            return "millrace";
        }
    }
    return NULL;
}

/* A node of ONNX's operator `type`; outputs that are VALUE_NONE get a value. */
enum status contrib_add_node(struct expansion *x, const char *type, const int *inputs,
                             int input_count, const struct attr *attrs, int attr_count,
                             int *outputs, int output_count) {
    int64_t opset = strcmp(type, "Clip") == 0 ? 6 : OP_OPSET_MAX; /* bounds: attributes */
    int index = graph_add_node(x->graph);
    struct node *node = index < 0 ? NULL : &x->graph->nodes[index];
    struct attr *own =
        arena_alloc(&x->graph->arena, (size_t)attr_count + 1, sizeof(*own));
    if (node == NULL || own == NULL ||
        !graph_node_room(x->graph, node, input_count, output_count)) {
        return contrib_no_memory(x);
    }
    node->type = type;
    node->name = x->node->name;
    node->opset = opset;
    node->op = op_find(domain_of(type), type, opset);
    node->explicit_count = input_count;
    if (attr_count > 0) {
        memcpy(own, attrs, (size_t)attr_count * sizeof(*own));
    }
    node->attrs = (struct attr_list){.items = own, .count = attr_count};
    for (int i = 0; i < input_count; i++) {
        node->inputs[i] = inputs[i];
    }
    for (int i = 0; i < output_count; i++) {
        if (outputs[i] == VALUE_NONE) {
            outputs[i] = graph_add_value(x->graph, x->node->name);
            if (outputs[i] < 0) {
                return contrib_no_memory(x);
            }
        }
        x->graph->nodes[index].outputs[i] = outputs[i];
    }
    return STATUS_OK;
}

/* The same with one output, which becomes *made. */
enum status contrib_add(struct expansion *x, const char *type, const int *inputs,
                        int input_count, const struct attr *attrs, int attr_count,
                        int *made) {
    int output = VALUE_NONE;
    enum status status =
        contrib_add_node(x, type, inputs, input_count, attrs, attr_count, &output, 1);
    *made = output;
    return status;
}

struct attr contrib_int_attr(const char *name, int64_t value) {
    return (struct attr){.name = name, .kind = ATTR_INT, .as.i = value};
}

struct attr contrib_float_attr(const char *name, float value) {
    return (struct attr){.name = name, .kind = ATTR_FLOAT, .as.f = value};
}

enum status contrib_add_ints(struct expansion *x, const int64_t *values, size_t count,
                             int *made) {
    int64_t *own = arena_alloc(&x->graph->arena, count, sizeof(*own));
    struct attr attr = {.name = "value_ints", .kind = ATTR_INTS, .count = count};
    if (own == NULL) {
        return contrib_no_memory(x);
    }
    memcpy(own, values, count * sizeof(*own));
    attr.as.ints = own;
    return contrib_add(x, "Constant", NULL, 0, &attr, 1, made);
}

int contrib_input(const struct expansion *x, int i) {
    return i < x->node->input_count ? x->node->inputs[i] : VALUE_NONE;
}

int contrib_output(const struct expansion *x, int i) {
    return i < x->node->output_count ? x->node->outputs[i] : VALUE_NONE;
}

/* The node's first output is `value`. */
enum status contrib_finish(struct expansion *x, int value) {
    return contrib_add_node(x, "Identity", INPUTS(value), NO_ATTRS, &x->node->outputs[0],
                            1);
}

/* *value plus input `i`, if that is there. */
enum status contrib_add_input(struct expansion *x, int i, int *value) {
    return contrib_input(x, i) == VALUE_NONE
               ? STATUS_OK
               : contrib_add(x, "Add", INPUTS(*value, contrib_input(x, i)), NO_ATTRS,
                             value);
}

/* Copies attributes that mean the same there. */
int contrib_copy_attrs(struct expansion *x, struct attr *to, int room) {
    int count = 0;
    for (int i = 0; i < x->node->attrs.count && count < room; i++) {
        const char *name = x->node->attrs.items[i].name;
        if ((x->node->attrs.read >> i & 1) == 0) {
            to[count++] = *attr_find(x->node, name);
        }
    }
    return count;
}
