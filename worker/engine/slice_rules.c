/* slice_rules.c - see slice_rules.h.
 *
 * That axis 0 alone grows with the batch, from shape to shape, proves most of it: a
 * Transpose that moved axis 0, a Concat or a reduction over it would show.  The rules see
 * to the rest: what keeps the shape but mixes, turns round or counts rows. */
#include "engine/slice_rules.h"

#include <string.h>

#include "base/size.h"

typedef bool rule_fn(const struct exec *exec, uint32_t rows);

struct rule {
    const char *type;
    rule_fn *holds;
};

static bool has_rows(uint32_t rows, int input) {
    return (rows >> input & 1) != 0;
}

/* Axis 0 is the output's axis 0, row by row, also where axes are broadcast. */
static bool aligned(const struct exec *exec, uint32_t rows) {
    const struct tensor *y = exec->y[0];
    for (int i = 0; i < exec->node->input_count; i++) {
        if (has_rows(rows, i) &&
            (exec->x[i]->rank != y->rank || exec->x[i]->dims[0] != y->dims[0])) {
            return false;
        }
    }
    return true;
}

/* The bytes stay in their order. */
static bool reshaped(const struct exec *exec, uint32_t rows) {
    (void)exec; /* rows are a part of axis 0 before and after */
    return rows == 1;
}

/* Only input 0 has rows, and the output as many; its rank may be another. */
static bool first(const struct exec *exec, uint32_t rows) {
    return rows == 1 && exec->x[0]->dims[0] == exec->y[0]->dims[0];
}

/* With the indices of maxima counted through all rows, or with the batch's statistics. */
static bool one_output(const struct exec *exec, uint32_t rows) {
    return exec->node->output_count == 1 && first(exec, rows);
}

/* The attribute, or `fallback`; lists of other kinds give -1. */
static int64_t int_attr(const struct node *node, const char *name, int64_t fallback) {
    for (int i = 0; i < node->attrs.count; i++) {
        const struct attr *attr = &node->attrs.items[i];
        if (strcmp(attr->name, name) == 0) {
            return attr->kind == ATTR_INT ? attr->as.i : -1;
        }
    }
    return fallback;
}

/* An axis, counted from the end where negative, which is not axis 0. */
static bool other_axis(const struct exec *exec, int64_t fallback) {
    int64_t axis = int_attr(exec->node, "axis", fallback);
    return axis != 0 && axis != -(int64_t)exec->x[0]->rank;
}

static bool softmax(const struct exec *exec, uint32_t rows) {
    return first(exec, rows) && other_axis(exec, exec->node->opset < 13 ? 1 : -1);
}

static bool normalized(const struct exec *exec, uint32_t rows) {
    return first(exec, rows) && other_axis(exec, -1);
}

/* No numbers below `least` among those of input `input` or, without it, of attribute
 * `name`. */
static bool none_below(const struct exec *exec, int input, const char *name,
                       int64_t least) {
    const struct node *node = exec->node;
    const struct tensor *x = exec_has(exec, input) ? exec->x[input] : NULL;
    for (size_t i = 0; x != NULL && i < tensor_count(x); i++) {
        if (x->data == NULL || (x->dtype != DTYPE_I64 && x->dtype != DTYPE_I32) ||
            (x->dtype == DTYPE_I64 ? ((const int64_t *)x->data)[i]
                                   : ((const int32_t *)x->data)[i]) < least) {
            return false;
        }
    }
    for (int a = 0; x == NULL && name != NULL && a < node->attrs.count; a++) {
        const struct attr *attr = &node->attrs.items[a];
        for (size_t i = 0; strcmp(attr->name, name) == 0 && i < attr->count; i++) {
            if (attr->kind != ATTR_INTS || attr->as.ints[i] < least) {
                return false;
            }
        }
    }
    return true;
}

/* Axis 0, which keeps its size, is not walked backwards. */
static bool slice(const struct exec *exec, uint32_t rows) {
    return first(exec, rows) && none_below(exec, 4, NULL, 1);
}

/* Nor are rows cut from one end and added at the other. */
static bool pad(const struct exec *exec, uint32_t rows) {
    return first(exec, rows) && none_below(exec, 1, "pads", 0);
}

/* Rows of a table by their numbers, or places in each row. */
static bool gather(const struct exec *exec, uint32_t rows) {
    bool rows_are_axis = int_attr(exec->node, "axis", 0) == 0;
    if (rows == 2) {
        return rows_are_axis && exec->x[1]->dims[0] == exec->y[0]->dims[0];
    }
    return first(exec, rows) && other_axis(exec, 0);
}

/* Each pixel is another one; other modes weigh neighbours, and might be told of places by
 * input 1. */
static bool resize(const struct exec *exec, uint32_t rows) {
    const struct node *node = exec->node;
    for (int i = 0; i < node->attrs.count; i++) {
        const struct attr *attr = &node->attrs.items[i];
        if (strcmp(attr->name, "mode") == 0 &&
            (attr->kind != ATTR_TEXT || attr->as.text.size != strlen("nearest") ||
             memcmp(attr->as.text.data, "nearest", attr->as.text.size) != 0)) {
            return false;
        }
    }
    return first(exec, rows) &&
           (!exec_has(exec, 2) || !exec_has(exec, 1) || tensor_count(exec->x[1]) == 0);
}

static const struct rule rules[] = {
    {"AveragePool", first},
    {"BatchNormalization", one_output},
    {"ByteAveragePool", first},
    {"ByteGlobalAveragePool", first},
    {"Concat", aligned},
    {"Conv", aligned},
    {"ConvTranspose", aligned},
    {"DequantizeLinear", first},
    {"Dropout", one_output},
    {"Expand", aligned},
    {"Flatten", reshaped},
    {"Gather", gather},
    {"Gemm", aligned},
    {"GlobalAveragePool", first},
    {"GlobalLpPool", first},
    {"GlobalMaxPool", first},
    {"GroupNormalization", first},
    {"Identity", reshaped},
    {"InstanceNormalization", first},
    {"LRN", first},
    {"LayerNormalization", normalized},
    {"LogSoftmax", softmax},
    {"LpPool", first},
    {"MatMul", aligned},
    {"MaxPool", one_output},
    {"Pad", pad},
    {"PRelu", aligned},
    {"QLinearConv", aligned},
    {"QLinearMatMul", aligned},
    {"QuantizeLinear", first},
    {"ReduceL1", first},
    {"ReduceL2", first},
    {"ReduceMax", first},
    {"ReduceMean", first},
    {"ReduceMin", first},
    {"ReduceProd", first},
    {"ReduceSum", first},
    {"ReduceSumSquare", first},
    {"Reshape", reshaped},
    {"Resize", resize},
    {"Slice", slice},
    {"Softmax", softmax},
    {"Split", first},
    {"Squeeze", reshaped},
    {"Tile", first},
    {"Transpose", first},
    {"Unsqueeze", reshaped},
    {"Upsample", resize},
};

/* ONNX's own, or what passes make of such. */
static bool is_ours(const struct op *op) {
    return op->domain == NULL || strcmp(op->domain, "millrace") == 0;
}

bool slice_rule_holds(const struct exec *exec, uint32_t rows) {
    const struct op *op = exec->node->op;
    if (rows == 0 || !is_ours(op) || (op->flags & OP_NOT_CONSTANT) != 0 ||
        exec->y[0] == NULL) {
        return false;
    }
    if ((op->flags & OP_ELEMENTWISE) != 0) {
        return aligned(exec, rows);
    }
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
        if (strcmp(rules[i].type, op->name) == 0) {
            return rules[i].holds(exec, rows);
        }
    }
    return false;
}
