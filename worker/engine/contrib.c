/* contrib.c - see contrib.h. */
#include "engine/contrib_impl.h"
#include "engine/op.h"

/* ---- activations ------------------------------------------------------------------- */

static enum status expand_gelu(struct expansion *x) {
    static const struct attr tanh_form = {
        .name = "approximate",
        .kind = ATTR_TEXT,
        .as.text = {.data = (const uint8_t *)"tanh", .size = 4}};
    int value = contrib_input(x, 0);
    bool fast = strcmp(x->contrib->name, "FastGelu") == 0;
    enum status status = contrib_add_input(x, 1, &value);
    if (status == STATUS_OK) {
        status = contrib_add(x, "Gelu", INPUTS(value), &tanh_form, fast ? 1 : 0, &value);
    }
    return status == STATUS_OK ? contrib_finish(x, value) : status;
}

static enum status expand_quick_gelu(struct expansion *x) {
    struct attr attr;
    float alpha = 0;
    int value;
    enum status status = attr_float(x->node, "alpha", 1.702F, &alpha, x->err);
    attr = contrib_float_attr("alpha", alpha);
    if (status == STATUS_OK) {
        status = contrib_add(x, "Swish", INPUTS(contrib_input(x, 0)), &attr, 1, &value);
    }
    return status == STATUS_OK ? contrib_finish(x, value) : status;
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
                attrs[count++] = contrib_float_attr(known[i].params[k], param);
            }
        }
        return contrib_add(x, known[i].name, INPUTS(*value), attrs, count, value);
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
    count = contrib_copy_attrs(x, attrs, NODE_ATTRS_MAX);
    enum status status =
        contrib_add(x, x->contrib->param,
                    INPUTS(contrib_input(x, 0), contrib_input(x, 1), contrib_input(x, 2)),
                    attrs, count, &value);
    if (status == STATUS_OK) {
        status = contrib_add_input(x, 3, &value);
    }
    if (status == STATUS_OK) {
        status = activate(x, &value);
    }
    return status == STATUS_OK ? contrib_finish(x, value) : status;
}

/* The last two axes change places; how many there are, an Einsum need not know. */
static enum status transpose(struct expansion *x, int *value) {
    static const struct attr equation = {
        .name = "equation",
        .kind = ATTR_TEXT,
        .as.text = {.data = (const uint8_t *)"...ij->...ji", .size = 12}};
    return contrib_add(x, "Einsum", INPUTS(*value), &equation, 1, value);
}

static enum status expand_fused_matmul(struct expansion *x) {
    bool swap[4] = {false};
    static const char *const names[] = {"transA", "transB", "transBatchA", "transBatchB"};
    float alpha = 1;
    int sides[] = {contrib_input(x, 0), contrib_input(x, 1)}, value = VALUE_NONE;
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
        status = contrib_add(x, "MatMul", INPUTS(sides[0], sides[1]), NO_ATTRS, &value);
    }
    if (status == STATUS_OK && (alpha < 1 || alpha > 1)) {
        struct attr attr = contrib_float_attr("value_float", alpha);
        int factor = VALUE_NONE;
        status = contrib_add(x, "Constant", NULL, 0, &attr, 1, &factor);
        if (status == STATUS_OK) {
            status = contrib_add(x, "Mul", INPUTS(value, factor), NO_ATTRS, &value);
        }
    }
    return status == STATUS_OK ? contrib_finish(x, value) : status;
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
    attrs[0] = contrib_float_attr("epsilon", epsilon);
    attrs[1] = contrib_int_attr("axis", -1);
    return status == STATUS_OK ? contrib_add_node(x, kind, (int[]){value, scale, bias},
                                                  count, attrs, 2, x->node->outputs, 1)
                               : status;
}

/* Input, skip, scale, (shift,) bias: y, and the sum that is normalised. */
static enum status expand_skip_norm(struct expansion *x) {
    bool layer = strcmp(x->contrib->param, "LayerNormalization") == 0;
    int value = contrib_input(x, 0);
    enum status status = contrib_add_input(x, 1, &value);
    if (status == STATUS_OK) {
        status = contrib_add_input(x, layer ? 4 : 3, &value);
    }
    if (status == STATUS_OK &&
        (contrib_output(x, 1) != VALUE_NONE || contrib_output(x, 2) != VALUE_NONE)) {
        status = node_error(x->node, x->err, STATUS_UNSUPPORTED,
                            "its mean and deviation are not handled");
    }
    if (status == STATUS_OK && contrib_output(x, OUT_SUM) != VALUE_NONE) {
        status = contrib_add_node(x, "Identity", INPUTS(value), NO_ATTRS,
                                  &x->node->outputs[OUT_SUM], 1);
    }
    return status == STATUS_OK
               ? normalise(x, x->contrib->param, value, contrib_input(x, 2),
                           layer ? contrib_input(x, 3) : VALUE_NONE)
               : status;
}

/* The rows of `table` for the places 0, 1, ... of [batch, places]. */
static enum status places_in_turn(struct expansion *x, int words, int table, int *part) {
    const struct attr second[] = {contrib_int_attr("start", 1),
                                  contrib_int_attr("end", 2)};
    int count = VALUE_NONE, first = VALUE_NONE;
    enum status status = contrib_add(x, "Shape", INPUTS(words), second, 2, &count);
    if (status == STATUS_OK) {
        status = contrib_add_ints(x, (int64_t[]){0}, 1, &first);
    }
    return status == STATUS_OK
               ? contrib_add(x, "Slice", INPUTS(table, first, count, first), NO_ATTRS,
                             part)
               : status;
}

/* How many of each row's words count: those whose mask is 1; without a mask, 0. */
static enum status count_words(struct expansion *x, int words, int mask, int *counts) {
    const struct attr to_int = contrib_int_attr("to", DTYPE_I32),
                      flat = contrib_int_attr("keepdims", 0);
    int one = VALUE_NONE, last = VALUE_NONE, value = VALUE_NONE;
    enum status status = contrib_add_ints(x, (int64_t[]){1}, 1, &last);
    if (status == STATUS_OK && mask == VALUE_NONE) {
        status = contrib_add(x, "Sub", INPUTS(words, words), NO_ATTRS, &value);
    } else if (status == STATUS_OK) {
        status = contrib_add(x, "CastLike", INPUTS(last, mask), NO_ATTRS, &one);
        if (status == STATUS_OK) {
            status = contrib_add(x, "Equal", INPUTS(mask, one), NO_ATTRS, &value);
        }
        if (status == STATUS_OK) {
            status = contrib_add(x, "Cast", INPUTS(value), &to_int, 1, &value);
        }
    }
    return status == STATUS_OK ? contrib_add_node(x, "ReduceSum", INPUTS(value, last),
                                                  &flat, 1, counts, 1)
                               : status;
}

/* Words, segments and places, each looked up, added and normalised. */
static enum status expand_embed_norm(struct expansion *x) {
    enum { WORDS, SEGMENTS, WORD_TABLE, PLACE_TABLE, SEGMENT_TABLE, GAMMA, BETA };
    enum { MASK = BETA + 1, PLACES };
    const int words = contrib_input(x, WORDS), places = contrib_input(x, PLACES);
    const int place_table = contrib_input(x, PLACE_TABLE);
    int value = VALUE_NONE, part = VALUE_NONE;
    enum status status = contrib_add(
        x, "Gather", INPUTS(contrib_input(x, WORD_TABLE), words), NO_ATTRS, &value);
    if (status == STATUS_OK) {
        status =
            places == VALUE_NONE
                ? places_in_turn(x, words, place_table, &part)
                : contrib_add(x, "Gather", INPUTS(place_table, places), NO_ATTRS, &part);
    }
    if (status == STATUS_OK) {
        status = contrib_add(x, "Add", INPUTS(value, part), NO_ATTRS, &value);
    }
    if (status == STATUS_OK && contrib_input(x, SEGMENT_TABLE) != VALUE_NONE) {
        status = contrib_add(
            x, "Gather",
            INPUTS(contrib_input(x, SEGMENT_TABLE), contrib_input(x, SEGMENTS)), NO_ATTRS,
            &part);
        if (status == STATUS_OK) {
            status = contrib_add(x, "Add", INPUTS(value, part), NO_ATTRS, &value);
        }
    }
    if (status == STATUS_OK && contrib_output(x, 1) != VALUE_NONE) {
        status = count_words(x, words, contrib_input(x, MASK), &x->node->outputs[1]);
    }
    if (status == STATUS_OK && contrib_output(x, 2) != VALUE_NONE) {
        status = contrib_add_node(x, "Identity", INPUTS(value), NO_ATTRS,
                                  &x->node->outputs[2], 1);
    }
    return status == STATUS_OK
               ? normalise(x, "LayerNormalization", value, contrib_input(x, GAMMA),
                           contrib_input(x, BETA))
               : status;
}

/* ---- attention --------------------------------------------------------------------- */

/* A mask of keys, in whatever form, as Attention takes it. */
static enum status spread_mask(struct expansion *x, int keys, int *mask) {
    return contrib_add(x, "KeyMask", INPUTS(*mask, keys), NO_ATTRS, mask);
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
    attrs[0] = contrib_int_attr("q_num_heads", heads);
    attrs[1] = contrib_int_attr("kv_num_heads", heads);
    attrs[2] = contrib_int_attr("is_causal", causal ? 1 : 0);
    if (has_scale && scale > 0) { /* 0 stands for the usual one */
        attrs[count++] = contrib_float_attr("scale", scale);
    }
    return status == STATUS_OK
               ? contrib_add_node(x, "Attention", (int[]){qkv[0], qkv[1], qkv[2], mask},
                                  mask == VALUE_NONE ? 3 : 4, attrs, count,
                                  x->node->outputs, 1)
               : status;
}

static enum status refuse_from(struct expansion *x, int first_input, int last_input) {
    bool used = false;
    for (int i = first_input; i <= last_input; i++) {
        used = used || contrib_input(x, i) != VALUE_NONE;
    }
    for (int i = 1; i < x->node->output_count; i++) {
        used = used || contrib_output(x, i) != VALUE_NONE;
    }
    return used ? node_error(x->node, x->err, STATUS_UNSUPPORTED,
                             "with past keys, or inputs past %d, is not handled",
                             first_input - 1)
                : STATUS_OK;
}

/* Input, weights and bias of all three operands, mask of keys. */
static enum status expand_attention(struct expansion *x) {
    const struct attr split[] = {contrib_int_attr("axis", -1),
                                 contrib_int_attr("num_outputs", 3)};
    int value = VALUE_NONE, qkv[] = {VALUE_NONE, VALUE_NONE, VALUE_NONE};
    int mask = contrib_input(x, 3);
    enum status status = refuse_from(x, 4, 6);
    if (status == STATUS_OK) {
        status =
            contrib_add(x, "MatMul", INPUTS(contrib_input(x, 0), contrib_input(x, 1)),
                        NO_ATTRS, &value);
    }
    if (status == STATUS_OK) {
        status = contrib_add_input(x, 2, &value);
    }
    if (status == STATUS_OK) {
        status = contrib_add_node(x, "Split", INPUTS(value), split, 2, qkv, 3);
    }
    if (status == STATUS_OK && mask != VALUE_NONE) {
        status = spread_mask(x, contrib_input(x, 0), &mask);
    }
    return status == STATUS_OK ? attend(x, qkv, mask) : status;
}

/* Queries, keys, values, a bias of all three, a mask of keys or a bias of scores. */
static enum status expand_multi_head(struct expansion *x) {
    const struct attr split[] = {contrib_int_attr("axis", -1),
                                 contrib_int_attr("num_outputs", 3)};
    int qkv[] = {contrib_input(x, 0), contrib_input(x, 1), contrib_input(x, 2)};
    int bias[] = {VALUE_NONE, VALUE_NONE, VALUE_NONE};
    int mask =
        contrib_input(x, 4) != VALUE_NONE ? contrib_input(x, 4) : contrib_input(x, 5);
    enum status status = refuse_from(x, 6, 9);
    if (status == STATUS_OK &&
        (qkv[1] == VALUE_NONE || qkv[2] == VALUE_NONE ||
         (contrib_input(x, 4) != VALUE_NONE && contrib_input(x, 5) != VALUE_NONE))) {
        status = node_error(x->node, x->err, STATUS_UNSUPPORTED,
                            "packed operands, or two masks, are not handled");
    }
    if (status == STATUS_OK && contrib_input(x, 3) != VALUE_NONE) {
        status =
            contrib_add_node(x, "Split", INPUTS(contrib_input(x, 3)), split, 2, bias, 3);
        for (int i = 0; status == STATUS_OK && i < 3; i++) {
            status = contrib_add(x, "Add", INPUTS(qkv[i], bias[i]), NO_ATTRS, &qkv[i]);
        }
    }
    if (status == STATUS_OK && contrib_input(x, 4) != VALUE_NONE) {
        status = spread_mask(x, qkv[1], &mask);
    }
    return status == STATUS_OK ? attend(x, qkv, mask) : status;
}

/* The same operator under another roof. */
static enum status expand_same(struct expansion *x) {
    struct attr attrs[NODE_ATTRS_MAX];
    int count = contrib_copy_attrs(x, attrs, NODE_ATTRS_MAX);
    return contrib_add_node(x, x->contrib->param, x->node->inputs, x->node->input_count,
                            attrs, count, x->node->outputs, x->node->output_count);
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
    {"QLinearAdd", "Add", 8, 8, contrib_expand_q_binary},
    {"QLinearMul", "Mul", 8, 8, contrib_expand_q_binary},
    {"QLinearSigmoid", "Sigmoid", 4, 5, contrib_expand_q_unary},
    {"QLinearLeakyRelu", "LeakyRelu", 4, 5, contrib_expand_q_unary},
    {"QLinearSoftmax", "Softmax", 5, 5, contrib_expand_q_unary},
    {"QLinearAveragePool", "AveragePool", 4, 5, contrib_expand_q_unary},
    {"QLinearGlobalAveragePool", "GlobalAveragePool", 5, 5, contrib_expand_q_unary},
    {"QLinearConcat", NULL, 5, NODE_INPUTS_MAX, contrib_expand_q_concat},
    {"QGemm", NULL, 6, 9, contrib_expand_q_gemm},
    {"MatMulIntegerToFloat", "MatMulIntegerToFloat", 4, 7, expand_same},
    {"DynamicQuantizeMatMul", NULL, 3, 5, contrib_expand_dynamic_matmul},
    {"DynamicQuantizeLSTM", NULL, 12, 12, contrib_expand_dynamic_lstm},
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
