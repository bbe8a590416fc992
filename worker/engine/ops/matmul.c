/* matmul.c - MatMul, as NumPy's matmul: stacks of matrices, broadcast. */
#include "engine/kernels/gemm.h"
#include "engine/ops/broadcast.h"
#include "engine/ops/ops.h"
#include "engine/ops/product.h"

struct matmul_state {
    const float *packed; /* B, or NULL */
    struct product_left left;
};

struct matmul_memo {
    int64_t m, n, k;
    struct broadcast stack; /* counts matrices, not elements */
};

static enum status prepare(struct load *load, struct error *err) {
    return load_state(load, struct matmul_state) == NULL ? load_no_memory(load, err)
                                                         : STATUS_OK;
}

static enum status pack(struct load *load, struct error *err) {
    struct matmul_state *state = load->node->state;
    enum status status = product_pack_left(load, &state->left, err);
    return status == STATUS_OK ? product_pack(load, false, &state->packed, err) : status;
}

/* The stack's dims: all but the last two. */
static struct tensor stack_of(const struct tensor *x) {
    struct tensor stack = *x;
    stack.rank = x->rank > 2 ? x->rank - 2 : 0;
    return stack;
}

static enum status mismatch(const struct exec *exec, struct error *err) {
    char a[TENSOR_SHAPE_TEXT_MAX], b[TENSOR_SHAPE_TEXT_MAX];
    const struct tensor *const *x = exec->x;
    return node_error(exec->node, err, STATUS_POISON, "cannot multiply %s by %s",
                      tensor_shape_text(x[0]->dims, x[0]->rank, a, sizeof(a)),
                      tensor_shape_text(x[1]->dims, x[1]->rank, b, sizeof(b)));
}

/* One product instead of many, where all share B: the rows of A lie one behind the
 * other. */
static void join_stack(struct matmul_memo *memo, const struct tensor *stack) {
    size_t count = tensor_count(stack);
    memo->m *= (int64_t)count;
    memo->stack = (struct broadcast){.count = 2, .line = 1};
}

static size_t scratch_size(const struct exec *exec, const struct matmul_memo *memo) {
    const struct matmul_state *state = exec->node->state;
    return state->packed == NULL && exec->x[0]->dtype == DTYPE_F32
               ? gemm_f32_scratch_size(false, memo->m, memo->n, memo->k)
               : 0;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct tensor *a = exec->x[0], *b = exec->x[1];
    struct matmul_memo *memo = exec->memo;
    struct tensor *y = exec->y[0];
    struct tensor stacks[2], stack = {0};
    const struct tensor *both[] = {&stacks[0], &stacks[1]};
    enum status status;
    if (a->rank == 0 || b->rank == 0) {
        return mismatch(exec, err);
    }
    memo->m = a->rank > 1 ? a->dims[a->rank - 2] : 1;
    memo->k = a->dims[a->rank - 1];
    memo->n = b->rank > 1 ? b->dims[b->rank - 1] : 1;
    if (b->dims[b->rank > 1 ? b->rank - 2 : 0] != memo->k) {
        return mismatch(exec, err);
    }
    stacks[0] = stack_of(a);
    stacks[1] = stack_of(b);
    status = broadcast_shape(exec, both, 2, &stack, err);
    if (status != STATUS_OK) {
        return status;
    }
    if (stack.rank + (a->rank > 1) + (b->rank > 1) > TENSOR_RANK_MAX) {
        return mismatch(exec, err);
    }
    y->rank = stack.rank;
    memcpy(y->dims, stack.dims, sizeof(y->dims));
    if (a->rank > 1) {
        y->dims[y->rank++] = memo->m;
    }
    if (b->rank > 1) {
        y->dims[y->rank++] = memo->n;
    }
    if (stacks[1].rank == 0) {
        join_stack(memo, &stack);
    } else {
        broadcast_init(&memo->stack, both, 2, &stack);
    }
    exec->scratch_size = scratch_size(exec, memo);
    return STATUS_OK;
}

/* One product; a, b, y are the matrices' first elements. */
static void product(const struct exec *exec, const struct matmul_memo *memo,
                    const void *a, const void *b, void *y) {
    const struct matmul_state *state = exec->node->state;
    struct gemm_tail tail = {
        .alpha = 1, .bias = product_bias(exec), .act = exec->node->act};
    int64_t m = memo->m, n = memo->n, k = memo->k;
    switch (exec->x[0]->dtype) {
    case DTYPE_F32:
        if (state->packed != NULL) {
            gemm_run(m, n, k, a, k, state->packed, &tail, y, n);
            return;
        }
        if (n == 1 && state->left.constant) {
            product_column(exec, &state->left, m, k, 1, a, b, y);
        } else {
            gemm_f32(false, false, m, n, k, 1, a, k, b, n, 0, y, n, exec->scratch);
        }
        if (tail.act.kind != ACT_NONE) {
            act_run(&tail.act, m * n, y, y);
        }
        return;
    case DTYPE_F64:
        gemm_f64(false, false, m, n, k, 1, a, k, b, n, 0, y, n);
        return;
    case DTYPE_I32:
    case DTYPE_U32:
        gemm_i32(m, n, k, a, k, b, n, y, n);
        return;
    case DTYPE_I64:
    case DTYPE_U64:
        gemm_i64(m, n, k, a, k, b, n, y, n);
        return;
    case DTYPE_NONE:
    case DTYPE_STRING:
    case DTYPE_BOOL:
    case DTYPE_I8:
    case DTYPE_U8:
    case DTYPE_I16:
    case DTYPE_U16:
    case DTYPE_F16:
    case DTYPE_BF16:
    CASE_DTYPE_UNUSUAL:
        break; /* refused at load */
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct matmul_memo *memo = exec->memo;
    const struct broadcast *stack = &memo->stack;
    size_t size = dtype_size(exec->x[0]->dtype);
    size_t a_size = (size_t)(memo->m * memo->k) * size,
           b_size = (size_t)(memo->k * memo->n) * size,
           y_size = (size_t)(memo->m * memo->n) * size;
    const uint8_t *a = exec->x[0]->data, *b = exec->x[1]->data;
    uint8_t *y = exec->y[0]->data;
    struct broadcast_walk walk = {0};
    (void)err; /* cannot fail */
    if (tensor_count(exec->y[0]) == 0) {
        return STATUS_OK;
    }
    do {
        for (int64_t i = 0; i < stack->line; i++) {
            product(exec, memo,
                    a + (size_t)(walk.at[0] + i * stack->line_step[0]) * a_size,
                    b + (size_t)(walk.at[1] + i * stack->line_step[1]) * b_size,
                    y + (size_t)(walk.out + i) * y_size);
        }
    } while (broadcast_next(stack, &walk));
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "MatMul",
        .since = 1,
        .inputs_min = 2,
        .inputs_max = 2,
        .flags = OP_FUSES_ACTIVATION | OP_FUSES_BIAS,
        .types = {TYPES_FLOAT | TYPE_BIT(DTYPE_I32) | TYPE_BIT(DTYPE_U32) |
                  TYPE_BIT(DTYPE_I64) | TYPE_BIT(DTYPE_U64)},
        .memo_size = sizeof(struct matmul_memo),
        .prepare = prepare,
        .pack = pack,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_matmul = OP_LIST(ops);
