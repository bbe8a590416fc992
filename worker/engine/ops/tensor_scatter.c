/* tensor_scatter.c - TensorScatter: writes the newest keys or values into a cache, at a
 * place of its own for each batch item. */
#include "engine/ops/ops.h"

enum { IN_CACHE, IN_UPDATE, IN_PLACES };

struct cache_state {
    int64_t axis;
    int circular;
};

static enum status prepare(struct load *load, struct error *err) {
    static const char *const words[] = {"linear", "circular", NULL};
    struct cache_state *state = load_state(load, struct cache_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_int(load->node, "axis", -2, &state->axis, err);
    return status == STATUS_OK
               ? attr_word(load->node, "mode", 0, words, &state->circular, err)
               : status;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct cache_state *state = exec->node->state;
    const struct tensor *cache = exec->x[IN_CACHE], *update = exec->x[IN_UPDATE];
    int axis = 0;
    enum status status = exec_axis(exec, state->axis, cache->rank, &axis, err);
    bool fits = status == STATUS_OK && axis > 0 && update->rank == cache->rank;
    if (status != STATUS_OK) {
        return status;
    }
    for (int i = 0; fits && i < cache->rank; i++) {
        fits = i == axis ? update->dims[i] <= cache->dims[i]
                         : update->dims[i] == cache->dims[i];
    }
    fits = fits && (!exec_has(exec, IN_PLACES) ||
                    (exec->x[IN_PLACES]->rank == 1 &&
                     exec->x[IN_PLACES]->dims[0] == cache->dims[0]));
    if (!fits) {
        char a[TENSOR_SHAPE_TEXT_MAX], b[TENSOR_SHAPE_TEXT_MAX];
        return node_error(exec->node, err, STATUS_POISON,
                          "update %s does not suit cache %s",
                          tensor_shape_text(update->dims, update->rank, b, sizeof(b)),
                          tensor_shape_text(cache->dims, cache->rank, a, sizeof(a)));
    }
    exec_same_shape(exec, 0, IN_CACHE);
    return STATUS_OK;
}

/* Of batch item `item`: the first place; STATUS_POISON where the update does not fit. */
static enum status first_place(const struct exec *exec, int64_t item, int64_t room,
                               int64_t length, int64_t *place, struct error *err) {
    const struct cache_state *state = exec->node->state;
    *place =
        exec_has(exec, IN_PLACES) ? ((const int64_t *)exec->x[IN_PLACES]->data)[item] : 0;
    if (*place < 0 || (state->circular == 0 && *place > room - length)) {
        return node_error(exec->node, err, STATUS_POISON,
                          "%lld rows at a batch item's place exceed a cache of %lld",
                          (long long)length, (long long)room);
    }
    return STATUS_OK;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct cache_state *state = exec->node->state;
    const struct tensor *cache = exec->x[IN_CACHE], *update = exec->x[IN_UPDATE];
    size_t row = dtype_size(cache->dtype);
    int64_t runs = 1, room, length; /* runs: of rows, in one batch item */
    int axis = 0;
    enum status status = exec_axis(exec, state->axis, cache->rank, &axis, err);
    if (status != STATUS_OK || tensor_size(cache) == 0) {
        return status;
    }
    for (int i = 1; i < cache->rank; i++) {
        runs *= i < axis ? cache->dims[i] : 1;
        row *= i > axis ? (size_t)cache->dims[i] : 1;
    }
    room = cache->dims[axis];
    length = update->dims[axis];
    memcpy(exec->y[0]->data, cache->data, tensor_size(cache));
    for (int64_t r = 0; r < cache->dims[0] * runs; r++) {
        int64_t place;
        status = first_place(exec, r / runs, room, length, &place, err);
        if (status != STATUS_OK) {
            return status;
        }
        for (int64_t i = 0; i < length; i++) {
            int64_t to = r * room + (place % room + i) % room;
            memcpy((uint8_t *)exec->y[0]->data + (size_t)to * row,
                   (const uint8_t *)update->data + (size_t)(r * length + i) * row, row);
        }
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "TensorScatter",
        .since = 24,
        .inputs_min = 2,
        .inputs_max = 3,
        .types = {TYPES_ALL, 0, TYPES_I64},
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_tensor_scatter = OP_LIST(ops);
