/* flex_attention.c - FlexAttention with graphs that change its scores or probabilities:
 *
 *     y = prob_mod(softmax(score_mod(scale Q K^T))) V
 *
 * The graphs see whole [batch, heads, queries, keys] tensors, so all of it is computed in
 * shape(), where bodies run. */
#include "engine/ops/flex_attention.h"

#include <math.h>

#include "base/size.h"
#include "engine/body.h"
#include "engine/kernels/gemm.h"
#include "engine/kernels/vmath.h"

enum { IN_Q, IN_K, IN_V };
enum { HOLD_SCORES, HOLD_RESULT, HOLD_SCRATCH, HOLDS };

struct mod {
    struct model *body; /* NULL where there is none */
    int index;
};

struct flex_state {
    float scale;
    bool has_scale;
    struct mod score, prob;
};

/* Sizes of one call. */
struct flex {
    int64_t batch, heads, shared, queries, keys, size,
        v_size; /* heads that share a key */
    double scale;
};

static enum status load_mod(struct load *load, const char *name, struct mod *mod,
                            struct error *err) {
    const struct value *scores = graph_input(load->graph, load->node, IN_Q);
    enum status status;
    if (attr_find(load->node, name) == NULL) {
        return STATUS_OK;
    }
    status = body_load(load, name, &scores, 1, &mod->body, &mod->index, err);
    if (status == STATUS_OK &&
        (mod->body->graph.output_count != 1 ||
         mod->body->graph.values[mod->body->graph.outputs[0]].dtype != scores->dtype)) {
        status = node_error(load->node, err, STATUS_INVALID,
                            "its graph %s does not make one tensor of %s", name,
                            dtype_name(scores->dtype));
    }
    return status;
}

static enum status prepare(struct load *load, struct error *err) {
    struct flex_state *state = load_state(load, struct flex_state);
    enum dtype dtype = graph_input_dtype(load->graph, load->node, IN_Q);
    int64_t precision = dtype;
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    state->has_scale = attr_find(load->node, "scale") != NULL;
    status = attr_float(load->node, "scale", 0, &state->scale, err);
    if (status == STATUS_OK) {
        status = attr_int(load->node, "softmax_precision", dtype, &precision, err);
    }
    if (status == STATUS_OK && precision != (int64_t)dtype) {
        status = node_error(load->node, err, STATUS_UNSUPPORTED,
                            "softmax_precision is %lld, %s is computed in",
                            (long long)precision, dtype_name(dtype));
    }
    if (status == STATUS_OK) {
        status = load_mod(load, "score_mod", &state->score, err);
    }
    return status == STATUS_OK ? load_mod(load, "prob_mod", &state->prob, err) : status;
}

static enum status take_sizes(const struct exec *exec, struct flex *flex,
                              struct error *err) {
    const struct flex_state *state = exec->node->state;
    const struct tensor *q = exec->x[IN_Q], *k = exec->x[IN_K], *v = exec->x[IN_V];
    bool fits = q->rank == 4 && k->rank == 4 && v->rank == 4 &&
                k->dims[0] == q->dims[0] && v->dims[0] == q->dims[0] &&
                k->dims[1] == v->dims[1] && k->dims[1] > 0 &&
                q->dims[1] % k->dims[1] == 0 && k->dims[2] == v->dims[2] &&
                k->dims[3] == q->dims[3];
    if (!fits) {
        char a[TENSOR_SHAPE_TEXT_MAX], b[TENSOR_SHAPE_TEXT_MAX], c[TENSOR_SHAPE_TEXT_MAX];
        return node_error(exec->node, err, STATUS_POISON,
                          "Q %s, K %s and V %s do not fit together",
                          tensor_shape_text(q->dims, q->rank, a, sizeof(a)),
                          tensor_shape_text(k->dims, k->rank, b, sizeof(b)),
                          tensor_shape_text(v->dims, v->rank, c, sizeof(c)));
    }
    *flex = (struct flex){
        .batch = q->dims[0],
        .heads = q->dims[1],
        .shared = q->dims[1] / k->dims[1],
        .queries = q->dims[2],
        .keys = k->dims[2],
        .size = q->dims[3],
        .v_size = v->dims[3],
        .scale = state->has_scale ? (double)state->scale
                 : q->dims[3] > 0 ? 1 / sqrt((double)q->dims[3])
                                  : 1,
    };
    return STATUS_OK;
}

static struct tensor scores_tensor(const struct exec *exec, const struct flex *flex) {
    const struct body_memo *memo = exec->memo;
    return (struct tensor){.dtype = exec->x[IN_Q]->dtype,
                           .rank = 4,
                           .dims = {flex->batch, flex->heads, flex->queries, flex->keys},
                           .data = memo->holds[HOLD_SCORES].data};
}

/* a [m,k] times b, [n,k] where `trans_b`, for each head; b is shared by some of them. */
static void multiply(const struct exec *exec, const struct flex *flex, bool trans_b,
                     int64_t n, int64_t k, double alpha, const void *a, const void *b,
                     void *c) {
    const struct body_memo *memo = exec->memo;
    const int64_t m = flex->queries;
    for (int64_t i = 0; m * n > 0 && i < flex->batch * flex->heads; i++) {
        int64_t p = i * m * k, q = i / flex->shared * n * k, r = i * m * n;
        if (exec->x[IN_Q]->dtype == DTYPE_F32) {
            gemm_f32(false, trans_b, m, n, k, (float)alpha, (const float *)a + p, k,
                     (const float *)b + q, trans_b ? k : n, 0, (float *)c + r, n,
                     memo->holds[HOLD_SCRATCH].data);
        } else {
            gemm_f64(false, trans_b, m, n, k, alpha, (const double *)a + p, k,
                     (const double *)b + q, trans_b ? k : n, 0, (double *)c + r, n);
        }
    }
}

static void softmax_f64(int64_t rows, int64_t columns, double *x) {
    for (int64_t r = 0; r < rows; r++, x += columns) {
        double top = -INFINITY, sum = 0;
        for (int64_t i = 0; i < columns; i++) {
            top = x[i] > top ? x[i] : top;
        }
        for (int64_t i = 0; i < columns; i++) {
            x[i] = exp(x[i] - top);
            sum += x[i];
        }
        for (int64_t i = 0; i < columns; i++) {
            x[i] /= sum;
        }
    }
}

/* Lets a graph change the scores, which stay in their hold. */
static enum status run_mod(struct exec *exec, const struct mod *mod,
                           const struct flex *flex, struct error *err) {
    struct body_memo *memo = exec->memo;
    const struct tensor scores = scores_tensor(exec, flex);
    const struct tensor *made;
    enum status status;
    if (mod->body == NULL) {
        return STATUS_OK;
    }
    memo->inputs[0] = scores;
    status = body_run(exec, mod->body, mod->index, memo->inputs, 1, err);
    if (status != STATUS_OK) {
        return status;
    }
    made = session_output(exec->bodies[mod->index], 0);
    if (made->rank != 4 || memcmp(made->dims, scores.dims, 4 * sizeof(int64_t)) != 0) {
        return node_error(exec->node, err, STATUS_POISON,
                          "a graph changes the shape of the scores");
    }
    if (tensor_size(made) > 0) {
        memcpy(memo->holds[HOLD_SCORES].data, made->data, tensor_size(made));
    }
    return STATUS_OK;
}

static enum status grow_holds(struct exec *exec, const struct flex *flex,
                              struct error *err) {
    struct body_memo *memo = exec->memo;
    const struct tensor scores = scores_tensor(exec, flex);
    const int64_t dims[] = {flex->batch, flex->heads, flex->queries, flex->v_size};
    size_t element = dtype_size(scores.dtype), count = 0, made = 0;
    enum status status;
    if (!tensor_dims_count(scores.dims, 4, &count) ||
        !tensor_dims_count(dims, 4, &made) || count > SIZE_MAX / 64 ||
        made > SIZE_MAX / 64) {
        return node_error(exec->node, err, STATUS_POISON, "the scores are too large");
    }
    status = hold_grow(exec, &memo->holds[HOLD_SCORES], count * element, err);
    if (status == STATUS_OK) {
        status = hold_grow(exec, &memo->holds[HOLD_RESULT], made * element, err);
    }
    if (status == STATUS_OK) {
        size_t product =
            gemm_f32_scratch_size(true, flex->queries, flex->keys, flex->size);
        size_t mix =
            gemm_f32_scratch_size(false, flex->queries, flex->v_size, flex->keys);
        status = hold_grow(exec, &memo->holds[HOLD_SCRATCH], size_max(product, mix), err);
    }
    return status;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct flex_state *state = exec->node->state;
    struct body_memo *memo = exec->memo;
    struct flex flex;
    void *scores;
    int64_t rows;
    enum status status = take_sizes(exec, &flex, err);
    if (status == STATUS_OK) {
        status = body_memo_make(exec, HOLDS, err);
    }
    if (status == STATUS_OK) {
        status = grow_holds(exec, &flex, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    scores = memo->holds[HOLD_SCORES].data;
    rows = flex.batch * flex.heads * flex.queries;
    multiply(exec, &flex, true, flex.keys, flex.size, flex.scale, exec->x[IN_Q]->data,
             exec->x[IN_K]->data, scores);
    status = run_mod(exec, &state->score, &flex, err);
    if (status != STATUS_OK) {
        return status;
    }
    if (exec->x[IN_Q]->dtype == DTYPE_F32) {
        vmath_softmax_rows(rows, flex.keys, scores, scores);
    } else {
        softmax_f64(rows, flex.keys, scores);
    }
    status = run_mod(exec, &state->prob, &flex, err);
    if (status != STATUS_OK) {
        return status;
    }
    multiply(exec, &flex, false, flex.v_size, flex.keys, 1, scores, exec->x[IN_V]->data,
             memo->holds[HOLD_RESULT].data);
    memo->results[0] = scores_tensor(exec, &flex);
    memo->results[0].dims[3] = flex.v_size;
    memo->results[0].data = memo->holds[HOLD_RESULT].data;
    body_memo_shape(exec);
    return STATUS_OK;
}

const struct op flex_attention_op = {
    .domain = "ai.onnx.preview",
    .name = "FlexAttention",
    .since = 1,
    .inputs_min = 3,
    .inputs_max = NODE_INPUTS_MAX,
    .flags = OP_DYNAMIC,
    .types = {TYPES_FLOAT, 0, 0, TYPES_VALUE, TYPES_VALUE, TYPES_VALUE},
    .memo_size = sizeof(struct body_memo),
    .prepare = prepare,
    .shape = shape,
    .run = body_memo_run,
    .release = body_memo_release,
};
