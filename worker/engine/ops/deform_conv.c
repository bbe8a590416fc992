/* deform_conv.c - DeformConv: a convolution whose taps are moved by offsets and weighed
 * by a mask, both of which the model computes.
 *
 *     offset [batch, groups * kernel * 2, out_h, out_w]    rows, then columns, of each
 * tap mask   [batch, groups * kernel, out_h, out_w]
 *
 * What the taps see, read between the pixels, is [channels * kernel, windows]; the
 * weights multiply it. */
#include <math.h>

#include "base/size.h"
#include "engine/kernels/gemm.h"
#include "engine/ops/ops.h"
#include "engine/ops/window.h"

enum { IN_X, IN_W, IN_OFFSET, IN_BIAS, IN_MASK };

struct deform_state {
    struct window_spec window;
    int64_t groups, offset_groups;
};

struct deform_memo {
    struct window_axis axis[2];
    int64_t kernel, windows;
    size_t columns_size; /* bytes, then comes the product's scratch */
};

static enum status prepare(struct load *load, struct error *err) {
    struct deform_state *state = load_state(load, struct deform_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = window_prepare(load, &state->window, false, err);
    if (status == STATUS_OK) {
        status = attr_int_in(load->node, "group", 1, 1, INT32_MAX, &state->groups, err);
    }
    return status == STATUS_OK ? attr_int_in(load->node, "offset_group", 1, 1, INT32_MAX,
                                             &state->offset_groups, err)
                               : status;
}

/* [batch, channels, h, w] of these sizes. */
static bool is_map(const struct tensor *x, int64_t batch, int64_t channels,
                   const struct window_axis *axis) {
    return x->rank == 4 && x->dims[0] == batch && x->dims[1] == channels &&
           x->dims[2] == axis[0].out && x->dims[3] == axis[1].out;
}

static bool inputs_fit(const struct exec *exec) {
    const struct deform_state *state = exec->node->state;
    const struct deform_memo *memo = exec->memo;
    const struct tensor *x = exec->x[IN_X], *w = exec->x[IN_W];
    int64_t taps = state->offset_groups * memo->kernel;
    return is_map(exec->x[IN_OFFSET], x->dims[0], 2 * taps, memo->axis) &&
           (!exec_has(exec, IN_MASK) ||
            is_map(exec->x[IN_MASK], x->dims[0], taps, memo->axis)) &&
           (!exec_has(exec, IN_BIAS) ||
            (int64_t)tensor_count(exec->x[IN_BIAS]) == w->dims[0]);
}

static enum status misfit(const struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[IN_X], *w = exec->x[IN_W];
    char a[TENSOR_SHAPE_TEXT_MAX], b[TENSOR_SHAPE_TEXT_MAX];
    return node_error(
        exec->node, err, STATUS_POISON,
        "images %s, weights %s, offsets, mask and bias do not fit together, "
        "or are too large",
        tensor_shape_text(x->dims, x->rank, a, sizeof(a)),
        tensor_shape_text(w->dims, w->rank, b, sizeof(b)));
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct deform_state *state = exec->node->state;
    const struct tensor *x = exec->x[IN_X], *w = exec->x[IN_W];
    struct deform_memo *memo = exec->memo;
    size_t columns;
    enum status status;
    if (x->rank != 4 || w->rank != 4 || tensor_count(w) == 0 ||
        tensor_count(w) > INT32_MAX || w->dims[0] % state->groups != 0 ||
        x->dims[1] != w->dims[1] * state->groups ||
        x->dims[1] % state->offset_groups != 0) {
        return misfit(exec, err);
    }
    status = window_axes(exec, &state->window, w->dims + 2, memo->axis, err);
    if (status != STATUS_OK) {
        return status;
    }
    memo->kernel = w->dims[2] * w->dims[3];
    if (!inputs_fit(exec)) {
        return misfit(exec, err);
    }
    memo->windows = memo->axis[0].out * memo->axis[1].out; /* the offsets have as many */
    if (!size_mul((size_t)(w->dims[1] * memo->kernel), (size_t)memo->windows, &columns) ||
        columns > INT32_MAX) {
        return misfit(exec, err);
    }
    memo->columns_size = size_align(columns * sizeof(float), GEMM_ALIGN);
    exec->scratch_size = memo->columns_size +
                         gemm_f32_scratch_size(false, w->dims[0] / state->groups,
                                               memo->windows, w->dims[1] * memo->kernel);
    exec_same_shape(exec, 0, IN_X);
    exec->y[0]->dims[1] = w->dims[0];
    exec->y[0]->dims[2] = memo->axis[0].out;
    exec->y[0]->dims[3] = memo->axis[1].out;
    return STATUS_OK;
}

static float pixel(const float *image, const struct window_axis *axis, int64_t h,
                   int64_t w) {
    bool inside = h >= 0 && h < axis[0].in && w >= 0 && w < axis[1].in;
    return inside ? image[h * axis[1].in + w] : 0;
}

/* Between four pixels; 0 outside of the image. */
static float read_between(const float *image, const struct window_axis *axis, float h,
                          float w) {
    float top = floorf(h), left = floorf(w), down = h - top, right = w - left;
    int64_t i, k;
    if (!(h > -1 && h < (float)axis[0].in && w > -1 && w < (float)axis[1].in)) {
        return 0; /* NaN too */
    }
    i = (int64_t)top;
    k = (int64_t)left;
    return (1 - down) * ((1 - right) * pixel(image, axis, i, k) +
                         right * pixel(image, axis, i, k + 1)) +
           down * ((1 - right) * pixel(image, axis, i + 1, k) +
                   right * pixel(image, axis, i + 1, k + 1));
}

/* What tap `tap` sees of channel `channel` of a batch item. */
static void take_tap(const struct exec *exec, int64_t item, int64_t channel, int64_t tap,
                     float *row) {
    const struct deform_state *state = exec->node->state;
    const struct deform_memo *memo = exec->memo;
    const struct window_axis *axis = memo->axis;
    const struct tensor *x = exec->x[IN_X];
    int64_t group = channel / (x->dims[1] / state->offset_groups);
    int64_t place = (item * state->offset_groups + group) * memo->kernel + tap;
    const float *image =
        (const float *)x->data + (item * x->dims[1] + channel) * axis[0].in * axis[1].in;
    const float *down =
        (const float *)exec->x[IN_OFFSET]->data + 2 * place * memo->windows;
    const float *right = down + memo->windows;
    const float *mask = exec_has(exec, IN_MASK) ? (const float *)exec->x[IN_MASK]->data +
                                                      place * memo->windows
                                                : NULL;
    int64_t h0 = tap / axis[1].kernel * axis[0].dilation - axis[0].pad_begin;
    int64_t w0 = tap % axis[1].kernel * axis[1].dilation - axis[1].pad_begin;
    for (int64_t i = 0; i < memo->windows; i++) {
        float h = (float)(h0 + i / axis[1].out * axis[0].stride) + down[i];
        float w = (float)(w0 + i % axis[1].out * axis[1].stride) + right[i];
        row[i] = read_between(image, axis, h, w) * (mask == NULL ? 1 : mask[i]);
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct deform_state *state = exec->node->state;
    const struct deform_memo *memo = exec->memo;
    const struct tensor *w = exec->x[IN_W];
    const float *bias = exec_has(exec, IN_BIAS) ? exec->x[IN_BIAS]->data : NULL;
    int64_t m = w->dims[0] / state->groups, k = w->dims[1] * memo->kernel;
    int64_t windows = memo->windows;
    float *columns = exec->scratch, *y = exec->y[0]->data;
    (void)err; /* cannot fail */
    for (int64_t i = 0; windows > 0 && i < exec->x[IN_X]->dims[0] * state->groups; i++) {
        int64_t group = i % state->groups;
        for (int64_t row = 0; row < k; row++) {
            take_tap(exec, i / state->groups, group * w->dims[1] + row / memo->kernel,
                     row % memo->kernel, columns + row * windows);
        }
        gemm_f32(false, false, m, windows, k, 1, (const float *)w->data + group * m * k,
                 k, columns, windows, 0, y + i * m * windows, windows,
                 (void *)((uint8_t *)exec->scratch + memo->columns_size));
        for (int64_t c = 0; bias != NULL && c < m * windows; c++) {
            y[i * m * windows + c] += bias[group * m + c / windows];
        }
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "DeformConv",
        .since = 19,
        .inputs_min = 3,
        .inputs_max = 5,
        .types = {TYPES_F32},
        .memo_size = sizeof(struct deform_memo),
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_deform_conv = OP_LIST(ops);
