/* contrib_quantized.c - operators on quantised numbers: what they compute stands between
 * DequantizeLinear and QuantizeLinear. */
#include "engine/contrib_impl.h"
#include "engine/op.h"

static enum status dequantize(struct expansion *x, int first, int *value) {
    return contrib_add(x, "DequantizeLinear",
                       INPUTS(contrib_input(x, first), contrib_input(x, first + 1),
                              contrib_input(x, first + 2)),
                       NO_ATTRS, value);
}

static enum status quantize(struct expansion *x, int value, int scale) {
    return contrib_add_node(
        x, "QuantizeLinear",
        INPUTS(value, contrib_input(x, scale), contrib_input(x, scale + 1)), NO_ATTRS,
        x->node->outputs, 1);
}

/* Two operands, each with scale and zero point; then those of the result. */
enum status contrib_expand_q_binary(struct expansion *x) {
    int a = VALUE_NONE, b = VALUE_NONE;
    enum status status = dequantize(x, 0, &a);
    if (status == STATUS_OK) {
        status = dequantize(x, 3, &b);
    }
    if (status == STATUS_OK) {
        status = contrib_add(x, x->contrib->param, INPUTS(a, b), NO_ATTRS, &a);
    }
    return status == STATUS_OK ? quantize(x, a, 6) : status;
}

/* One operand, and attributes as ONNX's operator has them. */
enum status contrib_expand_q_unary(struct expansion *x) {
    struct attr attrs[NODE_ATTRS_MAX];
    bool channels_last = false;
    int value = VALUE_NONE;
    enum status status =
        attr_bool(x->node, "channels_last", false, &channels_last, x->err);
    if (status == STATUS_OK && channels_last) {
        status = node_error(x->node, x->err, STATUS_UNSUPPORTED,
                            "channels_last is not handled");
    }
    attr_ignore(x->node, "opset");
    if (status == STATUS_OK) {
        status = dequantize(x, 0, &value);
    }
    if (status == STATUS_OK) {
        int count = contrib_copy_attrs(x, attrs, NODE_ATTRS_MAX);
        status = contrib_add(x, x->contrib->param, INPUTS(value), attrs, count, &value);
    }
    return status == STATUS_OK ? quantize(x, value, 3) : status;
}

/* The result's scale and zero point come first here. */
enum status contrib_expand_q_concat(struct expansion *x) {
    struct attr attrs[NODE_ATTRS_MAX];
    int parts = (x->node->input_count - 2) / 3, value = VALUE_NONE;
    int *values = arena_alloc(&x->graph->arena, (size_t)parts + 1, sizeof(*values));
    int count = contrib_copy_attrs(x, attrs, NODE_ATTRS_MAX);
    enum status status = values == NULL ? contrib_no_memory(x) : STATUS_OK;
    for (int i = 0; status == STATUS_OK && i < parts; i++) {
        status = dequantize(x, 2 + 3 * i, &values[i]);
    }
    if (status == STATUS_OK) {
        status = contrib_add(x, "Concat", values, parts, attrs, count, &value);
    }
    return status == STATUS_OK ? quantize(x, value, 0) : status;
}

/* *value as its transpose, where the attribute says so. */
static enum status turn(struct expansion *x, const char *attr, int *value) {
    bool turned = false;
    enum status status = attr_bool(x->node, attr, false, &turned, x->err);
    return status == STATUS_OK && turned
               ? contrib_add(x, "Transpose", INPUTS(*value), NO_ATTRS, value)
               : status;
}

/* Two matrices, each with scale and zero point, a bias in units of their product, and
 * the result's scale and zero point; without these it is of floats. */
enum status contrib_expand_q_gemm(struct expansion *x) {
    struct attr attrs[NODE_ATTRS_MAX];
    int inputs[9], a = contrib_input(x, 0), count;
    enum status status = turn(x, "transA", &a);
    count = contrib_copy_attrs(x, attrs, NODE_ATTRS_MAX);
    inputs[0] = a;
    for (int i = 1; i < x->node->input_count; i++) {
        inputs[i] = contrib_input(x, i);
    }
    return status == STATUS_OK
               ? contrib_add_node(x, "QGemm", inputs, x->node->input_count, attrs, count,
                                  x->node->outputs, 1)
               : status;
}

enum status contrib_expand_dynamic_matmul(struct expansion *x) {
    int made[] = {VALUE_NONE, VALUE_NONE, VALUE_NONE}; /* numbers, scale, zero point */
    enum status status = contrib_add_node(x, "DynamicQuantizeLinear",
                                          INPUTS(contrib_input(x, 0)), NO_ATTRS, made, 3);
    return status == STATUS_OK
               ? contrib_add_node(x, "MatMulIntegerToFloat",
                                  INPUTS(made[0], contrib_input(x, 1), made[1],
                                         contrib_input(x, 2), made[2],
                                         contrib_input(x, 3), contrib_input(x, 4)),
                                  NO_ATTRS, x->node->outputs, 1)
               : status;
}

/* Weights of 8 bits, [directions, size, rows], with a scale and a zero point for each
 * direction, or for each of its rows: as floats, [directions, rows, size]. */
static enum status float_weights(struct expansion *x, int weights, int form, int *made) {
    static const int64_t spread[] = {0, 1, -1}, turned[] = {0, 2, 1};
    const struct attr to_float = contrib_int_attr("to", DTYPE_F32);
    const struct attr perm = {
        .name = "perm", .kind = ATTR_INTS, .count = 3, .as.ints = turned};
    int parts[] = {contrib_input(x, weights), contrib_input(x, form),
                   contrib_input(x, form + 1)};
    int shape = VALUE_NONE;
    enum status status = contrib_add_ints(x, spread, ARRAY_COUNT(spread), &shape);
    for (int i = 0; status == STATUS_OK && i < 3; i++) {
        if (i > 0) {
            status =
                contrib_add(x, "Reshape", INPUTS(parts[i], shape), NO_ATTRS, &parts[i]);
        }
        if (status == STATUS_OK) {
            status = contrib_add(x, "Cast", INPUTS(parts[i]), &to_float, 1, &parts[i]);
        }
    }
    if (status == STATUS_OK) {
        status = contrib_add(x, "Sub", INPUTS(parts[0], parts[2]), NO_ATTRS, made);
    }
    if (status == STATUS_OK) {
        status = contrib_add(x, "Mul", INPUTS(*made, parts[1]), NO_ATTRS, made);
    }
    return status == STATUS_OK
               ? contrib_add(x, "Transpose", INPUTS(*made), &perm, 1, made)
               : status;
}

/* ONNX Runtime rounds rows and states to 8 bits too, by the range of the whole batch.
 * Here they stay floats: that is more exact, and a row does not depend on others. */
enum status contrib_expand_dynamic_lstm(struct expansion *x) {
    struct attr attrs[NODE_ATTRS_MAX];
    int count = contrib_copy_attrs(x, attrs, NODE_ATTRS_MAX), w = VALUE_NONE,
        r = VALUE_NONE;
    enum status status = float_weights(x, 1, 8, &w);
    if (status == STATUS_OK) {
        status = float_weights(x, 2, 10, &r);
    }
    return status == STATUS_OK
               ? contrib_add_node(x, "LSTM",
                                  INPUTS(contrib_input(x, 0), w, r, contrib_input(x, 3),
                                         contrib_input(x, 4), contrib_input(x, 5),
                                         contrib_input(x, 6), contrib_input(x, 7)),
                                  attrs, count, x->node->outputs, x->node->output_count)
               : status;
}
