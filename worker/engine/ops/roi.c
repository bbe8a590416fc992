/* roi.c - RoiAlign and MaxRoiPool: a grid of numbers from each of some regions of images.
 *
 *     x [batch, channels, h, w], regions [N, 4 or 5]  ->  y [N, channels, rows, columns]
 */
#include <math.h>

#include "engine/ops/number.h"
#include "engine/ops/ops.h"

/* Samples along one side of a cell that adapts to its region. */
#define ROI_SAMPLES_MAX 4096

struct roi_state {
    int64_t rows, columns, samples; /* samples 0: as many as the cell has pixels */
    float scale;
    int is_max, half_pixel;
};

/* One region of one call, in pixels. */
struct region {
    const float *image; /* its batch item */
    double top, left, cell_h, cell_w;
    int64_t samples_h, samples_w;
};

static enum status check_images(const struct exec *exec, int width, struct error *err) {
    const struct tensor *x = exec->x[0], *regions = exec->x[1];
    if (x->rank != 4 || x->dims[2] < 1 || x->dims[3] < 1 || regions->rank != 2 ||
        regions->dims[1] != width ||
        (width == 4 &&
         (exec->x[2]->rank != 1 || exec->x[2]->dims[0] != regions->dims[0]))) {
        char a[TENSOR_SHAPE_TEXT_MAX], b[TENSOR_SHAPE_TEXT_MAX];
        return node_error(exec->node, err, STATUS_POISON,
                          "regions %s do not suit images %s",
                          tensor_shape_text(regions->dims, regions->rank, b, sizeof(b)),
                          tensor_shape_text(x->dims, x->rank, a, sizeof(a)));
    }
    return STATUS_OK;
}

static void set_output(const struct exec *exec) {
    const struct roi_state *state = exec->node->state;
    struct tensor *y = exec->y[0];
    y->rank = 4;
    y->dims[0] = exec->x[1]->dims[0];
    y->dims[1] = exec->x[0]->dims[1];
    y->dims[2] = state->rows;
    y->dims[3] = state->columns;
}

static enum status find_image(const struct exec *exec, int64_t item, const float **image,
                              struct error *err) {
    const struct tensor *x = exec->x[0];
    if (item < 0 || item >= x->dims[0]) {
        return node_error(exec->node, err, STATUS_POISON,
                          "a region's image is not one of %lld", (long long)x->dims[0]);
    }
    *image = (const float *)x->data + item * x->dims[1] * x->dims[2] * x->dims[3];
    return STATUS_OK;
}

/* ---- RoiAlign ---------------------------------------------------------------------- */

static enum status align_prepare(struct load *load, struct error *err) {
    static const char *const modes[] = {"avg", "max", NULL};
    static const char *const corners[] = {"output_half_pixel", "half_pixel", NULL};
    struct roi_state *state = load_state(load, struct roi_state);
    struct node *node = load->node;
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_int_in(node, "output_height", 1, 1, 1 << 20, &state->rows, err);
    if (status == STATUS_OK) {
        status = attr_int_in(node, "output_width", 1, 1, 1 << 20, &state->columns, err);
    }
    if (status == STATUS_OK) {
        status = attr_int_in(node, "sampling_ratio", 0, 0, ROI_SAMPLES_MAX,
                             &state->samples, err);
    }
    if (status == STATUS_OK) {
        status = attr_float(node, "spatial_scale", 1, &state->scale, err);
    }
    if (status == STATUS_OK) {
        status = attr_word(node, "mode", 0, modes, &state->is_max, err);
    }
    return status != STATUS_OK || node->opset < 16
               ? status
               : attr_word(node, "coordinate_transformation_mode", 1, corners,
                           &state->half_pixel, err);
}

static enum status align_shape(struct exec *exec, struct error *err) {
    enum status status = check_images(exec, 4, err);
    set_output(exec);
    return status;
}

static enum status read_region(const struct exec *exec, int64_t n, struct region *region,
                               struct error *err) {
    const struct roi_state *state = exec->node->state;
    const float *box = (const float *)exec->x[1]->data + 4 * n; /* x1 y1 x2 y2 */
    double shift = state->half_pixel ? 0.5 : 0, scale = (double)state->scale;
    double height = ((double)box[3] - (double)box[1]) * scale;
    double width = ((double)box[2] - (double)box[0]) * scale;
    if (!state->half_pixel) {
        height = height > 1 ? height : 1;
        width = width > 1 ? width : 1;
    }
    region->top = (double)box[1] * scale - shift;
    region->left = (double)box[0] * scale - shift;
    region->cell_h = height / (double)state->rows;
    region->cell_w = width / (double)state->columns;
    if (!(fabs(region->cell_h) <= ROI_SAMPLES_MAX) ||
        !(fabs(region->cell_w) <= ROI_SAMPLES_MAX)) {
        return node_error(exec->node, err, STATUS_POISON,
                          "a region's cells are larger than %d pixels", ROI_SAMPLES_MAX);
    }
    region->samples_h =
        state->samples > 0 ? state->samples : (int64_t)ceil(region->cell_h);
    region->samples_w =
        state->samples > 0 ? state->samples : (int64_t)ceil(region->cell_w);
    return find_image(exec, number_integer(exec->x[2], n), &region->image, err);
}

/* Four pixels around a place and their weights; all 0 outside of the image. */
struct sample {
    int64_t at[4];
    double weight[4];
};

static struct sample sample_at(int64_t height, int64_t width, double y, double x) {
    struct sample sample = {{0}, {0}};
    int64_t top, left, down, right;
    if (!(y >= -1 && y <= (double)height && x >= -1 && x <= (double)width)) {
        return sample;
    }
    y = y > 0 ? y : 0;
    x = x > 0 ? x : 0;
    top = (int64_t)y >= height - 1 ? height - 1 : (int64_t)y;
    left = (int64_t)x >= width - 1 ? width - 1 : (int64_t)x;
    y = top == height - 1 ? 0 : y - (double)top;
    x = left == width - 1 ? 0 : x - (double)left;
    down = top == height - 1 ? top : top + 1;
    right = left == width - 1 ? left : left + 1;
    return (struct sample){{top * width + left, top * width + right, down * width + left,
                            down * width + right},
                           {(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x}};
}

/* A cell of one channel: the mean of its samples, or the largest weighed pixel. */
static double cell(const struct exec *exec, const struct region *region,
                   const float *channel, int64_t row, int64_t column) {
    const struct roi_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    double result = 0;
    int64_t count = region->samples_h * region->samples_w;
    bool first = true;
    for (int64_t i = 0; i < region->samples_h; i++) {
        double y = region->top + (double)row * region->cell_h +
                   ((double)i + 0.5) * region->cell_h / (double)region->samples_h;
        for (int64_t k = 0; k < region->samples_w; k++) {
            double place = region->left + (double)column * region->cell_w +
                           ((double)k + 0.5) * region->cell_w / (double)region->samples_w;
            struct sample sample = sample_at(x->dims[2], x->dims[3], y, place);
            for (int p = 0; p < 4; p++) {
                double part = sample.weight[p] * (double)channel[sample.at[p]];
                if (!state->is_max) {
                    result += part;
                } else if (first || part > result) {
                    result = part;
                }
                first = false;
            }
        }
    }
    return state->is_max || count < 1 ? result : result / (double)count;
}

static enum status align_run(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0], *y = exec->y[0];
    int64_t cells = y->dims[2] * y->dims[3], pixels = x->dims[2] * x->dims[3];
    float *to = y->data;
    for (int64_t n = 0; n < y->dims[0]; n++) {
        struct region region;
        enum status status = read_region(exec, n, &region, err);
        if (status != STATUS_OK) {
            return status;
        }
        for (int64_t i = 0; i < y->dims[1] * cells; i++) {
            *to++ = (float)cell(exec, &region, region.image + i / cells * pixels,
                                i % cells / y->dims[3], i % y->dims[3]);
        }
    }
    return STATUS_OK;
}

/* ---- MaxRoiPool -------------------------------------------------------------------- */

static enum status pool_prepare(struct load *load, struct error *err) {
    struct roi_state *state = load_state(load, struct roi_state);
    struct attr_ints sizes;
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_ints(load->node, "pooled_shape", &sizes, err);
    if (status == STATUS_OK &&
        (sizes.count != 2 || sizes.values[0] < 1 || sizes.values[0] > 1 << 20 ||
         sizes.values[1] < 1 || sizes.values[1] > 1 << 20)) {
        status = node_error(load->node, err, STATUS_INVALID,
                            "attribute pooled_shape must hold two sizes");
    }
    if (status == STATUS_OK) {
        state->rows = sizes.values[0];
        state->columns = sizes.values[1];
        status = attr_float(load->node, "spatial_scale", 1, &state->scale, err);
    }
    return status;
}

static enum status pool_shape(struct exec *exec, struct error *err) {
    enum status status = check_images(exec, 5, err);
    set_output(exec);
    return status;
}

/* The pixels of cell `i` of `count` between `first` and `last`, within the axis. */
static void cell_span(double first, double last, int64_t i, int64_t count, int64_t size,
                      int64_t *from, int64_t *to) {
    double length = last - first + 1 > 1 ? last - first + 1 : 1;
    double begin = first + floor((double)i * length / (double)count);
    double end = first + ceil((double)(i + 1) * length / (double)count);
    *from = begin < 0 ? 0 : begin > (double)size ? size : (int64_t)begin;
    *to = end < 0 ? 0 : end > (double)size ? size : (int64_t)end;
}

static float largest(const float *channel, int64_t width, const int64_t *rows,
                     const int64_t *columns) {
    float best = -INFINITY;
    if (rows[0] >= rows[1] || columns[0] >= columns[1]) {
        return 0; /* an empty cell */
    }
    for (int64_t h = rows[0]; h < rows[1]; h++) {
        for (int64_t w = columns[0]; w < columns[1]; w++) {
            float value = channel[h * width + w];
            best = value > best || isnan(value) ? value : best;
        }
    }
    return best;
}

static enum status pool_run(struct exec *exec, struct error *err) {
    const struct roi_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *y = exec->y[0];
    int64_t cells = state->rows * state->columns, pixels = x->dims[2] * x->dims[3];
    float *to = y->data;
    for (int64_t n = 0; n < y->dims[0]; n++) {
        const float *box = (const float *)exec->x[1]->data + 5 * n, *image;
        double corner[4];
        enum status status =
            find_image(exec, number_truncate((double)box[0]), &image, err);
        for (int i = 0; status == STATUS_OK && i < 4; i++) {
            corner[i] = round((double)box[1 + i] * (double)state->scale);
            if (!(fabs(corner[i]) < 0x1p31)) {
                status = node_error(exec->node, err, STATUS_POISON,
                                    "a region's corner is no pixel");
            }
        }
        if (status != STATUS_OK) {
            return status;
        }
        for (int64_t i = 0; i < y->dims[1] * cells; i++) {
            int64_t rows[2], columns[2];
            cell_span(corner[1], corner[3], i % cells / state->columns, state->rows,
                      x->dims[2], &rows[0], &rows[1]);
            cell_span(corner[0], corner[2], i % state->columns, state->columns,
                      x->dims[3], &columns[0], &columns[1]);
            *to++ = largest(image + i / cells * pixels, x->dims[3], rows, columns);
        }
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "RoiAlign",
        .since = 10,
        .inputs_min = 3,
        .inputs_max = 3,
        .types = {TYPES_F32, TYPES_F32, TYPES_I64},
        .prepare = align_prepare,
        .shape = align_shape,
        .run = align_run,
    },
    {
        .name = "MaxRoiPool",
        .since = 1,
        .inputs_min = 2,
        .inputs_max = 2,
        .types = {TYPES_F32, TYPES_F32},
        .prepare = pool_prepare,
        .shape = pool_shape,
        .run = pool_run,
    },
};

const struct op_list ops_roi = OP_LIST(ops);
