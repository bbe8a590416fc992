/* pool.c - MaxPool, AveragePool and their global forms, over one or two spatial axes,
 * float32. */
#include "engine/kernels/pool.h"

#include "engine/kernels/elementwise.h"
#include "engine/ops/ops.h"
#include "engine/ops/window.h"

struct pool_state {
    struct window_spec window;
    bool count_include_pad;
};

struct pool_memo {
    struct pool pool;
    int64_t batch;
};

/* ---- windows ------------------------------------------------------------------- */

static enum status prepare(struct load *load, struct error *err) {
    struct pool_state *state = load_state(load, struct pool_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = window_prepare(load, &state->window, true, err);
    if (status == STATUS_OK && state->window.kernel.count == 0) {
        status = node_error(load->node, err, STATUS_INVALID,
                            "attribute kernel_shape is missing");
    }
    return status;
}

/* The indices of the maxima are not made, so their order does not matter. */
static enum status max_prepare(struct load *load, struct error *err) {
    attr_ignore(load->node, "storage_order");
    return prepare(load, err);
}

static enum status average_prepare(struct load *load, struct error *err) {
    enum status status = prepare(load, err);
    if (status == STATUS_OK) {
        struct pool_state *state = load->node->state;
        status = attr_bool(load->node, "count_include_pad", false,
                           &state->count_include_pad, err);
    }
    return status;
}

bool pool_is_max_2x2(const struct node *node) {
    const struct pool_state *state = node->state;
    const struct window_spec *window = &state->window;
    bool is = window->kernel.count == 2 && window->strides.count == 2 &&
              !window->ceil_mode && window->auto_pad <= AUTO_PAD_VALID;
    for (size_t i = 0; is && i < 2; i++) {
        is = window->kernel.values[i] == 2 && window->strides.values[i] == 2 &&
             (window->dilations.count == 0 || window->dilations.values[i] == 1);
    }
    for (size_t i = 0; is && i < window->pads.count; i++) {
        is = window->auto_pad == AUTO_PAD_VALID || window->pads.values[i] == 0;
    }
    return is;
}

static enum status check_rank(const struct exec *exec, struct error *err) {
    int rank = exec->x[0]->rank;
    if (rank != 3 && rank != 4) {
        return node_error(exec->node, err, STATUS_POISON,
                          "the input has rank %d, 3 and 4 are handled", rank);
    }
    return STATUS_OK;
}

static enum status shape(struct exec *exec, struct error *err) {
    static const struct window_axis flat = {1, 1, 1, 1, 1, 0, 0};
    const struct pool_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    struct pool_memo *memo = exec->memo;
    struct window_axis axes[WINDOW_AXES_MAX];
    const struct window_axis *h, *w;
    enum status status = check_rank(exec, err);
    if (status == STATUS_OK) {
        status = window_axes(exec, &state->window, NULL, axes, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    h = x->rank == 4 ? &axes[0] : &flat;
    w = &axes[x->rank - 3];
    memo->batch = x->dims[0];
    memo->pool = (struct pool){
        .channels = x->dims[1],
        .in_h = h->in,
        .in_w = w->in,
        .out_h = h->out,
        .out_w = w->out,
        .kernel_h = h->kernel,
        .kernel_w = w->kernel,
        .stride_h = h->stride,
        .stride_w = w->stride,
        .dilation_h = h->dilation,
        .dilation_w = w->dilation,
        .pad_top = h->pad_begin,
        .pad_left = w->pad_begin,
        .pad_bottom = h->pad_end,
        .pad_right = w->pad_end,
        .count_include_pad = state->count_include_pad,
        .layout = LAYOUT_NCHW,
    };
    exec_same_shape(exec, 0, 0);
    for (int i = 0; i < x->rank - 2; i++) {
        exec->y[0]->dims[i + 2] = axes[i].out;
    }
    return STATUS_OK;
}

static enum status max_run(struct exec *exec, struct error *err) {
    const struct pool_memo *memo = exec->memo;
    (void)err; /* cannot fail */
    if (tensor_count(exec->y[0]) > 0) {
        pool_max(&memo->pool, memo->batch, exec->x[0]->data, exec->y[0]->data);
    }
    return STATUS_OK;
}

static enum status average_run(struct exec *exec, struct error *err) {
    const struct pool_memo *memo = exec->memo;
    (void)err; /* cannot fail */
    if (tensor_count(exec->y[0]) > 0) {
        pool_average(&memo->pool, memo->batch, exec->x[0]->data, exec->y[0]->data);
    }
    return STATUS_OK;
}

/* ---- whole images -------------------------------------------------------------- */

static enum status global_shape(struct exec *exec, struct error *err) {
    if (exec->x[0]->rank < 2) {
        return node_error(exec->node, err, STATUS_POISON,
                          "the input has rank %d, at least 2 is needed",
                          exec->x[0]->rank);
    }
    exec_same_shape(exec, 0, 0);
    for (int i = 2; i < exec->y[0]->rank; i++) {
        exec->y[0]->dims[i] = 1;
    }
    return STATUS_OK;
}

static int64_t image_count(const struct tensor *x) {
    int64_t count = 1;
    for (int i = 2; i < x->rank; i++) {
        count *= x->dims[i];
    }
    return count;
}

static enum status global_max_run(struct exec *exec, struct error *err) {
    (void)err; /* cannot fail */
    reduce_rows_max((int64_t)tensor_count(exec->y[0]), image_count(exec->x[0]),
                    exec->x[0]->data, exec->y[0]->data);
    return STATUS_OK;
}

static enum status global_average_run(struct exec *exec, struct error *err) {
    int64_t count = image_count(exec->x[0]), rows = (int64_t)tensor_count(exec->y[0]);
    float *y = exec->y[0]->data;
    float size = (float)count;
    (void)err; /* cannot fail */
    reduce_rows_sum(rows, count, exec->x[0]->data, y);
    ew_binary(EW_DIV, EW_SCALAR_B, rows, y, &size, y);
    return STATUS_OK;
}

#define POOL(text, prepare_fn, run_fn)                               \
    {                                                                \
        .name = text, .since = 1, .inputs_min = 1, .inputs_max = 1,  \
        .types = {TYPES_F32}, .memo_size = sizeof(struct pool_memo), \
        .prepare = prepare_fn, .shape = shape, .run = run_fn,        \
    }
#define GLOBAL(text, run_fn)                                        \
    {                                                               \
        .name = text, .since = 1, .inputs_min = 1, .inputs_max = 1, \
        .types = {TYPES_F32}, .shape = global_shape, .run = run_fn, \
    }

static const struct op ops[] = {
    POOL("MaxPool", max_prepare, max_run),
    POOL("AveragePool", average_prepare, average_run),
    GLOBAL("GlobalMaxPool", global_max_run),
    GLOBAL("GlobalAveragePool", global_average_run),
};

const struct op_list ops_pool = OP_LIST(ops);
