/* model_file.c - see model_file.h. */
#include "tools/model_file.h"

#include <onnx.pb-c.h>

#include "engine/model.h"
#include "engine/op.h"

/* Graphs still to be looked through. */
struct work {
    const Onnx__GraphProto *graphs[MODEL_FILE_GRAPHS_MAX];
    size_t count;
};

static const char *text_or_empty(const char *text) {
    return text != NULL ? text : "";
}

/* ONNX's own domain has two names. */
static const char *domain_name(const char *domain) {
    return domain == NULL || strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

static int64_t opset_of(const Onnx__ModelProto *proto, const char *domain) {
    for (size_t i = 0; i < proto->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *import = proto->opset_import[i];
        if (strcmp(domain_name(import->domain), domain) == 0) {
            return import->version;
        }
    }
    return 0;
}

static enum status push(struct work *work, const Onnx__GraphProto *graph,
                        struct error *err) {
    if (work->count == MODEL_FILE_GRAPHS_MAX) {
        return error_set(err, STATUS_UNSUPPORTED, "it has more than %d subgraphs",
                         MODEL_FILE_GRAPHS_MAX);
    }
    work->graphs[work->count++] = graph;
    return STATUS_OK;
}

static enum status count_node(struct model_file *file, const Onnx__ModelProto *proto,
                              const Onnx__NodeProto *node, struct error *err) {
    const char *domain = domain_name(node->domain);
    const char *name = text_or_empty(node->op_type);
    for (size_t i = 0; i < file->operator_count; i++) {
        struct model_operator *known = &file->operators[i];
        if (strcmp(known->name, name) == 0 && strcmp(known->domain, domain) == 0) {
            known->count++;
            return STATUS_OK;
        }
    }
    if (file->operator_count == MODEL_FILE_OPERATORS_MAX) {
        return error_set(err, STATUS_UNSUPPORTED, "it has more than %d operators",
                         MODEL_FILE_OPERATORS_MAX);
    }
    struct model_operator *made = &file->operators[file->operator_count++];
    *made = (struct model_operator){
        .domain = domain, .name = name, .opset = opset_of(proto, domain), .count = 1};
    made->supported =
        op_find(domain[0] == 0 ? NULL : domain, made->name, made->opset) != NULL;
    return STATUS_OK;
}

static enum status count_graph(struct model_file *file, const Onnx__ModelProto *proto,
                               const Onnx__GraphProto *graph, struct work *work,
                               struct error *err) {
    for (size_t i = 0; i < graph->n_node; i++) {
        const Onnx__NodeProto *node = graph->node[i];
        enum status status = count_node(file, proto, node, err);
        for (size_t k = 0; k < node->n_attribute && status == STATUS_OK; k++) {
            if (node->attribute[k]->g != NULL) {
                status = push(work, node->attribute[k]->g, err);
            }
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static int compare_operators(const void *a, const void *b) {
    const struct model_operator *x = a, *y = b;
    int order = strcmp(x->domain, y->domain);
    return order != 0 ? order : strcmp(x->name, y->name);
}

enum status model_file_open(const char *path, struct model_file *file,
                            struct error *err) {
    struct work *work = NULL;
    *file = (struct model_file){.producer = ""};
    enum status status = onnx_read(&file->file, path, MODEL_FILE_SIZE_MAX,
                                   &onnx__model_proto__descriptor, err);
    if (status != STATUS_OK) {
        return error_prefix(err, "%s", path);
    }
    const Onnx__ModelProto *proto = (const Onnx__ModelProto *)file->file.message;
    file->producer = text_or_empty(proto->producer_name);
    work = calloc(1, sizeof(*work));
    if (work == NULL) {
        status = error_set(err, STATUS_NO_MEMORY, "%s: no memory", path);
    } else if (proto->graph == NULL) {
        status = error_set(err, STATUS_INVALID, "%s: it has no graph", path);
    } else {
        status = push(work, proto->graph, err);
    }
    while (status == STATUS_OK && work->count > 0) {
        const Onnx__GraphProto *graph = work->graphs[--work->count];
        status = count_graph(file, proto, graph, work, err);
    }
    free(work);
    if (status != STATUS_OK) {
        model_file_close(file);
        return status;
    }
    qsort(file->operators, file->operator_count, sizeof(file->operators[0]),
          compare_operators);
    return STATUS_OK;
}

void model_file_close(struct model_file *file) {
    onnx_release(&file->file);
    *file = (struct model_file){.producer = ""};
}
