/* quantized_moves.c - rules for operators that put elements elsewhere or choose among
 * them: they do so with bytes, and what comes out is dequantised behind them.  Pooling
 * is here, too. */
#include <string.h>

#include "engine/op.h"
#include "engine/passes/quantized.h"

static int *copy_of(struct quantized *q, const int *values, int count) {
    int *copy = arena_alloc(&q->graph->arena, (size_t)count + 1, sizeof(*copy));
    if (copy != NULL) {
        memcpy(copy, values, (size_t)count * sizeof(*copy));
    }
    return copy;
}

/* `node` with `inputs`, which are of bytes where it had floats; its outputs are
 * dequantised by `form`. */
static enum status move(struct quantized *q, const struct node *node, const int *inputs,
                        struct form form) {
    int *outputs = copy_of(q, node->outputs, node->output_count);
    enum status status = outputs == NULL ? quantized_no_memory(q) : STATUS_OK;
    for (int i = 0; status == STATUS_OK && i < node->output_count; i++) {
        if (outputs[i] != VALUE_NONE) {
            status = quantized_value(q, node, &outputs[i]);
        }
    }
    if (status == STATUS_OK) {
        status = quantized_emit_like(q, node, inputs, outputs);
    }
    for (int i = 0; status == STATUS_OK && i < node->output_count; i++) {
        if (outputs[i] != VALUE_NONE) {
            const int parts[] = {outputs[i], form.scale, form.zero};
            status = quantized_emit(q, node, NULL, "DequantizeLinear", parts, 3, NULL,
                                    node->outputs[i]);
            quantized_learn(q, node->outputs[i], outputs[i], form);
        }
    }
    return status;
}

/* Of the node's inputs the first is of bytes, and so are its outputs. */
static enum status move_first(struct quantized *q, const struct node *node, int pad_value,
                              bool *keep) {
    const struct fact fact = *quantized_fact(q, node->inputs[0]);
    int *inputs = copy_of(q, node->inputs, node->input_count);
    if (inputs == NULL) {
        return quantized_no_memory(q);
    }
    inputs[0] = fact.bytes;
    if (pad_value > 0) {
        inputs[pad_value] = fact.form.zero;
    }
    *keep = false;
    return move(q, node, inputs, fact.form);
}

enum status quantized_move(struct quantized *q, struct node *node, bool *keep) {
    return quantized_fact(q, node->inputs[0])->bytes == VALUE_NONE
               ? STATUS_OK
               : move_first(q, node, 0, keep);
}

/* Padding that is 0 is the zero point. */
enum status quantized_pad(struct quantized *q, struct node *node, bool *keep) {
    const struct tensor *value = graph_constant(q->graph, node, 2);
    const bool is_zero = node->input_count > 2 && value != NULL &&
                         value->dtype == DTYPE_F32 && tensor_count(value) == 1 &&
                         !(*(const float *)value->data < 0) &&
                         !(*(const float *)value->data > 0);
    return node->opset >= 11 && is_zero &&
                   quantized_fact(q, node->inputs[0])->bytes != VALUE_NONE
               ? move_first(q, node, 2, keep)
               : STATUS_OK;
}

/* Each pixel is another one; other modes weigh neighbours. */
enum status quantized_resize(struct quantized *q, struct node *node, bool *keep) {
    const struct attr *mode = attr_find(node, "mode");
    const struct attr *crop = attr_find(node, "coordinate_transformation_mode");
    const char *nearest = "nearest", *outside = "tf_crop_and_resize";
    if (mode != NULL &&
        (mode->kind != ATTR_TEXT ||
         !span_equal(mode->as.text,
                     (struct span){(const uint8_t *)nearest, strlen(nearest)}))) {
        return STATUS_OK;
    }
    if (crop != NULL && crop->kind == ATTR_TEXT &&
        span_equal(crop->as.text,
                   (struct span){(const uint8_t *)outside, strlen(outside)})) {
        return STATUS_OK; /* pixels may be another number */
    }
    return quantized_move(q, node, keep);
}

/* ---- Concat ------------------------------------------------------------------------ */

static bool same_form(const struct quantized *q, const struct fact *a,
                      const struct fact *b) {
    const struct value *values = q->graph->values;
    const float scale = quantized_scale(q, a->form.scale),
                other = quantized_scale(q, b->form.scale);
    return values[a->bytes].dtype == values[b->bytes].dtype &&
           memcmp(&scale, &other, sizeof(scale)) == 0 &&
           *(const uint8_t *)values[a->form.zero].constant->data ==
               *(const uint8_t *)values[b->form.zero].constant->data;
}

/* All parts are bytes of one form. */
static bool is_uniform(struct quantized *q, const struct node *node) {
    for (int i = 0; i < node->input_count; i++) {
        const struct fact fact = *quantized_fact(q, node->inputs[i]);
        if (fact.bytes == VALUE_NONE ||
            !same_form(q, &fact, quantized_fact(q, node->inputs[0]))) {
            return false;
        }
    }
    return true;
}

static bool has_functions(struct quantized *q, const struct node *node) {
    for (int i = 0; i < node->input_count; i++) {
        if (quantized_fact(q, node->inputs[i])->functions[0].root == VALUE_NONE) {
            return false;
        }
    }
    return true;
}

/* Each part as the bytes that the result is made of. */
static enum status requantize(struct quantized *q, const struct node *node,
                              struct sink *sink, int *inputs, bool *all) {
    const struct node *quantize = &q->graph->nodes[sink->node];
    enum status status = STATUS_OK;
    *all = true;
    for (int i = 0; status == STATUS_OK && *all && i < node->input_count; i++) {
        int output;
        status = quantized_value(q, node, &output);
        if (status == STATUS_OK) {
            status = quantized_bytes(q, quantize, node->inputs[i], output, &inputs[i]);
        }
        *all = inputs[i] != VALUE_NONE;
    }
    return status;
}

enum status quantized_concat(struct quantized *q, struct node *node, bool *keep) {
    int *inputs = copy_of(q, node->inputs, node->input_count), output;
    struct sink sink;
    bool all;
    enum status status;
    if (inputs == NULL) {
        return quantized_no_memory(q);
    }
    if (is_uniform(q, node)) {
        for (int i = 0; i < node->input_count; i++) {
            inputs[i] = quantized_fact(q, node->inputs[i])->bytes;
        }
        *keep = false;
        return move(q, node, inputs, quantized_fact(q, node->inputs[0])->form);
    }
    if (!has_functions(q, node) || !quantized_sink(q, node->outputs[0], &sink)) {
        return STATUS_OK;
    }
    status = requantize(q, node, &sink, inputs, &all);
    if (status != STATUS_OK || !all) {
        return status;
    }
    status = quantized_sink_output(q, node->outputs[0], &sink, &output);
    return status == STATUS_OK ? quantized_emit_like(q, node, inputs, &output) : status;
}

/* ---- pooling ----------------------------------------------------------------------- */

/* Kernels for bytes know windows of one or two axes. */
static bool is_flat(struct node *node) {
    const struct attr *kernel = attr_find(node, "kernel_shape");
    return node->output_count == 1 && kernel != NULL && kernel->kind == ATTR_INTS &&
           kernel->count <= 2;
}

static enum status average(struct quantized *q, struct node *node, const char *type) {
    const struct fact fact = *quantized_fact(q, node->inputs[0]);
    int inputs[] = {fact.bytes, fact.form.scale, fact.form.zero, 0, 0}, output;
    struct sink sink;
    enum status status;
    if (fact.bytes == VALUE_NONE || !quantized_sink(q, node->outputs[0], &sink) ||
        sink.dtype != q->graph->values[fact.bytes].dtype) {
        return STATUS_OK;
    }
    inputs[3] = sink.form.scale;
    inputs[4] = sink.form.zero;
    status = quantized_sink_output(q, node->outputs[0], &sink, &output);
    return status == STATUS_OK ? quantized_emit(q, node, "millrace", type, inputs, 5,
                                                &node->attrs, output)
                               : status;
}

enum status quantized_pool(struct quantized *q, struct node *node, bool *keep) {
    if (!is_flat(node)) {
        return STATUS_OK;
    }
    return strcmp(node->type, "MaxPool") == 0 ? quantized_move(q, node, keep)
                                              : average(q, node, "ByteAveragePool");
}

enum status quantized_global_pool(struct quantized *q, struct node *node, bool *keep) {
    (void)keep;
    return average(q, node, "ByteGlobalAveragePool");
}
