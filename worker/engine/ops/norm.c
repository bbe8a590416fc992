/* norm.c - BatchNormalization in inference, and LayerNormalization; float32. */
#include <math.h>

#include "engine/kernels/elementwise.h"
#include "engine/kernels/vmath.h"
#include "engine/ops/ops.h"

/* ---- BatchNormalization -------------------------------------------------------- */

enum { IN_X, IN_SCALE, IN_BIAS, IN_MEAN, IN_VARIANCE };

struct batch_norm_state {
    float epsilon;
};

static enum status batch_norm_prepare(struct load *load, struct error *err) {
    struct batch_norm_state *state = load_state(load, struct batch_norm_state);
    bool training;
    int64_t spatial;
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    attr_ignore(load->node, "momentum"); /* of training */
    attr_ignore(load->node, "is_test");
    attr_ignore(load->node, "consumed_inputs");
    status = attr_float(load->node, "epsilon", 1e-5F, &state->epsilon, err);
    if (status == STATUS_OK) {
        status = attr_bool(load->node, "training_mode", false, &training, err);
    }
    if (status == STATUS_OK) {
        status = attr_int(load->node, "spatial", 1, &spatial, err);
    }
    if (status == STATUS_OK && (training || spatial != 1)) {
        status = node_error(load->node, err, STATUS_UNSUPPORTED,
                            "training, or statistics for each pixel, are not handled");
    }
    return status;
}

static enum status batch_norm_shape(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[IN_X];
    int64_t channels = x->rank > 1 ? x->dims[1] : 1;
    for (int i = IN_SCALE; i <= IN_VARIANCE; i++) {
        if (exec->x[i]->rank != 1 || exec->x[i]->dims[0] != channels) {
            return node_error(exec->node, err, STATUS_POISON,
                              "input %d must hold %lld numbers, one for each channel", i,
                              (long long)channels);
        }
    }
    exec_same_shape(exec, 0, 0);
    exec->scratch_size = 2 * (size_t)channels * sizeof(float);
    return STATUS_OK;
}

/* (x - mean) / sqrt(variance + epsilon) * scale + bias, as x * factor + shift. */
static enum status batch_norm_run(struct exec *exec, struct error *err) {
    const struct batch_norm_state *state = exec->node->state;
    const struct tensor *x = exec->x[IN_X];
    const float *scale = exec->x[IN_SCALE]->data, *bias = exec->x[IN_BIAS]->data;
    const float *mean = exec->x[IN_MEAN]->data, *variance = exec->x[IN_VARIANCE]->data;
    int64_t channels = exec->x[IN_SCALE]->dims[0];
    int64_t batch = x->rank > 0 ? x->dims[0] : 1;
    size_t image = 0;
    float *factor = exec->scratch, *shift = factor + channels;
    (void)err; /* cannot fail */
    if (tensor_count(x) == 0) {
        return STATUS_OK;
    }
    image = tensor_count(x) / (size_t)batch;
    for (int64_t c = 0; c < channels; c++) {
        factor[c] = scale[c] / sqrtf(variance[c] + state->epsilon);
        shift[c] = bias[c] - mean[c] * factor[c];
    }
    for (int64_t i = 0; i < batch; i++) {
        size_t at = (size_t)i * image;
        ew_scale_shift_rows(channels, (int64_t)image / channels,
                            (const float *)x->data + at, factor, shift,
                            (float *)exec->y[0]->data + at);
    }
    return STATUS_OK;
}

/* ---- LayerNormalization -------------------------------------------------------- */

struct layer_norm_state {
    int64_t axis;
    float epsilon;
};

struct layer_norm_memo {
    int64_t rows, cols;
};

static enum status layer_norm_prepare(struct load *load, struct error *err) {
    struct layer_norm_state *state = load_state(load, struct layer_norm_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    attr_ignore(load->node, "stash_type"); /* float32 is what we compute in */
    status = attr_int(load->node, "axis", -1, &state->axis, err);
    if (status == STATUS_OK) {
        status = attr_float(load->node, "epsilon", 1e-5F, &state->epsilon, err);
    }
    return status;
}

static enum status layer_norm_shape(struct exec *exec, struct error *err) {
    const struct layer_norm_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    struct layer_norm_memo *memo = exec->memo;
    int axis;
    enum status status = exec_axis(exec, state->axis, x->rank, &axis, err);
    if (status != STATUS_OK) {
        return status;
    }
    *memo = (struct layer_norm_memo){1, 1};
    for (int i = 0; i < x->rank; i++) {
        *(i < axis ? &memo->rows : &memo->cols) *= x->dims[i];
    }
    for (int i = 1; i < 3; i++) {
        if (exec_has(exec, i) && (int64_t)tensor_count(exec->x[i]) != memo->cols) {
            return node_error(
                exec->node, err, STATUS_POISON,
                "input %d must hold %lld numbers, as the normalised axes do", i,
                (long long)memo->cols);
        }
    }
    exec_same_shape(exec, 0, 0);
    for (int k = 1; k < 3; k++) { /* what was normalised by: one for each row */
        for (int i = 0; exec_wants(exec, k) && i < x->rank; i++) {
            exec->y[k]->rank = x->rank;
            exec->y[k]->dims[i] = i < axis ? x->dims[i] : 1;
        }
    }
    return STATUS_OK;
}

/* Means and 1/deviations, which only training asks for. */
static void layer_norm_statistics(const struct exec *exec) {
    const struct layer_norm_state *state = exec->node->state;
    const struct layer_norm_memo *memo = exec->memo;
    for (int64_t row = 0; row < memo->rows; row++) {
        const float *x = (const float *)exec->x[0]->data + row * memo->cols;
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < memo->cols; i++) {
            mean += (double)x[i] / (double)memo->cols;
        }
        for (int64_t i = 0; i < memo->cols; i++) {
            double d = (double)x[i] - mean;
            variance += d * d / (double)memo->cols;
        }
        if (exec_wants(exec, 1)) {
            ((float *)exec->y[1]->data)[row] = (float)mean;
        }
        if (exec_wants(exec, 2)) {
            ((float *)exec->y[2]->data)[row] =
                (float)(1 / sqrt(variance + (double)state->epsilon));
        }
    }
}

static enum status layer_norm_run(struct exec *exec, struct error *err) {
    const struct layer_norm_state *state = exec->node->state;
    const struct layer_norm_memo *memo = exec->memo;
    (void)err; /* cannot fail */
    vmath_layer_norm_rows(memo->rows, memo->cols, state->epsilon, exec->x[1]->data,
                          exec_has(exec, 2) ? exec->x[2]->data : NULL, exec->x[0]->data,
                          exec->y[0]->data);
    if (exec_wants(exec, 1) || exec_wants(exec, 2)) {
        layer_norm_statistics(exec);
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "BatchNormalization",
        .since = 1,
        .inputs_min = 5,
        .inputs_max = 5,
        .types = {TYPES_F32},
        .prepare = batch_norm_prepare,
        .shape = batch_norm_shape,
        .run = batch_norm_run,
    },
    {
        .name = "LayerNormalization",
        .since = 17,
        .inputs_min = 2,
        .inputs_max = 3,
        .outputs_max = 3,
        .wide_outputs = 6,
        .types = {TYPES_F32},
        .memo_size = sizeof(struct layer_norm_memo),
        .prepare = layer_norm_prepare,
        .shape = layer_norm_shape,
        .run = layer_norm_run,
    },
};

const struct op_list ops_norm = OP_LIST(ops);
