/* norm_any.c - BatchNormalization of doubles, and in training mode, where it normalises
 * by the statistics of its own input:
 *
 *     y = (x - mean) / sqrt(variance + epsilon) * scale + bias
 *     running = running * momentum + own * (1 - momentum)
 *
 * Rows of a batch influence each other there, by definition. */
#include "engine/ops/norm_any.h"

#include <math.h>

#include "engine/ops/number.h"

enum { IN_X, IN_SCALE, IN_BIAS, IN_MEAN, IN_VARIANCE };

struct any_state {
    float epsilon, momentum;
    bool training;
};

static enum status prepare(struct load *load, struct error *err) {
    struct any_state *state = load_state(load, struct any_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_float(load->node, "epsilon", 1e-5F, &state->epsilon, err);
    if (status == STATUS_OK) {
        status = attr_float(load->node, "momentum", 0.9F, &state->momentum, err);
    }
    if (status == STATUS_OK) {
        status = attr_bool(load->node, "training_mode", false, &state->training, err);
    }
    for (int i = 1; i < 3; i++) {
        graph_set_output(load->graph, load->node, i,
                         graph_input_dtype(load->graph, load->node, IN_MEAN - 1 + i));
    }
    return status;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct any_state *state = exec->node->state;
    const struct tensor *x = exec->x[IN_X];
    int64_t channels = x->rank > 1 ? x->dims[1] : 1;
    for (int i = IN_SCALE; i <= IN_VARIANCE; i++) {
        if (exec->x[i]->rank != 1 || exec->x[i]->dims[0] != channels) {
            return node_error(exec->node, err, STATUS_POISON,
                              "input %d must hold %lld numbers, one for each channel", i,
                              (long long)channels);
        }
    }
    if (exec->node->output_count > (state->training ? 3 : 1)) {
        return node_error(exec->node, err, STATUS_POISON, "has %d outputs",
                          exec->node->output_count);
    }
    if (exec_wants(exec, 0)) {
        exec_same_shape(exec, 0, IN_X);
    }
    for (int i = 1; i < 3; i++) {
        if (exec_wants(exec, i)) {
            exec_same_shape(exec, i, IN_MEAN);
        }
    }
    return STATUS_OK;
}

/* [batch, channels, pixels]. */
struct images {
    const struct tensor *x;
    int64_t batch, channels, pixels;
};

static double pixel(const struct images *images, int64_t c, int64_t i) {
    int64_t item = i / images->pixels;
    return number_real(images->x, (item * images->channels + c) * images->pixels +
                                      i % images->pixels);
}

static void own_statistics(const struct images *images, int64_t c, double *mean,
                           double *variance) {
    int64_t count = images->batch * images->pixels;
    *mean = *variance = 0;
    for (int64_t i = 0; i < count; i++) {
        *mean += pixel(images, c, i);
    }
    *mean /= (double)count;
    for (int64_t i = 0; i < count; i++) {
        double apart = pixel(images, c, i) - *mean;
        *variance += apart * apart;
    }
    *variance /= (double)count;
}

static void normalise(const struct exec *exec, const struct images *images, int64_t c,
                      double mean, double variance) {
    const struct any_state *state = exec->node->state;
    double scale = number_real(exec->x[IN_SCALE], c);
    double bias = number_real(exec->x[IN_BIAS], c);
    double factor = scale / sqrt(variance + (double)state->epsilon);
    for (int64_t i = 0; i < images->batch * images->pixels; i++) {
        int64_t at = (i / images->pixels * images->channels + c) * images->pixels +
                     i % images->pixels;
        number_set_real(exec->y[0], at,
                        (number_real(images->x, at) - mean) * factor + bias);
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct any_state *state = exec->node->state;
    const struct tensor *x = exec->x[IN_X];
    int64_t count = (int64_t)tensor_count(x);
    struct images images = {x, x->rank > 0 ? x->dims[0] : 1, x->rank > 1 ? x->dims[1] : 1,
                            1};
    double keep = (double)state->momentum;
    (void)err; /* cannot fail */
    for (int i = 2; i < x->rank; i++) {
        images.pixels *= x->dims[i];
    }
    for (int64_t c = 0; c < images.channels; c++) {
        double mean = number_real(exec->x[IN_MEAN], c), own_mean = mean;
        double variance = number_real(exec->x[IN_VARIANCE], c), own_variance = variance;
        if (state->training && count > 0) {
            own_statistics(&images, c, &own_mean, &own_variance);
        }
        if (exec_wants(exec, 0)) {
            normalise(exec, &images, c, own_mean, own_variance);
        }
        if (exec_wants(exec, 1)) {
            number_set_real(exec->y[1], c, mean * keep + own_mean * (1 - keep));
        }
        if (exec_wants(exec, 2)) {
            number_set_real(exec->y[2], c, variance * keep + own_variance * (1 - keep));
        }
    }
    return STATUS_OK;
}

const struct op batch_norm_any_op = {
    .name = "BatchNormalization",
    .since = 1,
    .inputs_min = 5,
    .inputs_max = 5,
    .outputs_max = 3,
    .types = {TYPES_FLOAT, TYPES_FLOAT, TYPES_FLOAT, TYPES_FLOAT, TYPES_FLOAT},
    .prepare = prepare,
    .shape = shape,
    .run = run,
};
