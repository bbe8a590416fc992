/* rotary.c - RotaryEmbedding: pairs of features turned by angles of their position. */
#include "engine/ops/ops.h"

enum { IN_X, IN_COS, IN_SIN, IN_POSITIONS };

struct rotary_state {
    bool interleaved;
    int64_t turned; /* features turned, 0 for all */
    int64_t heads;  /* 0 where absent */
};

struct rotary_memo {
    int64_t batch, rows, heads, size, half;
    int64_t row, head; /* distances in x and y */
    int64_t angles;    /* rows of the caches; with positions */
    bool one_cache;    /* for every row of the batch; without positions */
};

static enum status prepare(struct load *load, struct error *err) {
    struct rotary_state *state = load_state(load, struct rotary_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_bool(load->node, "interleaved", false, &state->interleaved, err);
    if (status == STATUS_OK) {
        status = attr_int_in(load->node, "rotary_embedding_dim", 0, 0, INT32_MAX,
                             &state->turned, err);
    }
    if (status == STATUS_OK) {
        status =
            attr_int_in(load->node, "num_heads", 0, 0, INT32_MAX, &state->heads, err);
    }
    return status;
}

/* Caches are [positions, half] where there are position ids, else [batch, rows, half], or
 * [1, rows, half] as PyTorch exports them. */
static bool caches_fit(const struct exec *exec, struct rotary_memo *memo) {
    const struct tensor *c = exec->x[IN_COS], *s = exec->x[IN_SIN];
    if (c->rank != s->rank || c->rank < 2 ||
        memcmp(c->dims, s->dims, (size_t)c->rank * sizeof(*c->dims)) != 0 ||
        c->dims[c->rank - 1] != memo->half) {
        return false;
    }
    memo->angles = c->dims[0];
    if (exec_has(exec, IN_POSITIONS)) {
        const struct tensor *at = exec->x[IN_POSITIONS];
        return c->rank == 2 && at->rank == 2 && at->dims[0] == memo->batch &&
               at->dims[1] == memo->rows;
    }
    memo->one_cache = c->dims[0] == 1;
    return c->rank == 3 && (memo->one_cache || c->dims[0] == memo->batch) &&
           c->dims[1] == memo->rows;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct rotary_state *state = exec->node->state;
    const struct tensor *x = exec->x[IN_X];
    struct rotary_memo *memo = exec->memo;
    if (x->rank == 4 && (state->heads == 0 || x->dims[1] == state->heads)) {
        *memo = (struct rotary_memo){.batch = x->dims[0],
                                     .heads = x->dims[1],
                                     .rows = x->dims[2],
                                     .size = x->dims[3],
                                     .row = x->dims[3],
                                     .head = x->dims[2] * x->dims[3]};
    } else if (x->rank == 3 && state->heads > 0 && x->dims[2] % state->heads == 0) {
        *memo = (struct rotary_memo){.batch = x->dims[0],
                                     .heads = state->heads,
                                     .rows = x->dims[1],
                                     .size = x->dims[2] / state->heads,
                                     .row = x->dims[2],
                                     .head = x->dims[2] / state->heads};
    } else {
        return node_error(exec->node, err, STATUS_POISON,
                          "the input must have rank 4, or rank 3 and whole heads");
    }
    memo->half = (state->turned > 0 ? state->turned : memo->size) / 2;
    if (2 * memo->half > memo->size || !caches_fit(exec, memo)) {
        return node_error(exec->node, err, STATUS_POISON,
                          "the caches must hold %lld numbers for each position",
                          (long long)memo->half);
    }
    exec_same_shape(exec, 0, 0);
    return STATUS_OK;
}

/* One head of one row; a pair's features lie `apart`, pairs follow after `step`. */
#define TURN(type)                                                                      \
    static void turn_##type(const struct rotary_memo *memo, bool interleaved,           \
                            const type *c, const type *s, const type *x, type *y) {     \
        const int64_t apart = interleaved ? 1 : memo->half, step = interleaved ? 2 : 1; \
        for (int64_t i = 0; i < memo->half; i++) {                                      \
            const type a = x[i * step], b = x[i * step + apart];                        \
            y[i * step] = c[i] * a - s[i] * b;                                          \
            y[i * step + apart] = s[i] * a + c[i] * b;                                  \
        }                                                                               \
        for (int64_t i = 2 * memo->half; i < memo->size; i++) {                         \
            y[i] = x[i];                                                                \
        }                                                                               \
    }                                                                                   \
    static void turn_row_##type(const struct exec *exec, int64_t at, int64_t angle) {   \
        const struct rotary_memo *memo = exec->memo;                                    \
        const struct rotary_state *state = exec->node->state;                           \
        const type *c = (const type *)exec->x[IN_COS]->data + angle * memo->half;       \
        const type *s = (const type *)exec->x[IN_SIN]->data + angle * memo->half;       \
        const type *x = (const type *)exec->x[IN_X]->data + at;                         \
        type *y = (type *)exec->y[0]->data + at;                                        \
        for (int64_t h = 0; h < memo->heads; h++) {                                     \
            turn_##type(memo, state->interleaved, c, s, x + h * memo->head,             \
                        y + h * memo->head);                                            \
        }                                                                               \
    }

TURN(float)
TURN(double)

static enum status run(struct exec *exec, struct error *err) {
    const struct rotary_memo *memo = exec->memo;
    const int64_t *positions =
        exec_has(exec, IN_POSITIONS) ? exec->x[IN_POSITIONS]->data : NULL;
    const int64_t each = memo->heads * memo->rows * memo->size;
    for (int64_t i = 0; i < memo->batch * memo->rows; i++) {
        int64_t angle = positions != NULL ? positions[i]
                        : memo->one_cache ? i % memo->rows
                                          : i;
        const int64_t at = i / memo->rows * each + i % memo->rows * memo->row;
        if (positions != NULL && angle < 0) {
            angle += memo->angles;
        }
        if (positions != NULL && (angle < 0 || angle >= memo->angles)) {
            return node_error(exec->node, err, STATUS_POISON,
                              "a position is outside the %lld of the caches",
                              (long long)memo->angles);
        }
        if (exec->x[IN_X]->dtype == DTYPE_F64) {
            turn_row_double(exec, at, angle);
        } else {
            turn_row_float(exec, at, angle);
        }
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "RotaryEmbedding",
        .since = 23,
        .inputs_min = 3,
        .inputs_max = 4,
        .types = {TYPES_FLOAT, 0, 0, TYPES_I64},
        .memo_size = sizeof(struct rotary_memo),
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_rotary = OP_LIST(ops);
