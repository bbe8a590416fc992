/* reshape.c - operators that rename the dims and leave the bytes where they are:
 * Identity, Dropout, Reshape, Flatten, Squeeze, Unsqueeze. */
#include "engine/ops/number.h"
#include "engine/ops/ops.h"

/* Every shape() here ends in exec_alias, so run is never reached. */
static enum status run(struct exec *exec, struct error *err) {
    return node_error(exec->node, err, STATUS_FATAL, "has nothing to compute");
}

/* ---- Identity, Dropout --------------------------------------------------------- */

static enum status identity_shape(struct exec *exec, struct error *err) {
    (void)err; /* cannot fail */
    exec_same_shape(exec, 0, 0);
    exec_alias(exec, 0, 0);
    return STATUS_OK;
}

/* ---- Reshape ------------------------------------------------------------------- */

struct reshape_state {
    struct attr_ints dims; /* opset 1 to 4; later an input */
    bool allow_zero;
};

static enum status reshape_1_prepare(struct load *load, struct error *err) {
    struct reshape_state *state = load_state(load, struct reshape_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    attr_ignore(load->node, "consumed_inputs");
    return attr_ints(load->node, "shape", &state->dims, err);
}

static enum status reshape_5_prepare(struct load *load, struct error *err) {
    struct reshape_state *state = load_state(load, struct reshape_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    return attr_bool(load->node, "allowzero", false, &state->allow_zero, err);
}

/* The dims asked for: 0 and -1 still to be replaced. */
static enum status asked_dims(struct exec *exec, struct tensor *y, struct error *err) {
    const struct reshape_state *state = exec->node->state;
    if (exec_has(exec, 1)) {
        return exec_ints(exec, 1, y->dims, TENSOR_RANK_MAX, &y->rank, err);
    }
    if (state->dims.count > TENSOR_RANK_MAX) {
        return node_error(exec->node, err, STATUS_UNSUPPORTED,
                          "makes %zu dimensions, at most %d are handled",
                          state->dims.count, TENSOR_RANK_MAX);
    }
    y->rank = (int)state->dims.count;
    for (int i = 0; i < y->rank; i++) {
        y->dims[i] = state->dims.values[i];
    }
    return STATUS_OK;
}

static enum status cannot_reshape(const struct exec *exec, const struct tensor *y,
                                  struct error *err) {
    const struct tensor *x = exec->x[0];
    char have[TENSOR_SHAPE_TEXT_MAX], want[TENSOR_SHAPE_TEXT_MAX];
    return node_error(exec->node, err, STATUS_POISON, "shape %s cannot become %s",
                      tensor_shape_text(x->dims, x->rank, have, sizeof(have)),
                      tensor_shape_text(y->dims, y->rank, want, sizeof(want)));
}

static enum status reshape_shape(struct exec *exec, struct error *err) {
    const struct reshape_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    struct tensor *y = exec->y[0];
    size_t known, count = tensor_count(x);
    int rest = -1;
    enum status status = asked_dims(exec, y, err);
    if (status != STATUS_OK) {
        return status;
    }
    for (int i = 0; i < y->rank; i++) {
        if (y->dims[i] == 0 && !state->allow_zero && i < x->rank) {
            y->dims[i] = x->dims[i];
        } else if (y->dims[i] == -1 && rest < 0) {
            rest = i;
        } else if (y->dims[i] < 0 || (y->dims[i] == 0 && !state->allow_zero)) {
            return cannot_reshape(exec, y, err);
        }
    }
    if (rest >= 0) {
        y->dims[rest] = 1;
        if (!tensor_dims_count(y->dims, y->rank, &known) || known == 0 ||
            count % known != 0) {
            y->dims[rest] = -1;
            return cannot_reshape(exec, y, err);
        }
        y->dims[rest] = (int64_t)(count / known);
    }
    if (!tensor_dims_count(y->dims, y->rank, &known) || known != count) {
        return cannot_reshape(exec, y, err);
    }
    exec_alias(exec, 0, 0);
    return STATUS_OK;
}

/* ---- Flatten ------------------------------------------------------------------- */

struct flatten_state {
    int64_t axis;
};

static enum status flatten_prepare(struct load *load, struct error *err) {
    struct flatten_state *state = load_state(load, struct flatten_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    return attr_int(load->node, "axis", 1, &state->axis, err);
}

static enum status flatten_shape(struct exec *exec, struct error *err) {
    const struct flatten_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    struct tensor *y = exec->y[0];
    int axis = x->rank;
    if (state->axis != x->rank) { /* the end is allowed, too */
        enum status status = exec_axis(exec, state->axis, x->rank, &axis, err);
        if (status != STATUS_OK) {
            return status;
        }
    }
    y->rank = 2;
    y->dims[0] = y->dims[1] = 1;
    for (int i = 0; i < x->rank; i++) {
        y->dims[i < axis ? 0 : 1] *= x->dims[i];
    }
    exec_alias(exec, 0, 0);
    return STATUS_OK;
}

/* ---- Squeeze, Unsqueeze -------------------------------------------------------- */

struct axes_state {
    struct attr_ints axes; /* up to opset 12; later an input */
};

static enum status axes_attr_prepare(struct load *load, struct error *err) {
    struct axes_state *state = load_state(load, struct axes_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    return attr_ints(load->node, "axes", &state->axes, err);
}

/* Sets *marked, a bit for each axis of a tensor of `rank`; *given tells whether axes
 * were named at all. */
static enum status marked_axes(struct exec *exec, int rank, unsigned *marked, bool *given,
                               struct error *err) {
    const struct axes_state *state = exec->node->state;
    int64_t axes[TENSOR_RANK_MAX];
    int count = 0;
    enum status status = STATUS_OK;
    *marked = 0;
    if (exec_has(exec, 1)) {
        status = exec_ints(exec, 1, axes, TENSOR_RANK_MAX, &count, err);
    } else if (state != NULL && state->axes.count <= TENSOR_RANK_MAX) {
        for (; count < (int)state->axes.count; count++) {
            axes[count] = state->axes.values[count];
        }
    }
    *given = exec_has(exec, 1) || (state != NULL && state->axes.values != NULL);
    for (int i = 0; status == STATUS_OK && i < count; i++) {
        int axis;
        status = exec_axis(exec, axes[i], rank, &axis, err);
        if (status == STATUS_OK && (*marked >> axis & 1) != 0) {
            status = node_error(exec->node, err, STATUS_POISON, "axis %d is named twice",
                                axis);
        }
        *marked |= status == STATUS_OK ? 1U << axis : 0;
    }
    return status;
}

static enum status squeeze_shape(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0];
    struct tensor *y = exec->y[0];
    unsigned marked;
    bool given;
    enum status status = marked_axes(exec, x->rank, &marked, &given, err);
    if (status != STATUS_OK) {
        return status;
    }
    y->rank = 0;
    for (int i = 0; i < x->rank; i++) {
        bool drop = given ? (marked >> i & 1) != 0 : x->dims[i] == 1;
        if (drop && x->dims[i] != 1) {
            return node_error(exec->node, err, STATUS_POISON,
                              "axis %d has size %lld, only 1 can be dropped", i,
                              (long long)x->dims[i]);
        }
        if (!drop) {
            y->dims[y->rank++] = x->dims[i];
        }
    }
    exec_alias(exec, 0, 0);
    return STATUS_OK;
}

/* Axes are counted in the result, so its rank must be known first. */
static enum status unsqueeze_shape(struct exec *exec, struct error *err) {
    const struct axes_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    struct tensor *y = exec->y[0];
    size_t added = exec_has(exec, 1) ? tensor_count(exec->x[1]) : state->axes.count;
    unsigned marked;
    bool given;
    int rank, from = 0;
    enum status status;
    if (added > TENSOR_RANK_MAX || (int)added + x->rank > TENSOR_RANK_MAX) {
        return node_error(exec->node, err, STATUS_POISON,
                          "would make more than %d dimensions", TENSOR_RANK_MAX);
    }
    rank = x->rank + (int)added;
    status = marked_axes(exec, rank, &marked, &given, err);
    if (status != STATUS_OK) {
        return status;
    }
    for (int i = 0; i < rank; i++) {
        y->dims[i] = (marked >> i & 1) != 0 ? 1 : x->dims[from++];
    }
    y->rank = rank;
    exec_alias(exec, 0, 0);
    return STATUS_OK;
}

#define RENAMES(text, opset, most_inputs, read, prepare_fn, shape_fn)                   \
    {                                                                                   \
        .name = text, .since = opset, .inputs_min = 1, .inputs_max = most_inputs,       \
        .shape_inputs = read, .types = {TYPES_ALL, TYPES_INDEX}, .prepare = prepare_fn, \
        .shape = shape_fn, .run = run,                                                  \
    }

static const struct op ops[] = {
    {
        .name = "Identity",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_VALUE},
        .shape = identity_shape,
        .run = run,
    },
    RENAMES("Reshape", 1, 1, 0, reshape_1_prepare, reshape_shape),
    {
        .name = "Reshape",
        .since = 5,
        .inputs_min = 2,
        .inputs_max = 2,
        .shape_inputs = 2,
        .types = {TYPES_ALL, TYPES_I64},
        .prepare = reshape_5_prepare,
        .shape = reshape_shape,
        .run = run,
    },
    RENAMES("Flatten", 1, 1, 0, flatten_prepare, flatten_shape),
    RENAMES("Squeeze", 1, 1, 0, axes_attr_prepare, squeeze_shape),
    RENAMES("Squeeze", 13, 2, 2, NULL, squeeze_shape),
    RENAMES("Unsqueeze", 1, 1, 0, axes_attr_prepare, unsqueeze_shape),
    {
        .name = "Unsqueeze",
        .since = 13,
        .inputs_min = 2,
        .inputs_max = 2,
        .shape_inputs = 2,
        .types = {TYPES_ALL, TYPES_I64},
        .shape = unsqueeze_shape,
        .run = run,
    },
};

const struct op_list ops_reshape = OP_LIST(ops);
