/* quantized_weights.c - the bytes behind constant weights, and their scales. */
#include <string.h>

#include "engine/load.h"
#include "engine/op.h"
#include "engine/ops/ops.h"
#include "engine/passes/quantized.h"

/* The DequantizeLinear that constant weights were folded out of, and the Transpose that
 * stood behind it, or NULL. */
struct source {
    struct node dequantize; /* a copy: reading attributes marks them */
    const struct node *turn;
};

static bool find_source(const struct quantized *q, int value, struct source *source) {
    const struct node *origin =
        value == VALUE_NONE ? NULL : q->graph->values[value].origin;
    source->turn = NULL;
    if (origin != NULL && strcmp(origin->type, "Transpose") == 0) {
        source->turn = origin;
        origin = q->graph->values[origin->inputs[0]].origin;
    }
    if (origin == NULL || strcmp(origin->type, "DequantizeLinear") != 0) {
        return false;
    }
    source->dequantize = *origin;
    return true;
}

/* The axis of the bytes that is `axis` of what the Transpose makes of them. */
static int source_axis(const struct source *source, int axis, int rank) {
    int count;
    const int64_t *perm =
        source->turn == NULL ? NULL : transpose_perm(source->turn, &count);
    axis += axis < 0 ? rank : 0;
    if (axis < 0 || axis >= rank || source->turn == NULL) {
        return axis;
    }
    return perm == NULL ? rank - 1 - axis : (int)perm[axis];
}

/* Scales, zero points and bytes are constants that go together, by place of `axis`. */
static bool scales_belong(const struct quantized *q, struct source *source, int axis,
                          const struct byte_weights *weights) {
    const struct tensor *x = graph_constant(q->graph, &source->dequantize, 0);
    const struct tensor *scale = q->graph->values[weights->scale].constant;
    const struct tensor *zero = q->graph->values[weights->zero].constant;
    const struct attr *attr = attr_find(&source->dequantize, "axis");
    int64_t along = attr == NULL ? 1 : attr->as.i;
    along += along < 0 ? x->rank : 0;
    axis = source_axis(source, axis, x->rank);
    if (zero == NULL || zero->dtype != x->dtype || axis < 0 || axis >= x->rank ||
        (tensor_count(zero) != 1 && tensor_count(zero) != tensor_count(scale))) {
        return false;
    }
    return tensor_count(scale) == 1 ||
           (scale->rank == 1 && along == axis && scale->dims[0] == x->dims[axis]);
}

/* The bytes as the Transpose turns them. */
static enum status turn(struct quantized *q, const struct node *like, int *bytes) {
    struct node node = {0};
    int output;
    enum status status = quantized_value(q, like, &output);
    if (status == STATUS_OK) {
        status =
            quantized_make(q, like->name, NULL, "Transpose", bytes, 1, output, &node);
    }
    if (status == STATUS_OK) {
        node.attrs =
            (struct attr_list){.items = like->attrs.items, .count = like->attrs.count};
        status = load_node(q->graph, &node, q->err);
    }
    return status == STATUS_OK ? quantized_compute(q, &node, node.inputs, bytes) : status;
}

enum status quantized_weights(struct quantized *q, int value, int axis,
                              struct byte_weights *weights, bool *found) {
    struct source source;
    const struct tensor *scale, *x;
    enum status status;
    *found = false;
    if (!find_source(q, value, &source)) {
        return STATUS_OK;
    }
    x = graph_constant(q->graph, &source.dequantize, 0);
    scale = graph_constant(q->graph, &source.dequantize, 1);
    if (x == NULL || (x->dtype != DTYPE_U8 && x->dtype != DTYPE_I8) || scale == NULL ||
        scale->dtype != DTYPE_F32 || !quantized_scales_fit(scale) ||
        quantized_is_blocked(&source.dequantize)) {
        return STATUS_OK;
    }
    *weights = (struct byte_weights){.bytes = source.dequantize.inputs[0],
                                     .scale = source.dequantize.inputs[1]};
    status = quantized_zero_of(q, &source.dequantize, x->dtype, &weights->zero);
    if (status != STATUS_OK || !scales_belong(q, &source, axis, weights)) {
        return status;
    }
    if (source.turn != NULL) {
        status = turn(q, source.turn, &weights->bytes);
    }
    *found = status == STATUS_OK && weights->bytes != VALUE_NONE;
    weights->x = *found ? q->graph->values[weights->bytes].constant : NULL;
    return status;
}
