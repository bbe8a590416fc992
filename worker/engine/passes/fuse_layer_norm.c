/* fuse_layer_norm.c - LayerNormalization over the last axis, where it was exported in
 * pieces.
 *
 *     d = x - ReduceMean(x)
 *     d / Sqrt(ReduceMean(d^2) + epsilon) * scale + bias */
#include <string.h>

#include "engine/passes/match.h"
#include "engine/passes/passes.h"

/* Over the last axis alone, which stays. */
static bool is_last_axis(struct graph *graph, struct node *mean) {
    const struct attr *keep = attr_find(mean, "keepdims"),
                      *axes = attr_find(mean, "axes");
    const struct tensor *input = graph_constant(graph, mean, 1);
    if (keep != NULL && (keep->kind != ATTR_INT || keep->as.i != 1)) {
        return false;
    }
    if (axes != NULL) {
        return axes->kind == ATTR_INTS && axes->count == 1 && axes->as.ints[0] == -1;
    }
    return input != NULL && input->dtype == DTYPE_I64 && tensor_count(input) == 1 &&
           *(const int64_t *)input->data == -1;
}

static struct node *mean_of(struct graph *graph, int value) {
    struct node *mean = match_maker(graph, value, "ReduceMean");
    return mean != NULL && is_last_axis(graph, mean) ? mean : NULL;
}

/* The x of x - mean(x), or VALUE_NONE. */
static int centred(struct graph *graph, int value) {
    const struct node *sub = match_maker(graph, value, "Sub"), *mean;
    mean = sub == NULL ? NULL : mean_of(graph, sub->inputs[1]);
    return mean != NULL && mean->inputs[0] == sub->inputs[0] ? sub->inputs[0]
                                                             : VALUE_NONE;
}

/* The d of d^2, or VALUE_NONE. */
static int square_of(struct graph *graph, int value) {
    const struct node *node = match_maker(graph, value, "Pow");
    if (node != NULL) {
        return match_near(graph, node->inputs[1], 2.0F) ? node->inputs[0] : VALUE_NONE;
    }
    node = match_maker(graph, value, "Mul");
    return node != NULL && node->inputs[0] == node->inputs[1] ? node->inputs[0]
                                                              : VALUE_NONE;
}

/* The x of Sqrt(mean((x - mean(x))^2) + epsilon), or VALUE_NONE. */
static int deviation_of(struct graph *graph, int value, float *epsilon) {
    const struct node *root = match_maker(graph, value, "Sqrt"), *add, *mean;
    int variance;
    add = root == NULL ? NULL : match_maker(graph, root->inputs[0], "Add");
    if (add == NULL || !match_with_scalar(graph, add, &variance, epsilon)) {
        return VALUE_NONE;
    }
    mean = mean_of(graph, variance);
    return mean == NULL ? VALUE_NONE : centred(graph, square_of(graph, mean->inputs[0]));
}

/* The x of (x - mean) / deviation, or VALUE_NONE. */
static int normalised(struct graph *graph, int value, float *epsilon) {
    const struct node *div = match_maker(graph, value, "Div"), *inverse;
    int x;
    if (div != NULL) {
        x = centred(graph, div->inputs[0]);
        return x != VALUE_NONE && deviation_of(graph, div->inputs[1], epsilon) == x
                   ? x
                   : VALUE_NONE;
    }
    const struct node *mul = match_maker(graph, value, "Mul");
    inverse = mul == NULL ? NULL : match_either(graph, mul, "Reciprocal", &x);
    if (inverse == NULL) {
        return VALUE_NONE;
    }
    x = centred(graph, x);
    return x != VALUE_NONE && deviation_of(graph, inverse->inputs[0], epsilon) == x
               ? x
               : VALUE_NONE;
}

static bool is_vector(const struct graph *graph, int value, int64_t count) {
    const struct tensor *x = graph->values[value].constant;
    return x != NULL && x->dtype == DTYPE_F32 && x->rank == 1 &&
           (count == 0 || x->dims[0] == count);
}

/* x and scale of a normalised x times a vector. */
static bool match_scaled(struct graph *graph, const struct node *mul, int *x, int *scale,
                         float *epsilon) {
    for (int i = 0; i < 2; i++) {
        *scale = mul->inputs[i];
        if (is_vector(graph, *scale, 0)) {
            *x = normalised(graph, mul->inputs[!i], epsilon);
            return *x != VALUE_NONE;
        }
    }
    return false;
}

static enum status fuse(struct graph *graph, struct node *last, int bias,
                        const struct node *mul, struct error *err) {
    struct attr epsilon = {.name = "epsilon", .kind = ATTR_FLOAT};
    int inputs[3] = {VALUE_NONE, VALUE_NONE, bias};
    if (!match_scaled(graph, mul, &inputs[0], &inputs[1], &epsilon.as.f) ||
        graph->values[inputs[0]].dtype != DTYPE_F32) {
        return STATUS_OK;
    }
    /* One number would spread over columns, which LayerNormalization does not know. */
    const int64_t count = graph->values[inputs[1]].constant->dims[0];
    if (count < 2 || !is_vector(graph, bias, count)) {
        return STATUS_OK;
    }
    return match_become(graph, last, "LayerNormalization", 17, inputs, 3, &epsilon, 1,
                        err);
}

enum status pass_fuse_layer_norm(struct graph *graph, struct error *err) {
    enum status status = STATUS_OK;
    for (int n = 0; n < graph->node_count && status == STATUS_OK; n++) {
        struct node *last = &graph->nodes[n];
        const struct node *mul;
        int bias;
        if (!match_is(last, "Add")) {
            continue;
        }
        mul = match_either(graph, last, "Mul", &bias);
        if (mul != NULL && bias != VALUE_NONE && is_vector(graph, bias, 0)) {
            status = fuse(graph, last, bias, mul, err);
        }
    }
    return status;
}
