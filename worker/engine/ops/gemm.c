/* gemm.c - Gemm: Y = alpha op(A) op(B) + beta C, matrices only. */
#include "engine/kernels/gemm.h"

#include "engine/ops/broadcast.h"
#include "engine/ops/ops.h"
#include "engine/ops/product.h"

struct gemm_state {
    bool trans_a, trans_b;
    float alpha, beta;
    const float *packed; /* B, or NULL */
    struct product_left left;
};

struct gemm_memo {
    int64_t m, n, k;
    bool row_bias;      /* C is one row, which is added as it is */
    struct broadcast c; /* how C spreads over Y otherwise */
};

static enum status prepare(struct load *load, struct error *err) {
    struct gemm_state *state = load_state(load, struct gemm_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_bool(load->node, "transA", false, &state->trans_a, err);
    if (status == STATUS_OK) {
        status = attr_bool(load->node, "transB", false, &state->trans_b, err);
    }
    if (status == STATUS_OK) {
        status = attr_float(load->node, "alpha", 1, &state->alpha, err);
    }
    if (status == STATUS_OK) {
        status = attr_float(load->node, "beta", 1, &state->beta, err);
    }
    attr_ignore(load->node, "broadcast"); /* opset 1 to 6: shapes tell */
    return status;
}

static enum status pack(struct load *load, struct error *err) {
    struct gemm_state *state = load->node->state;
    enum status status;
    if (state->trans_a) {
        return STATUS_OK;
    }
    status = product_pack_left(load, &state->left, err);
    return status == STATUS_OK ? product_pack(load, state->trans_b, &state->packed, err)
                               : status;
}

static enum status shape_c(struct exec *exec, struct gemm_memo *memo, struct error *err) {
    const struct gemm_state *state = exec->node->state;
    const struct tensor *c = exec->x[2];
    struct tensor *y = exec->y[0];
    const struct tensor *both[] = {y, c};
    struct tensor all = {0};
    enum status status;
    if (c->rank > 2) {
        return node_error(exec->node, err, STATUS_POISON, "C has rank %d, at most 2 fits",
                          c->rank);
    }
    status = broadcast_shape(exec, both, 2, &all, err);
    if (status == STATUS_OK && memcmp(all.dims, y->dims, 2 * sizeof(y->dims[0])) != 0) {
        status =
            node_error(exec->node, err, STATUS_POISON, "C is larger than the result");
    }
    if (status != STATUS_OK) {
        return status;
    }
    memo->row_bias = c->dtype == DTYPE_F32 && state->beta == 1 && c->rank > 0 &&
                     c->dims[c->rank - 1] == memo->n && (c->rank == 1 || c->dims[0] == 1);
    broadcast_init(&memo->c, both, 2, y);
    return STATUS_OK;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct gemm_state *state = exec->node->state;
    const struct tensor *a = exec->x[0], *b = exec->x[1];
    struct gemm_memo *memo = exec->memo;
    char left[TENSOR_SHAPE_TEXT_MAX], right[TENSOR_SHAPE_TEXT_MAX];
    if (a->rank != 2 || b->rank != 2 ||
        a->dims[!state->trans_a] != b->dims[state->trans_b]) {
        return node_error(exec->node, err, STATUS_POISON, "cannot multiply %s%s by %s%s",
                          tensor_shape_text(a->dims, a->rank, left, sizeof(left)),
                          state->trans_a ? " transposed" : "",
                          tensor_shape_text(b->dims, b->rank, right, sizeof(right)),
                          state->trans_b ? " transposed" : "");
    }
    *memo = (struct gemm_memo){.m = a->dims[state->trans_a],
                               .n = b->dims[!state->trans_b],
                               .k = a->dims[!state->trans_a]};
    exec->y[0]->rank = 2;
    exec->y[0]->dims[0] = memo->m;
    exec->y[0]->dims[1] = memo->n;
    if (state->packed == NULL && a->dtype == DTYPE_F32) {
        exec->scratch_size =
            gemm_f32_scratch_size(state->trans_b, memo->m, memo->n, memo->k);
    }
    return exec_has(exec, 2) ? shape_c(exec, memo, err) : STATUS_OK;
}

/* Y += beta C. */
#define ADD_C(name, type)                                              \
    static void name(const struct exec *exec) {                        \
        const struct gemm_state *state = exec->node->state;            \
        const struct gemm_memo *memo = exec->memo;                     \
        const type *c = exec->x[2]->data;                              \
        type *y = exec->y[0]->data;                                    \
        struct broadcast_walk walk = {0};                              \
        do {                                                           \
            for (int64_t i = 0; i < memo->c.line; i++) {               \
                type value = c[walk.at[1] + i * memo->c.line_step[1]]; \
                y[walk.out + i] += (type)state->beta * value;          \
            }                                                          \
        } while (broadcast_next(&memo->c, &walk));                     \
    }

ADD_C(add_c_f32, float)
ADD_C(add_c_f64, double)

static void run_f32(struct exec *exec) {
    const struct gemm_state *state = exec->node->state;
    const struct gemm_memo *memo = exec->memo;
    const struct act *act = &exec->node->act;
    const struct tensor *a = exec->x[0], *b = exec->x[1];
    float *y = exec->y[0]->data;
    bool adds_c = exec_has(exec, 2) && state->beta != 0;
    struct gemm_tail tail = {.alpha = state->alpha};
    if (state->packed != NULL && (!adds_c || memo->row_bias)) {
        tail.bias = adds_c ? exec->x[2]->data : NULL;
        tail.act = *act;
        gemm_run(memo->m, memo->n, memo->k, a->data, a->dims[1], state->packed, &tail, y,
                 memo->n);
        return;
    }
    if (state->packed != NULL) {
        gemm_run(memo->m, memo->n, memo->k, a->data, a->dims[1], state->packed, &tail, y,
                 memo->n);
    } else if (memo->n == 1 && state->left.constant) {
        product_column(exec, &state->left, memo->m, memo->k, state->alpha, a->data,
                       b->data, y);
    } else {
        gemm_f32(state->trans_a, state->trans_b, memo->m, memo->n, memo->k, state->alpha,
                 a->data, a->dims[1], b->data, b->dims[1], 0, y, memo->n, exec->scratch);
    }
    if (adds_c) {
        add_c_f32(exec);
    }
    if (act->kind != ACT_NONE) {
        act_run(act, memo->m * memo->n, y, y);
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct gemm_state *state = exec->node->state;
    const struct gemm_memo *memo = exec->memo;
    const struct tensor *a = exec->x[0], *b = exec->x[1];
    (void)err; /* cannot fail */
    if (memo->m == 0 || memo->n == 0) {
        return STATUS_OK;
    }
    if (a->dtype == DTYPE_F32) {
        run_f32(exec);
        return STATUS_OK;
    }
    gemm_f64(state->trans_a, state->trans_b, memo->m, memo->n, memo->k,
             (double)state->alpha, a->data, a->dims[1], b->data, b->dims[1], 0,
             exec->y[0]->data, memo->n);
    if (exec_has(exec, 2) && state->beta != 0) {
        add_c_f64(exec);
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "Gemm",
        .since = 1,
        .inputs_min = 2,
        .inputs_max = 3,
        .flags = OP_FUSES_ACTIVATION,
        .types = {TYPES_FLOAT},
        .memo_size = sizeof(struct gemm_memo),
        .prepare = prepare,
        .pack = pack,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_gemm = OP_LIST(ops);
