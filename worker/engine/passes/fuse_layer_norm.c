/* fuse_layer_norm.c - LayerNormalization over the last axis, where it was exported in
 * pieces.
 *
 *     mean = ReduceMean(x), d = x - mean, deviation = Sqrt(ReduceMean(d^2) + epsilon)
 *     d / deviation * scale + bias
 *     x * m + (bias - mean * m), where m = 1 / deviation * scale
 *
 * tf2onnx writes GlobalAveragePool for the mean of a sequence's last axis. */
#include <string.h>

#include "engine/passes/match.h"
#include "engine/passes/passes.h"

/* What is found of a normalisation. */
struct found {
    int x, scale, bias;
    float epsilon;
    bool pooled; /* means are of GlobalAveragePool, so over all axes from the third */
};

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

static struct node *mean_of(struct graph *graph, int value, const struct found *found) {
    struct node *mean =
        match_maker(graph, value, found->pooled ? "GlobalAveragePool" : "ReduceMean");
    return mean != NULL && (found->pooled ? mean->layout == NODE_CHANNELS_FIRST
                                          : is_last_axis(graph, mean))
               ? mean
               : NULL;
}

/* The x of x - mean(x), or VALUE_NONE. */
static int centred(struct graph *graph, int value, const struct found *found) {
    const struct node *sub = match_maker(graph, value, "Sub"), *mean;
    mean = sub == NULL ? NULL : mean_of(graph, sub->inputs[1], found);
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
static int deviation_of(struct graph *graph, int value, struct found *found) {
    const struct node *root = match_maker(graph, value, "Sqrt"), *add, *mean;
    int variance;
    add = root == NULL ? NULL : match_maker(graph, root->inputs[0], "Add");
    if (add == NULL || !match_with_scalar(graph, add, &variance, &found->epsilon)) {
        return VALUE_NONE;
    }
    mean = mean_of(graph, variance, found);
    return mean == NULL ? VALUE_NONE
                        : centred(graph, square_of(graph, mean->inputs[0]), found);
}

/* The x of 1 / deviation, or VALUE_NONE. */
static int inverse_of(struct graph *graph, int value, struct found *found) {
    const struct node *inverse = match_maker(graph, value, "Reciprocal");
    return inverse == NULL ? VALUE_NONE : deviation_of(graph, inverse->inputs[0], found);
}

/* The x of (x - mean) / deviation, or VALUE_NONE. */
static int normalised(struct graph *graph, int value, struct found *found) {
    const struct node *div = match_maker(graph, value, "Div"), *mul;
    if (div != NULL) {
        const int x = centred(graph, div->inputs[0], found);
        return x != VALUE_NONE && deviation_of(graph, div->inputs[1], found) == x
                   ? x
                   : VALUE_NONE;
    }
    mul = match_maker(graph, value, "Mul");
    for (int i = 0; i < 2 && mul != NULL; i++) {
        const int x = centred(graph, mul->inputs[i], found);
        if (x != VALUE_NONE && inverse_of(graph, mul->inputs[!i], found) == x) {
            return x;
        }
    }
    return VALUE_NONE;
}

/* Numbers for the last axis; axes of 1 before it add none to x's three or more. */
static bool is_vector(const struct graph *graph, int value, int64_t count) {
    const struct tensor *x = graph->values[value].constant;
    return x != NULL && x->dtype == DTYPE_F32 && x->rank >= 1 && x->rank <= 3 &&
           (int64_t)tensor_count(x) == x->dims[x->rank - 1] &&
           (count == 0 || x->dims[x->rank - 1] == count);
}

/* x and scale of a normalised x times a vector. */
static bool match_scaled(struct graph *graph, const struct node *mul,
                         struct found *found) {
    for (int i = 0; i < 2; i++) {
        found->scale = mul->inputs[i];
        if (is_vector(graph, found->scale, 0)) {
            found->x = normalised(graph, mul->inputs[!i], found);
            return found->x != VALUE_NONE;
        }
    }
    return false;
}

/* Normalised and scaled, plus bias. */
static bool match_plain(struct graph *graph, const struct node *last,
                        struct found *found) {
    const struct node *mul = match_either(graph, last, "Mul", &found->bias);
    return mul != NULL && found->bias != VALUE_NONE && is_vector(graph, found->bias, 0) &&
           match_scaled(graph, mul, found);
}

/* The x of m = 1 / deviation * scale, or VALUE_NONE. */
static int factor_of(struct graph *graph, int m, struct found *found) {
    const struct node *mul = match_maker(graph, m, "Mul");
    for (int i = 0; i < 2 && mul != NULL; i++) {
        if (mul->inputs[i] != VALUE_NONE && is_vector(graph, mul->inputs[i], 0)) {
            found->scale = mul->inputs[i];
            return inverse_of(graph, mul->inputs[!i], found);
        }
    }
    return VALUE_NONE;
}

/* `value` is mean(x) * m. */
static bool is_shift(struct graph *graph, int value, int m, bool negative,
                     const struct found *found) {
    const struct node *mul = match_maker(graph, value, "Mul");
    for (int i = 0; i < 2 && mul != NULL; i++) {
        int other = mul->inputs[!i];
        const struct node *mean = match_maker(graph, other, "Neg");
        if (mul->inputs[i] != m || (mean != NULL) != negative) {
            continue;
        }
        mean = mean_of(graph, mean != NULL ? mean->inputs[0] : other, found);
        if (mean != NULL && mean->inputs[0] == found->x) {
            return true;
        }
    }
    return false;
}

/* `value` is bias - mean(x) * m, or bias + -mean(x) * m. */
static bool match_shift(struct graph *graph, int value, int m, struct found *found) {
    const struct node *sum = match_maker(graph, value, "Add");
    const bool negative = sum != NULL;
    sum = negative ? sum : match_maker(graph, value, "Sub");
    for (int i = 0; i < (negative ? 2 : 1) && sum != NULL; i++) {
        found->bias = sum->inputs[i];
        if (found->bias != VALUE_NONE && is_vector(graph, found->bias, 0) &&
            is_shift(graph, sum->inputs[!i], m, negative, found)) {
            return true;
        }
    }
    return false;
}

/* x * m plus a shift. */
static bool match_folded(struct graph *graph, const struct node *last,
                         struct found *found) {
    for (int i = 0; i < 2; i++) {
        const struct node *mul = match_maker(graph, last->inputs[i], "Mul");
        for (int k = 0; k < 2 && mul != NULL; k++) {
            found->x = mul->inputs[k];
            if (found->x != VALUE_NONE &&
                factor_of(graph, mul->inputs[!k], found) == found->x &&
                match_shift(graph, last->inputs[!i], mul->inputs[!k], found)) {
                return true;
            }
        }
    }
    return false;
}

static enum status fuse(struct graph *graph, struct node *last, const struct found *found,
                        struct error *err) {
    const struct attr attrs[] = {
        {.name = "epsilon", .kind = ATTR_FLOAT, .as = {.f = found->epsilon}},
        {.name = "axis", .kind = ATTR_INT, .as = {.i = found->pooled ? 2 : -1}},
    };
    const int inputs[] = {found->x, found->scale, found->bias};
    const struct tensor *scale = graph->values[found->scale].constant;
    const int64_t count = scale->dims[scale->rank - 1];
    /* One number would spread over columns, which LayerNormalization does not know. */
    if (graph->values[found->x].dtype != DTYPE_F32 || count < 2 ||
        !is_vector(graph, found->bias, count)) {
        return STATUS_OK;
    }
    return match_become(graph, last, "LayerNormalization", 17, inputs, 3, attrs, 2, err);
}

enum status pass_fuse_layer_norm(struct graph *graph, struct error *err) {
    enum status status = STATUS_OK;
    for (int n = 0; n < graph->node_count && status == STATUS_OK; n++) {
        struct node *last = &graph->nodes[n];
        for (int i = 0; i < 2 && match_is(last, "Add") && last->input_count == 2; i++) {
            struct found found = {.pooled = i == 1};
            if (match_plain(graph, last, &found) || match_folded(graph, last, &found)) {
                status = fuse(graph, last, &found, err);
                break;
            }
        }
    }
    return status;
}
