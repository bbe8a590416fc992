/* channels_last_rules.c - how operators compute images with channels last; see
 * channels_last.h.
 *
 *     start         Conv, also of bytes, with constant weights: its input is turned where
 *                   it must be
 *     follow        operators that know both layouts, told by node->layout
 *     dynamic, one_scale   numbers that become bytes, and back
 *     elementwise   one layout is as good as another, if all operands have the same
 *     axis, reduce, permuted   the axes they name have other numbers
 *     unit          Squeeze and Unsqueeze of a spatial axis
 *
 * A rule changes nothing where it does not apply. */
#include <string.h>

#include "engine/load.h"
#include "engine/op.h"
#include "engine/ops/ops.h"
#include "engine/ops/strided.h"
#include "engine/passes/channels_last.h"
#include "engine/passes/match.h"

typedef enum status rule_fn(struct rewrite *r, struct node *node, bool *done,
                            struct error *err);

static enum status no_memory(const struct node *node, struct error *err) {
    return node_error(node, err, STATUS_NO_MEMORY, "out of memory");
}

/* Input 0's twin, its rank; VALUE_NONE where there is none. */
static int first_twin(const struct rewrite *r, const struct node *node, int *rank) {
    const int last = node->input_count > 0 ? twin_of(r, node->inputs[0]) : VALUE_NONE;
    *rank = last == VALUE_NONE ? 0 : r->twins[node->inputs[0]].rank;
    return last;
}

/* The rule's node gets its own inputs: they may be shared with what is kept. */
static enum status own_inputs(struct rewrite *r, struct node *node, struct error *err) {
    int *inputs =
        arena_alloc(&r->graph->arena, (size_t)node->input_count, sizeof(*inputs));
    if (inputs == NULL) {
        return no_memory(node, err);
    }
    memcpy(inputs, node->inputs, (size_t)node->input_count * sizeof(*inputs));
    node->inputs = inputs;
    return STATUS_OK;
}

/* The input that holds the weights of a convolution: of floats, or of bytes. */
static int weights_of(const struct node *node) {
    return strcmp(node->type, "QLinearConv") == 0 ? 3 : 1;
}

/* ---- start and follow ------------------------------------------------------------- */

static enum status start(struct rewrite *r, struct node *node, bool *done,
                         struct error *err) {
    const struct tensor *w = graph_constant(r->graph, node, weights_of(node));
    const bool floats = w != NULL && w->dtype == DTYPE_F32;
    enum status status = own_inputs(r, node, err);
    int last = twin_of(r, node->inputs[0]);
    if (status != STATUS_OK || w == NULL || w->rank < 3 || w->rank > 4 ||
        (!floats && w->dtype != DTYPE_U8 && w->dtype != DTYPE_I8)) {
        return status;
    }
    if (strcmp(node->type, "ConvTranspose") == 0 &&
        !conv_transpose_turns(r->graph, node)) {
        return STATUS_OK;
    }
    if (last == VALUE_NONE &&
        (floats ? strcmp(node->type, "Conv") == 0 && conv_reads_first(r->graph, node)
                : conv_integer_reads_first(node, w))) {
        node->layout = NODE_TO_CHANNELS_LAST;
    } else {
        status = twin_make(r, node->inputs[0], w->rank, &last, err);
        node->inputs[0] = last;
        node->layout = NODE_CHANNELS_LAST;
    }
    *done = true;
    return status == STATUS_OK ? twin_outputs(r, node, w->rank, err) : status;
}

/* Images of bytes are pooled in either layout, those of other types are not. */
static bool knows(const struct node *node, enum dtype dtype) {
    const bool bytes = dtype == DTYPE_U8 || dtype == DTYPE_I8;
    return dtype == DTYPE_F32 ||
           (bytes && (strcmp(node->type, "MaxPool") == 0 || node->op->domain != NULL));
}

static enum status follow(struct rewrite *r, struct node *node, bool *done,
                          struct error *err) {
    int rank;
    const int last = first_twin(r, node, &rank);
    enum status status;
    if (last == VALUE_NONE || !knows(node, r->graph->values[last].dtype)) {
        return STATUS_OK;
    }
    for (int i = 1; i < node->output_count; i++) {
        if (node->outputs[i] != VALUE_NONE) {
            return STATUS_OK; /* places of maxima count with channels first */
        }
    }
    status = own_inputs(r, node, err);
    if (status != STATUS_OK) {
        return status;
    }
    node->inputs[0] = last;
    node->layout = NODE_CHANNELS_LAST;
    *done = true;
    return twin_outputs(r, node, rank, err);
}

/* The image as bytes, its scale and its zero point: only the first is an image. */
static enum status dynamic(struct rewrite *r, struct node *node, bool *done,
                           struct error *err) {
    struct node image = *node;
    int rank;
    const int last = first_twin(r, node, &rank);
    int *outputs =
        arena_alloc(&r->graph->arena, (size_t)node->output_count, sizeof(*outputs));
    enum status status;
    if (outputs == NULL) {
        return no_memory(node, err);
    }
    if (last == VALUE_NONE || node->outputs[0] == VALUE_NONE) {
        return STATUS_OK;
    }
    image.output_count = 1;
    status = own_inputs(r, node, err);
    if (status == STATUS_OK) {
        status = twin_outputs(r, &image, rank, err);
    }
    if (status == STATUS_OK) {
        memcpy(outputs, node->outputs, (size_t)node->output_count * sizeof(*outputs));
        outputs[0] = image.outputs[0];
        node->outputs = outputs;
        node->inputs[0] = last;
        *done = true;
    }
    return status;
}

/* ---- constants -------------------------------------------------------------------- */

static enum status add_constant(struct rewrite *r, const struct node *node,
                                const struct tensor *like, const struct tensor *made,
                                int *value, struct error *err) {
    struct graph *graph = r->graph;
    struct tensor *kept = arena_alloc(&graph->arena, 1, sizeof(*kept));
    *value = graph_add_value(graph, "");
    if (kept == NULL || *value < 0) {
        return no_memory(node, err);
    }
    *kept = *made;
    kept->dtype = like->dtype;
    graph->values[*value].dtype = like->dtype;
    graph->values[*value].constant = kept;
    return twin_set(r, *value, VALUE_NONE, 0, err);
}

/* `value`, a constant that broadcasts against images of `rank` axes, with channels
 * last and without leading axes of 1. */
static enum status turn_constant(struct rewrite *r, const struct node *node, int value,
                                 int rank, int *turned, struct error *err) {
    const struct tensor *x = r->graph->values[value].constant;
    struct tensor first = {.rank = rank}, last = {.rank = rank};
    struct strided copy = {.rank = rank};
    int64_t steps[TENSOR_RANK_MAX], perm[TENSOR_RANK_MAX];
    for (int i = 0; i < rank; i++) {
        first.dims[i] = i < rank - x->rank ? 1 : x->dims[i - (rank - x->rank)];
    }
    strided_dense(first.dims, rank, steps);
    twin_perm(true, rank, perm);
    for (int i = 0; i < rank; i++) {
        last.dims[i] = copy.dims[i] = first.dims[perm[i]];
        copy.from_step[i] = steps[perm[i]];
    }
    strided_dense(last.dims, rank, copy.to_step);
    strided_simplify(&copy);
    last.data = graph_data(r->graph, tensor_size(x) + 1);
    if (last.data == NULL) {
        return no_memory(node, err);
    }
    strided_run(&copy, dtype_size(x->dtype), x->data, last.data);
    while (last.rank > 1 && last.dims[0] == 1) {
        last.rank--;
        memmove(last.dims, last.dims + 1, (size_t)last.rank * sizeof(last.dims[0]));
    }
    return add_constant(r, node, x, &last, turned, err);
}

/* ---- elementwise ------------------------------------------------------------------ */

/* The rank of the images among the inputs, 0 where there are none or not all inputs
 * can be had with channels last. */
static int common_rank(const struct rewrite *r, const struct node *node) {
    int rank = 0;
    for (int i = 0; i < node->input_count; i++) {
        if (twin_of(r, node->inputs[i]) != VALUE_NONE) {
            const int own = r->twins[node->inputs[i]].rank;
            if (rank != 0 && rank != own) {
                return 0;
            }
            rank = own;
        }
    }
    for (int i = 0; i < node->input_count && rank > 0; i++) {
        const struct tensor *x = graph_constant(r->graph, node, i);
        if (node->inputs[i] != VALUE_NONE && twin_of(r, node->inputs[i]) == VALUE_NONE &&
            (x == NULL || x->rank > rank || x->dtype == DTYPE_STRING)) {
            return 0;
        }
    }
    return rank;
}

static enum status elementwise(struct rewrite *r, struct node *node, bool *done,
                               struct error *err) {
    const int rank = common_rank(r, node);
    enum status status;
    if (rank == 0 || (node->opset < 7 && attr_find(node, "broadcast") != NULL)) {
        return STATUS_OK; /* or aligned at an axis, as it was before opset 7 */
    }
    status = own_inputs(r, node, err);
    for (int i = 0; status == STATUS_OK && i < node->input_count; i++) {
        const int value = node->inputs[i], last = twin_of(r, value);
        if (last != VALUE_NONE) {
            node->inputs[i] = last;
        } else if (value != VALUE_NONE &&
                   tensor_count(r->graph->values[value].constant) > 1) {
            status = turn_constant(r, node, value, rank, &node->inputs[i], err);
        }
    }
    *done = true;
    return status == STATUS_OK ? twin_outputs(r, node, rank, err) : status;
}

/* With one scale for the whole tensor, to bytes or back. */
static enum status one_scale(struct rewrite *r, struct node *node, bool *done,
                             struct error *err) {
    const struct tensor *scale = graph_constant(r->graph, node, 1);
    return scale != NULL && tensor_count(scale) == 1 &&
                   attr_find(node, "block_size") == NULL
               ? elementwise(r, node, done, err)
               : STATUS_OK;
}

/* ---- attributes and inputs that name axes ----------------------------------------- */

/* The node's attributes become its own, with `attr` for what was of that name. */
static enum status set_attr(struct rewrite *r, struct node *node, const struct attr *attr,
                            struct error *err) {
    const struct attr_list *old = &node->attrs;
    struct attr *items =
        arena_alloc(&r->graph->arena, (size_t)old->count + 1, sizeof(*items));
    int count = 0;
    if (items == NULL) {
        return no_memory(node, err);
    }
    for (int i = 0; i < old->count; i++) {
        if (strcmp(old->items[i].name, attr->name) != 0) {
            items[count++] = old->items[i];
        }
    }
    items[count++] = *attr;
    node->attrs = (struct attr_list){.items = items, .count = count};
    return STATUS_OK;
}

/* The node computes twins of rank `rank` from now on. */
static enum status finish(struct rewrite *r, struct node *node, int rank, bool *done,
                          struct error *err) {
    enum status status = twin_outputs(r, node, rank, err);
    *done = true;
    return status == STATUS_OK ? load_node(r->graph, node, err) : status;
}

/* Concat, Split, Softmax and the like: all images, one attribute. */
static enum status axis(struct rewrite *r, struct node *node, bool *done,
                        struct error *err) {
    const bool softmax = strstr(node->type, "oftmax") != NULL;
    struct attr attr = {.name = "axis", .kind = ATTR_INT};
    int64_t fallback = softmax ? -1 : strcmp(node->type, "Concat") == 0 ? 1 : 0;
    const int images = strcmp(node->type, "Concat") == 0 ? node->input_count : 1;
    int rank;
    enum status status;
    if (first_twin(r, node, &rank) == VALUE_NONE || (softmax && node->opset < 13)) {
        return STATUS_OK;
    }
    for (int i = 0; i < images; i++) {
        if (twin_of(r, node->inputs[i]) == VALUE_NONE ||
            r->twins[node->inputs[i]].rank != rank) {
            return STATUS_OK;
        }
    }
    status = attr_int(node, "axis", fallback, &attr.as.i, err);
    if (status != STATUS_OK || attr.as.i < -rank || attr.as.i >= rank) {
        return status; /* shape() tells */
    }
    attr.as.i = twin_axis((int)(attr.as.i < 0 ? attr.as.i + rank : attr.as.i), rank);
    status = set_attr(r, node, &attr, err);
    if (status == STATUS_OK) {
        status = own_inputs(r, node, err);
    }
    for (int i = 0; status == STATUS_OK && i < images; i++) {
        node->inputs[i] = twin_of(r, node->inputs[i]);
    }
    return status == STATUS_OK ? finish(r, node, rank, done, err) : status;
}

/* The constant axes a reduction names, counted from 0; false where it names none. */
static bool reduced_axes(const struct rewrite *r, struct node *node, int rank,
                         int64_t *axes, int *count) {
    const struct tensor *input = graph_constant(r->graph, node, 1);
    const struct attr *attr = attr_find(node, "axes");
    const int64_t *from = NULL;
    *count = 0;
    if (input != NULL && input->dtype == DTYPE_I64 && input->rank == 1) {
        from = input->data;
        *count = (int)input->dims[0];
    } else if (node->input_count == 1 && attr != NULL && attr->kind == ATTR_INTS) {
        from = attr->as.ints;
        *count = (int)attr->count;
    }
    for (int i = 0; i < *count; i++) {
        if (*count > rank || from[i] < -rank || from[i] >= rank) {
            return false;
        }
        axes[i] = from[i] < 0 ? from[i] + rank : from[i];
    }
    return *count > 0;
}

/* Over all spatial axes, which leaves [batch, channels] either way. */
static bool leaves_channels(const int64_t *axes, int count, int rank) {
    for (int i = 0; i < count; i++) {
        if (axes[i] < 2) {
            return false;
        }
    }
    return count == rank - 2;
}

static enum status reduce(struct rewrite *r, struct node *node, bool *done,
                          struct error *err) {
    int64_t axes[TENSOR_RANK_MAX];
    int64_t *turned = arena_alloc(&r->graph->arena, TENSOR_RANK_MAX, sizeof(*turned));
    bool keep;
    int rank, count;
    const int last = first_twin(r, node, &rank);
    enum status status;
    if (turned == NULL) {
        return no_memory(node, err);
    }
    if (last == VALUE_NONE || !reduced_axes(r, node, rank, axes, &count)) {
        return STATUS_OK;
    }
    status = attr_bool(node, "keepdims", true, &keep, err);
    if (status != STATUS_OK || (!keep && !leaves_channels(axes, count, rank))) {
        return status;
    }
    for (int i = 0; i < count; i++) {
        turned[i] = twin_axis((int)axes[i], rank);
    }
    status = own_inputs(r, node, err);
    if (status == STATUS_OK && node->input_count > 1) {
        const struct tensor list = {.rank = 1, .dims = {count}, .data = turned};
        status = add_constant(r, node, graph_constant(r->graph, node, 1), &list,
                              &node->inputs[1], err);
    } else if (status == STATUS_OK) {
        const struct attr attr = {.name = "axes",
                                  .kind = ATTR_INTS,
                                  .count = (size_t)count,
                                  .as = {.ints = turned}};
        status = set_attr(r, node, &attr, err);
    }
    node->inputs[0] = last;
    if (status == STATUS_OK && !keep) {
        *done = true;
        return load_node(r->graph, node, err);
    }
    return status == STATUS_OK ? finish(r, node, rank, done, err) : status;
}

/* Pad and Resize: constants of one number for each axis, or of two times as many. */
static bool is_per_axis(const struct tensor *x, int rank) {
    return x != NULL && x->rank == 1 && x->dims[0] > 0 &&
           (x->dims[0] == rank || x->dims[0] == 2 * (int64_t)rank) &&
           (x->dtype == DTYPE_I64 || x->dtype == DTYPE_F32);
}

static enum status turn_list(struct rewrite *r, const struct node *node, int *value,
                             int rank, struct error *err) {
    const struct tensor *x = r->graph->values[*value].constant;
    const size_t size = dtype_size(x->dtype);
    struct tensor turned = {.rank = 1, .dims = {x->dims[0]}};
    turned.data = graph_data(r->graph, tensor_size(x));
    if (turned.data == NULL) {
        return no_memory(node, err);
    }
    for (int64_t i = 0; i < x->dims[0]; i++) {
        const int64_t to = i / rank * rank + twin_axis((int)(i % rank), rank);
        memcpy((uint8_t *)turned.data + (size_t)to * size,
               (const uint8_t *)x->data + (size_t)i * size, size);
    }
    return add_constant(r, node, x, &turned, value, err);
}

static enum status permuted(struct rewrite *r, struct node *node, bool *done,
                            struct error *err) {
    const bool pad = strcmp(node->type, "Pad") == 0;
    int rank, lists = 0;
    const int last = first_twin(r, node, &rank);
    enum status status;
    if (last == VALUE_NONE || node->opset < (pad ? 11 : 9) ||
        attr_find(node, "axes") != NULL || (pad && node->input_count > 3)) {
        return STATUS_OK;
    }
    for (int i = 1; i < node->input_count; i++) {
        const struct tensor *x = graph_constant(r->graph, node, i);
        const bool absent =
            node->inputs[i] == VALUE_NONE || (x != NULL && tensor_count(x) == 0);
        if (pad ? i == 1 && !is_per_axis(x, rank)
                : !absent && (!is_per_axis(x, rank) || x->dims[0] != rank)) {
            return STATUS_OK;
        }
        lists += absent ? 0 : 1;
    }
    if (lists == 0) {
        return STATUS_OK;
    }
    status = own_inputs(r, node, err);
    node->inputs[0] = last;
    for (int i = 1; status == STATUS_OK && i < (pad ? 2 : node->input_count); i++) {
        const struct tensor *x = graph_constant(r->graph, node, i);
        if (x != NULL && tensor_count(x) > 0) {
            status = turn_list(r, node, &node->inputs[i], rank, err);
        }
    }
    return status == STATUS_OK ? finish(r, node, rank, done, err) : status;
}

/* One spatial axis of size 1 comes or goes. */
static enum status unit(struct rewrite *r, struct node *node, bool *done,
                        struct error *err) {
    const bool comes = strcmp(node->type, "Unsqueeze") == 0;
    int rank;
    const int last = first_twin(r, node, &rank), longer = comes ? rank + 1 : rank;
    const int spatial = last == VALUE_NONE ? -1 : match_axis(r->graph, node, longer);
    int64_t *turned = arena_alloc(&r->graph->arena, 1, sizeof(*turned));
    enum status status;
    if (turned == NULL) {
        return no_memory(node, err);
    }
    if (spatial < 2 || longer > 4 || longer - 1 < 3) {
        return STATUS_OK;
    }
    *turned = twin_axis(spatial, longer);
    status = own_inputs(r, node, err);
    if (status == STATUS_OK && node->input_count > 1) {
        const struct tensor list = {.rank = 1, .dims = {1}, .data = turned};
        status = add_constant(r, node, graph_constant(r->graph, node, 1), &list,
                              &node->inputs[1], err);
    } else if (status == STATUS_OK) {
        const struct attr attr = {
            .name = "axes", .kind = ATTR_INTS, .count = 1, .as = {.ints = turned}};
        status = set_attr(r, node, &attr, err);
    }
    node->inputs[0] = last;
    return status == STATUS_OK ? finish(r, node, comes ? longer : longer - 1, done, err)
                               : status;
}

/* ---- the table -------------------------------------------------------------------- */

static const struct {
    const char *type;
    rule_fn *rule;
} rules[] = {
    {"Conv", start},
    {"ConvTranspose", start},
    {"ConvInteger", start},
    {"ConvIntegerToFloat", start},
    {"QLinearConv", start},
    {"AveragePool", follow},
    {"DynamicQuantizeLinear", dynamic},
    {"BatchNormalization", follow},
    {"ByteAveragePool", follow},
    {"ByteGlobalAveragePool", follow},
    {"GlobalAveragePool", follow},
    {"GlobalMaxPool", follow},
    {"LRN", follow},
    {"MaxPool", follow},
    {"DequantizeLinear", one_scale},
    {"QuantizeLinear", one_scale},
    {"Concat", axis},
    {"LogSoftmax", axis},
    {"Softmax", axis},
    {"Split", axis},
    {"ReduceMax", reduce},
    {"ReduceMean", reduce},
    {"ReduceMin", reduce},
    {"ReduceSum", reduce},
    {"Pad", permuted},
    {"Resize", permuted},
    {"Upsample", permuted},
    {"Squeeze", unit},
    {"Unsqueeze", unit},
};

bool channels_last_starts(const struct node *node) {
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
        if (strcmp(rules[i].type, node->type) == 0) {
            return rules[i].rule == start;
        }
    }
    return false;
}

enum status channels_last_rule(struct rewrite *r, struct node *node, bool *done,
                               struct error *err) {
    const bool ours =
        node->op->domain == NULL || strcmp(node->op->domain, "millrace") == 0;
    if (!ours || node->input_count != node->explicit_count) {
        return STATUS_OK;
    }
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
        if (strcmp(rules[i].type, node->type) == 0) {
            return rules[i].rule(r, node, done, err);
        }
    }
    return (node->op->flags & OP_ELEMENTWISE) != 0 ? elementwise(r, node, done, err)
                                                   : STATUS_OK;
}
