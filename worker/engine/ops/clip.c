/* clip.c - Clip: bounds as attributes (opset 6), later as inputs (opset 11). */
#include <math.h>

#include "engine/ops/ops.h"

struct clip_state {
    struct act act; /* bounds known at load; kind ACT_NONE where they are not */
};

static enum status clip_6_prepare(struct load *load, struct error *err) {
    struct clip_state *state = load_state(load, struct clip_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    state->act.kind = ACT_CLIP;
    attr_ignore(load->node, "consumed_inputs"); /* opset 1 to 5: a hint */
    status = attr_float(load->node, "min", -INFINITY, &state->act.alpha, err);
    if (status == STATUS_OK) {
        status = attr_float(load->node, "max", INFINITY, &state->act.beta, err);
    }
    return status;
}

/* A bound among the inputs: true where it is known at load. */
static bool known_bound(const struct load *load, int input, float fallback,
                        float *bound) {
    const struct tensor *x = graph_constant(load->graph, load->node, input);
    *bound = fallback;
    if (graph_input_dtype(load->graph, load->node, input) == DTYPE_NONE) {
        return true;
    }
    if (x == NULL || x->dtype != DTYPE_F32 || tensor_count(x) != 1) {
        return false;
    }
    *bound = *(const float *)x->data;
    return true;
}

static enum status clip_11_prepare(struct load *load, struct error *err) {
    struct clip_state *state = load_state(load, struct clip_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    if (known_bound(load, 1, -INFINITY, &state->act.alpha) &&
        known_bound(load, 2, INFINITY, &state->act.beta)) {
        state->act.kind = ACT_CLIP;
    }
    return STATUS_OK;
}

static enum status shape(struct exec *exec, struct error *err) {
    for (int i = 1; i < 3; i++) {
        if (exec_has(exec, i) && tensor_count(exec->x[i]) != 1) {
            return node_error(exec->node, err, STATUS_POISON,
                              "input %d must be a single number", i);
        }
    }
    exec_same_shape(exec, 0, 0);
    return STATUS_OK;
}

/* max before min: where the bounds cross, the upper one wins; NaN stays. */
#define CLIP(type)                                             \
    do {                                                       \
        const type *from = x->data;                            \
        type *to = y;                                          \
        for (size_t i = 0; i < count; i++) {                   \
            type value = from[i];                              \
            if (low != NULL && value < *(const type *)low) {   \
                value = *(const type *)low;                    \
            }                                                  \
            if (high != NULL && value > *(const type *)high) { \
                value = *(const type *)high;                   \
            }                                                  \
            to[i] = value;                                     \
        }                                                      \
    } while (0)

static void clip(const struct tensor *x, const void *low, const void *high, void *y) {
    size_t count = tensor_count(x);
    switch (x->dtype) {
    case DTYPE_F32:
        CLIP(float);
        break;
    case DTYPE_F64:
        CLIP(double);
        break;
    case DTYPE_I8:
        CLIP(int8_t);
        break;
    case DTYPE_U8:
        CLIP(uint8_t);
        break;
    case DTYPE_I16:
        CLIP(int16_t);
        break;
    case DTYPE_U16:
        CLIP(uint16_t);
        break;
    case DTYPE_I32:
        CLIP(int32_t);
        break;
    case DTYPE_U32:
        CLIP(uint32_t);
        break;
    case DTYPE_I64:
        CLIP(int64_t);
        break;
    case DTYPE_U64:
        CLIP(uint64_t);
        break;
    case DTYPE_NONE:
    case DTYPE_STRING:
    case DTYPE_BOOL:
    case DTYPE_F16:
    case DTYPE_BF16:
    CASE_DTYPE_UNUSUAL:
        break; /* refused at load */
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct clip_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    void *y = exec->y[0]->data;
    (void)err; /* cannot fail */
    if (state->act.kind == ACT_CLIP && x->dtype == DTYPE_F32) {
        act_run(&state->act, (int64_t)tensor_count(x), x->data, y);
    } else {
        clip(x, exec_has(exec, 1) ? exec->x[1]->data : NULL,
             exec_has(exec, 2) ? exec->x[2]->data : NULL, y);
    }
    return STATUS_OK;
}

const struct act *clip_act(const struct node *node) {
    const struct clip_state *state = node->state;
    return node->op->run == run && state->act.kind == ACT_CLIP ? &state->act : NULL;
}

static const struct op ops[] = {
    {
        .name = "Clip",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 1,
        .flags = OP_IN_PLACE | OP_ELEMENTWISE,
        .types = {TYPES_F32},
        .prepare = clip_6_prepare,
        .shape = shape,
        .run = run,
    },
    {
        .name = "Clip",
        .since = 11,
        .inputs_min = 1,
        .inputs_max = 3,
        .flags = OP_ELEMENTWISE,
        .types = {TYPES_NUMBER},
        .prepare = clip_11_prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_clip = OP_LIST(ops);
