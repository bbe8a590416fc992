/* conv_transpose.c - ConvTranspose: each input element spreads a kernel over the output.
 *
 * A product of the weights, transposed, with the image gives all spread values as
 * columns; col2im adds them up where they overlap. */
#include "base/size.h"
#include "engine/kernels/gemm.h"
#include "engine/ops/col2im.h"
#include "engine/ops/ops.h"

/* Sizes in attributes; with at most three axes no product overflows. */
#define PART_MAX (INT64_C(1) << 20)
enum { AXES_MAX = 3 };

struct spread_state {
    struct attr_ints kernel, strides, dilations, pads, output_padding, output_shape;
    int auto_pad; /* as in words below */
    int64_t groups;
};

enum { PAD_NOTSET, PAD_VALID, PAD_SAME_UPPER, PAD_SAME_LOWER };

struct spread_memo {
    struct col2im shape;
    size_t columns_size; /* bytes */
};

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

/* The output's size and where the first window begins, along one axis. */
static bool plan_axis(const struct exec *exec, struct col2im *shape, int i) {
    const struct spread_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *w = exec->x[1];
    int64_t begin = listed(&state->pads, i, 0);
    int64_t end = listed(&state->pads, i + shape->axes, 0), full;
    bool given = state->output_shape.count > 0;
    bool same = state->auto_pad >= PAD_SAME_UPPER;
    shape->windows[i] = x->dims[2 + i];
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

static enum status shape(struct exec *exec, struct error *err) {
    const struct spread_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *w = exec->x[1];
    struct spread_memo *memo = exec->memo;
    int64_t m, k;
    size_t columns;
    bool fits = x->rank >= 3 && x->rank == w->rank && x->rank - 2 <= AXES_MAX &&
                x->dims[1] == w->dims[0] && x->dims[1] % state->groups == 0 &&
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
    exec->y[0]->dims[1] = w->dims[1] * state->groups;
    memcpy(exec->y[0]->dims + 2, memo->shape.image, AXES_MAX * sizeof(int64_t));
    m = w->dims[1] * col2im_kernel(&memo->shape);
    k = x->dims[1] / state->groups;
    if (!size_mul((size_t)m, (size_t)col2im_windows(&memo->shape), &columns) ||
        columns > SIZE_MAX / 64) {
        return node_error(exec->node, err, STATUS_POISON, "the columns are too large");
    }
    memo->columns_size = size_align(columns * sizeof(float), GEMM_ALIGN);
    exec->scratch_size = memo->columns_size +
                         gemm_f32_scratch_size(false, m, col2im_windows(&memo->shape), k);
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
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct spread_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *w = exec->x[1], *y = exec->y[0];
    size_t groups = (size_t)state->groups, batch = (size_t)x->dims[0];
    const float *bias = exec_has(exec, 2) ? exec->x[2]->data : NULL;
    (void)err; /* cannot fail */
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

static const struct op ops[] = {
    {
        .name = "ConvTranspose",
        .since = 1,
        .inputs_min = 2,
        .inputs_max = 3,
        .types = {TYPES_F32},
        .memo_size = sizeof(struct spread_memo),
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_conv_transpose = OP_LIST(ops);
