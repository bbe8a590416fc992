/* scatter.c - Scatter, ScatterElements, ScatterND: a copy with some elements replaced, or
 * added to, multiplied, or taken the larger or smaller of. */
#include "engine/ops/indexing.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"

enum reduction { REDUCE_NONE, REDUCE_ADD, REDUCE_MUL, REDUCE_MIN, REDUCE_MAX };

struct scatter_state {
    int64_t axis;
    int reduction;
};

static enum status prepare(struct load *load, struct error *err) {
    static const char *const words[] = {"none", "add", "mul", "min", "max", NULL};
    struct scatter_state *state = load_state(load, struct scatter_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_int(load->node, "axis", 0, &state->axis, err);
    if (status == STATUS_OK) {
        status = attr_word(load->node, "reduction", 0, words, &state->reduction, err);
    }
    if (status == STATUS_OK && state->reduction != REDUCE_NONE &&
        (TYPE_BIT(graph_input_dtype(load->graph, load->node, 0)) &
         (TYPES_NUMBER | TYPES_BOOL | TYPES_HALF)) == 0) {
        return node_error(load->node, err, STATUS_UNSUPPORTED,
                          "reduces elements that are no numbers");
    }
    return status;
}

static double reduce_real(int reduction, double a, double b) {
    switch ((enum reduction)reduction) {
    case REDUCE_NONE:
        return b;
    case REDUCE_ADD:
        return a + b;
    case REDUCE_MUL:
        return a * b;
    case REDUCE_MIN:
        return b < a ? b : a;
    case REDUCE_MAX:
        return b > a ? b : a;
    }
    return b;
}

static int64_t reduce_integer(int reduction, int64_t a, int64_t b) {
    switch ((enum reduction)reduction) {
    case REDUCE_NONE:
        return b;
    case REDUCE_ADD:
        return (int64_t)((uint64_t)a + (uint64_t)b);
    case REDUCE_MUL:
        return (int64_t)((uint64_t)a * (uint64_t)b);
    case REDUCE_MIN:
        return b < a ? b : a;
    case REDUCE_MAX:
        return b > a ? b : a;
    }
    return b;
}

/* y[at ..] takes in updates[from ..], `count` elements. */
static void put(const struct scatter_state *state, struct tensor *y, int64_t at,
                const struct tensor *updates, int64_t from, int64_t count) {
    size_t size = dtype_size(y->dtype);
    if (state->reduction == REDUCE_NONE) {
        if (count > 0) {
            memcpy((uint8_t *)y->data + (size_t)at * size,
                   (const uint8_t *)updates->data + (size_t)from * size,
                   (size_t)count * size);
        }
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        if (((TYPES_FLOAT | TYPES_HALF) & TYPE_BIT(y->dtype)) != 0) {
            number_set_real(y, at + i,
                            reduce_real(state->reduction, number_real(y, at + i),
                                        number_real(updates, from + i)));
        } else {
            number_set_integer(y, at + i,
                               reduce_integer(state->reduction, number_integer(y, at + i),
                                              number_integer(updates, from + i)));
        }
    }
}

static void start_from(const struct tensor *x, struct tensor *y) {
    size_t size = tensor_size(x);
    if (size > 0 && x->data != y->data) {
        memcpy(y->data, x->data, size);
    }
}

/* ---- ScatterElements --------------------------------------------------------------- */

static enum status elements_shape(struct exec *exec, struct error *err) {
    enum status status = indexing_check_elements(exec, exec->x[0], exec->x[1], err);
    if (status == STATUS_OK && tensor_count(exec->x[1]) != tensor_count(exec->x[2])) {
        status = indexing_misfit(exec, exec->x[2], exec->x[1], err);
    }
    exec_same_shape(exec, 0, 0);
    return status;
}

static enum status elements_run(struct exec *exec, struct error *err) {
    const struct scatter_state *state = exec->node->state;
    size_t count = tensor_count(exec->x[1]);
    struct indexing walk;
    enum status status =
        indexing_init(&walk, exec, exec->x[0], exec->x[1], state->axis, err);
    start_from(exec->x[0], exec->y[0]);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        int64_t at = 0;
        status = indexing_next(&walk, i, &at, err);
        if (status == STATUS_OK) {
            put(state, exec->y[0], at, exec->x[2], (int64_t)i, 1);
        }
    }
    return status;
}

/* ---- ScatterND --------------------------------------------------------------------- */

static enum status nd_shape(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0], *indices = exec->x[1], *updates = exec->x[2];
    int64_t width = indices->rank > 0 ? indices->dims[indices->rank - 1] : 0;
    bool fits = width >= 1 && width <= x->rank &&
                updates->rank == indices->rank - 1 + x->rank - (int)width;
    for (int i = 0; fits && i < updates->rank; i++) {
        int64_t want = i < indices->rank - 1
                           ? indices->dims[i]
                           : x->dims[(int)width + i - (indices->rank - 1)];
        fits = updates->dims[i] == want;
    }
    if (!fits) {
        return indexing_misfit(exec, x, indices, err);
    }
    exec_same_shape(exec, 0, 0);
    return STATUS_OK;
}

static enum status nd_run(struct exec *exec, struct error *err) {
    const struct scatter_state *state = exec->node->state;
    struct indexing_nd walk = indexing_nd_init(exec->x[0], exec->x[1], 0);
    start_from(exec->x[0], exec->y[0]);
    for (int64_t i = 0; i < walk.tuples; i++) {
        int64_t at = 0;
        enum status status = indexing_nd_at(&walk, exec, i, &at, err);
        if (status != STATUS_OK) {
            return status;
        }
        put(state, exec->y[0], at, exec->x[2], i * walk.slice, walk.slice);
    }
    return STATUS_OK;
}

#define SCATTER(text, opset, index_types, shape_fn, run_fn)                          \
    {                                                                                \
        .name = text, .since = opset, .inputs_min = 3, .inputs_max = 3,              \
        .types = {TYPES_ALL, index_types, 0}, .prepare = prepare, .shape = shape_fn, \
        .run = run_fn,                                                               \
    }

static const struct op ops[] = {
    SCATTER("Scatter", 9, TYPES_INDEX, elements_shape, elements_run),
    SCATTER("ScatterElements", 11, TYPES_INDEX, elements_shape, elements_run),
    SCATTER("ScatterND", 11, TYPES_I64, nd_shape, nd_run),
};

const struct op_list ops_scatter = OP_LIST(ops);
