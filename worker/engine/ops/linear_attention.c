/* linear_attention.c - LinearAttention: a state [size, v_size] for each head of keys that
 * every row decays, corrects and adds to, and that queries read.
 *
 *     S *= exp(decay)            gated rules
 *     v  = beta (v - S^T k)      delta rules
 *     S += k v^T
 *     y  = scale S^T q           for each head of queries of the group */
#include <math.h>

#include "base/size.h"
#include "engine/kernels/kernels.h"
#include "engine/ops/ops.h"

enum { IN_QUERY, IN_KEY, IN_VALUE, IN_STATE, IN_DECAY, IN_BETA };
enum { OUT_Y, OUT_STATE };
enum { RULE_LINEAR, RULE_GATED, RULE_DELTA, RULE_GATED_DELTA };

struct linear_state {
    int64_t heads, kv_heads;
    float scale; /* 0: 1 / sqrt(size) */
    bool gated, delta;
};

struct linear_memo {
    int64_t batch, rows, size, v_size;
    int64_t decays; /* numbers of decay for each head: 1 or size */
    int64_t betas;  /* heads of beta: 1 or kv_heads */
    float scale;
};

static enum status check_inputs(struct load *load, const struct linear_state *state,
                                struct error *err) {
    const bool decay = graph_input_dtype(load->graph, load->node, IN_DECAY) != DTYPE_NONE;
    const bool beta = graph_input_dtype(load->graph, load->node, IN_BETA) != DTYPE_NONE;
    if (decay != state->gated || beta != state->delta) {
        return node_error(load->node, err, STATUS_INVALID,
                          "decay goes with gated rules and beta with delta rules");
    }
    if (state->heads % state->kv_heads != 0) {
        return node_error(load->node, err, STATUS_INVALID,
                          "q_num_heads=%lld is no multiple of kv_num_heads=%lld",
                          (long long)state->heads, (long long)state->kv_heads);
    }
    return STATUS_OK;
}

static enum status prepare(struct load *load, struct error *err) {
    static const char *const rules[] = {
        [RULE_LINEAR] = "linear",
        [RULE_GATED] = "gated",
        [RULE_DELTA] = "delta",
        [RULE_GATED_DELTA] = "gated_delta",
        NULL,
    };
    struct linear_state *state = load_state(load, struct linear_state);
    int rule;
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    attr_ignore(load->node, "chunk_size"); /* a hint */
    status = attr_word(load->node, "update_rule", RULE_GATED_DELTA, rules, &rule, err);
    if (status == STATUS_OK) {
        status =
            attr_int_in(load->node, "q_num_heads", 1, 1, INT32_MAX, &state->heads, err);
    }
    if (status == STATUS_OK) {
        status = attr_int_in(load->node, "kv_num_heads", 1, 1, INT32_MAX,
                             &state->kv_heads, err);
    }
    if (status == STATUS_OK) {
        status = attr_float(load->node, "scale", 0, &state->scale, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    state->gated = rule == RULE_GATED || rule == RULE_GATED_DELTA;
    state->delta = rule == RULE_DELTA || rule == RULE_GATED_DELTA;
    return check_inputs(load, state, err);
}

/* An input [batch, rows, width]. */
static bool has_width(const struct exec *exec, int input, int64_t width) {
    const struct linear_memo *memo = exec->memo;
    const struct tensor *x = exec->x[input];
    return x->rank == 3 && x->dims[0] == memo->batch && x->dims[1] == memo->rows &&
           x->dims[2] == width;
}

static bool state_fits(const struct exec *exec) {
    const struct linear_state *state = exec->node->state;
    const struct linear_memo *memo = exec->memo;
    const int64_t want[] = {memo->batch, state->kv_heads, memo->size, memo->v_size};
    const struct tensor *x = exec->x[IN_STATE];
    return x->rank == 4 && memcmp(x->dims, want, sizeof(want)) == 0;
}

static bool gates_fit(const struct exec *exec) {
    const struct linear_state *state = exec->node->state;
    struct linear_memo *memo = exec->memo;
    memo->decays = memo->betas = 1;
    if (state->gated && !has_width(exec, IN_DECAY, state->kv_heads)) {
        memo->decays = memo->size;
        if (!has_width(exec, IN_DECAY, state->kv_heads * memo->size)) {
            return false;
        }
    }
    if (state->delta && !has_width(exec, IN_BETA, 1)) {
        memo->betas = state->kv_heads;
        return has_width(exec, IN_BETA, state->kv_heads);
    }
    return true;
}

static void set_outputs(struct exec *exec) {
    const struct linear_state *state = exec->node->state;
    const struct linear_memo *memo = exec->memo;
    const int64_t y[] = {memo->batch, memo->rows, state->heads * memo->v_size};
    const int64_t s[] = {memo->batch, state->kv_heads, memo->size, memo->v_size};
    if (exec_wants(exec, OUT_Y)) {
        exec->y[OUT_Y]->rank = 3;
        memcpy(exec->y[OUT_Y]->dims, y, sizeof(y));
    }
    if (exec_wants(exec, OUT_STATE)) {
        exec->y[OUT_STATE]->rank = 4;
        memcpy(exec->y[OUT_STATE]->dims, s, sizeof(s));
    }
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct linear_state *state = exec->node->state;
    const struct tensor *q = exec->x[IN_QUERY], *v = exec->x[IN_VALUE];
    struct linear_memo *memo = exec->memo;
    size_t count;
    bool fits = q->rank == 3 && v->rank == 3;
    if (fits) {
        memo->batch = q->dims[0];
        memo->rows = q->dims[1];
        memo->size = q->dims[2] / state->heads;
        memo->v_size = v->dims[2] / state->kv_heads;
        fits = has_width(exec, IN_QUERY, memo->size * state->heads) &&
               has_width(exec, IN_KEY, memo->size * state->kv_heads) &&
               has_width(exec, IN_VALUE, memo->v_size * state->kv_heads) &&
               gates_fit(exec) && (!exec_has(exec, IN_STATE) || state_fits(exec));
    }
    if (!fits || !size_mul((size_t)memo->size + 1, (size_t)memo->v_size, &count) ||
        !size_mul(count, sizeof(float), &count)) {
        return node_error(
            exec->node, err, STATUS_POISON,
            "the inputs do not agree on batch, rows and %lld and %lld heads",
            (long long)state->heads, (long long)state->kv_heads);
    }
    memo->scale = state->scale != 0.0F ? state->scale
                  : memo->size > 0     ? 1.0F / sqrtf((float)memo->size)
                                       : 1.0F;
    exec->scratch_size = count;
    set_outputs(exec);
    return STATUS_OK;
}

/* Where one head of one row lies. */
static const float *head_of(const struct exec *exec, int input, int64_t row,
                            int64_t heads, int64_t head, int64_t size) {
    return (const float *)exec->x[input]->data + (row * heads + head) * size;
}

/* One row of one head of keys; s is [size, v_size], fresh [v_size]. */
static void step(const struct exec *exec, int64_t row, int64_t head, float *s,
                 float *fresh) {
    const struct linear_state *state = exec->node->state;
    const struct linear_memo *memo = exec->memo;
    const struct kernels *kernels = kernels_current();
    const int64_t size = memo->size, wide = memo->v_size, heads = state->kv_heads;
    const float *k = head_of(exec, IN_KEY, row, heads, head, size);
    const float *v = head_of(exec, IN_VALUE, row, heads, head, wide);
    for (int64_t d = 0; state->gated && d < size; d++) {
        const float *decay = head_of(exec, IN_DECAY, row, heads, head, memo->decays);
        kernels->scale_shift(wide, expf(decay[memo->decays == 1 ? 0 : d]), 0.0F,
                             s + d * wide, s + d * wide);
    }
    memcpy(fresh, v, (size_t)wide * sizeof(*fresh));
    if (state->delta) {
        const float beta =
            *head_of(exec, IN_BETA, row, memo->betas, memo->betas == 1 ? 0 : head, 1);
        for (int64_t d = 0; d < size; d++) {
            kernels->axpy(wide, -k[d], s + d * wide, 1, fresh);
        }
        kernels->scale_shift(wide, beta, 0.0F, fresh, fresh);
    }
    for (int64_t d = 0; d < size; d++) {
        kernels->axpy(wide, k[d], fresh, 1, s + d * wide);
    }
}

static void read_state(const struct exec *exec, int64_t row, int64_t head,
                       const float *s) {
    const struct linear_state *state = exec->node->state;
    const struct linear_memo *memo = exec->memo;
    const struct kernels *kernels = kernels_current();
    const float *q = head_of(exec, IN_QUERY, row, state->heads, head, memo->size);
    float *y = (float *)exec->y[OUT_Y]->data + (row * state->heads + head) * memo->v_size;
    memset(y, 0, (size_t)memo->v_size * sizeof(*y));
    for (int64_t d = 0; d < memo->size; d++) {
        kernels->axpy(memo->v_size, memo->scale * q[d], s + d * memo->v_size, 1, y);
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct linear_state *state = exec->node->state;
    const struct linear_memo *memo = exec->memo;
    const int64_t group = state->heads / state->kv_heads;
    const int64_t each = memo->size * memo->v_size;
    const size_t size = (size_t)each * sizeof(float);
    float *fresh = exec->scratch, *own = fresh + memo->v_size;
    (void)err; /* cannot fail */
    if (each == 0 && exec_wants(exec, OUT_Y) && tensor_count(exec->y[OUT_Y]) > 0) {
        memset(exec->y[OUT_Y]->data, 0, tensor_size(exec->y[OUT_Y]));
    }
    for (int64_t i = 0; i < memo->batch * state->kv_heads && each > 0; i++) {
        const int64_t head = i % state->kv_heads, batch = i / state->kv_heads;
        float *s = exec_wants(exec, OUT_STATE)
                       ? (float *)exec->y[OUT_STATE]->data + i * each
                       : own;
        if (exec_has(exec, IN_STATE)) {
            memcpy(s, (const float *)exec->x[IN_STATE]->data + i * each, size);
        } else {
            memset(s, 0, size);
        }
        for (int64_t t = 0; t < memo->rows; t++) {
            const int64_t row = batch * memo->rows + t;
            step(exec, row, head, s, fresh);
            for (int64_t h = head * group;
                 h < (head + 1) * group && exec_wants(exec, OUT_Y); h++) {
                read_state(exec, row, h, s);
            }
        }
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "LinearAttention",
        .since = 27,
        .inputs_min = 3,
        .inputs_max = 6,
        .outputs_max = 2,
        .types = {TYPES_F32},
        .memo_size = sizeof(struct linear_memo),
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_linear_attention = OP_LIST(ops);
