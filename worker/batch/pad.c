/* pad.c - see pad.h. */
#include "batch/pad.h"

static enum status choose(const struct batch_pad *pad, int64_t length, int *index) {
    for (int i = 0; i < pad->count; i++) {
        if (length <= pad->lengths[i].length) {
            *index = i;
            return STATUS_OK;
        }
    }
    return STATUS_POISON;
}

static void set_length(const struct batch_model *model, int64_t length,
                       struct row_shape *shapes) {
    int inputs = model_input_count(model->model);
    for (int i = 0; i < inputs; i++) {
        if (model->pad.input_axis[i] >= 0) {
            shapes[i].dims[model->pad.input_axis[i]] = length;
        }
    }
}

void pad_own_shapes(const struct batch_model *model, int64_t length,
                    struct row_shape *shapes) {
    int inputs = model_input_count(model->model);
    for (int i = 0; i < inputs; i++) {
        const struct tensor *type = &model_input(model->model, i)->type;
        memcpy(shapes[i].dims, &type->dims[1], sizeof(shapes[i].dims) - sizeof(int64_t));
    }
    if (model->pad.count > 0) {
        set_length(model, length, shapes);
    }
}

enum status pad_shapes(const struct batch_model *model, struct row_shape *shapes,
                       int64_t *length, int *index, struct error *err) {
    const struct batch_pad *pad = &model->pad;
    int inputs = model_input_count(model->model);
    int first = -1;
    for (int i = 0; i < inputs; i++) {
        int64_t own = pad->input_axis[i] < 0 ? 0 : shapes[i].dims[pad->input_axis[i]];
        if (pad->input_axis[i] < 0) {
            continue;
        }
        if (first >= 0 && own != *length) {
            return error_set(
                err, STATUS_POISON,
                "input '%s' is %lld long and '%s' %lld: pad_to pads one length",
                model_input(model->model, first)->name, (long long)*length,
                model_input(model->model, i)->name, (long long)own);
        }
        *length = own;
        first = first < 0 ? i : first;
    }
    if (*length < 1 || choose(pad, *length, index) != STATUS_OK) {
        return error_set(
            err, STATUS_POISON,
            "input '%s' is %lld long; model '%s' is configured for 1 to %lld "
            "(pad_to)",
            model_input(model->model, first)->name, (long long)*length, model->name,
            (long long)pad->lengths[pad->count - 1].length);
    }
    set_length(model, pad->lengths[*index].length, shapes);
    return STATUS_OK;
}

struct pad_layout pad_layout(enum dtype dtype, const int64_t *dims, int rank, int axis) {
    struct pad_layout layout = {.count = 1, .size = dtype_size(dtype)};
    for (int i = 0; i < axis; i++) {
        layout.count *= (size_t)dims[i];
    }
    for (int i = axis + 1; i < rank; i++) {
        layout.size *= (size_t)dims[i];
    }
    return layout;
}

void pad_spread(void *data, struct pad_layout layout, int64_t length, int64_t padded) {
    size_t from = (size_t)length * layout.size, to = (size_t)padded * layout.size;
    uint8_t *bytes = data;
    if (to == from) {
        return;
    }
    /* The last one first: what is written lies behind all that is still to be read. */
    for (size_t i = layout.count; i-- > 0;) {
        memmove(bytes + i * to, bytes + i * from, from);
        memset(bytes + i * to + from, 0, to - from);
    }
}

void pad_cut(void *data, struct pad_layout layout, int64_t length, int64_t padded) {
    size_t to = (size_t)length * layout.size, from = (size_t)padded * layout.size;
    uint8_t *bytes = data;
    for (size_t i = 1; i < layout.count && to != from; i++) {
        memmove(bytes + i * to, bytes + i * from, to);
    }
}
