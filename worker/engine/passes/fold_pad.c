/* fold_pad.c - a Pad with zeros along spatial axes in front of a convolution, which pads
 * by itself: Keras's ZeroPadding and causal Conv1D. */
#include <math.h>
#include <string.h>

#include "engine/op.h"
#include "engine/ops/ops.h"
#include "engine/passes/match.h"
#include "engine/passes/passes.h"

static bool is_word(struct node *node, const char *name, const char *word) {
    const struct attr *attr = attr_find(node, name);
    return attr == NULL ||
           (attr->kind == ATTR_TEXT && attr->as.text.size == strlen(word) &&
            memcmp(attr->as.text.data, word, strlen(word)) == 0);
}

/* The Pad writes zeros. */
static bool writes_zeros(const struct graph *graph, struct node *pad) {
    const struct attr *value = attr_find(pad, "value");
    float zero = 0;
    const bool given = pad->input_count > 2 && pad->inputs[2] != VALUE_NONE;
    return is_word(pad, "mode", "constant") &&
           (value == NULL || (value->kind == ATTR_FLOAT && fabsf(value->as.f) <= 0)) &&
           (!given || (match_scalar(graph, pad->inputs[2], &zero) && fabsf(zero) <= 0));
}

/* The Pad's numbers, begins and then ends of `rank` axes, where only spatial axes grow;
 * NULL otherwise. */
static const int64_t *pads_of(const struct graph *graph, struct node *pad, int rank) {
    const struct tensor *input = graph_constant(graph, pad, 1);
    const struct attr *attr = attr_find(pad, "pads");
    const int64_t *pads = NULL;
    if (pad->input_count > 3) {
        return NULL; /* it names axes */
    }
    if (input != NULL && input->dtype == DTYPE_I64 && input->rank == 1 &&
        input->dims[0] == 2 * rank) {
        pads = input->data;
    } else if (pad->input_count == 1 && attr != NULL && attr->kind == ATTR_INTS &&
               attr->count == 2 * (size_t)rank) {
        pads = attr->as.ints;
    }
    for (int i = 0; pads != NULL && i < 2 * rank; i++) {
        if (pads[i] < 0 || pads[i] > INT32_MAX || (i % rank < 2 && pads[i] != 0)) {
            return NULL;
        }
    }
    return pads;
}

/* The convolution's pads and the Pad's, as an attribute; false where they cannot be. */
static bool add_pads(struct graph *graph, struct node *conv, const int64_t *pads,
                     int rank, struct attr *sum) {
    const struct attr *own = attr_find(conv, "pads");
    const int axes = rank - 2;
    int64_t *values = arena_alloc(&graph->arena, 2 * (size_t)axes, sizeof(*values));
    if (values == NULL || !is_word(conv, "auto_pad", "NOTSET") ||
        (own != NULL && (own->kind != ATTR_INTS || own->count != 2 * (size_t)axes))) {
        return false;
    }
    for (int i = 0; i < 2 * axes; i++) {
        values[i] = (own != NULL ? own->as.ints[i] : 0) +
                    pads[i < axes ? 2 + i : rank + 2 + i - axes];
        if (values[i] > INT32_MAX) {
            return false;
        }
    }
    *sum = (struct attr){.name = "pads",
                         .kind = ATTR_INTS,
                         .count = 2 * (size_t)axes,
                         .as = {.ints = values}};
    return true;
}

static enum status fold(struct graph *graph, struct node *conv, int x,
                        const struct attr *pads, struct error *err) {
    struct attr attrs[NODE_ATTRS_MAX + 1];
    int count = 0;
    for (int i = 0; i < conv->attrs.count; i++) {
        if (strcmp(conv->attrs.items[i].name, "pads") != 0) {
            attrs[count++] = conv->attrs.items[i];
        }
    }
    attrs[count++] = *pads;
    int inputs[] = {x, conv->inputs[1],
                    conv->input_count > 2 ? conv->inputs[2] : VALUE_NONE};
    return match_become(graph, conv, "Conv", conv->opset, inputs,
                        inputs[2] == VALUE_NONE ? 2 : 3, attrs, count, err);
}

enum status pass_fold_pad(struct graph *graph, struct error *err) {
    for (int n = 0; n < graph->node_count; n++) {
        struct node *conv = &graph->nodes[n], *pad;
        const struct tensor *w;
        const int64_t *pads;
        struct attr sum;
        enum status status;
        if (!match_is(conv, "Conv")) {
            continue;
        }
        w = graph_constant(graph, conv, 1);
        pad = match_maker(graph, conv->inputs[0], "Pad");
        if (w == NULL || pad == NULL || w->rank < 3 || !writes_zeros(graph, pad)) {
            continue;
        }
        pads = pads_of(graph, pad, w->rank);
        if (pads == NULL || !add_pads(graph, conv, pads, w->rank, &sum)) {
            continue;
        }
        status = fold(graph, conv, pad->inputs[0], &sum, err);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}
