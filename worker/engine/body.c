/* body.c - see body.h. */
#include "engine/body.h"

#include <string.h>

#include "base/size.h"
#include "engine/plan.h"

/* ---- loading ---------------------------------------------------------------------- */

/* A capture that has become a constant since the import is one in the body too. */
static void take_captures(const struct load *load, struct model *body, int count) {
    struct graph *graph = &body->graph;
    int kept = 0;
    for (int k = 0; k < body->capture_count; k++) {
        int at = body->capture_first + k, v = graph->inputs[count + k];
        struct value *value = &graph->values[v];
        const struct value *from = graph_input(load->graph, load->node, at);
        value->dtype = from->dtype;
        memcpy(value->inner, from->inner, sizeof(value->inner));
        if (from->constant != NULL) {
            value->constant = from->constant;
            value->input = -1;
            load->node->inputs[at] = VALUE_NONE;
            continue;
        }
        value->input = count + kept;
        graph->inputs[count + kept] = v;
        body->captures[kept++] = at;
    }
    graph->input_count = count + kept;
    body->capture_count = kept;
}

static bool make_ports(struct model *body, int count) {
    struct graph *graph = &body->graph;
    struct model_port *ports =
        arena_alloc(&graph->arena, (size_t)graph->input_count, sizeof(*ports));
    if (ports == NULL) {
        return false;
    }
    for (int i = 0; i < graph->input_count; i++) {
        const struct value *value = &graph->values[graph->inputs[i]];
        ports[i].name = i < count ? body->ports.inputs[i].name : value->name;
        ports[i].type.dtype = value->dtype;
        ports[i].type.rank = -1;
        memcpy(ports[i].inner, value->inner, sizeof(ports[i].inner));
    }
    body->ports.inputs = ports;
    return true;
}

static const struct model *find_body(struct load *load, const char *name, int *index) {
    const struct attr *attr = attr_find(load->node, name);
    if (attr == NULL || attr->kind != ATTR_GRAPH) {
        return NULL;
    }
    for (*index = 0; load->node->bodies[*index] != attr->as.body; (*index)++) {
    }
    return attr->as.body;
}

/* What an output is handed on from by Identity. */
static int source_of(const struct graph *graph, int v) {
    while (v != VALUE_NONE && graph->values[v].producer != NODE_NONE) {
        const struct node *node = &graph->nodes[graph->values[v].producer];
        if (strcmp(node->type, "Identity") != 0) {
            break;
        }
        v = node->inputs[0];
    }
    return v;
}

enum status body_keep_constants(struct load *load, const char *name,
                                const struct value *const *inputs, int count,
                                int first_in, int first_out, struct error *err) {
    int index;
    struct model *body;
    struct graph *graph;
    if (find_body(load, name, &index) == NULL) {
        return STATUS_OK; /* body_load tells */
    }
    body = load->node->bodies[index];
    graph = &body->graph;
    for (int i = first_in, k = first_out;
         i < count && i < graph->input_count - body->capture_count &&
         k < graph->output_count;
         i++, k++) {
        int v = graph->inputs[i], constant;
        if (inputs[i]->constant == NULL || source_of(graph, graph->outputs[k]) != v) {
            continue;
        }
        constant = graph_add_value(graph, graph->values[v].name);
        if (constant < 0) {
            return load_no_memory(load, err);
        }
        graph->values[constant].dtype = inputs[i]->dtype;
        graph->values[constant].constant = inputs[i]->constant;
        graph_replace_uses(graph, v, constant);
    }
    return STATUS_OK;
}

enum status body_load(struct load *load, const char *name,
                      const struct value *const *inputs, int count, struct model **out,
                      int *index, struct error *err) {
    struct model *body;
    enum status status;
    if (find_body(load, name, index) == NULL) {
        return node_error(load->node, err, STATUS_INVALID, "attribute %s is no graph",
                          name);
    }
    *out = body = load->node->bodies[*index];
    if (body->graph.input_count - body->capture_count != count) {
        return node_error(load->node, err, STATUS_INVALID,
                          "its graph %s has %d inputs where %d are given", name,
                          body->graph.input_count - body->capture_count, count);
    }
    for (int i = 0; i < count; i++) {
        struct value *value = &body->graph.values[body->graph.inputs[i]];
        value->dtype = inputs[i]->dtype;
        memcpy(value->inner, inputs[i]->inner, sizeof(value->inner));
    }
    take_captures(load, body, count);
    if (!make_ports(body, count)) {
        return load_no_memory(load, err);
    }
    status = model_ready(body, load->graph->passes, err);
    return status == STATUS_OK ? status
                               : error_prefix(err, "%s '%.100s' %s", load->node->type,
                                              load->node->name, name);
}

/* ---- running ---------------------------------------------------------------------- */

enum status body_run(const struct exec *exec, const struct model *body, int index,
                     struct tensor *inputs, int count, struct error *err) {
    struct session *session = exec->bodies[index];
    enum status status;
    if (!session_iterate(session)) {
        return node_error(exec->node, err, STATUS_POISON,
                          "loops of more iterations than the limit allows");
    }
    for (int k = 0; k < body->capture_count; k++) {
        inputs[count + k] = *exec->x[body->captures[k]];
    }
    status = session_prepare(session, inputs, err);
    if (status == STATUS_OK) {
        status = session_run(session, inputs, err);
    }
    return status == STATUS_OK
               ? status
               : error_prefix(err, "%s '%.100s'", exec->node->type, exec->node->name);
}

/* ---- holds ------------------------------------------------------------------------ */

enum status hold_grow(const struct exec *exec, struct hold *hold, size_t size,
                      struct error *err) {
    struct budget *memory = exec->memory;
    size_t wanted = size_align(size_max(size, 1), PLAN_ALIGN);
    void *grown;
    if (wanted <= hold->size) {
        return STATUS_OK;
    }
    wanted = size_max(wanted, 2 * hold->size);
    if (!budget_take(memory, wanted)) {
        return node_error(exec->node, err, STATUS_NO_MEMORY,
                          "needs %zu bytes, the limit of %zu would be passed", wanted,
                          memory->max);
    }
    grown = aligned_alloc(PLAN_ALIGN, wanted);
    if (grown == NULL) {
        budget_give(memory, wanted);
        return node_error(exec->node, err, STATUS_NO_MEMORY, "out of memory");
    }
    if (hold->size > 0) {
        memcpy(grown, hold->data, hold->size);
    }
    hold_release(hold);
    *hold = (struct hold){.data = grown, .size = wanted, .budget = memory};
    return STATUS_OK;
}

void hold_release(struct hold *hold) {
    if (hold->budget != NULL) {
        budget_give(hold->budget, hold->size);
    }
    free(hold->data);
    *hold = (struct hold){0};
}

static bool is_list(enum dtype dtype) {
    return dtype == DTYPE_SEQUENCE || dtype == DTYPE_OPTIONAL;
}

/* Bytes of a copy of `x` with texts and elements. */
static size_t deep_size(const struct tensor *x) {
    size_t size = size_align(tensor_size(x), PLAN_ALIGN), texts = 0;
    size_t count = tensor_count(x);
    for (size_t i = 0; x->dtype == DTYPE_STRING && i < count; i++) {
        texts += ((const struct span *)x->data)[i].size;
    }
    for (size_t i = 0; is_list(x->dtype) && i < count; i++) {
        size += deep_size((const struct tensor *)x->data + i);
    }
    return size + size_align(texts, PLAN_ALIGN);
}

/* Such a copy at `memory`, which is 64-byte aligned; returns its end. */
static uint8_t *deep_copy(const struct tensor *x, struct tensor *copy, uint8_t *memory) {
    size_t size = tensor_size(x), count = tensor_count(x);
    uint8_t *end = memory + size_align(size, PLAN_ALIGN), *text = end;
    *copy = *x;
    copy->data = memory;
    if (size > 0) {
        memcpy(memory, x->data, size);
    }
    for (size_t i = 0; x->dtype == DTYPE_STRING && i < count; i++) {
        struct span *span = (struct span *)copy->data + i;
        if (span->size > 0) {
            memcpy(text, span->data, span->size);
        }
        span->data = text;
        text += span->size;
    }
    end += size_align((size_t)(text - end), PLAN_ALIGN);
    for (size_t i = 0; is_list(x->dtype) && i < count; i++) {
        end = deep_copy((const struct tensor *)x->data + i,
                        (struct tensor *)copy->data + i, end);
    }
    return end;
}

enum status hold_copy(const struct exec *exec, struct hold *hold, const struct tensor *x,
                      struct tensor *copy, struct error *err) {
    enum status status = hold_grow(exec, hold, deep_size(x), err);
    if (status == STATUS_OK) {
        (void)deep_copy(x, copy, hold->data); /* the end is not needed */
    }
    return status;
}

/* ---- memos ------------------------------------------------------------------------ */

enum status body_memo_make(struct exec *exec, int holds, struct error *err) {
    struct body_memo *memo = exec->memo;
    size_t inputs = 0;
    if (memo->inputs != NULL) {
        return STATUS_OK;
    }
    for (int i = 0; i < exec->node->body_count; i++) {
        inputs = size_max(inputs, (size_t)exec->node->bodies[i]->graph.input_count);
    }
    memo->inputs = calloc(inputs + 1, sizeof(*memo->inputs));
    memo->holds = calloc((size_t)holds + 1, sizeof(*memo->holds));
    memo->results = calloc((size_t)exec->node->output_count + 1, sizeof(*memo->results));
    memo->hold_count = holds;
    if (memo->inputs == NULL || memo->holds == NULL || memo->results == NULL) {
        body_memo_release(exec);
        return node_error(exec->node, err, STATUS_NO_MEMORY, "out of memory");
    }
    return STATUS_OK;
}

void body_memo_release(struct exec *exec) {
    struct body_memo *memo = exec->memo;
    for (int i = 0; memo->holds != NULL && i < memo->hold_count; i++) {
        hold_release(&memo->holds[i]);
    }
    free(memo->inputs);
    free(memo->holds);
    free(memo->results);
    *memo = (struct body_memo){0};
}

void body_memo_shape(struct exec *exec) {
    const struct body_memo *memo = exec->memo;
    for (int i = 0; i < exec->node->output_count; i++) {
        if (exec->y[i] != NULL) {
            exec->y[i]->rank = memo->results[i].rank;
            memcpy(exec->y[i]->dims, memo->results[i].dims, sizeof(exec->y[i]->dims));
        }
    }
}

/* Texts and elements stay where they are: nothing runs the bodies before the outputs
 * have been read. */
enum status body_memo_run(struct exec *exec, struct error *err) {
    const struct body_memo *memo = exec->memo;
    (void)err; /* shape() has computed all */
    for (int i = 0; i < exec->node->output_count; i++) {
        size_t size = exec->y[i] == NULL ? 0 : tensor_size(exec->y[i]);
        if (size > 0) {
            memcpy(exec->y[i]->data, memo->results[i].data, size);
        }
    }
    return STATUS_OK;
}
