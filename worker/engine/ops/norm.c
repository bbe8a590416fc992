/* norm.c - BatchNormalization and LayerNormalization, float32; norm_any.c has the rarer
 * kinds of the first. */
#include <math.h>

#include "engine/kernels/elementwise.h"
#include "engine/kernels/vmath.h"
#include "engine/ops/norm_any.h"
#include "engine/ops/ops.h"

/* ---- BatchNormalization -------------------------------------------------------- */

enum { IN_X, IN_SCALE, IN_BIAS, IN_MEAN, IN_VARIANCE };

struct batch_norm_state {
    float epsilon;
    const float *factors; /* [2, channels]: factor and shift, where known at load */
};

static bool is_float32(const struct load *load, int input) {
    return graph_input_dtype(load->graph, load->node, input) == DTYPE_F32;
}

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
    if (status == STATUS_OK && spatial != 1) {
        status = node_error(load->node, err, STATUS_UNSUPPORTED,
                            "statistics for each pixel are not handled");
    }
    if (status == STATUS_OK &&
        (training || !is_float32(load, IN_X) || !is_float32(load, IN_SCALE) ||
         !is_float32(load, IN_MEAN))) {
        /* Passes know the inference of float32 by its name. */
        load->node->type = "BatchNormalization, of doubles or in training,";
        load->node->op = &batch_norm_any_op;
        return batch_norm_any_op.prepare(load, err);
    }
    if (status == STATUS_OK && load->node->output_count > 1) {
        status =
            node_error(load->node, err, STATUS_UNSUPPORTED,
                       "%d outputs, which only training makes", load->node->output_count);
    }
    return status;
}

/* (x - mean) / sqrt(variance + epsilon) * scale + bias, as x * factor + shift. */
static void batch_norm_factors(const struct tensor *const *parts, float epsilon,
                               float *factors) {
    const float *scale = parts[IN_SCALE]->data, *bias = parts[IN_BIAS]->data;
    const float *mean = parts[IN_MEAN]->data, *variance = parts[IN_VARIANCE]->data;
    const int64_t channels = parts[IN_SCALE]->dims[0];
    for (int64_t c = 0; c < channels; c++) {
        factors[c] = scale[c] / sqrtf(variance[c] + epsilon);
        factors[channels + c] = bias[c] - mean[c] * factors[c];
    }
}

bool batch_norm_constant(const struct graph *graph, const struct node *node,
                         int64_t channels, float *factors) {
    const struct batch_norm_state *state = node->state;
    const struct tensor *parts[IN_VARIANCE + 1] = {NULL};
    for (int i = IN_SCALE; i <= IN_VARIANCE; i++) {
        parts[i] = graph_constant(graph, node, i);
        if (parts[i] == NULL || parts[i]->rank != 1 || parts[i]->dims[0] != channels) {
            return false;
        }
    }
    batch_norm_factors(parts, state->epsilon, factors);
    return true;
}

static enum status batch_norm_pack(struct load *load, struct error *err) {
    struct batch_norm_state *state = load->node->state;
    const struct tensor *scale = graph_constant(load->graph, load->node, IN_SCALE);
    float *factors;
    if (scale == NULL || scale->rank != 1) {
        return STATUS_OK;
    }
    factors = graph_memory(load->graph, 2 * tensor_size(scale) + 1);
    if (factors == NULL) {
        return load_no_memory(load, err);
    }
    if (batch_norm_constant(load->graph, load->node, scale->dims[0], factors)) {
        state->factors = factors;
    }
    return STATUS_OK;
}

static enum status batch_norm_shape(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[IN_X];
    int64_t channels = x->rank > 1 ? x->dims[exec_channel_axis(exec)] : 1;
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

/* Numbers scaled before the activation takes them from the first cache. */
#define BATCH_NORM_PIECE 4096

static enum status batch_norm_run(struct exec *exec, struct error *err) {
    const struct batch_norm_state *state = exec->node->state;
    const int64_t channels = exec->x[IN_SCALE]->dims[0];
    const int64_t count = (int64_t)tensor_count(exec->x[IN_X]);
    const float *x = exec->x[IN_X]->data, *factors = state->factors;
    /* Of two axes the last one is that of channels in either layout. */
    const bool last =
        exec->node->layout == NODE_CHANNELS_LAST || exec->x[IN_X]->rank == 2;
    float *y = exec->y[0]->data;
    int64_t rows, cols;
    (void)err; /* cannot fail */
    if (count == 0) {
        return STATUS_OK;
    }
    if (factors == NULL) {
        batch_norm_factors(exec->x, state->epsilon, exec->scratch);
        factors = exec->scratch;
    }
    cols =
        last ? channels
             : count / channels / (exec->x[IN_X]->rank > 0 ? exec->x[IN_X]->dims[0] : 1);
    rows = last ? (BATCH_NORM_PIECE + cols - 1) / cols : 1;
    for (int64_t row = 0; row * cols < count; row += rows) {
        const int64_t at = row * cols, left = count / cols - row;
        const int64_t taken = rows < left ? rows : left;
        if (last) {
            ew_scale_shift_cols(taken, cols, x + at, factors, factors + channels, y + at);
        } else {
            ew_scale_shift_rows(1, cols, x + at, factors + row % channels,
                                factors + channels + row % channels, y + at);
        }
        if (exec->node->act.kind != ACT_NONE) {
            act_run(&exec->node->act, taken * cols, y + at, y + at);
        }
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
    if (load->node->output_count > 1 && !is_float32(load, 0)) {
        return node_error(load->node, err, STATUS_UNSUPPORTED,
                          "statistics of doubles, which only training asks for");
    }
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

static void layer_norm_f64(const struct exec *exec) {
    const struct layer_norm_state *state = exec->node->state;
    const struct layer_norm_memo *memo = exec->memo;
    const double *x = exec->x[0]->data, *scale = exec->x[1]->data;
    const double *bias = exec_has(exec, 2) ? exec->x[2]->data : NULL;
    double *y = exec->y[0]->data, count = (double)memo->cols;
    for (int64_t row = 0; row < memo->rows; row++, x += memo->cols, y += memo->cols) {
        double mean = 0, variance = 0, factor;
        for (int64_t i = 0; i < memo->cols; i++) {
            mean += x[i] / count;
        }
        for (int64_t i = 0; i < memo->cols; i++) {
            variance += (x[i] - mean) * (x[i] - mean) / count;
        }
        factor = 1 / sqrt(variance + (double)state->epsilon);
        for (int64_t i = 0; i < memo->cols; i++) {
            y[i] = (x[i] - mean) * factor * scale[i] + (bias == NULL ? 0 : bias[i]);
        }
    }
}

static enum status layer_norm_run(struct exec *exec, struct error *err) {
    const struct layer_norm_state *state = exec->node->state;
    const struct layer_norm_memo *memo = exec->memo;
    (void)err; /* cannot fail */
    if (exec->x[0]->dtype == DTYPE_F64) {
        layer_norm_f64(exec);
        return STATUS_OK;
    }
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
        .outputs_max = 3,
        .flags = OP_FUSES_ACTIVATION | OP_IN_PLACE,
        .types = {TYPES_FLOAT, TYPES_FLOAT, TYPES_FLOAT, TYPES_FLOAT, TYPES_FLOAT},
        .prepare = batch_norm_prepare,
        .pack = batch_norm_pack,
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
        .types = {TYPES_FLOAT},
        .memo_size = sizeof(struct layer_norm_memo),
        .prepare = layer_norm_prepare,
        .shape = layer_norm_shape,
        .run = layer_norm_run,
    },
};

const struct op_list ops_norm = OP_LIST(ops);
