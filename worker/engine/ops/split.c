/* split.c - Split: an axis cut into outputs; and Tile. */
#include "base/size.h"
#include "engine/ops/ops.h"
#include "engine/ops/strided.h"

struct split_state {
    int64_t axis;
    struct attr_ints sizes; /* until opset 12 */
    int64_t parts;          /* from opset 18 on; 0 where not given */
};

static enum status split_prepare(struct load *load, struct error *err) {
    struct split_state *state = load_state(load, struct split_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_int(load->node, "axis", 0, &state->axis, err);
    if (status == STATUS_OK && load->node->opset < 13) {
        status = attr_ints(load->node, "split", &state->sizes, err);
    }
    if (status == STATUS_OK && load->node->opset >= 18) {
        status = attr_int_in(load->node, "num_outputs", 0, 0, NODE_OUTPUTS_MAX,
                             &state->parts, err);
    }
    return status;
}

/* How many rows output `i` gets where no sizes are given. */
static int64_t even_part(const struct exec *exec, int64_t length, int i) {
    int64_t parts = exec->node->output_count;
    int64_t size = (length + parts - 1) / parts, left = length - size * i;
    return left < 0 ? 0 : left < size ? left : size;
}

static enum status split_sizes(const struct exec *exec, int64_t length, int64_t *sizes,
                               struct error *err) {
    const struct split_state *state = exec->node->state;
    int parts = exec->node->output_count, count = parts;
    enum status status = STATUS_OK;
    int64_t left = length;
    bool given = exec_has(exec, 1) || state->sizes.count > 0;
    if (exec_has(exec, 1)) {
        status = exec_ints(exec, 1, sizes, parts, &count, err);
    }
    for (int i = 0; i < parts && !exec_has(exec, 1); i++) {
        sizes[i] = !given                           ? even_part(exec, length, i)
                   : (size_t)i < state->sizes.count ? state->sizes.values[i]
                                                    : -1;
    }
    if (status != STATUS_OK) {
        return status;
    }
    for (int i = 0; i < parts && left >= 0; i++) {
        left = i < count && sizes[i] >= 0 && sizes[i] <= left ? left - sizes[i] : -1;
    }
    if (left != 0 || (!given && exec->node->opset < 18 && length % parts != 0)) {
        return node_error(exec->node, err, STATUS_POISON,
                          "%d sizes do not make up %lld, the length of its axis", parts,
                          (long long)length);
    }
    return STATUS_OK;
}

static enum status split_shape(struct exec *exec, struct error *err) {
    const struct split_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    int64_t sizes[NODE_OUTPUTS_MAX];
    int axis = 0;
    enum status status = exec_axis(exec, state->axis, x->rank, &axis, err);
    if (status == STATUS_OK && state->parts != 0 &&
        state->parts != exec->node->output_count) {
        status = node_error(exec->node, err, STATUS_POISON,
                            "num_outputs is %lld, there are %d", (long long)state->parts,
                            exec->node->output_count);
    }
    if (status == STATUS_OK) {
        status = split_sizes(exec, x->dims[axis], sizes, err);
    }
    for (int i = 0; status == STATUS_OK && i < exec->node->output_count; i++) {
        exec_same_shape(exec, i, 0);
        if (exec->y[i] != NULL) {
            exec->y[i]->dims[axis] = sizes[i];
        } else if (sizes[i] != 0) {
            return node_error(exec->node, err, STATUS_POISON, "output %d is left out", i);
        }
    }
    return status;
}

static enum status split_run(struct exec *exec, struct error *err) {
    const struct split_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    size_t inner = dtype_size(x->dtype), outer = 1, at = 0;
    int axis = 0;
    enum status status = exec_axis(exec, state->axis, x->rank, &axis, err);
    for (int i = 0; i < x->rank; i++) {
        if (i != axis) {
            *(i < axis ? &outer : &inner) *= (size_t)x->dims[i];
        }
    }
    for (int k = 0; status == STATUS_OK && k < exec->node->output_count; k++) {
        size_t run = exec->y[k] == NULL ? 0 : inner * (size_t)exec->y[k]->dims[axis];
        for (size_t i = 0; run > 0 && i < outer; i++) {
            memcpy((uint8_t *)exec->y[k]->data + i * run,
                   (const uint8_t *)x->data + i * inner * (size_t)x->dims[axis] + at,
                   run);
        }
        at += run;
    }
    return status;
}

/* ---- Tile -------------------------------------------------------------------------- */

static enum status tile_shape(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0];
    int64_t repeats[TENSOR_RANK_MAX];
    int count = 0;
    enum status status = exec_ints(exec, 1, repeats, TENSOR_RANK_MAX, &count, err);
    if (status != STATUS_OK) {
        return status;
    }
    if (count != x->rank) {
        return node_error(exec->node, err, STATUS_POISON,
                          "%d repeats for a tensor of rank %d", count, x->rank);
    }
    exec_same_shape(exec, 0, 0);
    for (int i = 0; i < x->rank; i++) {
        if (repeats[i] < 0 ||
            __builtin_mul_overflow(x->dims[i], repeats[i], &exec->y[0]->dims[i])) {
            return node_error(exec->node, err, STATUS_POISON,
                              "axis %d is repeated %lld times", i, (long long)repeats[i]);
        }
    }
    return STATUS_OK;
}

/* Each axis twice: over the repeats, which read the same, and over the elements. */
static enum status tile_run(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0], *y = exec->y[0];
    struct strided copy = {.rank = 2 * x->rank};
    int64_t from[TENSOR_RANK_MAX], to[TENSOR_RANK_MAX];
    (void)err; /* cannot fail */
    if (tensor_count(y) == 0) {
        return STATUS_OK;
    }
    strided_dense(x->dims, x->rank, from);
    strided_dense(y->dims, y->rank, to);
    for (int i = 0; i < x->rank; i++) {
        copy.dims[2 * i] = y->dims[i] / x->dims[i];
        copy.to_step[2 * i] = to[i] * x->dims[i];
        copy.dims[2 * i + 1] = x->dims[i];
        copy.from_step[2 * i + 1] = from[i];
        copy.to_step[2 * i + 1] = to[i];
    }
    strided_simplify(&copy);
    strided_run(&copy, dtype_size(x->dtype), x->data, y->data);
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "Split",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 2,
        .outputs_max = NODE_OUTPUTS_MAX,
        .shape_inputs = 2,
        .types = {TYPES_ALL, TYPES_I64},
        .prepare = split_prepare,
        .shape = split_shape,
        .run = split_run,
    },
    {
        .name = "Tile",
        .since = 6,
        .inputs_min = 2,
        .inputs_max = 2,
        .shape_inputs = 2,
        .types = {TYPES_ALL, TYPES_I64},
        .shape = tile_shape,
        .run = tile_run,
    },
};

const struct op_list ops_split = OP_LIST(ops);
