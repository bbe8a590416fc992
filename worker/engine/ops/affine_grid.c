/* affine_grid.c - AffineGrid: where GridSample reads for an affine transformation.
 *
 *     theta [N,2,3], size (N,C,H,W)      ->  grid [N,H,W,2]
 *     theta [N,3,4], size (N,C,D,H,W)    ->  grid [N,D,H,W,3]
 *
 * A place's coordinates are x, y(, z), each from -1 to 1, and then a 1. */
#include "engine/ops/number.h"
#include "engine/ops/ops.h"

enum { AXES_MAX = 3 };

struct affine_state {
    bool align;
};

struct affine_memo {
    int64_t size[AXES_MAX]; /* as the grid has them */
};

static enum status prepare(struct load *load, struct error *err) {
    struct affine_state *state = load_state(load, struct affine_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    return attr_bool(load->node, "align_corners", false, &state->align, err);
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct tensor *theta = exec->x[0];
    struct affine_memo *memo = exec->memo;
    struct tensor *y = exec->y[0];
    int64_t size[2 + AXES_MAX];
    int count = 0;
    enum status status = exec_ints(exec, 1, size, 2 + AXES_MAX, &count, err);
    bool fits = count >= 4 && theta->rank == 3 && theta->dims[0] == size[0] &&
                theta->dims[1] == count - 2 && theta->dims[2] == count - 1;
    if (status != STATUS_OK) {
        return status;
    }
    for (int i = 2; fits && i < count; i++) {
        fits = size[i] >= 0;
    }
    if (!fits) {
        char text[TENSOR_SHAPE_TEXT_MAX];
        return node_error(
            exec->node, err, STATUS_POISON, "theta %s does not suit a size of %d numbers",
            tensor_shape_text(theta->dims, theta->rank, text, sizeof(text)), count);
    }
    y->rank = count;
    y->dims[0] = size[0];
    for (int i = 0; i < count - 2; i++) {
        y->dims[1 + i] = memo->size[i] = size[2 + i];
    }
    y->dims[count - 1] = count - 2;
    return STATUS_OK;
}

/* From -1 to 1: the first and last places' middles, or their outer edges. */
static double coordinate(bool align, int64_t i, int64_t n) {
    if (align) {
        return n > 1 ? -1 + 2 * (double)i / (double)(n - 1) : -1;
    }
    return -1 + (2 * (double)i + 1) / (double)n;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct affine_state *state = exec->node->state;
    const struct affine_memo *memo = exec->memo;
    const struct tensor *theta = exec->x[0];
    struct tensor *y = exec->y[0];
    int axes = y->rank - 2;
    int64_t count = (int64_t)tensor_count(y) / axes, places = 1;
    (void)err; /* cannot fail */
    for (int i = 0; i < axes; i++) {
        places *= memo->size[i];
    }
    for (int64_t p = 0; p < count; p++) {
        double at[AXES_MAX] = {0};
        int64_t left = p % places, item = p / places;
        for (int i = axes - 1; i >= 0; i--) { /* the last axis is x */
            at[axes - 1 - i] =
                coordinate(state->align, left % memo->size[i], memo->size[i]);
            left /= memo->size[i];
        }
        for (int r = 0; r < axes; r++) {
            int64_t row = (item * axes + r) * (axes + 1);
            double sum = number_real(theta, row + axes);
            for (int k = 0; k < axes; k++) {
                sum += number_real(theta, row + k) * at[k];
            }
            number_set_real(y, p * axes + r, sum);
        }
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "AffineGrid",
        .since = 20,
        .inputs_min = 2,
        .inputs_max = 2,
        .shape_inputs = 2,
        .types = {TYPES_FLOAT, TYPES_I64},
        .memo_size = sizeof(struct affine_memo),
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_affine_grid = OP_LIST(ops);
