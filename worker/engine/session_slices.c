/* session_slices.c - see session_impl.h and slices.h.
 *
 * The shapes for one row are laid beside those for the batch: what grows with it, and in
 * axis 0 alone, has rows.  slice_rules.h says whether a node's rows are then apart.  The
 * proof is made again with the rows of the slices for each batch that is prepared. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "engine/session_impl.h"
#include "engine/slice_rules.h"

/* ---- are rows apart? --------------------------------------------------------------- */

static bool moves_bytes(const struct tensor *x) {
    return x->dtype != DTYPE_STRING && x->dtype != DTYPE_SEQUENCE &&
           x->dtype != DTYPE_OPTIONAL;
}

/* Axis 0 of `all` is to that of `part` as the rows are, and no other axis differs. */
static bool has_rows(const struct tensor *all, const struct tensor *part, int64_t batch,
                     int64_t rows) {
    return all->rank == part->rank && all->rank > 0 && moves_bytes(all) &&
           all->dims[0] % batch == 0 && part->dims[0] == all->dims[0] / batch * rows &&
           memcmp(all->dims + 1, part->dims + 1,
                  (size_t)(all->rank - 1) * sizeof(all->dims[0])) == 0;
}

/* What follows from shapes is the same for all rows: the same numbers, or for each row
 * the same again. */
static bool same_for_all(const struct tensor *all, const struct tensor *part,
                         int64_t batch, int64_t rows) {
    size_t size = tensor_size(part), row;
    const uint8_t *data = all->data;
    if (!moves_bytes(all) || size == 0 || data == NULL || part->data == NULL) {
        return false;
    }
    if (all->rank == part->rank &&
        memcmp(all->dims, part->dims, (size_t)all->rank * sizeof(all->dims[0])) == 0) {
        return memcmp(data, part->data, size) == 0;
    }
    row = size / (size_t)rows;
    return has_rows(all, part, batch, rows) &&
           memcmp(data, data + row, tensor_size(all) - row) == 0 &&
           memcmp(data, part->data, size) == 0;
}

/* Node `n` of the session may be computed `rows` rows at a time; `part` is prepared for
 * as many. */
static bool is_apart(const struct session *session, const struct session *part, int n,
                     int64_t batch, int64_t rows) {
    const struct exec *exec = &session->execs[n];
    const struct node *node = exec->node;
    uint32_t with_rows = 0;
    if (node->input_count > SLICE_INPUTS_MAX || exec->extra_size > 0) {
        return false;
    }
    for (int i = 0; i < node->output_count; i++) {
        int v = node->outputs[i];
        if (v != VALUE_NONE &&
            !has_rows(&session->tensors[v], &part->tensors[v], batch, rows)) {
            return false;
        }
    }
    for (int i = 0; i < node->input_count; i++) {
        int v = node->inputs[i];
        if (v == VALUE_NONE || session->graph->values[v].constant != NULL) {
            continue;
        }
        if (session->model->made_in[v] != PHASE_RUN) {
            if ((node->op->shape_inputs >> i & 1) == 0 &&
                !same_for_all(&session->tensors[v], &part->tensors[v], batch, rows)) {
                return false;
            }
            continue;
        }
        if (!has_rows(&session->tensors[v], &part->tensors[v], batch, rows)) {
            return false;
        }
        with_rows |= UINT32_C(1) << i;
    }
    return slice_rule_holds(exec, with_rows);
}

/* The batch that all inputs carry in a free axis 0; 0 where they do not. */
static int64_t batch_of(const struct session *session) {
    const struct graph *graph = session->graph;
    int64_t batch = graph->input_count > 0 ? session->dims[0].dims[0] : 0;
    for (int i = 0; i < graph->input_count; i++) {
        const struct tensor *x = &session->dims[i];
        const struct tensor *type = &session->model->ports.inputs[i].type;
        if (x->rank < 1 || type->rank < 1 || type->dims[0] >= 0 || x->dims[0] != batch ||
            !moves_bytes(x)) {
            return 0;
        }
    }
    return batch;
}

/* Prepares `part` for the first `rows` rows of the session's batch. */
static bool prepare_part(struct session *session, struct session *part, int64_t rows) {
    const int count = session->graph->input_count;
    struct error err;
    for (int i = 0; i < count; i++) {
        session->row_dims[i] = session->dims[i];
        session->row_dims[i].dims[0] = rows;
    }
    return session_prepare(part, session->row_dims, &err) == STATUS_OK;
}

/* ---- choose ------------------------------------------------------------------------ */

static void add_size(const struct session *session, int v, int64_t batch, double *sum) {
    if (session->model->made_in[v] == PHASE_RUN) {
        *sum += (double)tensor_size(&session->tensors[v]) / (double)batch;
    }
}

/* A row of what nodes have made and later ones read, behind each node. */
static void add_kept(const struct session *session, int64_t batch,
                     struct slice_step *steps) {
    const struct graph *graph = session->graph;
    for (int n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        for (int i = 0; i < node->output_count; i++) {
            int v = node->outputs[i];
            int last = v == VALUE_NONE ? -1 : session->model->last_read[v];
            last = last < graph->node_count ? last : graph->node_count;
            for (int k = n; k < last; k++) {
                add_size(session, v, batch, &steps[k].kept_bytes);
            }
        }
    }
}

static void describe(const struct session *session, const struct session *one,
                     int64_t batch, struct slice_step *steps) {
    for (int n = 0; n < session->graph->node_count; n++) {
        const struct node *node = &session->graph->nodes[n];
        struct slice_step *step = &steps[n];
        *step = (struct slice_step){.apart = true};
        if (session->model->phases[n] != PHASE_RUN) {
            continue;
        }
        step->apart = is_apart(session, one, n, batch, 1);
        for (int i = 0; i < node->output_count; i++) {
            if (node->outputs[i] != VALUE_NONE) {
                add_size(session, node->outputs[i], batch, &step->row_bytes);
            }
        }
        for (int i = 0; i < node->input_count; i++) {
            int v = node->inputs[i];
            if (v != VALUE_NONE && session->graph->values[v].constant != NULL) {
                step->weight_bytes += (double)tensor_size(&session->tensors[v]);
            } else if (v != VALUE_NONE) {
                add_size(session, v, batch, &step->row_bytes);
            }
        }
        if (session->actions[n] == ACTION_NONE) {
            step->row_bytes = step->weight_bytes = 0;
        }
    }
    add_kept(session, batch, steps);
}

static bool is_listed(const int *values, int count, int v) {
    for (int i = 0; i < count; i++) {
        if (values[i] == v) {
            return true;
        }
    }
    return false;
}

/* What the slice reads from outside, and what is read of it there. */
static bool list_edges(const struct session *session, struct slice *slice) {
    const struct graph *graph = session->graph;
    const struct model *model = session->model;
    size_t room = 1;
    int ins = 0, outs = 0;
    for (int n = slice->first; n < slice->end; n++) {
        room +=
            (size_t)graph->nodes[n].input_count + (size_t)graph->nodes[n].output_count;
    }
    slice->ins = calloc(room, sizeof(*slice->ins));
    if (slice->ins == NULL) {
        return false;
    }
    for (int n = slice->first; n < slice->end; n++) {
        const struct node *node = &graph->nodes[n];
        for (int i = 0; model->phases[n] == PHASE_RUN && i < node->input_count; i++) {
            int v = node->inputs[i];
            if (v != VALUE_NONE && graph->values[v].constant == NULL &&
                model->made_in[v] == PHASE_RUN &&
                graph->values[v].producer < slice->first &&
                !is_listed(slice->ins, ins, v)) {
                slice->ins[ins++] = v;
            }
        }
    }
    slice->outs = slice->ins + ins;
    for (int n = slice->first; n < slice->end; n++) {
        const struct node *node = &graph->nodes[n];
        for (int i = 0; model->phases[n] == PHASE_RUN && i < node->output_count; i++) {
            int v = node->outputs[i];
            if (v != VALUE_NONE && model->last_read[v] >= slice->end) {
                slice->outs[outs++] = v;
            }
        }
    }
    slice->in_count = ins;
    slice->out_count = outs;
    return true;
}

/* A slice of the nodes from `first` on that take as many rows at a time. */
static bool add_slice(struct session *session, int first, const int64_t *rows) {
    struct slice *slice = &session->slices[session->slice_count++];
    struct error err;
    *slice = (struct slice){.first = first, .end = first + 1, .rows_max = rows[first]};
    while (slice->end < session->graph->node_count &&
           rows[slice->end] == slice->rows_max) {
        slice->end++;
    }
    return list_edges(session, slice) &&
           session_create_part(session, slice->first, slice->end, &slice->part, &err) ==
               STATUS_OK;
}

static bool make_slices(struct session *session, int64_t batch, const int64_t *rows) {
    int count = 0;
    const int nodes = session->graph->node_count;
    for (int n = 0; n < nodes; n++) {
        count += rows[n] < batch && (n == 0 || rows[n - 1] != rows[n]);
    }
    session->slices = calloc((size_t)count + 1, sizeof(*session->slices));
    if (session->slices == NULL) {
        return false;
    }
    for (int n = 0; n < nodes; n++) {
        if (rows[n] < batch) {
            if (!add_slice(session, n, rows)) {
                return false;
            }
            n = session->slices[session->slice_count - 1].end - 1;
        }
    }
    return session_prepare_slices(session);
}

/* Bodies have sessions of their own, and what is shaped late knows no rows. */
static bool may_slice(const struct session *session) {
    for (int n = 0; n < session->graph->node_count; n++) {
        if (session->graph->nodes[n].body_count > 0 ||
            session->model->phases[n] == PHASE_DYNAMIC) {
            return false;
        }
    }
    return session->shared == &session->own;
}

void session_choose_slices(struct session *session) {
    const int count = session->graph->node_count;
    const int64_t batch = batch_of(session);
    struct slice_step *steps = NULL;
    int64_t *rows = NULL;
    struct session *one = NULL;
    struct error err;
    bool sliced = false;
    if (batch < 2 || !may_slice(session)) {
        return;
    }
    steps = calloc((size_t)count + 1, sizeof(*steps));
    rows = calloc((size_t)count + 1, sizeof(*rows));
    /* It computes nothing: only its shapes are looked at. */
    if (steps != NULL && rows != NULL &&
        session_create_part(session, count, count, &one, &err) == STATUS_OK &&
        prepare_part(session, one, 1)) {
        describe(session, one, batch, steps);
        sliced = slices_plan(&session->costs, steps, count, batch, rows);
    }
    session_destroy(one);
    if (sliced && !make_slices(session, batch, rows)) {
        session_drop_slices(session);
    }
    free(steps);
    free(rows);
}

void session_drop_slices(struct session *session) {
    for (int i = 0; i < session->slice_count; i++) {
        session_destroy(session->slices[i].part);
        free(session->slices[i].ins);
    }
    free(session->slices);
    session->slices = NULL;
    session->slice_count = 0;
}

/* ---- prepare and run --------------------------------------------------------------- */

const struct slice *session_slice(const struct session *session, int n) {
    for (int i = 0; i < session->slice_count; i++) {
        if (n >= session->slices[i].first && n < session->slices[i].end) {
            return &session->slices[i];
        }
    }
    return NULL;
}

bool session_prepare_slices(struct session *session) {
    const int64_t batch = session->slice_count > 0 ? batch_of(session) : 0;
    bool apart = true;
    for (int i = 0; apart && i < session->slice_count; i++) {
        struct slice *slice = &session->slices[i];
        slice->rows = slices_fit(batch, slice->rows_max);
        if (batch == 0) {
            continue;
        }
        apart = prepare_part(session, slice->part, slice->rows);
        for (int n = slice->first; apart && n < slice->end; n++) {
            apart = session->model->phases[n] != PHASE_RUN ||
                    is_apart(session, slice->part, n, batch, slice->rows);
        }
    }
    return apart;
}

/* Bytes of `rows` rows of value `v`. */
static size_t rows_size(const struct slice *slice, int v, int64_t rows) {
    return tensor_size(&slice->part->tensors[v]) / (size_t)slice->rows * (size_t)rows;
}

static enum status run_rows(struct session *session, const struct slice *slice,
                            int64_t from, struct error *err) {
    struct session *part = slice->part;
    for (int i = 0; i < slice->in_count; i++) {
        const int v = slice->ins[i];
        part->tensors[v].data =
            (uint8_t *)session->tensors[v].data + rows_size(slice, v, from);
    }
    session_set_views(part);
    for (int n = slice->first; n < slice->end; n++) {
        enum status status = session_run_node(part, n, err);
        if (status != STATUS_OK) {
            return status;
        }
    }
    for (int i = 0; i < slice->out_count; i++) {
        const int v = slice->outs[i];
        size_t size = rows_size(slice, v, slice->rows);
        if (size > 0) {
            memcpy((uint8_t *)session->tensors[v].data + rows_size(slice, v, from),
                   part->tensors[v].data, size);
        }
    }
    return STATUS_OK;
}

enum status session_run_slice(struct session *session, const struct slice *slice,
                              struct error *err) {
    const int64_t batch = batch_of(session);
    enum status status = STATUS_OK;
    slice->part->watch = session->watch;
    slice->part->watch_context = session->watch_context;
    for (int64_t at = 0; status == STATUS_OK && at < batch; at += slice->rows) {
        /* The last one ends with the batch: it computes some rows once more. */
        int64_t last = batch - slice->rows;
        status = run_rows(session, slice, at < last ? at : last, err);
    }
    return status;
}

size_t session_slices_size(const struct session *session) {
    size_t size = 0;
    for (int i = 0; i < session->slice_count; i++) {
        size += session_workspace_size(session->slices[i].part);
    }
    return size;
}
