/* quantize.c - QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear.
 *
 *     quantized = saturate(round(x / scale) + zero)        x = (quantized - zero) * scale
 *
 * Scale and zero are one for the tensor, one for each place of an axis, or one for each
 * block of places. */
#include <math.h>

#include "base/small_float.h"
#include "engine/kernels/bytes.h"
#include "engine/kernels/quantize.h"
#include "engine/onnx_tensor.h"
#include "engine/ops/bytes.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"

#define TYPES_QUANTIZED                                                         \
    (TYPE_BIT(DTYPE_U8) | TYPE_BIT(DTYPE_I8) | TYPE_BIT(DTYPE_U16) |            \
     TYPE_BIT(DTYPE_I16) | TYPES_FLOAT8 | TYPES_INT4 | TYPE_BIT(DTYPE_F4E2M1) | \
     TYPE_BIT(DTYPE_U2) | TYPE_BIT(DTYPE_I2))

struct quantize_state {
    int64_t axis, block;
    bool saturate;
};

/* ---- which scale ------------------------------------------------------------------- */

struct grain {
    int64_t dim, inner; /* of the axis; elements of one place */
    int64_t block;      /* places that share a scale; 0 where all do */
    int64_t blocks;     /* along the axis */
    bool per_line; /* a scale for each line too, not for each place of the axis alone */
};

static enum status grain_of(const struct exec *exec, struct grain *grain,
                            struct error *err) {
    const struct quantize_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *scale = exec->x[1];
    int axis = 0;
    enum status status = STATUS_OK;
    bool fits;
    *grain = (struct grain){.dim = 1, .inner = 1};
    if (tensor_count(scale) == 1 && state->block == 0) {
        return STATUS_OK;
    }
    status = exec_axis(exec, state->axis, x->rank, &axis, err);
    if (status != STATUS_OK) {
        return status;
    }
    for (int i = axis + 1; i < x->rank; i++) {
        grain->inner *= x->dims[i];
    }
    grain->dim = x->dims[axis];
    grain->per_line = scale->rank == x->rank && x->rank > 1;
    grain->block = grain->per_line ? state->block : 1;
    fits = grain->per_line ? grain->block > 0 : scale->rank == 1;
    grain->blocks = fits ? (grain->dim + grain->block - 1) / grain->block : 0;
    fits = fits && scale->dims[grain->per_line ? axis : 0] == grain->blocks;
    for (int i = 0; fits && grain->per_line && i < x->rank; i++) {
        fits = i == axis || scale->dims[i] == x->dims[i];
    }
    if (!fits || (exec_has(exec, 2) && tensor_count(exec->x[2]) != tensor_count(scale))) {
        char a[TENSOR_SHAPE_TEXT_MAX], b[TENSOR_SHAPE_TEXT_MAX];
        return node_error(exec->node, err, STATUS_POISON,
                          "scales of %s do not fit an input of %s on axis %d",
                          tensor_shape_text(scale->dims, scale->rank, a, sizeof(a)),
                          tensor_shape_text(x->dims, x->rank, b, sizeof(b)), axis);
    }
    return STATUS_OK;
}

/* The scale of element `i`. */
static int64_t scale_index(const struct grain *grain, int64_t i) {
    int64_t place, line;
    if (grain->block == 0) {
        return 0;
    }
    place = i / grain->inner % grain->dim / grain->block;
    if (!grain->per_line) {
        return place;
    }
    line = i / grain->inner / grain->dim;
    return (line * grain->blocks + place) * grain->inner + i % grain->inner;
}

/* ---- prepare ----------------------------------------------------------------------- */

static enum status read_state(struct load *load, struct error *err) {
    struct quantize_state *state = load_state(load, struct quantize_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    attr_ignore(load->node, "precision"); /* float32 is what we divide in */
    status = attr_int(load->node, "axis", 1, &state->axis, err);
    if (status == STATUS_OK) {
        status =
            attr_int_in(load->node, "block_size", 0, 0, INT32_MAX, &state->block, err);
    }
    return status == STATUS_OK
               ? attr_bool(load->node, "saturate", true, &state->saturate, err)
               : status;
}

/* The output's dtype: an attribute's, or else `usual`. */
static enum status set_dtype(struct load *load, enum dtype usual, unsigned allowed,
                             struct error *err) {
    int64_t number = 0;
    enum dtype dtype;
    enum status status =
        attr_int_in(load->node, "output_dtype", 0, 0, 1000, &number, err);
    if (status != STATUS_OK) {
        return status;
    }
    dtype = number == 0 ? usual : onnx_dtype((int32_t)number);
    if ((TYPE_BIT(dtype) & allowed) == 0) {
        return node_error(load->node, err, STATUS_UNSUPPORTED,
                          "makes type number %lld, which is not handled here",
                          (long long)number);
    }
    graph_set_output(load->graph, load->node, 0, dtype);
    return STATUS_OK;
}

static enum status quantize_prepare(struct load *load, struct error *err) {
    enum dtype zero = graph_input_dtype(load->graph, load->node, 2);
    enum status status = read_state(load, err);
    return status == STATUS_OK ? set_dtype(load, zero == DTYPE_NONE ? DTYPE_U8 : zero,
                                           TYPES_QUANTIZED, err)
                               : status;
}

static enum status dequantize_prepare(struct load *load, struct error *err) {
    enum status status = read_state(load, err);
    return status == STATUS_OK ? set_dtype(load, DTYPE_F32, TYPES_F32 | TYPES_HALF, err)
                               : status;
}

static enum status shape(struct exec *exec, struct error *err) {
    struct grain *grain = exec->memo;
    exec_same_shape(exec, 0, 0);
    return grain_of(exec, grain, err);
}

/* ---- run --------------------------------------------------------------------------- */

/* Elements that follow each other and have one scale; 0 where that must be looked up for
 * each. */
static int64_t run_length(const struct grain *grain, int64_t count) {
    return grain->per_line ? 0 : grain->block == 0 ? count : grain->inner;
}

static enum status quantize_run(struct exec *exec, struct error *err) {
    const struct quantize_state *state = exec->node->state;
    const struct grain *grain = exec->memo;
    const struct tensor *x = exec->x[0], *scale = exec->x[1];
    const struct tensor *zero = exec_has(exec, 2) ? exec->x[2] : NULL;
    struct tensor *y = exec->y[0];
    const struct small_float *format = small_float_of(y->dtype);
    struct number_range range = number_range_of(y->dtype);
    int64_t count = (int64_t)tensor_count(x), step = run_length(grain, count);
    (void)err; /* cannot fail */
    if (step > 0 && x->dtype == DTYPE_F32 && scale->dtype == DTYPE_F32 && bytes_in(y)) {
        for (int64_t i = 0; i < count; i += step) {
            int64_t at = scale_index(grain, i);
            quantize_f32(step, (const float *)x->data + i,
                         ((const float *)scale->data)[at],
                         zero == NULL ? 0 : (float)number_real(zero, at), bytes_low(y),
                         (uint8_t *)y->data + i);
        }
        return STATUS_OK;
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t at = scale_index(grain, i);
        float quotient = (float)number_real(x, i) / (float)number_real(scale, at);
        if (format != NULL) {
            ((uint8_t *)y->data)[i] =
                (uint8_t)small_from_f32(format, quotient, state->saturate);
        } else {
            double offset = zero == NULL ? 0 : number_real(zero, at);
            number_set_real(y, i,
                            number_saturate(nearbyint((double)quotient) + offset, range));
        }
    }
    return STATUS_OK;
}

static float stored(const struct tensor *x, int64_t i) {
    const struct small_float *format = small_float_of(x->dtype);
    return format != NULL ? small_to_f32(format, ((const uint8_t *)x->data)[i])
                          : (float)number_real(x, i);
}

static enum status dequantize_run(struct exec *exec, struct error *err) {
    const struct grain *grain = exec->memo;
    const struct tensor *x = exec->x[0], *scale = exec->x[1];
    const struct tensor *zero = exec_has(exec, 2) ? exec->x[2] : NULL;
    struct tensor *y = exec->y[0];
    int64_t count = (int64_t)tensor_count(x), step = run_length(grain, count);
    (void)err; /* cannot fail */
    if (step > 0 && bytes_in(x) && y->dtype == DTYPE_F32) {
        for (int64_t i = 0; i < count; i += step) {
            int64_t at = scale_index(grain, i);
            bytes_floats(x->dtype == DTYPE_I8, step, (const uint8_t *)x->data + i,
                         zero == NULL ? 0 : (float)number_real(zero, at),
                         ((const float *)scale->data)[at], (float *)y->data + i);
        }
        return STATUS_OK;
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t at = scale_index(grain, i);
        double offset = zero == NULL ? 0 : (double)stored(zero, at);
        float value =
            (float)((double)stored(x, i) - offset) * ((const float *)scale->data)[at];
        if (y->dtype == DTYPE_F32) {
            ((float *)y->data)[i] = value;
        } else {
            ((uint16_t *)y->data)[i] =
                (uint16_t)small_from_f32(small_float_of(y->dtype), value, false);
        }
    }
    return STATUS_OK;
}

/* ---- DynamicQuantizeLinear --------------------------------------------------------- */

static enum status dynamic_prepare(struct load *load, struct error *err) {
    (void)err; /* cannot fail */
    graph_set_output(load->graph, load->node, 0, DTYPE_U8);
    graph_set_output(load->graph, load->node, 1, DTYPE_F32);
    graph_set_output(load->graph, load->node, 2, DTYPE_U8);
    return STATUS_OK;
}

static enum status dynamic_shape(struct exec *exec, struct error *err) {
    (void)err; /* cannot fail */
    for (int i = 0; i < 3; i++) {
        if (exec_wants(exec, i)) {
            exec->y[i]->rank = 0;
        }
    }
    if (exec_wants(exec, 0)) {
        exec_same_shape(exec, 0, 0);
    }
    return STATUS_OK;
}

static enum status dynamic_run(struct exec *exec, struct error *err) {
    static const struct number_range range = {0, 255};
    const float *x = exec->x[0]->data;
    size_t count = tensor_count(exec->x[0]);
    float low = 0, high = 0, scale;
    double zero;
    (void)err; /* cannot fail */
    quantize_range((int64_t)count, x, &low, &high);
    scale = (high - low) / 255;
    zero = scale == 0 ? 0 : nearbyint(number_saturate((double)(-low / scale), range));
    if (exec_wants(exec, 0)) { /* no range, no numbers but zeros: any scale will do */
        quantize_f32((int64_t)count, x, scale == 0 ? 1 : scale, (float)zero, 0,
                     exec->y[0]->data);
    }
    if (exec_wants(exec, 1)) {
        *(float *)exec->y[1]->data = scale;
    }
    if (exec_wants(exec, 2)) {
        *(uint8_t *)exec->y[2]->data = (uint8_t)zero;
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "QuantizeLinear",
        .since = 10,
        .inputs_min = 2,
        .inputs_max = 3,
        .types = {TYPES_F32 | TYPE_BIT(DTYPE_I32), TYPES_F32 | TYPE_BIT(DTYPE_I32),
                  TYPES_QUANTIZED},
        .memo_size = sizeof(struct grain),
        .prepare = quantize_prepare,
        .shape = shape,
        .run = quantize_run,
    },
    {
        .name = "DequantizeLinear",
        .since = 10,
        .inputs_min = 2,
        .inputs_max = 3,
        .flags = OP_REMEMBERED,
        .types = {TYPES_QUANTIZED | TYPE_BIT(DTYPE_I32), TYPES_F32,
                  TYPES_QUANTIZED | TYPE_BIT(DTYPE_I32)},
        .memo_size = sizeof(struct grain),
        .prepare = dequantize_prepare,
        .shape = shape,
        .run = dequantize_run,
    },
    {
        .name = "DynamicQuantizeLinear",
        .since = 11,
        .inputs_min = 1,
        .inputs_max = 1,
        .outputs_max = 3,
        .types = {TYPES_F32},
        .prepare = dynamic_prepare,
        .shape = dynamic_shape,
        .run = dynamic_run,
    },
};

const struct op_list ops_quantize = OP_LIST(ops);
