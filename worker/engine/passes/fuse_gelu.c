/* fuse_gelu.c - Gelu and Swish where they were exported in pieces.
 *
 *     x / sqrt 2 ──► Erf ──► + 1 ──► * x ──► * 1/2          the factors in any order
 *     -x / sqrt 2 ──► Erf ──► 1 - .. ──► * x ──► * 1/2
 *     sqrt(2/pi) (x + 0.044715 x^3) ──► Tanh ──► + 1 ──► * x ──► * 1/2
 *     x * Sigmoid(x) */
#include <string.h>

#include "engine/passes/match.h"
#include "engine/passes/passes.h"

#define SQRT_2 1.41421356237F
#define SQRT_HALF 0.70710678118F
#define SQRT_2_PI 0.79788456080F
#define CUBE_FACTOR 0.044715F
#define FACTORS_MAX 8 /* of a product that is looked at */

/* Whether `value` is 0.044715 x^3, multiplied in any order: c * Pow(x, 3),
 * x * (x * (c * x)), ... */
static bool is_cube_term(struct graph *graph, int value, int x) {
    int open[FACTORS_MAX] = {value}, count = 1, power = 0;
    float product = 1.0F, scalar;
    while (count > 0) {
        const int factor = open[--count];
        const struct node *node = match_maker(graph, factor, "Pow");
        if (factor == x) {
            power++;
        } else if (match_scalar(graph, factor, &scalar)) {
            product *= scalar;
        } else if (node != NULL && node->inputs[0] == x) {
            power += match_near(graph, node->inputs[1], 3.0F)   ? 3
                     : match_near(graph, node->inputs[1], 2.0F) ? 2
                                                                : FACTORS_MAX;
        } else {
            node = match_maker(graph, factor, "Mul");
            if (node == NULL || count + 2 > FACTORS_MAX) {
                return false;
            }
            open[count++] = node->inputs[0];
            open[count++] = node->inputs[1];
        }
    }
    return power == 3 && product > CUBE_FACTOR - 1e-6F && product < CUBE_FACTOR + 1e-6F;
}

/* The x of sqrt(2/pi) (x + 0.044715 x^3). */
static int tanh_argument(struct graph *graph, int value) {
    const struct node *outer = match_maker(graph, value, "Mul"), *sum;
    int inner;
    float scalar;
    if (outer == NULL || !match_with_scalar(graph, outer, &inner, &scalar) ||
        scalar < SQRT_2_PI - 1e-6F || scalar > SQRT_2_PI + 1e-6F) {
        return VALUE_NONE;
    }
    sum = match_maker(graph, inner, "Add");
    for (int i = 0; i < 2 && sum != NULL; i++) {
        if (is_cube_term(graph, sum->inputs[i], sum->inputs[!i])) {
            return sum->inputs[!i];
        }
    }
    return VALUE_NONE;
}

/* The x of x / sqrt 2. */
static int erf_argument(struct graph *graph, int value) {
    const struct node *node = match_maker(graph, value, "Div");
    int x;
    float scalar;
    if (node != NULL) {
        return match_near(graph, node->inputs[1], SQRT_2) ? node->inputs[0] : VALUE_NONE;
    }
    node = match_maker(graph, value, "Mul");
    return node != NULL && match_with_scalar(graph, node, &x, &scalar) &&
                   scalar > SQRT_HALF - 1e-6F && scalar < SQRT_HALF + 1e-6F
               ? x
               : VALUE_NONE;
}

/* The x of Erf(-x / sqrt 2), or VALUE_NONE. */
static int negative_argument(struct graph *graph, int value) {
    const struct node *erf = match_maker(graph, value, "Erf"), *neg;
    const int negated = erf == NULL ? VALUE_NONE : erf_argument(graph, erf->inputs[0]);
    neg = match_maker(graph, negated, "Neg");
    return neg == NULL ? VALUE_NONE : neg->inputs[0];
}

/* The x of 1 + Erf(..), 1 - Erf(-..) or 1 + Tanh(..), or VALUE_NONE. */
static int bell_argument(struct graph *graph, int value, bool *is_tanh) {
    const struct node *add = match_maker(graph, value, "Add"), *function;
    const struct node *sub = match_maker(graph, value, "Sub");
    int other;
    *is_tanh = false;
    if (sub != NULL && match_near(graph, sub->inputs[0], 1.0F)) {
        return negative_argument(graph, sub->inputs[1]);
    }
    if (add == NULL) {
        return VALUE_NONE;
    }
    function = match_either(graph, add, "Erf", &other);
    if (function == NULL) {
        *is_tanh = true;
        function = match_either(graph, add, "Tanh", &other);
    }
    if (function == NULL || !match_near(graph, other, 1.0F)) {
        return VALUE_NONE;
    }
    return *is_tanh ? tanh_argument(graph, function->inputs[0])
                    : erf_argument(graph, function->inputs[0]);
}

/* Of x, 1/2 and 1 + f(x), two are multiplied in one node and the third in the next.
 * The x of Gelu(x), or VALUE_NONE. */
static int gelu_argument(struct graph *graph, const struct node *last, bool *is_tanh) {
    for (int i = 0; i < 2; i++) {
        const int outer = last->inputs[i];
        const struct node *pair = match_maker(graph, last->inputs[!i], "Mul");
        for (int j = 0; j < 2 && pair != NULL; j++) {
            const int factors[] = {outer, pair->inputs[j], pair->inputs[!j]};
            for (int k = 0; k < 3; k++) {
                const int x = bell_argument(graph, factors[k], is_tanh);
                const int a = factors[(k + 1) % 3], b = factors[(k + 2) % 3];
                if (x != VALUE_NONE && ((a == x && match_near(graph, b, 0.5F)) ||
                                        (b == x && match_near(graph, a, 0.5F)))) {
                    return x;
                }
            }
        }
    }
    return VALUE_NONE;
}

enum status pass_fuse_gelu(struct graph *graph, struct error *err) {
    enum status status = STATUS_OK;
    for (int n = 0; n < graph->node_count && status == STATUS_OK; n++) {
        struct node *last = &graph->nodes[n];
        const struct node *sigmoid;
        bool is_tanh;
        int x;
        if (!match_is(last, "Mul") || graph_input_dtype(graph, last, 0) != DTYPE_F32) {
            continue;
        }
        sigmoid = match_either(graph, last, "Sigmoid", &x);
        if (sigmoid != NULL && sigmoid->inputs[0] == x) {
            status = match_become(graph, last, "Swish", 24, &x, 1, NULL, 0, err);
            continue;
        }
        x = gelu_argument(graph, last, &is_tanh);
        if (x != VALUE_NONE) {
            struct attr attr = {.name = "approximate", .kind = ATTR_TEXT};
            attr.as.text = span_text(is_tanh ? "tanh" : "none");
            status = match_become(graph, last, "Gelu", 20, &x, 1, &attr, 1, err);
        }
    }
    return status;
}
