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
#include <limits.h>

#include "base/size.h"
#include "engine/model_impl.h"
#include "engine/op.h"
#include "engine/pages.h"
#include "engine/plan.h"

#define WORKSPACE_DEFAULT_MAX ((size_t)4 << 30)

/* Where a value's data begins. */
struct place {
    int root;      /* the value whose memory it is; itself if it has its own */
    size_t offset; /* bytes */
};

/* Memory that only grows. */
struct buffer {
    void *data;
    size_t size;
};

/* What a session shares with those of its bodies. */
struct session_shared {
    struct budget memory; /* of workspaces, buffers and what loops carry */
    int64_t iterations, iterations_max;
};

enum action { ACTION_RUN, ACTION_COPY, ACTION_NONE };

struct session {
    const struct model *model;
    const struct graph *graph;
    struct arena arena;                 /* all arrays below */
    struct session_shared own, *shared; /* `own` where there is no session around it */
    size_t buffers_size;
    bool ready;          /* prepared for `dims` */
    struct tensor *dims; /* of the inputs */

    struct tensor *tensors; /* by value */
    struct buffer *buffers; /* by value */
    struct buffer *extras;  /* by node; of those that have buffers */
    struct place *places;   /* by value; what this prepare found */
    int *alive_until;       /* by root: the last node that reads it or a view of it */
    struct exec *execs;     /* by node */
    enum action *actions;   /* by node */
    int *views;             /* values that lie in an input */
    int view_count;

    /* Items: one for each value, then each node's scratch, then each node's extra. */
    struct plan_item *items, *wanted;
    struct place *planned; /* the places the plan was made for */
    int *live, *order;     /* items that take part; working memory of plan_place */
    struct plan_item *packed;
    bool has_plan;
    void *workspace;
    size_t workspace_size;
    struct buffer scratch;  /* of nodes that session_prepare runs, and dynamic ones */
    session_watch_fn watch; /* NULL but while someone looks on */
    void *watch_context;
};

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
    return session->dims != NULL && session->tensors != NULL &&
           session->buffers != NULL && session->extras != NULL &&
           session->places != NULL && session->planned != NULL &&
           session->alive_until != NULL && session->views != NULL &&
           session->execs != NULL && session->actions != NULL && session->items != NULL &&
           session->wanted != NULL && session->packed != NULL && session->live != NULL &&
           session->order != NULL;
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

/* Shapes and computes a node whose outputs lie in buffers. */
static enum status run_buffered(struct session *session, int n, struct error *err) {
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

/* ---- places ----------------------------------------------------------------------- */

/* A value whose memory is the caller's or the model's, or a buffer: never written. */
static bool is_foreign(const struct session *session, int v) {
    return session->graph->values[v].input >= 0 ||
           session->model->made_in[v] != PHASE_RUN;
}

/* Input `input` of `node` may be overwritten: nothing reads its memory later, and no
 * other input of the node lies in it. */
static bool may_overwrite(const struct session *session, const struct node *node, int n,
                          int input) {
    int v = node->inputs[input];
    int root = session->places[v].root;
    if (is_foreign(session, root) || session->alive_until[root] != n) {
        return false;
    }
    for (int i = 0; i < node->input_count; i++) {
        int other = node->inputs[i];
        if (other != VALUE_NONE && other != v && session->places[other].root == root) {
            return false;
        }
    }
    return true;
}

/* An input whose memory output 0 can take over, or -1. */
static int in_place_input(const struct session *session, const struct exec *exec, int n) {
    size_t size = tensor_size(exec->y[0]);
    if (exec->take_input != TAKE_NONE) {
        return may_overwrite(session, exec->node, n, exec->take_input) ? exec->take_input
                                                                       : -1;
    }
    if ((exec->node->op->flags & OP_IN_PLACE) == 0) {
        return -1;
    }
    for (int i = 0; i < exec->node->input_count; i++) {
        if (exec->x[i] != NULL && tensor_size(exec->x[i]) == size &&
            may_overwrite(session, exec->node, n, i)) {
            return i;
        }
    }
    return -1;
}

/* Decides where the outputs of node `n` lie. */
static void place_outputs(struct session *session, int n) {
    struct exec *exec = &session->execs[n];
    const struct node *node = exec->node;
    for (int i = 0; i < node->output_count; i++) {
        int v = node->outputs[i];
        if (v != VALUE_NONE) {
            session->places[v] = (struct place){.root = v};
            session->alive_until[v] = -1;
        }
    }
    session->actions[n] = ACTION_RUN;
    if (exec->y[0] != NULL) {
        int v = node->outputs[0];
        int input = exec->alias_input;
        if (input != ALIAS_NONE) {
            int root = session->places[node->inputs[input]].root;
            bool lost = session->graph->values[v].is_output && is_foreign(session, root);
            session->actions[n] = lost ? ACTION_COPY : ACTION_NONE;
            input = lost ? -1 : input;
        } else {
            input = in_place_input(session, exec, n);
        }
        if (input >= 0) {
            session->places[v] = session->places[node->inputs[input]];
            session->places[v].offset += exec->alias_offset;
        }
    }
    for (int i = 0; i < node->output_count; i++) {
        int v = node->outputs[i];
        if (v != VALUE_NONE) {
            int *until = &session->alive_until[session->places[v].root];
            int last =
                session->model->last_read[v] < n ? n : session->model->last_read[v];
            *until = *until < last ? last : *until;
        }
    }
}

static enum status infer_shapes(struct session *session, struct error *err) {
    const struct graph *graph = session->graph;
    for (int n = 0; n < graph->node_count; n++) {
        enum status status = STATUS_OK;
        switch (session->model->phases[n]) {
        case PHASE_PREPARE:
            status = run_buffered(session, n, err);
            break;
        case PHASE_RUN:
            status = op_shape(&session->execs[n], err);
            if (status == STATUS_OK) {
                place_outputs(session, n);
            }
            break;
        case PHASE_DYNAMIC:
            break;
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

/* ---- the plan --------------------------------------------------------------------- */

static int item_count(const struct graph *graph) {
    return graph->value_count + 2 * graph->node_count;
}

/* Sizes and lifetimes of what the workspace must hold; size 0 for what it need not. */
static void list_items(struct session *session) {
    const struct graph *graph = session->graph;
    int count = item_count(graph);
    memset(session->wanted, 0, (size_t)count * sizeof(*session->wanted));
    for (int n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        if (session->model->phases[n] != PHASE_RUN) {
            continue;
        }
        for (int i = 0; i < node->output_count; i++) {
            int v = node->outputs[i];
            if (v != VALUE_NONE && session->places[v].root == v) {
                session->wanted[v] = (struct plan_item){
                    .size = size_max(tensor_size(&session->tensors[v]), 1),
                    .first = n,
                    .last = session->alive_until[v]};
            }
        }
        session->wanted[graph->value_count + n] = (struct plan_item){
            .size = session->execs[n].scratch_size, .first = n, .last = n};
        /* Strings that later nodes pass on still point into it. */
        session->wanted[graph->value_count + graph->node_count + n] = (struct plan_item){
            .size = session->execs[n].extra_size, .first = n, .last = graph->node_count};
    }
}

static bool plan_fits(const struct session *session) {
    const struct graph *graph = session->graph;
    if (!session->has_plan) {
        return false;
    }
    for (int v = 0; v < graph->value_count; v++) {
        if (session->places[v].root != session->planned[v].root) {
            return false;
        }
    }
    for (int i = 0; i < item_count(graph); i++) {
        if (session->wanted[i].size > session->items[i].size) {
            return false;
        }
    }
    return true;
}

static enum status grow_workspace(struct session *session, size_t total,
                                  struct error *err) {
    struct budget *memory = &session->shared->memory;
    if (total <= session->workspace_size) {
        return STATUS_OK;
    }
    budget_give(memory, session->workspace_size);
    free(session->workspace);
    session->workspace = NULL;
    session->workspace_size = 0;
    if (!budget_take(memory, total)) {
        return error_set(err, STATUS_NO_MEMORY,
                         "a batch of this shape needs %zu bytes, the limit is %zu", total,
                         memory->max);
    }
    session->workspace = pages_alloc(total);
    if (session->workspace == NULL) {
        budget_give(memory, total);
        return no_memory(err);
    }
    session->workspace_size = total;
    return STATUS_OK;
}

static enum status make_plan(struct session *session, struct error *err) {
    const struct graph *graph = session->graph;
    int count = item_count(graph), used = 0;
    size_t total;
    enum status status;
    session->has_plan = false;
    for (int i = 0; i < count; i++) {
        if (session->wanted[i].size > 0) {
            session->live[used] = i;
            session->packed[used++] = session->wanted[i];
        }
    }
    total = plan_place(session->packed, used, session->order);
    status = grow_workspace(session, total, err);
    if (status != STATUS_OK) {
        return status;
    }
    memcpy(session->items, session->wanted, (size_t)count * sizeof(*session->items));
    for (int i = 0; i < used; i++) {
        session->items[session->live[i]] = session->packed[i];
    }
    memcpy(session->planned, session->places,
           (size_t)graph->value_count * sizeof(*session->planned));
    session->has_plan = true;
    return STATUS_OK;
}

/* Points every planned tensor at its memory and notes the views of inputs. */
static void assign_memory(struct session *session) {
    const struct graph *graph = session->graph;
    uint8_t *workspace = session->workspace;
    session->view_count = 0;
    for (int n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        if (session->model->phases[n] != PHASE_RUN) {
            continue;
        }
        if (workspace != NULL) {
            const struct plan_item *own = &session->items[graph->value_count + n];
            session->execs[n].scratch = workspace + own->offset;
            session->execs[n].extra = workspace + own[graph->node_count].offset;
        }
        for (int i = 0; i < node->output_count; i++) {
            int v = node->outputs[i];
            const struct place *place;
            if (v == VALUE_NONE) {
                continue;
            }
            place = &session->places[v];
            if (graph->values[place->root].input >= 0) {
                session->views[session->view_count++] = v;
            } else if (is_foreign(session, place->root)) {
                uint8_t *data = session->tensors[place->root].data;
                session->tensors[v].data = data + place->offset;
            } else {
                session->tensors[v].data =
                    workspace + session->items[place->root].offset + place->offset;
            }
        }
    }
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

enum status session_prepare(struct session *session, const struct tensor *inputs,
                            struct error *err) {
    bool changed;
    enum status status = take_inputs(session, inputs, &changed, err);
    if (status != STATUS_OK || !changed) {
        return status;
    }
    session->ready = false;
    session->own.iterations = 0;
    for (int v = 0; v < session->graph->value_count; v++) {
        session->alive_until[v] = session->model->last_read[v];
    }
    status = infer_shapes(session, err);
    if (status != STATUS_OK) {
        return status;
    }
    list_items(session);
    if (!plan_fits(session)) {
        status = make_plan(session, err);
    }
    if (status == STATUS_OK) {
        assign_memory(session);
        session->ready = true;
    }
    return status;
}

static void set_inputs(struct session *session, const struct tensor *inputs) {
    const struct graph *graph = session->graph;
    for (int i = 0; i < graph->input_count; i++) {
        session->tensors[graph->inputs[i]].data = inputs[i].data;
    }
    for (int i = 0; i < session->view_count; i++) {
        int v = session->views[i];
        const struct place *place = &session->places[v];
        uint8_t *data = session->tensors[place->root].data;
        session->tensors[v].data = data == NULL ? NULL : data + place->offset;
    }
}

/* Computes node `n` where session_run has to. */
static enum status run_node(struct session *session, int n, struct error *err) {
    struct exec *exec = &session->execs[n];
    enum status status = STATUS_OK;
    if (session->model->phases[n] == PHASE_DYNAMIC) {
        status = run_buffered(session, n, err);
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

enum status session_run(struct session *session, const struct tensor *inputs,
                        struct error *err) {
    const struct graph *graph = session->graph;
    bool same = session->ready;
    for (int i = 0; same && i < graph->input_count; i++) {
        same = same_dims(&session->dims[i], &inputs[i]);
    }
    if (!same) {
        return error_set(err, STATUS_INVALID, "run without prepare for these shapes");
    }
    session->own.iterations = 0;
    set_inputs(session, inputs);
    for (int n = 0; n < graph->node_count; n++) {
        enum status status = run_node(session, n, err);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

const struct tensor *session_output(const struct session *session, int index) {
    assert(index >= 0 && index < session->graph->output_count);
    return &session->tensors[session->graph->outputs[index]];
}

size_t session_workspace_size(const struct session *session) {
    return session->workspace_size + session->buffers_size;
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
