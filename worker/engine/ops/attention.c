/* attention.c - Attention, with caches of keys and values, masks, windows and groups of
 * heads.
 *
 * Operands are never split into heads by copies: the kernel takes distances.  Keys and
 * values are joined to a past only where there is one. */
#include "engine/ops/attention.h"

#include <assert.h>
#include <math.h>

#include "base/size.h"
#include "engine/kernels/attention.h"
#include "engine/ops/flex_attention.h"
#include "engine/ops/ops.h"

enum { IN_Q, IN_K, IN_V, IN_MASK, IN_PAST_KEY, IN_PAST_VALUE, IN_VALID };
enum { OUT_Y, OUT_KEY, OUT_VALUE, OUT_SCORES };

struct attention_state {
    struct attention_fusion layout; /* as ONNX has it, unless a pass fused it */
    int64_t heads, kv_heads;        /* 0 where the attributes are absent */
    float scale;
    bool has_scale, causal;
    float softcap;
    int64_t left, right;
    enum attention_stage stage;
    bool fused; /* from pieces, whose broadcasting and NaN it keeps */
};

struct attention_memo {
    struct attention call;              /* all but the addresses */
    size_t key_at, value_at, kernel_at; /* in scratch */
};

/* ---- prepare ------------------------------------------------------------------- */

static enum status read_numbers(struct load *load, struct attention_state *state,
                                struct error *err) {
    struct node *node = load->node;
    int64_t stage = 0;
    enum status status =
        attr_int_in(node, "q_num_heads", 0, 0, INT32_MAX, &state->heads, err);
    if (status == STATUS_OK) {
        status =
            attr_int_in(node, "kv_num_heads", 0, 0, INT32_MAX, &state->kv_heads, err);
    }
    if (status == STATUS_OK) {
        status = attr_int_in(node, "left_window_size", ATTENTION_UNBOUNDED,
                             ATTENTION_UNBOUNDED, INT64_MAX, &state->left, err);
    }
    if (status == STATUS_OK) {
        status = attr_int_in(node, "right_window_size", ATTENTION_UNBOUNDED,
                             ATTENTION_UNBOUNDED, INT64_MAX, &state->right, err);
    }
    if (status == STATUS_OK) {
        status = attr_int_in(node, "qk_matmul_output_mode", 0, 0,
                             ATTENTION_STAGE_COUNT - 1, &stage, err);
    }
    state->left = state->left < ATTENTION_WINDOW_MAX ? state->left : ATTENTION_WINDOW_MAX;
    state->right =
        state->right < ATTENTION_WINDOW_MAX ? state->right : ATTENTION_WINDOW_MAX;
    state->stage = (enum attention_stage)stage;
    return status;
}

/* The types the table cannot say. */
static enum status check_types(struct load *load, struct error *err) {
    const struct graph *graph = load->graph;
    const struct node *node = load->node;
    const enum dtype q = graph_input_dtype(graph, node, IN_Q);
    const enum dtype mask = graph_input_dtype(graph, node, IN_MASK);
    const enum dtype past = graph_input_dtype(graph, node, IN_PAST_VALUE);
    const enum dtype valid = graph_input_dtype(graph, node, IN_VALID);
    const bool has_past = graph_input_dtype(graph, node, IN_PAST_KEY) != DTYPE_NONE;
    if ((mask != DTYPE_NONE && mask != DTYPE_BOOL && mask != q) ||
        (past != DTYPE_NONE && past != q) ||
        (valid != DTYPE_NONE && valid != DTYPE_I64)) {
        return node_error(load->node, err, STATUS_UNSUPPORTED,
                          "the mask or the past has another type than the queries");
    }
    if (has_past != (past != DTYPE_NONE) || (has_past && valid != DTYPE_NONE)) {
        return node_error(load->node, err, STATUS_INVALID,
                          "past_key and past_value go together, without "
                          "nonpad_kv_seqlen");
    }
    return STATUS_OK;
}

static enum status prepare(struct load *load, struct error *err) {
    struct attention_state *state = load_state(load, struct attention_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    attr_ignore(load->node, "softmax_precision"); /* the inputs' */
    state->has_scale = attr_find(load->node, "scale") != NULL;
    status = attr_float(load->node, "scale", 0, &state->scale, err);
    if (status == STATUS_OK) {
        status = attr_float(load->node, "softcap", 0, &state->softcap, err);
    }
    if (status == STATUS_OK) {
        status = attr_bool(load->node, "is_causal", false, &state->causal, err);
    }
    if (status == STATUS_OK) {
        status = read_numbers(load, state, err);
    }
    return status == STATUS_OK ? check_types(load, err) : status;
}

/* Without graphs that change the scores it is an Attention. */
static enum status flex_prepare(struct load *load, struct error *err) {
    if (load->node->body_count > 0) {
        load->node->op = &flex_attention_op;
        return flex_attention_op.prepare(load, err);
    }
    return prepare(load, err);
}

bool attention_fuse(struct graph *graph, struct node *node, const int inputs[4],
                    const struct attention_fusion *fusion) {
    const int y = node->outputs[0];
    struct attention_state *state = arena_alloc(&graph->arena, 1, sizeof(*state));
    if (state == NULL || !graph_node_room(graph, node, 4, 1)) {
        return false;
    }
    memcpy(node->inputs, inputs, 4 * sizeof(*inputs));
    node->outputs[0] = y;
    *state = (struct attention_state){.layout = *fusion,
                                      .scale = fusion->scale,
                                      .has_scale = true,
                                      .fused = true,
                                      .left = ATTENTION_UNBOUNDED,
                                      .right = ATTENTION_UNBOUNDED};
    node->op = op_find(NULL, "Attention", 23);
    assert(node->op != NULL);
    node->type = "Attention";
    node->attrs = (struct attr_list){0};
    node->act = (struct act){0};
    node->state = state;
    return true;
}

/* ---- shape --------------------------------------------------------------------- */

/* Any operand as batch x heads x rows x size. */
struct split {
    int64_t batch, heads, rows, size;
};

static bool split_of(const struct tensor *x, enum attention_layout layout, int64_t heads,
                     struct split *split) {
    if (x->rank == 3) {
        if (heads < 1 || x->dims[2] % heads != 0) {
            return false;
        }
        *split = (struct split){x->dims[0], heads, x->dims[1], x->dims[2] / heads};
        return true;
    }
    if (x->rank != 4) {
        return false;
    }
    *split = layout == ATTENTION_HEADS_FIRST
                 ? (struct split){x->dims[0], x->dims[1], x->dims[2], x->dims[3]}
                 : (struct split){x->dims[0], x->dims[2], x->dims[1], x->dims[3]};
    return heads == 0 || split->heads == heads;
}

/* Batches that may meet: MatMul spreads one over many. */
static bool meets(const struct attention_state *state, int64_t *batch, int64_t with) {
    if (state->fused && *batch == 1) {
        *batch = with;
    }
    return *batch == with || (state->fused && with == 1);
}

static struct attention_rows rows_of(const struct split *split, bool heads_first) {
    const int64_t wide = split->heads * split->size;
    return (struct attention_rows){
        .batch = split->batch == 1 ? 0 : split->rows * wide,
        .head = heads_first ? split->rows * split->size : split->size,
        .row = heads_first ? split->size : wide,
    };
}

static bool heads_first(const struct tensor *x, enum attention_layout layout) {
    return x->rank == 4 && layout == ATTENTION_HEADS_FIRST;
}

static enum status mismatch(const struct exec *exec, const char *what, int a, int b,
                            struct error *err) {
    char left[TENSOR_SHAPE_TEXT_MAX], right[TENSOR_SHAPE_TEXT_MAX];
    const struct tensor *x = exec->x[a], *y = exec->x[b];
    return node_error(exec->node, err, STATUS_POISON, "%s %s does not fit queries %s",
                      what, tensor_shape_text(y->dims, y->rank, right, sizeof(right)),
                      tensor_shape_text(x->dims, x->rank, left, sizeof(left)));
}

/* A past [batch, heads, rows, size]. */
static bool past_fits(const struct tensor *past, const struct split *with, int64_t rows) {
    return past->rank == 4 && past->dims[0] == with->batch &&
           past->dims[1] == with->heads && past->dims[2] == rows &&
           past->dims[3] == with->size;
}

/* The mask spreads over [batch, heads, queries]; its last axis may be short. */
static bool spread_mask(const struct attention_state *state, const struct tensor *mask,
                        struct attention *call) {
    int64_t *steps[] = {&call->mask.batch, &call->mask.head, &call->mask.row}, step;
    if (mask->rank < 1 || mask->rank > 4 ||
        (mask->rank == 4 && !meets(state, &call->batch, mask->dims[0]))) {
        return false;
    }
    const int64_t full[] = {call->batch, call->heads, call->queries};
    step = call->mask_keys = mask->dims[mask->rank - 1];
    for (int i = 2; i >= 0; i--) {
        const int axis = mask->rank - 4 + i;
        const int64_t dim = axis < 0 ? 1 : mask->dims[axis];
        if (dim != 1 && dim != full[i]) {
            return false;
        }
        *steps[i] = dim == 1 ? 0 : step;
        step *= dim;
    }
    call->mask_is_bool = mask->dtype == DTYPE_BOOL;
    call->mask_is_column = state->fused && call->mask_keys == 1;
    call->mask_keys = call->mask_is_column ? call->keys : call->mask_keys;
    return call->mask_keys <= call->keys;
}

static void set_dims(struct tensor *x, int64_t a, int64_t b, int64_t c, int64_t d) {
    const int64_t dims[] = {a, b, c, d};
    x->rank = 4;
    memcpy(x->dims, dims, sizeof(dims));
}

static void set_outputs(const struct exec *exec, struct attention *call) {
    const struct attention_state *state = exec->node->state;
    const struct split y = {call->batch, call->heads, call->queries, call->v_size};
    struct tensor *out = exec->y[OUT_Y];
    if (exec->x[IN_Q]->rank == 3) {
        out->rank = 3;
        out->dims[0] = y.batch;
        out->dims[1] = y.rows;
        out->dims[2] = y.heads * y.size;
    } else if (state->layout.y == ATTENTION_HEADS_FIRST) {
        set_dims(out, y.batch, y.heads, y.rows, y.size);
    } else {
        set_dims(out, y.batch, y.rows, y.heads, y.size);
    }
    call->y = rows_of(&y, heads_first(out, state->layout.y));
    if (exec_wants(exec, OUT_KEY)) {
        set_dims(exec->y[OUT_KEY], y.batch, call->kv_heads, call->keys, call->size);
    }
    if (exec_wants(exec, OUT_VALUE)) {
        set_dims(exec->y[OUT_VALUE], y.batch, call->kv_heads, call->keys, call->v_size);
    }
    if (exec_wants(exec, OUT_SCORES)) {
        set_dims(exec->y[OUT_SCORES], y.batch, y.heads, call->queries, call->keys);
    }
}

/* Room for one operand joined with its past, where no output takes it. */
static bool join_room(const struct exec *exec, int output, int64_t size, size_t *total) {
    const struct attention_memo *memo = exec->memo;
    size_t count;
    const int64_t dims[] = {memo->call.batch, memo->call.kv_heads, memo->call.keys, size};
    if (!exec_has(exec, IN_PAST_KEY) || exec_wants(exec, output)) {
        return true;
    }
    return tensor_dims_count(dims, 4, &count) &&
           size_mul(count, dtype_size(exec->x[IN_Q]->dtype), &count) &&
           count < SIZE_MAX / 4 && size_add(*total, size_align(count, 64), total);
}

static enum status set_scratch(struct exec *exec, struct error *err) {
    struct attention_memo *memo = exec->memo;
    size_t kernel, total = 0;
    bool fits = join_room(exec, OUT_KEY, memo->call.size, &total);
    memo->key_at = 0;
    memo->value_at = total;
    fits = fits && join_room(exec, OUT_VALUE, memo->call.v_size, &total);
    memo->kernel_at = total;
    kernel = exec->x[IN_Q]->dtype == DTYPE_F32 ? attention_f32_scratch_size(&memo->call)
                                               : attention_f64_scratch_size(&memo->call);
    if (!fits || kernel >= SIZE_MAX / 4 || !size_add(total, kernel, &total)) {
        return node_error(exec->node, err, STATUS_POISON, "the scores are too large");
    }
    exec->scratch_size = total;
    return STATUS_OK;
}

static enum status take_sizes(struct exec *exec, struct split *q, struct split *k,
                              struct split *v, int64_t *batch, struct error *err) {
    const struct attention_state *state = exec->node->state;
    const struct attention_fusion *layout = &state->layout;
    const struct tensor *const *x = exec->x;
    if (!split_of(x[IN_Q], layout->q, state->heads, q)) {
        return mismatch(exec, "the number of heads of", IN_Q, IN_Q, err);
    }
    *batch = q->batch;
    if (x[IN_K]->rank != x[IN_Q]->rank ||
        !split_of(x[IN_K], layout->k, state->kv_heads, k) ||
        !meets(state, batch, k->batch) || k->size != q->size ||
        (k->heads == 0 && q->heads != 0) || (k->heads != 0 && q->heads % k->heads != 0)) {
        return mismatch(exec, "K", IN_Q, IN_K, err);
    }
    if (x[IN_V]->rank != x[IN_Q]->rank ||
        !split_of(x[IN_V], layout->v, state->kv_heads, v) ||
        !meets(state, batch, v->batch) || v->heads != k->heads || v->rows != k->rows) {
        return mismatch(exec, "V", IN_Q, IN_V, err);
    }
    return STATUS_OK;
}

static enum status take_options(struct exec *exec, const struct split *k,
                                const struct split *v, struct error *err) {
    struct attention *call = &((struct attention_memo *)exec->memo)->call;
    const struct tensor *const *x = exec->x;
    if (exec_has(exec, IN_PAST_KEY)) {
        call->past = x[IN_PAST_KEY]->rank == 4 ? x[IN_PAST_KEY]->dims[2] : 0;
        if (call->past > INT32_MAX || !past_fits(x[IN_PAST_KEY], k, call->past) ||
            !past_fits(x[IN_PAST_VALUE], v, call->past)) {
            return mismatch(exec, "a past", IN_Q, IN_PAST_KEY, err);
        }
        call->keys += call->past;
    }
    if (exec_has(exec, IN_MASK) && !spread_mask(exec->node->state, x[IN_MASK], call)) {
        return mismatch(exec, "a mask", IN_Q, IN_MASK, err);
    }
    if (exec_has(exec, IN_VALID) &&
        (x[IN_VALID]->rank != 1 || x[IN_VALID]->dims[0] != call->batch)) {
        return mismatch(exec, "nonpad_kv_seqlen", IN_Q, IN_VALID, err);
    }
    return STATUS_OK;
}

static float default_scale(int64_t size) {
    return size > 0 ? (float)(1 / sqrt((double)size)) : 1.0F;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct attention_state *state = exec->node->state;
    struct attention_memo *memo = exec->memo;
    struct split q, k, v;
    int64_t batch = 0;
    enum status status = take_sizes(exec, &q, &k, &v, &batch, err);
    if (status != STATUS_OK) {
        return status;
    }
    memo->call = (struct attention){
        .batch = batch,
        .heads = q.heads,
        .kv_heads = k.heads,
        .queries = q.rows,
        .keys = k.rows,
        .size = q.size,
        .v_size = v.size,
        .scale = state->has_scale ? state->scale : default_scale(q.size),
        .softcap = state->softcap,
        .causal = state->causal,
        .left = state->left,
        .right = state->right,
        .stage = state->stage,
        .empty_is_nan = state->fused,
    };
    status = take_options(exec, &k, &v, err);
    if (status != STATUS_OK) {
        return status;
    }
    memo->call.q = rows_of(&q, heads_first(exec->x[IN_Q], state->layout.q));
    memo->call.k = rows_of(&k, heads_first(exec->x[IN_K], state->layout.k));
    memo->call.v = rows_of(&v, heads_first(exec->x[IN_V], state->layout.v));
    set_outputs(exec, &memo->call);
    return set_scratch(exec, err);
}

/* ---- run ----------------------------------------------------------------------- */

/* [batch, kv_heads, past + rows, size] from a past and the new rows. */
static void join(const struct exec *exec, const struct tensor *past,
                 const struct attention_rows *rows, int64_t size, uint8_t *to) {
    const struct attention *call = &((const struct attention_memo *)exec->memo)->call;
    const size_t element = dtype_size(exec->x[IN_Q]->dtype);
    const size_t each = (size_t)size * element;
    const size_t old = (size_t)call->past * each;
    const uint8_t *before = past == NULL ? NULL : past->data;
    for (int64_t b = 0; b < call->batch; b++) {
        for (int64_t h = 0; h < call->kv_heads; h++) {
            const uint8_t *from = (const uint8_t *)rows->data +
                                  (size_t)(b * rows->batch + h * rows->head) * element;
            if (old > 0) {
                memcpy(to, before, old);
                before += old;
                to += old;
            }
            for (int64_t i = 0; i < call->keys - call->past; i++, to += each) {
                memcpy(to, from + (size_t)(i * rows->row) * element, each);
            }
        }
    }
}

/* Keys or values as the kernel shall see them, copied to the output that wants them. */
static void take_operand(struct exec *exec, int in, int past, int out, size_t scratch_at,
                         int64_t size, struct attention_rows *rows) {
    const struct attention *call = &((const struct attention_memo *)exec->memo)->call;
    const bool joins = exec_has(exec, past);
    rows->data = exec->x[in]->data;
    if (!joins && !exec_wants(exec, out)) {
        return;
    }
    uint8_t *to = exec_wants(exec, out) ? exec->y[out]->data
                                        : (uint8_t *)exec->scratch + scratch_at;
    const struct split split = {call->batch, call->kv_heads, call->keys, size};
    if (size > 0) {
        join(exec, joins ? exec->x[past] : NULL, rows, size, to);
    }
    *rows = rows_of(&split, true);
    rows->data = to;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct attention_memo *memo = exec->memo;
    struct attention call = memo->call;
    (void)err; /* cannot fail */
    if (call.batch == 0 || call.kv_heads == 0) {
        return STATUS_OK;
    }
    call.q.data = exec->x[IN_Q]->data;
    call.y.data = exec->y[OUT_Y]->data;
    take_operand(exec, IN_K, IN_PAST_KEY, OUT_KEY, memo->key_at, call.size, &call.k);
    take_operand(exec, IN_V, IN_PAST_VALUE, OUT_VALUE, memo->value_at, call.v_size,
                 &call.v);
    call.mask.data = exec_has(exec, IN_MASK) ? exec->x[IN_MASK]->data : NULL;
    call.valid = exec_has(exec, IN_VALID) ? exec->x[IN_VALID]->data : NULL;
    call.scores = exec_wants(exec, OUT_SCORES) ? exec->y[OUT_SCORES]->data : NULL;
    if (tensor_count(exec->y[OUT_Y]) == 0 && call.scores == NULL) {
        return STATUS_OK; /* scores are many even of heads of nothing */
    }
    uint8_t *scratch = (uint8_t *)exec->scratch + memo->kernel_at;
    if (exec->x[IN_Q]->dtype == DTYPE_F32) {
        attention_f32(&call, scratch);
    } else {
        attention_f64(&call, scratch);
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "Attention",
        .since = 23,
        .inputs_min = 3,
        .inputs_max = 7,
        .outputs_max = 4,
        /* The last entry also stands for nonpad_kv_seqlen; prepare tells them apart. */
        .types = {TYPES_FLOAT, 0, 0, TYPES_FLOAT | TYPES_BOOL, 0,
                  TYPES_FLOAT | TYPES_I64},
        .memo_size = sizeof(struct attention_memo),
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
    {
        .domain = "ai.onnx.preview",
        .name = "FlexAttention",
        .since = 1,
        .inputs_min = 3,
        .inputs_max = NODE_INPUTS_MAX, /* what its graphs capture */
        .types = {TYPES_FLOAT, 0, 0, TYPES_VALUE, TYPES_VALUE, TYPES_VALUE},
        .memo_size = sizeof(struct attention_memo),
        .prepare = flex_prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_attention = OP_LIST(ops);
