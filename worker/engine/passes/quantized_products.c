/* quantized_products.c - rules for sums and products of bytes: Conv, MatMul, Gemm, Add,
 * Mul.  With a QuantizeLinear behind they make bytes; the products make floats of their
 * exact sums where there is none. */
#include <math.h>
#include <string.h>

#include "engine/op.h"
#include "engine/passes/match.h"
#include "engine/passes/quantized.h"

/* ---- Add and Mul ------------------------------------------------------------------- */

enum status quantized_binary(struct quantized *q, struct node *node, bool *keep) {
    const enum status status = quantized_elementwise(q, node, keep);
    struct fact a, b;
    struct sink sink;
    enum dtype dtype;
    int output;
    if (status != STATUS_OK || node->input_count != 2 || node->opset < 7 ||
        q->facts[node->outputs[0]].functions[0].root != VALUE_NONE) {
        return status; /* a function of one byte is had for less */
    }
    a = *quantized_fact(q, node->inputs[0]);
    b = *quantized_fact(q, node->inputs[1]);
    if (a.bytes == VALUE_NONE || b.bytes == VALUE_NONE ||
        !quantized_sink(q, node->outputs[0], &sink)) {
        return STATUS_OK;
    }
    dtype = q->graph->values[a.bytes].dtype;
    if (q->graph->values[b.bytes].dtype != dtype || sink.dtype != dtype) {
        return STATUS_OK;
    }
    if (quantized_sink_output(q, node->outputs[0], &sink, &output) != STATUS_OK) {
        return q->err->status;
    }
    const int inputs[] = {a.bytes,      a.form.scale, a.form.zero,     b.bytes,
                          b.form.scale, b.form.zero,  sink.form.scale, sink.form.zero};
    return quantized_emit(q, node, "millrace",
                          strcmp(node->type, "Add") == 0 ? "ByteAdd" : "ByteMul", inputs,
                          8, NULL, output);
}

/* ---- biases ------------------------------------------------------------------------ */

/* What a product's sums count in, for output `i`. */
static double sum_scale(const struct quantized *q, int x_scale, int w_scale, int64_t i) {
    const struct tensor *scale = q->graph->values[w_scale].constant;
    const float w = ((const float *)scale->data)[tensor_count(scale) == 1 ? 0 : i];
    return (double)(quantized_scale(q, x_scale) * w);
}

/* A constant bias of `count` floats in whole numbers of what sums count in; `*made` is
 * VALUE_NONE where it is none. */
static enum status quantized_bias(struct quantized *q, int value, int x_scale,
                                  int w_scale, int64_t count, int *made) {
    const struct tensor *bias = q->graph->values[value].constant;
    const struct tensor whole = {.dtype = DTYPE_I32, .rank = 1, .dims = {count}};
    int32_t *numbers;
    *made = VALUE_NONE;
    if (bias == NULL || bias->dtype != DTYPE_F32 || tensor_count(bias) != (size_t)count ||
        bias->rank < 1 || bias->dims[bias->rank - 1] != count) {
        return STATUS_OK;
    }
    numbers = arena_alloc(&q->graph->arena, (size_t)count + 1, sizeof(*numbers));
    if (numbers == NULL) {
        return quantized_no_memory(q);
    }
    for (int64_t i = 0; i < count; i++) {
        const double number = nearbyint((double)((const float *)bias->data)[i] /
                                        sum_scale(q, x_scale, w_scale, i));
        if (!(fabs(number) < INT32_MAX)) {
            return STATUS_OK;
        }
        numbers[i] = (int32_t)number;
    }
    return quantized_constant(q, &whole, numbers, made);
}

/* ---- products of bytes that passes make -------------------------------------------- */

/* The domain of `type`, NULL where the engine has none such. */
static const char *own_domain(const char *type) {
    static const char *const domains[] = {"millrace", "com.microsoft"};
    for (size_t i = 0; i < ARRAY_COUNT(domains); i++) {
        if (op_find(domains[i], type, OP_OPSET_MAX) != NULL) {
            return domains[i];
        }
    }
    return NULL;
}

/* ---- Conv -------------------------------------------------------------------------- */

/* Without QuantizeLinear behind. */
static enum status conv_to_float(struct quantized *q, struct node *node,
                                 const struct fact *x, const struct byte_weights *w,
                                 bool *keep) {
    const int inputs[] = {x->bytes,
                          w->bytes,
                          x->form.scale,
                          w->scale,
                          x->form.zero,
                          w->zero,
                          node->input_count > 2 ? node->inputs[2] : VALUE_NONE};
    if (own_domain("ConvIntegerToFloat") == NULL) {
        return STATUS_OK;
    }
    *keep = false;
    return quantized_emit(q, node, own_domain("ConvIntegerToFloat"), "ConvIntegerToFloat",
                          inputs, inputs[6] == VALUE_NONE ? 6 : 7, &node->attrs,
                          node->outputs[0]);
}

enum status quantized_conv(struct quantized *q, struct node *node, bool *keep) {
    const struct fact x = *quantized_fact(q, node->inputs[0]);
    const bool has_bias = node->input_count > 2 && node->inputs[2] != VALUE_NONE;
    struct byte_weights w;
    struct sink sink;
    int bias = VALUE_NONE, output;
    bool found;
    enum status status = quantized_weights(q, node->inputs[1], 0, &w, &found);
    if (status != STATUS_OK || !found || x.bytes == VALUE_NONE || w.x->rank < 3) {
        return status;
    }
    if (!quantized_sink(q, node->outputs[0], &sink)) {
        return conv_to_float(q, node, &x, &w, keep);
    }
    if (has_bias) {
        status = quantized_bias(q, node->inputs[2], x.form.scale, w.scale, w.x->dims[0],
                                &bias);
    }
    if (status != STATUS_OK || (has_bias && bias == VALUE_NONE)) {
        return status;
    }
    status = quantized_sink_output(q, node->outputs[0], &sink, &output);
    const int inputs[] = {x.bytes, x.form.scale,    x.form.zero,    w.bytes, w.scale,
                          w.zero,  sink.form.scale, sink.form.zero, bias};
    return status == STATUS_OK ? quantized_emit(q, node, NULL, "QLinearConv", inputs,
                                                has_bias ? 9 : 8, &node->attrs, output)
                               : status;
}

/* ---- MatMul and Gemm --------------------------------------------------------------- */

/* Two operands of bytes, and where their product's columns lie in the second. */
struct operands {
    struct fact a;
    struct byte_weights b; /* x is NULL where they are no constant */
    int64_t columns;       /* of a constant */
};

static enum status find_operands(struct quantized *q, const struct node *node,
                                 int column_axis, struct operands *operands,
                                 bool *found) {
    const struct fact b = *quantized_fact(q, node->inputs[1]);
    enum status status;
    operands->a = *quantized_fact(q, node->inputs[0]);
    *found = false;
    if (operands->a.bytes == VALUE_NONE) {
        return STATUS_OK;
    }
    status = quantized_weights(q, node->inputs[1], column_axis, &operands->b, found);
    if (status != STATUS_OK || *found) {
        const struct tensor *x = operands->b.x;
        *found = *found && x->rank >= 2;
        operands->columns =
            *found ? x->dims[column_axis < 0 ? x->rank + column_axis : column_axis] : 0;
        return status;
    }
    *found = b.bytes != VALUE_NONE;
    operands->b = (struct byte_weights){
        .bytes = b.bytes, .scale = b.form.scale, .zero = b.form.zero};
    return STATUS_OK;
}

/* QGemm of bytes or, without a sink, of floats; `bias` is constant. */
static enum status emit_gemm(struct quantized *q, const struct node *node,
                             const struct operands *operands, int bias,
                             const struct attr_list *attrs, struct sink *sink, int value,
                             bool *emitted) {
    const struct fact *a = &operands->a;
    const struct byte_weights *b = &operands->b;
    int whole = VALUE_NONE, output = value;
    enum status status = STATUS_OK;
    *emitted = false;
    if (own_domain("QGemm") == NULL) {
        return STATUS_OK;
    }
    if (bias != VALUE_NONE) {
        status = b->x == NULL ? STATUS_OK
                              : quantized_bias(q, bias, a->form.scale, b->scale,
                                               operands->columns, &whole);
        if (status != STATUS_OK || whole == VALUE_NONE) {
            return status;
        }
    }
    if (sink != NULL) {
        status = quantized_sink_output(q, value, sink, &output);
    }
    const int inputs[] = {a->bytes,
                          a->form.scale,
                          a->form.zero,
                          b->bytes,
                          b->scale,
                          b->zero,
                          whole,
                          sink == NULL ? VALUE_NONE : sink->form.scale,
                          sink == NULL ? VALUE_NONE : sink->form.zero};
    *emitted = true;
    return status == STATUS_OK
               ? quantized_emit(q, node, own_domain("QGemm"), "QGemm", inputs,
                                sink == NULL ? 7 : 9, attrs, output)
               : status;
}

enum status quantized_gemm(struct quantized *q, struct node *node, bool *keep) {
    struct operands operands;
    struct sink sink;
    float alpha = 1, beta = 1;
    bool turned = false, turned_a = false, found = false, emitted = false, has_sink;
    const int bias = node->input_count > 2 ? node->inputs[2] : VALUE_NONE;
    struct attr *attr = arena_alloc(&q->graph->arena, 1, sizeof(*attr));
    enum status status = attr == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    status = status == STATUS_OK ? attr_float(node, "alpha", 1, &alpha, q->err) : status;
    status = status == STATUS_OK ? attr_float(node, "beta", 1, &beta, q->err) : status;
    status = status == STATUS_OK ? attr_bool(node, "transA", false, &turned_a, q->err)
                                 : status;
    status =
        status == STATUS_OK ? attr_bool(node, "transB", false, &turned, q->err) : status;
    if (status != STATUS_OK || turned_a || alpha < 1 || alpha > 1 || beta < 1 ||
        beta > 1) {
        return status;
    }
    status = find_operands(q, node, turned ? 0 : 1, &operands, &found);
    if (status != STATUS_OK || !found) {
        return status;
    }
    *attr = (struct attr){.name = "transB", .kind = ATTR_INT, .as.i = turned};
    has_sink = quantized_sink(q, node->outputs[0], &sink);
    status = emit_gemm(q, node, &operands, bias,
                       &(struct attr_list){.items = attr, .count = 1},
                       has_sink ? &sink : NULL, node->outputs[0], &emitted);
    *keep = !emitted || has_sink;
    return status;
}

/* The Add behind `value` that alone reads it, of a constant for each column. */
static struct node *bias_behind(struct quantized *q, const struct node *node,
                                int64_t columns, int *bias) {
    const int value = node->outputs[0];
    struct node *add = graph_sole_reader(q->graph, node, "Add");
    const struct tensor *x;
    if (add == NULL || add->input_count != 2 || add->opset < 7) {
        return NULL;
    }
    *bias = add->inputs[add->inputs[0] == value ? 1 : 0];
    x = *bias == VALUE_NONE ? NULL : q->graph->values[*bias].constant;
    return x != NULL && x->rank == 1 && x->dims[0] == columns ? add : NULL;
}

static enum status matmul_to_float(struct quantized *q, const struct node *node,
                                   const struct operands *operands, bool *keep) {
    const struct fact *a = &operands->a;
    const struct byte_weights *b = &operands->b;
    const int inputs[] = {a->bytes, b->bytes,     a->form.scale,
                          b->scale, a->form.zero, b->zero};
    if (own_domain("MatMulIntegerToFloat") == NULL) {
        return STATUS_OK;
    }
    *keep = false;
    return quantized_emit(q, node, own_domain("MatMulIntegerToFloat"),
                          "MatMulIntegerToFloat", inputs, 6, NULL, node->outputs[0]);
}

enum status quantized_matmul(struct quantized *q, struct node *node, bool *keep) {
    struct operands operands;
    const struct node *add;
    struct sink sink;
    int bias, output;
    bool found = false;
    enum status status = find_operands(q, node, -1, &operands, &found);
    if (status != STATUS_OK || !found) {
        return status;
    }
    if (quantized_sink(q, node->outputs[0], &sink)) {
        const struct fact *a = &operands.a;
        const struct byte_weights *b = &operands.b;
        status = quantized_sink_output(q, node->outputs[0], &sink, &output);
        const int inputs[] = {a->bytes, a->form.scale, a->form.zero,    b->bytes,
                              b->scale, b->zero,       sink.form.scale, sink.form.zero};
        return status == STATUS_OK ? quantized_emit(q, node, NULL, "QLinearMatMul",
                                                    inputs, 8, NULL, output)
                                   : status;
    }
    add = operands.b.x != NULL && operands.b.x->rank == 2
              ? bias_behind(q, node, operands.columns, &bias)
              : NULL;
    if (add != NULL && quantized_sink(q, add->outputs[0], &sink)) {
        bool emitted;
        status =
            emit_gemm(q, node, &operands, bias, NULL, &sink, add->outputs[0], &emitted);
        if (status != STATUS_OK || emitted) {
            return status;
        }
    }
    return matmul_to_float(q, node, &operands, keep);
}
