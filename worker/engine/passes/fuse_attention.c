/* fuse_attention.c - attention where it was exported in pieces, heads and all.
 *
 *     q [b,s,h,d] ─ Transpose ─ (* a) ─┐
 *                                      MatMul ─ (* c) ─ (+ mask) ─ Softmax ─┐
 *     k [b,t,h,d] ─ Transpose ─ (* b) ─┘                                    MatMul ─
 * (Transpose) v [b,t,h,e] ─ Transpose ──────────────────────────────────────────────┘
 *
 * The Transposes prove that there are four axes; the kernel reads across them.  What is
 * in brackets may be absent. */
#include <string.h>

#include "engine/op.h"
#include "engine/ops/attention.h"
#include "engine/ops/ops.h"
#include "engine/passes/match.h"
#include "engine/passes/passes.h"

static const int64_t swap_rows[] = {0, 2, 1, 3}; /* rows and heads */
static const int64_t swap_last[] = {0, 1, 3, 2}; /* rows and features */
static const int64_t turn_last[] = {0, 2, 3, 1}; /* both in one */

static bool has_perm(const struct node *node, const int64_t perm[4]) {
    int rank;
    const int64_t *found = transpose_perm(node, &rank);
    return found != NULL && rank == 4 && memcmp(found, perm, 4 * sizeof(*perm)) == 0;
}

/* The x of a Transpose by `perm`, or VALUE_NONE. */
static int transposed(struct graph *graph, int value, const int64_t perm[4]) {
    const struct node *node = match_maker(graph, value, "Transpose");
    return node != NULL && has_perm(node, perm) ? node->inputs[0] : VALUE_NONE;
}

/* Passes over a multiplication or division by a number, which goes to *scale. */
static int unscaled(struct graph *graph, int value, float *scale) {
    const struct node *node = match_maker(graph, value, "Mul");
    float scalar;
    int other;
    if (node != NULL && match_with_scalar(graph, node, &other, &scalar)) {
        *scale *= scalar;
        return other;
    }
    node = match_maker(graph, value, "Div");
    if (node != NULL && match_scalar(graph, node->inputs[1], &scalar) && scalar != 0.0F) {
        *scale /= scalar;
        return node->inputs[0];
    }
    return value;
}

/* The product behind the scores, or NULL. */
static struct node *product_of(struct graph *graph, int value, float *scale) {
    struct node *product;
    *scale = 1.0F;
    product = match_maker(graph, unscaled(graph, value, scale), "MatMul");
    return product != NULL && product->input_count == 2 ? product : NULL;
}

/* The product Q K^T behind a Softmax, and the mask added to it or VALUE_NONE. */
static struct node *scores_of(struct graph *graph, const struct node *softmax, int *mask,
                              float *scale) {
    const struct node *add = match_maker(graph, softmax->inputs[0], "Add");
    *mask = VALUE_NONE;
    if (add == NULL) {
        return product_of(graph, softmax->inputs[0], scale);
    }
    for (int i = 0; i < 2; i++) {
        struct node *product = product_of(graph, add->inputs[i], scale);
        if (product != NULL) {
            *mask = add->inputs[!i];
            return product;
        }
    }
    return NULL;
}

/* The last axis of four, or the last whatever their number. */
static bool over_last_axis(struct node *softmax) {
    const struct attr *axis = attr_find(softmax, "axis");
    if (axis == NULL) {
        return softmax->op->since >= 13;
    }
    return axis->kind == ATTR_INT && (axis->as.i == -1 || axis->as.i == 3);
}

/* ---- the last two axes swapped by way of three ------------------------------------ */

/* torch writes Reshape(Transpose(Reshape(k, [-1, t, d]), [0, 2, 1]), [.., d, t]), with
 * the sizes cut from k's shape. */

static bool is_int(const struct graph *graph, const struct node *node, int input,
                   int64_t low, int64_t high) {
    const struct tensor *x = graph_constant(graph, node, input);
    return x != NULL && x->dtype == DTYPE_I64 && tensor_count(x) == 1 &&
           *(const int64_t *)x->data >= low && *(const int64_t *)x->data <= high;
}

/* `value` is the shape of `of`, cut: begins at `start` and ends at `end`, where INT64_MIN
 * and INT64_MAX stand for the first and the last. */
static bool is_cut(struct graph *graph, int value, int of, int64_t start, int64_t end) {
    const struct node *slice = match_maker(graph, value, "Slice");
    struct node *shape;
    const struct attr *from;
    shape = slice == NULL ? NULL : match_maker(graph, slice->inputs[0], "Shape");
    if (shape == NULL || shape->inputs[0] != of || slice->input_count > 4 ||
        (slice->input_count == 4 && !is_int(graph, slice, 3, 0, 0))) {
        return false;
    }
    from = attr_find(shape, "start");
    return (from == NULL || (from->kind == ATTR_INT && from->as.i == 0)) &&
           attr_find(shape, "end") == NULL &&
           is_int(graph, slice, 1, start, start == INT64_MIN ? INT64_MIN + 1 : start) &&
           is_int(graph, slice, 2, end == INT64_MAX ? INT32_MAX : end, end);
}

/* The k whose last axes were swapped so, or VALUE_NONE. */
static int swapped_by_reshape(struct graph *graph, int value) {
    static const int64_t swap[] = {0, 2, 1};
    const struct node *last = match_maker(graph, value, "Reshape"), *swapped, *first;
    const struct node *to, *from;
    int rank, k;
    swapped = last == NULL ? NULL : match_maker(graph, last->inputs[0], "Transpose");
    first = swapped == NULL ? NULL : match_maker(graph, swapped->inputs[0], "Reshape");
    if (first == NULL) {
        return VALUE_NONE;
    }
    k = first->inputs[0];
    from = match_maker(graph, first->inputs[1], "Concat");
    to = match_maker(graph, last->inputs[1], "Concat");
    const int64_t *perm = transpose_perm(swapped, &rank);
    if (perm == NULL || rank != 3 || memcmp(perm, swap, sizeof(swap)) != 0 ||
        from == NULL || from->input_count != 3 || to == NULL || to->input_count != 3) {
        return VALUE_NONE;
    }
    return is_int(graph, from, 0, -1, -1) && is_cut(graph, from->inputs[1], k, -2, -1) &&
                   is_cut(graph, from->inputs[2], k, -1, INT64_MAX) &&
                   is_cut(graph, to->inputs[0], k, INT64_MIN, -2) &&
                   is_cut(graph, to->inputs[1], k, -1, INT64_MAX) &&
                   is_cut(graph, to->inputs[2], k, -2, -1)
               ? k
               : VALUE_NONE;
}

/* ---- the whole --------------------------------------------------------------------- */

static bool take_keys(struct graph *graph, int value, int inputs[4],
                      struct attention_fusion *fusion) {
    value = unscaled(graph, value, &fusion->scale);
    fusion->k = ATTENTION_ROWS_FIRST;
    inputs[1] = transposed(graph, value, turn_last);
    if (inputs[1] != VALUE_NONE) {
        return true;
    }
    const int by_reshape = swapped_by_reshape(graph, value);
    if (by_reshape != VALUE_NONE) { /* of any rank, unless a Transpose proves it */
        inputs[1] = transposed(graph, by_reshape, swap_rows);
        return inputs[1] != VALUE_NONE;
    }
    value = transposed(graph, value, swap_last);
    if (value == VALUE_NONE) {
        return false;
    }
    value = unscaled(graph, value, &fusion->scale);
    inputs[1] = transposed(graph, value, swap_rows);
    if (inputs[1] == VALUE_NONE) {
        fusion->k = ATTENTION_HEADS_FIRST;
        inputs[1] = value;
    }
    return true;
}

/* Sets what `last`, a product with Softmax's result, reads in the end. */
static bool match(struct graph *graph, const struct node *last, int inputs[4],
                  struct attention_fusion *fusion) {
    struct node *softmax = match_maker(graph, last->inputs[0], "Softmax");
    const struct node *scores;
    if (softmax == NULL || !over_last_axis(softmax)) {
        return false;
    }
    *fusion =
        (struct attention_fusion){.q = ATTENTION_ROWS_FIRST, .v = ATTENTION_ROWS_FIRST};
    scores = scores_of(graph, softmax, &inputs[3], &fusion->scale);
    if (scores == NULL ||
        (inputs[3] != VALUE_NONE && graph->values[inputs[3]].dtype != DTYPE_F32)) {
        return false;
    }
    inputs[0] =
        transposed(graph, unscaled(graph, scores->inputs[0], &fusion->scale), swap_rows);
    inputs[2] = transposed(graph, last->inputs[1], swap_rows);
    return inputs[0] != VALUE_NONE && inputs[2] != VALUE_NONE &&
           take_keys(graph, scores->inputs[1], inputs, fusion);
}

enum status pass_fuse_attention(struct graph *graph, struct error *err) {
    for (int n = 0; n < graph->node_count; n++) {
        struct node *last = &graph->nodes[n], *merge;
        struct attention_fusion fusion;
        int inputs[4];
        if (!match_is(last, "MatMul") || last->input_count != 2 ||
            graph_input_dtype(graph, last, 0) != DTYPE_F32 ||
            !match(graph, last, inputs, &fusion)) {
            continue;
        }
        merge = graph_sole_reader(graph, last, "Transpose");
        merge = merge != NULL && has_perm(merge, swap_rows) ? merge : NULL;
        fusion.y = merge != NULL ? ATTENTION_ROWS_FIRST : ATTENTION_HEADS_FIRST;
        if (!attention_fuse(graph, last, inputs, &fusion)) {
            return node_error(last, err, STATUS_NO_MEMORY, "out of memory");
        }
        if (merge != NULL) {
            pass_take_output(graph, last, merge);
        }
        graph_recount(graph);
    }
    return STATUS_OK;
}
