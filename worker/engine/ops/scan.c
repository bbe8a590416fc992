/* scan.c - Scan: a body run over the slices of its inputs.
 *
 * As with Loop, shape() runs the body.  Slices along axis 0 are read where they are. */
#include "base/size.h"
#include "engine/body.h"
#include "engine/ops/ops.h"

enum { SCAN_MAX = 32 };

struct scan_side {
    int count;
    int64_t axes[SCAN_MAX];
    bool reverse[SCAN_MAX];
};

struct scan {
    struct model *body;
    int index;
    int states;
    bool has_batch; /* opset 8: every input has a batch axis before all others */
    struct scan_side in, out;
};

/* ---- prepare ---------------------------------------------------------------------- */

static enum status read_list(struct load *load, const char *name, int count,
                             struct attr_ints *list, struct error *err) {
    enum status status = attr_ints(load->node, name, list, err);
    if (status == STATUS_OK && list->count != 0 && list->count != (size_t)count) {
        return node_error(load->node, err, STATUS_INVALID,
                          "attribute %s has %zu numbers where %d are needed", name,
                          list->count, count);
    }
    return status;
}

static enum status read_side(struct load *load, const char *axes, const char *directions,
                             struct scan_side *side, struct error *err) {
    struct attr_ints list = {0};
    enum status status = STATUS_OK;
    if (side->count < 0 || side->count > SCAN_MAX) {
        return node_error(load->node, err, STATUS_UNSUPPORTED,
                          "%d scanned inputs or outputs, at most %d are handled",
                          side->count, SCAN_MAX);
    }
    if (axes != NULL) {
        status = read_list(load, axes, side->count, &list, err);
        for (size_t i = 0; status == STATUS_OK && i < list.count; i++) {
            side->axes[i] = list.values[i];
        }
    }
    if (status == STATUS_OK && directions != NULL) {
        status = read_list(load, directions, side->count, &list, err);
        for (size_t i = 0; status == STATUS_OK && i < list.count; i++) {
            side->reverse[i] = list.values[i] != 0;
        }
    }
    return status;
}

static const struct value *made_by(const struct scan *state, int i) {
    return &state->body->graph.values[state->body->graph.outputs[i]];
}

static enum status set_outputs(struct load *load, struct scan *state, struct error *err) {
    state->out.count = state->body->graph.output_count - state->states;
    if (state->out.count < 0 ||
        load->node->output_count != state->body->graph.output_count) {
        return node_error(load->node, err, STATUS_INVALID,
                          "its body has %d outputs, the node %d",
                          state->body->graph.output_count, load->node->output_count);
    }
    for (int i = 0; i < load->node->output_count; i++) {
        const struct value *made = made_by(state, i);
        if (made->dtype == DTYPE_STRING || made->dtype >= DTYPE_SEQUENCE) {
            return node_error(load->node, err, STATUS_UNSUPPORTED,
                              "output %d is of %s, only numbers are handled", i,
                              dtype_name(made->dtype));
        }
        graph_set_output_like(load->graph, load->node, i, made);
    }
    return STATUS_OK;
}

static enum status prepare(struct load *load, struct error *err) {
    struct scan *state = load_state(load, struct scan);
    struct node *node = load->node;
    bool old = node->opset < 9;
    int first = old ? 1 : 0, count = node->explicit_count - first;
    int64_t scans = 0;
    const struct value **inputs = arena_alloc(
        &load->graph->arena, (size_t)(count < 1 ? 1 : count), sizeof(*inputs));
    enum status status;
    if (state == NULL || inputs == NULL) {
        return load_no_memory(load, err);
    }
    status =
        attr_int_in(node, "num_scan_inputs", 0, 1, count < 1 ? 1 : count, &scans, err);
    if (status == STATUS_OK && old && node->inputs[0] != VALUE_NONE) {
        return node_error(node, err, STATUS_UNSUPPORTED,
                          "sequences of different lengths are not handled");
    }
    for (int i = 0; status == STATUS_OK && i < count; i++) {
        inputs[i] = graph_input(load->graph, node, first + i);
        if (inputs[i] == NULL) {
            return node_error(node, err, STATUS_INVALID, "input %d is empty", first + i);
        }
    }
    if (status == STATUS_OK && !old) {
        status = body_keep_constants(load, "body", inputs, count - (int)scans, 0, 0, err);
    }
    if (status == STATUS_OK) {
        status = body_load(load, "body", inputs, count, &state->body, &state->index, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    state->has_batch = old;
    state->states = count - (int)scans;
    state->in.count = (int)scans;
    status = set_outputs(load, state, err);
    if (status == STATUS_OK) {
        status = read_side(load, old ? NULL : "scan_input_axes",
                           old ? "directions" : "scan_input_directions", &state->in, err);
    }
    return status != STATUS_OK
               ? status
               : read_side(load, old ? NULL : "scan_output_axes",
                           old ? NULL : "scan_output_directions", &state->out, err);
}

/* ---- slices ----------------------------------------------------------------------- */

/* Copies slice `at` of `whole` along `axis` into the dense `slice`, or back. */
static void copy_slice(const struct tensor *whole, int axis, int64_t at, void *slice,
                       bool back) {
    size_t inner = dtype_size(whole->dtype), outer = 1;
    for (int i = 0; i < whole->rank; i++) {
        if (i < axis) {
            outer *= (size_t)whole->dims[i];
        } else if (i > axis) {
            inner *= (size_t)whole->dims[i];
        }
    }
    for (size_t i = 0; inner > 0 && i < outer; i++) {
        uint8_t *here =
            (uint8_t *)whole->data + (i * (size_t)whole->dims[axis] + (size_t)at) * inner;
        uint8_t *there = (uint8_t *)slice + i * inner;
        memcpy(back ? here : there, back ? there : here, inner);
    }
}

/* One run over one sequence: the batch's item where the opset has one. */
struct pass {
    const struct scan *scan;
    struct body_memo *memo;
    int64_t length;
    struct tensor whole[SCAN_MAX]; /* scanned inputs */
    int axes[SCAN_MAX];
};

static void drop_axis(struct tensor *x, int axis) {
    for (int i = axis; i + 1 < x->rank; i++) {
        x->dims[i] = x->dims[i + 1];
    }
    x->rank--;
}

static enum status take_slice(struct exec *exec, struct pass *pass, int i, int64_t step,
                              struct tensor *slice, struct error *err) {
    const struct tensor *whole = &pass->whole[i];
    struct hold *hold = &pass->memo->holds[2 * pass->scan->states + i];
    int64_t at = pass->scan->in.reverse[i] ? pass->length - 1 - step : step;
    enum status status;
    *slice = *whole;
    drop_axis(slice, pass->axes[i]);
    if (pass->axes[i] == 0) {
        slice->data = (uint8_t *)whole->data + (size_t)at * tensor_size(slice);
        return STATUS_OK;
    }
    status = hold_grow(exec, hold, tensor_size(slice), err);
    if (status == STATUS_OK) {
        copy_slice(whole, pass->axes[i], at, hold->data, false);
        slice->data = hold->data;
    }
    return status;
}

/* Puts what the body made at `step` into the collected output `i`. */
static enum status put_slice(struct exec *exec, struct pass *pass, int i, int64_t step,
                             const struct tensor *x, struct error *err) {
    const struct scan *scan = pass->scan;
    struct tensor *all = &pass->memo->results[scan->states + i];
    struct hold *hold = &pass->memo->holds[2 * scan->states + scan->in.count + i];
    int axis = 0;
    enum status status;
    size_t size;
    if (x->rank == TENSOR_RANK_MAX) {
        return node_error(exec->node, err, STATUS_POISON,
                          "what it collects has rank %d, one less is handled", x->rank);
    }
    status = exec_axis(exec, scan->out.axes[i], x->rank + 1, &axis, err);
    if (status == STATUS_OK && step == 0) {
        *all = *x;
        all->rank = x->rank + 1;
        for (int k = x->rank; k > axis; k--) {
            all->dims[k] = all->dims[k - 1];
        }
        all->dims[axis] = pass->length;
        if (!size_mul(tensor_size(x), (size_t)pass->length, &size)) {
            return node_error(exec->node, err, STATUS_POISON, "too much to collect");
        }
        status = hold_grow(exec, hold, size, err);
        all->data = hold->data;
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (tensor_size(x) * (size_t)pass->length != tensor_size(all)) {
        return node_error(exec->node, err, STATUS_POISON,
                          "what it collects changes its shape at step %lld",
                          (long long)step);
    }
    copy_slice(all, axis, scan->out.reverse[i] ? pass->length - 1 - step : step, x->data,
               true);
    return STATUS_OK;
}

static enum status run_step(struct exec *exec, struct pass *pass, int64_t step,
                            struct error *err) {
    const struct scan *scan = pass->scan;
    const struct session *session = exec->bodies[scan->index];
    struct tensor *in = pass->memo->inputs;
    struct hold *side = pass->memo->holds + (step % 2 == 0 ? 0 : scan->states);
    enum status status = STATUS_OK;
    for (int i = 0; i < scan->states; i++) {
        in[i] = pass->memo->results[i];
    }
    for (int i = 0; status == STATUS_OK && i < scan->in.count; i++) {
        status = take_slice(exec, pass, i, step, &in[scan->states + i], err);
    }
    if (status == STATUS_OK) {
        status = body_run(exec, scan->body, scan->index, in,
                          scan->states + scan->in.count, err);
    }
    for (int i = 0; status == STATUS_OK && i < scan->states; i++) {
        status = hold_copy(exec, &side[i], session_output(session, i),
                           &pass->memo->results[i], err);
    }
    for (int i = 0; status == STATUS_OK && i < scan->out.count; i++) {
        status = put_slice(exec, pass, i, step, session_output(session, scan->states + i),
                           err);
    }
    return status;
}

/* Without a step the shapes of collected values are what the body declares. */
static void collect_nothing(struct pass *pass) {
    for (int i = 0; i < pass->scan->out.count; i++) {
        struct tensor *all = &pass->memo->results[pass->scan->states + i];
        *all = pass->scan->body->ports.outputs[pass->scan->states + i].type;
        all->rank = all->rank < 0 || all->rank == TENSOR_RANK_MAX ? 1 : all->rank + 1;
        for (int k = all->rank - 1; k > 0; k--) {
            all->dims[k] = all->dims[k - 1] < 0 ? 0 : all->dims[k - 1];
        }
        all->dims[0] = 0;
    }
}

static enum status measure(struct exec *exec, struct pass *pass, struct error *err) {
    for (int i = 0; i < pass->scan->in.count; i++) {
        enum status status = exec_axis(exec, pass->scan->in.axes[i], pass->whole[i].rank,
                                       &pass->axes[i], err);
        if (status != STATUS_OK) {
            return status;
        }
        if (i > 0 && pass->whole[i].dims[pass->axes[i]] != pass->length) {
            return node_error(exec->node, err, STATUS_POISON,
                              "scanned inputs have lengths %lld and %lld",
                              (long long)pass->length,
                              (long long)pass->whole[i].dims[pass->axes[i]]);
        }
        pass->length = pass->whole[i].dims[pass->axes[i]];
    }
    return STATUS_OK;
}

static enum status run_pass(struct exec *exec, struct pass *pass, struct error *err) {
    enum status status = measure(exec, pass, err);
    if (status == STATUS_OK) {
        collect_nothing(pass);
    }
    for (int64_t step = 0; status == STATUS_OK && step < pass->length; step++) {
        status = run_step(exec, pass, step, err);
    }
    return status;
}

/* ---- shape ------------------------------------------------------------------------ */

static struct tensor batch_item(const struct tensor *x, int64_t item) {
    struct tensor one = *x;
    drop_axis(&one, 0);
    one.data = (uint8_t *)x->data + (size_t)item * tensor_size(&one);
    return one;
}

/* Opset 8: item by item, the results laid one behind the other. */
static enum status run_batch(struct exec *exec, struct pass *pass, struct error *err) {
    const struct scan *scan = pass->scan;
    int outputs = exec->node->output_count, inputs = scan->states + scan->in.count;
    int64_t items = exec->x[1]->rank > 0 ? exec->x[1]->dims[0] : 0;
    struct hold *all =
        &pass->memo->holds[2 * scan->states + scan->in.count + scan->out.count];
    enum status status = STATUS_OK;
    for (int i = 1; i <= inputs; i++) {
        if (exec->x[i]->rank < 1 || exec->x[i]->dims[0] != items || items < 1) {
            return node_error(exec->node, err, STATUS_POISON,
                              "input %d does not have a batch of %lld", i,
                              (long long)items);
        }
    }
    for (int64_t item = 0; status == STATUS_OK && item < items; item++) {
        for (int i = 0; i < scan->states; i++) {
            pass->memo->results[i] = batch_item(exec->x[1 + i], item);
        }
        for (int i = 0; i < scan->in.count; i++) {
            pass->whole[i] = batch_item(exec->x[1 + scan->states + i], item);
        }
        status = run_pass(exec, pass, err);
        for (int i = 0; status == STATUS_OK && i < outputs; i++) {
            size_t size = tensor_size(&pass->memo->results[i]);
            status = hold_grow(exec, &all[i], size * (size_t)items, err);
            if (status == STATUS_OK && size > 0) {
                memcpy((uint8_t *)all[i].data + size * (size_t)item,
                       pass->memo->results[i].data, size);
            }
        }
    }
    for (int i = 0; status == STATUS_OK && i < outputs; i++) {
        struct tensor *y = &pass->memo->results[i];
        if (y->rank == TENSOR_RANK_MAX) {
            return node_error(exec->node, err, STATUS_POISON, "a result has rank %d",
                              y->rank);
        }
        memmove(y->dims + 1, y->dims, (size_t)y->rank * sizeof(y->dims[0]));
        y->dims[0] = items;
        y->rank++;
        y->data = all[i].data;
    }
    return status;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct scan *scan = exec->node->state;
    struct pass pass = {.scan = scan, .memo = exec->memo};
    int holds = 2 * scan->states + scan->in.count + scan->out.count;
    enum status status = body_memo_make(
        exec, holds + (scan->has_batch ? exec->node->output_count : 0), err);
    if (status != STATUS_OK) {
        return status;
    }
    if (scan->has_batch) {
        status = run_batch(exec, &pass, err);
    } else {
        for (int i = 0; i < scan->states; i++) {
            pass.memo->results[i] = *exec->x[i];
        }
        for (int i = 0; i < scan->in.count; i++) {
            pass.whole[i] = *exec->x[scan->states + i];
        }
        status = run_pass(exec, &pass, err);
    }
    if (status == STATUS_OK) {
        body_memo_shape(exec);
    }
    return status;
}

static const struct op ops[] = {
    {
        .name = "Scan",
        .since = 8,
        .inputs_min = 0,
        .inputs_max = NODE_INPUTS_MAX,
        .outputs_max = NODE_OUTPUTS_MAX,
        .flags = OP_DYNAMIC,
        .types = {TYPES_VALUE, TYPES_VALUE, TYPES_VALUE, TYPES_VALUE, TYPES_VALUE,
                  TYPES_VALUE},
        .memo_size = sizeof(struct body_memo),
        .prepare = prepare,
        .shape = shape,
        .run = body_memo_run,
        .release = body_memo_release,
    },
};

const struct op_list ops_scan = OP_LIST(ops);
