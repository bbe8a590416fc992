/* lrn.c - LRN: each number divided by what lies in the channels around it; float32. */
#include "engine/kernels/elementwise.h"
#include "engine/kernels/vmath.h"
#include "engine/ops/ops.h"

struct lrn_state {
    struct vmath_lrn lrn;
    int64_t size;
};

static enum status prepare(struct load *load, struct error *err) {
    struct lrn_state *state = load_state(load, struct lrn_state);
    float alpha;
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_float(load->node, "alpha", 1e-4F, &alpha, err);
    if (status == STATUS_OK) {
        status = attr_float(load->node, "beta", 0.75F, &state->lrn.beta, err);
    }
    if (status == STATUS_OK) {
        status = attr_float(load->node, "bias", 1, &state->lrn.bias, err);
    }
    if (status == STATUS_OK) {
        status = attr_int_in(load->node, "size", 1, 1, 1 << 20, &state->size, err);
    }
    if (status == STATUS_OK) {
        state->lrn.scale = alpha / (float)state->size;
    }
    return status;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct lrn_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    size_t plane = 1;
    if (x->rank < 3) {
        return node_error(exec->node, err, STATUS_POISON,
                          "the input has rank %d, at least 3 is needed", x->rank);
    }
    for (int i = 2; i < x->rank; i++) {
        plane *= (size_t)x->dims[exec_spatial_axis(exec) + i - 2];
    }
    exec_same_shape(exec, 0, 0);
    exec->scratch_size = exec->node->layout == NODE_CHANNELS_LAST
                             ? (size_t)(x->dims[x->rank - 1] + state->size)
                             : 2 * plane;
    exec->scratch_size *= sizeof(float);
    return STATUS_OK;
}

/* Channels first: the sums of a plane are collected from the planes around it. */
static void run_planes(const struct exec *exec, int64_t plane) {
    const struct lrn_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    const int64_t channels = x->dims[1];
    float *sums = exec->scratch, *squares = sums + plane;
    for (int64_t row = 0; row < x->dims[0] * channels; row++) {
        const int64_t c = row % channels, low = c - (state->size - 1) / 2;
        const int64_t high = c + state->size / 2;
        const float *from = (const float *)x->data + row * plane;
        memset(sums, 0, (size_t)plane * sizeof(*sums));
        for (int64_t k = low < 0 ? 0 : low; k <= high && k < channels; k++) {
            const float *other = from + (k - c) * plane;
            ew_binary(EW_MUL, EW_BOTH, plane, other, other, squares);
            ew_binary(EW_ADD, EW_BOTH, plane, sums, squares, sums);
        }
        vmath_lrn(&state->lrn, plane, 1, sums, from,
                  (float *)exec->y[0]->data + row * plane);
    }
}

/* Channels last: a pixel's squares with zeros around them, summed side by side. */
static void run_pixels(const struct exec *exec, int64_t channels) {
    const struct lrn_state *state = exec->node->state;
    const int64_t count = (int64_t)tensor_count(exec->x[0]);
    float *squares = exec->scratch, *middle = squares + (state->size - 1) / 2;
    memset(squares, 0, (size_t)(channels + state->size) * sizeof(*squares));
    for (int64_t at = 0; at < count; at += channels) {
        const float *from = (const float *)exec->x[0]->data + at;
        ew_binary(EW_MUL, EW_BOTH, channels, from, from, middle);
        vmath_lrn(&state->lrn, channels, state->size, squares, from,
                  (float *)exec->y[0]->data + at);
    }
}

/* y = x / (bias + alpha/size * sum of squares over the channels around)^beta */
static enum status run(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0];
    (void)err; /* cannot fail */
    if (exec->node->layout == NODE_CHANNELS_LAST) {
        run_pixels(exec, x->dims[x->rank - 1]);
    } else {
        run_planes(exec, (int64_t)(exec->scratch_size / (2 * sizeof(float))));
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "LRN",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_F32},
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_lrn = OP_LIST(ops);
