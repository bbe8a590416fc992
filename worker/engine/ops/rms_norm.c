/* rms_norm.c - RMSNormalization: x / sqrt(mean(x^2) + epsilon) * scale over the axes from
 * `axis` on. */
#include <math.h>

#include "engine/kernels/elementwise.h"
#include "engine/kernels/kernels.h"
#include "engine/ops/broadcast.h"
#include "engine/ops/ops.h"

struct rms_state {
    int64_t axis;
    float epsilon;
};

struct rms_memo {
    int64_t rows, cols;
    bool plain; /* scale holds one number for each column */
    struct broadcast spread;
};

static enum status prepare(struct load *load, struct error *err) {
    struct rms_state *state = load_state(load, struct rms_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    attr_ignore(load->node, "stash_type"); /* we compute in what x has */
    status = attr_int(load->node, "axis", -1, &state->axis, err);
    if (status == STATUS_OK) {
        status = attr_float(load->node, "epsilon", 1e-5F, &state->epsilon, err);
    }
    return status;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct rms_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *scale = exec->x[1];
    struct rms_memo *memo = exec->memo;
    struct tensor all = {0};
    int axis;
    enum status status = exec_axis(exec, state->axis, x->rank, &axis, err);
    if (status == STATUS_OK) {
        status = broadcast_shape(exec, exec->x, 2, &all, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (all.rank != x->rank ||
        memcmp(all.dims, x->dims, (size_t)x->rank * sizeof(*x->dims)) != 0) {
        return node_error(exec->node, err, STATUS_POISON,
                          "the scale is larger than the input");
    }
    memo->rows = memo->cols = 1;
    for (int i = 0; i < x->rank; i++) {
        *(i < axis ? &memo->rows : &memo->cols) *= x->dims[i];
    }
    memo->plain =
        (int64_t)tensor_count(scale) == memo->cols && scale->rank <= x->rank - axis;
    broadcast_init(&memo->spread, exec->x, 2, x);
    exec_same_shape(exec, 0, 0);
    return STATUS_OK;
}

#define ROWS(type, root)                                                                \
    static void rows_##type(const struct rms_memo *memo, type epsilon, const type *x,   \
                            type *y) {                                                  \
        for (int64_t r = 0; r < memo->rows; r++, x += memo->cols, y += memo->cols) {    \
            type sum = 0;                                                               \
            for (int64_t i = 0; i < memo->cols; i++) {                                  \
                sum += x[i] * x[i];                                                     \
            }                                                                           \
            const type factor = 1 / root(sum / (type)memo->cols + epsilon);             \
            for (int64_t i = 0; i < memo->cols; i++) {                                  \
                y[i] = x[i] * factor;                                                   \
            }                                                                           \
        }                                                                               \
    }                                                                                   \
    static void scale_##type(const struct rms_memo *memo, const type *scale, type *y) { \
        const struct broadcast *spread = &memo->spread;                                 \
        struct broadcast_walk walk = {0};                                               \
        do {                                                                            \
            const type *s = scale + walk.at[1];                                         \
            type *line = y + walk.out;                                                  \
            for (int64_t i = 0; i < spread->line; i++) {                                \
                line[i] *= s[i * spread->line_step[1]];                                 \
            }                                                                           \
        } while (broadcast_next(spread, &walk));                                        \
    }

ROWS(float, sqrtf)
ROWS(double, sqrt)

/* The usual case, in float32: one pass over a row in the cache. */
static void rows_fast(const struct rms_memo *memo, float epsilon, const float *scale,
                      const float *x, float *y) {
    const struct kernels *kernels = kernels_current();
    const int64_t cols = memo->cols;
    for (int64_t r = 0; r < memo->rows; r++, x += cols, y += cols) {
        const float mean = kernels->dot(cols, x, x) / (float)cols;
        kernels->scale_shift(cols, 1.0F / sqrtf(mean + epsilon), 0.0F, x, y);
        ew_binary(EW_MUL, EW_BOTH, cols, y, scale, y);
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct rms_state *state = exec->node->state;
    const struct rms_memo *memo = exec->memo;
    const struct tensor *x = exec->x[0];
    const void *scale = exec->x[1]->data;
    void *y = exec->y[0]->data;
    (void)err; /* cannot fail */
    if (tensor_count(x) == 0) {
        return STATUS_OK;
    }
    if (x->dtype == DTYPE_F64) {
        rows_double(memo, (double)state->epsilon, x->data, y);
        scale_double(memo, scale, y);
    } else if (memo->plain) {
        rows_fast(memo, state->epsilon, scale, x->data, y);
    } else {
        rows_float(memo, state->epsilon, x->data, y);
        scale_float(memo, scale, y);
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "RMSNormalization",
        .since = 23,
        .inputs_min = 2,
        .inputs_max = 2,
        .types = {TYPES_FLOAT},
        .memo_size = sizeof(struct rms_memo),
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_rms_norm = OP_LIST(ops);
