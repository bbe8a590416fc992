/* fold_affine.c - a product with constant weights, then BatchNormalization or a constant
 * added or multiplied to each channel: the weights and the bias take it over.  So do the
 * scale and the bias of a BatchNormalization that stands for itself.
 *
 *     Conv            a channel is dim 0 of the weights
 *     ConvTranspose   a channel is dim 1, of one group
 *     MatMul          a channel is a column of a constant matrix
 *     BatchNormalization   with channels last, where they are what constants spread over
 *
 *     (x w + b) * factor + shift  =  x (w * factor) + (b * factor + shift) */
#include <string.h>

#include "engine/op.h"
#include "engine/ops/ops.h"
#include "engine/passes/match.h"
#include "engine/passes/passes.h"

static enum status no_memory(const struct node *node, struct error *err) {
    return node_error(node, err, STATUS_NO_MEMORY, "out of memory");
}

static bool is_conv(const struct node *node) {
    return strcmp(node->type, "Conv") == 0;
}

static bool is_spread(const struct node *node) {
    return strcmp(node->type, "ConvTranspose") == 0;
}

static bool is_norm(const struct node *node) {
    return strcmp(node->type, "BatchNormalization") == 0;
}

/* The channels of a BatchNormalization that can be folded into. */
static int64_t norm_channels(const struct graph *graph, const struct node *node) {
    for (int i = 1; i < 5; i++) {
        const struct tensor *x = graph_constant(graph, node, i);
        if (x == NULL || x->dtype != DTYPE_F32 || x->rank != 1) {
            return 0;
        }
    }
    return node->layout == NODE_CHANNELS_LAST && node->act.kind == ACT_NONE
               ? graph_constant(graph, node, 1)->dims[0]
               : 0;
}

static bool makes_images(const struct node *node) {
    return is_conv(node) || is_spread(node);
}

/* The channels of a product that can be folded into; 0 of another. */
static int64_t channels_of(const struct graph *graph, const struct node *node) {
    const struct tensor *w = graph_constant(graph, node, 1);
    const struct value *bias = graph_input(graph, node, 2);
    if (is_norm(node)) {
        return norm_channels(graph, node);
    }
    if ((node->op->flags & OP_FUSES_BIAS) == 0 || node->act.kind != ACT_NONE ||
        w == NULL || w->dtype != DTYPE_F32 ||
        (bias != NULL && (bias->constant == NULL || bias->constant->rank != 1))) {
        return 0;
    }
    if (is_conv(node)) {
        return w->rank >= 3 ? w->dims[0] : 0;
    }
    if (is_spread(node)) {
        return conv_transpose_turns(graph, node) ? w->dims[1] : 0;
    }
    return strcmp(node->type, "MatMul") == 0 && w->rank == 2 ? w->dims[1] : 0;
}

/* The axis of channels in the result of `node`, counted from its end. */
static int channel_axis(const struct graph *graph, const struct node *node) {
    const bool first = makes_images(node) && node->layout == NODE_CHANNELS_FIRST;
    return first ? graph_constant(graph, node, 1)->rank - 1 : 1;
}

/* x is one number, or one for each channel and nothing else, and adds no axes. */
static bool is_per_channel(const struct graph *graph, const struct node *node,
                           const struct tensor *x, int64_t channels) {
    const int at = x->rank - channel_axis(graph, node);
    const int64_t count = (int64_t)tensor_count(x);
    if (x->dtype != DTYPE_F32 || x->rank > graph_constant(graph, node, 1)->rank) {
        return false;
    }
    return (count == 1 && x->rank <= 1) ||
           (count == channels && at >= 0 && x->dims[at] == channels);
}

/* What `next` does to each channel, into [2, channels]: factors and shifts. */
static bool affine_of(const struct graph *graph, const struct node *node,
                      const struct node *next, int64_t channels, float *factors) {
    const int side = next->inputs[0] == node->outputs[0] ? 1 : 0;
    const struct tensor *x = graph_constant(graph, next, side);
    const bool sub = strcmp(next->type, "Sub") == 0, mul = strcmp(next->type, "Mul") == 0;
    if (strcmp(next->type, "BatchNormalization") == 0) {
        return (makes_images(node) || is_norm(node)) &&
               batch_norm_constant(graph, next, channels, factors);
    }
    if (x == NULL || !is_per_channel(graph, node, x, channels) || (sub && side == 0)) {
        return false;
    }
    for (int64_t c = 0; c < channels; c++) {
        const float value = ((const float *)x->data)[tensor_count(x) == 1 ? 0 : c];
        factors[c] = mul ? value : 1.0F;
        factors[channels + c] = mul ? 0.0F : sub ? -value : value;
    }
    return true;
}

static const char *const affine_types[] = {"BatchNormalization", "Add", "Mul", "Sub"};

static struct node *affine_after(struct graph *graph, const struct node *node) {
    for (size_t i = 0; i < ARRAY_COUNT(affine_types); i++) {
        struct node *next = graph_sole_reader(graph, node, affine_types[i]);
        if (next != NULL && match_is(next, affine_types[i])) {
            /* Before opset 7 operands were aligned in another way. */
            return next->opset >= 7 || i == 0 ? next : NULL;
        }
    }
    return NULL;
}

static int new_constant(struct graph *graph, const struct tensor *like, float *data) {
    struct tensor *made = arena_alloc(&graph->arena, 1, sizeof(*made));
    const int value = graph_add_value(graph, "");
    if (made == NULL || value < 0) {
        return -1;
    }
    *made = *like;
    made->data = data;
    graph->values[value].dtype = DTYPE_F32;
    graph->values[value].constant = made;
    return value;
}

static bool scales(const float *factors, int64_t channels) {
    for (int64_t c = 0; c < channels; c++) {
        if (factors[c] != 1.0F) {
            return true;
        }
    }
    return false;
}

/* The weights times the factors, as a new constant; the old ones where all are 1. */
static int scaled_weights(struct graph *graph, const struct node *node,
                          const float *factors, int64_t channels) {
    const struct tensor *w = graph_constant(graph, node, 1);
    const int64_t count = (int64_t)tensor_count(w);
    const int64_t kernel = is_spread(node) ? count / (w->dims[0] * w->dims[1]) : 1;
    const int64_t each = is_conv(node) && channels > 0 ? count / channels : kernel;
    const float *from = w->data;
    float *to;
    if (!scales(factors, channels)) {
        return node->inputs[1];
    }
    to = graph_data(graph, tensor_size(w) + 1);
    for (int64_t done = 0, c = 0; to != NULL && done < count; done += each) {
        for (int64_t i = done; i < done + each; i++) {
            to[i] = from[i] * factors[c];
        }
        c = c + 1 == channels ? 0 : c + 1;
    }
    return to == NULL ? -1 : new_constant(graph, w, to);
}

static enum status fold(struct graph *graph, struct node *node, struct node *next,
                        const float *factors, int64_t channels, struct error *err) {
    const struct tensor *old = graph_constant(graph, node, 2);
    const struct tensor vector = {.dtype = DTYPE_F32, .rank = 1, .dims = {channels}};
    const int x = node->inputs[0], y = node->outputs[0];
    const int w = scaled_weights(graph, node, factors, channels);
    float *bias = graph_memory(graph, (size_t)channels * sizeof(*bias));
    int value, rest[2];
    const int count = is_norm(node) ? 5 : 3;
    if (w < 0 || bias == NULL) {
        return no_memory(node, err);
    }
    for (int64_t c = 0; c < channels; c++) {
        const float was = old == NULL ? 0.0F : ((const float *)old->data)[c];
        bias[c] = was * factors[c] + factors[channels + c];
    }
    value = new_constant(graph, &vector, bias);
    for (int i = 3; i < count; i++) {
        rest[i - 3] = node->inputs[i]; /* mean and variance */
    }
    if (value < 0 || !graph_node_room(graph, node, count, 1)) {
        return no_memory(node, err);
    }
    node->inputs[0] = x;
    node->inputs[1] = w;
    node->inputs[2] = value;
    memcpy(node->inputs + 3, rest, (size_t)(count - 3) * sizeof(*rest));
    node->outputs[0] = y;
    pass_take_output(graph, node, next);
    return STATUS_OK;
}

/* Folds what follows `node` for as long as something does. */
static enum status fold_all(struct graph *graph, struct node *node, struct error *err) {
    const int64_t channels = channels_of(graph, node);
    float *factors;
    if (channels == 0 || affine_after(graph, node) == NULL) {
        return STATUS_OK;
    }
    factors = graph_memory(graph, 2 * (size_t)channels * sizeof(*factors));
    if (factors == NULL) {
        return no_memory(node, err);
    }
    for (;;) {
        struct node *next = affine_after(graph, node);
        enum status status;
        if (next == NULL || !affine_of(graph, node, next, channels, factors)) {
            return STATUS_OK;
        }
        status = fold(graph, node, next, factors, channels, err);
        if (status != STATUS_OK) {
            return status;
        }
    }
}

enum status pass_fold_affine(struct graph *graph, struct error *err) {
    for (int n = 0; n < graph->node_count; n++) {
        struct node *node = &graph->nodes[n];
        enum status status = node->dead || node->op->domain != NULL
                                 ? STATUS_OK
                                 : fold_all(graph, node, err);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}
