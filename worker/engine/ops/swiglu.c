/* swiglu.c - SwiGLU: a sigmoid(alpha a) b, of two tensors of one shape. */
#include <math.h>

#include "engine/kernels/vmath.h"
#include "engine/ops/ops.h"

struct swiglu_state {
    float alpha;
};

static enum status prepare(struct load *load, struct error *err) {
    struct swiglu_state *state = load_state(load, struct swiglu_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    return attr_float(load->node, "alpha", 1, &state->alpha, err);
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct tensor *a = exec->x[0], *b = exec->x[1];
    if (a->rank != b->rank ||
        memcmp(a->dims, b->dims, (size_t)a->rank * sizeof(a->dims[0])) != 0) {
        char left[TENSOR_SHAPE_TEXT_MAX], right[TENSOR_SHAPE_TEXT_MAX];
        return node_error(exec->node, err, STATUS_POISON,
                          "%s and %s are not of one shape",
                          tensor_shape_text(a->dims, a->rank, left, sizeof(left)),
                          tensor_shape_text(b->dims, b->rank, right, sizeof(right)));
    }
    exec_same_shape(exec, 0, 0);
    return STATUS_OK;
}

static void run_f32(int64_t count, const float *a, const float *b, float alpha,
                    float *y) {
    enum { BLOCK = 256 };
    float gates[BLOCK];
    for (int64_t at = 0; at < count; at += BLOCK) {
        int64_t n = count - at < BLOCK ? count - at : BLOCK;
        for (int64_t i = 0; i < n; i++) {
            gates[i] = alpha * a[at + i];
        }
        vmath_sigmoid(n, gates, gates);
        for (int64_t i = 0; i < n; i++) {
            y[at + i] = a[at + i] * gates[i] * b[at + i];
        }
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct swiglu_state *state = exec->node->state;
    int64_t count = (int64_t)tensor_count(exec->x[0]);
    (void)err; /* cannot fail */
    if (exec->x[0]->dtype == DTYPE_F32) {
        run_f32(count, exec->x[0]->data, exec->x[1]->data, state->alpha,
                exec->y[0]->data);
        return STATUS_OK;
    }
    for (int64_t i = 0; i < count; i++) {
        double a = ((const double *)exec->x[0]->data)[i];
        double gate = 1 / (1 + exp(-(double)state->alpha * a));
        ((double *)exec->y[0]->data)[i] =
            a * gate * ((const double *)exec->x[1]->data)[i];
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "SwiGLU",
        .since = 28,
        .inputs_min = 2,
        .inputs_max = 2,
        .flags = OP_IN_PLACE,
        .types = {TYPES_FLOAT},
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_swiglu = OP_LIST(ops);
