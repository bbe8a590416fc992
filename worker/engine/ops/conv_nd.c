/* conv_nd.c - Conv over more than two spatial axes: the kernels take three where the
 * weights are constant and of one group; a product with the image's windows as columns
 * takes any number. */
#include <stdlib.h>

#include "base/size.h"
#include "engine/kernels/gemm.h"
#include "engine/ops/conv_impl.h"

/* Whether each number of a list is `wanted`; an empty list means that. */
static bool all_are(const struct attr_ints *list, int64_t wanted) {
    for (size_t i = 0; i < list->count; i++) {
        if (list->values[i] != wanted) {
            return false;
        }
    }
    return true;
}

static bool is_flat(const struct node *node, const struct tensor *w) {
    const struct conv_state *state = node->state;
    return w->dims[2] * w->dims[3] * w->dims[4] == 1 &&
           all_are(&state->window.strides, 1) &&
           (state->window.auto_pad != AUTO_PAD_NOTSET || all_are(&state->window.pads, 0));
}

static void describe_volume(const struct node *node, const struct tensor *w,
                            struct conv_volume *volume) {
    *volume = (struct conv_volume){
        .channels = w->dims[1], .kernel_d = w->dims[2], .flat = is_flat(node, w)};
    conv_describe(node, w, &volume->plane);
    volume->plane.channels_in = w->dims[1] * w->dims[2];
    volume->plane.kernel_h = w->dims[3];
    volume->plane.x_layout = volume->plane.y_layout = LAYOUT_NHWC;
}

enum status conv_nd_pack(struct load *load, const struct tensor *w, struct error *err) {
    struct conv_state *state = load->node->state;
    struct conv_volume volume;
    size_t size;
    float *packed, *ordered;
    describe_volume(load->node, w, &volume);
    size = conv_volume_pack_size(&volume);
    packed = size == SIZE_MAX ? NULL : graph_memory(load->graph, size);
    ordered = malloc(tensor_size(w));
    if (packed == NULL || ordered == NULL) {
        free(ordered);
        return load_no_memory(load, err);
    }
    conv_volume_pack(&volume, w->data, ordered, packed);
    free(ordered);
    state->packed = packed;
    load->consumed = 1U << 1;
    return STATUS_OK;
}

static void shape_as_windows(struct exec *exec, const struct window_axis *axes) {
    const struct tensor *x = exec->x[0], *w = exec->x[1];
    struct tensor *y = exec->y[0];
    y->rank = x->rank;
    y->dims[0] = x->dims[0];
    y->dims[1] = w->dims[0];
    for (int i = 0; i < w->rank - 2; i++) {
        y->dims[2 + i] = axes[i].out;
    }
}

enum status conv_nd_plan_volume(struct exec *exec, const struct window_axis *axes,
                                struct error *err) {
    const struct tensor *w = exec->x[1];
    struct conv_memo *memo = exec->memo;
    struct conv_volume *volume = &memo->volume;
    describe_volume(exec->node, w, volume);
    conv_set_axes(&volume->plane, axes + 1, 2);
    volume->in_d = axes[0].in;
    volume->out_d = axes[0].out;
    volume->stride_d = axes[0].stride;
    volume->dilation_d = axes[0].dilation;
    volume->pad_front = axes[0].pad_begin;
    if (!conv_sizes_fit(&memo->conv, axes, 3) ||
        !conv_sizes_fit(&volume->plane, axes + 1, 2)) {
        return conv_too_large(exec, err);
    }
    memo->batch = exec->x[0]->dims[0];
    shape_as_windows(exec, axes);
    exec->scratch_size = conv_volume_scratch_size(volume);
    return STATUS_OK;
}

enum status conv_nd_plan_columns(struct exec *exec, const struct window_axis *axes,
                                 struct error *err) {
    const struct conv_state *state = exec->node->state;
    const struct tensor *w = exec->x[1];
    struct conv_memo *memo = exec->memo;
    struct col2im *plan = &memo->windows;
    size_t columns;
    plan->axes = w->rank - 2;
    shape_as_windows(exec, axes);
    for (int i = 0; i < plan->axes; i++) {
        plan->windows[i] = axes[i].out;
        plan->image[i] = axes[i].in;
        plan->kernel[i] = axes[i].kernel;
        plan->stride[i] = axes[i].stride;
        plan->dilation[i] = axes[i].dilation;
        plan->pad[i] = axes[i].pad_begin;
    }
    if (!size_mul((size_t)(w->dims[1] * col2im_kernel(plan)),
                  (size_t)col2im_windows(plan), &columns) ||
        columns > CONV_COUNT_MAX) {
        return conv_too_large(exec, err);
    }
    memo->pack_size = size_align(columns * sizeof(float), GEMM_ALIGN);
    exec->scratch_size =
        memo->pack_size + gemm_f32_scratch_size(false, w->dims[0] / state->groups,
                                                col2im_windows(plan),
                                                w->dims[1] * col2im_kernel(plan));
    return STATUS_OK;
}

/* One group of one image. */
static void run_columns(const struct exec *exec, const float *x, const float *w,
                        const float *bias, float *y) {
    const struct conv_state *state = exec->node->state;
    const struct conv_memo *memo = exec->memo;
    const struct col2im *plan = &memo->windows;
    int64_t channels = exec->x[1]->dims[1], m = exec->x[1]->dims[0] / state->groups;
    int64_t kernel = col2im_kernel(plan), windows = col2im_windows(plan);
    float *columns = exec->scratch;
    for (int64_t c = 0; c < channels; c++) {
        im2col_take(plan, x + c * col2im_image(plan), columns + c * kernel * windows);
    }
    gemm_f32(false, false, m, windows, channels * kernel, 1, w, channels * kernel,
             columns, windows, 0, y, windows,
             (void *)((uint8_t *)exec->scratch + memo->pack_size));
    for (int64_t i = 0; bias != NULL && i < m * windows; i++) {
        y[i] += bias[i / windows];
    }
    if (exec->node->act.kind != ACT_NONE) {
        act_run(&exec->node->act, m * windows, y, y);
    }
}

void conv_nd_run_columns(const struct exec *exec) {
    const struct conv_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *w = exec->x[1], *y = exec->y[0];
    size_t groups = (size_t)state->groups, parts = (size_t)x->dims[0] * groups;
    const float *bias = exec_has(exec, 2) ? exec->x[2]->data : NULL;
    for (size_t i = 0; tensor_count(y) > 0 && i < parts; i++) {
        size_t group = i % groups;
        run_columns(exec, (const float *)x->data + i * (tensor_count(x) / parts),
                    (const float *)w->data + group * (tensor_count(w) / groups),
                    bias == NULL ? NULL : bias + group * (size_t)w->dims[0] / groups,
                    (float *)y->data + i * (tensor_count(y) / parts));
    }
}
