/* conv_f64.c - Conv of doubles, over any number of spatial axes: an image becomes its
 * windows, [channels * kernel, windows], and the weights multiply them. */
#include "engine/ops/conv_f64.h"

#include "base/size.h"
#include "engine/kernels/gemm.h"
#include "engine/ops/window.h"

#define CONV_COUNT_MAX ((size_t)INT32_MAX)

struct conv_state {
    struct window_spec window;
    int64_t groups;
};

struct conv_memo {
    int axes;
    struct window_axis axis[WINDOW_AXES_MAX];
    int64_t image, kernel, windows; /* products over the axes */
};

static enum status prepare(struct load *load, struct error *err) {
    struct conv_state *state = load_state(load, struct conv_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = window_prepare(load, &state->window, false, err);
    return status == STATUS_OK
               ? attr_int_in(load->node, "group", 1, 1, INT32_MAX, &state->groups, err)
               : status;
}

static enum status misfit(const struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0], *w = exec->x[1];
    char a[TENSOR_SHAPE_TEXT_MAX], b[TENSOR_SHAPE_TEXT_MAX];
    return node_error(
        exec->node, err, STATUS_POISON,
        "images %s, weights %s and bias do not fit together, or are too large",
        tensor_shape_text(x->dims, x->rank, a, sizeof(a)),
        tensor_shape_text(w->dims, w->rank, b, sizeof(b)));
}

static bool inputs_fit(const struct exec *exec) {
    const struct conv_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *w = exec->x[1];
    return x->rank >= 3 && w->rank == x->rank && tensor_count(w) > 0 &&
           w->dims[0] % state->groups == 0 && w->dims[1] <= INT32_MAX &&
           x->dims[1] == w->dims[1] * state->groups &&
           (!exec_has(exec, 2) || (int64_t)tensor_count(exec->x[2]) == w->dims[0]);
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct conv_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *w = exec->x[1];
    struct conv_memo *memo = exec->memo;
    size_t windows = 1;
    enum status status;
    if (!inputs_fit(exec)) {
        return misfit(exec, err);
    }
    status = window_axes(exec, &state->window, w->dims + 2, memo->axis, err);
    if (status != STATUS_OK) {
        return status;
    }
    memo->axes = x->rank - 2;
    memo->image = memo->kernel = 1;
    exec_same_shape(exec, 0, 0);
    exec->y[0]->dims[1] = w->dims[0];
    for (int i = 0; i < memo->axes; i++) {
        const struct window_axis *axis = &memo->axis[i];
        exec->y[0]->dims[2 + i] = axis->out;
        memo->image *= axis->in;
        memo->kernel *= axis->kernel; /* the weights have as many elements */
        if (!size_mul(windows, (size_t)axis->out, &windows) || windows > CONV_COUNT_MAX) {
            return misfit(exec, err);
        }
    }
    memo->windows = (int64_t)windows;
    if (!size_mul(windows, (size_t)(w->dims[1] * memo->kernel), &windows) ||
        windows > CONV_COUNT_MAX) {
        return misfit(exec, err);
    }
    exec->scratch_size = windows * sizeof(double);
    return STATUS_OK;
}

/* One row of the windows' matrix: what tap `tap` of the kernel sees of a channel. */
static void take_tap(const struct conv_memo *memo, const double *channel, int64_t tap,
                     double *row) {
    struct window_walk walk;
    window_walk_start(&walk, memo->axis, memo->axes, tap);
    for (int64_t w = 0; w < memo->windows; w++) {
        int64_t at = window_walk_next(&walk);
        row[w] = at >= 0 ? channel[at] : 0;
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct conv_state *state = exec->node->state;
    const struct conv_memo *memo = exec->memo;
    const struct tensor *x = exec->x[0], *w = exec->x[1];
    const double *bias = exec_has(exec, 2) ? exec->x[2]->data : NULL;
    int64_t made = w->dims[0] / state->groups, k = w->dims[1] * memo->kernel;
    int64_t n = memo->windows;
    double *windows = exec->scratch, *y = exec->y[0]->data;
    (void)err; /* cannot fail */
    for (int64_t i = 0; n > 0 && i < x->dims[0] * state->groups; i++, y += made * n) {
        int64_t group = i % state->groups;
        for (int64_t row = 0; row < k; row++) {
            int64_t channel = i * w->dims[1] + row / memo->kernel;
            take_tap(memo, (const double *)x->data + channel * memo->image,
                     row % memo->kernel, windows + row * n);
        }
        gemm_f64(false, false, made, n, k, 1, (const double *)w->data + group * made * k,
                 k, windows, n, 0, y, n);
        for (int64_t c = 0; bias != NULL && c < made * n; c++) {
            y[c] += bias[group * made + c / n];
        }
    }
    return STATUS_OK;
}

const struct op conv_f64_op = {
    .name = "Conv",
    .since = 1,
    .inputs_min = 2,
    .inputs_max = 3,
    .types = {TYPE_BIT(DTYPE_F64)},
    .memo_size = sizeof(struct conv_memo),
    .prepare = prepare,
    .shape = shape,
    .run = run,
};
