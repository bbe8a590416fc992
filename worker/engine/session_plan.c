/* session_plan.c - see session_impl.h. */
#include <assert.h>

#include "base/size.h"
#include "engine/pages.h"
#include "engine/session_impl.h"

/* ---- places ----------------------------------------------------------------------- */

/* A value whose memory is the caller's, or of the session around a part. */
static bool is_borrowed(const struct session *session, int v) {
    const struct value *value = &session->graph->values[v];
    return value->input >= 0 ||
           (session->is_part && session->model->made_in[v] == PHASE_RUN &&
            value->producer < session->first);
}

/* A value whose memory is borrowed or the model's, or a buffer: never written. */
static bool is_foreign(const struct session *session, int v) {
    return is_borrowed(session, v) || session->model->made_in[v] != PHASE_RUN;
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

/* Another session computes node `n`. */
static bool is_elsewhere(const struct session *session, int n) {
    return n < session->first || session_slice(session, n) != NULL;
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
    session->actions[n] = model_needs(session->model, n) ? ACTION_RUN : ACTION_NONE;
    if (exec->y[0] != NULL && session->actions[n] == ACTION_RUN &&
        !is_elsewhere(session, n)) {
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

enum status session_place(struct session *session, struct error *err) {
    for (int v = 0; v < session->graph->value_count; v++) {
        session->alive_until[v] = session->model->last_read[v];
    }
    for (int n = 0; n < session->end; n++) {
        enum status status = STATUS_OK;
        switch (session->model->phases[n]) {
        case PHASE_PREPARE:
            status = session_run_buffered(session, n, err);
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

/* Node `n` is in the slice: what is read behind that lies somewhere from its begin on,
 * and so never where the slice reads from. */
static void list_slice_outputs(struct session *session, const struct slice *slice,
                               int n) {
    const struct node *node = &session->graph->nodes[n];
    for (int i = 0; i < node->output_count; i++) {
        int v = node->outputs[i];
        if (v != VALUE_NONE && session->model->last_read[v] >= slice->end) {
            session->wanted[v] =
                (struct plan_item){.size = size_max(tensor_size(&session->tensors[v]), 1),
                                   .first = slice->first,
                                   .last = session->alive_until[v]};
        }
    }
}

/* Sizes are 0 for what the workspace need not hold. */
void session_list_items(struct session *session) {
    const struct graph *graph = session->graph;
    int count = item_count(graph);
    memset(session->wanted, 0, (size_t)count * sizeof(*session->wanted));
    for (int n = session->first; n < session->end; n++) {
        const struct node *node = &graph->nodes[n];
        const struct slice *slice = session_slice(session, n);
        if (session->model->phases[n] != PHASE_RUN) {
            continue;
        }
        if (slice != NULL) {
            list_slice_outputs(session, slice, n);
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

bool session_plan_fits(const struct session *session) {
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
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    }
    session->workspace_size = total;
    return STATUS_OK;
}

enum status session_make_plan(struct session *session, struct error *err) {
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

void session_assign_memory(struct session *session) {
    const struct graph *graph = session->graph;
    uint8_t *workspace = session->workspace;
    session->view_count = 0;
    for (int n = session->first; n < session->end; n++) {
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
            if (is_borrowed(session, place->root)) {
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
