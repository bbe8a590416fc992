/* softmax.c - Softmax and LogSoftmax.
 *
 * Up to opset 12 the input counts as a matrix whose columns are all axes from `axis` on;
 * from opset 13 one axis is normalised. */
#include <math.h>

#include "engine/kernels/vmath.h"
#include "engine/ops/ops.h"

struct softmax {
    bool log;
    bool one_axis;
};

struct softmax_state {
    int64_t axis;
};

/* outer x dim x inner: dim is normalised. */
struct softmax_memo {
    int64_t outer, dim, inner;
};

static enum status prepare(struct load *load, struct error *err) {
    const struct softmax *softmax = load->node->op->param;
    struct softmax_state *state = load_state(load, struct softmax_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    return attr_int(load->node, "axis", softmax->one_axis ? -1 : 1, &state->axis, err);
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct softmax *softmax = exec->node->op->param;
    const struct softmax_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    struct softmax_memo *memo = exec->memo;
    int axis;
    enum status status = exec_axis(exec, state->axis, x->rank, &axis, err);
    if (status != STATUS_OK) {
        return status;
    }
    exec_same_shape(exec, 0, 0);
    *memo = (struct softmax_memo){1, 1, 1};
    for (int i = 0; i < x->rank; i++) {
        if (i < axis) {
            memo->outer *= x->dims[i];
        } else if (i == axis || !softmax->one_axis) {
            memo->dim *= x->dims[i];
        } else {
            memo->inner *= x->dims[i];
        }
    }
    exec->scratch_size = memo->inner > 1 ? (size_t)memo->dim * sizeof(double) : 0;
    return STATUS_OK;
}

static void rows_f32(bool log, int64_t rows, int64_t cols, const float *x, float *y) {
    if (log) {
        vmath_log_softmax_rows(rows, cols, x, y);
    } else {
        vmath_softmax_rows(rows, cols, x, y);
    }
}

static void rows_f64(bool log_wanted, int64_t rows, int64_t cols, const double *x,
                     double *y) {
    for (int64_t r = 0; r < rows; r++, x += cols, y += cols) {
        double most = -INFINITY, sum = 0;
        for (int64_t i = 0; i < cols; i++) {
            most = fmax(most, x[i]);
        }
        for (int64_t i = 0; i < cols; i++) {
            y[i] = x[i] - most;
            sum += exp(y[i]);
        }
        for (int64_t i = 0; i < cols; i++) {
            y[i] = log_wanted ? y[i] - log(sum) : exp(y[i]) / sum;
        }
    }
}

/* Each line along the axis goes through scratch, where it is dense. */
#define LINES(type, rows_fn)                                                          \
    do {                                                                              \
        const type *from = x;                                                         \
        type *to = y, *line = scratch;                                                \
        for (int64_t i = 0; i < memo->outer * memo->inner; i++) {                     \
            int64_t at = i / memo->inner * memo->dim * memo->inner + i % memo->inner; \
            for (int64_t j = 0; j < memo->dim; j++) {                                 \
                line[j] = from[at + j * memo->inner];                                 \
            }                                                                         \
            rows_fn(log, 1, memo->dim, line, line);                                   \
            for (int64_t j = 0; j < memo->dim; j++) {                                 \
                to[at + j * memo->inner] = line[j];                                   \
            }                                                                         \
        }                                                                             \
    } while (0)

static void lines(const struct softmax_memo *memo, bool log, enum dtype dtype,
                  const void *x, void *y, void *scratch) {
    if (dtype == DTYPE_F32) {
        LINES(float, rows_f32);
    } else {
        LINES(double, rows_f64);
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct softmax *softmax = exec->node->op->param;
    const struct softmax_memo *memo = exec->memo;
    const struct tensor *x = exec->x[0];
    void *y = exec->y[0]->data;
    (void)err; /* cannot fail */
    if (tensor_count(x) == 0) {
        return STATUS_OK;
    }
    if (memo->inner > 1) {
        lines(memo, softmax->log, x->dtype, x->data, y, exec->scratch);
    } else if (x->dtype == DTYPE_F32) {
        rows_f32(softmax->log, memo->outer, memo->dim, x->data, y);
    } else {
        rows_f64(softmax->log, memo->outer, memo->dim, x->data, y);
    }
    return STATUS_OK;
}

static const struct softmax matrix = {.log = false, .one_axis = false},
                            one_axis = {.log = false, .one_axis = true},
                            log_matrix = {.log = true, .one_axis = false},
                            log_one_axis = {.log = true, .one_axis = true};

#define SOFTMAX(text, opset, which)                                                      \
    {                                                                                    \
        .name = text, .since = opset, .inputs_min = 1, .inputs_max = 1,                  \
        .flags = OP_IN_PLACE, .types = {TYPES_FLOAT},                                    \
        .memo_size = sizeof(struct softmax_memo), .param = &(which), .prepare = prepare, \
        .shape = shape, .run = run,                                                      \
    }

static const struct op ops[] = {
    SOFTMAX("Softmax", 1, matrix),
    SOFTMAX("Softmax", 13, one_axis),
    SOFTMAX("LogSoftmax", 1, log_matrix),
    SOFTMAX("LogSoftmax", 13, log_one_axis),
};

const struct op_list ops_softmax = OP_LIST(ops);
