/* session.c - see session.h.
 *
 * Every value has a tensor here, and its data is in one of four places:
 *
 *     the model       constants
 *     a buffer        PHASE_PREPARE and PHASE_DYNAMIC values: one each, which grows
 *     the caller      inputs, and views of them; set by each run
 *     the workspace   PHASE_RUN values: a "place" is a root value and an offset into it;
 *                     views and in-place results share their root's memory
 *
 * The plan says where roots lie in the workspace.  It is kept while every root needs no
 * more than planned and the places are the same; so a smaller batch only changes dims. */
#include "engine/session.h"

#include <assert.h>

#include "base/cpu.h"
#include "base/size.h"
#include "engine/session_impl.h"

#define WORKSPACE_DEFAULT_MAX ((size_t)4 << 30)

static enum status no_memory(struct error *err) {
    return error_set(err, STATUS_NO_MEMORY, "out of memory");
}

/* ---- create and destroy ----------------------------------------------------------- */

static void *array(struct session *session, int count, size_t size) {
    return arena_alloc(&session->arena, (size_t)count + 1, size);
}

static bool make_arrays(struct session *session) {
    int values = session->graph->value_count, nodes = session->graph->node_count;
    session->dims = array(session, session->graph->input_count, sizeof(*session->dims));
    session->row_dims =
        array(session, session->graph->input_count, sizeof(*session->row_dims));
    session->tensors = array(session, values, sizeof(*session->tensors));
    session->buffers = array(session, values, sizeof(*session->buffers));
    session->places = array(session, values, sizeof(*session->places));
    session->planned = array(session, values, sizeof(*session->planned));
    session->alive_until = array(session, values, sizeof(*session->alive_until));
    session->views = array(session, values, sizeof(*session->views));
    session->execs = array(session, nodes, sizeof(*session->execs));
    session->actions = array(session, nodes, sizeof(*session->actions));
    session->extras = array(session, nodes, sizeof(*session->extras));
    session->items = array(session, values + 2 * nodes, sizeof(*session->items));
    session->wanted = array(session, values + 2 * nodes, sizeof(*session->wanted));
    session->packed = array(session, values + 2 * nodes, sizeof(*session->packed));
    session->live = array(session, values + 2 * nodes, sizeof(*session->live));
    session->order = array(session, 2 * (values + 2 * nodes), sizeof(*session->order));
    return session->dims != NULL && session->row_dims != NULL &&
           session->tensors != NULL && session->buffers != NULL &&
           session->extras != NULL && session->places != NULL &&
           session->planned != NULL && session->alive_until != NULL &&
           session->views != NULL && session->execs != NULL && session->actions != NULL &&
           session->items != NULL && session->wanted != NULL && session->packed != NULL &&
           session->live != NULL && session->order != NULL;
}

static enum status create(const struct model *model, struct session_shared *shared,
                          struct session **out, struct error *err);

/* A session for each body of the node. */
static enum status make_bodies(struct session *session, int n, struct error *err) {
    const struct node *node = &session->graph->nodes[n];
    struct exec *exec = &session->execs[n];
    exec->bodies = array(session, node->body_count, sizeof(struct session *));
    if (exec->bodies == NULL) {
        return no_memory(err);
    }
    for (int i = 0; i < node->body_count; i++) {
        enum status status =
            create(node->bodies[i], session->shared, &exec->bodies[i], err);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static bool bind_node(struct session *session, int n) {
    const struct node *node = &session->graph->nodes[n];
    const struct tensor **x = array(session, node->input_count, sizeof(*x));
    struct tensor **y = array(session, node->output_count, sizeof(*y));
    uint8_t *memo = arena_alloc(&session->arena, 1, node->op->memo_size + PLAN_ALIGN);
    if (x == NULL || y == NULL || memo == NULL) {
        return false;
    }
    for (int i = 0; i < node->input_count; i++) {
        x[i] = node->inputs[i] == VALUE_NONE ? NULL : &session->tensors[node->inputs[i]];
    }
    for (int i = 0; i < node->output_count; i++) {
        y[i] =
            node->outputs[i] == VALUE_NONE ? NULL : &session->tensors[node->outputs[i]];
    }
    memo += size_align((uintptr_t)memo, PLAN_ALIGN) - (uintptr_t)memo;
    session->execs[n] = (struct exec){.node = node,
                                      .x = x,
                                      .y = y,
                                      .memo = memo,
                                      .memory = &session->shared->memory,
                                      .alias_input = ALIAS_NONE,
                                      .take_input = TAKE_NONE};
    return true;
}

/* `shared` is that of the session around it, or NULL. */
static enum status create(const struct model *model, struct session_shared *shared,
                          struct session **out, struct error *err) {
    struct session *session = calloc(1, sizeof(*session));
    *out = NULL;
    if (session == NULL) {
        return no_memory(err);
    }
    session->model = model;
    session->graph = &model->graph;
    session->shared = shared == NULL ? &session->own : shared;
    session->end = session->graph->node_count;
    session->costs = slices_costs();
    arena_init(&session->arena, 0);
    if (!make_arrays(session)) {
        session_destroy(session);
        return no_memory(err);
    }
    for (int v = 0; v < session->graph->value_count; v++) {
        const struct value *value = &session->graph->values[v];
        session->tensors[v].dtype = value->dtype;
        session->places[v].root = v;
        if (value->constant != NULL) {
            session->tensors[v] = *value->constant;
        }
    }
    for (int n = 0; n < session->graph->node_count; n++) {
        enum status status =
            bind_node(session, n) ? make_bodies(session, n, err) : no_memory(err);
        if (status != STATUS_OK) {
            session_destroy(session);
            return status;
        }
    }
    *out = session;
    return STATUS_OK;
}

enum status session_create(const struct model *model, size_t workspace_max,
                           struct session **out, struct error *err) {
    enum status status = create(model, NULL, out, err);
    if (status == STATUS_OK) {
        (*out)->own = (struct session_shared){
            .memory.max = workspace_max == 0 ? WORKSPACE_DEFAULT_MAX : workspace_max,
            .iterations_max = SESSION_ITERATIONS_MAX};
    }
    return status;
}

enum status session_create_part(const struct session *session, int first, int end,
                                struct session **part, struct error *err) {
    enum status status = create(session->model, session->shared, part, err);
    if (status == STATUS_OK) {
        (*part)->is_part = true;
        (*part)->first = first;
        (*part)->end = end;
    }
    return status;
}

void session_limit_iterations(struct session *session, int64_t count) {
    session->shared->iterations_max = count;
}

bool session_iterate(struct session *session) {
    return session->shared->iterations++ < session->shared->iterations_max;
}

static void release_node(struct exec *exec) {
    if (exec->node == NULL) {
        return; /* it was not reached */
    }
    if (exec->node->op->release != NULL) {
        exec->node->op->release(exec);
    }
    for (int i = 0; exec->bodies != NULL && i < exec->node->body_count; i++) {
        session_destroy(exec->bodies[i]);
    }
}

void session_destroy(struct session *session) {
    if (session == NULL) {
        return;
    }
    session_drop_slices(session);
    if (session->is_part) {
        budget_give(&session->shared->memory,
                    session->workspace_size + session->buffers_size);
    }
    for (int v = 0; session->buffers != NULL && v < session->graph->value_count; v++) {
        free(session->buffers[v].data);
    }
    for (int n = 0; session->extras != NULL && n < session->graph->node_count; n++) {
        free(session->extras[n].data);
    }
    for (int n = 0; session->execs != NULL && n < session->graph->node_count; n++) {
        release_node(&session->execs[n]);
    }
    free(session->scratch.data);
    free(session->workspace);
    arena_release(&session->arena);
    free(session);
}

/* ---- nodes outside the plan ------------------------------------------------------- */

static enum status buffer_grow(struct session *session, struct buffer *buffer,
                               size_t size, const struct node *node, struct error *err) {
    struct budget *memory = &session->shared->memory;
    size_t wanted = size_align(size_max(size, 1), PLAN_ALIGN);
    if (wanted <= buffer->size) {
        return STATUS_OK;
    }
    session->buffers_size -= buffer->size;
    budget_give(memory, buffer->size);
    free(buffer->data);
    *buffer = (struct buffer){0};
    if (!budget_take(memory, wanted)) {
        return node_error(node, err, STATUS_NO_MEMORY,
                          "needs %zu bytes, the limit of %zu would be passed", wanted,
                          memory->max);
    }
    buffer->data = aligned_alloc(PLAN_ALIGN, wanted);
    if (buffer->data == NULL) {
        budget_give(memory, wanted);
        return node_error(node, err, STATUS_NO_MEMORY, "out of memory");
    }
    buffer->size = wanted;
    session->buffers_size += wanted;
    return STATUS_OK;
}

/* Computes output 0 of a node that only renames bytes. */
static void copy_alias(const struct exec *exec) {
    size_t size = tensor_size(exec->y[0]);
    if (size > 0) {
        const uint8_t *from = exec->x[exec->alias_input]->data;
        memcpy(exec->y[0]->data, from + exec->alias_offset, size);
    }
}

enum status session_run_buffered(struct session *session, int n, struct error *err) {
    struct exec *exec = &session->execs[n];
    const struct node *node = exec->node;
    enum status status = op_shape(exec, err);
    for (int i = 0; status == STATUS_OK && i < node->output_count; i++) {
        if (exec->y[i] != NULL) {
            struct buffer *buffer = &session->buffers[node->outputs[i]];
            status = buffer_grow(session, buffer, tensor_size(exec->y[i]), node, err);
            exec->y[i]->data = buffer->data;
        }
    }
    if (status == STATUS_OK && exec->scratch_size > 0) {
        status = buffer_grow(session, &session->scratch, exec->scratch_size, node, err);
        exec->scratch = session->scratch.data;
    }
    if (status == STATUS_OK && exec->extra_size > 0) {
        status = buffer_grow(session, &session->extras[n], exec->extra_size, node, err);
        exec->extra = session->extras[n].data;
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (exec->alias_input != ALIAS_NONE) {
        copy_alias(exec);
        return STATUS_OK;
    }
    return node->op->run(exec, err);
}

/* ---- prepare and run -------------------------------------------------------------- */

static bool same_dims(const struct tensor *a, const struct tensor *b) {
    return a->rank == b->rank &&
           memcmp(a->dims, b->dims, (size_t)a->rank * sizeof(a->dims[0])) == 0;
}

/* What is in a sequence or optional has the dtypes `inner` and possible sizes. */
static bool elements_fit(const struct tensor *x, const enum dtype *inner) {
    size_t elements, size;
    if (x->dtype != DTYPE_SEQUENCE && x->dtype != DTYPE_OPTIONAL) {
        return true;
    }
    for (int64_t i = 0; x->data != NULL && i < x->dims[0]; i++) {
        const struct tensor *element = (const struct tensor *)x->data + i;
        static const enum dtype none[2] = {DTYPE_NONE, DTYPE_NONE};
        if (element->dtype != inner[0] ||
            !tensor_dims_count(element->dims, element->rank, &elements) ||
            !size_mul(elements, dtype_size(element->dtype), &size) ||
            !elements_fit(element, inner[0] == DTYPE_SEQUENCE ? inner + 1 : none)) {
            return false;
        }
    }
    return true;
}

static enum status check_input(const struct model_port *port, const struct tensor *x,
                               struct error *err) {
    char have[TENSOR_SHAPE_TEXT_MAX], want[TENSOR_SHAPE_TEXT_MAX];
    size_t count, size;
    bool fits = port->type.rank < 0 || x->rank == port->type.rank;
    if (x->dtype != port->type.dtype) {
        return error_set(err, STATUS_POISON, "input '%.200s' is %s, the model takes %s",
                         port->name, dtype_name(x->dtype), dtype_name(port->type.dtype));
    }
    if (x->rank < 0 || x->rank > TENSOR_RANK_MAX ||
        !tensor_dims_count(x->dims, x->rank, &count) ||
        !size_mul(count, dtype_size(x->dtype), &size) || size > SIZE_MAX / 4) {
        return error_set(err, STATUS_POISON, "input '%.200s' has an impossible shape",
                         port->name);
    }
    if (!elements_fit(x, port->inner)) {
        return error_set(err, STATUS_POISON,
                         "input '%.200s' has elements of another type or size",
                         port->name);
    }
    for (int i = 0; fits && i < port->type.rank; i++) {
        fits = port->type.dims[i] < 0 || port->type.dims[i] == x->dims[i];
    }
    if (!fits) {
        return error_set(
            err, STATUS_POISON, "input '%.200s' has shape %s, the model takes %s",
            port->name, tensor_shape_text(x->dims, x->rank, have, sizeof(have)),
            tensor_shape_text(port->type.dims, port->type.rank, want, sizeof(want)));
    }
    return STATUS_OK;
}

static enum status take_inputs(struct session *session, const struct tensor *inputs,
                               bool *changed, struct error *err) {
    const struct graph *graph = session->graph;
    *changed = !session->ready;
    for (int i = 0; i < graph->input_count; i++) {
        enum status status =
            check_input(&session->model->ports.inputs[i], &inputs[i], err);
        if (status != STATUS_OK) {
            session->ready = false;
            return status;
        }
        *changed = *changed || !same_dims(&session->dims[i], &inputs[i]);
    }
    for (int i = 0; *changed && i < graph->input_count; i++) {
        session->dims[i] = inputs[i];
        session->tensors[graph->inputs[i]] = inputs[i];
        session->tensors[graph->inputs[i]].data = NULL;
    }
    return STATUS_OK;
}

static size_t input_count(const struct session *session) {
    size_t count = 0;
    for (int i = 0; i < session->graph->input_count; i++) {
        count += tensor_count(&session->dims[i]);
    }
    return count;
}

/* A plan for the shapes placed last, and slices where none were chosen for as much. */
static enum status plan(struct session *session, struct error *err) {
    enum status status = STATUS_OK;
    if (input_count(session) > session->chosen_for) {
        session_drop_slices(session);
        status = session_place(session, err);
        if (status == STATUS_OK) {
            session_choose_slices(session);
            session->chosen_for = input_count(session);
            status = session_place(session, err);
        }
    }
    if (status != STATUS_OK) {
        return status;
    }
    session_list_items(session);
    return session_make_plan(session, err);
}

enum status session_prepare(struct session *session, const struct tensor *inputs,
                            struct error *err) {
    bool changed;
    enum status status = take_inputs(session, inputs, &changed, err);
    if (status != STATUS_OK || !changed) {
        return status;
    }
    session->ready = false;
    session->own.iterations = 0;
    status = session_place(session, err);
    if (status == STATUS_OK && !session_prepare_slices(session)) {
        session_drop_slices(session);
        status = session_place(session, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    session_list_items(session);
    if (!session_plan_fits(session)) {
        status = plan(session, err);
    }
    if (status == STATUS_OK) {
        session_assign_memory(session);
        session->ready = true;
    }
    return status;
}

static void set_inputs(struct session *session, const struct tensor *inputs) {
    const struct graph *graph = session->graph;
    for (int i = 0; i < graph->input_count; i++) {
        session->tensors[graph->inputs[i]].data = inputs[i].data;
    }
    session_set_views(session);
}

void session_set_views(struct session *session) {
    for (int i = 0; i < session->view_count; i++) {
        int v = session->views[i];
        const struct place *place = &session->places[v];
        uint8_t *data = session->tensors[place->root].data;
        session->tensors[v].data = data == NULL ? NULL : data + place->offset;
    }
}

/* Computes node `n` where session_run has to. */
enum status session_run_node(struct session *session, int n, struct error *err) {
    struct exec *exec = &session->execs[n];
    enum status status = STATUS_OK;
    if (session->model->phases[n] == PHASE_DYNAMIC) {
        status = session_run_buffered(session, n, err);
    } else if (session->model->phases[n] == PHASE_PREPARE ||
               session->actions[n] == ACTION_NONE) {
        return STATUS_OK;
    } else if (session->actions[n] == ACTION_RUN) {
        status = exec->node->op->run(exec, err);
    } else {
        copy_alias(exec);
    }
    if (session->watch != NULL) {
        session->watch(session->watch_context, n);
    }
    return status;
}

static enum status run_nodes(struct session *session, struct error *err) {
    for (int n = 0; n < session->graph->node_count; n++) {
        const struct slice *slice = session_slice(session, n);
        enum status status = slice != NULL ? session_run_slice(session, slice, err)
                                           : session_run_node(session, n, err);
        n = slice != NULL ? slice->end - 1 : n;
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

enum status session_run(struct session *session, const struct tensor *inputs,
                        struct error *err) {
    const struct graph *graph = session->graph;
    bool same = session->ready;
    unsigned state;
    enum status status;
    for (int i = 0; same && i < graph->input_count; i++) {
        same = same_dims(&session->dims[i], &inputs[i]);
    }
    if (!same) {
        return error_set(err, STATUS_INVALID, "run without prepare for these shapes");
    }
    session->own.iterations = 0;
    set_inputs(session, inputs);
    state = cpu_flush_tiny();
    status = run_nodes(session, err);
    cpu_restore(state);
    return status;
}

const struct tensor *session_output(const struct session *session, int index) {
    assert(index >= 0 && index < session->graph->output_count);
    return &session->tensors[session->graph->outputs[index]];
}

size_t session_workspace_size(const struct session *session) {
    return session->workspace_size + session->buffers_size + session_slices_size(session);
}

int session_node_count(const struct session *session) {
    return session->graph->node_count;
}

struct session_node session_node(const struct session *session, int node) {
    const struct exec *exec = &session->execs[node];
    assert(node >= 0 && node < session->graph->node_count);
    return (struct session_node){.name = exec->node->name,
                                 .type = exec->node->type,
                                 .x0 = exec->node->input_count > 0 ? exec->x[0] : NULL,
                                 .y0 = exec->node->output_count > 0 ? exec->y[0] : NULL};
}

void session_watch(struct session *session, session_watch_fn watch, void *context) {
    session->watch = watch;
    session->watch_context = context;
}
