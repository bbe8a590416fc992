/* col2im.c - see col2im.h; and the operator Col2Im. */
#include "engine/ops/col2im.h"

#include "engine/ops/ops.h"

static int64_t product(const int64_t *values, int count) {
    int64_t result = 1;
    for (int i = 0; i < count; i++) {
        result *= values[i];
    }
    return result;
}

int64_t col2im_windows(const struct col2im *shape) {
    return product(shape->windows, shape->axes);
}

int64_t col2im_kernel(const struct col2im *shape) {
    return product(shape->kernel, shape->axes);
}

int64_t col2im_image(const struct col2im *shape) {
    return product(shape->image, shape->axes);
}

/* Which windows of a line have their tap inside the image: [low, high). */
struct inside {
    int64_t low, high;
};

static struct inside inside_of(const struct col2im *shape, int64_t first) {
    int last = shape->axes - 1;
    int64_t stride = shape->stride[last], size = shape->image[last];
    int64_t low = first >= 0 ? 0 : (-first + stride - 1) / stride;
    int64_t high = first >= size ? 0 : (size - 1 - first) / stride + 1;
    high = high < shape->windows[last] ? high : shape->windows[last];
    return (struct inside){low < high ? low : high, high};
}

/* One line of windows along the last axis, for one tap, which lies at `first` for the
 * first of them; `line` is NULL where all of it is outside. */
static void line_add(const struct col2im *shape, int64_t first, const float *columns,
                     float *line) {
    struct inside inside = inside_of(shape, first);
    int64_t stride = shape->stride[shape->axes - 1];
    for (int64_t p = inside.low; line != NULL && p < inside.high; p++) {
        line[first + p * stride] += columns[p];
    }
}

static void line_take(const struct col2im *shape, int64_t first, const float *line,
                      float *columns) {
    struct inside inside = inside_of(shape, first);
    int64_t stride = shape->stride[shape->axes - 1],
            count = shape->windows[shape->axes - 1];
    if (line == NULL) {
        inside = (struct inside){count, count};
    }
    for (int64_t p = 0; p < inside.low; p++) {
        columns[p] = 0;
    }
    for (int64_t p = inside.low; p < inside.high; p++) {
        columns[p] = line[first + p * stride];
    }
    for (int64_t p = inside.high > inside.low ? inside.high : inside.low; p < count;
         p++) {
        columns[p] = 0;
    }
}

/* Where the line of windows begins that `window` names: the offset of its image line, or
 * -1 outside. */
static int64_t image_line(const struct col2im *shape, const int64_t *tap,
                          const int64_t *window) {
    int64_t row = 0;
    for (int k = 0; k < shape->axes - 1; k++) {
        int64_t at =
            window[k] * shape->stride[k] + tap[k] * shape->dilation[k] - shape->pad[k];
        if (at < 0 || at >= shape->image[k]) {
            return -1;
        }
        row = row * shape->image[k] + at;
    }
    return row * shape->image[shape->axes - 1];
}

static void step(int64_t *place, const int64_t *dims, int count) {
    for (int k = count - 1; k >= 0 && ++place[k] == dims[k]; k--) {
        place[k] = 0;
    }
}

/* All windows of all taps: `add` adds columns to the image, else they are taken. */
static void walk(const struct col2im *shape, bool add, float *columns, float *image) {
    int last = shape->axes - 1;
    int64_t taps = col2im_kernel(shape), windows = col2im_windows(shape);
    int64_t tap[TENSOR_RANK_MAX] = {0};
    for (int64_t t = 0; windows > 0 && t < taps; t++) {
        int64_t window[TENSOR_RANK_MAX] = {0};
        int64_t first = tap[last] * shape->dilation[last] - shape->pad[last];
        for (int64_t i = 0; i < windows; i += shape->windows[last]) {
            int64_t at = image_line(shape, tap, window);
            float *line = at < 0 ? NULL : image + at;
            if (add) {
                line_add(shape, first, columns, line);
            } else {
                line_take(shape, first, line, columns);
            }
            columns += shape->windows[last];
            step(window, shape->windows, last);
        }
        step(tap, shape->kernel, shape->axes);
    }
}

void col2im_add(const struct col2im *shape, const float *columns, float *image) {
    walk(shape, true, (float *)(uintptr_t)columns, image); /* which are only read */
}

void col2im_add_f64(const struct col2im *shape, const double *columns, double *image) {
    const int last = shape->axes - 1;
    const int64_t taps = col2im_kernel(shape), windows = col2im_windows(shape);
    int64_t tap[TENSOR_RANK_MAX] = {0};
    for (int64_t t = 0; windows > 0 && t < taps; t++) {
        int64_t window[TENSOR_RANK_MAX] = {0};
        int64_t first = tap[last] * shape->dilation[last] - shape->pad[last];
        const struct inside inside = inside_of(shape, first);
        for (int64_t i = 0; i < windows; i += shape->windows[last]) {
            const int64_t at = image_line(shape, tap, window);
            for (int64_t p = inside.low; at >= 0 && p < inside.high; p++) {
                image[at + first + p * shape->stride[last]] += columns[i + p];
            }
            step(window, shape->windows, last);
        }
        columns += windows;
        step(tap, shape->kernel, shape->axes);
    }
}

void im2col_take(const struct col2im *shape, const float *image, float *columns) {
    walk(shape, false, columns, (float *)(uintptr_t)image); /* which is only read */
}

/* ---- the operator ------------------------------------------------------------------ */

struct col2im_state {
    struct attr_ints strides, dilations, pads;
};

static enum status prepare(struct load *load, struct error *err) {
    struct col2im_state *state = load_state(load, struct col2im_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_ints(load->node, "strides", &state->strides, err);
    if (status == STATUS_OK) {
        status = attr_ints(load->node, "dilations", &state->dilations, err);
    }
    return status == STATUS_OK ? attr_ints(load->node, "pads", &state->pads, err)
                               : status;
}

static int64_t listed(const struct attr_ints *list, int i, int64_t fallback) {
    return (size_t)i < list->count ? list->values[i] : fallback;
}

/* Sizes whose products cannot overflow. */
#define PART_MAX (INT64_C(1) << 24)

static bool plan_axis(const struct col2im_state *state, struct col2im *shape, int i) {
    int64_t end = listed(&state->pads, i + shape->axes, 0), span;
    shape->stride[i] = listed(&state->strides, i, 1);
    shape->dilation[i] = listed(&state->dilations, i, 1);
    shape->pad[i] = listed(&state->pads, i, 0);
    if (shape->image[i] < 1 || shape->image[i] > PART_MAX || shape->kernel[i] < 1 ||
        shape->kernel[i] > PART_MAX || shape->stride[i] < 1 ||
        shape->stride[i] > PART_MAX || shape->dilation[i] < 1 ||
        shape->dilation[i] > PART_MAX || shape->pad[i] < 0 || shape->pad[i] > PART_MAX ||
        end < 0 || end > PART_MAX) {
        return false;
    }
    span = shape->image[i] + shape->pad[i] + end -
           shape->dilation[i] * (shape->kernel[i] - 1) - 1;
    shape->windows[i] = span < 0 ? 0 : span / shape->stride[i] + 1;
    return true;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0];
    struct col2im *plan = exec->memo;
    int axes = 0, kernels = 0;
    enum status status = exec_ints(exec, 1, plan->image, TENSOR_RANK_MAX - 2, &axes, err);
    bool fits = x->rank == 3;
    if (status == STATUS_OK) {
        status = exec_ints(exec, 2, plan->kernel, TENSOR_RANK_MAX - 2, &kernels, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    plan->axes = axes;
    fits = fits && axes > 0 && axes == kernels && axes <= 3;
    for (int i = 0; fits && i < axes; i++) {
        fits = plan_axis(exec->node->state, plan, i);
    }
    fits = fits && x->dims[1] % col2im_kernel(plan) == 0 &&
           x->dims[2] == col2im_windows(plan);
    if (!fits) {
        return node_error(exec->node, err, STATUS_POISON,
                          "columns, image and block do not fit together");
    }
    exec->y[0]->rank = axes + 2;
    exec->y[0]->dims[0] = x->dims[0];
    exec->y[0]->dims[1] = x->dims[1] / col2im_kernel(plan);
    memcpy(exec->y[0]->dims + 2, plan->image, (size_t)axes * sizeof(int64_t));
    return STATUS_OK;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct col2im *plan = exec->memo;
    const float *columns = exec->x[0]->data;
    float *image = exec->y[0]->data;
    int64_t channels = exec->y[0]->dims[0] * exec->y[0]->dims[1];
    (void)err; /* cannot fail */
    memset(image, 0, tensor_size(exec->y[0]));
    for (int64_t c = 0; c < channels; c++) {
        col2im_add(plan, columns, image);
        columns += col2im_kernel(plan) * col2im_windows(plan);
        image += col2im_image(plan);
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "Col2Im",
        .since = 18,
        .inputs_min = 3,
        .inputs_max = 3,
        .shape_inputs = 6,
        .types = {TYPES_F32, TYPES_I64, TYPES_I64},
        .memo_size = sizeof(struct col2im),
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_col2im = OP_LIST(ops);
