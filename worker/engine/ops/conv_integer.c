/* conv_integer.c - ConvInteger and QLinearConv: convolutions of 8-bit integers, summed
 * exactly in 32 bits; any number of spatial axes.
 *
 *     sums = conv(x - x_zero, w - w_zero)
 *     QLinearConv:  y = saturate(round((sums + bias) * x_scale * w_scale / y_scale) +
 * zero)
 *
 * An image becomes its windows, [channels * kernel, windows], packed two rows at a time,
 * and the weights multiply them. */
#include "base/size.h"
#include "engine/kernels/gemm_i16.h"
#include "engine/ops/bytes.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"
#include "engine/ops/window.h"

#define CONV_COUNT_MAX ((size_t)INT32_MAX)

/* Places of the inputs; 0 where there is none. */
struct places {
    int w, x_zero, w_zero;
    int x_scale, w_scale, y_scale, y_zero, bias;
};

struct conv_state {
    struct window_spec window;
    int64_t groups;
};

struct conv_memo {
    int axes;
    struct window_axis axis[WINDOW_AXES_MAX];
    int64_t image, kernel, windows; /* products over the axes */
    bool plain;  /* no strides and no padding: a kernel of 1 sees the image as it is */
    int64_t lda; /* of the weights: their k, rounded up to pairs */
    /* In scratch, in bytes, behind the sums. */
    size_t windows_at, rows_at, weights_at;
};

static enum status prepare(struct load *load, struct error *err) {
    const struct places *places = load->node->op->param;
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
    status = window_prepare(load, &state->window, false, err);
    return status == STATUS_OK
               ? attr_int_in(load->node, "group", 1, 1, INT32_MAX, &state->groups, err)
               : status;
}

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

/* One number, or one for each of `lines`. */
static bool is_line(const struct exec *exec, int input, int64_t lines) {
    int64_t count;
    if (input == 0 || !exec_has(exec, input)) {
        return true;
    }
    count = (int64_t)tensor_count(exec->x[input]);
    return count == 1 || count == lines;
}

static bool inputs_fit(const struct exec *exec) {
    const struct places *places = exec->node->op->param;
    const struct conv_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *w = exec->x[places->w];
    bool fits = x->rank >= 3 && w->rank == x->rank && tensor_count(w) > 0 &&
                w->dims[0] % state->groups == 0 && w->dims[1] <= INT32_MAX &&
                x->dims[1] == w->dims[1] * state->groups;
    fits = fits && is_line(exec, places->x_zero, 1) &&
           (!exec_has(exec, places->w_zero) || bytes_in(exec->x[places->w_zero])) &&
           is_line(exec, places->w_zero, w->dims[0]) &&
           is_line(exec, places->x_scale, 1) &&
           is_line(exec, places->w_scale, w->dims[0]) &&
           is_line(exec, places->y_scale, 1) && is_line(exec, places->y_zero, 1);
    return fits && (places->bias == 0 || !exec_has(exec, places->bias) ||
                    (int64_t)tensor_count(exec->x[places->bias]) == w->dims[0]);
}

static void plan_scratch(struct exec *exec, const struct tensor *w, size_t sums_count) {
    struct conv_memo *memo = exec->memo;
    const int64_t k = w->dims[1] * memo->kernel;
    memo->lda = k + k % 2;
    memo->windows_at = sums_count * sizeof(int32_t);
    memo->rows_at = memo->windows_at + gemm_i16_pack_size(k, memo->windows);
    memo->weights_at = memo->rows_at + 2 * (size_t)memo->windows * sizeof(int16_t);
    exec->scratch_size =
        memo->weights_at + (size_t)(w->dims[0] * memo->lda) * sizeof(int16_t);
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct places *places = exec->node->op->param;
    const struct conv_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *w = exec->x[places->w];
    struct conv_memo *memo = exec->memo;
    size_t windows_count = 1, sums_count = 1;
    enum status status;
    if (!inputs_fit(exec)) {
        return misfit(exec, err);
    }
    status = window_axes(exec, &state->window, w->dims + 2, memo->axis, err);
    if (status != STATUS_OK) {
        return status;
    }
    memo->axes = x->rank - 2;
    memo->image = memo->kernel = memo->windows = 1;
    memo->plain = true;
    exec_same_shape(exec, 0, 0);
    exec->y[0]->dims[1] = w->dims[0];
    for (int i = 0; i < memo->axes; i++) {
        const struct window_axis *axis = &memo->axis[i];
        exec->y[0]->dims[2 + i] = axis->out;
        memo->image *= axis->in;
        memo->plain = memo->plain && axis->stride == 1 && axis->pad_begin == 0 &&
                      axis->out == axis->in;
        memo->kernel *= axis->kernel; /* the weights have as many elements */
        if (!size_mul(windows_count, (size_t)axis->out, &windows_count)) {
            return misfit(exec, err);
        }
    }
    memo->windows = (int64_t)size_min(windows_count, CONV_COUNT_MAX);
    if (windows_count > CONV_COUNT_MAX ||
        !size_mul(windows_count, (size_t)(w->dims[1] * memo->kernel), &windows_count) ||
        !size_mul((size_t)memo->windows, (size_t)w->dims[0], &sums_count) ||
        windows_count > CONV_COUNT_MAX || sums_count > CONV_COUNT_MAX) {
        return misfit(exec, err);
    }
    plan_scratch(exec, w, sums_count);
    return STATUS_OK;
}

static int32_t zero_of(const struct exec *exec, int input, int64_t line) {
    if (input == 0 || !exec_has(exec, input)) {
        return 0;
    }
    return (int32_t)number_integer(exec->x[input],
                                   tensor_count(exec->x[input]) == 1 ? 0 : line);
}

/* Windows along the last axis whose tap lies inside the image; beside them is padding. */
struct inside {
    int64_t begin, end, shift;
};

static struct inside inside_of(const struct window_axis *axis, int64_t shift) {
    struct inside in = {.shift = shift};
    in.begin = shift < 0 ? (-shift + axis->stride - 1) / axis->stride : 0;
    in.begin = in.begin < axis->out ? in.begin : axis->out;
    in.end = shift < axis->in ? (axis->in - shift - 1) / axis->stride + 1 : 0;
    in.end = in.end < axis->out ? in.end : axis->out;
    in.end = in.end > in.begin ? in.end : in.begin;
    return in;
}

/* Windows along the last axis, of the image's row at `from`. */
static void take_row(const struct window_axis *axis, const struct inside *in,
                     const struct tensor *x, int64_t from, int32_t zero, int16_t *row) {
    memset(row, 0, (size_t)in->begin * sizeof(*row));
    if (in->end > in->begin) {
        bytes_widen(x, from + in->begin * axis->stride + in->shift, in->end - in->begin,
                    axis->stride, zero, row + in->begin);
    }
    memset(row + in->end, 0, (size_t)(axis->out - in->end) * sizeof(*row));
}

/* One row of the windows' matrix: what tap `tap` of the kernel sees of a channel that
 * begins at `from`. */
static void take_tap(const struct conv_memo *memo, const struct tensor *x, int64_t from,
                     int32_t zero, int64_t tap, int16_t *to) {
    const int last = memo->axes - 1;
    const struct window_axis *axis = &memo->axis[last];
    struct window_walk outer;
    struct inside in;
    if (memo->kernel == 1 && memo->plain) {
        bytes_widen(x, from, memo->windows, 1, zero, to);
        return;
    }
    window_walk_start(&outer, memo->axis, memo->axes, tap);
    in = inside_of(axis, outer.shift[last]);
    outer.axes = last;
    for (int64_t w = 0; w < memo->windows; w += axis->out) {
        int64_t at = window_walk_next(&outer);
        if (at < 0) {
            memset(to + w, 0, (size_t)axis->out * sizeof(*to));
        } else {
            take_row(axis, &in, x, from + at * axis->in, zero, to + w);
        }
    }
}

static void store(const struct exec *exec, const struct places *places, int64_t channel,
                  const int32_t *sums, int64_t count, int64_t at) {
    struct tensor *y = exec->y[0];
    double scale, zero;
    int32_t bias = zero_of(exec, places->bias, channel);
    const struct tensor *w_scale;
    if (places->y_scale == 0) {
        memcpy((int32_t *)y->data + at, sums, (size_t)count * sizeof(*sums));
        return;
    }
    w_scale = exec->x[places->w_scale];
    scale = number_real(exec->x[places->x_scale], 0) *
            number_real(w_scale, tensor_count(w_scale) == 1 ? 0 : channel) /
            number_real(exec->x[places->y_scale], 0);
    zero = number_real(exec->x[places->y_zero], 0);
    quantize_sums(count, sums, bias, scale, zero, bytes_low(y), (uint8_t *)y->data + at);
}

static void run_group(const struct exec *exec, int64_t item, int64_t group,
                      const int16_t *weights) {
    const struct places *places = exec->node->op->param;
    const struct conv_state *state = exec->node->state;
    const struct conv_memo *memo = exec->memo;
    const struct tensor *x = exec->x[0], *w = exec->x[places->w];
    int64_t channels = w->dims[1], made = w->dims[0] / state->groups;
    int64_t k = channels * memo->kernel;
    unsigned char *scratch = exec->scratch;
    int32_t *sums = exec->scratch;
    int16_t *windows = (int16_t *)(void *)(scratch + memo->windows_at);
    int16_t *rows = (int16_t *)(void *)(scratch + memo->rows_at);
    int32_t zero = zero_of(exec, places->x_zero, 0);
    for (int64_t row = 0; row < k; row++) {
        int64_t channel = item * x->dims[1] + group * channels + row / memo->kernel;
        take_tap(memo, x, channel * memo->image, zero, row % memo->kernel,
                 rows + row % 2 * memo->windows);
        if (row % 2 == 1 || row == k - 1) {
            gemm_i16_pack(k, memo->windows, row / 2, rows,
                          row % 2 == 1 ? rows + memo->windows : NULL, windows);
        }
    }
    gemm_i16(made, memo->windows, k, weights + group * made * memo->lda, memo->lda,
             windows, sums, memo->windows);
    for (int64_t c = 0; c < made; c++) {
        store(exec, places, group * made + c, sums + c * memo->windows, memo->windows,
              (item * w->dims[0] + group * made + c) * memo->windows);
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct places *places = exec->node->op->param;
    const struct conv_state *state = exec->node->state;
    const struct conv_memo *memo = exec->memo;
    const struct tensor *w = exec->x[places->w];
    int64_t k = (int64_t)tensor_count(w) / w->dims[0];
    int16_t *weights =
        (int16_t *)(void *)((unsigned char *)exec->scratch + memo->weights_at);
    (void)err; /* cannot fail */
    for (int64_t i = 0; i < w->dims[0]; i++) {
        bytes_widen(w, i * k, k, 1, zero_of(exec, places->w_zero, i),
                    weights + i * memo->lda);
        if (memo->lda > k) {
            weights[i * memo->lda + k] = 0;
        }
    }
    for (int64_t i = 0; memo->windows > 0 && i < exec->x[0]->dims[0] * state->groups;
         i++) {
        run_group(exec, i / state->groups, i % state->groups, weights);
    }
    return STATUS_OK;
}

static const struct places plain = {.w = 1, .x_zero = 2, .w_zero = 3};
static const struct places scaled = {.x_scale = 1,
                                     .x_zero = 2,
                                     .w = 3,
                                     .w_scale = 4,
                                     .w_zero = 5,
                                     .y_scale = 6,
                                     .y_zero = 7,
                                     .bias = 8};

#define TYPES_8 (TYPE_BIT(DTYPE_U8) | TYPE_BIT(DTYPE_I8))

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
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_conv_integer = OP_LIST(ops);
