/* onnx_import.c - see onnx_import.h; nodes are in onnx_node.c, names in scope.c. */
#include "engine/onnx_import.h"

#include <assert.h>

#include "engine/onnx_node.h"
#include "engine/onnx_tensor.h"
#include "engine/op.h"

static enum status no_memory(struct import *import) {
    return error_set(import->err, STATUS_NO_MEMORY, "out of memory");
}

/* ---- declared types --------------------------------------------------------------- */

static enum status type_error(struct import *import, const char *name, const char *what) {
    return error_set(import->err, STATUS_UNSUPPORTED,
                     "'%.200s' is %s, which is not supported", name, what);
}

static enum status import_dims(struct import *import, const char *name,
                               const Onnx__TensorShapeProto *shape,
                               struct model_port *port) {
    if (shape->n_dim > TENSOR_RANK_MAX) {
        return error_set(import->err, STATUS_UNSUPPORTED,
                         "'%.200s' has rank %zu, at most %d are handled", name,
                         shape->n_dim, TENSOR_RANK_MAX);
    }
    port->type.rank = (int)shape->n_dim;
    for (int i = 0; i < port->type.rank; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
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

static enum status import_tensor_type(struct import *import, const char *name,
                                      const Onnx__TypeProto__Tensor *type,
                                      struct model_port *port) {
    port->type.dtype = onnx_dtype(type->elem_type);
    port->type.rank = -1; /* unknown */
    if (port->type.dtype == DTYPE_NONE) {
        return error_set(import->err, STATUS_UNSUPPORTED,
                         "'%.200s' has data type number %d, which is not supported", name,
                         type->elem_type);
    }
    return type->shape == NULL ? STATUS_OK : import_dims(import, name, type->shape, port);
}

/* A sequence or optional of `element`. */
static enum status import_list_type(struct import *import, const char *name,
                                    enum dtype dtype, const Onnx__TypeProto *element,
                                    struct model_port *port) {
    struct model_port inside = {0};
    enum status status;
    if (element == NULL) {
        return type_error(import, name, "a list of nothing");
    }
    if (dtype == DTYPE_SEQUENCE &&
        element->value_case == ONNX__TYPE_PROTO__VALUE_MAP_TYPE) {
        /* What ZipMap makes, the tensor that it is made from: [rows, classes]. */
        port->type.rank = 2;
        port->type.dims[0] = port->type.dims[1] = -1;
        return STATUS_OK;
    }
    /* Lists in lists in lists are not needed by anything: one level of recursion. */
    if (dtype == DTYPE_SEQUENCE &&
        element->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE) {
        return type_error(import, name, "a sequence of other than tensors");
    }
    status = import_type(import, element, name, &inside);
    port->type.dtype = dtype;
    port->type.rank = 1;
    port->type.dims[0] = -1;
    port->inner[0] = inside.type.dtype;
    port->inner[1] = inside.inner[0];
    return status;
}

enum status import_type(struct import *import, const Onnx__TypeProto *proto,
                        const char *name, struct model_port *port) {
    const Onnx__TypeProto *element;
    if (proto != NULL && proto->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE &&
        proto->tensor_type != NULL) {
        return import_tensor_type(import, name, proto->tensor_type, port);
    }
    if (proto != NULL && proto->value_case == ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE &&
        proto->sequence_type != NULL) {
        element = proto->sequence_type->elem_type;
        return import_list_type(import, name, DTYPE_SEQUENCE, element, port);
    }
    if (proto != NULL && proto->value_case == ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE &&
        proto->optional_type != NULL) {
        element = proto->optional_type->elem_type;
        if (element != NULL &&
            element->value_case == ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE) {
            return type_error(import, name, "an optional of an optional");
        }
        return import_list_type(import, name, DTYPE_OPTIONAL, element, port);
    }
    return type_error(import, name, "no tensor, sequence or optional");
}

/* Bodies need not declare types: theirs follow from what they are given. */
static enum status import_port(struct import *import, const struct scope *scope,
                               const Onnx__ValueInfoProto *info,
                               struct model_port *port) {
    port->name = info->name == NULL ? "" : info->name;
    port->type.rank = -1;
    if (scope->body == NULL) {
        return import_type(import, info->type, port->name, port);
    }
    if (info->type != NULL &&
        info->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE &&
        info->type->tensor_type != NULL && info->type->tensor_type->shape != NULL) {
        return import_dims(import, port->name, info->type->tensor_type->shape, port);
    }
    return STATUS_OK;
}

/* ---- initialisers, inputs, outputs ------------------------------------------------ */

static enum status import_initialisers(struct import *import, struct scope *scope,
                                       const Onnx__GraphProto *proto) {
    struct graph *graph = scope->graph;
    if (proto->n_sparse_initializer > 0) {
        return error_set(import->err, STATUS_UNSUPPORTED,
                         "sparse initialisers are not supported");
    }
    for (size_t i = 0; i < proto->n_initializer; i++) {
        struct tensor *tensor = arena_alloc(&graph->arena, 1, sizeof(*tensor));
        int value = 0;
        enum status status;
        if (tensor == NULL) {
            return no_memory(import);
        }
        status = onnx_weight(proto->initializer[i], graph, tensor, import->err);
        if (status == STATUS_OK) {
            status =
                scope_define(scope, proto->initializer[i]->name, &value, import->err);
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
static bool has_initialiser(const Onnx__GraphProto *proto, const struct scope *scope,
                            const char *name, struct error *err) {
    /* Initialisers are all that is defined so far, and nothing is looked up around. */
    struct scope own = *scope;
    int value;
    bool found = false;
    own.outer = NULL;
    return proto->n_initializer > 0 && name != NULL &&
           scope_find(&own, name, &value, &found, err) == STATUS_OK && found &&
           scope->graph->values[value].constant != NULL;
}

static enum status import_inputs(struct import *import, struct scope *scope,
                                 const Onnx__GraphProto *proto,
                                 struct onnx_ports *ports) {
    struct graph *graph = scope->graph;
    ports->inputs = arena_alloc(&graph->arena, MODEL_INPUTS_MAX, sizeof(*ports->inputs));
    if (ports->inputs == NULL) {
        return no_memory(import);
    }
    for (size_t i = 0; i < proto->n_input; i++) {
        struct model_port *port = &ports->inputs[graph->input_count];
        int value = 0;
        enum status status;
        if (has_initialiser(proto, scope, proto->input[i]->name, import->err)) {
            continue;
        }
        if (graph->input_count == MODEL_INPUTS_MAX) {
            return error_set(import->err, STATUS_UNSUPPORTED, "more than %d inputs",
                             MODEL_INPUTS_MAX);
        }
        status = scope_define(scope, proto->input[i]->name, &value, import->err);
        if (status == STATUS_OK) {
            status = import_port(import, scope, proto->input[i], port);
        }
        if (status == STATUS_OK && scope->body == NULL &&
            port->type.dtype == DTYPE_NONE) {
            status = type_error(import, port->name, "a sequence of maps");
        }
        if (status != STATUS_OK) {
            return status;
        }
        graph->values[value].dtype = port->type.dtype;
        memcpy(graph->values[value].inner, port->inner, sizeof(port->inner));
        if (!graph_add_input(graph, value)) {
            return no_memory(import);
        }
    }
    return STATUS_OK;
}

static enum status import_outputs(struct import *import, struct scope *scope,
                                  const Onnx__GraphProto *proto,
                                  struct onnx_ports *ports) {
    struct graph *graph = scope->graph;
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
        int value = VALUE_NONE;
        bool found = false;
        enum status status = scope_find(scope, name, &value, &found, import->err);
        if (status == STATUS_OK && (!found || value == VALUE_NONE)) {
            status = error_set(import->err, STATUS_INVALID,
                               "output '%.200s' is made by no node", name);
        }
        if (status == STATUS_OK) {
            status = import_port(import, scope, proto->output[i], &ports->outputs[i]);
        }
        if (status != STATUS_OK) {
            return status;
        }
        graph->values[value].is_output = true;
        graph->outputs[graph->output_count++] = value;
    }
    return STATUS_OK;
}

enum status import_graph(struct import *import, struct scope *scope,
                         const Onnx__GraphProto *proto, struct onnx_ports *ports) {
    enum status status = import_initialisers(import, scope, proto);
    if (status == STATUS_OK) {
        status = import_inputs(import, scope, proto, ports);
    }
    if (status == STATUS_OK) {
        status = import_nodes(import, scope, proto->node, proto->n_node);
    }
    if (status == STATUS_OK) {
        status = import_outputs(import, scope, proto, ports);
    }
    if (status == STATUS_OK) {
        graph_recount(scope->graph);
    }
    return status;
}

/* ---- the model -------------------------------------------------------------------- */

static enum status check_operators(const struct import *import, int64_t opset) {
    char text[ERROR_TEXT_MAX - 100];
    size_t used = 0;
    if (import->missing_count == 0) {
        return STATUS_OK;
    }
    for (int i = 0; i < import->missing_count && used < sizeof(text); i++) {
        int n =
            snprintf(text + used, sizeof(text) - used, "%s%.60s (%d)", i == 0 ? "" : ", ",
                     import->missing[i].type, import->missing[i].count);
        used += n > 0 ? (size_t)n : 0;
    }
    return error_set(import->err, STATUS_UNSUPPORTED,
                     "operators not supported at opset %lld: %s%s", (long long)opset,
                     text, import->more_missing ? ", more" : "");
}

/* Version 0: the model imports none of ONNX's own operators. */
static enum status check_opset(const struct import *import, int64_t opset) {
    if (import->proto->graph == NULL) {
        return error_set(import->err, STATUS_INVALID, "the file holds no graph");
    }
    if (opset < 0 || opset > OP_OPSET_MAX) {
        return error_set(import->err, STATUS_UNSUPPORTED,
                         "opset %lld, supported are 1 to %d", (long long)opset,
                         OP_OPSET_MAX);
    }
    return STATUS_OK;
}

enum status onnx_import(const struct onnx_file *file, struct model *model,
                        struct error *err) {
    struct import import = {.proto = (const Onnx__ModelProto *)file->message, .err = err};
    struct scope scope = {.graph = &model->graph,
                          .opsets = import.proto->opset_import,
                          .opset_count = import.proto->n_opset_import};
    enum status status;
    model->graph.opset = scope_opset(&scope, NULL);
    status = check_opset(&import, model->graph.opset);
    if (status == STATUS_OK) {
        status = import_graph(&import, &scope, import.proto->graph, &model->ports);
    }
    scope_release(&scope);
    return status == STATUS_OK ? check_operators(&import, model->graph.opset) : status;
}
