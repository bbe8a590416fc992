/* resize.c - Resize and Upsample: axes made longer or shorter by interpolation.
 *
 * Every axis is a table: which places of the input a place of the output is made of, and
 * with which weights (Keys' cubic for "cubic", a triangle for "linear").  Axes are
 * resized one after the other, those that stay as they are not at all.  The formulas are
 * those of ONNX's Resize-19, but for corners: where a scale makes no whole number of
 * places, ONNX's reference aligns the corner of the fraction, PyTorch and ONNX Runtime
 * that of the last place.  What is exported has constant scales, and theirs is meant. */
#include <math.h>

#include "base/size.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"

enum mode { MODE_NEAREST, MODE_LINEAR, MODE_CUBIC };
enum coordinate {
    COORD_HALF_PIXEL,
    COORD_HALF_PIXEL_SYMMETRIC,
    COORD_PYTORCH_HALF_PIXEL,
    COORD_ALIGN_CORNERS,
    COORD_ASYMMETRIC,
    COORD_TF_CROP,
    COORD_TF_HALF_PIXEL /* until opset 12: for nearest */
};
enum nearest { NEAREST_PREFER_FLOOR, NEAREST_PREFER_CEIL, NEAREST_FLOOR, NEAREST_CEIL };
enum policy { POLICY_STRETCH, POLICY_NOT_LARGER, POLICY_NOT_SMALLER };

/* More taps than any sensible reduction needs. */
enum { TAPS_MAX = 1 << 20 };

struct resize_state {
    int mode, coordinate, nearest, policy;
    float cubic_a, extrapolation;
    bool antialias, exclude_outside;
    bool whole_corners; /* align the corners of the places that there are */
    struct attr_ints axes;
    const struct attr *scales; /* Upsample until opset 8 */
    int roi, scales_at, sizes; /* inputs; -1 where the opset has none */
};

struct resize_memo {
    double scales[TENSOR_RANK_MAX];
};

/* ---- prepare ----------------------------------------------------------------------- */

static enum status read_words(struct load *load, struct resize_state *state,
                              struct error *err) {
    static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
    static const char *const coordinates[] = {
        "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",   "align_corners",
        "asymmetric", "tf_crop_and_resize",   "tf_half_pixel_for_nn", NULL};
    static const char *const nearests[] = {"round_prefer_floor", "round_prefer_ceil",
                                           "floor", "ceil", NULL};
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller", NULL};
    struct node *node = load->node;
    enum status status = attr_word(node, "mode", 0, modes, &state->mode, err);
    state->coordinate = COORD_ASYMMETRIC;
    state->nearest = NEAREST_FLOOR;
    if (status == STATUS_OK && node->opset >= 11) {
        status = attr_word(node, "coordinate_transformation_mode", 0, coordinates,
                           &state->coordinate, err);
        if (status == STATUS_OK) {
            status = attr_word(node, "nearest_mode", 0, nearests, &state->nearest, err);
        }
    }
    return status != STATUS_OK ? status
                               : attr_word(node, "keep_aspect_ratio_policy", 0, policies,
                                           &state->policy, err);
}

static enum status prepare(struct load *load, struct error *err) {
    struct resize_state *state = load_state(load, struct resize_state);
    bool upsample = strcmp(load->node->type, "Upsample") == 0;
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    state->roi = upsample || load->node->opset < 11 ? -1 : 1;
    state->scales_at = state->roi + (state->roi < 0 ? 2 : 1);
    state->sizes = state->roi < 0 ? -1 : 3;
    state->scales = upsample ? attr_find(load->node, "scales") : NULL;
    state->whole_corners =
        graph_constant(load->graph, load->node, state->scales_at) != NULL;
    status = read_words(load, state, err);
    if (status == STATUS_OK) {
        status = attr_float(load->node, "cubic_coeff_a", -0.75F, &state->cubic_a, err);
    }
    if (status == STATUS_OK) {
        status =
            attr_float(load->node, "extrapolation_value", 0, &state->extrapolation, err);
    }
    if (status == STATUS_OK) {
        status = attr_bool(load->node, "antialias", false, &state->antialias, err);
    }
    if (status == STATUS_OK) {
        status =
            attr_bool(load->node, "exclude_outside", false, &state->exclude_outside, err);
    }
    if (status == STATUS_OK) {
        status = attr_ints(load->node, "axes", &state->axes, err);
    }
    if (status == STATUS_OK && state->mode != MODE_NEAREST &&
        (TYPE_BIT(graph_input_dtype(load->graph, load->node, 0)) & TYPES_NUMBER) == 0) {
        status = node_error(load->node, err, STATUS_UNSUPPORTED,
                            "interpolates elements that are no numbers");
    }
    return status;
}

/* ---- shape ------------------------------------------------------------------------- */

/* Reads a list of numbers, one for each axis that is resized; false where it is absent.
 */
static bool read_list(const struct exec *exec, int input, double *values, int *count) {
    const struct resize_state *state = exec->node->state;
    *count = 0;
    if (input == state->scales_at && state->scales != NULL) {
        *count = (int)size_min(state->scales->count, TENSOR_RANK_MAX + 1);
        for (int i = 0; i < *count && i < TENSOR_RANK_MAX; i++) {
            values[i] = (double)state->scales->as.floats[i];
        }
        return true;
    }
    if (input < 0 || !exec_has(exec, input) || tensor_count(exec->x[input]) == 0) {
        return false;
    }
    *count = (int)size_min(tensor_count(exec->x[input]), TENSOR_RANK_MAX + 1);
    for (int i = 0; i < *count && i < TENSOR_RANK_MAX; i++) {
        values[i] = number_real(exec->x[input], i);
    }
    return true;
}

static double half_up(double x) {
    return floor(x + 0.5);
}

/* One factor for all axes where the aspect ratio is to be kept. */
static void keep_aspect(const struct resize_state *state, const struct tensor *x,
                        const int *axes, int count, double *sizes, double *scales) {
    double chosen = scales[axes[0]];
    for (int i = 1; i < count; i++) {
        double scale = scales[axes[i]];
        bool take = state->policy == POLICY_NOT_LARGER ? scale < chosen : scale > chosen;
        chosen = take ? scale : chosen;
    }
    for (int i = 0; i < count; i++) {
        scales[axes[i]] = chosen;
        sizes[i] = half_up(chosen * (double)x->dims[axes[i]]);
    }
}

static enum status find_axes(const struct exec *exec, int *axes, int *count,
                             struct error *err) {
    const struct resize_state *state = exec->node->state;
    int rank = exec->x[0]->rank;
    *count = state->axes.count > 0 ? (int)size_min(state->axes.count, TENSOR_RANK_MAX + 1)
                                   : rank;
    if (*count > rank) {
        return node_error(exec->node, err, STATUS_POISON,
                          "%d axes of a tensor of rank %d", *count, rank);
    }
    for (int i = 0; i < *count; i++) {
        int64_t axis = state->axes.count > 0 ? state->axes.values[i] : i;
        enum status status = exec_axis(exec, axis, rank, &axes[i], err);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static enum status resized_dims(struct exec *exec, const int *axes, int count,
                                struct error *err) {
    const struct resize_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    struct resize_memo *memo = exec->memo;
    double given[TENSOR_RANK_MAX] = {0}, sizes[TENSOR_RANK_MAX] = {0};
    int given_count, size_count;
    bool by_size = read_list(exec, state->sizes, sizes, &size_count);
    bool by_scale = read_list(exec, state->scales_at, given, &given_count);
    if ((by_size ? size_count : given_count) != count || (!by_size && !by_scale)) {
        return node_error(exec->node, err, STATUS_POISON,
                          "needs %d scales or sizes, one for each axis", count);
    }
    for (int i = 0; i < count; i++) {
        double dim = (double)x->dims[axes[i]];
        memo->scales[axes[i]] = by_size ? sizes[i] / dim : given[i];
        /* In float32, as shape inference and ONNX Runtime do: 10 times 0.7F is 7. */
        sizes[i] = by_size ? sizes[i] : (double)floorf((float)dim * (float)given[i]);
    }
    if (by_size && state->policy != POLICY_STRETCH && count > 0) {
        keep_aspect(state, x, axes, count, sizes, memo->scales);
    }
    for (int i = 0; i < count; i++) {
        int64_t dim = x->dims[axes[i]];
        if (!(sizes[i] >= 0 && sizes[i] < 0x1p40) || !(memo->scales[axes[i]] > 0) ||
            (dim == 0 && sizes[i] > 0)) {
            return node_error(exec->node, err, STATUS_POISON,
                              "axis %d of size %lld cannot be resized so", axes[i],
                              (long long)dim);
        }
        exec->y[0]->dims[axes[i]] = (int64_t)sizes[i];
    }
    return STATUS_OK;
}

/* Places that one of an axis is made of. */
static int64_t taps_of(const struct resize_state *state, double scale) {
    int64_t reach = state->mode == MODE_CUBIC ? 2 : 1;
    if (state->mode == MODE_NEAREST) {
        return 1;
    }
    if (!state->antialias || scale >= 1) {
        return 2 * reach;
    }
    return 2 - 2 * (int64_t)(floor(-(double)reach / scale) + 1);
}

static bool changes(const struct exec *exec, int axis) {
    const struct resize_state *state = exec->node->state;
    const struct resize_memo *memo = exec->memo;
    return exec->x[0]->dims[axis] != exec->y[0]->dims[axis] ||
           memo->scales[axis] != 1.0 || state->coordinate == COORD_TF_CROP;
}

/* Scratch: the largest axis's table, and two arrays that hold what is between axes. */
static enum status scratch(struct exec *exec, struct error *err) {
    const struct resize_state *state = exec->node->state;
    const struct resize_memo *memo = exec->memo;
    struct tensor between = *exec->x[0];
    size_t table = 0, most = 0;
    for (int axis = between.rank - 1; axis >= 0; axis--) {
        int64_t taps = taps_of(state, memo->scales[axis]);
        size_t count;
        between.dims[axis] = exec->y[0]->dims[axis];
        if (taps > TAPS_MAX || !tensor_dims_count(between.dims, between.rank, &count) ||
            count > SIZE_MAX / 64) {
            return node_error(exec->node, err, STATUS_POISON,
                              "axis %d is resized by too much", axis);
        }
        most = size_max(most, count);
        table = size_max(table, (size_t)(between.dims[axis] * (taps + 1)) *
                                    (sizeof(int64_t) + sizeof(float)));
    }
    if (exec->y[0]->dtype != DTYPE_F32 && state->mode != MODE_NEAREST) {
        most = size_max(most, tensor_count(exec->x[0]));
    }
    exec->scratch_size =
        size_align(table, 64) +
        2 * size_align(most * size_max(sizeof(float), dtype_size(exec->x[0]->dtype)), 64);
    return STATUS_OK;
}

static enum status shape(struct exec *exec, struct error *err) {
    struct resize_memo *memo = exec->memo;
    int axes[TENSOR_RANK_MAX], count = 0;
    enum status status = find_axes(exec, axes, &count, err);
    exec_same_shape(exec, 0, 0);
    for (int i = 0; i < TENSOR_RANK_MAX; i++) {
        memo->scales[i] = 1.0;
    }
    if (status == STATUS_OK) {
        status = resized_dims(exec, axes, count, err);
    }
    return status == STATUS_OK ? scratch(exec, err) : status;
}

/* ---- tables ------------------------------------------------------------------------ */

struct axis {
    int64_t in, out, taps;
    double scale, start, end; /* start, end: of the region of interest */
    int64_t *places;          /* [out][taps] */
    float *weights;           /* [out][taps] */
};

/* Where the middle of place `o` lies in the input.  Quotients are of float32, as in ONNX
 * Runtime: the next digits of a scale like 2.4F would tip "nearest" over. */
static double original(const struct resize_state *state, const struct axis *axis,
                       int64_t o) {
    double x = (double)o, in = (double)axis->in;
    double out = axis->scale * in; /* before it was rounded down */
    float middle = ((float)o + 0.5F) / (float)axis->scale;
    double half = (double)(middle - 0.5F), ratio;
    switch ((enum coordinate)state->coordinate) {
    case COORD_HALF_PIXEL:
        return half;
    case COORD_HALF_PIXEL_SYMMETRIC:
        ratio = (double)axis->out / out;
        return in / 2 * (1 - ratio) + half;
    case COORD_PYTORCH_HALF_PIXEL:
        return axis->out > 1 ? half : 0;
    case COORD_ALIGN_CORNERS:
        out = state->whole_corners ? (double)axis->out : out;
        return axis->out > 1 ? x * (in - 1) / (out - 1) : 0;
    case COORD_ASYMMETRIC:
        return (double)((float)o / (float)axis->scale);
    case COORD_TF_HALF_PIXEL:
        return (double)middle;
    case COORD_TF_CROP:
        return axis->out > 1 ? axis->start * (in - 1) +
                                   x * (axis->end - axis->start) * (in - 1) / (out - 1)
                             : 0.5 * (axis->start + axis->end) * (in - 1);
    }
    return half;
}

static double nearest_place(int nearest, double x) {
    switch ((enum nearest)nearest) {
    case NEAREST_PREFER_FLOOR:
        return ceil(x - 0.5);
    case NEAREST_PREFER_CEIL:
        return floor(x + 0.5);
    case NEAREST_FLOOR:
        return floor(x);
    case NEAREST_CEIL:
        return ceil(x);
    }
    return floor(x);
}

/* Weight at distance `x`: a triangle, or Keys' cubic with parameter a. */
static double kernel(const struct resize_state *state, double x) {
    double a = (double)state->cubic_a;
    x = fabs(x);
    if (state->mode == MODE_LINEAR) {
        return x < 1 ? 1 - x : 0;
    }
    if (x <= 1) {
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    }
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static int64_t clamp(double place, int64_t count) {
    return place <= 0 ? 0 : place >= (double)(count - 1) ? count - 1 : (int64_t)place;
}

static void interpolate(const struct resize_state *state, const struct axis *axis,
                        double x, int64_t *places, float *weights) {
    double narrow = state->antialias && axis->scale < 1 ? axis->scale : 1;
    double base = ceil(x) - 1, sum = 0; /* the place left of x, never x itself */
    int64_t first = 1 - axis->taps / 2;
    for (int64_t k = 0; k < axis->taps; k++) {
        double place = base + (double)(first + k);
        double weight = kernel(state, (x - place) * narrow);
        bool outside = place < 0 || place > (double)(axis->in - 1);
        weight = outside && state->exclude_outside ? 0 : weight;
        places[k] = clamp(place, axis->in);
        weights[k] = (float)weight;
        sum += weight;
    }
    for (int64_t k = 0; k < axis->taps && sum != 0; k++) {
        weights[k] = (float)((double)weights[k] / sum);
    }
}

/* A first place of -1 stands for the extrapolation value. */
static void make_table(const struct resize_state *state, struct axis *axis) {
    for (int64_t o = 0; o < axis->out; o++) {
        double x = original(state, axis, o);
        int64_t *places = axis->places + o * axis->taps;
        float *weights = axis->weights + o * axis->taps;
        if (state->coordinate == COORD_TF_CROP && (x < 0 || x > (double)(axis->in - 1))) {
            places[0] = -1;
        } else if (state->mode == MODE_NEAREST) {
            places[0] = clamp(nearest_place(state->nearest, x), axis->in);
        } else {
            interpolate(state, axis, x, places, weights);
        }
    }
}

/* ---- run --------------------------------------------------------------------------- */

/* The usual two taps of "linear", in one walk. */
static void blend_two(const float *weights, const float *a, const float *b, size_t count,
                      float *restrict to) {
    const float left = weights[0], right = weights[1];
    for (size_t i = 0; i < count; i++) {
        to[i] = left * a[i] + right * b[i];
    }
}

static void blend(const struct axis *axis, int64_t o, size_t inner, const float *from,
                  float *to) {
    const int64_t *places = axis->places + o * axis->taps;
    const float *weights = axis->weights + o * axis->taps;
    if (inner == 1) {
        float sum = 0;
        for (int64_t k = 0; k < axis->taps; k++) {
            sum += weights[k] * from[places[k]];
        }
        *to = sum;
        return;
    }
    if (axis->taps == 2) {
        blend_two(weights, from + (size_t)places[0] * inner,
                  from + (size_t)places[1] * inner, inner, to);
        return;
    }
    for (int64_t k = 0; k < axis->taps; k++) {
        const float *line = from + (size_t)places[k] * inner;
        float weight = weights[k];
        for (size_t i = 0; i < inner; i++) {
            to[i] = k == 0 ? weight * line[i] : to[i] + weight * line[i];
        }
    }
}

static void fill(const struct resize_state *state, enum dtype dtype, size_t count,
                 void *to) {
    struct tensor y = {.dtype = dtype, .rank = 0, .data = to};
    for (size_t i = 0; i < count; i++) {
        number_set_real(&y, (int64_t)i, (double)state->extrapolation);
    }
}

/* Resizes one axis of [outer, in, inner] elements of `size` bytes. */
static void resize_axis(const struct resize_state *state, const struct axis *axis,
                        size_t outer, size_t inner, enum dtype dtype, const void *from,
                        void *to) {
    size_t size = dtype_size(dtype), line = inner * size;
    for (size_t i = 0; i < outer; i++) {
        const uint8_t *rows = (const uint8_t *)from + i * (size_t)axis->in * line;
        uint8_t *out = (uint8_t *)to + i * (size_t)axis->out * line;
        for (int64_t o = 0; o < axis->out; o++, out += line) {
            int64_t place = axis->places[o * axis->taps];
            if (place < 0) {
                fill(state, dtype, inner, out);
            } else if (state->mode != MODE_NEAREST) {
                blend(axis, o, inner, (const void *)rows, (void *)out);
            } else if (line == sizeof(float)) {
                memcpy(out, rows + (size_t)place * sizeof(float), sizeof(float));
            } else {
                memcpy(out, rows + (size_t)place * line, line);
            }
        }
    }
}

/* Axes that the region of interest lists are those that are resized. */
static void region(const struct exec *exec, int axis_index, struct axis *axis) {
    const struct resize_state *state = exec->node->state;
    const struct tensor *roi =
        state->roi > 0 && exec_has(exec, state->roi) ? exec->x[state->roi] : NULL;
    int axes[TENSOR_RANK_MAX], count = 0;
    struct error unused;
    axis->start = 0;
    axis->end = 1;
    if (roi == NULL || find_axes(exec, axes, &count, &unused) != STATUS_OK ||
        tensor_count(roi) != 2 * (size_t)count) {
        return;
    }
    for (int i = 0; i < count; i++) {
        if (axes[i] == axis_index) {
            axis->start = number_real(roi, i);
            axis->end = number_real(roi, count + i);
        }
    }
}

struct pass {
    struct tensor between; /* dims and data so far */
    uint8_t *sides[2];
    int next;
};

static void run_axis(struct exec *exec, struct pass *pass, int index, bool last) {
    const struct resize_state *state = exec->node->state;
    const struct resize_memo *memo = exec->memo;
    struct axis axis = {.in = pass->between.dims[index],
                        .out = exec->y[0]->dims[index],
                        .taps = taps_of(state, memo->scales[index]),
                        .scale = memo->scales[index]};
    size_t outer = 1, inner = 1;
    void *to = last ? exec->y[0]->data : pass->sides[pass->next];
    axis.places = exec->scratch;
    axis.weights = (float *)(axis.places + axis.out * axis.taps);
    region(exec, index, &axis);
    make_table(state, &axis);
    for (int i = 0; i < pass->between.rank; i++) {
        if (i != index) {
            *(i < index ? &outer : &inner) *= (size_t)pass->between.dims[i];
        }
    }
    resize_axis(state, &axis, outer, inner, pass->between.dtype, pass->between.data, to);
    pass->between.data = to;
    pass->between.dims[index] = axis.out;
    pass->next = 1 - pass->next;
}

/* A cubic goes beyond what it goes through: integers are saturated. */
static void copy_numbers(const struct tensor *x, struct tensor *y) {
    struct number_range range = number_range_of(y->dtype);
    int64_t count = (int64_t)tensor_count(x);
    bool whole = (TYPES_INT & TYPE_BIT(y->dtype)) != 0;

    for (int64_t i = 0; i < count; i++) {
        double value = number_real(x, i);
        number_set_real(y, i, whole ? number_saturate(nearbyint(value), range) : value);
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct resize_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    struct tensor *y = exec->y[0];
    bool direct = state->mode == MODE_NEAREST || x->dtype == DTYPE_F32;
    struct pass pass = {.between = *x};
    size_t side;
    int left = 0;
    (void)err; /* cannot fail */
    if (tensor_count(y) == 0 || tensor_count(x) == 0) {
        return STATUS_OK;
    }
    for (int i = 0; i < x->rank; i++) {
        left += changes(exec, i) ? 1 : 0;
    }
    /* The two sides lie at the end of the scratch; see scratch(). */
    side = 0;
    {
        struct tensor between = *x;
        for (int axis = x->rank - 1; axis >= 0; axis--) {
            between.dims[axis] = y->dims[axis];
            side = size_max(side, tensor_count(&between));
        }
        side = direct ? side : size_max(side, tensor_count(x));
        side = size_align(side * size_max(sizeof(float), dtype_size(x->dtype)), 64);
    }
    pass.sides[0] = (uint8_t *)exec->scratch + exec->scratch_size - 2 * side;
    pass.sides[1] = pass.sides[0] + side;
    if (!direct) {
        struct tensor wide = *x;
        wide.dtype = DTYPE_F32;
        wide.data = pass.sides[0];
        copy_numbers(x, &wide);
        pass.between = wide;
        pass.next = 1;
    }
    for (int i = x->rank - 1; i >= 0; i--) {
        if (changes(exec, i)) {
            left--;
            run_axis(exec, &pass, i, left == 0 && direct);
        }
    }
    if (!direct) {
        copy_numbers(&pass.between, y);
    } else if (pass.between.data == x->data) {
        memcpy(y->data, x->data, tensor_size(x));
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "Resize",
        .since = 10,
        .inputs_min = 1,
        .inputs_max = 4,
        .shape_inputs = 1U << 1 | 1U << 2 | 1U << 3,
        .types = {TYPES_ALL, TYPES_FLOAT, TYPES_FLOAT, TYPES_I64},
        .memo_size = sizeof(struct resize_memo),
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
    {
        .name = "Upsample",
        .since = 7,
        .inputs_min = 1,
        .inputs_max = 2,
        .shape_inputs = 1U << 1,
        .types = {TYPES_ALL, TYPES_FLOAT},
        .memo_size = sizeof(struct resize_memo),
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_resize = OP_LIST(ops);
