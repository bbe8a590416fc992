/* conv.c - Conv, float32, over one or two spatial axes; conv_nd.c takes more. */
#include "engine/ops/conv_impl.h"

#include <assert.h>

#include "engine/ops/conv_f64.h"
#include "engine/ops/ops.h"

static enum status prepare(struct load *load, struct error *err) {
    if (graph_input_dtype(load->graph, load->node, 0) == DTYPE_F64) {
        load->node->type =
            "Conv of doubles"; /* passes know that of float32 by its name */
        load->node->op = &conv_f64_op;
        return conv_f64_op.prepare(load, err);
    }
    struct conv_state *state = load_state(load, struct conv_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    if (load->node->input_count > RESIDUAL_INPUT) {
        return node_error(load->node, err, STATUS_INVALID, "has %d inputs, takes 2 to 3",
                          load->node->input_count);
    }
    status = window_prepare(load, &state->window, false, err);
    if (status == STATUS_OK) {
        status = attr_int_in(load->node, "group", 1, 1, INT32_MAX, &state->groups, err);
    }
    return status;
}

/* Input channels up to which an image is read as it comes, pixels innermost. */
#define FEW_CHANNELS 4

bool conv_accumulates(const struct graph *graph, const struct node *conv) {
    const struct tensor *w = graph_constant(graph, conv, 1);
    return w != NULL && w->dtype == DTYPE_F32 && w->rank >= 3 && w->rank <= 4;
}

bool conv_reads_first(const struct graph *graph, const struct node *conv) {
    const struct conv_state *state = conv->state;
    const struct tensor *w = graph_constant(graph, conv, 1);
    return w->dims[1] * state->groups <= FEW_CHANNELS;
}

bool conv_fuse_pool(const struct graph *graph, struct node *conv) {
    struct conv_state *state = conv->state;
    const struct tensor *w = graph_constant(graph, conv, 1);
    if (w == NULL || w->rank != 4 || conv->layout == NODE_CHANNELS_FIRST ||
        conv->input_count > RESIDUAL_INPUT ||
        (conv->layout == NODE_CHANNELS_LAST &&
         (state->groups != 1 || !conv_reads_first(graph, conv)))) {
        return false; /* only the direct way pools as it goes */
    }
    state->pool_2x2 = true;
    return true;
}

/* Of a list with a number for each axis, that of the last axis but `behind`.  A list of
 * another length is refused by window_axes. */
static int64_t along(const struct attr_ints *list, int axes, int behind) {
    return list->count == (size_t)axes && behind < axes ? list->values[axes - 1 - behind]
                                                        : 1;
}

void conv_describe(const struct node *node, const struct tensor *w, struct conv *conv) {
    const struct conv_state *state = node->state;
    const struct attr_ints *strides = &state->window.strides;
    const struct attr_ints *dilations = &state->window.dilations;
    const int axes = w->rank - 2;
    *conv = (struct conv){
        .channels_in = w->dims[1] * state->groups,
        .channels_out = w->dims[0],
        .groups = state->groups,
        .in_h = 1,
        .in_w = 1,
        .out_h = 1,
        .out_w = 1,
        .kernel_h = w->rank > 3 ? w->dims[2] : 1,
        .kernel_w = w->dims[w->rank - 1],
        .stride_h = along(strides, axes, 1),
        .stride_w = along(strides, axes, 0),
        .dilation_h = along(dilations, axes, 1),
        .dilation_w = along(dilations, axes, 0),
        .x_layout = node->layout == NODE_CHANNELS_LAST ? LAYOUT_NHWC : LAYOUT_NCHW,
        .y_layout = node->layout == NODE_CHANNELS_FIRST ? LAYOUT_NCHW : LAYOUT_NHWC,
        .pool_2x2 = state->pool_2x2,
        .act = node->act,
    };
}

static enum status check_weights(const struct node *node, const struct tensor *w,
                                 struct error *err) {
    const struct conv_state *state = node->state;
    char text[TENSOR_SHAPE_TEXT_MAX];
    if (w->rank < 3) {
        return node_error(node, err, STATUS_UNSUPPORTED,
                          "weights have shape %s, spatial axes are needed",
                          tensor_shape_text(w->dims, w->rank, text, sizeof(text)));
    }
    if (tensor_count(w) == 0 || tensor_count(w) > CONV_COUNT_MAX ||
        w->dims[0] % state->groups != 0) {
        return node_error(node, err, STATUS_INVALID,
                          "weights have shape %s, which does not suit group=%lld",
                          tensor_shape_text(w->dims, w->rank, text, sizeof(text)),
                          (long long)state->groups);
    }
    return STATUS_OK;
}

static enum status pack(struct load *load, struct error *err) {
    struct conv_state *state = load->node->state;
    const struct tensor *w = graph_constant(load->graph, load->node, 1);
    struct conv conv;
    size_t size;
    float *packed;
    enum status status;
    if (w == NULL) {
        return STATUS_OK;
    }
    status = check_weights(load->node, w, err);
    if (status != STATUS_OK) {
        return status;
    }
    if (w->rank == 5 && state->groups == 1) {
        return conv_nd_pack(load, w, err);
    }
    if (w->rank > 4) {
        return STATUS_OK; /* they are used as they are */
    }
    conv_describe(load->node, w, &conv);
    size = conv_pack_size(&conv);
    packed = size == SIZE_MAX ? NULL : graph_memory(load->graph, size);
    if (packed == NULL) {
        return load_no_memory(load, err);
    }
    conv_pack(&conv, w->data, packed);
    state->packed = packed;
    load->consumed = 1U << 1;
    return STATUS_OK;
}

static enum status check_input(const struct exec *exec, const struct conv *conv,
                               struct error *err) {
    const struct tensor *x = exec->x[0], *w = exec->x[1];
    char have[TENSOR_SHAPE_TEXT_MAX], weights[TENSOR_SHAPE_TEXT_MAX];
    if (x->rank != w->rank || x->dims[exec_channel_axis(exec)] != conv->channels_in) {
        return node_error(exec->node, err, STATUS_POISON,
                          "input %s does not suit weights %s with group=%lld",
                          tensor_shape_text(x->dims, x->rank, have, sizeof(have)),
                          tensor_shape_text(w->dims, w->rank, weights, sizeof(weights)),
                          (long long)conv->groups);
    }
    if (exec_has(exec, 2) &&
        (exec->x[2]->rank != 1 || exec->x[2]->dims[0] != conv->channels_out)) {
        return node_error(exec->node, err, STATUS_POISON,
                          "bias must hold %lld numbers, one for each channel",
                          (long long)conv->channels_out);
    }
    return STATUS_OK;
}

void conv_set_axes(struct conv *conv, const struct window_axis *axes, int count) {
    static const struct window_axis flat = {1, 1, 1, 1, 1, 0, 0};
    const struct window_axis *h = count > 1 ? &axes[0] : &flat, *w = &axes[count - 1];
    conv->in_h = h->in;
    conv->in_w = w->in;
    conv->out_h = h->out;
    conv->out_w = w->out;
    assert(conv->stride_h == h->stride);
    assert(conv->stride_w == w->stride);
    assert(conv->dilation_h == h->dilation);
    assert(conv->dilation_w == w->dilation);
    conv->pad_top = h->pad_begin;
    conv->pad_left = w->pad_begin;
}

bool conv_sizes_fit(const struct conv *conv, const struct window_axis *axes, int count) {
    struct tensor padded = {.rank = count + 1, .dims = {conv->channels_in}};
    struct tensor out = {.rank = count + 1, .dims = {conv->channels_out}};
    size_t in_count, out_count;
    for (int i = 0; i < count; i++) {
        padded.dims[i + 1] = axes[i].in + axes[i].pad_begin + axes[i].pad_end;
        out.dims[i + 1] = axes[i].out;
    }
    return tensor_dims_count(padded.dims, padded.rank, &in_count) &&
           tensor_dims_count(out.dims, out.rank, &out_count) &&
           in_count <= CONV_COUNT_MAX && out_count <= CONV_COUNT_MAX;
}

enum status conv_too_large(const struct exec *exec, struct error *err) {
    return node_error(exec->node, err, STATUS_POISON,
                      "an image would have more than %zu elements", CONV_COUNT_MAX);
}

static void set_output(struct exec *exec, const struct conv_memo *memo, int axes) {
    const struct conv *conv = &memo->conv;
    struct tensor *y = exec->y[0];
    int64_t size = conv->pool_2x2 ? 2 : 1;
    bool nhwc = conv->y_layout == LAYOUT_NHWC;
    y->rank = axes + 2;
    y->dims[0] = memo->batch;
    y->dims[nhwc ? y->rank - 1 : 1] = conv->channels_out;
    if (axes > 1) {
        y->dims[nhwc ? 1 : 2] = conv->out_h / size;
    }
    y->dims[nhwc ? y->rank - 2 : y->rank - 1] = conv->out_w / size;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct conv_state *state = exec->node->state;
    const struct tensor *w = exec->x[1];
    struct conv_memo *memo = exec->memo;
    struct window_axis axes[WINDOW_AXES_MAX];
    enum status status = check_weights(exec->node, w, err);
    if (status == STATUS_OK) {
        conv_describe(exec->node, w, &memo->conv);
        status = check_input(exec, &memo->conv, err);
    }
    if (status == STATUS_OK) {
        status = window_axes(exec, &state->window, w->dims + 2, axes, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    memo->windows.axes = 0;
    if (w->rank > 4) {
        return state->packed != NULL ? conv_nd_plan_volume(exec, axes, err)
                                     : conv_nd_plan_columns(exec, axes, err);
    }
    conv_set_axes(&memo->conv, axes, w->rank - 2);
    if (!conv_sizes_fit(&memo->conv, axes, w->rank - 2)) {
        return conv_too_large(exec, err);
    }
    status =
        state->pool_2x2 ? window_check_pool_2x2(exec, axes, w->rank - 2, err) : STATUS_OK;
    if (status != STATUS_OK) {
        return status;
    }
    memo->batch = exec->x[0]->dims[0];
    memo->pack_size = state->packed == NULL ? conv_pack_size(&memo->conv) : 0;
    set_output(exec, memo, w->rank - 2);
    status = residual_shape(exec, conv_can_accumulate(&memo->conv), &memo->residual,
                            &memo->result_size, err);
    memo->conv.accumulate = memo->residual.accumulate;
    if (memo->residual.added) {
        memo->conv.act = (struct act){0}; /* it comes behind the sum */
    }
    exec->scratch_size =
        memo->pack_size + memo->result_size + conv_scratch_size(&memo->conv);
    return status;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct conv_state *state = exec->node->state;
    const struct conv_memo *memo = exec->memo;
    const float *bias = exec_has(exec, 2) ? exec->x[2]->data : NULL;
    const float *packed = state->packed;
    uint8_t *scratch = exec->scratch;
    float *y;
    (void)err; /* cannot fail */
    if (memo->windows.axes > 0) {
        conv_nd_run_columns(exec);
        return STATUS_OK;
    }
    if (exec->x[1]->rank > 4) {
        conv_volume_run(&memo->volume, memo->batch, exec->x[0]->data, packed, bias,
                        exec->y[0]->data, exec->scratch);
        return STATUS_OK;
    }
    if (packed == NULL) {
        conv_pack(&memo->conv, exec->x[1]->data, exec->scratch);
        packed = exec->scratch;
    }
    if (scratch != NULL) {
        scratch += memo->pack_size;
    }
    y = residual_begin(exec, &memo->residual, (void *)scratch);
    conv_run(&memo->conv, memo->batch, exec->x[0]->data, packed, bias, y,
             scratch == NULL ? NULL : scratch + memo->result_size);
    residual_end(exec, &memo->residual, y);
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "Conv",
        .since = 1,
        .inputs_min = 2,
        .inputs_max = RESIDUAL_INPUT + 1, /* the last one only by a pass */
        .flags = OP_FUSES_ACTIVATION | OP_FUSES_BIAS,
        .types = {TYPES_FLOAT},
        .memo_size = sizeof(struct conv_memo),
        .prepare = prepare,
        .pack = pack,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_conv = OP_LIST(ops);
