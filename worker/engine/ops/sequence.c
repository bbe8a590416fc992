/* sequence.c - sequences of tensors, and optionals: made, taken apart, joined.
 *
 * A sequence is a row of struct tensor.  New elements are copied into the node's extra
 * memory; those that came in a sequence stay where they are, which is memory that lives
 * to the end of the run. */
#include "base/size.h"
#include "engine/onnx_tensor.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"
#include "engine/plan.h"

static const struct tensor *element(const struct tensor *sequence, int64_t i) {
    return (const struct tensor *)sequence->data + i;
}

static void set_length(const struct exec *exec, int64_t length) {
    exec->y[0]->rank = 1;
    exec->y[0]->dims[0] = length;
}

static size_t padded_size(const struct tensor *x) {
    return size_align(tensor_size(x), PLAN_ALIGN);
}

/* Copies the data of `x` to `*memory` and moves that on. */
static struct tensor keep(const struct tensor *x, uint8_t **memory) {
    struct tensor kept = *x;
    size_t size = tensor_size(x);
    kept.data = *memory;
    if (size > 0) {
        memcpy(kept.data, x->data, size);
    }
    *memory += padded_size(x);
    return kept;
}

static void set_list(struct load *load, enum dtype dtype, enum dtype inner,
                     enum dtype innermost) {
    const struct value type = {.dtype = dtype, .inner = {inner, innermost}};
    graph_set_output_like(load->graph, load->node, 0, &type);
}

/* The output is of what the list at input 0 holds. */
static void set_element(struct load *load) {
    const struct value *list = graph_input(load->graph, load->node, 0);
    set_list(load, list->inner[0], list->inner[1], DTYPE_NONE);
}

/* A position in a sequence of `length`, counted from the end where negative. */
static enum status position(const struct exec *exec, int input, int64_t length,
                            int64_t missing, int64_t *at, struct error *err) {
    int count = 1;
    enum status status = STATUS_OK;
    *at = missing;
    if (exec_has(exec, input)) {
        status = exec_ints(exec, input, at, 1, &count, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (count != 1 || *at < -length || *at >= length) {
        return node_error(exec->node, err, STATUS_POISON,
                          "the position is outside a sequence, allowed are %lld to %lld",
                          (long long)-length, (long long)length - 1);
    }
    *at += *at < 0 ? length : 0;
    return STATUS_OK;
}

/* True where input `input` is the position behind the last element. */
static bool is_end(const struct exec *exec, int input, int64_t length) {
    const struct tensor *x = exec->x[input];
    return tensor_count(x) == 1 && number_integer(x, 0) == length;
}

/* ---- SequenceEmpty, SequenceConstruct --------------------------------------------- */

static enum status empty_prepare(struct load *load, struct error *err) {
    int64_t number = 0;
    enum status status =
        attr_int_in(load->node, "dtype", DTYPE_F32, 1, 1000, &number, err);
    enum dtype dtype = onnx_dtype((int32_t)number);
    if (status == STATUS_OK && dtype == DTYPE_NONE) {
        return node_error(load->node, err, STATUS_UNSUPPORTED,
                          "attribute dtype is %lld, which is not handled",
                          (long long)number);
    }
    set_list(load, DTYPE_SEQUENCE, dtype, DTYPE_NONE);
    return status;
}

static enum status empty_shape(struct exec *exec, struct error *err) {
    (void)err; /* cannot fail */
    set_length(exec, 0);
    return STATUS_OK;
}

static enum status nothing_run(struct exec *exec, struct error *err) {
    (void)exec, (void)err; /* there is no element */
    return STATUS_OK;
}

static enum status construct_prepare(struct load *load, struct error *err) {
    (void)err; /* cannot fail */
    set_list(load, DTYPE_SEQUENCE, graph_input_dtype(load->graph, load->node, 0),
             DTYPE_NONE);
    return STATUS_OK;
}

static enum status construct_shape(struct exec *exec, struct error *err) {
    (void)err; /* sizes were checked */
    set_length(exec, exec->node->input_count);
    for (int i = 0; i < exec->node->input_count; i++) {
        exec->extra_size += padded_size(exec->x[i]);
    }
    return STATUS_OK;
}

static enum status construct_run(struct exec *exec, struct error *err) {
    uint8_t *memory = exec->extra;
    (void)err; /* cannot fail */
    for (int i = 0; i < exec->node->input_count; i++) {
        ((struct tensor *)exec->y[0]->data)[i] = keep(exec->x[i], &memory);
    }
    return STATUS_OK;
}

/* ---- SequenceInsert, SequenceErase ------------------------------------------------ */

static enum status insert_prepare(struct load *load, struct error *err) {
    const struct value *list = graph_input(load->graph, load->node, 0);
    enum dtype dtype = graph_input_dtype(load->graph, load->node, 1);
    if (list->inner[0] != dtype) {
        return node_error(load->node, err, STATUS_INVALID,
                          "puts %s into a sequence of %s", dtype_name(dtype),
                          dtype_name(list->inner[0]));
    }
    return STATUS_OK;
}

static enum status insert_shape(struct exec *exec, struct error *err) {
    (void)err; /* sizes were checked */
    set_length(exec, exec->x[0]->dims[0] + 1);
    exec->extra_size = padded_size(exec->x[1]);
    return STATUS_OK;
}

static void copy_elements(struct tensor *y, int64_t to, const struct tensor *x,
                          int64_t from, int64_t count) {
    if (count > 0) {
        memcpy((struct tensor *)y->data + to, element(x, from),
               (size_t)count * sizeof(*x));
    }
}

static enum status insert_run(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0];
    uint8_t *memory = exec->extra;
    int64_t at, length = x->dims[0];
    enum status status = STATUS_OK;
    at = length; /* the end, which only a position of its own can tell */
    if (exec_has(exec, 2) && !is_end(exec, 2, length)) {
        status = position(exec, 2, length, length, &at, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    copy_elements(exec->y[0], 0, x, 0, at);
    ((struct tensor *)exec->y[0]->data)[at] = keep(exec->x[1], &memory);
    copy_elements(exec->y[0], at + 1, x, at, length - at);
    return STATUS_OK;
}

static enum status erase_shape(struct exec *exec, struct error *err) {
    if (exec->x[0]->dims[0] < 1) {
        return node_error(exec->node, err, STATUS_POISON, "the sequence is empty");
    }
    set_length(exec, exec->x[0]->dims[0] - 1);
    return STATUS_OK;
}

static enum status erase_run(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0];
    int64_t at, length = x->dims[0];
    enum status status = position(exec, 1, length, length - 1, &at, err);
    if (status != STATUS_OK) {
        return status;
    }
    copy_elements(exec->y[0], 0, x, 0, at);
    copy_elements(exec->y[0], at, x, at + 1, length - at - 1);
    return STATUS_OK;
}

/* ---- SequenceAt, SequenceLength, OptionalGetElement, OptionalHasElement ------------ */

static enum status element_prepare(struct load *load, struct error *err) {
    (void)err; /* cannot fail */
    set_element(load);
    return STATUS_OK;
}

/* The output is `from`, an element of the right dtype. */
static enum status give(struct exec *exec, const struct tensor *from, struct error *err) {
    if (from->dtype != exec->y[0]->dtype) {
        return node_error(exec->node, err, STATUS_POISON, "an element is %s, not %s",
                          dtype_name(from->dtype), dtype_name(exec->y[0]->dtype));
    }
    exec->y[0]->rank = from->rank;
    memcpy(exec->y[0]->dims, from->dims, sizeof(from->dims));
    *(const struct tensor **)exec->memo = from;
    return STATUS_OK;
}

static enum status give_run(struct exec *exec, struct error *err) {
    const struct tensor *from = *(const struct tensor **)exec->memo;
    size_t size = tensor_size(from);
    (void)err; /* shape() has found it */
    if (size > 0) {
        memcpy(exec->y[0]->data, from->data, size);
    }
    return STATUS_OK;
}

static enum status at_shape(struct exec *exec, struct error *err) {
    int64_t at;
    enum status status = position(exec, 1, exec->x[0]->dims[0], 0, &at, err);
    return status == STATUS_OK ? give(exec, element(exec->x[0], at), err) : status;
}

static enum status scalar_shape(struct exec *exec, struct error *err) {
    (void)err; /* cannot fail */
    exec->y[0]->rank = 0;
    return STATUS_OK;
}

static enum status length_run(struct exec *exec, struct error *err) {
    (void)err; /* cannot fail */
    *(int64_t *)exec->y[0]->data = exec->x[0]->dims[0];
    return STATUS_OK;
}

static enum status has_run(struct exec *exec, struct error *err) {
    (void)err; /* cannot fail */
    *(bool *)exec->y[0]->data =
        exec_has(exec, 0) &&
        (exec->x[0]->dtype != DTYPE_OPTIONAL || exec->x[0]->dims[0] > 0);
    return STATUS_OK;
}

static enum status get_prepare(struct load *load, struct error *err) {
    (void)err; /* cannot fail */
    if (graph_input_dtype(load->graph, load->node, 0) == DTYPE_OPTIONAL) {
        set_element(load);
    }
    return STATUS_OK;
}

static enum status get_shape(struct exec *exec, struct error *err) {
    if (exec->x[0]->dtype != DTYPE_OPTIONAL) { /* from opset 18 on: always there */
        return give(exec, exec->x[0], err);
    }
    if (exec->x[0]->dims[0] < 1) {
        return node_error(exec->node, err, STATUS_POISON, "the optional is empty");
    }
    return give(exec, element(exec->x[0], 0), err);
}

/* ---- Optional --------------------------------------------------------------------- */

static enum status optional_prepare(struct load *load, struct error *err) {
    const struct value *held = graph_input(load->graph, load->node, 0);
    const struct attr *attr = attr_find(load->node, "type");
    if (held != NULL) {
        set_list(load, DTYPE_OPTIONAL, held->dtype, held->inner[0]);
    } else if (attr != NULL && attr->kind == ATTR_TYPE) {
        set_list(load, DTYPE_OPTIONAL, attr->as.type->dtype, attr->as.type->inner[0]);
    } else {
        return node_error(load->node, err, STATUS_INVALID,
                          "has neither an input nor the attribute type");
    }
    return STATUS_OK;
}

static enum status optional_shape(struct exec *exec, struct error *err) {
    (void)err; /* sizes were checked */
    set_length(exec, exec_has(exec, 0) ? 1 : 0);
    exec->extra_size = exec_has(exec, 0) ? padded_size(exec->x[0]) : 0;
    return STATUS_OK;
}

static enum status optional_run(struct exec *exec, struct error *err) {
    uint8_t *memory = exec->extra;
    (void)err; /* cannot fail */
    if (exec_has(exec, 0)) {
        *(struct tensor *)exec->y[0]->data = keep(exec->x[0], &memory);
    }
    return STATUS_OK;
}

/* ---- SplitToSequence, ConcatFromSequence ------------------------------------------ */

struct parts {
    int64_t axis;
    bool keep_dims, new_axis;
};

/* Copies `count` rows from place `at` of `axis` of `whole` to the dense `part`, or back:
 * what a Concat or a Split does. */
static void copy_part(const struct tensor *whole, int axis, int64_t at, int64_t count,
                      void *part, bool back) {
    size_t inner = dtype_size(whole->dtype), outer = 1, run;
    for (int i = 0; i < whole->rank; i++) {
        if (i < axis) {
            outer *= (size_t)whole->dims[i];
        } else if (i > axis) {
            inner *= (size_t)whole->dims[i];
        }
    }
    run = inner * (size_t)count;
    for (size_t i = 0; run > 0 && i < outer; i++) {
        uint8_t *here =
            (uint8_t *)whole->data + (i * (size_t)whole->dims[axis] + (size_t)at) * inner;
        uint8_t *there = (uint8_t *)part + i * run;
        memcpy(back ? here : there, back ? there : here, run);
    }
}

static enum status split_prepare(struct load *load, struct error *err) {
    struct parts *state = load_state(load, struct parts);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    set_list(load, DTYPE_SEQUENCE, graph_input_dtype(load->graph, load->node, 0),
             DTYPE_NONE);
    status = attr_int(load->node, "axis", 0, &state->axis, err);
    return status == STATUS_OK
               ? attr_bool(load->node, "keepdims", true, &state->keep_dims, err)
               : status;
}

static int64_t split_size(const struct tensor *split, int64_t i) {
    return split->dtype == DTYPE_I64 ? ((const int64_t *)split->data)[i]
                                     : ((const int32_t *)split->data)[i];
}

/* Sizes that are not negative and make up the axis. */
static bool split_fits(const struct tensor *split, int64_t length) {
    int64_t left = length;
    for (int64_t i = 0; i < split->dims[0]; i++) {
        int64_t size = split_size(split, i);
        if (size < 0 || size > left) {
            return false;
        }
        left -= size;
    }
    return left == 0;
}

static enum status split_shape(struct exec *exec, struct error *err) {
    const struct parts *state = exec->node->state;
    const struct tensor *x = exec->x[0], *split = exec_has(exec, 1) ? exec->x[1] : NULL;
    int axis = 0;
    enum status status = exec_axis(exec, state->axis, x->rank, &axis, err);
    int64_t length, parts;
    if (status != STATUS_OK) {
        return status;
    }
    parts = length = x->dims[axis];
    if (split != NULL && split->rank == 0) {
        int64_t size = split_size(split, 0);
        parts = size < 1 ? -1 : length / size + (length % size != 0);
    } else if (split != NULL) {
        parts = split->rank == 1 && split_fits(split, length) ? split->dims[0] : -1;
    }
    if (parts < 0) {
        return node_error(exec->node, err, STATUS_POISON,
                          "the sizes do not make up %lld, the length of axis %d",
                          (long long)length, axis);
    }
    set_length(exec, parts);
    exec->extra_size =
        size_align(tensor_size(x), PLAN_ALIGN) + (size_t)parts * PLAN_ALIGN;
    return STATUS_OK;
}

static enum status split_run(struct exec *exec, struct error *err) {
    const struct parts *state = exec->node->state;
    const struct tensor *x = exec->x[0], *split = exec_has(exec, 1) ? exec->x[1] : NULL;
    uint8_t *memory = exec->extra;
    int axis = 0;
    int64_t at = 0;
    enum status status = exec_axis(exec, state->axis, x->rank, &axis, err);
    for (int64_t i = 0; status == STATUS_OK && i < exec->y[0]->dims[0]; i++) {
        struct tensor part = *x;
        int64_t left = x->dims[axis] - at;
        int64_t size = split == NULL ? 1 : split_size(split, split->rank == 0 ? 0 : i);
        part.dims[axis] = size < left ? size : left;
        part.data = memory;
        copy_part(x, axis, at, part.dims[axis], memory, false);
        at += part.dims[axis];
        memory += padded_size(&part);
        if (split == NULL && !state->keep_dims) {
            for (int k = axis; k + 1 < part.rank; k++) {
                part.dims[k] = part.dims[k + 1];
            }
            part.rank--;
        }
        ((struct tensor *)exec->y[0]->data)[i] = part;
    }
    return status;
}

static enum status join_prepare(struct load *load, struct error *err) {
    struct parts *state = load_state(load, struct parts);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    set_element(load);
    status = attr_int(load->node, "axis", 0, &state->axis, err);
    return status == STATUS_OK
               ? attr_bool(load->node, "new_axis", false, &state->new_axis, err)
               : status;
}

/* An element as a part of the result: with the new axis, if there is one. */
static struct tensor joined_part(const struct tensor *x, int axis, bool new_axis) {
    struct tensor part = *x;
    if (new_axis) {
        for (int k = part.rank; k > axis; k--) {
            part.dims[k] = part.dims[k - 1];
        }
        part.dims[axis] = 1;
        part.rank++;
    }
    return part;
}

static bool joins(const struct tensor *y, const struct tensor *part, int axis) {
    bool fits = part->rank == y->rank && part->dtype == y->dtype;
    for (int k = 0; fits && k < y->rank; k++) {
        fits = k == axis || part->dims[k] == y->dims[k];
    }
    return fits;
}

static enum status join_shape(struct exec *exec, struct error *err) {
    const struct parts *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    struct tensor *y = exec->y[0], part;
    enum status status;
    int axis = 0, rank;
    int64_t total = 0;
    if (x->dims[0] < 1) {
        return node_error(exec->node, err, STATUS_POISON, "the sequence is empty");
    }
    rank = element(x, 0)->rank + (state->new_axis ? 1 : 0);
    status = rank > TENSOR_RANK_MAX ? node_error(exec->node, err, STATUS_POISON,
                                                 "the result has rank %d", rank)
                                    : exec_axis(exec, state->axis, rank, &axis, err);
    if (status != STATUS_OK) {
        return status;
    }
    part = joined_part(element(x, 0), axis, state->new_axis);
    y->rank = part.rank;
    memcpy(y->dims, part.dims, sizeof(y->dims));
    for (int64_t i = 0; i < x->dims[0]; i++) {
        const struct tensor *from = element(x, i);
        bool fits = from->rank + (state->new_axis ? 1 : 0) == rank;
        part = joined_part(fits ? from : element(x, 0), axis, state->new_axis);
        if (!fits || !joins(y, &part, axis) ||
            __builtin_add_overflow(total, part.dims[axis], &total)) {
            return node_error(exec->node, err, STATUS_POISON,
                              "element %lld does not fit to the others", (long long)i);
        }
    }
    y->dims[axis] = total;
    return STATUS_OK;
}

static enum status join_run(struct exec *exec, struct error *err) {
    const struct parts *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    int axis = 0;
    int64_t at = 0;
    enum status status = exec_axis(exec, state->axis, exec->y[0]->rank, &axis, err);
    for (int64_t i = 0; status == STATUS_OK && i < x->dims[0]; i++) {
        struct tensor part = joined_part(element(x, i), axis, state->new_axis);
        copy_part(exec->y[0], axis, at, part.dims[axis], part.data, true);
        at += part.dims[axis];
    }
    return status;
}

#define ALL_INPUTS(types) \
    { types, types, types, types, types, types }

static const struct op ops[] = {
    {.name = "SequenceEmpty",
     .since = 11,
     .prepare = empty_prepare,
     .shape = empty_shape,
     .run = nothing_run},
    {.name = "SequenceConstruct",
     .since = 11,
     .inputs_min = 1,
     .inputs_max = NODE_INPUTS_MAX,
     .flags = OP_KEEPS_HALF,
     .types = {TYPES_ALL},
     .prepare = construct_prepare,
     .shape = construct_shape,
     .run = construct_run},
    {.name = "SequenceInsert",
     .since = 11,
     .inputs_min = 2,
     .inputs_max = 3,
     .flags = OP_KEEPS_HALF,
     .types = {TYPES_SEQUENCE, TYPES_ALL, TYPES_INDEX},
     .prepare = insert_prepare,
     .shape = insert_shape,
     .run = insert_run},
    {.name = "SequenceErase",
     .since = 11,
     .inputs_min = 1,
     .inputs_max = 2,
     .types = {TYPES_SEQUENCE, TYPES_INDEX},
     .shape = erase_shape,
     .run = erase_run},
    {.name = "SequenceAt",
     .since = 11,
     .inputs_min = 2,
     .inputs_max = 2,
     .shape_inputs = 3,
     .types = {TYPES_SEQUENCE, TYPES_INDEX},
     .memo_size = sizeof(struct tensor *),
     .prepare = element_prepare,
     .shape = at_shape,
     .run = give_run},
    {.name = "SequenceLength",
     .since = 11,
     .inputs_min = 1,
     .inputs_max = 1,
     .types = {TYPES_SEQUENCE},
     .output_dtype = DTYPE_I64,
     .shape = scalar_shape,
     .run = length_run},
    {.name = "SplitToSequence",
     .since = 11,
     .inputs_min = 1,
     .inputs_max = 2,
     .flags = OP_KEEPS_HALF,
     .shape_inputs = 2,
     .types = {TYPES_ALL, TYPES_INDEX},
     .prepare = split_prepare,
     .shape = split_shape,
     .run = split_run},
    {.name = "ConcatFromSequence",
     .since = 11,
     .inputs_min = 1,
     .inputs_max = 1,
     .shape_inputs = 1,
     .types = {TYPES_SEQUENCE},
     .prepare = join_prepare,
     .shape = join_shape,
     .run = join_run},
    {.name = "Optional",
     .since = 15,
     .inputs_max = 1,
     .flags = OP_KEEPS_HALF,
     .types = {TYPES_ALL | TYPES_SEQUENCE},
     .prepare = optional_prepare,
     .shape = optional_shape,
     .run = optional_run},
    {.name = "OptionalHasElement",
     .since = 15,
     .inputs_max = 1,
     .types = {TYPES_VALUE},
     .output_dtype = DTYPE_BOOL,
     .shape = scalar_shape,
     .run = has_run},
    {.name = "OptionalGetElement",
     .since = 15,
     .inputs_min = 1,
     .inputs_max = 1,
     .shape_inputs = 1,
     .types = {TYPES_VALUE},
     .memo_size = sizeof(struct tensor *),
     .prepare = get_prepare,
     .shape = get_shape,
     .run = give_run},
};

const struct op_list ops_sequence = OP_LIST(ops);
