/* conv_1d.c - a convolution over one axis that stands between an Unsqueeze, which gives
 * it an axis of size 1, and a Squeeze, which takes it away: Keras's Conv1D.  It reads and
 * makes [batch, channels, length] itself, and what stands around the two meets it. */
#include <string.h>

#include "engine/op.h"
#include "engine/ops/ops.h"
#include "engine/passes/match.h"
#include "engine/passes/passes.h"

enum { UNIT_AXIS = 2 }; /* [batch, channels, 1, length] */

static bool has_unit_kernel(const struct graph *graph, const struct node *conv) {
    const struct tensor *w = graph_constant(graph, conv, 1);
    return w != NULL && w->dtype == DTYPE_F32 && w->rank == 4 && w->dims[2] == 1;
}

/* The attribute's numbers do nothing along the unit axis; *kept are those of the other.
 */
static bool drops_axis(struct node *conv, const char *name, int64_t neutral,
                       struct graph *graph, struct attr *kept) {
    const struct attr *attr = attr_find(conv, name);
    const size_t sides = strcmp(name, "pads") == 0 ? 2 : 1;
    int64_t *values;
    *kept = (struct attr){.name = name, .kind = ATTR_INTS};
    if (attr == NULL || attr->kind != ATTR_INTS || attr->count == 0) {
        return attr == NULL || attr->kind == ATTR_INTS;
    }
    values = arena_alloc(&graph->arena, sides, sizeof(*values));
    if (values == NULL || attr->count != 2 * sides) {
        return false;
    }
    for (size_t i = 0; i < sides; i++) {
        if (attr->as.ints[2 * i] != neutral) {
            return false;
        }
        values[i] = attr->as.ints[2 * i + 1];
    }
    kept->count = sides;
    kept->as.ints = values;
    return true;
}

static int weights_of_one_axis(struct graph *graph, const struct node *conv) {
    struct tensor *made = arena_alloc(&graph->arena, 1, sizeof(*made));
    const int value = graph_add_value(graph, "");
    const struct tensor *w = graph_constant(graph, conv, 1);
    if (made == NULL || value < 0) {
        return -1;
    }
    *made = *w;
    made->rank = 3;
    made->dims[2] = w->dims[3];
    graph->values[value].dtype = DTYPE_F32;
    graph->values[value].constant = made;
    return value;
}

/* The attributes of `conv` without the unit axis; false where they do more along it than
 * nothing. */
static bool attrs_of_one_axis(struct graph *graph, struct node *conv, struct attr *attrs,
                              int *count) {
    static const struct {
        const char *name;
        int64_t neutral;
    } lists[] = {{"kernel_shape", 1}, {"strides", 1}, {"dilations", 1}, {"pads", 0}};
    static const char *const others[] = {"group", "auto_pad"};
    *count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        if (!drops_axis(conv, lists[i].name, lists[i].neutral, graph, &attrs[*count])) {
            return false;
        }
        *count += attrs[*count].count > 0 ? 1 : 0;
    }
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        const struct attr *attr = attr_find(conv, others[i]);
        if (attr != NULL) {
            attrs[(*count)++] = *attr;
        }
    }
    return true;
}

/* Conv, then Squeeze become Squeeze, then Conv; where an Unsqueeze stands before them,
 * the new Squeeze goes too. */
static enum status swap_squeeze(struct graph *graph, struct node *conv,
                                struct node *squeeze, bool *swapped, struct error *err) {
    static const int64_t unit[] = {UNIT_AXIS};
    const struct attr axes = {
        .name = "axes", .kind = ATTR_INTS, .count = 1, .as = {.ints = unit}};
    struct attr attrs[6];
    const int x = conv->inputs[0], between = conv->outputs[0];
    struct node *unsqueeze = match_maker(graph, x, "Unsqueeze");
    int inputs[] = {between, VALUE_NONE, VALUE_NONE}, count;
    enum status status;
    if (!attrs_of_one_axis(graph, conv, attrs, &count)) {
        return STATUS_OK;
    }
    *swapped = true;
    inputs[1] = weights_of_one_axis(graph, conv);
    inputs[2] = conv->input_count > 2 ? conv->inputs[2] : VALUE_NONE;
    if (inputs[1] < 0) {
        return node_error(conv, err, STATUS_NO_MEMORY, "out of memory");
    }
    squeeze->name = conv->name;
    status = match_become(graph, conv, "Squeeze", 11, &x, 1, &axes, 1, err);
    if (status == STATUS_OK) {
        status = match_become(graph, squeeze, "Conv", graph->opset, inputs,
                              inputs[2] == VALUE_NONE ? 2 : 3, attrs, count, err);
    }
    if (status == STATUS_OK && unsqueeze != NULL &&
        match_axis(graph, unsqueeze, 4) == UNIT_AXIS) {
        conv->dead = true;
        graph_replace_uses(graph, between, unsqueeze->inputs[0]);
    }
    return status;
}

/* [batch, length, channels] -> Unsqueeze 1 -> Transpose to channels first becomes
 * Transpose -> Unsqueeze 2, which the Conv then finds. */
static enum status swap_transpose(struct graph *graph, struct node *transpose,
                                  struct error *err) {
    static const int64_t from[] = {0, 3, 1, 2}, to[] = {0, 2, 1}, unit[] = {UNIT_AXIS};
    const struct attr perm = {
        .name = "perm", .kind = ATTR_INTS, .count = 3, .as = {.ints = to}};
    const struct attr axes = {
        .name = "axes", .kind = ATTR_INTS, .count = 1, .as = {.ints = unit}};
    struct node *first = graph_sole_producer(graph, transpose, 0);
    int rank;
    const int64_t *have = transpose_perm(transpose, &rank);
    int x;
    enum status status;
    if (first == NULL || !match_is(first, "Unsqueeze") || rank != 4 || have == NULL ||
        memcmp(have, from, sizeof(from)) != 0 || match_axis(graph, first, rank) != 1) {
        return STATUS_OK;
    }
    x = first->inputs[0];
    status = match_become(graph, first, "Transpose", graph->opset, &x, 1, &perm, 1, err);
    x = first->outputs[0];
    return status != STATUS_OK
               ? status
               : match_become(graph, transpose, "Unsqueeze", 11, &x, 1, &axes, 1, err);
}

/* One walk; *swapped where something moved, so that more may. */
static enum status walk(struct graph *graph, bool *swapped, struct error *err) {
    for (int n = 0; n < graph->node_count; n++) {
        struct node *node = &graph->nodes[n], *squeeze;
        enum status status = STATUS_OK;
        if (match_is(node, "Transpose")) {
            status = swap_transpose(graph, node, err);
        } else if (match_is(node, "Conv") && has_unit_kernel(graph, node)) {
            squeeze = graph_sole_reader(graph, node, "Squeeze");
            if (squeeze != NULL && match_axis(graph, squeeze, 4) == UNIT_AXIS) {
                status = swap_squeeze(graph, node, squeeze, swapped, err);
            }
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

enum status pass_conv_1d(struct graph *graph, struct error *err) {
    bool swapped = true;
    enum status status = STATUS_OK;
    while (swapped && status == STATUS_OK) { /* each one moves a Squeeze to the front */
        swapped = false;
        status = walk(graph, &swapped, err);
    }
    return status;
}
