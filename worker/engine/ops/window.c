/* window.c - see window.h. */
#include "engine/ops/window.h"

static const char *const auto_pads[] = {
    [AUTO_PAD_NOTSET] = "NOTSET",
    [AUTO_PAD_VALID] = "VALID",
    [AUTO_PAD_SAME_UPPER] = "SAME_UPPER",
    [AUTO_PAD_SAME_LOWER] = "SAME_LOWER",
    NULL,
};

/* Numbers that stay far from overflow in products with each other. */
static bool in_range(const struct attr_ints *list, int64_t least) {
    for (size_t i = 0; i < list->count; i++) {
        if (list->values[i] < least || list->values[i] > INT32_MAX) {
            return false;
        }
    }
    return true;
}

enum status window_prepare(struct load *load, struct window_spec *spec, bool pooling,
                           struct error *err) {
    struct {
        const char *name;
        struct attr_ints *list;
        int64_t least;
    } lists[] = {
        {"kernel_shape", &spec->kernel, 1},
        {"strides", &spec->strides, 1},
        {"dilations", &spec->dilations, 1},
        {"pads", &spec->pads, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        enum status status = attr_ints(load->node, lists[i].name, lists[i].list, err);
        if (status != STATUS_OK) {
            return status;
        }
        if (!in_range(lists[i].list, lists[i].least)) {
            return node_error(load->node, err, STATUS_UNSUPPORTED,
                              "attribute %s must be between %lld and %d", lists[i].name,
                              (long long)lists[i].least, INT32_MAX);
        }
    }
    if (pooling) {
        enum status status =
            attr_bool(load->node, "ceil_mode", false, &spec->ceil_mode, err);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return attr_word(load->node, "auto_pad", AUTO_PAD_NOTSET, auto_pads, &spec->auto_pad,
                     err);
}

static enum status check_counts(const struct exec *exec, const struct window_spec *spec,
                                int axes, struct error *err) {
    struct {
        const char *name;
        size_t have, want;
    } counts[] = {
        {"kernel_shape", spec->kernel.count, (size_t)axes},
        {"strides", spec->strides.count, (size_t)axes},
        {"dilations", spec->dilations.count, (size_t)axes},
        {"pads", spec->pads.count, 2 * (size_t)axes},
    };
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        if (counts[i].have != 0 && counts[i].have != counts[i].want) {
            return node_error(exec->node, err, STATUS_POISON,
                              "%s holds %zu numbers, %d spatial axes need %zu",
                              counts[i].name, counts[i].have, axes, counts[i].want);
        }
    }
    return STATUS_OK;
}

/* SAME: the output has ceil(in / stride) elements; padding is shared out evenly, the
 * odd one behind (UPPER) or before (LOWER). */
static void pad_same(struct window_axis *axis, int64_t reach, bool upper) {
    int64_t out = (axis->in + axis->stride - 1) / axis->stride;
    int64_t total = (out - 1) * axis->stride + reach - axis->in;
    total = total < 0 ? 0 : total;
    axis->pad_begin = upper ? total / 2 : total - total / 2;
    axis->pad_end = total - axis->pad_begin;
}

static bool fit_axis(struct window_axis *axis, bool ceil_mode) {
    int64_t reach = (axis->kernel - 1) * axis->dilation + 1;
    int64_t room = axis->in + axis->pad_begin + axis->pad_end - reach;
    if (room < 0) {
        return false;
    }
    axis->out = room / axis->stride + 1;
    if (ceil_mode && room % axis->stride != 0 &&
        axis->out * axis->stride < axis->in + axis->pad_begin) {
        axis->out++;
    }
    return true;
}

static enum status does_not_fit(const struct exec *exec, int64_t reach, int axis,
                                int64_t size, struct error *err) {
    return node_error(exec->node, err, STATUS_POISON,
                      "a window of %lld does not fit in axis %d of size %lld",
                      (long long)reach, axis + 2, (long long)size);
}

int64_t window_dilation(const struct window_spec *spec, int axis) {
    return (size_t)axis < spec->dilations.count ? spec->dilations.values[axis] : 1;
}

enum status window_axes(const struct exec *exec, const struct window_spec *spec,
                        const int64_t *weight_dims, struct window_axis *axes,
                        struct error *err) {
    const struct tensor *x = exec->x[0];
    const int count = x->rank - 2, first = exec_spatial_axis(exec);
    enum status status = check_counts(exec, spec, count, err);
    if (status != STATUS_OK) {
        return status;
    }
    for (int i = 0; i < count; i++) {
        struct window_axis *axis = &axes[i];
        *axis = (struct window_axis){
            .in = x->dims[first + i],
            .kernel = weight_dims != NULL ? weight_dims[i] : spec->kernel.values[i],
            .stride = spec->strides.count > 0 ? spec->strides.values[i] : 1,
            .dilation = window_dilation(spec, i),
        };
        if (spec->auto_pad == AUTO_PAD_NOTSET && spec->pads.count > 0) {
            axis->pad_begin = spec->pads.values[i];
            axis->pad_end = spec->pads.values[count + i];
        } else if (spec->auto_pad >= AUTO_PAD_SAME_UPPER) {
            pad_same(axis, (axis->kernel - 1) * axis->dilation + 1,
                     spec->auto_pad == AUTO_PAD_SAME_UPPER);
        }
        if (!fit_axis(axis, spec->ceil_mode)) {
            return does_not_fit(exec, (axis->kernel - 1) * axis->dilation + 1, i,
                                axis->in, err);
        }
    }
    return STATUS_OK;
}

enum status window_check_pool_2x2(const struct exec *exec, const struct window_axis *axes,
                                  int count, struct error *err) {
    for (int i = 0; i < count; i++) {
        if (axes[i].out < 2) {
            return does_not_fit(exec, 2, i, axes[i].out, err);
        }
    }
    return STATUS_OK;
}

void window_walk_start(struct window_walk *walk, const struct window_axis *axis, int axes,
                       int64_t tap) {
    *walk = (struct window_walk){.axis = axis, .axes = axes};
    for (int i = axes - 1; i >= 0; i--) {
        walk->shift[i] = tap % axis[i].kernel * axis[i].dilation - axis[i].pad_begin;
        tap /= axis[i].kernel;
    }
}

int64_t window_walk_next(struct window_walk *walk) {
    int64_t at = 0;
    bool inside = true;
    for (int i = 0; i < walk->axes; i++) {
        int64_t place = walk->out[i] * walk->axis[i].stride + walk->shift[i];
        inside = inside && place >= 0 && place < walk->axis[i].in;
        at = at * walk->axis[i].in + place;
    }
    for (int i = walk->axes - 1; i >= 0 && ++walk->out[i] == walk->axis[i].out; i--) {
        walk->out[i] = 0;
    }
    return inside ? at : -1;
}
