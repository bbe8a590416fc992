/* fuse_integer_product.c - a product of bytes whose sums become floats, as ONNX Runtime's
 * dynamic quantizer writes it:
 *
 *     bytes, scale, zero = DynamicQuantizeLinear(x)
 *     y = Cast(MatMulInteger(bytes, b, zero, b_zero)) * (scale * b_scale) + bias
 *
 * and the same with ConvInteger.  The product scales its own sums, to the same bits. */
#include <string.h>

#include "engine/op.h"
#include "engine/passes/match.h"
#include "engine/passes/passes.h"

enum { SCALE = 1 }; /* an output of DynamicQuantizeLinear */

struct product {
    struct node *sums, *mul, *add; /* add: NULL where there is no bias */
    int a_scale, b_scale, bias;    /* values */
    int64_t outputs;               /* columns, or channels */
    bool is_conv;
};

/* One number, made for the whole of x. */
static bool is_scalar(const struct graph *graph, int value) {
    const int maker = graph->values[value].producer;
    float number;
    return match_scalar(graph, value, &number) ||
           (maker != NODE_NONE &&
            match_is(&graph->nodes[maker], "DynamicQuantizeLinear") &&
            graph->nodes[maker].output_count > SCALE &&
            graph->nodes[maker].outputs[SCALE] == value);
}

static bool find_scales(struct graph *graph, int scales, struct product *p) {
    const struct node *mul = match_maker(graph, scales, "Mul");
    for (int i = 0; mul != NULL && i < 2; i++) {
        const struct tensor *b = graph_constant(graph, mul, i);
        if (b == NULL || b->dtype != DTYPE_F32 || b->rank > 1 ||
            !is_scalar(graph, mul->inputs[!i])) {
            continue;
        }
        p->a_scale = mul->inputs[!i];
        p->b_scale = mul->inputs[i];
        return tensor_count(b) == 1 ||
               (!p->is_conv && (int64_t)tensor_count(b) == p->outputs);
    }
    return false;
}

/* The constant has a number for each column, or for each channel. */
static bool is_bias(const struct product *p, const struct tensor *b, int w_rank) {
    bool fits = b != NULL && b->dtype == DTYPE_F32 && b->rank > 0 &&
                (int64_t)tensor_count(b) == p->outputs;
    if (!p->is_conv) {
        return fits && b->rank == 1;
    }
    return fits && (b->rank == w_rank || b->rank == w_rank - 1) &&
           b->dims[b->rank - w_rank + 1] == p->outputs;
}

static void find_bias(struct graph *graph, struct product *p, int w_rank) {
    struct node *add = graph_sole_reader(graph, p->mul, "Add");
    p->bias = VALUE_NONE;
    for (int i = 0; add != NULL && match_is(add, "Add") && i < 2; i++) {
        if (is_bias(p, graph_constant(graph, add, i), w_rank) &&
            add->inputs[!i] == p->mul->outputs[0]) {
            p->bias = add->inputs[i];
            p->add = add;
        }
    }
}

static bool find(struct graph *graph, struct node *mul, struct product *p) {
    int scales = VALUE_NONE;
    const struct node *cast = match_either(graph, mul, "Cast", &scales);
    const int side = cast != NULL && mul->inputs[0] == cast->outputs[0] ? 0 : 1;
    const struct tensor *w;
    *p = (struct product){.mul = mul};
    if (cast == NULL || graph_sole_producer(graph, mul, side) != cast ||
        graph_input_dtype(graph, mul, side) != DTYPE_F32) {
        return false;
    }
    p->sums = graph_sole_producer(graph, cast, 0);
    p->is_conv = p->sums != NULL && match_is(p->sums, "ConvInteger");
    if (!p->is_conv && (p->sums == NULL || !match_is(p->sums, "MatMulInteger"))) {
        return false;
    }
    w = graph_constant(graph, p->sums, 1);
    if (w == NULL || w->rank < (p->is_conv ? 3 : 2)) {
        return false;
    }
    p->outputs = w->dims[p->is_conv ? 0 : w->rank - 1];
    if (!find_scales(graph, scales, p)) {
        return false;
    }
    find_bias(graph, p, w->rank);
    return true;
}

static enum status fuse(struct graph *graph, const struct product *p, struct error *err) {
    const struct node *sums = p->sums;
    struct node *last = p->add != NULL ? p->add : p->mul;
    const int inputs[] = {sums->inputs[0],
                          sums->inputs[1],
                          p->a_scale,
                          p->b_scale,
                          sums->input_count > 2 ? sums->inputs[2] : VALUE_NONE,
                          sums->input_count > 3 ? sums->inputs[3] : VALUE_NONE,
                          p->bias};
    return match_become(
        graph, last, p->is_conv ? "ConvIntegerToFloat" : "MatMulIntegerToFloat", 1,
        inputs, (int)ARRAY_COUNT(inputs), sums->attrs.items, sums->attrs.count, err);
}

enum status pass_fuse_integer_product(struct graph *graph, struct error *err) {
    for (int n = 0; n < graph->node_count; n++) {
        struct product p;
        if (match_is(&graph->nodes[n], "Mul") && find(graph, &graph->nodes[n], &p)) {
            enum status status = fuse(graph, &p, err);
            if (status != STATUS_OK) {
                return status;
            }
        }
    }
    return STATUS_OK;
}
