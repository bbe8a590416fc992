/* conv_integer.c - convolutions of 8-bit integers, summed exactly in 32 bits, over any
 * number of spatial axes: ConvInteger leaves the sums, QLinearConv makes bytes of them
 * again, ConvIntegerToFloat floats.
 *
 *     sums = conv(x - x_zero, w - w_zero)
 *     QLinearConv   y = saturate(round((sums + bias) * x_scale * w_scale / y_scale) +
 * zero) to floats     y = sums * x_scale * w_scale + bias */
#include "base/size.h"
#include "engine/kernels/conv_bytes.h"
#include "engine/ops/bytes.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"
#include "engine/ops/window.h"

#define CONV_COUNT_MAX ((size_t)INT32_MAX)
_Static_assert((int)WINDOW_AXES_MAX <= (int)CONV_BYTES_AXES_MAX,
               "the kernel takes all axes");

/* Places of the inputs; 0 where there is none. */
struct places {
    int w, x_zero, w_zero;
    int x_scale, w_scale, y_scale, y_zero;
    int sum_bias, bias; /* of int32, added to the sums; of floats, to the result */
};

struct conv_state {
    struct window_spec window;
    int64_t groups;
    bool doubled;       /* as the weights were packed */
    bool pool_2x2;      /* the result is max-pooled */
    const void *packed; /* weights, or NULL where they are not constant */
};

struct conv_memo {
    struct conv_bytes conv;
    int64_t k; /* products of a sum */
    /* In scratch, in bytes, behind `add`. */
    size_t zeros_at, scales_at, bias_at, packed_at, kernel_at;
};

/* ---- load ------------------------------------------------------------------------- */

static enum status prepare(struct load *load, struct error *err) {
    const struct places *places = load->node->op->param;
    const int floats[] = {places->x_scale, places->w_scale, places->y_scale,
                          places->bias};
    struct conv_state *state = load_state(load, struct conv_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    if (places->y_zero > 0) {
        enum dtype dtype = graph_input_dtype(load->graph, load->node, places->y_zero);
        if (dtype != DTYPE_U8 && dtype != DTYPE_I8) {
            return node_error(load->node, err, STATUS_UNSUPPORTED, "makes %s",
                              dtype_name(dtype));
        }
        graph_set_output(load->graph, load->node, 0, dtype);
    }
    status = bytes_check_types(load, floats, ARRAY_COUNT(floats), places->sum_bias, err);
    if (status == STATUS_OK) {
        status = window_prepare(load, &state->window, false, err);
    }
    return status == STATUS_OK
               ? attr_int_in(load->node, "group", 1, 1, INT32_MAX, &state->groups, err)
               : status;
}

/* Input channels up to which an image is turned by the convolution itself, which is then
 * not held twice. */
#define FEW_CHANNELS 4

bool conv_integer_reads_first(const struct node *conv, const struct tensor *w) {
    const struct conv_state *state = conv->state;
    return w->dims[1] * state->groups <= FEW_CHANNELS;
}

/* What weights and attributes tell; sizes of the image are left at 1. */
static void describe(const struct node *node, const struct tensor *w, enum dtype x,
                     struct conv_bytes *c) {
    const struct conv_state *state = node->state;
    *c = (struct conv_bytes){
        .axes = w->rank - 2,
        .channels_in = w->dims[1] * state->groups,
        .channels_out = w->dims[0],
        .groups = state->groups,
        .flip = bytes_left_flip(x),
        .w_flip = bytes_right_flip(w->dtype),
        .x_last = node->layout == NODE_CHANNELS_LAST,
        .y_last = node->layout != NODE_CHANNELS_FIRST,
        .doubled = state->doubled,
        .pool_2x2 = state->pool_2x2,
    };
    for (int i = 0; i < c->axes; i++) {
        c->axis[i] = (struct conv_bytes_axis){
            1, 1, w->dims[2 + i], 1, window_dilation(&state->window, i), 0};
    }
}

/* Are all elements known, and above 0? */
static bool is_positive(const struct tensor *x) {
    const size_t count = x == NULL ? 0 : tensor_count(x);
    for (size_t i = 0; i < count; i++) {
        if (!(((const float *)x->data)[i] > 0)) {
            return false;
        }
    }
    return count > 0;
}

bool conv_integer_fuse_pool(const struct graph *graph, struct node *conv) {
    const struct places *places = conv->op->param;
    const struct tensor *w = graph_constant(graph, conv, places->w);
    struct conv_state *state = conv->state;
    struct conv_bytes c;
    if (w == NULL || w->rank != 4 || conv->act.kind != ACT_NONE ||
        !is_positive(graph_constant(graph, conv, places->x_scale)) ||
        !is_positive(graph_constant(graph, conv, places->w_scale)) ||
        !is_positive(graph_constant(graph, conv, places->y_scale))) {
        return false;
    }
    describe(conv, w, graph_input_dtype(graph, conv, 0), &c);
    state->pool_2x2 = conv_bytes_pools(&c);
    return state->pool_2x2;
}

static bool weights_fit(const struct node *node, const struct tensor *w) {
    const struct conv_state *state = node->state;
    size_t count;
    return w->rank >= 3 && tensor_dims_count(w->dims, w->rank, &count) && count > 0 &&
           count <= CONV_COUNT_MAX && w->dims[0] % state->groups == 0;
}

/* Zero points that a depthwise kernel's weights lose when they are packed, or NULL.  They
 * go to `zeros`, of the outputs and GEMM_BYTES_SLACK. */
static const int32_t *packed_zeros(const struct conv_bytes *c, const struct tensor *zero,
                                   int32_t *zeros) {
    return bytes_right_zeros(zero, c->channels_out, c->w_flip, zeros) ? zeros : NULL;
}

static enum status pack_weights(struct load *load, struct conv_bytes *c,
                                const struct tensor *w, const struct tensor *zero,
                                struct error *err) {
    struct conv_state *state = load->node->state;
    int32_t *zeros =
        malloc(((size_t)c->channels_out + GEMM_BYTES_SLACK) * sizeof(*zeros));
    void *scratch = malloc(conv_bytes_pack_scratch(c) + 1), *packed = NULL;
    const int32_t *lost;
    size_t size;
    if (zeros == NULL || scratch == NULL) {
        goto done;
    }
    lost = packed_zeros(c, zero, zeros);
    c->doubled = lost != NULL && conv_bytes_is_depthwise(c);
    size = conv_bytes_pack_size(c);
    packed = size == SIZE_MAX ? NULL : graph_memory(load->graph, size);
    if (packed != NULL) {
        conv_bytes_pack(c, w->data, lost, packed, scratch);
        state->packed = packed;
        state->doubled = c->doubled;
        load->consumed =
            1U << (unsigned)((const struct places *)load->node->op->param)->w;
    }
done:
    free(zeros);
    free(scratch);
    return packed != NULL ? STATUS_OK : load_no_memory(load, err);
}

static enum status pack(struct load *load, struct error *err) {
    const struct places *places = load->node->op->param;
    const struct tensor *w = graph_constant(load->graph, load->node, places->w);
    const struct tensor *zero = graph_constant(load->graph, load->node, places->w_zero);
    struct conv_bytes c;
    if (w == NULL || !weights_fit(load->node, w)) {
        return STATUS_OK; /* shape() tells what does not fit */
    }
    if (graph_input(load->graph, load->node, places->w_zero) != NULL &&
        (zero == NULL || !bytes_in(zero) || !bytes_fits(zero, w->dims[0]))) {
        return STATUS_OK; /* likewise, or they are packed with each batch's zero points */
    }
    describe(load->node, w, graph_input_dtype(load->graph, load->node, 0), &c);
    return pack_weights(load, &c, w, zero, err);
}

/* ---- shape ------------------------------------------------------------------------ */

static enum status misfit(const struct exec *exec, struct error *err) {
    const struct places *places = exec->node->op->param;
    const struct tensor *x = exec->x[0], *w = exec->x[places->w];
    char a[TENSOR_SHAPE_TEXT_MAX], b[TENSOR_SHAPE_TEXT_MAX];
    return node_error(exec->node, err, STATUS_POISON,
                      "images %s, weights %s, scales, zero points and bias do not fit "
                      "together, or are too large",
                      tensor_shape_text(x->dims, x->rank, a, sizeof(a)),
                      tensor_shape_text(w->dims, w->rank, b, sizeof(b)));
}

static bool inputs_fit(const struct exec *exec) {
    const struct places *places = exec->node->op->param;
    const struct conv_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *w = exec->x[places->w];
    const struct tensor *w_zero = bytes_input(exec, places->w_zero);
    const struct tensor *sum_bias = bytes_input(exec, places->sum_bias);
    const struct tensor *bias = bytes_input(exec, places->bias);
    return x->rank >= 3 && w->rank == x->rank && weights_fit(exec->node, w) &&
           w->dims[1] <= INT32_MAX &&
           x->dims[exec_channel_axis(exec)] == w->dims[1] * state->groups &&
           bytes_fits(bytes_input(exec, places->x_zero), 1) &&
           (w_zero == NULL || bytes_in(w_zero)) && bytes_fits(w_zero, w->dims[0]) &&
           bytes_fits(bytes_input(exec, places->x_scale), 1) &&
           bytes_fits(bytes_input(exec, places->w_scale), w->dims[0]) &&
           bytes_fits(bytes_input(exec, places->y_scale), 1) &&
           bytes_fits(bytes_input(exec, places->y_zero), 1) &&
           (sum_bias == NULL || (int64_t)tensor_count(sum_bias) == w->dims[0]) &&
           (bias == NULL || (int64_t)tensor_count(bias) == w->dims[0]);
}

/* The padded image, the result and the products of one image must be of a reasonable
 * size. */
static bool sizes_fit(const struct conv_bytes *c, const struct window_axis *axes) {
    struct tensor padded = {.rank = c->axes + 1, .dims = {c->channels_in}};
    struct tensor out = {.rank = c->axes + 1, .dims = {c->channels_out}};
    size_t in_count, out_count;
    for (int i = 0; i < c->axes; i++) {
        padded.dims[i + 1] = axes[i].in + axes[i].pad_begin + axes[i].pad_end;
        out.dims[i + 1] = axes[i].out;
    }
    return tensor_dims_count(padded.dims, padded.rank, &in_count) &&
           tensor_dims_count(out.dims, out.rank, &out_count) &&
           in_count <= CONV_COUNT_MAX && out_count <= CONV_COUNT_MAX;
}

static void set_output(const struct exec *exec, const struct conv_bytes *c) {
    const int first = c->y_last ? 1 : 2;
    struct tensor *y = exec->y[0];
    y->rank = c->axes + 2;
    y->dims[0] = exec->x[0]->dims[0];
    y->dims[c->y_last ? y->rank - 1 : 1] = c->channels_out;
    for (int i = 0; i < c->axes; i++) {
        y->dims[first + i] = c->pool_2x2 ? c->axis[i].out / 2 : c->axis[i].out;
    }
}

static bool plan_scratch(const struct exec *exec, struct conv_memo *memo, size_t *size) {
    const struct conv_state *state = exec->node->state;
    const struct conv_bytes *c = &memo->conv;
    const size_t line =
        size_align(((size_t)c->channels_out + GEMM_BYTES_SLACK) * sizeof(int32_t), 64);
    const size_t packed = state->packed != NULL ? 0 : conv_bytes_pack_size(c);
    const size_t turned = state->packed != NULL ? 0 : conv_bytes_pack_scratch(c);
    memo->zeros_at = line;
    memo->scales_at = 2 * line;
    memo->bias_at = 3 * line;
    memo->packed_at = 4 * line;
    return packed <= OP_SIZE_MAX &&
           size_add(memo->packed_at, size_align(packed, 64), &memo->kernel_at) &&
           size_add(memo->kernel_at, size_max(conv_bytes_scratch_size(c), turned), size);
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct places *places = exec->node->op->param;
    const struct conv_state *state = exec->node->state;
    const struct tensor *w = exec->x[places->w];
    struct conv_memo *memo = exec->memo;
    struct conv_bytes *c = &memo->conv;
    struct window_axis axes[WINDOW_AXES_MAX];
    enum status status;
    if (!inputs_fit(exec)) {
        return misfit(exec, err);
    }
    status = window_axes(exec, &state->window, w->dims + 2, axes, err);
    if (status == STATUS_OK && state->pool_2x2) {
        status = window_check_pool_2x2(exec, axes, w->rank - 2, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    describe(exec->node, w, exec->x[0]->dtype, c);
    if (!sizes_fit(c, axes)) {
        return misfit(exec, err);
    }
    memo->k = w->dims[1];
    for (int i = 0; i < c->axes; i++) {
        const struct window_axis *a = &axes[i];
        memo->k *= a->kernel; /* the weights have as many elements */
        c->axis[i] = (struct conv_bytes_axis){a->in,     a->out,      a->kernel,
                                              a->stride, a->dilation, a->pad_begin};
    }
    if (state->packed == NULL) { /* what zero points will be is not known yet */
        c->doubled = bytes_input(exec, places->w_zero) != NULL || c->w_flip != 0;
    }
    set_output(exec, c);
    return plan_scratch(exec, memo, &exec->scratch_size) ? STATUS_OK : misfit(exec, err);
}

/* ---- run -------------------------------------------------------------------------- */

static float scale_of(const struct tensor *x) {
    return *(const float *)x->data;
}

/* Everything the sums need, in scratch; what depends on the image alone is left out. */
static void fill_tail(const struct exec *exec, const void *packed, const int32_t *zeros,
                      struct gemm_bytes_tail *tail) {
    const struct places *places = exec->node->op->param;
    const struct conv_memo *memo = exec->memo;
    const struct conv_bytes *c = &memo->conv;
    const struct tensor *y = exec->y[0];
    const struct tensor *sum_bias = bytes_input(exec, places->sum_bias);
    const struct tensor *bias = bytes_input(exec, places->bias);
    const struct tensor *y_zero = bytes_input(exec, places->y_zero);
    unsigned char *scratch = exec->scratch;
    int32_t *add = exec->scratch;
    float *scales = (float *)(void *)(scratch + memo->scales_at);
    conv_bytes_columns(c, packed, add);
    bytes_terms(c->channels_out, memo->k,
                bytes_left_zero(bytes_input(exec, places->x_zero), 0, c->flip), add,
                zeros, sum_bias == NULL ? NULL : sum_bias->data, 1, add);
    *tail = (struct gemm_bytes_tail){
        .form = y->dtype == DTYPE_I32   ? GEMM_BYTES_SUMS
                : y->dtype == DTYPE_F32 ? GEMM_BYTES_FLOATS
                                        : GEMM_BYTES_BYTES,
        .add = add,
        .b_zero = zeros,
        .low = bytes_low(y),
        .zero = y_zero == NULL ? 0 : (int32_t)number_integer(y_zero, 0)};
    if (places->w_scale > 0) {
        bytes_scales(c->channels_out, scale_of(exec->x[places->x_scale]),
                     exec->x[places->w_scale], bytes_input(exec, places->y_scale),
                     scales);
        tail->scale = scales;
    }
    if (bias != NULL) { /* which has no slack of its own */
        float *copy = (float *)(void *)(scratch + memo->bias_at);
        memcpy(copy, bias->data, (size_t)c->channels_out * sizeof(*copy));
        memset(copy + c->channels_out, 0, GEMM_BYTES_SLACK * sizeof(*copy));
        tail->bias = copy;
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct places *places = exec->node->op->param;
    const struct conv_state *state = exec->node->state;
    const struct conv_memo *memo = exec->memo;
    const struct conv_bytes *c = &memo->conv;
    unsigned char *scratch = exec->scratch;
    int32_t *zeros = (int32_t *)(void *)(scratch + memo->zeros_at);
    const int32_t *lost = packed_zeros(c, bytes_input(exec, places->w_zero), zeros);
    const int32_t x_zero = bytes_left_zero(bytes_input(exec, places->x_zero), 0, c->flip);
    const void *packed = state->packed;
    struct gemm_bytes_tail tail;
    struct tensor *y = exec->y[0];
    (void)err; /* cannot fail */
    if (packed == NULL) {
        packed = scratch + memo->packed_at;
        conv_bytes_pack(c, exec->x[places->w]->data, lost, scratch + memo->packed_at,
                        scratch + memo->kernel_at);
    }
    fill_tail(exec, packed, conv_bytes_is_depthwise(c) ? NULL : lost, &tail);
    conv_bytes_run(c, exec->x[0]->dims[0], exec->x[0]->data, (uint8_t)x_zero, packed,
                   &tail, y->data, scratch + memo->kernel_at);
    if (exec->node->act.kind != ACT_NONE) {
        act_run(&exec->node->act, (int64_t)tensor_count(y), y->data, y->data);
    }
    return STATUS_OK;
}

/* ---- operators -------------------------------------------------------------------- */

static const struct places plain = {.w = 1, .x_zero = 2, .w_zero = 3};
static const struct places scaled = {.x_scale = 1,
                                     .x_zero = 2,
                                     .w = 3,
                                     .w_scale = 4,
                                     .w_zero = 5,
                                     .y_scale = 6,
                                     .y_zero = 7,
                                     .sum_bias = 8};
static const struct places to_float = {
    .w = 1, .x_scale = 2, .w_scale = 3, .x_zero = 4, .w_zero = 5, .bias = 6};

static const struct op ops[] = {
    {
        .name = "ConvInteger",
        .since = 10,
        .inputs_min = 2,
        .inputs_max = 4,
        .types = {TYPES_8, TYPES_8, TYPES_8, TYPES_8},
        .output_dtype = DTYPE_I32,
        .memo_size = sizeof(struct conv_memo),
        .param = &plain,
        .prepare = prepare,
        .pack = pack,
        .shape = shape,
        .run = run,
    },
    {
        .name = "QLinearConv",
        .since = 10,
        .inputs_min = 8,
        .inputs_max = 9,
        .types = {TYPES_8, TYPES_F32, TYPES_8, TYPES_8, TYPES_F32,
                  TYPES_8 | TYPES_F32 | TYPE_BIT(DTYPE_I32)},
        .memo_size = sizeof(struct conv_memo),
        .param = &scaled,
        .prepare = prepare,
        .pack = pack,
        .shape = shape,
        .run = run,
    },
    {
        /* x, w, x_scale, w_scale, x_zero, w_zero, bias: as MatMulIntegerToFloat. */
        .domain = "millrace",
        .name = "ConvIntegerToFloat",
        .since = 1,
        .inputs_min = 4,
        .inputs_max = 7,
        .flags = OP_FUSES_ACTIVATION,
        .types = {TYPES_8, TYPES_8, TYPES_F32, TYPES_F32, TYPES_8, TYPES_8 | TYPES_F32},
        .output_dtype = DTYPE_F32,
        .memo_size = sizeof(struct conv_memo),
        .param = &to_float,
        .prepare = prepare,
        .pack = pack,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_conv_integer = OP_LIST(ops);
