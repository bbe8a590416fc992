/* onnx_import.c - see onnx_import.h. */
#include "engine/onnx_import.h"

#include <assert.h>
#include <onnx.pb-c.h>

#include "base/size.h"
#include "engine/onnx_tensor.h"
#include "engine/op.h"

enum { MISSING_OPS_MAX = 64 };

/* Names to value indices: open addressing, a power of two of slots. */
struct names {
    int *slots; /* value index + 1, 0 for empty */
    size_t mask;
};

struct import {
    struct graph *graph;
    const Onnx__ModelProto *proto;
    struct names names;
    struct error *err;
};

/* ---- names ------------------------------------------------------------------------ */

static uint64_t hash_text(const char *text) {
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (; *text != 0; text++) {
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    }
    return hash;
}

/* The slot of `name`: the one that holds it, or the free one where it belongs. */
static int *name_slot(const struct import *import, const char *name) {
    size_t at = (size_t)hash_text(name) & import->names.mask;
    for (;; at = (at + 1) & import->names.mask) {
        int *slot = &import->names.slots[at];
        if (*slot == 0 || strcmp(import->graph->values[*slot - 1].name, name) == 0) {
            return slot;
        }
    }
}

static enum status no_memory(struct import *import) {
    return error_set(import->err, STATUS_NO_MEMORY, "out of memory");
}

/* Room for every name the model can define, half filled at most. */
static enum status names_init(struct import *import) {
    const Onnx__GraphProto *proto = import->proto->graph;
    size_t count = proto->n_input + proto->n_initializer;
    size_t slots = 64;
    for (size_t n = 0; n < proto->n_node; n++) {
        count += proto->node[n]->n_output;
    }
    if (count > GRAPH_VALUES_MAX) {
        return error_set(import->err, STATUS_UNSUPPORTED,
                         "%zu values, at most %d are handled", count, GRAPH_VALUES_MAX);
    }
    while (slots < 2 * count) {
        slots *= 2;
    }
    import->names.mask = slots - 1;
    import->names.slots = calloc(slots, sizeof(int));
    return import->names.slots == NULL ? no_memory(import) : STATUS_OK;
}

static enum status define(struct import *import, const char *name, int *value) {
    int *slot;
    if (name == NULL || name[0] == 0) {
        return error_set(import->err, STATUS_INVALID, "a value has no name");
    }
    slot = name_slot(import, name);
    if (*slot != 0) {
        return error_set(import->err, STATUS_INVALID, "value '%.200s' is defined twice",
                         name);
    }
    *value = graph_add_value(import->graph, name);
    if (*value < 0) {
        return no_memory(import);
    }
    *slot = *value + 1;
    return STATUS_OK;
}

/* ---- inputs, initialisers, outputs ------------------------------------------------ */

static enum status import_port(struct import *import, const Onnx__ValueInfoProto *info,
                               struct model_port *port) {
    const Onnx__TypeProto__Tensor *type;
    port->name = info->name == NULL ? "" : info->name;
    if (info->type == NULL ||
        info->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ||
        info->type->tensor_type == NULL) {
        return error_set(import->err, STATUS_UNSUPPORTED,
                         "'%.200s' is not a tensor; only tensors are handled as inputs "
                         "and outputs",
                         port->name);
    }
    type = info->type->tensor_type;
    port->type.dtype = onnx_dtype(type->elem_type);
    if (port->type.dtype == DTYPE_NONE) {
        return error_set(import->err, STATUS_UNSUPPORTED,
                         "'%.200s' has data type number %d, which is not supported",
                         port->name, type->elem_type);
    }
    port->type.rank = -1; /* unknown */
    if (type->shape == NULL) {
        return STATUS_OK;
    }
    if (type->shape->n_dim > TENSOR_RANK_MAX) {
        return error_set(import->err, STATUS_UNSUPPORTED,
                         "'%.200s' has rank %zu, at most %d are handled", port->name,
                         type->shape->n_dim, TENSOR_RANK_MAX);
    }
    port->type.rank = (int)type->shape->n_dim;
    for (int i = 0; i < port->type.rank; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = type->shape->dim[i];
        port->type.dims[i] = -1;
        if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE) {
            port->type.dims[i] = dim->dim_value < 0 ? -1 : dim->dim_value;
        } else if (dim->value_case ==
                       ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM &&
                   dim->dim_param != NULL && dim->dim_param[0] != 0) {
            port->symbols[i] = dim->dim_param;
        }
    }
    return STATUS_OK;
}

static enum status import_initialisers(struct import *import) {
    const Onnx__GraphProto *proto = import->proto->graph;
    struct graph *graph = import->graph;
    for (size_t i = 0; i < proto->n_initializer; i++) {
        struct tensor *tensor = arena_alloc(&graph->arena, 1, sizeof(*tensor));
        int value = 0;
        enum status status;
        if (tensor == NULL) {
            return no_memory(import);
        }
        status = onnx_tensor(proto->initializer[i], &graph->arena, tensor, import->err);
        if (status == STATUS_OK) {
            status = define(import, proto->initializer[i]->name, &value);
        }
        if (status != STATUS_OK) {
            return status;
        }
        graph->values[value].dtype = tensor->dtype;
        graph->values[value].constant = tensor;
    }
    return STATUS_OK;
}

/* An input that is an initialiser too is its default: old files list all weights so. */
static enum status import_inputs(struct import *import, struct onnx_ports *ports) {
    const Onnx__GraphProto *proto = import->proto->graph;
    struct graph *graph = import->graph;
    ports->inputs = arena_alloc(&graph->arena, MODEL_INPUTS_MAX, sizeof(*ports->inputs));
    graph->inputs = arena_alloc(&graph->arena, MODEL_INPUTS_MAX, sizeof(*graph->inputs));
    if (ports->inputs == NULL || graph->inputs == NULL) {
        return no_memory(import);
    }
    for (size_t i = 0; i < proto->n_input; i++) {
        const char *name = proto->input[i]->name;
        int value = 0;
        enum status status;
        if (name != NULL && *name_slot(import, name) != 0 &&
            graph->values[*name_slot(import, name) - 1].constant != NULL) {
            continue;
        }
        if (graph->input_count == MODEL_INPUTS_MAX) {
            return error_set(import->err, STATUS_UNSUPPORTED, "more than %d inputs",
                             MODEL_INPUTS_MAX);
        }
        status = define(import, name, &value);
        if (status == STATUS_OK) {
            status =
                import_port(import, proto->input[i], &ports->inputs[graph->input_count]);
        }
        if (status != STATUS_OK) {
            return status;
        }
        graph->values[value].dtype = ports->inputs[graph->input_count].type.dtype;
        graph->values[value].input = graph->input_count;
        graph->inputs[graph->input_count++] = value;
    }
    return STATUS_OK;
}

static enum status import_outputs(struct import *import, struct onnx_ports *ports) {
    const Onnx__GraphProto *proto = import->proto->graph;
    struct graph *graph = import->graph;
    if (proto->n_output < 1 || proto->n_output > MODEL_OUTPUTS_MAX) {
        return error_set(import->err, STATUS_UNSUPPORTED,
                         "%zu outputs, allowed are 1 to %d", proto->n_output,
                         MODEL_OUTPUTS_MAX);
    }
    ports->outputs = arena_alloc(&graph->arena, proto->n_output, sizeof(*ports->outputs));
    graph->outputs = arena_alloc(&graph->arena, proto->n_output, sizeof(*graph->outputs));
    if (ports->outputs == NULL || graph->outputs == NULL) {
        return no_memory(import);
    }
    for (size_t i = 0; i < proto->n_output; i++) {
        const char *name = proto->output[i]->name == NULL ? "" : proto->output[i]->name;
        int slot = *name_slot(import, name);
        enum status status;
        if (slot == 0) {
            return error_set(import->err, STATUS_INVALID,
                             "output '%.200s' is made by no node", name);
        }
        status = import_port(import, proto->output[i], &ports->outputs[i]);
        if (status != STATUS_OK) {
            return status;
        }
        graph->values[slot - 1].is_output = true;
        graph->outputs[graph->output_count++] = slot - 1;
    }
    return STATUS_OK;
}

/* ---- nodes ------------------------------------------------------------------------ */

static enum status import_texts(struct import *import, const Onnx__AttributeProto *proto,
                                struct attr *attr) {
    struct span *texts =
        arena_alloc(&import->graph->arena, proto->n_strings, sizeof(*texts));
    if (texts == NULL) {
        return no_memory(import);
    }
    for (size_t i = 0; i < proto->n_strings; i++) {
        texts[i] = span_of(proto->strings[i].data, proto->strings[i].len);
    }
    attr->kind = ATTR_TEXTS;
    attr->count = proto->n_strings;
    attr->as.texts = texts;
    return STATUS_OK;
}

static enum status import_tensor(struct import *import, const Onnx__AttributeProto *proto,
                                 struct attr *attr) {
    struct tensor *tensor = arena_alloc(&import->graph->arena, 1, sizeof(*tensor));
    if (tensor == NULL) {
        return no_memory(import);
    }
    attr->kind = ATTR_TENSOR;
    attr->as.tensor = tensor;
    return onnx_tensor(proto->t, &import->graph->arena, tensor, import->err);
}

/* Files older than IR version 2 leave the type out: it is the field that is set. */
static Onnx__AttributeProto__AttributeType attr_type(const Onnx__AttributeProto *proto) {
    if (proto->type != ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED) {
        return proto->type;
    }
    if (proto->has_f) {
        return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
    }
    if (proto->has_i) {
        return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    }
    if (proto->has_s) {
        return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING;
    }
    if (proto->t != NULL) {
        return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
    }
    if (proto->n_floats > 0) {
        return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS;
    }
    return proto->n_strings > 0 ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS
                                : ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
}

static enum status import_attr(struct import *import, const Onnx__AttributeProto *proto,
                               struct attr *attr) {
    Onnx__AttributeProto__AttributeType type = attr_type(proto);
    attr->name = proto->name == NULL ? "" : proto->name;
    attr->kind = ATTR_OTHER;
    if (type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT) {
        attr->kind = ATTR_FLOAT;
        attr->as.f = proto->f;
    } else if (type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT) {
        attr->kind = ATTR_INT;
        attr->as.i = proto->i;
    } else if (type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING) {
        attr->kind = ATTR_TEXT;
        attr->as.text = span_of(proto->s.data, proto->s.len);
    } else if (type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS) {
        attr->kind = ATTR_FLOATS;
        attr->count = proto->n_floats;
        attr->as.floats = proto->floats;
    } else if (type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS) {
        attr->kind = ATTR_INTS;
        attr->count = proto->n_ints;
        attr->as.ints = proto->ints;
    } else if (type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS) {
        return import_texts(import, proto, attr);
    } else if (type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR &&
               proto->t != NULL) {
        return import_tensor(import, proto, attr);
    } else if (type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH && proto->g != NULL) {
        attr->kind = ATTR_GRAPH;
        attr->as.graph = proto->g;
    }
    return STATUS_OK;
}

static enum status import_attrs(struct import *import, const Onnx__NodeProto *proto,
                                struct node *node) {
    struct attr *items;
    if (proto->n_attribute > NODE_ATTRS_MAX) {
        return node_error(node, import->err, STATUS_UNSUPPORTED,
                          "%zu attributes, at most %d are handled", proto->n_attribute,
                          NODE_ATTRS_MAX);
    }
    items = arena_alloc(&import->graph->arena, proto->n_attribute, sizeof(*items));
    if (items == NULL) {
        return no_memory(import);
    }
    for (size_t i = 0; i < proto->n_attribute; i++) {
        enum status status = import_attr(import, proto->attribute[i], &items[i]);
        if (status != STATUS_OK) {
            error_prefix(import->err, "%s '%.200s'", node->type, node->name);
            return status;
        }
    }
    node->attrs = (struct attr_list){.items = items, .count = (int)proto->n_attribute};
    return STATUS_OK;
}

static enum status import_inputs_of(struct import *import, const Onnx__NodeProto *proto,
                                    struct node *node) {
    for (size_t i = 0; i < proto->n_input; i++) {
        int slot;
        if (proto->input[i][0] == 0) {
            continue;
        }
        slot = *name_slot(import, proto->input[i]);
        if (slot == 0) {
            return node_error(node, import->err, STATUS_INVALID,
                              "reads '%.200s', which nothing before it makes",
                              proto->input[i]);
        }
        node->inputs[i] = slot - 1;
    }
    return STATUS_OK;
}

static bool default_domain(const char *domain) {
    return domain == NULL || domain[0] == 0 || strcmp(domain, "ai.onnx") == 0;
}

static int64_t opset_of(const struct import *import, const char *domain) {
    for (size_t i = 0; i < import->proto->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *set = import->proto->opset_import[i];
        if (default_domain(domain)
                ? default_domain(set->domain)
                : set->domain != NULL && strcmp(set->domain, domain) == 0) {
            return set->version;
        }
    }
    return default_domain(domain) && import->proto->n_opset_import == 0 ? 1 : 0;
}

static const char *node_label(const Onnx__NodeProto *proto) {
    if (proto->name != NULL && proto->name[0] != 0) {
        return proto->name;
    }
    return proto->n_output > 0 ? proto->output[0] : "";
}

/* An empty name is an output that is not wanted; one at least must be. */
static enum status import_outputs_of(struct import *import, const Onnx__NodeProto *proto,
                                     struct node *node) {
    bool wanted = false;
    for (size_t i = 0; i < proto->n_output; i++) {
        enum status status;
        if (proto->output[i][0] == 0) {
            continue;
        }
        status = define(import, proto->output[i], &node->outputs[i]);
        if (status != STATUS_OK) {
            return status;
        }
        wanted = true;
    }
    return wanted ? STATUS_OK
                  : node_error(node, import->err, STATUS_INVALID, "makes no output");
}

static enum status import_node(struct import *import, const Onnx__NodeProto *proto) {
    struct graph *graph = import->graph;
    const char *domain = default_domain(proto->domain) ? NULL : proto->domain;
    int index = graph_add_node(graph);
    struct node *node = &graph->nodes[index < 0 ? 0 : index];
    enum status status;
    if (index < 0) {
        return no_memory(import);
    }
    node->type = proto->op_type == NULL ? "" : proto->op_type;
    node->name = node_label(proto);
    node->opset = opset_of(import, domain);
    node->op = op_find(domain, node->type, node->opset);
    if (proto->n_input > NODE_INPUTS_MAX || proto->n_output > NODE_OUTPUTS_MAX) {
        return node_error(node, import->err, STATUS_UNSUPPORTED,
                          "more than %d inputs or outputs", NODE_INPUTS_MAX);
    }
    if (!graph_node_room(graph, node, (int)proto->n_input, (int)proto->n_output)) {
        return no_memory(import);
    }
    status = import_inputs_of(import, proto, node);
    if (status == STATUS_OK) {
        status = import_attrs(import, proto, node);
    }
    return status == STATUS_OK ? import_outputs_of(import, proto, node) : status;
}

/* ---- operators we lack ------------------------------------------------------------ */

struct missing {
    const char *type;
    int count;
};

static int count_missing(const struct graph *graph, struct missing *list, int *more) {
    int used = 0;
    *more = 0;
    for (int n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        int i = 0;
        if (node->op != NULL) {
            continue;
        }
        while (i < used && strcmp(list[i].type, node->type) != 0) {
            i++;
        }
        if (i < used) {
            list[i].count++;
        } else if (used < MISSING_OPS_MAX) {
            list[used++] = (struct missing){.type = node->type, .count = 1};
        } else {
            (*more)++;
        }
    }
    return used;
}

static enum status check_operators(struct import *import) {
    struct missing list[MISSING_OPS_MAX];
    char text[ERROR_TEXT_MAX - 100];
    size_t used = 0;
    int more;
    int count = count_missing(import->graph, list, &more);
    if (count == 0) {
        return STATUS_OK;
    }
    for (int i = 0; i < count && used < sizeof(text); i++) {
        int n = snprintf(text + used, sizeof(text) - used, "%s%.60s (%d)",
                         i == 0 ? "" : ", ", list[i].type, list[i].count);
        used += n > 0 ? (size_t)n : 0;
    }
    return error_set(import->err, STATUS_UNSUPPORTED,
                     "operators not supported at opset %lld: %s%s",
                     (long long)import->graph->opset, text, more > 0 ? ", more" : "");
}

static enum status import_nodes(struct import *import) {
    const Onnx__GraphProto *proto = import->proto->graph;
    if (proto->n_node > GRAPH_NODES_MAX) {
        return error_set(import->err, STATUS_UNSUPPORTED,
                         "%zu nodes, at most %d are handled", proto->n_node,
                         GRAPH_NODES_MAX);
    }
    for (size_t n = 0; n < proto->n_node; n++) {
        enum status status = import_node(import, proto->node[n]);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return check_operators(import);
}

static enum status check_model(struct import *import) {
    const Onnx__ModelProto *proto = import->proto;
    if (proto->graph == NULL) {
        return error_set(import->err, STATUS_INVALID, "the file holds no graph");
    }
    if (proto->graph->n_sparse_initializer > 0) {
        return error_set(import->err, STATUS_UNSUPPORTED,
                         "sparse initialisers are not supported");
    }
    import->graph->opset = opset_of(import, NULL);
    if (import->graph->opset < 0 || import->graph->opset > OP_OPSET_MAX) {
        return error_set(import->err, STATUS_UNSUPPORTED,
                         "opset %lld, supported are 1 to %d",
                         (long long)import->graph->opset, OP_OPSET_MAX);
    }
    return STATUS_OK;
}

enum status onnx_import(const struct onnx_file *file, struct graph *graph,
                        struct onnx_ports *ports, struct error *err) {
    struct import import = {
        .graph = graph, .proto = (const Onnx__ModelProto *)file->message, .err = err};
    enum status status = check_model(&import);
    if (status == STATUS_OK) {
        status = names_init(&import);
    }
    if (status == STATUS_OK) {
        status = import_initialisers(&import);
    }
    if (status == STATUS_OK) {
        status = import_inputs(&import, ports);
    }
    if (status == STATUS_OK) {
        status = import_nodes(&import);
    }
    if (status == STATUS_OK) {
        status = import_outputs(&import, ports);
    }
    if (status == STATUS_OK) {
        graph_recount(graph);
    }
    free(import.names.slots);
    return status;
}
