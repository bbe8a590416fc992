/* contrib.c - see contrib.h. */
#include "engine/contrib.h"

#include "engine/op.h"

struct expansion;

struct contrib {
    const char *name;
    const char *param; /* the operator that a family is about */
    int inputs_min, inputs_max;
    enum status (*expand)(struct expansion *x);
};

/* One node being replaced. */
struct expansion {
    const struct contrib *contrib;
    struct graph *graph;
    struct node *node;
    struct error *err;
};

/* ---- building ---------------------------------------------------------------------- */

#define INPUTS(...) \
    (int[]){__VA_ARGS__}, (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int))
#define NO_ATTRS NULL, 0

static enum status no_memory(struct expansion *x) {
    return node_error(x->node, x->err, STATUS_NO_MEMORY, "out of memory");
}

/* A node of ONNX's operator `type`; outputs that are VALUE_NONE get a value. */
static enum status add_node(struct expansion *x, const char *type, const int *inputs,
                            int input_count, const struct attr *attrs, int attr_count,
                            int *outputs, int output_count) {
    int64_t opset = strcmp(type, "Clip") == 0 ? 6 : OP_OPSET_MAX; /* bounds: attributes */
    int index = graph_add_node(x->graph);
    struct node *node = index < 0 ? NULL : &x->graph->nodes[index];
    struct attr *own =
        arena_alloc(&x->graph->arena, (size_t)attr_count + 1, sizeof(*own));
    if (node == NULL || own == NULL ||
        !graph_node_room(x->graph, node, input_count, output_count)) {
        return no_memory(x);
    }
    node->type = type;
    node->name = x->node->name;
    node->opset = opset;
    node->op = op_find(NULL, type, opset);
    node->explicit_count = input_count;
    if (attr_count > 0) {
        memcpy(own, attrs, (size_t)attr_count * sizeof(*own));
    }
    node->attrs = (struct attr_list){.items = own, .count = attr_count};
    for (int i = 0; i < input_count; i++) {
        node->inputs[i] = inputs[i];
    }
    for (int i = 0; i < output_count; i++) {
        if (outputs[i] == VALUE_NONE) {
            outputs[i] = graph_add_value(x->graph, x->node->name);
            if (outputs[i] < 0) {
                return no_memory(x);
            }
        }
        x->graph->nodes[index].outputs[i] = outputs[i];
    }
    return STATUS_OK;
}

/* The same with one output, which becomes *made. */
static enum status add(struct expansion *x, const char *type, const int *inputs,
                       int input_count, const struct attr *attrs, int attr_count,
                       int *made) {
    int output = VALUE_NONE;
    enum status status =
        add_node(x, type, inputs, input_count, attrs, attr_count, &output, 1);
    *made = output;
    return status;
}

static struct attr int_attr(const char *name, int64_t value) {
    return (struct attr){.name = name, .kind = ATTR_INT, .as.i = value};
}

static struct attr float_attr(const char *name, float value) {
    return (struct attr){.name = name, .kind = ATTR_FLOAT, .as.f = value};
}

static enum status add_ints(struct expansion *x, const int64_t *values, size_t count,
                            int *made) {
    int64_t *own = arena_alloc(&x->graph->arena, count, sizeof(*own));
    struct attr attr = {.name = "value_ints", .kind = ATTR_INTS, .count = count};
    if (own == NULL) {
        return no_memory(x);
    }
    memcpy(own, values, count * sizeof(*own));
    attr.as.ints = own;
    return add(x, "Constant", NULL, 0, &attr, 1, made);
}

static int input(const struct expansion *x, int i) {
    return i < x->node->input_count ? x->node->inputs[i] : VALUE_NONE;
}

static int output(const struct expansion *x, int i) {
    return i < x->node->output_count ? x->node->outputs[i] : VALUE_NONE;
}

/* The node's first output is `value`. */
static enum status finish(struct expansion *x, int value) {
    return add_node(x, "Identity", INPUTS(value), NO_ATTRS, &x->node->outputs[0], 1);
}

/* *value plus input `i`, if that is there. */
static enum status add_input(struct expansion *x, int i, int *value) {
    return input(x, i) == VALUE_NONE
               ? STATUS_OK
               : add(x, "Add", INPUTS(*value, input(x, i)), NO_ATTRS, value);
}

/* Copies attributes that mean the same there. */
static int copy_attrs(struct expansion *x, struct attr *to, int room) {
    int count = 0;
    for (int i = 0; i < x->node->attrs.count && count < room; i++) {
        const char *name = x->node->attrs.items[i].name;
        if ((x->node->attrs.read >> i & 1) == 0) {
            to[count++] = *attr_find(x->node, name);
        }
    }
    return count;
}

/* ---- activations ------------------------------------------------------------------- */

static enum status expand_gelu(struct expansion *x) {
    static const struct attr tanh_form = {
        .name = "approximate",
        .kind = ATTR_TEXT,
        .as.text = {.data = (const uint8_t *)"tanh", .size = 4}};
    int value = input(x, 0);
    bool fast = strcmp(x->contrib->name, "FastGelu") == 0;
    enum status status = add_input(x, 1, &value);
    if (status == STATUS_OK) {
        status = add(x, "Gelu", INPUTS(value), &tanh_form, fast ? 1 : 0, &value);
    }
    return status == STATUS_OK ? finish(x, value) : status;
}

static enum status expand_quick_gelu(struct expansion *x) {
    struct attr attr;
    float alpha = 0;
    int value;
    enum status status = attr_float(x->node, "alpha", 1.702F, &alpha, x->err);
    attr = float_attr("alpha", alpha);
    if (status == STATUS_OK) {
        status = add(x, "Swish", INPUTS(input(x, 0)), &attr, 1, &value);
    }
    return status == STATUS_OK ? finish(x, value) : status;
}

/* Parameter `i` of the activation: of a list, or in an attribute of its own. */
static bool activation_param(struct expansion *x, size_t i, float *value) {
    static const char *const names[] = {"activation_alpha", "activation_beta"};
    const struct attr *list = attr_find(x->node, "activation_params");
    const struct attr *own = attr_find(x->node, names[i]);
    if (list != NULL && list->kind == ATTR_FLOATS && i < list->count) {
        *value = list->as.floats[i];
        return true;
    }
    if (own != NULL && own->kind == ATTR_FLOAT) {
        *value = own->as.f;
        return true;
    }
    return false;
}

/* The attribute `activation` with its parameters, applied to *value. */
static enum status activate(struct expansion *x, int *value) {
    static const struct {
        const char *name, *params[2];
    } known[] = {{"Relu", {NULL, NULL}},
                 {"Tanh", {NULL, NULL}},
                 {"Sigmoid", {NULL, NULL}},
                 {"LeakyRelu", {"alpha", NULL}},
                 {"HardSigmoid", {"alpha", "beta"}},
                 {"Clip", {"min", "max"}}};
    struct span name;
    struct attr attrs[2];
    int count = 0;
    enum status status = attr_text(x->node, "activation", "", &name, x->err);
    if (status != STATUS_OK || name.size == 0) {
        return status;
    }
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        if (name.size != strlen(known[i].name) ||
            memcmp(name.data, known[i].name, name.size) != 0) {
            continue;
        }
        for (size_t k = 0; k < 2 && known[i].params[k] != NULL; k++) {
            float param;
            if (activation_param(x, k, &param)) {
                attrs[count++] = float_attr(known[i].params[k], param);
            }
        }
        return add(x, known[i].name, INPUTS(*value), attrs, count, value);
    }
    return node_error(x->node, x->err, STATUS_UNSUPPORTED, "activation '%.*s'",
                      (int)(name.size < 40 ? name.size : 40), (const char *)name.data);
}

/* ---- products ---------------------------------------------------------------------- */

/* Conv or Gemm with an activation; Conv with something to add before it. */
static enum status expand_fused(struct expansion *x) {
    static const char *const own[] = {"activation", "activation_params",
                                      "activation_alpha", "activation_beta",
                                      "activation_gamma"};
    struct attr attrs[NODE_ATTRS_MAX];
    int value = VALUE_NONE, count;
    for (size_t i = 0; i < ARRAY_COUNT(own); i++) {
        (void)attr_find(x->node, own[i]); /* so that they are not copied */
    }
    count = copy_attrs(x, attrs, NODE_ATTRS_MAX);
    enum status status =
        add(x, x->contrib->param, INPUTS(input(x, 0), input(x, 1), input(x, 2)), attrs,
            count, &value);
    if (status == STATUS_OK) {
        status = add_input(x, 3, &value);
    }
    if (status == STATUS_OK) {
        status = activate(x, &value);
    }
    return status == STATUS_OK ? finish(x, value) : status;
}

/* The last two axes change places; how many there are, an Einsum need not know. */
static enum status transpose(struct expansion *x, int *value) {
    static const struct attr equation = {
        .name = "equation",
        .kind = ATTR_TEXT,
        .as.text = {.data = (const uint8_t *)"...ij->...ji", .size = 12}};
    return add(x, "Einsum", INPUTS(*value), &equation, 1, value);
}

static enum status expand_fused_matmul(struct expansion *x) {
    bool swap[4] = {false};
    static const char *const names[] = {"transA", "transB", "transBatchA", "transBatchB"};
    float alpha = 1;
    int sides[] = {input(x, 0), input(x, 1)}, value = VALUE_NONE;
    enum status status = attr_float(x->node, "alpha", 1, &alpha, x->err);
    for (int i = 0; status == STATUS_OK && i < 4; i++) {
        status = attr_bool(x->node, names[i], false, &swap[i], x->err);
    }
    if (status == STATUS_OK && (swap[2] || swap[3])) {
        status = node_error(x->node, x->err, STATUS_UNSUPPORTED,
                            "transBatchA and transBatchB are not handled");
    }
    for (int i = 0; status == STATUS_OK && i < 2; i++) {
        status = swap[i] ? transpose(x, &sides[i]) : STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = add(x, "MatMul", INPUTS(sides[0], sides[1]), NO_ATTRS, &value);
    }
    if (status == STATUS_OK && (alpha < 1 || alpha > 1)) {
        struct attr attr = float_attr("value_float", alpha);
        int factor = VALUE_NONE;
        status = add(x, "Constant", NULL, 0, &attr, 1, &factor);
        if (status == STATUS_OK) {
            status = add(x, "Mul", INPUTS(value, factor), NO_ATTRS, &value);
        }
    }
    return status == STATUS_OK ? finish(x, value) : status;
}

/* ---- normalisation ----------------------------------------------------------------- */

enum { OUT_Y, OUT_SUM = 3 };

/* Layer or RMS normalisation of the last axis; `kind` is ONNX's operator. */
static enum status normalise(struct expansion *x, const char *kind, int value, int scale,
                             int bias) {
    struct attr attrs[2];
    float epsilon = 0;
    int count = bias == VALUE_NONE ? 2 : 3;
    enum status status = attr_float(x->node, "epsilon", 1e-12F, &epsilon, x->err);
    attrs[0] = float_attr("epsilon", epsilon);
    attrs[1] = int_attr("axis", -1);
    return status == STATUS_OK ? add_node(x, kind, (int[]){value, scale, bias}, count,
                                          attrs, 2, x->node->outputs, 1)
                               : status;
}

/* Input, skip, scale, (shift,) bias: y, and the sum that is normalised. */
static enum status expand_skip_norm(struct expansion *x) {
    bool layer = strcmp(x->contrib->param, "LayerNormalization") == 0;
    int value = input(x, 0);
    enum status status = add_input(x, 1, &value);
    if (status == STATUS_OK) {
        status = add_input(x, layer ? 4 : 3, &value);
    }
    if (status == STATUS_OK &&
        (output(x, 1) != VALUE_NONE || output(x, 2) != VALUE_NONE)) {
        status = node_error(x->node, x->err, STATUS_UNSUPPORTED,
                            "its mean and deviation are not handled");
    }
    if (status == STATUS_OK && output(x, OUT_SUM) != VALUE_NONE) {
        status = add_node(x, "Identity", INPUTS(value), NO_ATTRS,
                          &x->node->outputs[OUT_SUM], 1);
    }
    return status == STATUS_OK ? normalise(x, x->contrib->param, value, input(x, 2),
                                           layer ? input(x, 3) : VALUE_NONE)
                               : status;
}

/* Words, segments and places, each looked up, added and normalised. */
static enum status expand_embed_norm(struct expansion *x) {
    enum {
        WORDS,
        SEGMENTS,
        WORD_TABLE,
        PLACE_TABLE,
        SEGMENT_TABLE,
        GAMMA,
        BETA,
        MASK,
        PLACES
    };
    int value = VALUE_NONE, part = VALUE_NONE;
    enum status status =
        add(x, "Gather", INPUTS(input(x, WORD_TABLE), input(x, WORDS)), NO_ATTRS, &value);
    if (output(x, 1) != VALUE_NONE || input(x, PLACES) == VALUE_NONE) {
        return node_error(x->node, x->err, STATUS_UNSUPPORTED,
                          "without position_ids, or with mask_index, is not handled");
    }
    if (status == STATUS_OK) {
        status = add(x, "Gather", INPUTS(input(x, PLACE_TABLE), input(x, PLACES)),
                     NO_ATTRS, &part);
    }
    if (status == STATUS_OK) {
        status = add(x, "Add", INPUTS(value, part), NO_ATTRS, &value);
    }
    if (status == STATUS_OK && input(x, SEGMENT_TABLE) != VALUE_NONE) {
        status = add(x, "Gather", INPUTS(input(x, SEGMENT_TABLE), input(x, SEGMENTS)),
                     NO_ATTRS, &part);
        if (status == STATUS_OK) {
            status = add(x, "Add", INPUTS(value, part), NO_ATTRS, &value);
        }
    }
    if (status == STATUS_OK && output(x, 2) != VALUE_NONE) {
        status =
            add_node(x, "Identity", INPUTS(value), NO_ATTRS, &x->node->outputs[2], 1);
    }
    return status == STATUS_OK ? normalise(x, "LayerNormalization", value,
                                           input(x, GAMMA), input(x, BETA))
                               : status;
}

/* ---- attention --------------------------------------------------------------------- */

/* A mask of whole keys, [batch, keys] of 0 and 1, as [batch, 1, 1, keys] of booleans.
 * Gather makes sure that there are two axes. */
static enum status spread_mask(struct expansion *x, int *mask) {
    const struct attr to_bool = int_attr("to", DTYPE_BOOL), axis = int_attr("axis", 0);
    int shape = VALUE_NONE, ones = VALUE_NONE, dims[2], places[2], wanted = VALUE_NONE;
    enum status status = add(x, "Shape", INPUTS(*mask), NO_ATTRS, &shape);
    for (int64_t i = 0; status == STATUS_OK && i < 2; i++) {
        status = add_ints(x, &i, 1, &places[i]);
        if (status == STATUS_OK) {
            status = add(x, "Gather", INPUTS(shape, places[i]), NO_ATTRS, &dims[i]);
        }
    }
    if (status == STATUS_OK) {
        status = add_ints(x, (int64_t[]){1, 1}, 2, &ones);
    }
    if (status == STATUS_OK) {
        status = add(x, "Concat", INPUTS(dims[0], ones, dims[1]), &axis, 1, &wanted);
    }
    if (status == STATUS_OK) {
        status = add(x, "Reshape", INPUTS(*mask, wanted), NO_ATTRS, mask);
    }
    return status == STATUS_OK ? add(x, "Cast", INPUTS(*mask), &to_bool, 1, mask)
                               : status;
}

static enum status attend(struct expansion *x, const int *qkv, int mask) {
    struct attr attrs[4];
    int64_t heads = 0;
    bool causal = false;
    float scale = 0;
    int count = 3;
    enum status status =
        attr_int_in(x->node, "num_heads", 0, 1, INT32_MAX, &heads, x->err);
    bool has_scale = attr_find(x->node, "scale") != NULL;
    attr_ignore(x->node, "mask_filter_value"); /* masked keys count nothing at all */
    if (status == STATUS_OK) {
        status = attr_bool(x->node, "unidirectional", false, &causal, x->err);
    }
    if (status == STATUS_OK) {
        status = attr_float(x->node, "scale", 0, &scale, x->err);
    }
    attrs[0] = int_attr("q_num_heads", heads);
    attrs[1] = int_attr("kv_num_heads", heads);
    attrs[2] = int_attr("is_causal", causal ? 1 : 0);
    if (has_scale && scale > 0) { /* 0 stands for the usual one */
        attrs[count++] = float_attr("scale", scale);
    }
    return status == STATUS_OK
               ? add_node(x, "Attention", (int[]){qkv[0], qkv[1], qkv[2], mask},
                          mask == VALUE_NONE ? 3 : 4, attrs, count, x->node->outputs, 1)
               : status;
}

static enum status refuse_from(struct expansion *x, int first_input, int last_input) {
    bool used = false;
    for (int i = first_input; i <= last_input; i++) {
        used = used || input(x, i) != VALUE_NONE;
    }
    for (int i = 1; i < x->node->output_count; i++) {
        used = used || output(x, i) != VALUE_NONE;
    }
    return used ? node_error(x->node, x->err, STATUS_UNSUPPORTED,
                             "with past keys, or inputs past %d, is not handled",
                             first_input - 1)
                : STATUS_OK;
}

/* Input, weights and bias of all three operands, mask of keys. */
static enum status expand_attention(struct expansion *x) {
    const struct attr split[] = {int_attr("axis", -1), int_attr("num_outputs", 3)};
    int value = VALUE_NONE, qkv[] = {VALUE_NONE, VALUE_NONE, VALUE_NONE};
    int mask = input(x, 3);
    enum status status = refuse_from(x, 4, 6);
    if (status == STATUS_OK) {
        status = add(x, "MatMul", INPUTS(input(x, 0), input(x, 1)), NO_ATTRS, &value);
    }
    if (status == STATUS_OK) {
        status = add_input(x, 2, &value);
    }
    if (status == STATUS_OK) {
        status = add_node(x, "Split", INPUTS(value), split, 2, qkv, 3);
    }
    if (status == STATUS_OK && mask != VALUE_NONE) {
        status = spread_mask(x, &mask);
    }
    return status == STATUS_OK ? attend(x, qkv, mask) : status;
}

/* Queries, keys, values, a bias of all three, a mask of keys or a bias of scores. */
static enum status expand_multi_head(struct expansion *x) {
    const struct attr split[] = {int_attr("axis", -1), int_attr("num_outputs", 3)};
    int qkv[] = {input(x, 0), input(x, 1), input(x, 2)};
    int bias[] = {VALUE_NONE, VALUE_NONE, VALUE_NONE};
    int mask = input(x, 4) != VALUE_NONE ? input(x, 4) : input(x, 5);
    enum status status = refuse_from(x, 6, 9);
    if (status == STATUS_OK &&
        (qkv[1] == VALUE_NONE || qkv[2] == VALUE_NONE ||
         (input(x, 4) != VALUE_NONE && input(x, 5) != VALUE_NONE))) {
        status = node_error(x->node, x->err, STATUS_UNSUPPORTED,
                            "packed operands, or two masks, are not handled");
    }
    if (status == STATUS_OK && input(x, 3) != VALUE_NONE) {
        status = add_node(x, "Split", INPUTS(input(x, 3)), split, 2, bias, 3);
        for (int i = 0; status == STATUS_OK && i < 3; i++) {
            status = add(x, "Add", INPUTS(qkv[i], bias[i]), NO_ATTRS, &qkv[i]);
        }
    }
    if (status == STATUS_OK && input(x, 4) != VALUE_NONE) {
        status = spread_mask(x, &mask);
    }
    return status == STATUS_OK ? attend(x, qkv, mask) : status;
}

/* ---- quantised --------------------------------------------------------------------- */

static enum status dequantize(struct expansion *x, int first, int *value) {
    return add(x, "DequantizeLinear",
               INPUTS(input(x, first), input(x, first + 1), input(x, first + 2)),
               NO_ATTRS, value);
}

static enum status quantize(struct expansion *x, int value, int scale) {
    return add_node(x, "QuantizeLinear",
                    INPUTS(value, input(x, scale), input(x, scale + 1)), NO_ATTRS,
                    x->node->outputs, 1);
}

/* Two operands, each with scale and zero point; then those of the result. */
static enum status expand_q_binary(struct expansion *x) {
    int a = VALUE_NONE, b = VALUE_NONE;
    enum status status = dequantize(x, 0, &a);
    if (status == STATUS_OK) {
        status = dequantize(x, 3, &b);
    }
    if (status == STATUS_OK) {
        status = add(x, x->contrib->param, INPUTS(a, b), NO_ATTRS, &a);
    }
    return status == STATUS_OK ? quantize(x, a, 6) : status;
}

/* One operand, and attributes as ONNX's operator has them. */
static enum status expand_q_unary(struct expansion *x) {
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
        int count = copy_attrs(x, attrs, NODE_ATTRS_MAX);
        status = add(x, x->contrib->param, INPUTS(value), attrs, count, &value);
    }
    return status == STATUS_OK ? quantize(x, value, 3) : status;
}

/* The result's scale and zero point come first here. */
static enum status expand_q_concat(struct expansion *x) {
    struct attr attrs[NODE_ATTRS_MAX];
    int parts = (x->node->input_count - 2) / 3, value = VALUE_NONE;
    int *values = arena_alloc(&x->graph->arena, (size_t)parts + 1, sizeof(*values));
    int count = copy_attrs(x, attrs, NODE_ATTRS_MAX);
    enum status status = values == NULL ? no_memory(x) : STATUS_OK;
    for (int i = 0; status == STATUS_OK && i < parts; i++) {
        status = dequantize(x, 2 + 3 * i, &values[i]);
    }
    if (status == STATUS_OK) {
        status = add(x, "Concat", values, parts, attrs, count, &value);
    }
    return status == STATUS_OK ? quantize(x, value, 0) : status;
}

/* *value as its transpose, where the attribute says so. */
static enum status turn(struct expansion *x, const char *attr, int *value) {
    bool turned = false;
    enum status status = attr_bool(x->node, attr, false, &turned, x->err);
    return status == STATUS_OK && turned
               ? add(x, "Transpose", INPUTS(*value), NO_ATTRS, value)
               : status;
}

/* alpha (a - a_zero)(b - b_zero) a_scale b_scale: its factors of floats. */
static enum status gemm_scale(struct expansion *x, int *scale) {
    float alpha = 1;
    struct attr attr;
    int factor = VALUE_NONE;
    enum status status = attr_float(x->node, "alpha", 1, &alpha, x->err);
    attr = float_attr("value_float", alpha);
    if (status == STATUS_OK) {
        status = add(x, "Mul", INPUTS(input(x, 1), input(x, 4)), NO_ATTRS, scale);
    }
    if (status == STATUS_OK) {
        status = add(x, "Constant", NULL, 0, &attr, 1, &factor);
    }
    return status == STATUS_OK ? add(x, "Mul", INPUTS(*scale, factor), NO_ATTRS, scale)
                               : status;
}

/* Two matrices, each with scale and zero point, a bias in units of their product, and
 * the result's scale and zero point; without these it is of floats. */
static enum status expand_q_gemm(struct expansion *x) {
    const struct attr to_float = int_attr("to", DTYPE_F32);
    int a = input(x, 0), b = input(x, 3), scale = VALUE_NONE, value = VALUE_NONE;
    enum status status = turn(x, "transA", &a);
    if (status == STATUS_OK) {
        status = turn(x, "transB", &b);
    }
    if (status == STATUS_OK) {
        status = gemm_scale(x, &scale);
    }
    if (status == STATUS_OK) {
        status = add(x, "MatMulInteger", INPUTS(a, b, input(x, 2), input(x, 5)), NO_ATTRS,
                     &value);
    }
    if (status == STATUS_OK) {
        status = add_input(x, 6, &value);
    }
    if (status == STATUS_OK) {
        status = add(x, "Cast", INPUTS(value), &to_float, 1, &value);
    }
    if (status == STATUS_OK) {
        status = add(x, "Mul", INPUTS(value, scale), NO_ATTRS, &value);
    }
    if (status != STATUS_OK || input(x, 7) == VALUE_NONE) {
        return status == STATUS_OK ? finish(x, value) : status;
    }
    return quantize(x, value, 7);
}

/* (a - a_zero)(b - b_zero) a_scale b_scale + bias. */
static enum status scale_product(struct expansion *x, int a, int b, int a_scale,
                                 int b_scale, int a_zero, int b_zero, int bias) {
    const struct attr to_float = int_attr("to", DTYPE_F32);
    int value = VALUE_NONE, scale = VALUE_NONE;
    enum status status =
        add(x, "MatMulInteger", INPUTS(a, b, a_zero, b_zero), NO_ATTRS, &value);
    if (status == STATUS_OK) {
        status = add(x, "Cast", INPUTS(value), &to_float, 1, &value);
    }
    if (status == STATUS_OK) {
        status = add(x, "Mul", INPUTS(a_scale, b_scale), NO_ATTRS, &scale);
    }
    if (status == STATUS_OK) {
        status = add(x, "Mul", INPUTS(value, scale), NO_ATTRS, &value);
    }
    if (status == STATUS_OK && bias != VALUE_NONE) {
        status = add(x, "Add", INPUTS(value, bias), NO_ATTRS, &value);
    }
    return status == STATUS_OK ? finish(x, value) : status;
}

static enum status expand_integer_to_float(struct expansion *x) {
    return scale_product(x, input(x, 0), input(x, 1), input(x, 2), input(x, 3),
                         input(x, 4), input(x, 5), input(x, 6));
}

static enum status expand_dynamic_matmul(struct expansion *x) {
    int made[] = {VALUE_NONE, VALUE_NONE, VALUE_NONE}; /* numbers, scale, zero point */
    enum status status =
        add_node(x, "DynamicQuantizeLinear", INPUTS(input(x, 0)), NO_ATTRS, made, 3);
    return status == STATUS_OK
               ? scale_product(x, made[0], input(x, 1), made[1], input(x, 2), made[2],
                               input(x, 3), input(x, 4))
               : status;
}

/* Weights of 8 bits, [directions, size, rows], with a scale and a zero point for each
 * direction, or for each of its rows: as floats, [directions, rows, size]. */
static enum status float_weights(struct expansion *x, int weights, int form, int *made) {
    static const int64_t spread[] = {0, 1, -1}, turned[] = {0, 2, 1};
    const struct attr to_float = int_attr("to", DTYPE_F32);
    const struct attr perm = {
        .name = "perm", .kind = ATTR_INTS, .count = 3, .as.ints = turned};
    int parts[] = {input(x, weights), input(x, form), input(x, form + 1)};
    int shape = VALUE_NONE;
    enum status status = add_ints(x, spread, ARRAY_COUNT(spread), &shape);
    for (int i = 0; status == STATUS_OK && i < 3; i++) {
        if (i > 0) {
            status = add(x, "Reshape", INPUTS(parts[i], shape), NO_ATTRS, &parts[i]);
        }
        if (status == STATUS_OK) {
            status = add(x, "Cast", INPUTS(parts[i]), &to_float, 1, &parts[i]);
        }
    }
    if (status == STATUS_OK) {
        status = add(x, "Sub", INPUTS(parts[0], parts[2]), NO_ATTRS, made);
    }
    if (status == STATUS_OK) {
        status = add(x, "Mul", INPUTS(*made, parts[1]), NO_ATTRS, made);
    }
    return status == STATUS_OK ? add(x, "Transpose", INPUTS(*made), &perm, 1, made)
                               : status;
}

/* ONNX Runtime rounds rows and states to 8 bits too, by the range of the whole batch.
 * Here they stay floats: that is more exact, and a row does not depend on others. */
static enum status expand_dynamic_lstm(struct expansion *x) {
    struct attr attrs[NODE_ATTRS_MAX];
    int count = copy_attrs(x, attrs, NODE_ATTRS_MAX), w = VALUE_NONE, r = VALUE_NONE;
    enum status status = float_weights(x, 1, 8, &w);
    if (status == STATUS_OK) {
        status = float_weights(x, 2, 10, &r);
    }
    return status == STATUS_OK
               ? add_node(x, "LSTM",
                          INPUTS(input(x, 0), w, r, input(x, 3), input(x, 4), input(x, 5),
                                 input(x, 6), input(x, 7)),
                          attrs, count, x->node->outputs, x->node->output_count)
               : status;
}

/* The same operator under another roof. */
static enum status expand_same(struct expansion *x) {
    struct attr attrs[NODE_ATTRS_MAX];
    int count = copy_attrs(x, attrs, NODE_ATTRS_MAX);
    return add_node(x, x->contrib->param, x->node->inputs, x->node->input_count, attrs,
                    count, x->node->outputs, x->node->output_count);
}

/* ---- the table --------------------------------------------------------------------- */

/* In ONNX's own domain, though ONNX does not know it. */
static const struct contrib simplified = {"SimplifiedLayerNormalization",
                                          "RMSNormalization", 2, 2, expand_same};

static const struct contrib table[] = {
    {"Gelu", NULL, 1, 1, expand_gelu},
    {"BiasGelu", NULL, 2, 2, expand_gelu},
    {"FastGelu", NULL, 1, 2, expand_gelu},
    {"QuickGelu", NULL, 1, 1, expand_quick_gelu},
    {"FusedConv", "Conv", 2, 4, expand_fused},
    {"FusedGemm", "Gemm", 2, 3, expand_fused},
    {"FusedMatMul", NULL, 2, 2, expand_fused_matmul},
    {"TransposeMatMul", NULL, 2, 2, expand_fused_matmul},
    {"SkipLayerNormalization", "LayerNormalization", 3, 5, expand_skip_norm},
    {"SkipSimplifiedLayerNormalization", "RMSNormalization", 3, 4, expand_skip_norm},
    {"EmbedLayerNormalization", NULL, 7, 9, expand_embed_norm},
    {"Attention", NULL, 2, 7, expand_attention},
    {"MultiHeadAttention", NULL, 3, 10, expand_multi_head},
    {"QLinearAdd", "Add", 8, 8, expand_q_binary},
    {"QLinearMul", "Mul", 8, 8, expand_q_binary},
    {"QLinearSigmoid", "Sigmoid", 4, 5, expand_q_unary},
    {"QLinearLeakyRelu", "LeakyRelu", 4, 5, expand_q_unary},
    {"QLinearSoftmax", "Softmax", 5, 5, expand_q_unary},
    {"QLinearAveragePool", "AveragePool", 4, 5, expand_q_unary},
    {"QLinearGlobalAveragePool", "GlobalAveragePool", 5, 5, expand_q_unary},
    {"QLinearConcat", NULL, 5, NODE_INPUTS_MAX, expand_q_concat},
    {"QGemm", NULL, 6, 9, expand_q_gemm},
    {"MatMulIntegerToFloat", NULL, 4, 7, expand_integer_to_float},
    {"DynamicQuantizeMatMul", NULL, 3, 5, expand_dynamic_matmul},
    {"DynamicQuantizeLSTM", NULL, 12, 12, expand_dynamic_lstm},
    {"QuantizeLinear", "QuantizeLinear", 2, 3, expand_same},
    {"DequantizeLinear", "DequantizeLinear", 2, 3, expand_same},
};

const struct contrib *contrib_find(const char *domain, const char *type) {
    if (domain == NULL) {
        return strcmp(type, simplified.name) == 0 ? &simplified : NULL;
    }
    if (strcmp(domain, "com.microsoft") != 0) {
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        if (strcmp(table[i].name, type) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

enum status contrib_expand(const struct contrib *contrib, struct graph *graph,
                           struct node *node, struct error *err) {
    struct expansion x = {.contrib = contrib, .graph = graph, .node = node, .err = err};
    enum status status;
    bool whole = node->output_count >= 1 && node->outputs[0] != VALUE_NONE &&
                 node->input_count >= contrib->inputs_min &&
                 node->input_count <= contrib->inputs_max;
    for (int i = 0; whole && i < contrib->inputs_min; i++) {
        whole = node->inputs[i] != VALUE_NONE || i > 0;
    }
    if (!whole) {
        return node_error(node, err, STATUS_INVALID, "%d inputs and %d outputs",
                          node->input_count, node->output_count);
    }
    status = contrib->expand(&x);
    return status == STATUS_OK ? attr_check_all_read(node, err) : status;
}
