/* space_depth.c - DepthToSpace and SpaceToDepth: blocks of pixels into channels and back,
 * which is a copy with its axes in another order. */
#include "engine/ops/ops.h"
#include "engine/ops/strided.h"

struct block_state {
    int64_t size;
    int columns_first; /* mode CRD: a channel's block lies together */
};

static enum status prepare(struct load *load, struct error *err) {
    static const char *const words[] = {"DCR", "CRD", NULL};
    struct block_state *state = load_state(load, struct block_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_int_in(load->node, "blocksize", 1, 1, 1 << 16, &state->size, err);
    return status == STATUS_OK
               ? attr_word(load->node, "mode", 0, words, &state->columns_first, err)
               : status;
}

static enum status misfit(const struct exec *exec, struct error *err) {
    const struct block_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    char text[TENSOR_SHAPE_TEXT_MAX];
    return node_error(exec->node, err, STATUS_POISON,
                      "an input of %s cannot be moved in blocks of %lld",
                      tensor_shape_text(x->dims, x->rank, text, sizeof(text)),
                      (long long)state->size);
}

static enum status to_space_shape(struct exec *exec, struct error *err) {
    const struct block_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    int64_t *y = exec->y[0]->dims;
    if (x->rank != 4 || x->dims[1] % (state->size * state->size) != 0) {
        return misfit(exec, err);
    }
    exec_same_shape(exec, 0, 0);
    y[1] = x->dims[1] / (state->size * state->size);
    return __builtin_mul_overflow(x->dims[2], state->size, &y[2]) ||
                   __builtin_mul_overflow(x->dims[3], state->size, &y[3])
               ? misfit(exec, err)
               : STATUS_OK;
}

static enum status to_depth_shape(struct exec *exec, struct error *err) {
    const struct block_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    int64_t *y = exec->y[0]->dims;
    if (x->rank != 4 || x->dims[2] % state->size != 0 || x->dims[3] % state->size != 0) {
        return misfit(exec, err);
    }
    exec_same_shape(exec, 0, 0);
    y[2] = x->dims[2] / state->size;
    y[3] = x->dims[3] / state->size;
    return __builtin_mul_overflow(x->dims[1], state->size * state->size, &y[1])
               ? misfit(exec, err)
               : STATUS_OK;
}

/* Axes of the copy: batch, channel, row of the block, column of it, row, column. */
enum {
    AXIS_BATCH,
    AXIS_CHANNEL,
    AXIS_BLOCK_ROW,
    AXIS_BLOCK_COLUMN,
    AXIS_ROW,
    AXIS_COLUMN
};

/* Steps of those axes in the wide image and in the deep one. */
static void steps(const struct block_state *state, const struct tensor *wide,
                  const struct tensor *deep, int64_t *in_wide, int64_t *in_deep) {
    int64_t b = state->size, plane = deep->dims[2] * deep->dims[3];
    int64_t channels = wide->dims[1], width = wide->dims[3];
    in_wide[AXIS_BATCH] = channels * wide->dims[2] * width;
    in_wide[AXIS_CHANNEL] = wide->dims[2] * width;
    in_wide[AXIS_BLOCK_ROW] = width;
    in_wide[AXIS_BLOCK_COLUMN] = 1;
    in_wide[AXIS_ROW] = width * b;
    in_wide[AXIS_COLUMN] = b;
    in_deep[AXIS_BATCH] = deep->dims[1] * plane;
    in_deep[AXIS_CHANNEL] = plane * (state->columns_first != 0 ? b * b : 1);
    in_deep[AXIS_BLOCK_ROW] = plane * b * (state->columns_first != 0 ? 1 : channels);
    in_deep[AXIS_BLOCK_COLUMN] = plane * (state->columns_first != 0 ? 1 : channels);
    in_deep[AXIS_ROW] = deep->dims[3];
    in_deep[AXIS_COLUMN] = 1;
}

static void move(const struct exec *exec, bool to_space) {
    const struct block_state *state = exec->node->state;
    const struct tensor *wide = to_space ? exec->y[0] : exec->x[0];
    const struct tensor *deep = to_space ? exec->x[0] : exec->y[0];
    struct strided copy = {.rank = 6,
                           .dims = {wide->dims[0], wide->dims[1], state->size,
                                    state->size, deep->dims[2], deep->dims[3]}};
    if (tensor_count(wide) == 0) {
        return;
    }
    steps(state, wide, deep, to_space ? copy.to_step : copy.from_step,
          to_space ? copy.from_step : copy.to_step);
    strided_simplify(&copy);
    strided_run(&copy, dtype_size(wide->dtype), exec->x[0]->data, exec->y[0]->data);
}

static enum status to_space_run(struct exec *exec, struct error *err) {
    (void)err; /* cannot fail */
    move(exec, true);
    return STATUS_OK;
}

static enum status to_depth_run(struct exec *exec, struct error *err) {
    (void)err; /* cannot fail */
    move(exec, false);
    return STATUS_OK;
}

#define BLOCKS(text, shape_fn, run_fn)                                              \
    {                                                                               \
        .name = text, .since = 1, .inputs_min = 1, .inputs_max = 1,                 \
        .types = {TYPES_ALL}, .prepare = prepare, .shape = shape_fn, .run = run_fn, \
    }

static const struct op ops[] = {
    BLOCKS("DepthToSpace", to_space_shape, to_space_run),
    BLOCKS("SpaceToDepth", to_depth_shape, to_depth_run),
};

const struct op_list ops_space_depth = OP_LIST(ops);
