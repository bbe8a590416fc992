/* pad.c - Pad: axes made longer by a constant, by what lies at or inside the edge, or by
 * the other end; shorter where a pad is negative. */
#include <math.h>

#include "base/size.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"
#include "engine/ops/strided.h"

enum mode { MODE_CONSTANT, MODE_REFLECT, MODE_EDGE, MODE_WRAP };

struct pad_state {
    int mode;
    struct attr_ints pads; /* until opset 10 */
    float value;
};

struct pad_memo {
    int64_t begin[TENSOR_RANK_MAX];
};

static enum status prepare(struct load *load, struct error *err) {
    static const char *const words[] = {"constant", "reflect", "edge", "wrap", NULL};
    struct pad_state *state = load_state(load, struct pad_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_word(load->node, "mode", 0, words, &state->mode, err);
    if (status == STATUS_OK && load->node->opset < 11) {
        const char *name = load->node->opset < 2 ? "paddings" : "pads";
        status = attr_ints(load->node, name, &state->pads, err);
        if (status == STATUS_OK) {
            status = attr_float(load->node, "value", 0, &state->value, err);
        }
    }
    return status;
}

/* begin and end of each axis, 0 for those not listed. */
static enum status read_pads(const struct exec *exec, int64_t *begin, int64_t *end,
                             struct error *err) {
    const struct pad_state *state = exec->node->state;
    int64_t pads[2 * TENSOR_RANK_MAX], axes[TENSOR_RANK_MAX];
    int count = (int)state->pads.count, axis_count = exec->x[0]->rank;
    enum status status = STATUS_OK;
    for (int i = 0; i < TENSOR_RANK_MAX; i++) {
        axes[i] = i;
        begin[i] = end[i] = 0;
    }
    if (exec_has(exec, 1)) {
        status = exec_ints(exec, 1, pads, 2 * TENSOR_RANK_MAX, &count, err);
    } else if (count <= 2 * TENSOR_RANK_MAX && count > 0) {
        memcpy(pads, state->pads.values, (size_t)count * sizeof(pads[0]));
    }
    if (status == STATUS_OK && exec_has(exec, 3)) {
        status = exec_ints(exec, 3, axes, TENSOR_RANK_MAX, &axis_count, err);
    }
    if (status == STATUS_OK && count != 2 * axis_count) {
        status = node_error(exec->node, err, STATUS_POISON, "%d pads for %d axes", count,
                            axis_count);
    }
    for (int i = 0; status == STATUS_OK && i < axis_count; i++) {
        int axis = 0;
        status = exec_axis(exec, axes[i], exec->x[0]->rank, &axis, err);
        begin[axis] = pads[i];
        end[axis] = pads[axis_count + i];
    }
    return status;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct pad_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    struct pad_memo *memo = exec->memo;
    int64_t end[TENSOR_RANK_MAX];
    enum status status = read_pads(exec, memo->begin, end, err);
    exec_same_shape(exec, 0, 0);
    for (int i = 0; status == STATUS_OK && i < x->rank; i++) {
        int64_t *dim = &exec->y[0]->dims[i];
        if (__builtin_add_overflow(x->dims[i], memo->begin[i], dim) ||
            __builtin_add_overflow(*dim, end[i], dim) || *dim < 0 ||
            (*dim > 0 && x->dims[i] == 0 && state->mode != MODE_CONSTANT) ||
            *dim > INT64_MAX / 64) {
            return node_error(exec->node, err, STATUS_POISON,
                              "axis %d of size %lld cannot be padded by %lld and %lld", i,
                              (long long)x->dims[i], (long long)memo->begin[i],
                              (long long)end[i]);
        }
        exec->scratch_size += (size_t)*dim * sizeof(int64_t);
    }
    return status;
}

/* Where place `i` of the padded axis is read, `i` counted from the input's first; -1
 * where it is the constant. */
static int64_t source(int mode, int64_t i, int64_t n) {
    int64_t period = 2 * (n - 1);
    if (i >= 0 && i < n) {
        return i;
    }
    switch ((enum mode)mode) {
    case MODE_CONSTANT:
        return -1;
    case MODE_EDGE:
        return i < 0 ? 0 : n - 1;
    case MODE_WRAP:
        return (i % n + n) % n;
    case MODE_REFLECT:
        if (period == 0) {
            return 0;
        }
        i = (i < 0 ? -i : i) % period;
        return i >= n ? period - i : i;
    }
    return -1;
}

/* The walk over the output: sources[axis][place], and the run of the last axis that is
 * copied as it is. */
struct pad_walk {
    const int64_t *sources[TENSOR_RANK_MAX];
    int64_t first, length; /* of the last axis: places first .. are the input's */
    int64_t from;          /* where the run begins in the input */
    size_t size;
    const uint8_t *fill;
};

static void put(const struct pad_walk *walk, const uint8_t *line, int64_t source_at,
                uint8_t *to) {
    memcpy(to, source_at < 0 ? walk->fill : line + (size_t)source_at * walk->size,
           walk->size);
}

/* One line of the output; `line` is NULL where all of it is the constant. */
static void pad_line(const struct pad_walk *walk, const int64_t *sources, int64_t count,
                     const uint8_t *line, uint8_t *to) {
    int64_t after = walk->first + walk->length;
    for (int64_t i = 0; i < (line == NULL ? count : walk->first); i++) {
        put(walk, line, line == NULL ? -1 : sources[i], to + (size_t)i * walk->size);
    }
    if (line == NULL) {
        return;
    }
    if (walk->length > 0) {
        memcpy(to + (size_t)walk->first * walk->size,
               line + (size_t)walk->from * walk->size, (size_t)walk->length * walk->size);
    }
    for (int64_t i = after; i < count; i++) {
        put(walk, line, sources[i], to + (size_t)i * walk->size);
    }
}

static void map_axes(const struct exec *exec, struct pad_walk *walk) {
    const struct pad_state *state = exec->node->state;
    const struct pad_memo *memo = exec->memo;
    const struct tensor *x = exec->x[0], *y = exec->y[0];
    int64_t *table = exec->scratch;
    int last = y->rank - 1;
    for (int axis = 0; axis < y->rank; axis++) {
        walk->sources[axis] = table;
        for (int64_t i = 0; i < y->dims[axis]; i++) {
            *table++ = source(state->mode, i - memo->begin[axis], x->dims[axis]);
        }
    }
    walk->first = memo->begin[last] > 0 ? memo->begin[last] : 0;
    walk->first = walk->first < y->dims[last] ? walk->first : y->dims[last];
    walk->from = memo->begin[last] < 0 ? -memo->begin[last] : 0;
    walk->length = x->dims[last] - walk->from;
    if (walk->length > y->dims[last] - walk->first) {
        walk->length = y->dims[last] - walk->first;
    }
    walk->length = walk->length < 0 ? 0 : walk->length;
}

/* The lines of the output, by an odometer over the axes before the last. */
static void pad_lines(const struct exec *exec, const struct pad_walk *walk) {
    const struct tensor *x = exec->x[0], *y = exec->y[0];
    int64_t place[TENSOR_RANK_MAX] = {0}, steps[TENSOR_RANK_MAX];
    int last = y->rank - 1;
    size_t count = tensor_count(y), columns = (size_t)y->dims[last];
    strided_dense(x->dims, x->rank, steps);
    for (size_t at = 0; at < count; at += columns) {
        const uint8_t *line = x->data;
        for (int k = 0; k < last && line != NULL; k++) {
            int64_t from = walk->sources[k][place[k]];
            line = from < 0 ? NULL : line + (size_t)(from * steps[k]) * walk->size;
        }
        line = x->dims[last] == 0 ? NULL : line;
        pad_line(walk, walk->sources[last], (int64_t)columns, line,
                 (uint8_t *)y->data + at * walk->size);
        for (int k = last - 1; k >= 0 && ++place[k] == y->dims[k]; k--) {
            place[k] = 0;
        }
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct pad_state *state = exec->node->state;
    struct tensor *y = exec->y[0];
    uint64_t constant[2] = {0};
    struct tensor fill = {.dtype = y->dtype, .rank = 0, .data = constant};
    struct pad_walk walk = {.size = dtype_size(y->dtype), .fill = (uint8_t *)constant};
    if (exec_has(exec, 2)) {
        if (tensor_count(exec->x[2]) != 1) {
            return node_error(exec->node, err, STATUS_POISON,
                              "the constant is not one element");
        }
        walk.fill = exec->x[2]->data;
    } else if ((TYPES_NUMBER & TYPE_BIT(y->dtype)) != 0) {
        number_set_real(&fill, 0, (double)state->value);
    }
    if (tensor_count(y) == 0) {
        return STATUS_OK;
    }
    if (y->rank == 0) {
        memcpy(y->data, exec->x[0]->data, walk.size);
        return STATUS_OK;
    }
    map_axes(exec, &walk);
    pad_lines(exec, &walk);
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "Pad",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 4,
        .shape_inputs = 1U << 1 | 1U << 3,
        .types = {TYPES_ALL, TYPES_INDEX, 0, TYPES_INDEX},
        .memo_size = sizeof(struct pad_memo),
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_pad = OP_LIST(ops);
