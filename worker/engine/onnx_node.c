/* onnx_node.c - see onnx_node.h. */
#include "engine/onnx_node.h"

#include "base/size.h"
#include "engine/onnx_tensor.h"
#include "engine/contrib.h"
#include "engine/op.h"

typedef Onnx__AttributeProto__AttributeType attr_kind_number;

static enum status no_memory(struct import *import) {
    return error_set(import->err, STATUS_NO_MEMORY, "out of memory");
}

/* ---- attributes ------------------------------------------------------------------- */

static enum status import_texts(struct import *import, struct graph *graph,
                                const Onnx__AttributeProto *proto, struct attr *attr) {
    struct span *texts = arena_alloc(&graph->arena, proto->n_strings, sizeof(*texts));
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

static enum status import_tensor(struct import *import, struct graph *graph,
                                 const Onnx__AttributeProto *proto, struct attr *attr) {
    struct tensor *tensor = arena_alloc(&graph->arena, 1, sizeof(*tensor));
    if (tensor == NULL) {
        return no_memory(import);
    }
    attr->kind = ATTR_TENSOR;
    attr->as.tensor = tensor;
    return onnx_tensor(proto->t, graph, tensor, import->err);
}

static enum status import_sparse(struct import *import, struct graph *graph,
                                 const Onnx__AttributeProto *proto, struct attr *attr) {
    const Onnx__SparseTensorProto *from = proto->sparse_tensor;
    struct attr_sparse *sparse = arena_alloc(&graph->arena, 1, sizeof(*sparse));
    enum status status;
    size_t count;
    if (sparse == NULL) {
        return no_memory(import);
    }
    attr->kind = ATTR_SPARSE;
    attr->as.sparse = sparse;
    if (from->values == NULL || from->indices == NULL || from->n_dims > TENSOR_RANK_MAX) {
        return error_set(import->err, STATUS_INVALID,
                         "attribute %.100s: a sparse tensor without values, indices or "
                         "of too many dimensions",
                         attr->name);
    }
    status = onnx_tensor(from->values, graph, &sparse->values, import->err);
    if (status == STATUS_OK) {
        status = onnx_tensor(from->indices, graph, &sparse->indices, import->err);
    }
    sparse->dense.dtype = sparse->values.dtype;
    sparse->dense.rank = (int)from->n_dims;
    for (size_t i = 0; i < from->n_dims; i++) {
        sparse->dense.dims[i] = from->dims[i];
    }
    if (status == STATUS_OK &&
        !tensor_dims_count(sparse->dense.dims, sparse->dense.rank, &count)) {
        return error_set(import->err, STATUS_INVALID,
                         "attribute %.100s: bad dimensions of a sparse tensor",
                         attr->name);
    }
    return status;
}

static enum status import_attr_type(struct import *import, struct graph *graph,
                                    const Onnx__AttributeProto *proto,
                                    struct attr *attr) {
    struct attr_type *type = arena_alloc(&graph->arena, 1, sizeof(*type));
    struct model_port port = {0};
    enum status status;
    if (type == NULL) {
        return no_memory(import);
    }
    status = import_type(import, proto->tp, attr->name, &port);
    type->dtype = port.type.dtype;
    memcpy(type->inner, port.inner, sizeof(type->inner));
    attr->kind = ATTR_TYPE;
    attr->as.type = type;
    return status;
}

/* A subgraph becomes a model of its own, which the graph around it owns. */
static enum status import_body(struct import *import, struct scope *scope,
                               const Onnx__GraphProto *proto, struct attr *attr) {
    struct model *body;
    struct scope inside = *scope;
    enum status status;
    if (scope->depth >= IMPORT_DEPTH_MAX) {
        return error_set(import->err, STATUS_UNSUPPORTED,
                         "subgraphs and functions nested deeper than %d",
                         IMPORT_DEPTH_MAX);
    }
    body = model_create_body(scope->graph);
    if (body == NULL) {
        return no_memory(import);
    }
    body->next_body = scope->graph->bodies;
    scope->graph->bodies = body;
    body->graph.opset = scope->graph->opset;
    inside.graph = &body->graph;
    inside.body = body;
    inside.outer = scope;
    inside.depth = scope->depth + 1;
    inside.slots = NULL;
    inside.slot_count = inside.used = 0;
    status = import_graph(import, &inside, proto, &body->ports);
    scope_release(&inside);
    attr->kind = ATTR_GRAPH;
    attr->as.body = body;
    return status;
}

/* Files older than IR version 2 leave the type out: it is the field that is set. */
static attr_kind_number attr_number(const Onnx__AttributeProto *proto) {
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
    if (proto->g != NULL) {
        return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
    }
    if (proto->n_floats > 0) {
        return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS;
    }
    return proto->n_strings > 0 ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS
                                : ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
}

/* The kinds that are read as they are; false for all others. */
static bool import_plain(const Onnx__AttributeProto *proto, attr_kind_number number,
                         struct attr *attr) {
    if (number == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT) {
        attr->kind = ATTR_FLOAT;
        attr->as.f = proto->f;
    } else if (number == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT) {
        attr->kind = ATTR_INT;
        attr->as.i = proto->i;
    } else if (number == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING) {
        attr->kind = ATTR_TEXT;
        attr->as.text = span_of(proto->s.data, proto->s.len);
    } else if (number == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS) {
        attr->kind = ATTR_FLOATS;
        attr->count = proto->n_floats;
        attr->as.floats = proto->floats;
    } else if (number == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS) {
        attr->kind = ATTR_INTS;
        attr->count = proto->n_ints;
        attr->as.ints = proto->ints;
    } else {
        return false;
    }
    return true;
}

static enum status import_attr(struct import *import, struct scope *scope,
                               struct graph *graph, const Onnx__AttributeProto *proto,
                               struct attr *attr) {
    attr_kind_number number = attr_number(proto);
    attr->kind = ATTR_OTHER;
    if (import_plain(proto, number, attr)) {
        return STATUS_OK;
    }
    if (number == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS) {
        return import_texts(import, graph, proto, attr);
    }
    if (number == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR && proto->t != NULL) {
        return import_tensor(import, graph, proto, attr);
    }
    if (number == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__SPARSE_TENSOR &&
        proto->sparse_tensor != NULL) {
        return import_sparse(import, graph, proto, attr);
    }
    if (number == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTO &&
        proto->tp != NULL) {
        return import_attr_type(import, graph, proto, attr);
    }
    if (number == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH && proto->g != NULL) {
        return import_body(import, scope, proto->g, attr);
    }
    return STATUS_OK;
}

static enum status import_attrs(struct import *import, struct scope *scope,
                                const Onnx__NodeProto *proto, struct node *node) {
    struct attr *items;
    int count = 0;
    if (proto->n_attribute > NODE_ATTRS_MAX) {
        return node_error(node, import->err, STATUS_UNSUPPORTED,
                          "%zu attributes, at most %d are handled", proto->n_attribute,
                          NODE_ATTRS_MAX);
    }
    items = arena_alloc(&scope->graph->arena, proto->n_attribute, sizeof(*items));
    if (items == NULL) {
        return no_memory(import);
    }
    for (size_t i = 0; i < proto->n_attribute; i++) {
        struct scope *home;
        const char *name = proto->attribute[i]->name;
        const Onnx__AttributeProto *meant =
            scope_attribute(scope, proto->attribute[i], &home);
        enum status status;
        if (meant == NULL) {
            continue; /* the call leaves it out */
        }
        items[count].name = name == NULL ? "" : name;
        status = import_attr(import, home, scope->graph, meant, &items[count++]);
        if (status != STATUS_OK) {
            return error_prefix(import->err, "%s '%.200s'", node->type, node->name);
        }
    }
    node->attrs = (struct attr_list){.items = items, .count = count};
    return STATUS_OK;
}

/* ---- inputs and outputs ----------------------------------------------------------- */

static enum status import_inputs_of(struct import *import, struct scope *scope,
                                    const Onnx__NodeProto *proto, struct node *node) {
    for (size_t i = 0; i < proto->n_input; i++) {
        bool found = false;
        enum status status;
        if (proto->input[i][0] == 0) {
            continue;
        }
        status =
            scope_find(scope, proto->input[i], &node->inputs[i], &found, import->err);
        if (status != STATUS_OK) {
            return status;
        }
        if (!found) {
            return node_error(node, import->err, STATUS_INVALID,
                              "reads '%.200s', which nothing before it makes",
                              proto->input[i]);
        }
    }
    return STATUS_OK;
}

static const char *node_label(const Onnx__NodeProto *proto) {
    if (proto->name != NULL && proto->name[0] != 0) {
        return proto->name;
    }
    return proto->n_output > 0 ? proto->output[0] : "";
}

/* An empty name is an output that is not wanted; one at least must be. */
static enum status import_outputs_of(struct import *import, struct scope *scope,
                                     const Onnx__NodeProto *proto, struct node *node) {
    bool wanted = false;
    for (size_t i = 0; i < proto->n_output; i++) {
        enum status status;
        if (proto->output[i][0] == 0) {
            bool made =
                i == 0 && node->op != NULL && (node->op->flags & OP_NO_FIRST) == 0;
            if (made && (node->outputs[0] = graph_add_value(scope->graph, "")) < 0) {
                return no_memory(import);
            }
            continue;
        }
        status = scope_define(scope, proto->output[i], &node->outputs[i], import->err);
        if (status != STATUS_OK) {
            return status;
        }
        wanted = true;
    }
    return wanted ? STATUS_OK
                  : node_error(node, import->err, STATUS_INVALID, "makes no output");
}

/* What the bodies capture are inputs of the node, behind its own. */
static enum status import_captures(struct import *import, struct scope *scope,
                                   struct node *node, int own) {
    int at = own, count = 0;
    node->explicit_count = own;
    for (int i = 0; i < node->attrs.count; i++) {
        count += node->attrs.items[i].kind == ATTR_GRAPH;
    }
    node->bodies =
        arena_alloc(&scope->graph->arena, (size_t)count, sizeof(struct model *));
    if (node->bodies == NULL) {
        return no_memory(import);
    }
    for (int i = 0; i < node->attrs.count; i++) {
        const struct attr *attr = &node->attrs.items[i];
        if (attr->kind == ATTR_GRAPH) {
            attr->as.body->capture_first = at;
            for (int k = 0; k < attr->as.body->capture_count; k++) {
                node->inputs[at++] = attr->as.body->captures[k];
            }
            node->bodies[node->body_count++] = attr->as.body;
        }
    }
    return STATUS_OK;
}

static int count_captures(const struct node *node) {
    int count = 0;
    for (int i = 0; i < node->attrs.count; i++) {
        if (node->attrs.items[i].kind == ATTR_GRAPH) {
            count += node->attrs.items[i].as.body->capture_count;
        }
    }
    return count;
}

static void note_missing(struct import *import, const char *type) {
    int i = 0;
    while (i < import->missing_count && strcmp(import->missing[i].type, type) != 0) {
        i++;
    }
    if (i < import->missing_count) {
        import->missing[i].count++;
    } else if (i < IMPORT_MISSING_MAX) {
        import->missing[import->missing_count++] =
            (struct missing){.type = type, .count = 1};
    } else {
        import->more_missing = true;
    }
}

/* ---- nodes ------------------------------------------------------------------------ */

static enum status import_operator(struct import *import, struct scope *scope,
                                   const Onnx__NodeProto *proto) {
    const char *domain = scope_default_domain(proto->domain) ? NULL : proto->domain;
    struct node made = {.type = proto->op_type == NULL ? "" : proto->op_type,
                        .name = node_label(proto),
                        .opset = scope_opset(scope, domain)};
    const struct contrib *contrib;
    int own = (int)proto->n_input, index;
    enum status status;
    made.op = op_find(domain, made.type, made.opset);
    contrib = made.op == NULL ? contrib_find(domain, made.type) : NULL;
    if (made.op == NULL && contrib == NULL) {
        note_missing(import, made.type);
    }
    if (proto->n_input > NODE_INPUTS_MAX || proto->n_output > NODE_OUTPUTS_MAX) {
        return node_error(&made, import->err, STATUS_UNSUPPORTED,
                          "more than %d inputs or outputs", NODE_INPUTS_MAX);
    }
    status = import_attrs(import, scope, proto, &made);
    if (status != STATUS_OK) {
        return status;
    }
    if (own + count_captures(&made) > NODE_INPUTS_MAX) {
        return node_error(&made, import->err, STATUS_UNSUPPORTED,
                          "its subgraphs read more than %d values around them",
                          NODE_INPUTS_MAX);
    }
    if (!graph_node_room(scope->graph, &made, own + count_captures(&made),
                         (int)proto->n_output)) {
        return no_memory(import);
    }
    status = import_inputs_of(import, scope, proto, &made);
    if (status == STATUS_OK) {
        status = import_captures(import, scope, &made, own);
    }
    if (status == STATUS_OK) {
        status = import_outputs_of(import, scope, proto, &made);
    }
    if (status != STATUS_OK || contrib != NULL) {
        return status != STATUS_OK
                   ? status
                   : contrib_expand(contrib, scope->graph, &made, import->err);
    }
    index = graph_add_node(scope->graph);
    if (index < 0) {
        return no_memory(import);
    }
    scope->graph->nodes[index] = made;
    return STATUS_OK;
}

/* ---- functions -------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b) {
    return strcmp(a == NULL ? "" : a, b == NULL ? "" : b) == 0;
}

static const Onnx__FunctionProto *find_function(const struct import *import,
                                                const Onnx__NodeProto *node) {
    for (size_t i = 0; i < import->proto->n_functions; i++) {
        const Onnx__FunctionProto *function = import->proto->functions[i];
        if (same_text(function->name, node->op_type) &&
            same_text(function->overload, node->overload) &&
            (same_text(function->domain, node->domain) ||
             (scope_default_domain(function->domain) &&
              scope_default_domain(node->domain)))) {
            return function;
        }
    }
    return NULL;
}

static enum status bind_inputs(struct import *import, struct scope *scope,
                               struct scope *inside) {
    const Onnx__NodeProto *call = inside->call;
    if (call->n_input > inside->function->n_input ||
        call->n_output > inside->function->n_output) {
        return error_set(import->err, STATUS_INVALID,
                         "%s '%.200s': more inputs or outputs than its function has",
                         call->op_type, node_label(call));
    }
    for (size_t i = 0; i < inside->function->n_input; i++) {
        int value = VALUE_NONE;
        bool found = true;
        enum status status = STATUS_OK;
        if (i < call->n_input && call->input[i][0] != 0) {
            status = scope_find(scope, call->input[i], &value, &found, import->err);
        }
        if (status == STATUS_OK && !found) {
            status = error_set(import->err, STATUS_INVALID,
                               "%s '%.200s': reads '%.200s', which nothing before it "
                               "makes",
                               call->op_type, node_label(call), call->input[i]);
        }
        if (status == STATUS_OK) {
            status = scope_bind(inside, inside->function->input[i], value, import->err);
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static enum status bind_outputs(struct import *import, struct scope *scope,
                                struct scope *inside) {
    const Onnx__NodeProto *call = inside->call;
    for (size_t i = 0; i < call->n_output; i++) {
        int value = VALUE_NONE;
        bool found = false;
        enum status status;
        if (call->output[i][0] == 0) {
            continue;
        }
        status =
            scope_find(inside, inside->function->output[i], &value, &found, import->err);
        if (status == STATUS_OK && (!found || value == VALUE_NONE)) {
            status = error_set(import->err, STATUS_INVALID,
                               "function %.100s: output '%.200s' is made by no node",
                               call->op_type, inside->function->output[i]);
        }
        if (status == STATUS_OK) {
            status = scope_bind(scope, call->output[i], value, import->err);
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

/* The function's nodes take the place of the call. */
static enum status import_call(struct import *import, struct scope *scope,
                               const Onnx__NodeProto *call,
                               const Onnx__FunctionProto *function) {
    struct scope inside = {.graph = scope->graph,
                           .depth = scope->depth + 1,
                           .opsets = function->opset_import,
                           .opset_count = function->n_opset_import,
                           .function = function,
                           .call = call,
                           .caller = scope};
    enum status status;
    if (scope->depth >= IMPORT_DEPTH_MAX || ++import->calls > IMPORT_CALLS_MAX) {
        return error_set(import->err, STATUS_UNSUPPORTED,
                         "function %.100s: calls nested deeper than %d, or more than %d",
                         call->op_type, IMPORT_DEPTH_MAX, IMPORT_CALLS_MAX);
    }
    status = bind_inputs(import, scope, &inside);
    if (status == STATUS_OK) {
        status = import_nodes(import, &inside, function->node, function->n_node);
    }
    if (status == STATUS_OK) {
        status = bind_outputs(import, scope, &inside);
    }
    scope_release(&inside);
    return status;
}

enum status import_nodes(struct import *import, struct scope *scope,
                         Onnx__NodeProto **nodes, size_t count) {
    if (count > GRAPH_NODES_MAX) {
        return error_set(import->err, STATUS_UNSUPPORTED,
                         "%zu nodes, at most %d are handled", count, GRAPH_NODES_MAX);
    }
    for (size_t n = 0; n < count; n++) {
        const Onnx__FunctionProto *function = find_function(import, nodes[n]);
        enum status status = function != NULL
                                 ? import_call(import, scope, nodes[n], function)
                                 : import_operator(import, scope, nodes[n]);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}
