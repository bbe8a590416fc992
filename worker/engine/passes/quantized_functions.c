/* quantized_functions.c - values as functions of one byte, by tables that the operators
 * themselves compute; see quantized.h. */
#include <string.h>

#include "engine/fold.h"
#include "engine/load.h"
#include "engine/op.h"
#include "engine/passes/quantized.h"

static const struct function none = {VALUE_NONE, VALUE_NONE};

/* ---- facts ------------------------------------------------------------------------- */

void quantized_learn(struct quantized *q, int value, int bytes, struct form form) {
    const struct function made = q->facts[bytes].made;
    struct fact *fact = &q->facts[value];
    fact->bytes = bytes;
    fact->form = form;
    fact->functions[0] = (struct function){bytes, VALUE_NONE};
    fact->functions[1] = (struct function){made.root, VALUE_NONE};
}

static void learn_constant(struct quantized *q, int value) {
    const struct node *origin = q->graph->values[value].origin;
    struct form form;
    if (origin != NULL && strcmp(origin->type, "DequantizeLinear") == 0 &&
        q->facts[value].bytes == VALUE_NONE && quantized_form(q, origin, &form)) {
        quantized_learn(q, value, origin->inputs[0], form);
    }
}

struct fact *quantized_fact(struct quantized *q, int value) {
    learn_constant(q, value);
    return &q->facts[value];
}

enum status quantized_compute(struct quantized *q, const struct node *node,
                              const int *inputs, int *made) {
    struct node copy = *node;
    enum status status = quantized_value(q, NULL, made);
    if (status != STATUS_OK || !graph_node_room(q->graph, &copy, node->input_count, 1)) {
        return quantized_no_memory(q);
    }
    memcpy(copy.inputs, inputs, (size_t)node->input_count * sizeof(*inputs));
    copy.outputs[0] = *made;
    q->graph->values[*made].dtype = q->graph->values[node->outputs[0]].dtype;
    status = fold_node(q->graph, &copy, q->err);
    if (status == STATUS_OK && q->graph->values[*made].constant == NULL) {
        *made = VALUE_NONE;
    }
    return status;
}

/* The table of a value's function; it is made where it is that of dequantised bytes. */
static enum status table_of(struct quantized *q, int value, int which, int *table) {
    struct fact fact = *quantized_fact(q, value);
    struct function *function = &fact.functions[which];
    struct node node;
    int inputs[] = {VALUE_NONE, fact.form.scale, fact.form.zero}, floats;
    enum status status = STATUS_OK;
    *table = function->table;
    if (*table != VALUE_NONE) {
        return STATUS_OK;
    }
    if (which == 0) {
        status = quantized_all_bytes(q, q->graph->values[fact.bytes].dtype, &inputs[0]);
    } else {
        inputs[0] = q->facts[fact.bytes].made.table;
    }
    if (status == STATUS_OK) {
        status = quantized_value(q, NULL, &floats);
    }
    if (status == STATUS_OK) {
        status =
            quantized_make(q, "", NULL, "DequantizeLinear", inputs, 3, floats, &node);
    }
    if (status == STATUS_OK) {
        status = load_node(q->graph, &node, q->err);
    }
    if (status == STATUS_OK) {
        status = quantized_compute(q, &node, node.inputs, table);
    }
    q->facts[value].functions[which].table = *table;
    return status;
}

/* ---- elementwise: functions of one byte -------------------------------------------- */

static int function_of(const struct fact *fact, int root) {
    for (int i = 0; i < 2; i++) {
        if (fact->functions[i].root == root) {
            return i;
        }
    }
    return -1;
}

/* A constant that is one number for all elements and adds no axes. */
static bool is_number(const struct quantized *q, int value) {
    const struct tensor *x = q->graph->values[value].constant;
    return x != NULL && x->rank <= 1 && tensor_count(x) == 1;
}

/* The node's inputs as tables of `root`; false where one is none. */
static enum status tables_of(struct quantized *q, const struct node *node, int root,
                             int *inputs, bool *all) {
    enum status status = STATUS_OK;
    *all = true;
    for (int i = 0; status == STATUS_OK && *all && i < node->input_count; i++) {
        int which;
        inputs[i] = node->inputs[i];
        if (inputs[i] == VALUE_NONE || is_number(q, inputs[i])) {
            continue;
        }
        which = function_of(quantized_fact(q, inputs[i]), root);
        *all = which >= 0;
        if (*all) {
            status = table_of(q, node->inputs[i], which, &inputs[i]);
            *all = inputs[i] != VALUE_NONE;
        }
    }
    return status;
}

/* The input whose roots are tried: the first that is no number. */
static int leading_input(const struct quantized *q, const struct node *node) {
    for (int i = 0; i < node->input_count; i++) {
        if (node->inputs[i] != VALUE_NONE && !is_number(q, node->inputs[i])) {
            return node->inputs[i];
        }
    }
    return VALUE_NONE;
}

enum status quantized_elementwise(struct quantized *q, struct node *node, bool *keep) {
    const int leading = leading_input(q, node);
    struct function found[2] = {none, none};
    enum status status = STATUS_OK;
    int count = 0, *inputs;
    (void)keep;
    if ((node->op->flags & OP_ELEMENTWISE) == 0 || node->op->domain != NULL ||
        node->output_count != 1 || leading == VALUE_NONE ||
        q->graph->values[node->outputs[0]].dtype != DTYPE_F32 ||
        quantized_fact(q, leading)->functions[0].root == VALUE_NONE ||
        (node->opset < 7 && attr_find(node, "broadcast") != NULL)) {
        return STATUS_OK;
    }
    inputs = arena_alloc(&q->graph->arena, (size_t)node->input_count, sizeof(*inputs));
    if (inputs == NULL) {
        return quantized_no_memory(q);
    }
    for (int i = 0; status == STATUS_OK && i < 2; i++) {
        const int root = q->facts[leading].functions[i].root;
        bool all = root != VALUE_NONE;
        if (all) {
            status = tables_of(q, node, root, inputs, &all);
        }
        if (status == STATUS_OK && all) {
            found[count].root = root;
            status = quantized_compute(q, node, inputs, &found[count].table);
            count += found[count].table != VALUE_NONE;
        }
    }
    if (count > 0) {
        memcpy(q->facts[node->outputs[0]].functions, found, sizeof(found));
    }
    return status;
}

/* ---- quantize ---------------------------------------------------------------------- */

static bool is_same_byte(const struct quantized *q, int table) {
    const uint8_t *to = q->graph->values[table].constant->data;
    for (int i = 0; i < QUANTIZED_BYTES; i++) {
        if (to[i] != i) {
            return false;
        }
    }
    return true;
}

/* output = table[root]. */
static enum status emit_table(struct quantized *q, const struct node *like,
                              struct function function, int output) {
    const struct tensor *table = q->graph->values[function.table].constant;
    struct attr *attrs = arena_alloc(&q->graph->arena, 2, sizeof(*attrs));
    uint8_t *bytes = arena_alloc(&q->graph->arena, QUANTIZED_BYTES, 1);
    enum status status;
    if (attrs == NULL || bytes == NULL) {
        return quantized_no_memory(q);
    }
    memcpy(bytes, table->data, QUANTIZED_BYTES);
    attrs[0] = (struct attr){
        .name = "table", .kind = ATTR_TEXT, .as.text = {bytes, QUANTIZED_BYTES}};
    attrs[1] = (struct attr){.name = "to", .kind = ATTR_INT, .as.i = table->dtype};
    status = quantized_emit(q, like, "millrace", "ByteTable", &function.root, 1,
                            &(struct attr_list){.items = attrs, .count = 2}, output);
    q->facts[output].made = function;
    return status;
}

enum status quantized_bytes(struct quantized *q, const struct node *quantize, int value,
                            int output, int *made) {
    const enum dtype dtype = q->graph->values[quantize->outputs[0]].dtype;
    struct function last = none;
    int inputs[3] = {VALUE_NONE, VALUE_NONE, VALUE_NONE};
    *made = VALUE_NONE;
    memcpy(inputs, quantize->inputs, (size_t)quantize->input_count * sizeof(*inputs));
    for (int i = 0; i < 2; i++) {
        struct function own = quantized_fact(q, value)->functions[i];
        enum status status;
        if (own.root == VALUE_NONE) {
            continue;
        }
        status = table_of(q, value, i, &inputs[0]);
        if (status == STATUS_OK && inputs[0] != VALUE_NONE) {
            status = quantized_compute(q, quantize, inputs, &own.table);
        }
        if (status != STATUS_OK) {
            return status;
        }
        if (inputs[0] == VALUE_NONE || own.table == VALUE_NONE) {
            continue;
        }
        last = own;
        if (q->graph->values[own.root].dtype == dtype && is_same_byte(q, own.table)) {
            *made = own.root;
            return STATUS_OK;
        }
    }
    if (last.root == VALUE_NONE) {
        return STATUS_OK;
    }
    *made = output;
    return emit_table(q, quantize, last, output);
}
