/* conv_transpose.c - ConvTranspose: each input element spreads a kernel over the output.
 *
 * A product of the weights, transposed, with the image gives all spread values as
 * columns; col2im adds them up where they overlap.  With channels last the kernels do it,
 * see kernels/spread.h.  Doubles go the first way, at an operator of their own. */
#include "base/size.h"
#include "engine/kernels/gemm.h"
#include "engine/kernels/spread.h"
#include "engine/ops/col2im.h"
#include "engine/ops/ops.h"

/* Sizes in attributes; with at most three axes no product overflows. */
#define PART_MAX (INT64_C(1) << 20)
enum { AXES_MAX = 3 };

struct spread_state {
    struct attr_ints kernel, strides, dilations, pads, output_padding, output_shape;
    int auto_pad; /* as in words below */
    int64_t groups;
    enum spread_way way; /* with channels last */
    const float *packed; /* likewise */
};

enum { PAD_NOTSET, PAD_VALID, PAD_SAME_UPPER, PAD_SAME_LOWER };

struct spread_memo {
    struct col2im shape;
    size_t columns_size;  /* bytes */
    struct spread spread; /* with channels last */
};

static const struct op of_doubles;

static enum status prepare(struct load *load, struct error *err) {
    static const char *const words[] = {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER",
                                        NULL};
    struct spread_state *state = load_state(load, struct spread_state);
    struct attr_ints *lists[6];
    static const char *const names[] = {"kernel_shape", "strides",        "dilations",
                                        "pads",         "output_padding", "output_shape"};
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    if (graph_input_dtype(load->graph, load->node, 0) == DTYPE_F64) {
        load->node->type = "ConvTranspose of doubles"; /* passes know float32's name */
        load->node->op = &of_doubles;
    }
    lists[0] = &state->kernel;
    lists[1] = &state->strides;
    lists[2] = &state->dilations;
    lists[3] = &state->pads;
    lists[4] = &state->output_padding;
    lists[5] = &state->output_shape;
    status = attr_int_in(load->node, "group", 1, 1, INT32_MAX, &state->groups, err);
    if (status == STATUS_OK) {
        status = attr_word(load->node, "auto_pad", 0, words, &state->auto_pad, err);
    }
    for (int i = 0; status == STATUS_OK && i < 6; i++) {
        status = attr_ints(load->node, names[i], lists[i], err);
        for (size_t k = 0; status == STATUS_OK && k < lists[i]->count; k++) {
            int64_t least = i < 3 ? 1 : 0;
            if (lists[i]->values[k] < least || lists[i]->values[k] > PART_MAX) {
                return node_error(load->node, err, STATUS_INVALID,
                                  "attribute %s has %lld, allowed are %lld to %lld",
                                  names[i], (long long)lists[i]->values[k],
                                  (long long)least, (long long)PART_MAX);
            }
        }
    }
    return status;
}

static int64_t listed(const struct attr_ints *list, int i, int64_t fallback) {
    return (size_t)i < list->count ? list->values[i] : fallback;
}

bool conv_transpose_turns(const struct graph *graph, const struct node *node) {
    const struct spread_state *state = node->state;
    const struct tensor *w = graph_constant(graph, node, 1);
    return w != NULL && w->dtype == DTYPE_F32 && w->rank >= 3 && w->rank <= 4 &&
           tensor_count(w) > 0 && tensor_count(w) <= INT32_MAX && state->groups == 1;
}

/* What is cut off before axis `i` where attributes tell it; output_shape does not. */
static int64_t known_pad(const struct spread_state *state, const struct tensor *w,
                         int i) {
    const int64_t reach = (w->dims[2 + i] - 1) * listed(&state->dilations, i, 1) + 1 +
                          listed(&state->output_padding, i, 0) -
                          listed(&state->strides, i, 1);
    const int64_t total = reach > 0 ? reach : 0; /* for as many outputs as inputs */
    if (state->auto_pad >= PAD_SAME_UPPER) {
        return state->auto_pad == PAD_SAME_UPPER ? total / 2 : total - total / 2;
    }
    return state->auto_pad == PAD_VALID ? 0 : listed(&state->pads, i, 0);
}

/* What weights and attributes tell; sizes of the images are left at 1. */
static struct spread describe(const struct node *node, const struct tensor *w) {
    const struct spread_state *state = node->state;
    const int last = w->rank - 3; /* of the spatial axes */
    return (struct spread){
        .channels_in = w->dims[0],
        .channels_out = w->dims[1],
        .in_h = 1,
        .in_w = 1,
        .out_h = 1,
        .out_w = 1,
        .kernel_h = w->rank > 3 ? w->dims[2] : 1,
        .kernel_w = w->dims[w->rank - 1],
        .stride_h = last > 0 ? listed(&state->strides, 0, 1) : 1,
        .stride_w = listed(&state->strides, last, 1),
        .dilation_h = last > 0 ? listed(&state->dilations, 0, 1) : 1,
        .dilation_w = listed(&state->dilations, last, 1),
        .pad_top = last > 0 ? known_pad(state, w, 0) : 0,
        .pad_left = known_pad(state, w, last),
        .way = state->way,
        .act = node->act,
    };
}

static enum status pack(struct load *load, struct error *err) {
    struct spread_state *state = load->node->state;
    const struct tensor *w = graph_constant(load->graph, load->node, 1);
    struct spread spread;
    size_t size;
    float *packed;
    if (load->node->layout != NODE_CHANNELS_LAST) {
        return STATUS_OK;
    }
    spread = describe(load->node, w);
    state->way = spread.way = spread_choose(&spread, state->output_shape.count == 0);
    size = spread_pack_size(&spread);
    packed = size == SIZE_MAX ? NULL : graph_memory(load->graph, size);
    if (packed == NULL || !spread_pack(&spread, w->data, packed)) {
        return load_no_memory(load, err);
    }
    load->consumed = 1U << 1;
    state->packed = packed;
    return STATUS_OK;
}

/* The output's size and where the first window begins, along one axis. */
static bool plan_axis(const struct exec *exec, struct col2im *shape, int i) {
    const struct spread_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *w = exec->x[1];
    int64_t begin = listed(&state->pads, i, 0);
    int64_t end = listed(&state->pads, i + shape->axes, 0), full;
    bool given = state->output_shape.count > 0;
    bool same = state->auto_pad >= PAD_SAME_UPPER;
    shape->windows[i] = x->dims[exec_spatial_axis(exec) + i];
    shape->kernel[i] = w->dims[2 + i];
    shape->stride[i] = listed(&state->strides, i, 1);
    shape->dilation[i] = listed(&state->dilations, i, 1);
    if (shape->windows[i] < 1 || shape->windows[i] > PART_MAX || shape->kernel[i] < 1 ||
        shape->kernel[i] > PART_MAX) {
        return false;
    }
    full = shape->stride[i] * (shape->windows[i] - 1) +
           listed(&state->output_padding, i, 0) +
           (shape->kernel[i] - 1) * shape->dilation[i] + 1;
    if (given || same) {
        /* output_shape may list batch and channels too. */
        int skip = (int)state->output_shape.count - shape->axes;
        int64_t out = given ? listed(&state->output_shape, i + (skip > 0 ? skip : 0), 0)
                            : shape->windows[i] * shape->stride[i];
        int64_t total = full > out ? full - out : 0;
        begin = state->auto_pad == PAD_SAME_UPPER ? total / 2 : total - total / 2;
        shape->image[i] = out;
    } else {
        begin = state->auto_pad == PAD_VALID ? 0 : begin;
        end = state->auto_pad == PAD_VALID ? 0 : end;
        shape->image[i] = full - begin - end;
    }
    shape->pad[i] = begin;
    return shape->image[i] > 0;
}

/* The images' sizes, from the memo's plan. */
static enum status shape_last(struct exec *exec, struct error *err) {
    struct spread_memo *memo = exec->memo;
    const struct col2im *plan = &memo->shape;
    struct spread *spread = &memo->spread;
    const int last = plan->axes - 1;
    *spread = describe(exec->node, exec->x[1]);
    spread->in_w = plan->windows[last];
    spread->out_w = plan->image[last];
    spread->pad_left = plan->pad[last];
    if (last > 0) {
        spread->in_h = plan->windows[0];
        spread->out_h = plan->image[0];
        spread->pad_top = plan->pad[0];
    }
    exec->scratch_size = spread_scratch_size(spread);
    return exec->scratch_size == SIZE_MAX
               ? node_error(exec->node, err, STATUS_POISON, "the columns are too large")
               : STATUS_OK;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct spread_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *w = exec->x[1];
    struct spread_memo *memo = exec->memo;
    int64_t m, k;
    size_t columns;
    const int axis = exec_channel_axis(exec);
    bool fits = x->rank >= 3 && x->rank == w->rank && x->rank - 2 <= AXES_MAX &&
                x->dims[axis] == w->dims[0] && w->dims[0] % state->groups == 0 &&
                (!exec_has(exec, 2) ||
                 (int64_t)tensor_count(exec->x[2]) == w->dims[1] * state->groups);
    memo->shape.axes = x->rank - 2;
    for (int i = 0; fits && i < memo->shape.axes; i++) {
        fits = plan_axis(exec, &memo->shape, i);
    }
    if (!fits) {
        char a[TENSOR_SHAPE_TEXT_MAX], b[TENSOR_SHAPE_TEXT_MAX];
        return node_error(exec->node, err, STATUS_POISON,
                          "input %s and weights %s do not fit together",
                          tensor_shape_text(x->dims, x->rank, a, sizeof(a)),
                          tensor_shape_text(w->dims, w->rank, b, sizeof(b)));
    }
    exec->y[0]->rank = x->rank;
    exec->y[0]->dims[0] = x->dims[0];
    memcpy(exec->y[0]->dims + exec_spatial_axis(exec), memo->shape.image,
           AXES_MAX * sizeof(int64_t));
    exec->y[0]->dims[axis] = w->dims[1] * state->groups;
    if (exec->node->layout == NODE_CHANNELS_LAST) {
        return shape_last(exec, err);
    }
    m = w->dims[1] * col2im_kernel(&memo->shape);
    k = x->dims[1] / state->groups;
    if (!size_mul((size_t)m, (size_t)col2im_windows(&memo->shape), &columns) ||
        columns > SIZE_MAX / 64) {
        return node_error(exec->node, err, STATUS_POISON, "the columns are too large");
    }
    memo->columns_size = size_align(columns * dtype_size(x->dtype), GEMM_ALIGN);
    exec->scratch_size = memo->columns_size;
    if (x->dtype == DTYPE_F32) {
        exec->scratch_size +=
            gemm_f32_scratch_size(false, m, col2im_windows(&memo->shape), k);
    }
    return STATUS_OK;
}

/* The channels of one group of one image. */
static void spread_group(const struct exec *exec, const float *x, const float *w,
                         const float *bias, float *y) {
    const struct spread_state *state = exec->node->state;
    const struct spread_memo *memo = exec->memo;
    const struct col2im *plan = &memo->shape;
    int64_t channels = exec->x[1]->dims[1], k = exec->x[0]->dims[1] / state->groups;
    int64_t kernel = col2im_kernel(plan), windows = col2im_windows(plan);
    int64_t image = col2im_image(plan), m = channels * kernel;
    float *columns = exec->scratch;
    gemm_f32(true, false, m, windows, k, 1, w, m, x, windows, 0, columns, windows,
             (void *)((uint8_t *)exec->scratch + memo->columns_size));
    for (int64_t c = 0; c < channels; c++, y += image) {
        for (int64_t i = 0; i < image; i++) {
            y[i] = bias == NULL ? 0 : bias[c];
        }
        col2im_add(plan, columns + c * kernel * windows, y);
        act_run(&exec->node->act, image, y, y);
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct spread_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *w = exec->x[1], *y = exec->y[0];
    size_t groups = (size_t)state->groups, batch = (size_t)x->dims[0];
    const float *bias = exec_has(exec, 2) ? exec->x[2]->data : NULL;
    (void)err; /* cannot fail */
    if (exec->node->layout == NODE_CHANNELS_LAST) {
        const struct spread_memo *memo = exec->memo;
        spread_run(&memo->spread, x->dims[0], x->data, state->packed, bias, y->data,
                   exec->scratch);
        return STATUS_OK;
    }
    for (size_t i = 0; tensor_count(y) > 0 && i < batch * groups; i++) {
        size_t g = i % groups;
        spread_group(exec,
                     (const float *)x->data + i * (tensor_count(x) / batch / groups),
                     (const float *)w->data + g * (tensor_count(w) / groups),
                     bias == NULL ? NULL : bias + g * (size_t)w->dims[1],
                     (float *)y->data + i * (tensor_count(y) / batch / groups));
    }
    return STATUS_OK;
}

static void spread_group_f64(const struct exec *exec, const double *x, const double *w,
                             const double *bias, double *y) {
    const struct spread_state *state = exec->node->state;
    const struct col2im *plan = &((const struct spread_memo *)exec->memo)->shape;
    int64_t channels = exec->x[1]->dims[1], k = exec->x[0]->dims[1] / state->groups;
    int64_t kernel = col2im_kernel(plan), windows = col2im_windows(plan);
    int64_t image = col2im_image(plan), m = channels * kernel;
    double *columns = exec->scratch;
    gemm_f64(true, false, m, windows, k, 1, w, m, x, windows, 0, columns, windows);
    for (int64_t c = 0; c < channels; c++, y += image) {
        for (int64_t i = 0; i < image; i++) {
            y[i] = bias == NULL ? 0 : bias[c];
        }
        col2im_add_f64(plan, columns + c * kernel * windows, y);
    }
}

static enum status run_f64(struct exec *exec, struct error *err) {
    const struct spread_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *w = exec->x[1], *y = exec->y[0];
    size_t groups = (size_t)state->groups, parts = (size_t)x->dims[0] * groups;
    const double *bias = exec_has(exec, 2) ? exec->x[2]->data : NULL;
    (void)err; /* cannot fail */
    for (size_t i = 0; tensor_count(y) > 0 && i < parts; i++) {
        size_t g = i % groups;
        spread_group_f64(exec, (const double *)x->data + i * (tensor_count(x) / parts),
                         (const double *)w->data + g * (tensor_count(w) / groups),
                         bias == NULL ? NULL : bias + g * (size_t)w->dims[1],
                         (double *)y->data + i * (tensor_count(y) / parts));
    }
    return STATUS_OK;
}

/* Not in the table: prepare gives it to the nodes that need it. */
static const struct op of_doubles = {
    .name = "ConvTranspose",
    .since = 1,
    .inputs_min = 2,
    .inputs_max = 3,
    .types = {TYPE_BIT(DTYPE_F64)},
    .memo_size = sizeof(struct spread_memo),
    .prepare = prepare,
    .shape = shape,
    .run = run_f64,
};

static const struct op ops[] = {
    {
        .name = "ConvTranspose",
        .since = 1,
        .inputs_min = 2,
        .inputs_max = 3,
        .flags = OP_FUSES_ACTIVATION | OP_FUSES_BIAS,
        .types = {TYPES_FLOAT},
        .memo_size = sizeof(struct spread_memo),
        .prepare = prepare,
        .pack = pack,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_conv_transpose = OP_LIST(ops);
