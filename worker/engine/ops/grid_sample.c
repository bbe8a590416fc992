/* grid_sample.c - GridSample: an image read at places that a grid tells, interpolated
 * over any number of spatial axes; as PyTorch's grid_sample. */
#include <math.h>

#include "engine/ops/ops.h"

enum mode { MODE_LINEAR, MODE_NEAREST, MODE_CUBIC };
enum padding { PADDING_ZEROS, PADDING_BORDER, PADDING_REFLECTION };
enum { AXES_MAX = 3, TAPS_MAX = 4 };

struct sample_state {
    int mode, padding;
    bool align;
};

static enum status prepare(struct load *load, struct error *err) {
    static const char *const old[] = {"bilinear", "nearest", "bicubic", NULL};
    static const char *const modes[] = {"linear", "nearest", "cubic", NULL};
    static const char *const paddings[] = {"zeros", "border", "reflection", NULL};
    struct sample_state *state = load_state(load, struct sample_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_word(load->node, "mode", 0, load->node->opset < 20 ? old : modes,
                       &state->mode, err);
    if (status == STATUS_OK) {
        status = attr_word(load->node, "padding_mode", 0, paddings, &state->padding, err);
    }
    return status == STATUS_OK
               ? attr_bool(load->node, "align_corners", false, &state->align, err)
               : status;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0], *grid = exec->x[1];
    int axes = x->rank - 2;
    bool fits = axes >= 1 && axes <= AXES_MAX && grid->rank == x->rank &&
                grid->dims[0] == x->dims[0] && grid->dims[grid->rank - 1] == axes;
    for (int i = 0; fits && i < axes; i++) {
        fits = x->dims[2 + i] > 0;
    }
    if (!fits) {
        char a[TENSOR_SHAPE_TEXT_MAX], b[TENSOR_SHAPE_TEXT_MAX];
        return node_error(exec->node, err, STATUS_POISON,
                          "image %s and grid %s do not fit together",
                          tensor_shape_text(x->dims, x->rank, a, sizeof(a)),
                          tensor_shape_text(grid->dims, grid->rank, b, sizeof(b)));
    }
    exec_same_shape(exec, 0, 0);
    for (int i = 0; i < axes; i++) {
        exec->y[0]->dims[2 + i] = grid->dims[1 + i];
    }
    return STATUS_OK;
}

/* Back into [low, high], as between two mirrors. */
static double reflect(double x, double low, double high) {
    double range = high - low, over, turns, rest;
    if (range <= 0) {
        return low;
    }
    if (x >= low && x <= high) {
        return x;
    }
    over = x < low ? low - x : x - high;
    turns = floor(over / range);
    rest = over - turns * range;
    return (x < low) == (fmod(turns, 2) == 0) ? low + rest : high - rest;
}

/* One axis at one place: the elements to read, with their weights. */
struct taps {
    int count;
    int64_t at[TAPS_MAX];
    float weights[TAPS_MAX];
};

static void add_tap(const struct sample_state *state, struct taps *taps, double place,
                    double weight, int64_t size) {
    double low = state->align ? 0 : -0.5;
    double high = (double)size - (state->align ? 1 : 0.5);
    int64_t at;
    if (!(place >= 0 && place <= (double)(size - 1))) {
        if (state->padding == PADDING_ZEROS || place != place) {
            return;
        }
        place = state->padding == PADDING_BORDER ? (place < 0 ? 0 : (double)(size - 1))
                                                 : trunc(reflect(place, low, high));
    }
    at = (int64_t)place;
    taps->at[taps->count] = at < 0 ? 0 : at >= size ? size - 1 : at;
    taps->weights[taps->count++] = (float)weight;
}

/* Keys' cubic with a = -0.75. */
static double cubic(double x) {
    const double a = -0.75;
    x = fabs(x);
    return x <= 1  ? ((a + 2) * x - (a + 3)) * x * x + 1
           : x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
                   : 0;
}

static struct taps axis_taps(const struct sample_state *state, double normal,
                             int64_t size) {
    struct taps taps = {0};
    double n = (double)size;
    double x = state->align ? (normal + 1) / 2 * (n - 1) : ((normal + 1) * n - 1) / 2;
    double low = state->align ? 0 : -0.5, high = n - (state->align ? 1 : 0.5), base;
    x = state->mode == MODE_NEAREST ? nearbyint(x) : x;
    if (!(fabs(x) < 0x1p52)) { /* NaN and what no image has */
        x = state->padding == PADDING_ZEROS ? -4 : x < 0 ? 0 : n - 1;
    }
    if ((x < low || x > high) && state->padding == PADDING_REFLECTION) {
        x = reflect(x, low, high);
    } else if ((x < low || x > high) && state->padding == PADDING_BORDER &&
               state->mode != MODE_CUBIC) { /* whose taps are held at the border alone */
        x = x < 0 ? 0 : n - 1;
    }
    base = floor(x);
    if (state->mode == MODE_NEAREST) {
        add_tap(state, &taps, x, 1, size);
    } else if (state->mode == MODE_LINEAR) {
        add_tap(state, &taps, base, 1 - (x - base), size);
        add_tap(state, &taps, base + 1, x - base, size);
    } else {
        for (int k = -1; k <= 2; k++) {
            add_tap(state, &taps, base + k, cubic(x - (base + k)), size);
        }
    }
    return taps;
}

static float read_axes(const float *image, const struct tensor *x, int axis,
                       const struct taps *taps) {
    int64_t step = 1;
    float sum = 0;
    if (axis == x->rank) {
        return *image;
    }
    for (int i = axis + 1; i < x->rank; i++) {
        step *= x->dims[i];
    }
    for (int k = 0; k < taps->count; k++) {
        sum += taps->weights[k] *
               read_axes(image + taps->at[k] * step, x, axis + 1, taps + 1);
    }
    return sum;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct sample_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *grid = exec->x[1];
    int axes = x->rank - 2;
    int64_t channels = x->dims[1], image = 1, places = 1;
    const float *from = x->data, *normals = grid->data;
    float *to = exec->y[0]->data;
    (void)err; /* cannot fail */
    for (int i = 0; i < axes; i++) {
        image *= x->dims[2 + i];
        places *= grid->dims[1 + i];
    }
    for (int64_t b = 0; b < x->dims[0]; b++) {
        for (int64_t p = 0; p < places; p++, normals += axes) {
            struct taps taps[AXES_MAX + 1] = {0};
            for (int i = 0; i < axes; i++) { /* the grid tells the last axis first */
                taps[i] = axis_taps(state, (double)normals[axes - 1 - i], x->dims[2 + i]);
            }
            for (int64_t c = 0; c < channels; c++) {
                to[c * places + p] = read_axes(from + c * image, x, 2, taps);
            }
        }
        from += channels * image;
        to += channels * places;
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "GridSample",
        .since = 16,
        .inputs_min = 2,
        .inputs_max = 2,
        .types = {TYPES_F32, TYPES_F32},
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_grid_sample = OP_LIST(ops);
