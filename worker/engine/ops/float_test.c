/* float_test.c - IsNaN and IsInf: floats into booleans. */
#include <math.h>

#include "engine/ops/ops.h"

struct isinf_state {
    bool negative, positive;
};

static enum status isinf_prepare(struct load *load, struct error *err) {
    struct isinf_state *state = load_state(load, struct isinf_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_bool(load->node, "detect_negative", true, &state->negative, err);
    return status != STATUS_OK
               ? status
               : attr_bool(load->node, "detect_positive", true, &state->positive, err);
}

#define TEST_LOOP(type, expression)          \
    do {                                     \
        const type *from = x->data;          \
        for (size_t i = 0; i < count; i++) { \
            type value = from[i];            \
            to[i] = (expression);            \
        }                                    \
    } while (0)

static enum status isinf_run(struct exec *exec, struct error *err) {
    const struct isinf_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    bool *to = exec->y[0]->data;
    size_t count = tensor_count(x);
    bool negative = state->negative, positive = state->positive;
    (void)err; /* cannot fail */
    if (x->dtype == DTYPE_F32) {
        TEST_LOOP(float, isinf(value) && (value < 0 ? negative : positive));
    } else {
        TEST_LOOP(double, isinf(value) && (value < 0 ? negative : positive));
    }
    return STATUS_OK;
}

static enum status isnan_run(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0];
    bool *to = exec->y[0]->data;
    size_t count = tensor_count(x);
    (void)err; /* cannot fail */
    if (x->dtype == DTYPE_F32) {
        TEST_LOOP(float, isnan(value));
    } else {
        TEST_LOOP(double, isnan(value));
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "IsInf",
        .since = 10,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_FLOAT},
        .output_dtype = DTYPE_BOOL,
        .prepare = isinf_prepare,
        .shape = op_shape_same,
        .run = isinf_run,
    },
    {
        .name = "IsNaN",
        .since = 9,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_FLOAT},
        .output_dtype = DTYPE_BOOL,
        .shape = op_shape_same,
        .run = isnan_run,
    },
};

const struct op_list ops_float_test = OP_LIST(ops);
