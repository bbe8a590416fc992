/* pool.c - MaxPool, AveragePool, LpPool and the global forms; ByteAveragePool and
 * ByteGlobalAveragePool, which passes make, of quantised bytes.
 *
 * Kernels take float32 over one to three spatial axes and bytes over one or two; pool_nd
 * all else. */
#include <math.h>

#include "engine/kernels/pool.h"

#include "engine/kernels/elementwise.h"
#include "engine/kernels/pool_bytes.h"
#include "engine/kernels/pool_volume.h"
#include "engine/ops/bytes.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"
#include "engine/ops/pool_nd.h"
#include "engine/ops/window.h"

struct pool_state {
    struct window_spec window;
    bool count_include_pad, column_major;
    int64_t p; /* of LpPool */
    enum pool_kind kind;
    struct pool_bytes_average form; /* of bytes */
};

struct pool_memo {
    struct pool pool;
    int64_t batch;
    bool any;   /* nd does it */
    bool bytes; /* the kernels for bytes do */
    bool is_volume;
    struct pool_volume volume;
    struct pool_nd nd;
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

static enum status max_prepare(struct load *load, struct error *err) {
    enum status status = prepare(load, err);
    graph_set_output(load->graph, load->node, 1, DTYPE_I64);
    if (status == STATUS_OK) {
        struct pool_state *state = load->node->state;
        status = attr_bool(load->node, "storage_order", false, &state->column_major, err);
    }
    return status;
}

static enum status lp_prepare(struct load *load, struct error *err) {
    enum status status = prepare(load, err);
    if (status == STATUS_OK) {
        struct pool_state *state = load->node->state;
        state->kind = POOL_LP;
        status = attr_int_in(load->node, "p", 2, 1, 1 << 20, &state->p, err);
    }
    return status;
}

static enum status average_prepare(struct load *load, struct error *err) {
    enum status status = prepare(load, err);
    if (status == STATUS_OK) {
        struct pool_state *state = load->node->state;
        state->kind = POOL_AVERAGE;
        status = attr_bool(load->node, "count_include_pad", false,
                           &state->count_include_pad, err);
    }
    return status;
}

bool pool_is_max_2x2(const struct node *node) {
    const struct pool_state *state = node->state;
    const struct window_spec *window = &state->window;
    const bool tells_where = node->output_count > 1 && node->outputs[1] != VALUE_NONE;
    bool is = window->kernel.count == 2 && window->strides.count == 2 &&
              !window->ceil_mode && window->auto_pad <= AUTO_PAD_VALID && !tells_where;
    for (size_t i = 0; is && i < 2; i++) {
        is = window->kernel.values[i] == 2 && window->strides.values[i] == 2 &&
             (window->dilations.count == 0 || window->dilations.values[i] == 1);
    }
    for (size_t i = 0; is && i < window->pads.count; i++) {
        is = window->auto_pad == AUTO_PAD_VALID || window->pads.values[i] == 0;
    }
    return is;
}

/* What the kernels do not do. */
static void plan_any(const struct exec *exec, const struct window_axis *axes) {
    const struct pool_state *state = exec->node->state;
    struct pool_memo *memo = exec->memo;
    int count = exec->x[0]->rank - 2;
    memo->bytes =
        bytes_in(exec->x[0]) && (count == 1 || count == 2) && !exec_wants(exec, 1);
    memo->any =
        !memo->bytes && (exec->x[0]->dtype != DTYPE_F32 || count < 1 || count > 3 ||
                         exec_wants(exec, 1) || state->kind == POOL_LP);
    memo->nd = (struct pool_nd){.kind = state->kind,
                                .axis_count = count,
                                .count_include_pad = state->count_include_pad,
                                .column_major = state->column_major,
                                .p = (double)state->p};
    memcpy(memo->nd.axes, axes, (size_t)count * sizeof(*axes));
}

/* Three axes: the kernel's planes are the last two. */
static void plan_volume(struct exec *exec, const struct window_axis *depth) {
    struct pool_memo *memo = exec->memo;
    memo->volume = (struct pool_volume){
        .plane = memo->pool,
        .in_d = depth->in,
        .out_d = depth->out,
        .kernel_d = depth->kernel,
        .stride_d = depth->stride,
        .dilation_d = depth->dilation,
        .pad_front = depth->pad_begin,
        .pad_back = depth->pad_end,
    };
    exec->scratch_size = pool_volume_scratch_size(&memo->volume);
}

static enum status shape(struct exec *exec, struct error *err) {
    static const struct window_axis flat = {1, 1, 1, 1, 1, 0, 0};
    const struct pool_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    struct pool_memo *memo = exec->memo;
    struct window_axis axes[WINDOW_AXES_MAX];
    const struct window_axis *h, *w;
    enum status status;
    if (x->rank < 3) {
        return node_error(exec->node, err, STATUS_POISON,
                          "the input has rank %d, at least 3 is needed", x->rank);
    }
    status = window_axes(exec, &state->window, NULL, axes, err);
    if (status != STATUS_OK) {
        return status;
    }
    plan_any(exec, axes);
    h = x->rank == 4 || x->rank == 5 ? &axes[x->rank - 4] : &flat;
    w = x->rank <= 5 ? &axes[x->rank - 3] : &flat;
    memo->batch = x->dims[0];
    memo->pool = (struct pool){
        .channels = x->dims[exec_channel_axis(exec)],
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
        .layout = exec->node->layout == NODE_CHANNELS_LAST ? LAYOUT_NHWC : LAYOUT_NCHW,
    };
    memo->is_volume = x->rank == 5 && !memo->any && !memo->bytes;
    if (memo->is_volume) {
        plan_volume(exec, &axes[0]);
    }
    exec_same_shape(exec, 0, 0);
    for (int i = 0; i < x->rank - 2; i++) {
        exec->y[0]->dims[exec_spatial_axis(exec) + i] = axes[i].out;
    }
    if (exec_wants(exec, 1)) {
        exec->y[1]->rank = x->rank;
        memcpy(exec->y[1]->dims, exec->y[0]->dims, sizeof(x->dims));
    }
    return STATUS_OK;
}

static enum status any_run(struct exec *exec, struct error *err) {
    const struct pool_memo *memo = exec->memo;
    (void)err; /* cannot fail */
    pool_nd_run(&memo->nd, exec->x[0], exec->y[0],
                exec_wants(exec, 1) ? exec->y[1] : NULL);
    return STATUS_OK;
}

static enum status max_run(struct exec *exec, struct error *err) {
    const struct pool_memo *memo = exec->memo;
    if (memo->any) {
        return any_run(exec, err);
    }
    if (tensor_count(exec->y[0]) > 0 && memo->bytes) {
        pool_bytes_max(&memo->pool, memo->batch, exec->x[0]->dtype == DTYPE_I8,
                       exec->x[0]->data, exec->y[0]->data);
    } else if (tensor_count(exec->y[0]) > 0 && memo->is_volume) {
        pool_volume_max(&memo->volume, memo->batch, exec->x[0]->data, exec->y[0]->data,
                        exec->scratch);
    } else if (tensor_count(exec->y[0]) > 0) {
        pool_max(&memo->pool, memo->batch, exec->x[0]->data, exec->y[0]->data);
    }
    return STATUS_OK;
}

static enum status average_run(struct exec *exec, struct error *err) {
    const struct pool_memo *memo = exec->memo;
    if (memo->any) {
        return any_run(exec, err);
    }
    if (tensor_count(exec->y[0]) > 0 && memo->is_volume) {
        pool_volume_average(&memo->volume, memo->batch, exec->x[0]->data,
                            exec->y[0]->data, exec->scratch);
    } else if (tensor_count(exec->y[0]) > 0) {
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
        exec->y[0]->dims[exec_spatial_axis(exec) + i - 2] = 1;
    }
    return STATUS_OK;
}

/* Pixels of an image. */
static int64_t image_count(const struct exec *exec) {
    int64_t count = 1;
    for (int i = 2; i < exec->x[0]->rank; i++) {
        count *= exec->x[0]->dims[exec_spatial_axis(exec) + i - 2];
    }
    return count;
}

typedef void reduce_fn(int64_t rows, int64_t cols, const float *x, float *y);

/* A number for each channel of each image: `by_rows` where pixels are innermost. */
static void global_reduce(const struct exec *exec, reduce_fn *by_rows,
                          reduce_fn *by_cols) {
    const struct tensor *x = exec->x[0];
    const int64_t pixels = image_count(exec), outputs = (int64_t)tensor_count(exec->y[0]);
    const int64_t channels = x->dims[exec_channel_axis(exec)];
    const float *from = x->data;
    float *to = exec->y[0]->data;
    if (exec->node->layout != NODE_CHANNELS_LAST) {
        by_rows(outputs, pixels, from, to);
        return;
    }
    for (int64_t i = 0; i < outputs; i += channels) {
        by_cols(pixels, channels, from + i * pixels, to + i);
    }
}

static void global_f64(const struct exec *exec, bool average) {
    const double *x = exec->x[0]->data;
    const int64_t pixels = image_count(exec), outputs = (int64_t)tensor_count(exec->y[0]);
    for (int64_t row = 0; row < outputs; row++, x += pixels) {
        double result = average ? 0 : -INFINITY;
        for (int64_t i = 0; i < pixels; i++) {
            bool more = x[i] > result || isnan(x[i]);
            result = average ? result + x[i] / (double)pixels : more ? x[i] : result;
        }
        ((double *)exec->y[0]->data)[row] = result;
    }
}

static enum status global_max_run(struct exec *exec, struct error *err) {
    (void)err; /* cannot fail */
    if (exec->x[0]->dtype == DTYPE_F64) {
        global_f64(exec, false);
        return STATUS_OK;
    }
    global_reduce(exec, reduce_rows_max, reduce_cols_max);
    return STATUS_OK;
}

static enum status global_average_run(struct exec *exec, struct error *err) {
    float *y = exec->y[0]->data;
    const float size = (float)image_count(exec);
    (void)err; /* cannot fail */
    if (exec->x[0]->dtype == DTYPE_F64) {
        global_f64(exec, true);
        return STATUS_OK;
    }
    global_reduce(exec, reduce_rows_sum, reduce_cols_sum);
    ew_binary(EW_DIV, EW_SCALAR_B, (int64_t)tensor_count(exec->y[0]), y, &size, y);
    return STATUS_OK;
}

/* ---- LpPool over whole images ------------------------------------------------------ */

static enum status global_lp_prepare(struct load *load, struct error *err) {
    struct pool_state *state = load_state(load, struct pool_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    return attr_int_in(load->node, "p", 2, 1, 1 << 20, &state->p, err);
}

static enum status global_lp_run(struct exec *exec, struct error *err) {
    const struct pool_state *state = exec->node->state;
    int64_t count = image_count(exec), rows = (int64_t)tensor_count(exec->y[0]);
    const float *x = exec->x[0]->data;
    (void)err; /* cannot fail */
    for (int64_t row = 0; row < rows; row++) {
        double sum = 0;
        for (int64_t i = 0; i < count; i++) {
            sum += pow(fabs((double)x[row * count + i]), (double)state->p);
        }
        ((float *)exec->y[0]->data)[row] = (float)pow(sum, 1 / (double)state->p);
    }
    return STATUS_OK;
}

/* ---- bytes ------------------------------------------------------------------------- */

enum { IN_X_SCALE = 1, IN_X_ZERO, IN_Y_SCALE, IN_Y_ZERO };

/* A constant of one element. */
static const struct tensor *one_constant(const struct load *load, int input,
                                         enum dtype dtype) {
    const struct tensor *x = graph_constant(load->graph, load->node, input);
    return x != NULL && x->dtype == dtype && tensor_count(x) == 1 ? x : NULL;
}

static enum status read_form(struct load *load, struct pool_state *state,
                             struct error *err) {
    const enum dtype dtype = graph_input_dtype(load->graph, load->node, 0);
    const struct tensor *x_scale = one_constant(load, IN_X_SCALE, DTYPE_F32);
    const struct tensor *y_scale = one_constant(load, IN_Y_SCALE, DTYPE_F32);
    const struct tensor *x_zero = one_constant(load, IN_X_ZERO, dtype);
    const struct tensor *y_zero = one_constant(load, IN_Y_ZERO, dtype);
    if (x_scale == NULL || y_scale == NULL || x_zero == NULL || y_zero == NULL) {
        return node_error(load->node, err, STATUS_UNSUPPORTED,
                          "scales and zero points are not constants of one kind");
    }
    state->form = (struct pool_bytes_average){
        .is_signed = dtype == DTYPE_I8,
        .x_scale = *(const float *)x_scale->data,
        .y_scale = *(const float *)y_scale->data,
        .x_zero = (int32_t)number_integer(x_zero, 0),
        .y_zero = (int32_t)number_integer(y_zero, 0),
    };
    return STATUS_OK;
}

static enum status bytes_prepare(struct load *load, struct error *err) {
    enum status status = average_prepare(load, err);
    return status == STATUS_OK ? read_form(load, load->node->state, err) : status;
}

static enum status check_bytes(struct exec *exec, struct error *err) {
    const struct pool_memo *memo = exec->memo;
    const struct pool *pool = &memo->pool;
    int64_t pixels = pool->in_h * pool->in_w;
    exec->scratch_size = pool_bytes_scratch_size(pool);
    return pixels <= POOL_BYTES_PIXELS_MAX
               ? STATUS_OK
               : node_error(exec->node, err, STATUS_POISON,
                            "an image of %lld pixels is too large", (long long)pixels);
}

static enum status bytes_shape(struct exec *exec, struct error *err) {
    const struct pool_memo *memo = exec->memo;
    enum status status = shape(exec, err);
    if (status == STATUS_OK && !memo->bytes) {
        status = node_error(exec->node, err, STATUS_POISON, "rank %d is not handled",
                            exec->x[0]->rank);
    }
    return status == STATUS_OK ? check_bytes(exec, err) : status;
}

static enum status bytes_run(struct exec *exec, struct error *err) {
    const struct pool_state *state = exec->node->state;
    const struct pool_memo *memo = exec->memo;
    (void)err; /* cannot fail */
    if (tensor_count(exec->y[0]) > 0) {
        pool_bytes_average(&memo->pool, &state->form, memo->batch, exec->x[0]->data,
                           exec->y[0]->data, exec->scratch);
    }
    return STATUS_OK;
}

static enum status global_bytes_prepare(struct load *load, struct error *err) {
    struct pool_state *state = load_state(load, struct pool_state);
    return state == NULL ? load_no_memory(load, err) : read_form(load, state, err);
}

/* All axes of an image are one. */
static enum status global_bytes_shape(struct exec *exec, struct error *err) {
    struct pool_memo *memo = exec->memo;
    enum status status = global_shape(exec, err);
    int64_t pixels;
    if (status != STATUS_OK) {
        return status;
    }
    pixels = image_count(exec);
    memo->batch = exec->x[0]->dims[0];
    memo->pool = (struct pool){
        .channels = exec->x[0]->dims[exec_channel_axis(exec)],
        .in_h = 1,
        .in_w = pixels,
        .out_h = 1,
        .out_w = 1,
        .kernel_h = 1,
        .kernel_w = pixels,
        .stride_h = 1,
        .stride_w = 1,
        .dilation_h = 1,
        .dilation_w = 1,
        .layout = exec->node->layout == NODE_CHANNELS_LAST ? LAYOUT_NHWC : LAYOUT_NCHW,
    };
    return check_bytes(exec, err);
}

#define POOL(text, most_outputs, allowed, prepare_fn, run_fn)                         \
    {                                                                                 \
        .name = text, .since = 1, .inputs_min = 1, .inputs_max = 1,                   \
        .outputs_max = most_outputs, .types = {allowed},                              \
        .memo_size = sizeof(struct pool_memo), .prepare = prepare_fn, .shape = shape, \
        .run = run_fn,                                                                \
    }
#define GLOBAL(text, run_fn)                                          \
    {                                                                 \
        .name = text, .since = 1, .inputs_min = 1, .inputs_max = 1,   \
        .types = {TYPES_FLOAT}, .shape = global_shape, .run = run_fn, \
    }
#define BYTES(text, prepare_fn, shape_fn)                                                \
    {                                                                                    \
        .domain = "millrace", .name = text, .since = 1, .inputs_min = 5,                 \
        .inputs_max = 5,                                                                 \
        .types = {TYPE_BIT(DTYPE_U8) | TYPE_BIT(DTYPE_I8), TYPES_F32, 0, TYPES_F32},     \
        .memo_size = sizeof(struct pool_memo), .prepare = prepare_fn, .shape = shape_fn, \
        .run = bytes_run,                                                                \
    }

static const struct op ops[] = {
    POOL("MaxPool", 2, TYPES_FLOAT | TYPE_BIT(DTYPE_I8) | TYPE_BIT(DTYPE_U8), max_prepare,
         max_run),
    POOL("AveragePool", 1, TYPES_FLOAT, average_prepare, average_run),
    BYTES("ByteAveragePool", bytes_prepare, bytes_shape),
    BYTES("ByteGlobalAveragePool", global_bytes_prepare, global_bytes_shape),
    POOL("LpPool", 1, TYPES_FLOAT, lp_prepare, any_run),
    {
        .name = "GlobalLpPool",
        .since = 2,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_F32},
        .prepare = global_lp_prepare,
        .shape = global_shape,
        .run = global_lp_run,
    },
    GLOBAL("GlobalMaxPool", global_max_run),
    GLOBAL("GlobalAveragePool", global_average_run),
};

const struct op_list ops_pool = OP_LIST(ops);
