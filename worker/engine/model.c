/* model.c - see model.h. */
#include "engine/model.h"

#include <assert.h>
#include <onnx.pb-c.h>

#include "engine/model_impl.h"
#include "engine/ops/ops.h"
#include "engine/passes/passes.h"

static enum status no_memory(struct error *err) {
    return error_set(err, STATUS_NO_MEMORY, "out of memory");
}

static void count_parameters(struct model *model) {
    for (int v = 0; v < model->graph.value_count; v++) {
        if (model->graph.values[v].constant != NULL) {
            model->parameter_count += tensor_count(model->graph.values[v].constant);
        }
    }
}

bool model_needs(const struct model *model, int n) {
    const struct node *node = &model->graph.nodes[n];
    bool needed =
        model->phases[n] == PHASE_DYNAMIC || (node->op->flags & OP_NOT_CONSTANT) != 0;
    for (int i = 0; i < node->output_count && !needed; i++) {
        needed =
            node->outputs[i] != VALUE_NONE && model->last_read[node->outputs[i]] >= 0;
    }
    return needed;
}

/* From the last node to the first: what only nodes read that nobody needs is not read. */
static void find_last_reads(struct model *model) {
    const struct graph *graph = &model->graph;
    for (int v = 0; v < graph->value_count; v++) {
        model->last_read[v] = -1;
    }
    for (int i = 0; i < graph->output_count; i++) {
        model->last_read[graph->outputs[i]] = graph->node_count;
    }
    for (int n = graph->node_count - 1; n >= 0; n--) {
        const struct node *node = &graph->nodes[n];
        const bool reads = model->phases[n] != PHASE_PREPARE && model_needs(model, n);
        for (int i = 0; reads && i < node->input_count; i++) {
            int v = node->inputs[i];
            if (v != VALUE_NONE && model->last_read[v] < 0) {
                model->last_read[v] = n;
            }
        }
    }
}

/* Phases, and until when each value's data is wanted. */
static enum status schedule(struct model *model, struct error *err) {
    struct graph *graph = &model->graph;
    size_t nodes = (size_t)graph->node_count, values = (size_t)graph->value_count;
    model->phases = arena_alloc(&graph->arena, nodes, sizeof(*model->phases));
    model->made_in = arena_alloc(&graph->arena, values, sizeof(*model->made_in));
    model->last_read = arena_alloc(&graph->arena, values, sizeof(*model->last_read));
    if (model->phases == NULL || model->made_in == NULL || model->last_read == NULL) {
        return no_memory(err);
    }
    load_phases(graph, model->phases, model->made_in);
    find_last_reads(model);
    return STATUS_OK;
}

/* A ZipMap's file does not say how many scores a row has, but its node knows. */
static void take_classes(const struct graph *graph, const struct value *made,
                         struct model_port *port) {
    int64_t classes =
        made->producer == NODE_NONE ? 0 : zip_map_classes(&graph->nodes[made->producer]);
    if (classes > 0 && port->type.rank == 2 && port->type.dims[1] < 0) {
        port->type.dims[1] = classes;
    }
}

/* The declared type of an output must be the one its node makes; a sequence of maps,
 * which ZipMap is declared to make, is the tensor that it is made from. */
static enum status check_outputs(const struct model *model, struct error *err) {
    for (int i = 0; i < model->graph.output_count; i++) {
        struct model_port *port = &model->ports.outputs[i];
        const struct value *made = &model->graph.values[model->graph.outputs[i]];
        if (port->type.dtype == DTYPE_NONE) {
            port->type.dtype = made->dtype;
        }
        if (made->dtype != port->type.dtype || made->inner[0] != port->inner[0] ||
            made->inner[1] != port->inner[1]) {
            return error_set(
                err, STATUS_INVALID, "output '%.200s' is declared %s, its node makes %s",
                port->name, dtype_name(port->type.dtype), dtype_name(made->dtype));
        }
        take_classes(&model->graph, made, port);
    }
    return STATUS_OK;
}

enum status model_ready(struct model *model, unsigned passes, struct error *err) {
    enum status status = load_graph(&model->graph, passes, err);
    return status == STATUS_OK ? schedule(model, err) : status;
}

/* What is small lies in the arena; a file that makes that large is refused too. */
static struct model *create(size_t arena_max) {
    struct model *model = calloc(1, sizeof(*model));
    if (model != NULL) {
        arena_init(&model->graph.arena, arena_max);
    }
    return model;
}

/* An empty model; NULL where memory runs out. */
static struct model *create_outer(size_t memory_max) {
    size_t max = memory_max == 0 ? MODEL_MEMORY_DEFAULT_MAX : memory_max;
    struct model *model = create(max);
    if (model != NULL) {
        model->budget.max = max;
        model->graph.budget = &model->budget;
    }
    return model;
}

struct model *model_create_body(const struct graph *outer) {
    struct model *body = create(outer->arena.limit);
    if (body != NULL) {
        body->graph.budget = outer->budget;
        body->graph.external = outer->external;
    }
    return body;
}

/* `path` of the file, where data beside it may be read; else NULL. */
static enum status import(struct model *model, const char *path, struct error *err) {
    enum status status = STATUS_OK;
    if (path != NULL) {
        status = external_open(&model->external, path, err);
        model->graph.external = &model->external;
    }
    if (status == STATUS_OK) {
        status = onnx_import(model->graph.file, model, err);
    }
    if (path != NULL) {
        external_close(&model->external);
    }
    onnx_done(model->graph.file);
    return status;
}

static enum status build(struct model *model, const char *external, unsigned passes,
                         struct error *err) {
    enum status status = import(model, external, err);
    if (status != STATUS_OK) {
        return status;
    }
    count_parameters(model);
    status = model_ready(model, passes, err);
    return status == STATUS_OK ? check_outputs(model, err) : status;
}

/* An empty model with its file still to be read. */
static struct model *create_for_file(const struct model_options *options) {
    struct model *model = create_outer(options->memory_max);
    if (model == NULL) {
        return NULL;
    }
    model->graph.file = calloc(1, sizeof(struct onnx_file));
    if (model->graph.file == NULL) {
        model_close(model);
        return NULL;
    }
    return model;
}

enum status model_open_bytes_with(struct span bytes, const char *beside, unsigned passes,
                                  const struct model_options *options, struct model **out,
                                  struct error *err) {
    struct model *model = create_for_file(options);
    enum status status;
    *out = NULL;
    if (model == NULL) {
        return no_memory(err);
    }
    status = onnx_unpack(model->graph.file, bytes, &onnx__model_proto__descriptor, err);
    if (status == STATUS_OK) {
        status = build(model, beside, passes, err);
    }
    if (status != STATUS_OK) {
        model_close(model);
        return status;
    }
    *out = model;
    return STATUS_OK;
}

enum status model_open_bytes(struct span bytes, unsigned passes, struct model **out,
                             struct error *err) {
    static const struct model_options defaults = {0};
    return model_open_bytes_with(bytes, NULL, passes, &defaults, out, err);
}

enum status model_open(const char *path, struct model **out, struct error *err) {
    static const struct model_options defaults = {0};
    return model_open_with(path, &defaults, out, err);
}

enum status model_open_with(const char *path, const struct model_options *options,
                            struct model **out, struct error *err) {
    struct model *model = create_for_file(options);
    enum status status;
    assert(path != NULL);
    *out = NULL;
    if (model == NULL) {
        return no_memory(err);
    }
    model->path = strdup(path);
    status = model->path == NULL ? no_memory(err) : STATUS_OK;
    if (status == STATUS_OK) {
        status = onnx_read(model->graph.file, path, MODEL_FILE_SIZE_MAX,
                           &onnx__model_proto__descriptor, err);
    }
    if (status == STATUS_OK) {
        status = build(model, options->external_data ? path : NULL, PASSES_ALL, err);
    }
    if (status != STATUS_OK) {
        error_prefix(err, "%.300s", path);
        model_close(model);
        return status;
    }
    *out = model;
    return STATUS_OK;
}

void model_close(struct model *model) {
    if (model == NULL) {
        return;
    }
    graph_release(&model->graph);
    free(model->path);
    free(model);
}

void model_info(const struct model *model, struct model_info *info) {
    const struct graph *graph = &model->graph;
    *info = (struct model_info){
        .path = model->path == NULL ? "" : model->path,
        .opset = graph->opset,
        .parameter_count = model->parameter_count,
        .memory_max = model->budget.max,
        .weight_size = graph->block_size,
        .node_count = (size_t)graph->node_count,
    };
    info->weight_size += graph->arena.total;
    if (graph->file != NULL) {
        info->weight_size += ((const struct onnx_file *)graph->file)->used;
    }
}

int model_input_count(const struct model *model) {
    return model->graph.input_count;
}

int model_output_count(const struct model *model) {
    return model->graph.output_count;
}

const struct model_port *model_input(const struct model *model, int index) {
    assert(index >= 0 && index < model->graph.input_count);
    return &model->ports.inputs[index];
}

const struct model_port *model_output(const struct model *model, int index) {
    assert(index >= 0 && index < model->graph.output_count);
    return &model->ports.outputs[index];
}

static int find_port(const struct model_port *ports, int count, struct span name) {
    if (name.size == 0) {
        return count == 1 ? 0 : -1;
    }
    for (int i = 0; i < count; i++) {
        if (span_is(name, ports[i].name)) {
            return i;
        }
    }
    return -1;
}

int model_input_find(const struct model *model, struct span name) {
    return find_port(model->ports.inputs, model->graph.input_count, name);
}

int model_output_find(const struct model *model, struct span name) {
    return find_port(model->ports.outputs, model->graph.output_count, name);
}
